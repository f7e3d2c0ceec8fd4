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
    let weights: Vec<usize> = network.weights().map(|(index, _)| index).collect();
    for (number, index) in weights.into_iter().enumerate() {
        // The stream of the first values is that of step 0.
        let mut stream = Stream::new(seed, Purpose::Weights, number as u64, 1);
        let weights = &mut network.parameter_mut(index).weights;
        let inputs = weights.cols() as f32;
        for value in weights.values_mut() {
            *value = if f64::from(stream.uniform()) < density { *value * scale } else { 0.0 };
        }
        if let Some(bias) = network.bias_of(index) {
            let biases = network.parameter_mut(bias).weights.values_mut();
            biases.iter_mut().for_each(|bias| *bias = stream.uniform() / inputs.sqrt());
        }
    }
}
