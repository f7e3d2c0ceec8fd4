//! What a run ends with: its figures beside those of its dense twin.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::figures::Figures;
use super::numbers::bytes;
use super::target::Target;
use crate::Result;
use crate::machine::{free_memory_bytes, peak_rss_bytes, processor};
use crate::train::{Emptied, Ending, Outcome, Trainer, TwinCosts};

/// What is done about the dense twin of a run: the same network with every connection, in dense storage.
pub enum Twin<'a> {
    /// It is counted, and nothing of it is built.
    Count,
    /// Some of its training steps are timed in turn with those of the run, and its predictions, if it fits into half of the
    /// free memory and takes no longer than a minute.
    Time,
    /// It is trained by this function and then timed, if it fits into half of the free memory.
    Train(&'a mut dyn FnMut(&mut Trainer) -> Result<Outcome>),
}

/// The share of free memory that a dense twin may take.
const TWIN_MEMORY: f64 = 0.5;
/// The seconds that building and timing it may take.
const TWIN_SECONDS: f64 = 60.0;

/// What a run ends with, as `summary.json` holds it: its figures beside those of its dense twin.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// The run's folder, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_dir: Option<PathBuf>,
    /// How it ended.
    pub ending: Ending,
    /// What has left a layer without a weight, if that is how it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emptied: Option<Emptied>,
    /// The seed of all its random draws.
    pub seed: u64,
    /// Whether the same settings and seed give the same bits again; with `distributed.exchange = "server"`, `"wasap"` or
    /// `"hogwild"` they do not.
    pub reproducible: bool,
    /// Threads that trained.
    pub threads: usize,
    /// Seconds that each rank has waited for others in the epochs of this sitting, in their order, if there were several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub seconds_waiting: Vec<f64>,
    /// The instruction set.
    pub isa: &'static str,
    /// The processor, as it calls itself.
    pub processor: String,
    /// What the run reached and cost.
    #[serde(flatten)]
    pub figures: Figures,
    /// For each bound of the target whether it was held.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<Target>,
    /// What the dense twin reached and cost.
    pub dense_twin: Figures,
}

impl Summary {
    /// Collects the figures of a run that has ended and of its dense twin. Timing takes some seconds, and trains the run on by
    /// the steps that it times: what is to be saved is saved before.
    ///
    /// # Errors
    /// What training the twin ends with.
    pub fn new(
        run: &mut Trainer,
        outcome: &Outcome,
        directory: Option<&Path>,
        twin: Twin<'_>,
    ) -> Result<Summary> {
        let peak = peak_rss_bytes();
        let mut figures = Figures { peak_rss_bytes: Some(peak), ..Figures::of(run, outcome) };
        let costs = run.twin_costs()?;
        let dense_twin = match reason_not_to_time(&twin, run, outcome.ending, &costs) {
            Some(reason) => Figures { not_timed: Some(reason), ..Figures::counted(&costs) },
            None => {
                let mut other = run.dense_twin()?;
                let mut dense = match twin {
                    Twin::Train(train) => {
                        let outcome = train(&mut other)?;
                        Figures::of(&other, &outcome)
                    }
                    Twin::Count | Twin::Time => Figures::counted(&costs),
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
            run_dir: directory.map(Path::to_path_buf),
            ending: outcome.ending,
            emptied: outcome.emptied.clone(),
            seed: run.settings().seed,
            reproducible: run.settings().distributed.exchange.is_reproducible(),
            threads: run.threads(),
            seconds_waiting: outcome.seconds_waiting.clone(),
            isa: run.isa().name(),
            processor: processor(),
            targets: Target::all(&run.settings().target, &figures),
            figures,
            dense_twin,
        })
    }
}

/// Why the dense twin is only counted; `None` if it is to be built.
fn reason_not_to_time(twin: &Twin<'_>, run: &Trainer, ending: Ending, costs: &TwinCosts) -> Option<String> {
    if matches!(twin, Twin::Count) {
        return Some("not timed".into());
    }
    match ending {
        Ending::Interrupted => return Some("interrupted".into()),
        Ending::Emptied => return Some("ended early".into()),
        Ending::Finished | Ending::EarlyStopped => {}
    }
    let needs = costs.training_bytes + costs.buffer_bytes;
    if free_memory_bytes().is_some_and(|free| needs as f64 > TWIN_MEMORY * free as f64) {
        return Some(format!("does not fit: {}", bytes(needs)));
    }
    // Who asks for its training waits for it.
    let seconds = run.twin_seconds(costs);
    (matches!(twin, Twin::Time) && seconds > TWIN_SECONDS)
        .then(|| format!("would take {:.0} min", seconds / 60.0))
}
