//! The figures of a run and of its dense twin: what `summary.json` holds and the table shows.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use rarefy::train::{Control, Ending, Outcome, Run, peak_rss_bytes, processor};
use serde::Serialize;

use super::progress::Progress;
use super::target::Target;
use crate::output::Output;

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
    pub inference_1_ms: f64,
    pub inference_256_ms: f64,
    pub training_bytes: usize,
    pub model_bytes: usize,
}

/// What a run ends with.
#[derive(Serialize)]
pub struct Summary {
    pub run_dir: PathBuf,
    pub ending: Ending,
    pub seed: u64,
    pub threads: usize,
    pub isa: &'static str,
    pub processor: String,
    #[serde(flatten)]
    pub figures: Figures,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    pub dense_twin: Figures,
}

/// Collects the run's figures, and measures those of its dense twin.
pub fn summarise(
    baseline: bool,
    run: &mut Run,
    directory: &Path,
    outcome: &Outcome,
    interrupted: &AtomicBool,
    output: &Output,
) -> Result<Summary> {
    let peak = peak_rss_bytes();
    let mut figures = figures_of(run, outcome);
    figures.peak_rss_bytes = Some(peak);
    let mut twin = run.dense_twin()?;
    let dense_twin = if baseline && outcome.ending != Ending::Interrupted {
        output.say("training the dense twin");
        let mut progress = Progress::new(&twin, output);
        let trained = twin.train(&mut |event| {
            progress.show(&event);
            if interrupted.load(Ordering::Relaxed) { Control::Stop } else { Control::Continue }
        })?;
        progress.finish();
        figures_of(&twin, &trained)
    } else {
        let step_ms = twin.time_steps(1.0);
        let (nnz, cells) = twin.network().connections();
        Figures {
            nnz,
            parameters: parameters(twin.network()),
            sparsity: 1.0 - nnz as f64 / cells as f64,
            flops: twin.network().flops(),
            step_ms: Some(step_ms),
            seconds_per_epoch: Some(1e-3 * step_ms * twin.steps_per_epoch() as f64),
            inference_1_ms: twin.time_inference(twin.network(), 1),
            inference_256_ms: twin.time_inference(twin.network(), 256),
            training_bytes: twin.training_bytes(),
            model_bytes: rarefy::train::model_bytes(twin.network()),
            ..Figures::default()
        }
    };
    Ok(Summary {
        run_dir: directory.to_path_buf(),
        ending: outcome.ending,
        seed: run.settings().seed,
        threads: run.threads(),
        isa: run.isa().name(),
        processor: processor(),
        target: Target::of(&run.settings().target, &figures),
        figures,
        dense_twin,
    })
}

fn figures_of(run: &Run, outcome: &Outcome) -> Figures {
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
        inference_1_ms: run.time_inference(network, 1),
        inference_256_ms: run.time_inference(network, 256),
        training_bytes: outcome.training_bytes,
        model_bytes: outcome.model_bytes,
    }
}

/// Live weights and biases.
fn parameters(network: &rarefy::layers::Network) -> usize {
    network.parameters().map(|parameter| parameter.weights.nnz()).sum()
}
