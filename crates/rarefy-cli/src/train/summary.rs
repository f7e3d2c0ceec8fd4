//! What a run ends with: its figures beside those of its dense twin.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use rarefy::report::bytes;
use rarefy::train::{
    Control, Ending, Outcome, Trainer, TwinCosts, free_memory_bytes, peak_rss_bytes, processor,
};
use serde::Serialize;

use super::figures::{Figures, counted, figures_of};
use super::target::Target;
use crate::output::Output;
use crate::progress::Progress;

/// What is done about the dense twin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Twin {
    /// It is counted.
    Count,
    /// Some of its steps are timed too.
    Time,
    /// It is trained too.
    Train,
}

/// The share of free memory that a dense twin may take.
const TWIN_MEMORY: f64 = 0.5;
/// The seconds that building and timing it may take.
const TWIN_SECONDS: f64 = 60.0;

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

/// Collects the run's figures and those of its dense twin.
pub fn summarise(
    twin: Twin,
    run: &mut Trainer,
    directory: &Path,
    outcome: &Outcome,
    interrupted: &AtomicBool,
    output: &Output,
) -> Result<Summary> {
    let peak = peak_rss_bytes();
    let mut figures = figures_of(run, outcome);
    figures.peak_rss_bytes = Some(peak);
    let costs = run.twin_costs()?;
    let dense_twin = match reason_not_to_time(twin, run, outcome.ending, &costs) {
        Some(reason) => Figures { not_timed: Some(reason), ..counted(&costs) },
        None => {
            let mut other = run.dense_twin()?;
            let mut dense = match twin {
                Twin::Train => trained(&mut other, interrupted, output)?,
                _ => counted(&costs),
            };
            let network = other.network();
            dense.inference_1_ms = Some(other.time_inference(network, 1));
            dense.inference_256_ms = Some(other.time_inference(network, 256));
            let [ours, theirs] = run.time_in_turn(&mut other, 2.0);
            (figures.step_ms, dense.step_ms) = (Some(ours), Some(theirs));
            dense
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

/// Why the dense twin is only counted; `None` if it is to be built.
fn reason_not_to_time(twin: Twin, run: &Trainer, ending: Ending, costs: &TwinCosts) -> Option<String> {
    if twin == Twin::Count {
        return Some("not timed".into());
    }
    if ending == Ending::Interrupted {
        return Some("interrupted".into());
    }
    let needs = costs.training_bytes + costs.buffer_bytes;
    if free_memory_bytes().is_some_and(|free| needs as f64 > TWIN_MEMORY * free as f64) {
        return Some(format!("does not fit: {}", bytes(needs)));
    }
    // Who asks for its training waits for it.
    let seconds = run.twin_seconds(costs);
    (twin == Twin::Time && seconds > TWIN_SECONDS).then(|| format!("would take {:.0} min", seconds / 60.0))
}

/// The figures of the dense twin once it is trained.
fn trained(twin: &mut Trainer, interrupted: &AtomicBool, output: &Output) -> Result<Figures> {
    output.say("training the dense twin");
    let mut progress = Progress::new(twin, output);
    let outcome = twin.train(&mut |event| {
        progress.show(&event);
        if interrupted.load(Ordering::Relaxed) { Control::Stop } else { Control::Continue }
    })?;
    progress.finish();
    Ok(figures_of(twin, &outcome))
}
