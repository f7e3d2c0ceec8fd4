//! What a network looks like, as settings say it and as model files keep it.

use serde::{Deserialize, Serialize};

use crate::kernels::Activation;
use crate::sparse::{Allocation, Storage, check_density};
use crate::tiles::LANES;
use crate::{Error, Result};

/// One layer, as model files keep it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "layer", rename_all = "kebab-case", deny_unknown_fields)]
pub enum LayerSpec {
    /// `y = f(W x + b)`.
    Linear {
        /// Output features.
        outputs: usize,
        /// The fused activation.
        activation: Activation,
    },
    /// An elementwise function that cannot be fused.
    Elementwise {
        /// The function.
        activation: Activation,
    },
    /// Dropout.
    Dropout {
        /// The share of numbers that are zeroed while training.
        rate: f32,
    },
}

impl LayerSpec {
    /// What layers make of a number when predicting: a linear layer its activation (of its own output), an elementwise
    /// one its function.
    pub(super) fn constant(layers: &[LayerSpec], number: f32) -> f32 {
        let mut row = [number; LANES];
        for layer in layers {
            match layer {
                LayerSpec::Linear { activation, .. } | LayerSpec::Elementwise { activation } => {
                    activation.apply(&mut row);
                }
                LayerSpec::Dropout { .. } => {}
            }
        }
        row[0]
    }
}

/// A network's shape.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkSpec {
    /// Input features.
    pub inputs: usize,
    /// The layers in order; the last is linear without activation, its outputs are logits or values.
    pub layers: Vec<LayerSpec>,
}

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
    pub fn spec(&self, inputs: usize, outputs: usize) -> Result<NetworkSpec> {
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
            layers.push(LayerSpec::Linear { outputs: units, activation: fused });
            if fused != activation {
                layers.push(LayerSpec::Elementwise { activation });
            }
            if self.dropout > 0.0 {
                layers.push(LayerSpec::Dropout { rate: self.dropout });
            }
        }
        layers.push(LayerSpec::Linear { outputs, activation: Activation::Identity });
        Ok(NetworkSpec { inputs, layers })
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
}

impl Default for SparsitySettings {
    fn default() -> SparsitySettings {
        SparsitySettings { density: 0.1, allocation: Allocation::Erk, storage: Storage::Auto }
    }
}

impl SparsitySettings {
    /// Every connection, in dense storage: the dense twin.
    pub fn dense() -> SparsitySettings {
        SparsitySettings { density: 1.0, storage: Storage::Dense, ..SparsitySettings::default() }
    }

    /// Checks the density.
    ///
    /// # Errors
    /// If it is not in `(0, 1]`.
    pub fn check(&self) -> Result<()> {
        check_density("sparsity.density", self.density)
    }
}
