//! The `[network]` and `[sparsity]` sections: which network, and how many of its connections live.

use serde::{Deserialize, Serialize};

use super::{LayerSpec, NetworkSpec};
use crate::kernels::Activation;
use crate::sparse::{Allocation, Init, Storage, check_density};
use crate::tiles::Shape;
use crate::{Error, Result};

/// The activations by the names that users type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum ActivationName {
    Relu,
    LeakyRelu,
    AllRelu,
    Tanh,
    Sigmoid,
    Gelu,
    Silu,
    Identity,
}

/// The `[network]` section: a multilayer perceptron.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkSettings {
    /// Units of each hidden layer; empty for a linear model.
    pub hidden: Vec<usize>,
    /// The function after each hidden layer.
    pub activation: ActivationName,
    /// For `leaky-relu` the slope below zero; for `all-relu` it alternates in sign from layer to layer.
    pub slope: f32,
    /// The share of hidden units dropped while training.
    pub dropout: f32,
}

impl Default for NetworkSettings {
    fn default() -> NetworkSettings {
        NetworkSettings {
            hidden: vec![256, 256],
            activation: ActivationName::Relu,
            slope: 0.01,
            dropout: 0.0,
        }
    }
}

impl NetworkSettings {
    /// The network for data of that shape.
    ///
    /// # Errors
    /// If a width is 0, or the slope or dropout rate is out of range.
    pub fn spec(&self, inputs: Shape, outputs: usize) -> Result<NetworkSpec> {
        if self.hidden.contains(&0) {
            return Err(Error::setting("network.hidden", "a layer needs at least one unit"));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(Error::setting("network.dropout", format!("{} is not in [0, 1)", self.dropout)));
        }
        if !(0.0..=1.0).contains(&self.slope) {
            return Err(Error::setting("network.slope", format!("{} is not in [0, 1]", self.slope)));
        }
        let mut layers = Vec::new();
        for (depth, &units) in self.hidden.iter().enumerate() {
            let activation = self.function(depth);
            let fused = if activation.is_fusable() { activation } else { Activation::Identity };
            layers.push(LayerSpec::linear(units, fused));
            if fused != activation {
                layers.push(LayerSpec::elementwise(activation));
            }
            if self.dropout > 0.0 {
                layers.push(LayerSpec::dropout(self.dropout));
            }
        }
        layers.push(LayerSpec::linear(outputs, Activation::Identity));
        // It knows no positions.
        Ok(NetworkSpec { inputs: Shape::flat(inputs.features()), layers })
    }

    fn function(&self, depth: usize) -> Activation {
        match self.activation {
            ActivationName::Relu => Activation::Relu,
            ActivationName::LeakyRelu => Activation::LeakyRelu(self.slope),
            ActivationName::AllRelu => {
                Activation::LeakyRelu(if depth.is_multiple_of(2) { -self.slope } else { self.slope })
            }
            ActivationName::Tanh => Activation::Tanh,
            ActivationName::Sigmoid => Activation::Sigmoid,
            ActivationName::Gelu => Activation::Gelu,
            ActivationName::Silu => Activation::Silu,
            ActivationName::Identity => Activation::Identity,
        }
    }
}

/// The `[sparsity]` section.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SparsitySettings {
    /// Live connections over all cells of all weight matrices.
    pub density: f64,
    /// How the density is spread over layers.
    pub allocation: Allocation,
    /// How weights are stored.
    pub storage: Storage,
    /// The standard deviation of all weights at the start, and of those that SET grows. `None` follows the connections:
    /// at the start those that live, for a weight that is grown those of a dense layer.
    pub deviation: Option<f32>,
}

impl Default for SparsitySettings {
    fn default() -> SparsitySettings {
        SparsitySettings {
            density: 0.1,
            allocation: Allocation::Erk,
            storage: Storage::Auto,
            deviation: None,
        }
    }
}

impl SparsitySettings {
    /// Every connection, in dense storage: the dense twin.
    pub fn dense() -> SparsitySettings {
        SparsitySettings { density: 1.0, storage: Storage::Dense, ..SparsitySettings::default() }
    }

    /// How a weight matrix is drawn whose layer would have it drawn as `usual`.
    pub fn init(&self, usual: Init) -> Init {
        self.deviation.map_or(usual, Init::Deviation)
    }

    /// Checks the numbers.
    ///
    /// # Errors
    /// If the density is not in `(0, 1]`, or the deviation not above 0.
    pub fn check(&self) -> Result<()> {
        if let Some(deviation) = self.deviation.filter(|it| !(*it > 0.0 && it.is_finite())) {
            let problem = format!("must be above 0, not {deviation}; leave it out to follow the connections");
            return Err(Error::setting("sparsity.deviation", problem));
        }
        check_density("sparsity.density", self.density)
    }
}
