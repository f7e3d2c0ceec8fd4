//! How good predictions are, from a network's outputs and the truth.
//!
//! ```text
//! precision = hits / predicted      recall = hits / support      F1 = 2 hits / (predicted + support)
//! ```
//!
//! A sample counts as often as its weight says, once where there are no weights: 2 as if it stood twice, 0 as if it were not
//! there. What is counted in samples (support, predicted, confusion) counts those of weight above 0 once.
//!
//! A ratio of nothing to nothing counts as 0. Macro averages are plain means over the classes or labels that occur, in
//! the truth or among the predictions; micro averages pool all labels first. Definitions are scikit-learn's.

use serde::Serialize;

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
    /// The part of the samples whose highest score is their class; of equal scores the first counts.
    pub accuracy: f64,
    /// The part of the samples whose class is among the five highest scores; absent for five classes or fewer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top5_accuracy: Option<f64>,
    /// The mean F1 of the classes that occur.
    pub macro_f1: f64,
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

/// Figures for predicted numbers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Regression {
    /// The root of the mean squared error, over all samples and outputs.
    pub rmse: f64,
    /// The mean absolute error, over all samples and outputs.
    pub mae: f64,
    /// The part of the targets' variance that is explained, mean over the outputs; absent where a target never changes.
    pub r2: Option<f64>,
    /// Each output.
    pub per_output: Vec<OutputErrors>,
}

/// Figures for one predicted number.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct OutputErrors {
    /// The root of the mean squared error, in the target's unit.
    pub rmse: f64,
    /// The mean absolute error, in the target's unit.
    pub mae: f64,
    /// The part of the target's variance that is explained; absent if the target never changes.
    pub r2: Option<f64>,
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
            *samples += usize::from(counts && weight > 0.0);
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

/// Compares the highest of each sample's `classes` scores with its label. `scores` is `samples x classes`, row-major.
///
/// # Panics
/// If there are not `classes` scores for each label, or a label is not below `classes`.
///
/// ```
/// // Three samples of two classes.
/// let found = rarefy::metrics::classification(&[0.9, 0.1, 0.2, 0.8, 0.7, 0.3], 2, &[0, 1, 1], None);
/// assert!((found.accuracy - 2.0 / 3.0).abs() < 1e-12);
/// ```
pub fn classification(
    scores: &[f32],
    classes: usize,
    labels: &[u32],
    weights: Option<&[f32]>,
) -> Classification {
    assert_eq!(scores.len(), labels.len() * classes, "{classes} scores for each of {} labels", labels.len());
    let weight_of = weigher(labels.len(), weights);
    let mut counts = vec![Counts::default(); classes];
    let mut confusion = (classes <= MOST_CONFUSED_CLASSES).then(|| vec![vec![0; classes]; classes]);
    let (mut correct, mut among_five, mut total) = (0.0, 0.0, 0.0);
    for (sample, (row, &label)) in scores.chunks_exact(classes).zip(labels).enumerate() {
        let weight = weight_of(sample);
        let (label, predicted) = (label as usize, highest(row));
        counts[label].count(weight, label == predicted, true);
        if label != predicted {
            counts[predicted].count(weight, true, false);
        } else {
            correct += weight;
        }
        among_five += if rank(row, label) < 5 { weight } else { 0.0 };
        total += weight;
        if let Some(confusion) = &mut confusion {
            confusion[label][predicted] += usize::from(weight > 0.0);
        }
    }
    Classification {
        accuracy: ratio(correct, total),
        top5_accuracy: (classes > 5).then(|| ratio(among_five, total)),
        macro_f1: Counts::macro_f1(&counts),
        per_class: counts.into_iter().map(Counts::ratios).collect(),
        confusion,
    }
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
    check(scores, outputs, targets);
    let weight_of = weigher(scores.len() / outputs, weights);
    let mut counts = vec![Counts::default(); outputs];
    let (mut whole, mut total) = (0.0, 0.0);
    let samples = scores.chunks_exact(outputs).zip(targets.chunks_exact(outputs));
    for (sample, (scores, targets)) in samples.enumerate() {
        let weight = weight_of(sample);
        let mut right = true;
        for ((counts, &score), &target) in counts.iter_mut().zip(scores).zip(targets) {
            let (predicted, is_true) = (score > threshold, target > 0.5);
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

/// Compares numbers. Both arrays are `samples x outputs`, row-major.
///
/// # Panics
/// If the arrays differ in length or hold no whole number of samples.
///
/// ```
/// let found = rarefy::metrics::regression(&[1.0, 2.0, 4.0], 1, &[1.0, 2.0, 3.0], None);
/// assert_eq!((found.r2, found.mae), (Some(0.5), 1.0 / 3.0));
/// ```
pub fn regression(
    predictions: &[f64],
    outputs: usize,
    targets: &[f64],
    weights: Option<&[f32]>,
) -> Regression {
    check(predictions, outputs, targets);
    let weight_of = weigher(predictions.len() / outputs, weights);
    let per_output: Vec<OutputErrors> = (0..outputs)
        .map(|output| {
            let pairs = predictions.iter().zip(targets).skip(output).step_by(outputs);
            let weighted = pairs.enumerate().map(|(sample, (&p, &t))| (weight_of(sample), p, t));
            // What does not count may be anything.
            output_errors(&weighted.filter(|(weight, ..)| *weight > 0.0).collect::<Vec<_>>())
        })
        .collect();
    let r2: Option<Vec<f64>> = per_output.iter().map(|errors| errors.r2).collect();
    Regression {
        rmse: mean(per_output.iter().map(|errors| errors.rmse * errors.rmse)).sqrt(),
        mae: mean(per_output.iter().map(|errors| errors.mae)),
        r2: r2.map(|all| mean(all.into_iter())),
        per_output,
    }
}

/// The errors of weights, predictions and targets.
fn output_errors(samples: &[(f64, f64, f64)]) -> OutputErrors {
    let total = samples.iter().map(|(weight, ..)| weight).sum::<f64>();
    let mean = |of: &dyn Fn(f64, f64) -> f64| {
        ratio(samples.iter().map(|&(weight, p, t)| weight * of(p, t)).sum(), total)
    };
    let centre = mean(&|_, target| target);
    let squared = mean(&|prediction, target| (prediction - target).powi(2));
    let variance = mean(&|_, target| (target - centre).powi(2));
    OutputErrors {
        rmse: squared.sqrt(),
        mae: mean(&|prediction, target| (prediction - target).abs()),
        r2: (variance > 0.0).then(|| 1.0 - squared / variance),
    }
}

/// How often a sample counts.
///
/// # Panics
/// If there are weights, but not one for each sample.
fn weigher(samples: usize, weights: Option<&[f32]>) -> impl Fn(usize) -> f64 + '_ {
    if let Some(weights) = weights {
        assert_eq!(weights.len(), samples, "a weight for each sample");
    }
    move |sample| weights.map_or(1.0, |weights| f64::from(weights[sample]))
}

fn check<T>(scores: &[T], outputs: usize, targets: &[T]) {
    assert_eq!(scores.len(), targets.len(), "as many predictions as targets");
    assert!(
        outputs > 0 && scores.len().is_multiple_of(outputs),
        "{} numbers are not whole samples of {outputs}",
        scores.len()
    );
}

/// The place of the highest score; of equal ones the first.
pub(crate) fn highest(row: &[f32]) -> usize {
    let mut best = 0;
    for (place, &score) in row.iter().enumerate() {
        if score > row[best] || (row[best].is_nan() && !score.is_nan()) {
            best = place;
        }
    }
    best
}

/// How many scores come before that of `label`. What is not a number comes before all, so that it never counts as right.
fn rank(row: &[f32], label: usize) -> usize {
    let after = |place: usize, score: f32| score < row[label] || (score == row[label] && place >= label);
    row.iter().enumerate().filter(|&(place, &score)| !after(place, score)).count()
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole == 0.0 { 0.0 } else { part / whole }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0usize), |(sum, count), value| (sum + value, count + 1));
    if count == 0 { 0.0 } else { sum / count as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_by_hand() {
        // True:      0    0    1    2
        // Predicted: 0    1    1    1 (class 3 never occurs)
        let scores = [[0.9, 0.1, 0.0, 0.0], [0.1, 0.5, 0.4, 0.0], [0.2, 0.6, 0.1, 0.1], [0.0, 0.4, 0.4, 0.2]];
        let found = classification(scores.as_flattened(), 4, &[0, 0, 1, 2], None);
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
        let found = classification(scores.as_flattened(), 6, &[4, 5, 2], None);
        assert_eq!((found.accuracy, found.top5_accuracy), (0.0, Some(1.0 / 3.0)));
        // Of equal scores the first counts, as it does while training.
        assert_eq!((highest(&[1.0, 3.0, 3.0]), rank(&[1.0, 3.0, 3.0], 2)), (1, 1));
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
        let found = classification(scores.as_flattened(), 2, &labels, Some(&weights));
        let expected = classification(again.as_flattened(), 2, &repeated.map(|sample| labels[sample]), None);
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
        let (numbers, targets) = ([1.0, f64::NAN, 3.0, 5.0], [2.0, 0.0, 3.0, 7.0]);
        let found = regression(&numbers, 1, &targets, Some(&weights));
        let [numbers, targets] = [numbers, targets].map(|all| repeated.map(|sample| all[sample]));
        assert_eq!(found, regression(&numbers, 1, &targets, None));
    }

    #[test]
    fn numbers_by_hand() {
        let found = regression(&[1.0, 2.0, 3.0, 6.0], 1, &[1.0, 2.0, 3.0, 4.0], None);
        assert_eq!((found.rmse, found.mae), (1.0, 0.5));
        // The squared errors sum to 4, those from the mean of 2.5 to 5.
        assert!((found.r2.unwrap() - 0.2).abs() < 1e-12);
        // The second output never changes.
        let found = regression(&[1.0, 7.0, 2.0, 5.0], 2, &[1.0, 6.0, 2.0, 6.0], None);
        assert_eq!((found.per_output[0].r2, found.per_output[1].r2, found.r2), (Some(1.0), None, None));
        assert_eq!((found.per_output[1].rmse, found.mae), (1.0, 0.5));
    }
}
