//! Samples as linear models take them: to solve for, and to measure models on.

use anyhow::{Result, bail};
use rarefy::convex::{Design, Loss, Problem, Solution, SparseColumns};
use rarefy::data::{Dataset, Features, Preparation, Splits, TargetScaler, Targets, Task};
use rarefy::metrics::regression;
use serde::Serialize;

/// What is solved: the training part.
pub fn problem(splits: &Splits, loss: Loss) -> Result<Problem> {
    let Preparation { task, target_scaler, .. } = &splits.preparation;
    Ok(Problem::new(design(&splits.train)?, targets(&splits.train, *task, target_scaler)?, loss)?)
}

fn design(part: &Dataset) -> Result<Design> {
    Ok(match &part.features {
        Features::Dense(numbers) => Design::from_rows(part.len(), part.inputs(), numbers)?,
        Features::Lent(rows) => Design::from_rows(part.len(), part.inputs(), &rows.to_dense())?,
        Features::Streamed(_) | Features::StreamedSparse(_) => {
            let problem = "is for networks: a path of linear models has all samples in memory; leave it out";
            return Err(rarefy::Error::setting("data.memory", problem).into());
        }
        Features::Sparse(rows) => Design::Sparse(SparseColumns::from_csr(
            part.len(),
            part.inputs(),
            rows.offsets(),
            rows.indices(),
            rows.values(),
        )?),
        Features::Tokens { .. } => {
            bail!("data.text.tokens: a linear model cannot read tokens; leave it out for a bag of words")
        }
    })
}

/// One number per sample; the second of two classes is 1. Numbers are in their own unit, to the solver all are the same, so that
/// lambda, objective and coefficients are too; with `data.target_scale = "log"` they are logarithms.
fn targets(part: &Dataset, task: Task, scaler: &TargetScaler) -> Result<Vec<f64>> {
    match &part.targets {
        Targets::Classes { labels, classes: 2 } => Ok(labels.iter().map(|&label| label.into()).collect()),
        Targets::Classes { classes, .. } => {
            bail!(
                "the labels are {classes} classes; a path of linear models is for two classes or for numbers (--set data.task=regression), one of networks for any: --hidden 64"
            )
        }
        Targets::Steps { .. } | Targets::Sequences { .. } => {
            bail!("there is something to predict at each step; a path predicts one number")
        }
        Targets::Values { values, outputs: 1 } if task == Task::Regression => {
            let (mean, deviation) = scaler.mean_and_deviation(0);
            Ok(values.iter().map(|&value| mean + deviation * f64::from(value)).collect())
        }
        Targets::Values { outputs, .. } => {
            bail!("there are {outputs} targets for each sample; a path predicts one: name it with --label")
        }
    }
}

/// How good a model is on samples that it was not trained on.
#[derive(Clone, Copy, Serialize)]
pub struct Score {
    /// The mean, without the penalty.
    pub loss: f64,
    /// The standard error of that mean.
    pub standard_error: f64,
    /// The root of the mean squared error, in the target's unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rmse: Option<f64>,
    /// The coefficient of determination.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r2: Option<f64>,
    /// The share of right predictions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
    /// The standard error of that share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accuracy_standard_error: Option<f64>,
}

/// Samples to measure models on.
pub struct HeldOut {
    design: Design,
    targets: Vec<f64>,
    loss: Loss,
    task: Task,
    /// Whether targets and predictions are logarithms.
    is_log: bool,
}

impl HeldOut {
    /// A part of the data.
    pub fn new(part: &Dataset, splits: &Splits, loss: Loss) -> Result<HeldOut> {
        let Preparation { task, target_scaler, .. } = &splits.preparation;
        let (design, targets) = (design(part)?, targets(part, *task, target_scaler)?);
        Ok(HeldOut { design, targets, loss, task: *task, is_log: target_scaler.is_log() })
    }

    /// How good a model is on them.
    pub fn score(&self, answer: &Solution) -> Score {
        let (samples, targets) = (self.targets.len() as f64, &self.targets);
        let predictions = answer.predict(&self.design);
        let losses: Vec<f64> =
            predictions.iter().zip(targets).map(|(&z, &y)| self.loss.value(z, y)).collect();
        let mean = losses.iter().sum::<f64>() / samples;
        let variance =
            losses.iter().map(|loss| (loss - mean).powi(2)).sum::<f64>() / (samples - 1.0).max(1.0);
        let is_classification = self.task == Task::Classification || self.loss == Loss::Logistic;
        let border = if self.loss == Loss::Logistic { 0.0 } else { 0.5 };
        let right = predictions.iter().zip(targets).filter(|(z, y)| (**z > border) == (**y > 0.5)).count();
        let share = right as f64 / samples;
        let in_unit =
            |numbers: &[f64]| numbers.iter().map(|y| if self.is_log { y.exp() } else { *y }).collect();
        let [z, y]: [Vec<f64>; 2] = [&predictions, targets].map(|numbers| in_unit(numbers));
        let numbers = (!is_classification).then(|| regression(&z, 1, &y, None));
        Score {
            loss: mean,
            standard_error: (variance / samples).sqrt(),
            rmse: numbers.as_ref().map(|found| found.rmse),
            r2: numbers.and_then(|found| found.r2),
            accuracy: is_classification.then_some(share),
            accuracy_standard_error: is_classification
                .then(|| (share * (1.0 - share) / (samples - 1.0).max(1.0)).sqrt()),
        }
    }
}
