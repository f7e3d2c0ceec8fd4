//! The multilayer perceptron: for each of `network.hidden` a linear layer with its activation, and dropout if there is any;
//! at the end a linear layer without activation.

use super::parts::{dropout, head};
use crate::kernels::Activation;
use crate::layers::{ActivationName, LayerSpec, NetworkSettings};

pub(super) fn mlp(settings: &NetworkSettings) -> Vec<LayerSpec> {
    let mut layers = Vec::new();
    for (depth, &units) in settings.hidden.iter().enumerate() {
        layers.push(LayerSpec::linear(units, function(settings, depth)));
        layers.extend(dropout(settings.dropout));
    }
    layers.push(head());
    layers
}

fn function(settings: &NetworkSettings, depth: usize) -> Activation {
    let slope = settings.slope;
    match settings.activation {
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
