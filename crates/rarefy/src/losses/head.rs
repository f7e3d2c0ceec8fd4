//! What turns a network's outputs into predictions.

use serde::{Deserialize, Serialize};

use super::cross_entropy::maxima;
use crate::math::{exp, sigmoid};
use crate::tiles::{LANES, Row};

/// How outputs become predictions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Head {
    /// Probabilities of the classes, which sum to 1.
    Softmax,
    /// A probability for each output.
    Sigmoid,
    /// The outputs themselves.
    Identity,
}

impl Head {
    /// Turns a tile's outputs, a row for each feature, into predictions in place.
    pub fn apply(&self, output: &mut [Row]) {
        match self {
            Head::Softmax => {
                let max = maxima(output);
                let mut sums = Row::ZERO;
                for row in output.iter_mut() {
                    for lane in 0..LANES {
                        row.0[lane] = exp(row.0[lane] - max.0[lane]);
                        sums.0[lane] += row.0[lane];
                    }
                }
                for row in output {
                    for lane in 0..LANES {
                        row.0[lane] /= sums.0[lane];
                    }
                }
            }
            Head::Sigmoid => output.iter_mut().for_each(|row| row.0 = row.0.map(sigmoid)),
            Head::Identity => {}
        }
    }
}
