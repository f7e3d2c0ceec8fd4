//! The multilayer perceptron: for each of `network.hidden` a linear layer with its activation, and dropout if there is any;
//! at the end a linear layer without activation.

use serde::{Deserialize, Serialize};

use super::parts::{dropout, head};
use crate::kernels::Activation;
use crate::layers::LayerSpec;

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

/// What makes a perceptron: the units of each hidden layer, and the function after it.
pub(in crate::layers) struct Mlp<'a> {
    pub(in crate::layers) hidden: &'a [usize],
    pub(in crate::layers) activation: ActivationName,
    pub(in crate::layers) slope: f32,
}

pub(super) fn mlp(mlp: &Mlp<'_>, rate: f32) -> Vec<LayerSpec> {
    let mut layers = Vec::new();
    for (depth, &units) in mlp.hidden.iter().enumerate() {
        layers.push(LayerSpec::linear(units, function(mlp, depth)));
        layers.extend(dropout(rate));
    }
    layers.push(head());
    layers
}

fn function(mlp: &Mlp<'_>, depth: usize) -> Activation {
    let slope = mlp.slope;
    match mlp.activation {
        ActivationName::Relu => Activation::Relu,
        ActivationName::LeakyRelu => Activation::LeakyRelu(slope),
        ActivationName::AllRelu => {
            Activation::LeakyRelu(if depth.is_multiple_of(2) { -slope } else { slope })
        }
        ActivationName::Tanh => Activation::Tanh,
        ActivationName::Sigmoid => Activation::Sigmoid,
        ActivationName::Gelu => Activation::Gelu,
        ActivationName::Silu => Activation::Silu,
        ActivationName::Identity => Activation::Identity,
    }
}
