//! What a run or its dense twin reached and cost.

use serde::Serialize;

use crate::layers::Network;
use crate::metrics::{Metric, Metrics};
use crate::train::{Outcome, Trainer, TwinCosts};

/// What a run or its dense twin reached and cost: the figures that `summary.json` holds. Those that were not measured are
/// `None`; accuracies and error rates are shares of 1.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Figures {
    /// Connections of the model.
    pub nnz: usize,
    /// The share of the trained network's cells without a connection ([`Model::sparsity`](crate::train::Model::sparsity)).
    pub sparsity: f64,
    /// Floating-point operations of a prediction: two for each live weight, as often as it is used.
    pub flops: usize,
    /// Connections, biases, scales and statistics.
    pub parameters: usize,
    /// Whole epochs of training.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<u64>,
    /// The epoch that the model is of, if the best one on validation is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best_epoch: Option<u64>,
    /// The median of the epochs.
    pub seconds_per_epoch: Option<f64>,
    /// Milliseconds of a training step; of a run and its twin taken in turn where both were timed.
    pub step_ms: Option<f64>,
    /// The most memory that the process has held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_rss_bytes: Option<u64>,
    /// The share of right classes on the test part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_accuracy: Option<f64>,
    /// Wrong labels on the test part for each that there should be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_label_error_rate: Option<f64>,
    /// The root of the mean squared error on the test part, in the unit of the targets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_rmse: Option<f64>,
    /// The share of the targets' variance on the test part that is explained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_r2: Option<f64>,
    /// The loss on the test part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_loss: Option<f64>,
    /// The perplexity of a token of the test part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_perplexity: Option<f64>,
    /// Bits for each character of the test part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_bits_per_character: Option<f64>,
    /// All metrics on the test part that fit; `null` where one is not defined.
    #[serde(skip_serializing_if = "Metrics::is_empty")]
    pub test_metrics: Metrics,
    /// Classes or labels that samples of the test part have and that the model predicts for none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub never_predicted: Vec<String>,
    /// Milliseconds of a prediction of one sample.
    pub inference_1_ms: Option<f64>,
    /// Milliseconds of a prediction of 256 samples at once.
    pub inference_256_ms: Option<f64>,
    /// Bytes of weights, index, gradients and optimizer state.
    pub training_bytes: usize,
    /// Bytes of the model file.
    pub model_bytes: usize,
    /// Why a dense twin was counted and not timed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_timed: Option<String>,
}

impl Figures {
    /// The figures of a dense twin that are known without building it.
    pub fn counted(costs: &TwinCosts) -> Figures {
        Figures {
            nnz: costs.nnz,
            parameters: costs.parameters,
            flops: costs.flops,
            training_bytes: costs.training_bytes,
            model_bytes: costs.model_bytes,
            ..Figures::default()
        }
    }

    /// The figures of a run that has ended; its predictions are timed here.
    pub fn of(run: &Trainer, outcome: &Outcome) -> Figures {
        let (network, preparation) = (outcome.model.network(), &outcome.model.config.preparation);
        let names = if outcome.never_predicted.is_empty() { Vec::new() } else { preparation.output_names() };
        Figures {
            nnz: network.connections().0,
            sparsity: outcome.model.sparsity(),
            flops: network.flops(),
            parameters: parameters(network),
            epochs: Some(outcome.epochs),
            best_epoch: outcome.best_epoch,
            seconds_per_epoch: outcome.seconds_per_epoch,
            step_ms: outcome.step_ms,
            peak_rss_bytes: None,
            test_accuracy: outcome
                .test
                .and_then(|score| run.accuracy(&score))
                .and(outcome.test_metrics.get(Metric::Accuracy)),
            test_label_error_rate: outcome.test.and_then(|score| run.label_error_rate(&score)),
            test_rmse: outcome.test_numbers.map(|score| score.rmse),
            test_r2: outcome.test_numbers.and_then(|score| score.r2),
            test_loss: outcome.test.map(|score| score.loss()),
            test_perplexity: outcome.test_language.map(|score| score.perplexity),
            test_bits_per_character: outcome.test_language.map(|score| score.bits_per_character),
            test_metrics: outcome.test_metrics.clone(),
            never_predicted: outcome.never_predicted.iter().map(|&class| names[class].clone()).collect(),
            inference_1_ms: Some(run.time_inference(network, 1)),
            inference_256_ms: Some(run.time_inference(network, 256)),
            training_bytes: outcome.training_bytes,
            model_bytes: outcome.model_bytes,
            not_timed: None,
        }
    }
}

/// Live weights and biases.
fn parameters(network: &Network) -> usize {
    network.parameters().map(|parameter| parameter.weights.nnz()).sum()
}
