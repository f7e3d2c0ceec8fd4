//! A model from disk and data to apply it to: what `evaluate` and `predict` share.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use rarefy::data::{self, Batch, Dataset, Loaded, Preparation, Task};
use rarefy::kernels::Isa;
use rarefy::losses::best_path;
use rarefy::report::amount;
use rarefy::tiles::{LANES, Shape, Tiles};
use rarefy::train::{self, Model, Settings};

/// Samples of a batch.
const BATCH: usize = 256;

/// What the work runs on.
#[derive(clap::Args)]
pub struct MachineArgs {
    /// Instruction set: auto, scalar, avx2, avx512, neon
    #[arg(long, default_value = "auto")]
    isa: String,
    /// Threads; 0 for one per core. Results do not depend on it
    #[arg(long, default_value_t = 0)]
    threads: usize,
}

impl MachineArgs {
    /// The model's predictions for all samples, `samples x outputs`, row-major. Classes and labels get probabilities if
    /// the model's head gives any. `watch` sees each batch's outputs before they become predictions.
    pub fn predict(
        &self,
        model: &Model,
        dataset: &Dataset,
        mut watch: impl FnMut(Isa, &Batch, &Tiles) + Send,
    ) -> Result<Vec<f32>> {
        let mut predictions = Vec::with_capacity(dataset.len() * model.network.output().features());
        self.install(|isa| {
            train::predict(&model.network, isa, dataset, BATCH, |batch, outputs| {
                watch(isa, batch, outputs);
                for tile in 0..outputs.tiles() {
                    model.config.head.apply(outputs.tile_mut(tile));
                }
                for sample in 0..batch.samples {
                    predictions.extend((0..outputs.features()).map(|feature| outputs.at(sample, feature)));
                }
            });
        })?;
        Ok(predictions)
    }

    /// Runs `work` on this machine.
    pub fn install<R: Send>(&self, work: impl FnOnce(Isa) -> R + Send) -> Result<R> {
        let isa = Isa::named(&self.isa)?;
        let pool = train::thread_pool(self.threads)?;
        Ok(pool.install(|| work(isa)))
    }

    /// The labels that the model's best path gives each sample of a transcription, each from 1. `watch` sees each batch's
    /// outputs.
    pub fn transcribe(
        &self,
        model: &Model,
        dataset: &Dataset,
        mut watch: impl FnMut(Isa, &Batch, &Tiles) + Send,
    ) -> Result<Vec<Vec<u32>>> {
        let Shape { width: steps, channels: classes, .. } = model.network.output();
        let mut said = Vec::with_capacity(dataset.len());
        self.install(|isa| {
            train::predict(&model.network, isa, dataset, BATCH, |batch, outputs| {
                watch(isa, batch, outputs);
                for sample in 0..batch.samples {
                    let (tile, lane) = (sample / LANES, sample % LANES);
                    let real = outputs.real_steps(tile, steps)[lane] as usize;
                    said.push(best_path(outputs.tile(tile), classes, lane, real).collect());
                }
            });
        })?;
        Ok(said)
    }
}

/// Opens a model: a run's folder, or a `.safetensors` file.
pub fn open_model(path: &Path) -> Result<Model> {
    ensure!(
        path.exists(),
        "{}: there is no such file or folder; give a run's folder or a .safetensors file",
        path.display()
    );
    Ok(Model::open(path)?)
}

/// The folder that a model lies in: the run's folder, if it came from a run.
pub fn model_folder(model: &Path) -> PathBuf {
    let folder = if model.is_dir() { Some(model) } else { model.parent() };
    folder.unwrap_or(Path::new("")).to_path_buf()
}

/// The settings of the run in a model's folder; none if they are not there or of another version.
pub fn run_settings(model: &Path) -> Option<Settings> {
    toml::from_str(&std::fs::read_to_string(model_folder(model).join("config.toml")).ok()?).ok()
}

/// Reads new data for a model. What cannot be read is left out where `skip_bad` asks for it or the model was trained so.
pub fn load_new(
    model: &Path,
    preparation: &Preparation,
    path: &str,
    targets: bool,
    skip_bad: bool,
) -> Result<Loaded> {
    let load = match skip_bad || run_settings(model).is_some_and(|settings| settings.data.skip_bad) {
        true => data::load_readable,
        false => data::load_with,
    };
    Ok(load(preparation, path, targets)?)
}

/// A name for each output: the class, the label column, or `output_2`; of a transcription the units.
pub fn output_names(preparation: &Preparation) -> Vec<String> {
    if preparation.task == Task::Transcription {
        return preparation.classes.clone();
    }
    let name = |output: usize| {
        let label = match preparation.task {
            Task::Classification => preparation.classes.get(output).cloned(),
            _ => preparation.labels.get(output).map(|label| label.name.clone()),
        };
        label.unwrap_or_else(|| match preparation.task {
            Task::MultiLabel => format!("label_{}", output + 1),
            _ => format!("output_{}", output + 1),
        })
    };
    (0..preparation.outputs).map(name).collect()
}

/// How numbers to predict were scaled for the network, if they were.
pub fn targets_text(preparation: &Preparation) -> Option<String> {
    const NAMED: usize = 5;
    let scaler = &preparation.target_scaler;
    let ln = if scaler.is_log() { "ln " } else { "" };
    let names = output_names(preparation);
    let mut each: Vec<String> = (names.iter().enumerate().take(NAMED))
        .map(|(output, name)| {
            let (mean, deviation) = scaler.mean_and_deviation(output);
            format!("{ln}{name} {} ± {}", amount(mean), amount(deviation))
        })
        .collect();
    if names.len() > NAMED {
        each.push("...".into());
    }
    (!scaler.is_none()).then(|| format!("{}; to the network 0 ± 1", each.join(", ")))
}

/// The place of the highest of some numbers; of equal ones the first, as in training.
pub fn highest(row: &[f32]) -> usize {
    (1..row.len()).fold(0, |best, place| if row[place] > row[best] { place } else { best })
}
