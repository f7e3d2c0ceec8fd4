//! How good a network's predictions for a part of the data are: its loss, and the metrics that somebody asks for.

use std::ops::ControlFlow;

use serde::Serialize;

use super::predictor::{capacity, predict_some};
use super::ranks::Ranks;
use super::{Score, score};
use crate::data::{Dataset, Preparation, Targets, Task};
use crate::kernels::Isa;
use crate::layers::Network;
use crate::losses::{Head, Loss};
use crate::metrics::{Answers, Decision, Found, Metric, Metrics, best_threshold};
use crate::tiles::LANES;

/// How good predictions for a part of the data are.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// The loss, and what is counted with it.
    pub score: Score,
    /// Those of the metrics asked for that fit.
    pub metrics: Metrics,
    /// How probabilities became classes.
    pub decision: Decision,
    /// Classes or labels that samples have and that is predicted for none; empty unless metrics were asked for.
    pub never_predicted: Vec<usize>,
}

/// The errors of predicted numbers over a data set.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct NumberScore {
    /// The root of the mean squared error, over all samples and outputs.
    pub rmse: f64,
    /// The part of the targets' variance that is explained, mean over the outputs: 0 for the mean as prediction; absent where
    /// a target never changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r2: Option<f64>,
}

impl Evaluation {
    /// The errors in the unit of the targets, if numbers are predicted and these were asked for.
    pub fn numbers(&self) -> Option<NumberScore> {
        let rmse = self.metrics.get(Metric::Rmse)?;
        Some(NumberScore { rmse, r2: self.metrics.get(Metric::R2) })
    }
}

/// What the outputs of a network mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Meaning<'a> {
    pub(super) preparation: &'a Preparation,
    pub(super) head: Head,
    pub(super) decision: Decision,
    /// Which quantile is predicted, if one is.
    pub(super) quantile: Option<f32>,
}

impl Meaning<'_> {
    /// What is predicted by these scores, which the head has made of outputs, and what is true.
    pub(super) fn answers<'b>(&self, dataset: &'b Dataset, scores: &'b [f32], score: &Score) -> Answers<'b> {
        let found = match &dataset.targets {
            Targets::Classes { labels, classes } => Found::Classes {
                scores,
                are_probabilities: self.head == Head::Softmax,
                decision: self.decision,
                labels,
                classes: *classes,
            },
            Targets::Steps { .. } => Found::Tokens { accuracy: score.accuracy() },
            Targets::Sequences { .. } => Found::Transcripts { label_error_rate: score.label_error_rate() },
            Targets::Values { values, outputs } if self.preparation.task == Task::MultiLabel => {
                Found::Labels {
                    scores,
                    are_probabilities: self.head == Head::Sigmoid,
                    targets: values,
                    outputs: *outputs,
                }
            }
            Targets::Values { values, outputs } => {
                let scaler = &self.preparation.target_scaler;
                Found::Numbers {
                    predictions: scaler.undo_all(*outputs, scores),
                    targets: scaler.undo_all(*outputs, values),
                    outputs: *outputs,
                    quantile: self.quantile.map(f64::from),
                }
            }
        };
        Answers { found, weights: dataset.weights.as_deref(), loss: score.loss() }
    }

    /// The threshold at which a metric is best on these probabilities of two classes.
    pub(super) fn best_threshold(&self, metric: Metric, dataset: &Dataset, scores: &[f32]) -> f32 {
        let Targets::Classes { labels, .. } = &dataset.targets else { return self.decision.threshold };
        let positive = self.decision.positive;
        let probabilities: Vec<f32> = scores.iter().skip(positive).step_by(2).copied().collect();
        let targets: Vec<bool> = labels.iter().map(|&label| label as usize == positive).collect();
        best_threshold(metric, &probabilities, &targets, dataset.weights.as_deref())
    }
}

/// The score of a network on a data set, and its predictions, `samples x outputs`, where `keeps` asks for them; `None` if
/// `go_on`, which is told after each batch how many samples are done, asks to stop, or a message of the ranks has
/// failed. These take batches in turn, and then all have the scores and predictions of all.
///
/// # Panics
/// If the shapes of network and data set differ.
pub(super) fn scored(
    network: &Network,
    isa: Isa,
    loss: &Loss,
    (dataset, ranks): (&Dataset, Option<&Ranks>),
    keeps: Option<Head>,
    go_on: &mut (dyn FnMut(usize) -> ControlFlow<()> + '_),
) -> Option<(Score, Vec<f32>)> {
    /// Samples of a batch.
    const BATCH: usize = 256;
    // Outputs at each step of many samples would take much memory for little speed.
    let batch = if network.output().positions() > 1 { LANES } else { BATCH };
    let (mut found, mut scores) = (Vec::new(), Vec::new());
    // Those of texts and recordings are scored step by step, with the loss.
    let keeps = keeps.filter(|_| network.output().positions() == 1);
    let mut done = 0;
    let place = ranks.map_or((0, 1), Ranks::place);
    let went = predict_some(network, isa, dataset, batch, place, |batch, outputs| {
        found.push(score(loss, isa, outputs, batch, None).numbers());
        done += batch.samples;
        let Some(head) = keeps else { return go_on(done) };
        for tile in 0..outputs.tiles() {
            head.apply(outputs.tile_mut(tile));
        }
        for sample in 0..batch.samples {
            scores.extend((0..outputs.features()).map(|feature| outputs.at(sample, feature)));
        }
        go_on(done)
    });
    if went.is_break() {
        return None;
    }
    if let Some(ranks) = ranks {
        let (samples, most) = (dataset.len(), capacity(network, dataset, batch));
        let batches = (0..samples).step_by(most).map(|start| most.min(samples - start));
        found = ranks.gather_turns(found, batches.clone().map(|_| 1));
        let outputs = if keeps.is_some() { network.output().features() } else { 0 };
        scores = ranks.gather_turns(scores, batches.map(|samples| samples * outputs));
        if ranks.has_failed() {
            return None;
        }
    }
    let mut total = Score::default();
    found.into_iter().for_each(|numbers| total.add(Score::of_numbers(numbers)));
    Some((total, scores))
}

/// The loss and accuracy of a network on a data set.
pub fn evaluate(network: &Network, isa: Isa, loss: &Loss, dataset: &Dataset) -> Score {
    let whole = scored(network, isa, loss, (dataset, None), None, &mut |_| ControlFlow::Continue(()));
    whole.expect("nobody stops it").0
}
