//! A run: a trainer with a folder, from its start (or its last checkpoint) to its end.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Settings;
use super::checkpoint::{self, Checkpoint, checkpoint_path};
use super::directory::RunDirectory;
use super::keep::{Keep, State};
use super::memory;
use super::model::{Model, ModelConfig, save_model};
use super::record::{Ending, EpochRecord, Outcome, Watch};
use super::trainer::{Trainer, TrainerBuilder};
use crate::data::Splits;
use crate::distributed::{Comm, Solo};
use crate::layers::{LayerKinds, Network};
use crate::machine::processor;
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
    /// Dropped first: the folder is free before other ranks learn that this one is gone.
    files: Option<Files>,
    trainer: Trainer,
}

impl Run {
    /// A new run on the data that the settings name; `directory` is where it is saved, `None` saves nothing.
    ///
    /// # Errors
    /// Settings or data that cannot be used; a folder that holds a run.
    pub fn start(settings: Settings, directory: Option<&Path>) -> Result<Run> {
        Run::start_with(settings, directory, Arc::new(Solo))
    }

    /// A new run of several ranks, each of which starts one of the same settings ([`TrainerBuilder::comm`]); rank 0 alone writes to
    /// `directory`.
    ///
    /// # Errors
    /// As for [`Run::start`] and [`TrainerBuilder::build`].
    pub fn start_with(settings: Settings, directory: Option<&Path>, comm: Arc<dyn Comm>) -> Result<Run> {
        let directory = directory.filter(|_| comm.rank() == 0);
        Run::begin(Trainer::builder_on_files(settings, comm)?, directory)
    }

    /// The run in `directory`, gone on with by the ranks that are left when others were lost ([`Error::Lost`]): from its last checkpoint as by
    /// [`Run::resume_with`], or from the start where there is none yet, by the settings that began it (`None` for a run that was resumed). Rank
    /// 0, which may be another one than before, reads and writes the folder. A rank that gets no samples of a full batch idles until
    /// it is needed.
    ///
    /// ```text
    /// loop {
    ///     match run.train(watch) {
    ///         Err(Error::Lost { .. }) => run = Run::go_on_with(settings, directory, shrunk(comm)),
    ///         other => break other,
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// As for [`Run::start_with`] and [`Run::resume_with`]; fewer ranks than the settings can do with.
    pub fn go_on_with(
        settings: Option<&Settings>,
        directory: &Path,
        comm: Arc<dyn Comm>,
        adjust: impl FnOnce(&mut Settings),
    ) -> Result<Run> {
        if comm.rank() == 0 {
            RunDirectory::wait_until_free(directory, LEASE);
        }
        let mut has_checkpoint = vec![u8::from(comm.rank() == 0 && checkpoint_path(directory).exists())];
        comm.broadcast(&mut has_checkpoint, 0)?;
        let Some(settings) = settings.filter(|_| has_checkpoint == [0]) else {
            return Run::resume_by(directory, comm, adjust, true);
        };
        let directory = Some(directory).filter(|_| comm.rank() == 0);
        Run::begin(Trainer::builder_on_files(settings.clone(), comm)?.ranks_may_idle(true), directory)
    }

    /// A new run on data in memory; `directory` is where it is saved. It says `data.path = "memory"` there, and cannot be
    /// resumed from the folder alone.
    ///
    /// # Errors
    /// Settings that cannot be used or do not fit the data; a folder that holds a run.
    pub fn start_on(
        settings: Settings,
        splits: impl Into<Arc<Splits>>,
        directory: Option<&Path>,
    ) -> Result<Run> {
        Run::start_on_with(settings, splits, directory, Arc::new(Solo))
    }

    /// A new run of several ranks on data in memory, as [`Run::start_with`] is one on files.
    ///
    /// # Errors
    /// As for [`Run::start_on`] and [`TrainerBuilder::build`].
    pub fn start_on_with(
        mut settings: Settings,
        splits: impl Into<Arc<Splits>>,
        directory: Option<&Path>,
        comm: Arc<dyn Comm>,
    ) -> Result<Run> {
        settings.data.path = MEMORY.into();
        let directory = directory.filter(|_| comm.rank() == 0);
        Run::begin(Trainer::builder(settings, splits).comm(comm), directory)
    }

    fn begin(builder: TrainerBuilder, directory: Option<&Path>) -> Result<Run> {
        let mut trainer = builder.build()?;
        trainer.gather()?;
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
                files.save(trainer.state())?;
                files.directory.write_settings(trainer.settings())?;
                Some(files)
            }
        };
        Ok(Run { trainer, files })
    }

    /// A run that goes on from its last checkpoint, bit for bit, in one rank; see [`Run::resume_with`].
    ///
    /// # Errors
    /// As for [`Run::resume_with`].
    pub fn resume(directory: &Path, adjust: impl FnOnce(&mut Settings)) -> Result<Run> {
        Run::resume_with(directory, Arc::new(Solo), adjust)
    }

    /// A run that goes on from its last checkpoint, bit for bit, in as many ranks as like; rank 0 alone reads and writes the
    /// folder. `adjust` may change settings that do not change
    /// results (threads), and `train.epochs`, as [`Trainer::set_epochs`] does: the learning-rate schedule, the topology method and
    /// the penalty then go on as in a run that was planned for so many; a note says what that makes of the learning rate.
    ///
    /// # Errors
    /// No checkpoint, one of other settings or data, a broken one; a run on data in memory, which is gone; other epochs where
    /// more are done, where the run has stopped early, or where a target has been reached.
    pub fn resume_with(
        directory: &Path,
        comm: Arc<dyn Comm>,
        adjust: impl FnOnce(&mut Settings),
    ) -> Result<Run> {
        Run::resume_by(directory, comm, adjust, false)
    }

    fn resume_by(
        directory: &Path,
        comm: Arc<dyn Comm>,
        adjust: impl FnOnce(&mut Settings),
        may_idle: bool,
    ) -> Result<Run> {
        let is_first = comm.rank() == 0;
        let folder = if is_first { Some(RunDirectory::open(directory)?) } else { None };
        let told = if comm.size() > 1 { Some(Told::by_first(directory, &*comm)?) } else { None };
        let (checkpoint, mut settings) = match &told {
            None => {
                let checkpoint = Checkpoint::read(directory)?;
                let settings = checkpoint.settings_in(directory)?;
                (checkpoint, settings)
            }
            Some(told) => (Checkpoint::of_bytes(directory, &told.checkpoint)?, told.settings.clone()),
        };
        if settings.data.path == MEMORY {
            let problem = "is \"memory\": the run was on data in memory, which is gone; start a new run";
            return Err(Error::setting("data.path", problem));
        }
        adjust(&mut settings);
        let builder = Trainer::builder_on_files(settings, comm)?.ranks_may_idle(may_idle);
        let fingerprint = builder.splits().fingerprint();
        let spec = builder.settings().network_for(&builder.splits().train)?;
        memory::check_saved(builder.settings(), checkpoint.bytes())?;
        let network = checkpoint.network(builder.settings(), fingerprint, &spec)?;
        let mut trainer = builder.saved_network(network, checkpoint.position.clone()).build()?;
        checkpoint.check_position(trainer.steps_per_epoch())?;
        let batch_size = trainer.batch_size();
        let first = trainer.engine.ranks.share(batch_size, batch_size).first;
        checkpoint.restore(&mut trainer.engine, &mut trainer.exchange, first)?;
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
        trainer.gather()?;
        let Some(folder) = folder else {
            if let Some(model) = told.as_ref().and_then(|told| told.model.as_ref()) {
                trainer.remember(Model::from_bytes_with(model, &trainer.network().spec().kinds())?);
            }
            return Ok(Run { trainer, files: None });
        };
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

/// How long the lock on a folder may outlive a rank: a file server keeps that of a machine that is gone for 90 s (NFSv4).
const LEASE: Duration = Duration::from_secs(100);

/// What rank 0 tells the others of a run that goes on: they need not see its folder.
struct Told {
    checkpoint: Vec<u8>,
    settings: Settings,
    /// The model that was kept last.
    model: Option<Vec<u8>>,
}

impl Told {
    fn by_first(directory: &Path, comm: &dyn Comm) -> Result<Told> {
        let (mut checkpoint, mut settings, mut model) = (Vec::new(), Vec::new(), Vec::new());
        if comm.rank() == 0 {
            let path = checkpoint_path(directory);
            settings = serde_json::to_vec(&Checkpoint::read(directory)?.settings_in(directory)?)
                .expect("settings are plain data");
            checkpoint = std::fs::read(&path).map_err(Error::io(&path, "cannot read"))?;
            if has_model(directory) {
                model = Model::open(directory)?.to_bytes();
            }
        }
        for bytes in [&mut checkpoint, &mut settings, &mut model] {
            comm.broadcast(bytes, 0)?;
        }
        let settings = serde_json::from_slice(&settings).expect("rank 0 wrote it");
        Ok(Told { checkpoint, settings, model: Some(model).filter(|model| !model.is_empty()) })
    }
}

/// Whether a model was kept in a run's folder.
fn has_model(directory: &Path) -> bool {
    directory.join("model.safetensors").exists()
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
            self.save(trainer.state())?;
        }
        trainer.outcome(ending, times, self)
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
        has_model(self.directory.path())
    }

    fn is_due(&self, settings: &Settings) -> bool {
        self.last_save.elapsed().as_secs_f64() > 60.0 * settings.train.checkpoint_minutes
    }

    fn save(&mut self, state: State<'_>) -> Result<()> {
        checkpoint::save(self.directory.path(), &state, self.fingerprint)?;
        self.last_save = Instant::now();
        Ok(())
    }

    fn after_epoch(&mut self, state: State<'_>, record: &EpochRecord) -> Result<()> {
        self.directory.append_metrics(record)?;
        self.save(state)
    }
}
