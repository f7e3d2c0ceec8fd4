//! The threshold at which a metric of two classes is best.

use super::decision::HALF;
use super::metric::Metric;
use super::ranking::{Tie, ranked};

/// The threshold for the probability of a class at which `metric` is best on some samples: half way between two of their
/// probabilities, or one half where that is as good. One half too where the samples are all of one kind, or a probability is no
/// number.
///
/// # Panics
/// For a metric that no threshold changes, and if there is not a target (and a weight) for each probability.
///
/// ```
/// use rarefy::metrics::{Metric, best_threshold};
///
/// let found = best_threshold(Metric::F1, &[0.125, 0.25, 0.375], &[false, true, true], None);
/// assert_eq!(found, 0.1875);
/// ```
pub fn best_threshold(
    metric: Metric,
    probabilities: &[f32],
    targets: &[bool],
    weights: Option<&[f32]>,
) -> f32 {
    let Some(ties) = ranked(probabilities, targets, weights) else { return HALF };
    let sum = |of: fn(&Tie) -> f64| ties.iter().map(of).sum::<f64>();
    let all = Counts { found: sum(|tie| tie.positive), wrong: sum(|tie| tie.negative) };
    if all.found == 0.0 || all.wrong == 0.0 {
        return HALF;
    }
    let mut best = (f64::NEG_INFINITY, HALF);
    let mut so_far = Counts { found: 0.0, wrong: 0.0 };
    let mut above = 1.0;
    // Between any two scores, above the highest and below the lowest.
    for tie in ties.iter().map(Some).chain([None]) {
        let score = tie.map_or(0.0, |tie| tie.score);
        if let Some(threshold) = between(score, above) {
            let value = so_far.value(metric, &all);
            let distance = |threshold: f32| (threshold - HALF).abs();
            if value > best.0 || (value == best.0 && distance(threshold) < distance(best.1)) {
                best = (value, threshold);
            }
        }
        let Some(tie) = tie else { break };
        so_far.found += tie.positive;
        so_far.wrong += tie.negative;
        above = tie.score;
    }
    best.1
}

/// A threshold that `above` is above and `score` is not: one half if that is one.
fn between(score: f32, above: f32) -> Option<f32> {
    if score <= HALF && HALF < above {
        return Some(HALF);
    }
    let middle = ((f64::from(score) + f64::from(above)) / 2.0) as f32;
    // Of neighbours the middle may be rounded to the upper one.
    let threshold = if middle < above { middle } else { score };
    (0.0 < threshold && threshold < above).then_some(threshold)
}

/// What those weigh that are predicted to be of the class: rightly, and wrongly.
struct Counts {
    found: f64,
    wrong: f64,
}

impl Counts {
    /// The metric where `all` would be there with a threshold of 0.
    fn value(&self, metric: Metric, all: &Counts) -> f64 {
        let (missed, left) = (all.found - self.found, all.wrong - self.wrong);
        match metric {
            Metric::BalancedAccuracy => 0.5 * (self.found / all.found + left / all.wrong),
            Metric::F1 => 2.0 * self.found / (self.found + self.wrong + all.found),
            Metric::Matthews => {
                let product = (self.found + self.wrong) * (missed + left) * all.found * all.wrong;
                let covariance = self.found * left - self.wrong * missed;
                if product > 0.0 { covariance / product.sqrt() } else { 0.0 }
            }
            _ => panic!("{metric} is not what a threshold is chosen by"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Answers, Decision, Found};

    #[test]
    fn no_other_threshold_is_better() {
        let scores: Vec<f32> = (0..60).map(|i| ((i * i * 7 + 3 * i) % 41) as f32 / 64.0).collect();
        let labels: Vec<u32> = (0..60).map(|i| u32::from((i * 5) % 41 * i % 13 > 8)).collect();
        let targets: Vec<bool> = labels.iter().map(|&label| label == 1).collect();
        let weights: Vec<f32> = (0..60).map(|i| [1.0, 0.5, 0.0, 3.0][i % 4]).collect();
        let rows: Vec<f32> = scores.iter().flat_map(|&p| [1.0 - p, p]).collect();
        for metric in [Metric::BalancedAccuracy, Metric::F1, Metric::Matthews] {
            for weights in [None, Some(&weights[..])] {
                let value = |threshold: f32| {
                    let decision = Decision { positive: 1, threshold };
                    let (scores, labels) = (&rows[..], &labels[..]);
                    let found =
                        Found::Classes { scores, are_probabilities: true, decision, labels, classes: 2 };
                    metric.of(&Answers { found, weights, loss: 0.0 }).unwrap()
                };
                let chosen = best_threshold(metric, &scores, &targets, weights);
                let best = (1..256).map(|at| value(at as f32 / 256.0)).fold(0.0, f64::max);
                assert!((value(chosen) - best).abs() < 1e-12, "{metric}: {chosen}");
                assert!(chosen != 0.5 && value(chosen) > value(0.5), "{metric}");
            }
        }
    }

    #[test]
    fn one_half_stays_where_nothing_is_gained() {
        for (scores, targets) in [
            // Told apart by one half.
            (&[0.25f32, 0.375, 0.625][..], &[false, false, true][..]),
            (&[0.25, 0.375], &[true, true]),
            (&[0.25, 0.375], &[false, false]),
            (&[f32::NAN, 0.375], &[false, true]),
        ] {
            assert_eq!(best_threshold(Metric::F1, scores, targets, None), 0.5, "{scores:?}");
        }
        // Neighbours among numbers of 32 bits.
        let upper = f32::from_bits(0.25f32.to_bits() + 1);
        let found = best_threshold(Metric::Matthews, &[0.25, upper], &[false, true], None);
        assert!(0.25 <= found && found < upper);
        // Where scores say nothing, F1 is best for all of them.
        assert_eq!(best_threshold(Metric::F1, &[0.25, 0.25], &[false, true], None), 0.125);
    }
}
