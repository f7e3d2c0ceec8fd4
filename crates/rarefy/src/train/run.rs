//! A run: a trainer with a folder, from its start (or its last checkpoint) to its end.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::Settings;
use super::checkpoint::{self, Checkpoint, checkpoint_path};
use super::directory::RunDirectory;
use super::keep::{Keep, State};
use super::machine::processor;
use super::model::{Model, ModelConfig, save_model};
use super::record::{Ending, EpochRecord, Outcome, Watch};
use super::trainer::{Trainer, TrainerBuilder};
use crate::data::Splits;
use crate::layers::{LayerKinds, Network};
use crate::{Error, Result};

/// A [`Trainer`] whose settings, figures, best model and state are saved in a folder, so that it can go on where it was
/// interrupted or killed, bit for bit.
///
/// | file | what |
/// |---|---|
/// | `config.toml` | the settings as resolved |
/// | `environment.json` | version, processor, instruction set, threads |
/// | `metrics.jsonl` | one line per epoch ([`EpochRecord`]) |
/// | `model.safetensors`, `config.json` | the best model so far ([`Model`]) |
/// | `checkpoint.safetensors` | all that the run needs to go on, written after each epoch and every `train.checkpoint_minutes` |
pub struct Run {
    trainer: Trainer,
    files: Option<Files>,
}

impl Run {
    /// A new run on the data that the settings name; `directory` is where it is saved, `None` saves nothing.
    ///
    /// # Errors
    /// Settings or data that cannot be used; a folder that holds a run.
    pub fn start(settings: Settings, directory: Option<&Path>) -> Result<Run> {
        Run::begin(Trainer::builder_on_files(settings)?, directory)
    }

    /// A new run on data in memory; `directory` is where it is saved. It says `data.path = "memory"` there, and cannot be
    /// resumed from the folder alone.
    ///
    /// # Errors
    /// Settings that cannot be used or do not fit the data; a folder that holds a run.
    pub fn start_on(
        mut settings: Settings,
        splits: impl Into<Arc<Splits>>,
        directory: Option<&Path>,
    ) -> Result<Run> {
        settings.data.path = MEMORY.into();
        Run::begin(Trainer::builder(settings, splits), directory)
    }

    fn begin(builder: TrainerBuilder, directory: Option<&Path>) -> Result<Run> {
        let trainer = builder.build()?;
        // Only now, so that settings that do not fit the data leave no empty folder.
        let directory = directory.map(RunDirectory::create).transpose()?;
        let files = match directory {
            None => None,
            Some(directory) => {
                let environment = serde_json::json!({
                    "rarefy": env!("CARGO_PKG_VERSION"), "os": std::env::consts::OS, "processor": processor(),
                    "isa": trainer.isa().name(), "threads": trainer.threads(),
                });
                directory.write("environment.json", &format!("{environment:#}\n"))?;
                let mut files = Files::new(directory, trainer.splits().fingerprint());
                files.save(&trainer.state())?;
                files.directory.write_settings(trainer.settings())?;
                Some(files)
            }
        };
        Ok(Run { trainer, files })
    }

    /// A run that goes on from its last checkpoint, bit for bit. `adjust` may change settings that do not change
    /// results (threads), and `train.epochs`, as [`Trainer::set_epochs`] does: the learning-rate schedule, the topology method and
    /// the penalty then go on as in a run that was planned for so many; a note says what that makes of the learning rate.
    ///
    /// # Errors
    /// No checkpoint, one of other settings or data, a broken one; a run on data in memory, which is gone; other epochs where
    /// more are done, where the run has stopped early, or where a target has been reached.
    pub fn resume(directory: &Path, adjust: impl FnOnce(&mut Settings)) -> Result<Run> {
        let folder = RunDirectory::open(directory)?;
        let checkpoint = Checkpoint::read(directory)?;
        let mut settings = checkpoint.settings_in(directory)?;
        if settings.data.path == MEMORY {
            let problem = "is \"memory\": the run was on data in memory, which is gone; start a new run";
            return Err(Error::setting("data.path", problem));
        }
        adjust(&mut settings);
        let builder = Trainer::builder_on_files(settings)?;
        let fingerprint = builder.splits().fingerprint();
        let spec = builder.settings().network_for(&builder.splits().train)?;
        let network = checkpoint.network(builder.settings(), fingerprint, &spec)?;
        let mut trainer = builder.saved_network(network, checkpoint.position.floor).build()?;
        checkpoint.check_position(trainer.steps_per_epoch())?;
        checkpoint.restore(&mut trainer.engine)?;
        trainer.notes.extend(checkpoint.other_isa(trainer.isa()));
        let epochs = trainer.settings().train.epochs;
        let is_replanned = epochs != checkpoint.settings.train.epochs;
        if is_replanned {
            checkpoint.check_epochs(epochs, trainer.steps_per_epoch())?;
        }
        trainer.go_to(checkpoint.position);
        if is_replanned {
            trainer.note_new_plan(checkpoint.settings.train.epochs)?;
        }
        folder.truncate_metrics(trainer.epochs_done() as usize)?;
        // A start may have been killed before it came to that. Epochs are taken from there, so it is written first.
        if is_replanned || !directory.join("config.toml").exists() {
            folder.write_settings(trainer.settings())?;
        }
        if is_replanned {
            checkpoint::save(directory, &trainer.state(), fingerprint)?;
        }
        Ok(Run { trainer, files: Some(Files::new(folder, fingerprint)) })
    }

    /// Trains to the end, telling `watch` of every step and epoch.
    ///
    /// # Errors
    /// A loss that is not finite; a file that cannot be written.
    pub fn train(&mut self, watch: &mut Watch<'_>) -> Result<Outcome> {
        match &mut self.files {
            None => self.trainer.train(watch),
            Some(files) => self.trainer.in_own_pool(|trainer| files.train(trainer, watch)),
        }
    }

    /// What has trained, without the folder: others may go on there.
    pub fn into_trainer(self) -> Trainer {
        self.trainer
    }

    /// What trains.
    pub fn trainer(&self) -> &Trainer {
        &self.trainer
    }

    /// What trains, to be timed.
    pub fn trainer_mut(&mut self) -> &mut Trainer {
        &mut self.trainer
    }

    /// Writes a small text file into the run's folder, if it has one, in one go.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, name: &str, text: &str) -> Result<()> {
        self.files.as_ref().map_or(Ok(()), |files| files.directory.write(name, text))
    }
}

/// What a run on data in memory says of where its data comes from.
const MEMORY: &str = "memory";

/// The files of a run.
struct Files {
    directory: RunDirectory,
    /// Tells whether the data is still the same.
    fingerprint: u64,
    last_save: Instant,
}

impl Files {
    fn new(directory: RunDirectory, fingerprint: u64) -> Files {
        Files { directory, fingerprint, last_save: Instant::now() }
    }

    fn train(&mut self, trainer: &mut Trainer, watch: &mut Watch<'_>) -> Result<Outcome> {
        let epochs = trainer.settings().train.epochs;
        let (ending, times) = trainer.train_to(epochs, self, watch).map_err(|error| match error {
            Error::Diverged { step, what, .. } => {
                Error::Diverged { step, what, checkpoint: Some(checkpoint_path(self.directory.path())) }
            }
            other => other,
        })?;
        if ending == Ending::Interrupted {
            self.save(&trainer.state())?;
        }
        trainer.outcome(ending, times, self)
    }

    /// Writes the checkpoint.
    fn save(&mut self, state: &State<'_>) -> Result<()> {
        checkpoint::save(self.directory.path(), state, self.fingerprint)?;
        self.last_save = Instant::now();
        Ok(())
    }
}

impl Keep for Files {
    fn keep(&mut self, network: &Network, config: ModelConfig) -> Result<()> {
        save_model(self.directory.path(), network, &config)
    }

    fn kept(&self, kinds: &LayerKinds) -> Result<Model> {
        Model::open_with(self.directory.path(), kinds)
    }

    fn has_kept(&self) -> bool {
        self.directory.path().join("model.safetensors").exists()
    }

    fn after_step(&mut self, state: State<'_>) -> Result<()> {
        if self.last_save.elapsed().as_secs_f64() > 60.0 * state.settings.train.checkpoint_minutes {
            self.save(&state)?;
        }
        Ok(())
    }

    fn after_epoch(&mut self, state: State<'_>, record: &EpochRecord) -> Result<()> {
        self.directory.append_metrics(record)?;
        self.save(&state)
    }
}
