//! How well scores rank samples that have a class or label above those that have not, whatever the threshold.
//!
//! ```text
//! samples from the highest score to the lowest, those of equal scores at once:
//! ROC AUC            P(score of a positive > that of a negative) + 1/2 P(they are equal)
//! average precision  sum over scores of (recall - recall before) precision
//! ```
//! Fawcett 2006, section 7; scikit-learn's `roc_auc_score` and `average_precision_score`, which draws no lines between points
//! either (Davis and Goadrich 2006).

use super::counted::counted;

/// The samples of one score.
pub(super) struct Tie {
    pub(super) score: f32,
    /// What those weigh that have the class.
    pub(super) positive: f64,
    /// What those weigh that have not.
    pub(super) negative: f64,
}

/// The area under the ROC curve: the chance that a sample that has the class scores above one that has not, half of it where
/// they score the same. `None` unless both kinds are there, and for scores that are no numbers.
///
/// # Panics
/// If there is not a target (and a weight) for each score.
///
/// ```
/// use rarefy::metrics::roc_auc;
///
/// let targets = [false, false, true, true];
/// assert_eq!(roc_auc(&[0.1, 0.4, 0.35, 0.8], &targets, None), Some(0.75));
/// assert_eq!(roc_auc(&[0.1, 0.4], &[true, true], None), None);
/// ```
pub fn roc_auc(scores: &[f32], targets: &[bool], weights: Option<&[f32]>) -> Option<f64> {
    let ties = ranked(scores, targets, weights)?;
    let (mut above, mut negatives, mut area) = (0.0, 0.0, 0.0);
    for tie in &ties {
        area += tie.negative * (above + 0.5 * tie.positive);
        above += tie.positive;
        negatives += tie.negative;
    }
    (above > 0.0 && negatives > 0.0).then(|| area / (above * negatives))
}

/// The mean precision, each time a sample that has the class is found: what share of the samples that score at least as high
/// has it. A model that says nothing has the share of the class. `None` where no sample has it, and for scores that are no
/// numbers.
///
/// # Panics
/// As [`roc_auc`].
///
/// ```
/// use rarefy::metrics::average_precision;
///
/// let found = average_precision(&[0.1, 0.4, 0.35, 0.8], &[false, false, true, true], None);
/// assert_eq!(found, Some(0.5 * 1.0 + 0.5 * 2.0 / 3.0));
/// ```
pub fn average_precision(scores: &[f32], targets: &[bool], weights: Option<&[f32]>) -> Option<f64> {
    let (mut positives, mut predicted, mut sum) = (0.0, 0.0, 0.0);
    for tie in ranked(scores, targets, weights)? {
        positives += tie.positive;
        predicted += tie.positive + tie.negative;
        sum += tie.positive * positives / predicted;
    }
    (positives > 0.0).then(|| sum / positives)
}

/// The samples that count, from the highest score to the lowest; `None` if a score is no number.
pub(super) fn ranked(scores: &[f32], targets: &[bool], weights: Option<&[f32]>) -> Option<Vec<Tie>> {
    assert_eq!(scores.len(), targets.len(), "a target for each score");
    let mut samples: Vec<(f32, f64, bool)> = counted(scores.len(), weights)
        .map(|(sample, weight)| (scores[sample], weight, targets[sample]))
        .collect();
    if samples.iter().any(|(score, ..)| score.is_nan()) {
        return None;
    }
    samples.sort_by(|a, b| b.0.total_cmp(&a.0));
    let of_ties = samples.chunk_by(|a, b| a.0 == b.0).map(|tie| {
        let weight = |of: bool| tie.iter().filter(|it| it.2 == of).map(|it| it.1).sum();
        Tie { score: tie[0].0, positive: weight(true), negative: weight(false) }
    });
    Some(of_ties.collect())
}
