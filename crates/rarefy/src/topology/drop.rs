//! Which connections stay.

use std::fmt::Debug;
use std::sync::Arc;

use super::select::{largest, merged};
use super::{Progress, View};
use crate::random::Stream;

/// A rule that says which connections stay at an update. Implement it to prune by a rule of your own ([`Drop::Custom`]).
pub trait DropRule: Debug + Send + Sync {
    /// The cells of `count` connections of the matrix, in order: `row * cols + col` of what [`Weights::connections`] lists.
    ///
    /// [`Weights::connections`]: crate::sparse::Weights::connections
    fn keep(&self, view: &mut View<'_>, count: usize, progress: &Progress) -> Vec<usize>;
}

/// The rule by which connections are dropped.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Drop {
    /// The connections of the smallest magnitude go.
    Magnitude,
    /// The smallest positive and the largest negative weights go, an equal share of each (Mocanu et al. 2018, algorithm 1).
    MagnitudePerSign,
    /// The connections of the smallest `|w| + weight * |g|`, `g` being the gradient of the step just done (Yuan et al. 2021, eq. 1).
    MagnitudeAndGradient {
        /// What a gradient counts against a weight.
        weight: f32,
    },
    /// Sampled without replacement: a connection stays with a probability that grows as `|w|^p`, where `p` rises from
    /// `1 / temperature` to `3 / temperature` over the run (CHTs, Zhang et al. 2025; temperature 1). Drawn as the
    /// largest of `p ln|w| + G`, `G` a Gumbel variable (Kool et al. 2019).
    Soft {
        /// Near 0 the rule is [`Drop::Magnitude`]; the higher, the closer to any connection being as likely as another.
        temperature: f64,
    },
    /// A rule of your own.
    Custom(Arc<dyn DropRule>),
}

impl Drop {
    /// The cells of the `count` connections that stay, in order; of equal ones the first stay.
    ///
    /// # Panics
    /// If a rule of your own names other than `count` connections, or not in order.
    pub fn keep(&self, view: &mut View<'_>, count: usize, progress: &Progress) -> Vec<usize> {
        if let Drop::Custom(rule) = self {
            let kept = rule.keep(view, count, progress);
            assert_eq!(kept.len(), count, "connections that {rule:?} keeps");
            let mut live = view.weights.connections().map(|(cell, _)| cell);
            let mut in_order = kept.iter().map(|&cell| live.find(|&other| other >= cell) == Some(cell));
            assert!(
                in_order.all(|is_next| is_next),
                "{rule:?} keeps cells that are no connections, or not in order"
            );
            return kept;
        }
        let (weights, gradients, stream) = (view.weights, view.gradients, &mut view.stream);
        let values = weights.values();
        let slots = weights.connections().map(|(_, slot)| slot);
        let scores: Vec<f32> = match self {
            Drop::MagnitudePerSign => {
                let values: Vec<f32> = slots.map(|slot| values[slot]).collect();
                return per_sign(weights.connections().map(|(cell, _)| cell), &values, count);
            }
            Drop::Magnitude => slots.map(|slot| values[slot].abs()).collect(),
            Drop::MagnitudeAndGradient { weight } => {
                slots.map(|slot| values[slot].abs() + *weight * gradients[slot].abs()).collect()
            }
            Drop::Soft { temperature } => {
                let power = ((1.0 + 2.0 * progress.fraction()) / temperature) as f32;
                slots.map(|slot| power * values[slot].abs().ln() + gumbel(stream)).collect()
            }
            Drop::Custom(_) => unreachable!("returned above"),
        };
        largest(weights.connections().map(|(cell, _)| cell), &scores, count)
    }
}

/// A draw from the standard Gumbel distribution.
fn gumbel(stream: &mut Stream) -> f32 {
    let uniform = ((stream.bits() >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    -(-uniform.ln()).ln() as f32
}

/// The `count` cells that stay if the same share of the positive and of the other values goes.
fn per_sign(cells: impl Iterator<Item = usize>, values: &[f32], count: usize) -> Vec<usize> {
    let cells: Vec<usize> = cells.collect();
    let positives = values.iter().filter(|value| **value > 0.0).count();
    let (negatives, dropped) = (values.len() - positives, values.len() - count);
    let from_positive = (dropped as f64 * positives as f64 / values.len().max(1) as f64).round() as usize;
    let from_positive = from_positive.max(dropped.saturating_sub(negatives)).min(positives).min(dropped);
    let side = |is_positive: bool, count: usize| {
        let of_sign = |&(_, value): &(&usize, &f32)| (*value > 0.0) == is_positive;
        let scores: Vec<f32> =
            cells.iter().zip(values).filter(of_sign).map(|(_, value)| value.abs()).collect();
        largest(cells.iter().zip(values).filter(of_sign).map(|(&cell, _)| cell), &scores, count)
    };
    merged(side(true, positives - from_positive), &side(false, negatives - (dropped - from_positive)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::testing;

    const VALUES: [(usize, f32); 6] = [(0, 0.1), (2, -0.5), (3, -0.2), (5, 0.1), (7, 0.9), (9, -0.05)];

    fn keep(drop: Drop, live: &[(usize, f32)], gradients: &[f32], dropped: usize) -> Vec<usize> {
        let weights = testing::weights(2, 5, live);
        let mut view = testing::view(&weights, gradients, live.len(), 1);
        drop.keep(&mut view, live.len() - dropped, &Progress { step: 0, total: 10, epoch: 5 })
    }

    #[test]
    fn the_smallest_go() {
        assert_eq!(keep(Drop::Magnitude, &VALUES, &[], 2), [0, 2, 3, 7]);
        assert_eq!(keep(Drop::Magnitude, &VALUES, &[], 0), [0, 2, 3, 5, 7, 9]);
        assert_eq!(keep(Drop::MagnitudePerSign, &VALUES, &[], 2), [0, 2, 3, 7]);
        assert_eq!(keep(Drop::MagnitudePerSign, &[(1, 0.3), (2, 0.4)], &[], 1), [2]);
        assert_eq!(keep(Drop::MagnitudePerSign, &[(1, -0.3), (2, -0.4)], &[], 1), [2]);
        let gradients = [0.0, 0.0, 0.0, 2.0, 0.0, -3.0];
        let mest = Drop::MagnitudeAndGradient { weight: 0.1 };
        assert_eq!(keep(mest, &VALUES, &gradients, 2), [2, 5, 7, 9]);
    }

    /// One of three stays, of weights 1, 2 and 4: with probabilities 1, 2 and 4 sevenths.
    #[test]
    fn soft_drop_keeps_in_proportion_to_the_weights() {
        let live = [(0, 1.0), (1, -2.0), (2, 4.0)];
        let weights = testing::weights(1, 3, &live);
        let mut counts = [0u32; 3];
        for seed in 0..7000 {
            let mut view = testing::view(&weights, &[], 3, seed);
            let progress = Progress { step: 0, total: 10, epoch: 5 };
            counts[Drop::Soft { temperature: 1.0 }.keep(&mut view, 1, &progress)[0]] += 1;
        }
        for (count, expected) in counts.into_iter().zip([1000, 2000, 4000]) {
            assert!(count.abs_diff(expected) < 150, "{counts:?}");
        }
        assert_eq!(keep(Drop::Soft { temperature: 1e-4 }, &VALUES[1..5], &[], 2), [2, 7]);
    }
}
