//! How many runs go on at once. As many as there are cores, because one thread a run wastes the least, but no more than
//! fit into memory: for each run its samples, its network as if every connection existed, with gradients, two numbers of
//! optimizer state and a copy to keep, and the activations of a batch.

use crate::data::{self, DataSettings, Fold, Splits};
use crate::layers::NetworkSpec;
use crate::machine::free_memory_bytes;
use crate::train::Settings;
use crate::{Error, Result};

use super::Task;

/// Bytes of a run beside its samples, network and activations: batches, the program's share.
const FIXED_BYTES: u64 = 64 << 20;
/// Copies of a weight: value, gradient, two of optimizer state, the model kept.
const COPIES: u64 = 5;
/// Samples of a batch when predicting.
const PREDICT_BATCH: usize = 256;
/// Copies of the samples at most: as read, prepared, and on the way from one to the other.
const SAMPLE_COPIES: u64 = 3;

/// How the runs share the machine.
pub struct Jobs {
    /// Runs at the same time.
    pub count: usize,
    /// Threads of a run that asks for none itself; where all ask, the most of any.
    pub threads: usize,
    /// Why so many, for a person.
    pub reason: String,
}

/// Reads every source once, so that what is wrong with data shows before anything is trained, and shares the machine out.
///
/// # Errors
/// Data that cannot be used or has no test part.
pub fn share(tasks: &[Task<'_>], asked: Option<usize>) -> Result<Jobs> {
    let bytes = largest(tasks)?;
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    // A run that says how many threads it wants takes them all.
    let widest = tasks.iter().map(|task| task.run.settings.threads).max().unwrap_or(0).max(1);
    let by_cores = (cores / widest).max(1);
    let of_cores = format!("{cores} cores");
    let (count, reason) = match (asked, free_memory_bytes()) {
        (Some(asked), _) => (asked.min(tasks.len()), format!("asked for, {of_cores}")),
        (None, None) => (1, "free memory is not known here; ask for more if there is".into()),
        (None, Some(available)) => {
            // A fifth stays free for what else goes on.
            let by_memory = (available / 5 * 4 / bytes) as usize;
            let fit = by_memory.max(1).min(by_cores);
            let needs =
                format!("{of_cores}, up to {} a run, {} free", gigabytes(bytes), gigabytes(available));
            (fit.min(tasks.len()), needs)
        }
    };
    let count = count.max(1);
    let all_ask = tasks.iter().all(|task| task.run.settings.threads > 0);
    Ok(Jobs { count, threads: if all_ask { widest } else { (cores / count).max(1) }, reason })
}

/// The most bytes that any of the runs may need.
fn largest(tasks: &[Task<'_>]) -> Result<u64> {
    let mut sources: Vec<(&Settings, Splits)> = Vec::new();
    let mut seen: Vec<&Settings> = Vec::new();
    let mut most = 0;
    for task in tasks {
        let settings = &task.run.settings;
        // All folds are of one size, and what is wrong with one is told when any of them is read.
        if sources.last().is_none_or(|(known, _)| first_fold(known) != first_fold(settings)) {
            let splits = data::load(&settings.data, settings.seed)?;
            if splits.test.is_none() {
                let problem = format!(
                    "{} has no test part to compare on; set it above 0, or data.test_path",
                    settings.data.path
                );
                return Err(Error::setting("data.test_fraction", problem));
            }
            // Only the last one stays in memory; the order of rows keeps those of one source together often enough.
            sources = vec![(settings, splits)];
        }
        let splits = &sources[0].1;
        let spec = settings.network_for(&splits.train)?;
        let size = |settings: &Settings| {
            (settings.network.clone(), settings.train.batch_size_for(splits.train.len()))
        };
        let is_alike =
            |other: &&Settings| first_fold(other) == first_fold(settings) && size(other) == size(settings);
        if !seen.iter().any(is_alike) {
            most = most.max(run_bytes(&spec, size(settings).1, splits)?);
            seen.push(settings);
        }
    }
    Ok(most)
}

/// The same samples, tested on the first of their folds.
fn first_fold(settings: &Settings) -> DataSettings {
    let fold = settings.data.fold.map(|Fold { of, .. }| Fold { number: 1, of });
    DataSettings { fold, ..settings.data.clone() }
}

fn run_bytes(spec: &NetworkSpec, batch_size: usize, splits: &Splits) -> Result<u64> {
    let shapes = spec.weight_shapes()?;
    let weights: usize = shapes.iter().map(|it| it.rows * (it.cols + 1)).sum();
    let sums: usize = shapes.iter().map(|it| it.sum_bytes(batch_size, it.cells())).sum();
    // The run and its validation keep buffers of their own.
    let buffers = spec.buffer_bytes(batch_size, true)? + spec.buffer_bytes(PREDICT_BATCH, false)? + sums;
    let parts = [Some(&splits.train), splits.validation.as_ref(), splits.test.as_ref()];
    let samples: usize = parts.into_iter().flatten().map(|part| part.len()).sum();
    // A label is a number of four bytes too.
    let numbers = COPIES * weights as u64 + SAMPLE_COPIES * (samples * (splits.train.inputs() + 1)) as u64;
    Ok(FIXED_BYTES + buffers as u64 + 4 * numbers)
}

fn gigabytes(bytes: u64) -> String {
    format!("{:.1} GB", bytes as f64 / 1e9)
}
