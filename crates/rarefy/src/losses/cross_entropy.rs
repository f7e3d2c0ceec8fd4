//! The cross-entropy of logits and a class, stable and with its gradient.

use super::{TargetTile, predictions};
use crate::math::{exp, ln};
use crate::tiles::{LANES, Row};

/// Cross-entropy of logits `z` and a class `y` with class weights `w` and label smoothing `e` (Szegedy et al. 2016, section 7),
/// as `torch.nn.CrossEntropyLoss`. With `K` classes and `p = softmax(z)`:
/// ```text
/// t_k   = (1 - e) w_y [k = y] + e / K w_k
/// loss  = -sum_k t_k ln p_k = T ln(sum_k exp(z_k)) - sum_k t_k z_k        T = sum_k t_k
/// dz_k  = T p_k - t_k
/// ```
/// A batch's mean divides by the sum of `w_y`. Exponents are taken relative to the largest logit of the sample, so none
/// overflows.
#[derive(Debug, Clone, PartialEq)]
pub struct CrossEntropy {
    smoothing: f32,
    weights: Option<Vec<f32>>,
}

impl CrossEntropy {
    pub(super) fn new(smoothing: f32, weights: Option<Vec<f32>>) -> CrossEntropy {
        CrossEntropy { smoothing, weights }
    }

    /// The part of each target that is spread evenly over all classes.
    pub fn smoothing(&self) -> f32 {
        self.smoothing
    }

    /// The weight of each class; `None` if all are 1.
    pub fn weights(&self) -> Option<&[f32]> {
        self.weights.as_deref()
    }

    pub(super) fn class_weight(&self, label: Option<u32>) -> f64 {
        let Some(weights) = &self.weights else { return 1.0 };
        f64::from(weights[label.expect("class weights need classes") as usize])
    }

    fn weight(&self, class: usize) -> f32 {
        self.weights.as_ref().map_or(1.0, |weights| weights[class])
    }

    /// The loss of each lane, and its gradient.
    pub(super) fn lanes(
        &self,
        output: &[Row],
        targets: TargetTile<'_>,
        gradient: Option<&mut [Row]>,
    ) -> [f64; LANES] {
        let TargetTile::Classes(labels) = targets else { panic!("cross-entropy needs classes") };
        let max = maxima(output);
        let spread = self.smoothing / output.len() as f32;
        let sharp = |label: usize| (1.0 - self.smoothing) * self.weight(label);

        // T and sum_k t_k (z_k - max), the smoothed part first, then the class's own.
        let (mut total, mut pull) = (Row::ZERO, Row::ZERO);
        if spread > 0.0 {
            for (class, row) in output.iter().enumerate() {
                let share = spread * self.weight(class);
                for lane in 0..LANES {
                    total.0[lane] += share;
                    pull.0[lane] += share * (row.0[lane] - max.0[lane]);
                }
            }
        }
        for (lane, label) in predictions(labels) {
            total.0[lane] += sharp(label);
            pull.0[lane] += sharp(label) * (output[label].0[lane] - max.0[lane]);
        }

        let sums = match gradient {
            None => exp_sums(output, &max, |_, _| {}),
            Some(gradient) => {
                let sums = exp_sums(output, &max, |class, row| gradient[class] = *row);
                let mut factor = Row::ZERO;
                for lane in 0..LANES {
                    factor.0[lane] = total.0[lane] / sums.0[lane];
                }
                for (class, row) in gradient.iter_mut().enumerate() {
                    let share = spread * self.weight(class);
                    for lane in 0..LANES {
                        row.0[lane] = row.0[lane] * factor.0[lane] - share;
                    }
                }
                for (lane, label) in predictions(labels) {
                    gradient[label].0[lane] -= sharp(label);
                }
                sums
            }
        };
        std::array::from_fn(|lane| f64::from(total.0[lane] * ln(sums.0[lane]) - pull.0[lane]))
    }
}

/// The largest output of each lane.
pub(super) fn maxima(output: &[Row]) -> Row {
    let mut max = Row([f32::NEG_INFINITY; LANES]);
    for row in output {
        for lane in 0..LANES {
            max.0[lane] = if row.0[lane] > max.0[lane] { row.0[lane] } else { max.0[lane] };
        }
    }
    max
}

/// The sum over outputs of `exp(output - max)` in each lane; `keep` sees each row of exponentials.
#[inline(always)]
pub(super) fn exp_sums(output: &[Row], max: &Row, mut keep: impl FnMut(usize, &Row)) -> Row {
    let mut sums = Row::ZERO;
    for (feature, row) in output.iter().enumerate() {
        let mut powers = Row::ZERO;
        for lane in 0..LANES {
            powers.0[lane] = exp(row.0[lane] - max.0[lane]);
            sums.0[lane] += powers.0[lane];
        }
        keep(feature, &powers);
    }
    sums
}
