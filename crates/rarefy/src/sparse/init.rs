//! What weights are worth at the start: normal draws scaled by the connections that really arrive at a unit.
//!
//! `w ~ N(0, 2 / fan_in)` for rectifiers (He et al. 2015), `N(0, 2 / (fan_in + fan_out))` otherwise (Glorot and Bengio
//! 2010). With the dense fan-in a deep sparse rectifier stack stalls at chance, so both count live connections only
//! (Evci et al. 2022). Or `w ~ N(0, deviation^2)` for all, as SET's own code has it (0.1).

use serde::{Deserialize, Serialize};

use super::Weights;
use crate::random::Stream;

/// The scale of initial weights.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Init {
    /// For rectifiers.
    He,
    /// For sigmoid, tanh and heads.
    Glorot,
    /// With this standard deviation, whatever the layer.
    Deviation(f32),
}

impl Init {
    /// Draws all live values of `weights`, in row order.
    pub fn fill(self, weights: &mut Weights, stream: &mut Stream) {
        // The mean number of connections of a column stands in for the fan-out of each.
        let fan_out = weights.nnz() as f32 / weights.cols().max(1) as f32;
        let fan_in = weights.fan_in().into_iter();
        let mut values = Vec::with_capacity(weights.nnz());
        for fan_in in fan_in {
            let deviation = self.deviation(fan_in as f32, fan_out);
            values.extend((0..fan_in).map(|_| deviation * stream.normal()));
        }
        weights.set_live_values(values);
    }

    /// Draws the values of grown connections, given by their slots in order: as small as in a dense layer, as SET's later
    /// code does. Drawn by the live fan-in they outweigh what has been learned: at 98 % sparsity the loss jumped at
    /// each update and SET ended at half of RigL's accuracy on the digits.
    pub fn fill_grown(self, weights: &mut Weights, slots: &[usize], stream: &mut Stream) {
        let deviation = self.deviation(weights.cols() as f32, weights.rows() as f32);
        for &slot in slots {
            weights.values_mut()[slot] = deviation * stream.normal();
        }
    }

    /// The standard deviation of a weight.
    fn deviation(self, fan_in: f32, fan_out: f32) -> f32 {
        let fan_in = fan_in.max(1.0);
        match self {
            Init::He => (2.0 / fan_in).sqrt(),
            Init::Glorot => (2.0 / (fan_in + fan_out)).sqrt(),
            Init::Deviation(deviation) => deviation,
        }
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

    #[test]
    fn a_given_deviation_holds_at_the_start_and_for_what_is_grown() {
        let mut stream = Stream::new(2, Purpose::Bench, 0, 0);
        let mut weights = Weights::zeros(Pattern::random(400, 1000, 20_000, &mut stream), Storage::Sparse);
        let mean_square = |values: &[f32]| values.iter().map(|v| v * v).sum::<f32>() / values.len() as f32;
        Init::Deviation(0.1).fill(&mut weights, &mut stream);
        assert!((mean_square(weights.values()) - 0.01).abs() < 0.0005);
        let grown: Vec<usize> = (0..10_000).collect();
        let before = weights.values().to_vec();
        Init::Deviation(0.1).fill_grown(&mut weights, &grown, &mut stream);
        assert!((mean_square(&weights.values()[..10_000]) - 0.01).abs() < 0.0005);
        assert!(weights.values()[..10_000].iter().zip(&before).all(|(new, old)| new != old));
        assert_eq!(weights.values()[10_000..], before[10_000..]);
    }
}
