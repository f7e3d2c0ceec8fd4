//! What weights are worth at the start: normal draws scaled by the connections that really arrive at a unit.
//!
//! `w ~ N(0, 2 / fan_in)` for rectifiers (He et al. 2015), `N(0, 2 / (fan_in + fan_out))` otherwise (Glorot and Bengio
//! 2010). With the dense fan-in a deep sparse rectifier stack stalls at chance, so both count live connections only
//! (Evci et al. 2022).

use serde::{Deserialize, Serialize};

use super::Weights;
use crate::random::Stream;

/// The scale of initial weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Init {
    /// For rectifiers.
    He,
    /// For sigmoid, tanh and heads.
    Glorot,
}

impl Init {
    /// Draws all live values of `weights`, in row order.
    pub fn fill(self, weights: &mut Weights, stream: &mut Stream) {
        let slots: Vec<usize> = weights.connections().map(|(_, slot)| slot).collect();
        self.fill_slots(weights, &slots, stream);
    }

    /// Draws the values of some slots, given in order.
    pub fn fill_slots(self, weights: &mut Weights, slots: &[usize], stream: &mut Stream) {
        let deviations = self.deviations(weights);
        let cols = weights.cols();
        let mut wanted = slots.iter().peekable();
        let rows: Vec<usize> = weights
            .connections()
            .filter(|(_, slot)| wanted.next_if(|&wanted| wanted == slot).is_some())
            .map(|(cell, _)| cell / cols)
            .collect();
        assert_eq!(rows.len(), slots.len(), "slots must be live and in order");
        for (&slot, row) in slots.iter().zip(rows) {
            weights.values_mut()[slot] = deviations[row] * stream.normal();
        }
    }

    /// The standard deviation for each row.
    fn deviations(self, weights: &Weights) -> Vec<f32> {
        // The mean number of connections of a column stands in for the fan-out of each.
        let fan_out = weights.nnz() as f32 / weights.cols().max(1) as f32;
        let variance = |fan_in: f32| match self {
            Init::He => 2.0 / fan_in,
            Init::Glorot => 2.0 / (fan_in + fan_out),
        };
        weights.fan_in().into_iter().map(|fan_in| variance(fan_in.max(1) as f32).sqrt()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;
    use crate::sparse::{Pattern, Storage};

    #[test]
    fn variance_follows_the_live_fan_in_in_either_storage() {
        for storage in [Storage::Sparse, Storage::Dense] {
            let mut stream = Stream::new(1, Purpose::Bench, 0, 0);
            let mut weights = Weights::zeros(Pattern::random(400, 1000, 20_000, &mut stream), storage);
            Init::He.fill(&mut weights, &mut stream);
            let mean_square = weights.values().iter().map(|v| v * v).sum::<f32>() / 20_000.0;
            assert!((mean_square - 2.0 / 50.0).abs() < 0.004, "{mean_square}");
        }
    }
}
