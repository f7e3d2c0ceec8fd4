//! Where Bregman iterations start: a network whose connections are all stored and almost all zero, as the code of
//! Bungert, Roith, Tenbrinck and Burger 2022 draws it. Each weight stays with probability `density` and is divided by the
//! root of that, so that signals keep their variance; biases are drawn from 0 to `1 / sqrt(inputs)`, so that a unit
//! without a weight is still active and its gradients can grow one.

use super::Settings;
use crate::layers::Network;
use crate::penalties::{PenaltyMethod, PenaltySettings};
use crate::random::{Purpose, Stream};

/// The share of weights that start away from zero, unless a target asks for fewer.
const DENSITY: f64 = 0.01;

/// The lambda to start from if none is given: in the unit of weights, not of gradients as that of other penalties.
const LAMBDA: f32 = 0.1;

/// The share of weights that start away from zero for a network that is to end at the density `end`: half of that at
/// most, for Bregman iterations grow.
pub(super) fn density(end: f64) -> f64 {
    DENSITY.min(0.5 * end)
}

/// The penalty of a run, its lambda set if the optimizer has a default of its own.
pub(super) fn penalty(settings: &Settings) -> PenaltySettings {
    let mut penalty = settings.penalty.clone();
    let grows = settings.optimizer.method().is_bregman() && penalty.method != PenaltyMethod::None;
    if grows && penalty.lambda.is_none() {
        penalty.lambda = Some(LAMBDA);
    }
    penalty
}

/// Empties all but a share `density` of the weights.
pub(super) fn empty(network: &mut Network, density: f64, seed: u64) {
    let scale = (1.0 / density).sqrt() as f32;
    for (index, layer) in network.layers_mut().iter_mut().enumerate() {
        let inputs = layer.inputs() as f32;
        // The stream of the first values is that of step 0.
        let mut stream = Stream::new(seed, Purpose::Weights, index as u64, 1);
        for parameter in layer.parameters_mut() {
            for value in parameter.weights.values_mut() {
                let draw = stream.uniform();
                *value = match parameter.is_weight {
                    true if f64::from(draw) < density => *value * scale,
                    true => 0.0,
                    false => draw / inputs.sqrt(),
                };
            }
        }
    }
}
