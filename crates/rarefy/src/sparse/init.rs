//! What weights are worth at the start: normal draws scaled by the connections that really arrive at a unit.
//!
//! `w ~ N(0, gain / fan_in)` with gain 2 for rectifiers (He et al. 2015) and, for Glorot and Bengio 2010,
//! `N(0, 2 / (fan_in + fan_out))`. With the dense fan-in a deep sparse rectifier stack stalls at chance, so both count
//! live connections only (Evci et al. 2022).

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
    /// Fills all values of `weights`, drawing in row order.
    pub fn fill(self, weights: &mut Weights, stream: &mut Stream) {
        let deviations = self.deviations(weights);
        let starts: Vec<usize> = (0..=weights.rows()).map(|row| weights.row_start(row)).collect();
        let values = weights.values_mut();
        for (row, pair) in starts.windows(2).enumerate() {
            for value in &mut values[pair[0]..pair[1]] {
                *value = deviations[row] * stream.normal();
            }
        }
    }

    /// The standard deviation for each row.
    pub fn deviations(self, weights: &Weights) -> Vec<f32> {
        let (rows, cols) = (weights.rows(), weights.cols());
        // A column's mean number of connections stands in for the fan-out of each of its units.
        let fan_out = weights.nnz() as f32 / cols.max(1) as f32;
        (0..rows)
            .map(|row| {
                let fan_in = (weights.row_start(row + 1) - weights.row_start(row)).max(1) as f32;
                match self {
                    Init::He => (2.0 / fan_in).sqrt(),
                    Init::Glorot => (2.0 / (fan_in + fan_out)).sqrt(),
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;
    use crate::sparse::Pattern;

    #[test]
    fn variance_follows_the_live_fan_in() {
        let mut stream = Stream::new(1, Purpose::Bench, 0, 0);
        let pattern = Pattern::random(400, 1000, 20_000, &mut stream);
        let mut weights = Weights::sparse(pattern);
        Init::He.fill(&mut weights, &mut stream);
        let mean_square = weights.values().iter().map(|v| v * v).sum::<f32>() / 20_000.0;
        assert!((mean_square - 2.0 / 50.0).abs() < 0.004, "{mean_square}");
    }
}
