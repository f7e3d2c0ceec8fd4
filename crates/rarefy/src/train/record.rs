//! What a run tells: while it goes, in a line of `metrics.jsonl` for each epoch, and at its end.

use std::fmt;

use serde::Serialize;

use super::model::Model;
use super::{LanguageScore, NumberScore, Progress, Score, SlowRank};
use crate::layers::Network;
use crate::metrics::{Metric, Metrics};

/// What a run tells while it goes.
#[non_exhaustive]
pub enum Event<'a> {
    /// A step was done.
    Step {
        /// How far the run is.
        progress: Progress,
        /// The score of the epoch so far.
        score: &'a Score,
        /// Samples of the epoch so far.
        samples: usize,
    },
    /// A batch of the validation part was looked at. Who stops the training here has it go on with the whole look later.
    Validation {
        /// Samples of the part so far.
        samples: usize,
    },
    /// An epoch was done.
    Epoch {
        /// Its figures.
        record: &'a EpochRecord,
        /// The network as it would predict if training stopped here.
        network: &'a Network,
    },
}

/// Who is told of every step, look and epoch, and may stop the training after any of them.
pub type Watch<'a> = dyn FnMut(Event<'_>) -> Control + Send + 'a;

/// What the one who is told answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// Go on.
    Continue,
    /// Save and stop.
    Stop,
}

/// How late the gradients of an epoch were, in steps of as many gradients as there are ranks: how many had moved weights since the
/// values that they are of were handed out.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Staleness {
    /// Of a gradient.
    pub mean: f64,
    /// Of the latest; `distributed.staleness` bounds it.
    pub most: f64,
    /// Times that a rank has had to wait for a slower one.
    pub waits: u64,
}

/// A line of `metrics.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EpochRecord {
    /// The epoch, counted from 1.
    pub epoch: u64,
    /// Steps done.
    pub step: u64,
    /// The mean loss while training.
    pub train_loss: f64,
    /// The accuracy while training, for classification.
    pub train_accuracy: Option<f64>,
    /// The wrong labels while training for each that there should be, for transcription.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train_label_error_rate: Option<f64>,
    /// The mean loss on the validation part.
    pub validation_loss: Option<f64>,
    /// The accuracy on the validation part.
    pub validation_accuracy: Option<f64>,
    /// The wrong labels on the validation part for each that there should be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation_label_error_rate: Option<f64>,
    /// The root of the mean squared error on the validation part, in the unit of the targets, for regression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation_rmse: Option<f64>,
    /// The part of the variance of the validation part's targets that is explained, for regression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation_r2: Option<f64>,
    /// The metric that tells which epoch is better, if one is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<Metric>,
    /// That metric on the validation part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation_metric: Option<f64>,
    /// The perplexity on the validation part, for a language model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation_perplexity: Option<f64>,
    /// The bits per character of the validation part, for a language model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation_bits_per_character: Option<f64>,
    /// The learning rate that the last step took, the optimizer's own estimate included.
    pub learning_rate: f32,
    /// Live connections; while a Bregman optimizer grows the network, those that are not zero.
    pub nnz: usize,
    /// The same over all cells.
    pub density: f64,
    /// The penalty's lambda, if there is a penalty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lambda: Option<f32>,
    /// Connections dropped in this epoch.
    pub dropped: usize,
    /// Connections grown in this epoch.
    pub grown: usize,
    /// Seconds of training, without validation.
    pub seconds: f64,
    /// Bytes that this rank, the first, has sent since the epoch before, if there are others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_sent: Option<u64>,
    /// Those of `seconds` that each rank has waited for others, in their order, if there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub seconds_waiting: Vec<f64>,
    /// The rank that has kept the others waiting, if one has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slow_rank: Option<SlowRank>,
    /// How late gradients were since the epoch began or the run was resumed, where ranks do not wait for each other and the first serves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub staleness: Option<Staleness>,
    /// Whether this is the best epoch so far.
    pub best: bool,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// All epochs were done.
    Finished,
    /// The validation part had not got better for long.
    EarlyStopped,
    /// Somebody asked for it; the run can go on.
    Interrupted,
    /// A penalty or a constraint has left a layer without a weight: the model is the last that was whole.
    Emptied,
}

/// How a penalty or a constraint has left a layer without a weight.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Emptied {
    /// The dotted key of the setting that was too strong.
    pub key: String,
    /// The name of the layer's weights.
    pub layer: String,
    /// The step by which none was left, counted from 1.
    pub step: u64,
    /// The epoch that the model is of; 0 for the network that training began with.
    pub epoch: u64,
    /// A lambda that is likelier to leave something, where a lambda was too strong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lambda: Option<f64>,
    /// What to do.
    pub cure: String,
}

impl fmt::Display for Emptied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Emptied { key, layer, step, epoch, cure, .. } = self;
        write!(
            f,
            "{key}: has driven every weight of {layer} to zero by step {step}, and training ended there; "
        )?;
        match epoch {
            0 => write!(f, "no epoch was whole, the model is the network that training began with; {cure}")?,
            epoch => write!(f, "the model is that of epoch {epoch}; {cure}")?,
        }
        match self.lambda {
            Some(lambda) => write!(f, ", as in {key} = {lambda}"),
            None => Ok(()),
        }
    }
}

/// What came out of a run.
pub struct Outcome {
    /// How it ended.
    pub ending: Ending,
    /// What emptied a layer, if that is how it ended.
    pub emptied: Option<Emptied>,
    /// Epochs done.
    pub epochs: u64,
    /// The epoch whose model was kept.
    pub best_epoch: Option<u64>,
    /// Seconds of an epoch's training: the median of those of this sitting; `None` if there was none.
    pub seconds_per_epoch: Option<f64>,
    /// Milliseconds of a step, from the same epochs.
    pub step_ms: Option<f64>,
    /// Seconds that each rank has waited for others in the epochs of this sitting, in their order; none of the only rank.
    pub seconds_waiting: Vec<f64>,
    /// The model that was kept.
    pub model: Model,
    /// Its score on the test part; `None` without one, and where training was interrupted: who stops it does not wait for that.
    pub test: Option<Score>,
    /// The same in a language model's figures.
    pub test_language: Option<LanguageScore>,
    /// The same in the unit of the targets, for regression.
    pub test_numbers: Option<NumberScore>,
    /// All metrics on the test part that fit; none without one.
    pub test_metrics: Metrics,
    /// Classes or labels that samples of the test part have and that the model predicts for none.
    pub never_predicted: Vec<usize>,
    /// Bytes of the model's arrays on disk.
    pub model_bytes: usize,
    /// Bytes of weights, index, gradients and optimizer state.
    pub training_bytes: usize,
}
