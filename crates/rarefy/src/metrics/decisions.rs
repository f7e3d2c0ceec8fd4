//! How often decided classes and labels are right.
//!
//! ```text
//! precision = hits / predicted      recall = hits / support      F1 = 2 hits / (predicted + support)
//! balanced accuracy = mean recall of the classes that occur
//! Matthews = (c s - sum t p) / sqrt((s^2 - sum p^2) (s^2 - sum t^2))
//!            c right of s samples, t of a class, p predicted to be of it (Gorodkin 2004)
//! ```
//! What is counted in samples (support, predicted, confusion) counts those of weight above 0 once. A ratio of nothing to nothing
//! counts as 0. Macro averages are plain means over the classes or labels that occur, in the truth or among the predictions;
//! micro averages pool all labels first.

use serde::Serialize;

use super::counted::{counted, mean, ratio, whole_samples};
use super::decision::Decision;

/// Above so many classes there is no confusion matrix: it would take more memory than the samples.
const MOST_CONFUSED_CLASSES: usize = 1000;

/// How well one class or label is told from the rest.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Hits {
    /// The part of its predictions that are right.
    pub precision: f64,
    /// The part of its samples that are found.
    pub recall: f64,
    /// The harmonic mean of the two.
    pub f1: f64,
    /// Samples that have it.
    pub support: usize,
    /// Samples that were predicted to have it.
    pub predicted: usize,
}

/// Figures for one class of several.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Classification {
    /// The part of the samples that are predicted to be of their class.
    pub accuracy: f64,
    /// The part of the samples whose class is among the five highest scores; absent for five classes or fewer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top5_accuracy: Option<f64>,
    /// The mean recall of the classes that have samples.
    pub balanced_accuracy: f64,
    /// The mean F1 of the classes that occur.
    pub macro_f1: f64,
    /// Matthews' correlation of predicted and true classes; 0 where either never changes.
    pub matthews: f64,
    /// Each class.
    pub per_class: Vec<Hits>,
    /// `[true class][predicted class]`, in samples; absent above a thousand classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confusion: Option<Vec<Vec<usize>>>,
}

/// Figures for any number of labels.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MultiLabel {
    /// The part of the samples with all labels right.
    pub subset_accuracy: f64,
    /// F1 of all labels pooled.
    pub micro_f1: f64,
    /// The mean F1 of the labels that occur.
    pub macro_f1: f64,
    /// Each label.
    pub per_label: Vec<Hits>,
}

/// Counts for one class or label, of which [`Hits`] are the ratios.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    hits: f64,
    predicted: f64,
    support: f64,
    /// Samples that were predicted to have it, and that have it, whatever they weigh.
    samples: [usize; 2],
}

impl Counts {
    fn count(&mut self, weight: f64, predicted: bool, is_true: bool) {
        for (sum, counts) in [
            (&mut self.predicted, predicted),
            (&mut self.support, is_true),
            (&mut self.hits, predicted && is_true),
        ] {
            *sum += if counts { weight } else { 0.0 };
        }
        for (samples, counts) in self.samples.iter_mut().zip([predicted, is_true]) {
            *samples += usize::from(counts);
        }
    }

    fn ratios(self) -> Hits {
        Hits {
            precision: ratio(self.hits, self.predicted),
            recall: ratio(self.hits, self.support),
            f1: self.f1(),
            support: self.samples[1],
            predicted: self.samples[0],
        }
    }

    fn f1(self) -> f64 {
        ratio(2.0 * self.hits, self.predicted + self.support)
    }

    /// The mean F1 of those that occur.
    fn macro_f1(all: &[Counts]) -> f64 {
        mean(all.iter().filter(|counts| counts.predicted + counts.support > 0.0).map(|counts| counts.f1()))
    }
}

/// Compares the class that `decision` makes of each sample's scores with its label. `scores` is `samples x classes`, row-major.
///
/// # Panics
/// If there are not as many scores for each label, or a label is not below their number.
///
/// ```
/// use rarefy::metrics::{Decision, classification};
///
/// // Three samples of two classes.
/// let found = classification(&[0.9, 0.1, 0.2, 0.8, 0.7, 0.3], 2, &[0, 1, 1], Decision::default(), None);
/// assert!((found.accuracy - 2.0 / 3.0).abs() < 1e-12);
/// ```
pub fn classification(
    scores: &[f32],
    classes: usize,
    labels: &[u32],
    decision: Decision,
    weights: Option<&[f32]>,
) -> Classification {
    assert_eq!(scores.len(), labels.len() * classes, "{classes} scores for each of {} labels", labels.len());
    let mut counts = vec![Counts::default(); classes];
    let mut confusion = (classes <= MOST_CONFUSED_CLASSES).then(|| vec![vec![0; classes]; classes]);
    let (mut among_five, mut total) = (0.0, 0.0);
    for (sample, weight) in counted(labels.len(), weights) {
        let row = &scores[sample * classes..][..classes];
        let (label, predicted) = (labels[sample] as usize, decision.class(row));
        counts[label].count(weight, label == predicted, true);
        if label != predicted {
            counts[predicted].count(weight, true, false);
        }
        among_five += if rank(row, label) < 5 { weight } else { 0.0 };
        total += weight;
        if let Some(confusion) = &mut confusion {
            confusion[label][predicted] += 1;
        }
    }
    let correct = counts.iter().map(|counts| counts.hits).sum();
    Classification {
        accuracy: ratio(correct, total),
        top5_accuracy: (classes > 5).then(|| ratio(among_five, total)),
        balanced_accuracy: mean(counts.iter().filter(|it| it.support > 0.0).map(|it| it.hits / it.support)),
        macro_f1: Counts::macro_f1(&counts),
        matthews: matthews(&counts, correct, total),
        per_class: counts.into_iter().map(Counts::ratios).collect(),
        confusion,
    }
}

fn matthews(counts: &[Counts], correct: f64, total: f64) -> f64 {
    let sum = |of: &dyn Fn(&Counts) -> f64| counts.iter().map(of).sum::<f64>();
    let covariance = correct * total - sum(&|it| it.support * it.predicted);
    let variance = |of: &dyn Fn(&Counts) -> f64| total * total - sum(&|it| of(it) * of(it));
    let (predicted, support) = (variance(&|it| it.predicted), variance(&|it| it.support));
    // Weights leave a rounding error where there should be nothing.
    let is_nothing = |variance: f64| variance <= 1e-12 * total * total;
    if is_nothing(predicted) || is_nothing(support) { 0.0 } else { covariance / (predicted * support).sqrt() }
}

/// Compares labels: one is predicted where its score is above `threshold` and true where its target is above a half.
/// Both arrays are `samples x outputs`, row-major.
///
/// # Panics
/// If the arrays differ in length or hold no whole number of samples.
pub fn multi_label(
    scores: &[f32],
    outputs: usize,
    targets: &[f32],
    threshold: f32,
    weights: Option<&[f32]>,
) -> MultiLabel {
    let samples = whole_samples(scores, outputs, targets);
    let mut counts = vec![Counts::default(); outputs];
    let (mut whole, mut total) = (0.0, 0.0);
    for (sample, weight) in counted(samples, weights) {
        let mut right = true;
        for (output, counts) in counts.iter_mut().enumerate() {
            let at = sample * outputs + output;
            let (predicted, is_true) = (scores[at] > threshold, targets[at] > 0.5);
            counts.count(weight, predicted, is_true);
            right &= predicted == is_true;
        }
        whole += if right { weight } else { 0.0 };
        total += weight;
    }
    let pooled = counts.iter().fold(Counts::default(), |sum, counts| Counts {
        hits: sum.hits + counts.hits,
        predicted: sum.predicted + counts.predicted,
        support: sum.support + counts.support,
        ..sum
    });
    MultiLabel {
        subset_accuracy: ratio(whole, total),
        micro_f1: pooled.f1(),
        macro_f1: Counts::macro_f1(&counts),
        per_label: counts.into_iter().map(Counts::ratios).collect(),
    }
}

/// How many scores come before that of `label`. What is not a number comes before all, so that it never counts as right.
fn rank(row: &[f32], label: usize) -> usize {
    let after = |place: usize, score: f32| score < row[label] || (score == row[label] && place >= label);
    row.iter().enumerate().filter(|&(place, &score)| !after(place, score)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_by_hand() {
        // True:      0    0    1    2
        // Predicted: 0    1    1    1 (class 3 never occurs)
        let scores = [[0.9, 0.1, 0.0, 0.0], [0.1, 0.5, 0.4, 0.0], [0.2, 0.6, 0.1, 0.1], [0.0, 0.4, 0.4, 0.2]];
        let found = classification(scores.as_flattened(), 4, &[0, 0, 1, 2], Decision::default(), None);
        assert_eq!((found.accuracy, found.top5_accuracy), (0.5, None));
        assert_eq!(found.confusion.unwrap(), [[1, 1, 0, 0], [0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]]);
        let hits =
            |precision, recall, f1, support, predicted| Hits { precision, recall, f1, support, predicted };
        assert_eq!(
            found.per_class,
            [
                hits(1.0, 0.5, 2.0 / 3.0, 2, 1),
                hits(1.0 / 3.0, 1.0, 0.5, 1, 3),
                hits(0.0, 0.0, 0.0, 1, 0),
                hits(0.0, 0.0, 0.0, 0, 0),
            ]
        );
        // Class 3 does not occur, so three classes share.
        assert!((found.macro_f1 - (2.0 / 3.0 + 0.5) / 3.0).abs() < 1e-12);
    }

    #[test]
    fn five_chances_are_counted_and_nan_is_never_right() {
        let scores = [[6.0, 5.0, 4.0, 3.0, 2.0, 1.0], [6.0, 5.0, 4.0, 3.0, 2.0, 1.0], [f32::NAN; 6]];
        let found = classification(scores.as_flattened(), 6, &[4, 5, 2], Decision::default(), None);
        assert_eq!((found.accuracy, found.top5_accuracy), (0.0, Some(1.0 / 3.0)));
        // Of equal scores the first counts, as it does while training.
        assert_eq!(rank(&[1.0, 3.0, 3.0], 2), 1);
    }

    #[test]
    fn labels_by_hand() {
        let targets = [[1.0, 0.0], [1.0, 1.0], [0.0, 0.0], [0.0, 1.0]];
        let scores = [[0.9, 0.1], [0.8, 0.3], [0.6, 0.2], [0.1, 0.7]];
        let found = multi_label(scores.as_flattened(), 2, targets.as_flattened(), 0.5, None);
        assert_eq!(found.subset_accuracy, 0.5);
        // First label: 2 hits of 3 predicted, 2 true. Second: 1 hit of 1 predicted, 2 true.
        assert!((found.per_label[0].f1 - 0.8).abs() < 1e-12);
        assert!((found.per_label[1].f1 - 2.0 / 3.0).abs() < 1e-12);
        assert!((found.macro_f1 - (0.8 + 2.0 / 3.0) / 2.0).abs() < 1e-12);
        assert!((found.micro_f1 - 6.0 / 8.0).abs() < 1e-12);
    }

    #[test]
    fn a_weight_counts_a_sample_so_many_times() {
        // Samples 0 to 3 weigh 2, 0, 1 and 1.
        let (weights, repeated) = ([2.0, 0.0, 1.0, 1.0], [0, 0, 2, 3]);
        let scores = [[0.9f32, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]];
        let labels = [0u32, 0, 1, 1];
        let again = repeated.map(|sample| scores[sample]);
        let found = classification(scores.as_flattened(), 2, &labels, Decision::default(), Some(&weights));
        let expected = classification(
            again.as_flattened(),
            2,
            &repeated.map(|sample| labels[sample]),
            Decision::default(),
            None,
        );
        assert_eq!((found.accuracy, found.macro_f1), (expected.accuracy, expected.macro_f1));
        assert_eq!(found.confusion.unwrap(), [[1, 0], [1, 1]]);
        let truth = [[1.0f32, 0.0], [1.0, 1.0], [0.0, 1.0], [0.0, 1.0]];
        let truth_again = repeated.map(|sample| truth[sample]);
        let found = multi_label(scores.as_flattened(), 2, truth.as_flattened(), 0.5, Some(&weights));
        let expected = multi_label(again.as_flattened(), 2, truth_again.as_flattened(), 0.5, None);
        assert_eq!(
            (found.subset_accuracy, found.micro_f1, found.macro_f1),
            (expected.subset_accuracy, expected.micro_f1, expected.macro_f1)
        );
    }
}
