//! The list of metrics: their names, what they fit, which way they get better, and how they are computed.

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::answers::{Answers, Found};
use super::decisions::{classification, multi_label};
use super::numbers::{quantile_loss, regression};
use super::probabilities::{
    brier, brier_of_labels, expected_calibration_error, log_loss, log_loss_of_labels,
};
use super::ranking::{average_precision, roc_auc};

named! {
    /// A number that tells how good predictions are. Of two classes "the class" is the positive one
    /// ([`Decision::positive`](super::Decision)); of more the figures of each against the rest are averaged plainly over
    /// those that have one (macro), as are those of labels.
    pub enum Metric {
        /// The mean loss.
        Loss = "loss",
        /// The share of samples (of a text, of tokens) that are predicted right; of several labels, all of them.
        Accuracy = "accuracy",
        /// The mean over the classes of the share of their samples that are found.
        BalancedAccuracy = "balanced-accuracy",
        /// The harmonic mean of precision and recall: of the class, or macro.
        F1 = "f1",
        /// Matthews' correlation of predicted and true classes, from -1 to 1 (Gorodkin 2004 for more than two); 0 for guesses.
        Matthews = "matthews",
        /// The area under the ROC curve ([`roc_auc`]): of the class, or macro.
        Auc = "auc",
        /// The average precision ([`average_precision`]): of the class, or macro.
        AveragePrecision = "average-precision",
        /// [`log_loss`]: how surprising the truth is to the probabilities, without class weights or smoothing.
        LogLoss = "log-loss",
        /// [`brier`]: the squared error of probabilities.
        Brier = "brier",
        /// [`expected_calibration_error`]: how far probabilities are from how often they are right.
        CalibrationError = "ece",
        /// The part of the targets' variance that is explained, mean over the outputs.
        R2 = "r2",
        /// The root of the mean squared error, in the target's unit.
        Rmse = "rmse",
        /// The mean absolute error, in the target's unit.
        Mae = "mae",
        /// [`quantile_loss`] for the quantile that is predicted, in the target's unit.
        QuantileLoss = "quantile-loss",
        /// Wrong labels of a transcription, for each that there should be.
        LabelErrorRate = "label-error-rate",
    }
}

impl Metric {
    /// Whether a higher number is a better one.
    pub fn is_higher_better(self) -> bool {
        use Metric::{Accuracy, Auc, AveragePrecision, BalancedAccuracy, F1, Matthews, R2};
        matches!(self, Accuracy | BalancedAccuracy | F1 | Matthews | Auc | AveragePrecision | R2)
    }

    /// Whether it is a share that people read in percent.
    pub fn is_share(self) -> bool {
        matches!(self, Metric::Accuracy | Metric::BalancedAccuracy | Metric::F1 | Metric::LabelErrorRate)
    }

    /// What people call it.
    pub fn title(self) -> &'static str {
        match self {
            Metric::Loss => "loss",
            Metric::Accuracy => "accuracy",
            Metric::BalancedAccuracy => "balanced accuracy",
            Metric::F1 => "F1",
            Metric::Matthews => "Matthews",
            Metric::Auc => "ROC AUC",
            Metric::AveragePrecision => "average precision",
            Metric::LogLoss => "log loss",
            Metric::Brier => "Brier score",
            Metric::CalibrationError => "ECE",
            Metric::R2 => "R2",
            Metric::Rmse => "RMSE",
            Metric::Mae => "MAE",
            Metric::QuantileLoss => "quantile loss",
            Metric::LabelErrorRate => "label error rate",
        }
    }

    /// Its key in JSON.
    pub fn key(self) -> String {
        self.name().replace('-', "_")
    }

    /// Whether it says something of such predictions.
    pub fn fits(self, answers: &Answers<'_>) -> bool {
        use Metric::*;
        match &answers.found {
            Found::Classes { are_probabilities, .. } => match self {
                Loss | Accuracy | BalancedAccuracy | F1 | Matthews | Auc | AveragePrecision => true,
                LogLoss | Brier | CalibrationError => *are_probabilities,
                R2 | Rmse | Mae | QuantileLoss | LabelErrorRate => false,
            },
            Found::Labels { are_probabilities, .. } => match self {
                Loss | Accuracy | F1 | Auc | AveragePrecision => true,
                LogLoss | Brier => *are_probabilities,
                _ => false,
            },
            Found::Numbers { quantile, .. } => match self {
                Loss | R2 | Rmse | Mae => true,
                QuantileLoss => quantile.is_some(),
                _ => false,
            },
            Found::Transcripts { .. } => matches!(self, Loss | LabelErrorRate),
            Found::Tokens { .. } => matches!(self, Loss | Accuracy),
        }
    }

    /// The number; `None` where it does not fit, is not defined for these samples, or is not finite.
    pub fn of(self, answers: &Answers<'_>) -> Option<f64> {
        let found = match &answers.found {
            _ if !self.fits(answers) => None,
            _ if self == Metric::Loss => Some(answers.loss),
            Found::Classes { .. } => self.of_classes(answers),
            Found::Labels { .. } => self.of_labels(answers),
            Found::Numbers { predictions, targets, outputs, quantile } => {
                let of_quantile = |q: f64| quantile_loss(predictions, *outputs, targets, q, answers.weights);
                let errors = || regression(predictions, *outputs, targets, answers.weights);
                match self {
                    Metric::QuantileLoss => quantile.map(of_quantile),
                    Metric::R2 => errors().r2,
                    Metric::Rmse => Some(errors().rmse),
                    _ => Some(errors().mae),
                }
            }
            Found::Transcripts { label_error_rate } => Some(*label_error_rate),
            Found::Tokens { accuracy } => Some(*accuracy),
        };
        found.filter(|number| number.is_finite())
    }

    fn of_classes(self, answers: &Answers<'_>) -> Option<f64> {
        let Found::Classes { scores, decision, labels, classes, .. } = &answers.found else { return None };
        let (classes, weights) = (*classes, answers.weights);
        let decided = || classification(scores, classes, labels, *decision, weights);
        let ranked = |figure: Figure| {
            let of_each = of_each(answers, figure);
            if classes == 2 { of_each[decision.positive] } else { macro_mean(&of_each) }
        };
        Some(match self {
            Metric::Accuracy => decided().accuracy,
            Metric::BalancedAccuracy => decided().balanced_accuracy,
            Metric::Matthews => decided().matthews,
            Metric::F1 if classes == 2 => decided().per_class[decision.positive].f1,
            Metric::F1 => decided().macro_f1,
            Metric::Auc => return ranked(roc_auc),
            Metric::AveragePrecision => return ranked(average_precision),
            Metric::LogLoss => log_loss(scores, classes, labels, weights),
            Metric::Brier => brier(scores, classes, labels, weights),
            _ => expected_calibration_error(scores, classes, labels, weights),
        })
    }

    fn of_labels(self, answers: &Answers<'_>) -> Option<f64> {
        let Found::Labels { scores, targets, outputs, .. } = &answers.found else { return None };
        let (outputs, weights) = (*outputs, answers.weights);
        let decided = || multi_label(scores, outputs, targets, 0.5, weights);
        let ranked = |figure: Figure| macro_mean(&of_each(answers, figure));
        Some(match self {
            Metric::Accuracy => decided().subset_accuracy,
            Metric::F1 => decided().macro_f1,
            Metric::Auc => return ranked(roc_auc),
            Metric::AveragePrecision => return ranked(average_precision),
            Metric::LogLoss => log_loss_of_labels(scores, outputs, targets, weights),
            _ => brier_of_labels(scores, outputs, targets, weights),
        })
    }
}

/// A figure of the scores of one class, of whether samples have it, and of their weights.
type Figure = fn(&[f32], &[bool], Option<&[f32]>) -> Option<f64>;

/// The average precision of each class or label against the rest, `None` where no sample has it; empty where neither is predicted.
pub fn average_precisions(answers: &Answers<'_>) -> Vec<Option<f64>> {
    of_each(answers, average_precision)
}

/// A figure of each class or label against the rest; each is computed by one thread.
fn of_each(answers: &Answers<'_>, figure: Figure) -> Vec<Option<f64>> {
    let weights = answers.weights;
    match &answers.found {
        Found::Classes { scores, labels, classes, .. } => {
            let of = |class: usize| {
                let is_true: Vec<bool> = labels.iter().map(|&label| label as usize == class).collect();
                figure(&column(scores, *classes, class), &is_true, weights)
            };
            (0..*classes).into_par_iter().map(of).collect()
        }
        Found::Labels { scores, targets, outputs, .. } => {
            let of = |label: usize| {
                let targets = column(targets, *outputs, label);
                let is_true: Vec<bool> = targets.into_iter().map(|target| target > 0.5).collect();
                figure(&column(scores, *outputs, label), &is_true, weights)
            };
            (0..*outputs).into_par_iter().map(of).collect()
        }
        Found::Numbers { .. } | Found::Transcripts { .. } | Found::Tokens { .. } => Vec::new(),
    }
}

/// The plain mean of the figures that are defined.
fn macro_mean(figures: &[Option<f64>]) -> Option<f64> {
    let defined: Vec<f64> = figures.iter().copied().flatten().collect();
    (!defined.is_empty()).then(|| defined.iter().sum::<f64>() / defined.len() as f64)
}

/// The numbers of one output.
fn column(values: &[f32], outputs: usize, output: usize) -> Vec<f32> {
    values.iter().skip(output).step_by(outputs).copied().collect()
}

/// Some metrics of the same predictions, in the order of [`Metric::ALL`]. In JSON an object; what is not defined for the
/// samples is `null`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Metrics(Vec<(Metric, Option<f64>)>);

impl Metrics {
    /// Those of `asked` that fit.
    pub fn of(answers: &Answers<'_>, asked: &[Metric]) -> Metrics {
        let fitting = Metric::ALL.into_iter().filter(|metric| asked.contains(metric) && metric.fits(answers));
        Metrics(fitting.map(|metric| (metric, metric.of(answers))).collect())
    }

    /// The number; `None` where it is not among them or is not defined.
    pub fn get(&self, metric: Metric) -> Option<f64> {
        self.iter().find(|(other, _)| *other == metric).and_then(|(_, number)| number)
    }

    /// Each with its number, `None` where that is not defined.
    pub fn iter(&self) -> impl Iterator<Item = (Metric, Option<f64>)> + '_ {
        self.0.iter().copied()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Metrics {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.iter().map(|(metric, number)| (metric.key(), number)))
    }
}

impl<'de> Deserialize<'de> for Metrics {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Metrics, D::Error> {
        let found = BTreeMap::<String, Option<f64>>::deserialize(from)?;
        let known = Metric::ALL.into_iter();
        Ok(Metrics(known.filter_map(|it| found.get(&it.key()).map(|number| (it, *number))).collect()))
    }
}
