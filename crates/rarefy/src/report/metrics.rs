//! Quality of predictions. Three accumulators, one for each kind of task: `add` any number of batches, then `finish`.
//! Predictions are row-major slices, a row of scores for each sample. Definitions and corner cases are scikit-learn's:
//! a ratio whose denominator is 0 counts as 0, and the macro mean of classes runs over those that occur in labels or
//! predictions (that of labels over all). A metric of no samples is NaN.

use serde::Serialize;

/// A confusion matrix is kept for at most this many classes (8 MB).
const CONFUSION_CLASSES: usize = 1000;

/// Accumulates predictions of one class of several.
#[derive(Debug, Clone)]
pub struct Classification {
    k: usize,
    hits: u64,
    hits_in_k: u64,
    samples: u64,
    tallies: Vec<Tally>,
    confusion: Option<Vec<Vec<u64>>>,
}

/// How well classes were predicted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassificationMetrics {
    /// Samples seen.
    pub samples: u64,
    /// Part of the samples whose class has the highest score; of equal scores the first counts.
    pub accuracy: f64,
    /// The `k` of [`ClassificationMetrics::top_k_accuracy`].
    pub top_k: usize,
    /// Part of the samples whose class is among the `k` highest scores.
    pub top_k_accuracy: f64,
    /// Mean F1 of the classes.
    pub macro_f1: f64,
    /// Precision, recall and F1 of each class.
    pub per_class: Vec<ClassMetrics>,
    /// Samples of each actual class (row) predicted as each class (column); `None` above 1000 classes.
    pub confusion: Option<Vec<Vec<u64>>>,
}

/// How well one class or label was predicted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassMetrics {
    /// Part of its predictions that are right.
    pub precision: f64,
    /// Part of its samples that are found.
    pub recall: f64,
    /// Harmonic mean of precision and recall.
    pub f1: f64,
    /// Its samples.
    pub support: u64,
}

impl Classification {
    /// Nothing seen yet, for `classes` classes and top-`k` accuracy.
    ///
    /// # Panics
    /// If `classes` or `k` is 0.
    pub fn new(classes: usize, k: usize) -> Classification {
        assert!(classes > 0 && k > 0, "{classes} classes, top {k}: neither may be 0");
        Classification {
            k,
            hits: 0,
            hits_in_k: 0,
            samples: 0,
            tallies: vec![Tally::default(); classes],
            confusion: (classes <= CONFUSION_CLASSES).then(|| vec![vec![0; classes]; classes]),
        }
    }

    /// Adds samples: `scores` is `labels.len()` rows of one score for each class.
    ///
    /// # Panics
    /// If the lengths do not fit or a label is not a class.
    pub fn add(&mut self, scores: &[f32], labels: &[u32]) {
        let classes = self.tallies.len();
        assert_eq!(scores.len(), labels.len() * classes, "scores for {} samples", labels.len());
        for (scores, &label) in scores.chunks_exact(classes).zip(labels) {
            let (actual, predicted) = (label as usize, argmax(scores));
            self.samples += 1;
            self.hits += u64::from(actual == predicted);
            self.hits_in_k += u64::from(is_in_top(scores, actual, self.k));
            self.tallies[actual].actual += 1;
            self.tallies[predicted].predicted += 1;
            self.tallies[actual].right += u64::from(actual == predicted);
            if let Some(confusion) = &mut self.confusion {
                confusion[actual][predicted] += 1;
            }
        }
    }

    /// The metrics of all samples added.
    pub fn finish(self) -> ClassificationMetrics {
        ClassificationMetrics {
            samples: self.samples,
            accuracy: self.hits as f64 / self.samples as f64,
            top_k: self.k,
            top_k_accuracy: self.hits_in_k as f64 / self.samples as f64,
            macro_f1: macro_f1(&self.tallies),
            per_class: self.tallies.iter().map(Tally::metrics).collect(),
            confusion: self.confusion,
        }
    }
}

/// The place of the highest score, the first of equals; NaN is never the highest.
pub fn argmax(scores: &[f32]) -> usize {
    let mut best = (0, f32::NEG_INFINITY);
    for (class, &score) in scores.iter().enumerate() {
        if score > best.1 {
            best = (class, score);
        }
    }
    best.0
}

/// Whether fewer than `k` scores come before that of `class`. A NaN score is never in.
fn is_in_top(scores: &[f32], class: usize, k: usize) -> bool {
    let own = scores[class];
    let before =
        scores.iter().enumerate().filter(|&(other, &score)| score > own || (score == own && other < class));
    !own.is_nan() && before.count() < k
}

/// Accumulates predictions of several labels, each there or not.
#[derive(Debug, Clone)]
pub struct MultiLabel {
    samples: u64,
    all_right: u64,
    tallies: Vec<Tally>,
}

/// How well labels were predicted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MultiLabelMetrics {
    /// Samples seen.
    pub samples: u64,
    /// Part of the samples with every label right.
    pub subset_accuracy: f64,
    /// F1 of all labels thrown together.
    pub micro_f1: f64,
    /// Mean F1 of the labels.
    pub macro_f1: f64,
    /// Precision, recall and F1 of each label.
    pub per_label: Vec<ClassMetrics>,
}

impl MultiLabel {
    /// Nothing seen yet, for `labels` labels.
    ///
    /// # Panics
    /// If `labels` is 0.
    pub fn new(labels: usize) -> MultiLabel {
        assert!(labels > 0, "multi-label metrics need a label");
        MultiLabel { samples: 0, all_right: 0, tallies: vec![Tally::default(); labels] }
    }

    /// Adds samples: rows of probabilities and rows of targets, a number for each label. Above 0.5 the label is there.
    ///
    /// # Panics
    /// If the lengths differ or are not a whole number of samples.
    pub fn add(&mut self, probabilities: &[f32], targets: &[f32]) {
        let labels = self.tallies.len();
        assert_eq!(probabilities.len(), targets.len(), "a target for each probability");
        assert_eq!(targets.len() % labels, 0, "rows of {labels} labels");
        for (probabilities, targets) in probabilities.chunks_exact(labels).zip(targets.chunks_exact(labels)) {
            let mut is_all_right = true;
            for ((tally, &probability), &target) in self.tallies.iter_mut().zip(probabilities).zip(targets) {
                let (predicted, actual) = (probability > 0.5, target > 0.5);
                tally.predicted += u64::from(predicted);
                tally.actual += u64::from(actual);
                tally.right += u64::from(predicted && actual);
                is_all_right &= predicted == actual;
            }
            self.samples += 1;
            self.all_right += u64::from(is_all_right);
        }
    }

    /// The metrics of all samples added.
    pub fn finish(self) -> MultiLabelMetrics {
        let mut together = Tally::default();
        for tally in &self.tallies {
            together.right += tally.right;
            together.actual += tally.actual;
            together.predicted += tally.predicted;
        }
        MultiLabelMetrics {
            samples: self.samples,
            subset_accuracy: self.all_right as f64 / self.samples as f64,
            micro_f1: together.metrics().f1,
            macro_f1: mean(self.tallies.iter().map(|tally| tally.metrics().f1)),
            per_label: self.tallies.iter().map(Tally::metrics).collect(),
        }
    }
}

/// Samples of a class, predictions of it, and where both meet.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    actual: u64,
    predicted: u64,
    right: u64,
}

impl Tally {
    fn metrics(&self) -> ClassMetrics {
        ClassMetrics {
            precision: ratio(self.right, self.predicted),
            recall: ratio(self.right, self.actual),
            f1: ratio(2 * self.right, self.actual + self.predicted),
            support: self.actual,
        }
    }
}

/// Mean F1 of the classes that occur in labels or predictions.
fn macro_f1(tallies: &[Tally]) -> f64 {
    let occurring = tallies.iter().filter(|tally| tally.actual + tally.predicted > 0);
    mean(occurring.map(|tally| tally.metrics().f1))
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn mean(numbers: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = numbers.fold((0.0, 0u64), |(sum, count), number| (sum + number, count + 1));
    sum / count as f64
}

/// Accumulates predictions of numbers.
#[derive(Debug, Clone)]
pub struct Regression {
    samples: u64,
    outputs: Vec<Spread>,
}

/// How well numbers were predicted. With several outputs, the mean square, the mean size and R2 are means over them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RegressionMetrics {
    /// Samples seen.
    pub samples: u64,
    /// Root of the mean squared error, in the target's unit.
    pub rmse: f64,
    /// Mean size of the error, in the target's unit.
    pub mae: f64,
    /// Coefficient of determination: 1 minus squared errors over squared deviations from the mean. For a constant
    /// target 1 if every prediction is exact, otherwise 0.
    pub r2: f64,
}

/// Sums for one output; mean and deviations of the target by Welford's update, which does not cancel.
#[derive(Debug, Clone, Copy, Default)]
struct Spread {
    squared_error: f64,
    absolute_error: f64,
    mean: f64,
    squared_deviation: f64,
}

impl Regression {
    /// Nothing seen yet, for `outputs` numbers a sample.
    ///
    /// # Panics
    /// If `outputs` is 0.
    pub fn new(outputs: usize) -> Regression {
        assert!(outputs > 0, "regression metrics need an output");
        Regression { samples: 0, outputs: vec![Spread::default(); outputs] }
    }

    /// Adds samples: rows of predictions and rows of targets, a number for each output.
    ///
    /// # Panics
    /// If the lengths differ or are not a whole number of samples.
    pub fn add(&mut self, predictions: &[f32], targets: &[f32]) {
        let outputs = self.outputs.len();
        assert_eq!(predictions.len(), targets.len(), "a target for each prediction");
        assert_eq!(targets.len() % outputs, 0, "rows of {outputs} outputs");
        for (predictions, targets) in predictions.chunks_exact(outputs).zip(targets.chunks_exact(outputs)) {
            self.samples += 1;
            for ((sums, &prediction), &target) in self.outputs.iter_mut().zip(predictions).zip(targets) {
                let target = f64::from(target);
                let error = f64::from(prediction) - target;
                sums.squared_error += error * error;
                sums.absolute_error += error.abs();
                let deviation = target - sums.mean;
                sums.mean += deviation / self.samples as f64;
                sums.squared_deviation += deviation * (target - sums.mean);
            }
        }
    }

    /// The metrics of all samples added.
    pub fn finish(self) -> RegressionMetrics {
        let samples = self.samples as f64;
        let over_outputs = |number: fn(&Spread) -> f64| mean(self.outputs.iter().map(number));
        RegressionMetrics {
            samples: self.samples,
            rmse: (over_outputs(|sums| sums.squared_error) / samples).sqrt(),
            mae: over_outputs(|sums| sums.absolute_error) / samples,
            r2: if self.samples == 0 { f64::NAN } else { over_outputs(Spread::r2) },
        }
    }
}

impl Spread {
    fn r2(&self) -> f64 {
        if self.squared_deviation > 0.0 {
            1.0 - self.squared_error / self.squared_deviation
        } else if self.squared_error == 0.0 {
            1.0
        } else {
            0.0 * self.squared_error // keeps NaN
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classification_by_hand() {
        let mut seen = Classification::new(4, 2);
        // actual 0 0 1 1 2, predicted 0 1 1 1 0; class 3 never occurs.
        #[rustfmt::skip]
        seen.add(&[
            9.0, 1.0, 0.0, 0.0,
            3.0, 4.0, 0.0, 0.0,
            0.0, 2.0, 1.0, 0.0,
        ], &[0, 0, 1]);
        seen.add(&[0.0, 2.0, 1.0, 0.0, 5.0, 4.0, 3.0, 2.0], &[1, 2]);
        let metrics = seen.finish();
        assert_eq!((metrics.samples, metrics.accuracy, metrics.top_k_accuracy), (5, 0.6, 0.8));
        let scores: Vec<_> =
            metrics.per_class.iter().map(|c| (c.precision, c.recall, c.f1, c.support)).collect();
        assert_eq!(
            scores,
            [(0.5, 0.5, 0.5, 2), (2.0 / 3.0, 1.0, 0.8, 2), (0.0, 0.0, 0.0, 1), (0.0, 0.0, 0.0, 0)]
        );
        assert!((metrics.macro_f1 - 1.3 / 3.0).abs() < 1e-12);
        assert_eq!(
            metrics.confusion.unwrap(),
            [[1, 1, 0, 0], [0, 2, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]].map(Vec::from)
        );
    }

    #[test]
    fn ties_and_nan_never_flatter() {
        assert_eq!((argmax(&[1.0, 1.0]), argmax(&[f32::NAN, 1.0])), (0, 1));
        assert!(is_in_top(&[1.0, 1.0, 1.0], 1, 2) && !is_in_top(&[1.0, 1.0, 1.0], 2, 2));
        assert!(!is_in_top(&[f32::NAN, 1.0], 0, 5));
    }

    #[test]
    fn multi_label_by_hand() {
        let mut seen = MultiLabel::new(2);
        // Label 0: right once of two found, one sample missed none. Label 1: one missed.
        seen.add(&[0.9, 0.1, 0.8, 0.2], &[1.0, 0.0, 0.0, 1.0]);
        let metrics = seen.finish();
        assert_eq!((metrics.samples, metrics.subset_accuracy), (2, 0.5));
        assert_eq!(metrics.micro_f1, 0.5); // 2 * 1 / (2 actual + 2 predicted)
        assert_eq!(metrics.macro_f1, (2.0 / 3.0 + 0.0) / 2.0);
    }

    #[test]
    fn regression_by_hand() {
        let mut seen = Regression::new(2);
        // Output 0: targets 1 2 3, errors 1 0 -1: R2 0. Output 1: constant and exact: R2 1.
        seen.add(&[2.0, 5.0, 2.0, 5.0], &[1.0, 5.0, 2.0, 5.0]);
        seen.add(&[2.0, 5.0], &[3.0, 5.0]);
        let metrics = seen.finish();
        assert_eq!(metrics.samples, 3);
        assert!((metrics.rmse - (2.0f64 / 6.0).sqrt()).abs() < 1e-12);
        assert!((metrics.mae - 2.0 / 6.0).abs() < 1e-12);
        assert!((metrics.r2 - 0.5).abs() < 1e-12);
    }

    #[test]
    fn metrics_of_nothing_are_nan_and_serialise() {
        let metrics = Classification::new(3, 1).finish();
        assert!(metrics.accuracy.is_nan());
        assert!(serde_json::to_string(&metrics).unwrap().contains("\"accuracy\":null"));
        assert!(Regression::new(1).finish().r2.is_nan());
    }
}
