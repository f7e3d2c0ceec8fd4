//! The figures of a run or of its dense twin: what `summary.json` holds and the table shows.

use rarefy::train::{Outcome, Trainer, TwinCosts};
use serde::Serialize;

/// A run's figures, or its twin's where they were measured.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Figures {
    pub nnz: usize,
    pub sparsity: f64,
    /// Floating-point operations of a prediction: two for each live weight, as often as it is used.
    pub flops: usize,
    pub parameters: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best_epoch: Option<u64>,
    pub seconds_per_epoch: Option<f64>,
    pub step_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_rss_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_accuracy: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_label_error_rate: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_rmse: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_r2: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_loss: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_perplexity: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_bits_per_character: Option<f64>,
    pub inference_1_ms: Option<f64>,
    pub inference_256_ms: Option<f64>,
    pub training_bytes: usize,
    pub model_bytes: usize,
    /// Why a dense twin was counted and not timed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_timed: Option<String>,
}

/// The figures that are known without building it.
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

/// The figures of a run that has ended.
pub fn figures_of(run: &Trainer, outcome: &Outcome) -> Figures {
    let network = &outcome.model.network;
    // The model may have lost neurons: what is sparse is what was asked for, the whole network.
    let (nnz, cells) = (network.connections().0, run.network().connections().1);
    Figures {
        nnz,
        sparsity: 1.0 - nnz as f64 / cells as f64,
        flops: network.flops(),
        parameters: parameters(network),
        epochs: Some(outcome.epochs),
        best_epoch: outcome.best_epoch,
        seconds_per_epoch: outcome.seconds_per_epoch,
        step_ms: outcome.step_ms,
        peak_rss_bytes: None,
        test_accuracy: outcome.test.and_then(|score| run.accuracy(&score)),
        test_label_error_rate: outcome.test.and_then(|score| run.label_error_rate(&score)),
        test_rmse: outcome.test_numbers.map(|score| score.rmse),
        test_r2: outcome.test_numbers.and_then(|score| score.r2),
        test_loss: outcome.test.map(|score| score.loss()),
        test_perplexity: outcome.test_language.map(|score| score.perplexity),
        test_bits_per_character: outcome.test_language.map(|score| score.bits_per_character),
        inference_1_ms: Some(run.time_inference(network, 1)),
        inference_256_ms: Some(run.time_inference(network, 256)),
        training_bytes: outcome.training_bytes,
        model_bytes: outcome.model_bytes,
        not_timed: None,
    }
}

/// Live weights and biases.
fn parameters(network: &rarefy::layers::Network) -> usize {
    network.parameters().map(|parameter| parameter.weights.nnz()).sum()
}
