//! A run from its start (or its last checkpoint) to its end, and the files that it leaves.

use std::path::Path;
use std::sync::Arc;

use super::assemble::{build_loss, drawn, engine};
use super::checkpoint::{self, Checkpoint, Position};
use super::directory::RunDirectory;
use super::machine::processor;
use super::model::{Model, ModelConfig, save_model};
use super::plan::Plan;
use super::record::{Control, Ending, Event, Outcome};
use super::settings::DEFAULT_BATCH;
use super::timing::median;
use super::{Engine, LanguageScore, NumberScore, Score, Settings};
use super::{check_transcripts, evaluate, evaluate_numbers, thread_pool};
use crate::data::{self, Augmentation, Dataset, Splits, Task};
use crate::kernels::Isa;
use crate::layers::{Network, NetworkSpec};
use crate::losses::{self, Loss, LossSettings};
use crate::optimizers::{Method, Schedule};
use crate::sparse;
use crate::topology::Topology;
use crate::{Error, Result};

/// A run under way.
pub struct Run {
    pub(super) settings: Settings,
    pub(super) directory: Option<RunDirectory>,
    pub(super) splits: Arc<Splits>,
    pub(super) fingerprint: u64,
    pub(super) engine: Engine,
    pub(super) loss: Loss,
    /// What other parts are scored by: the loss; for a language model the plain one, by which its figures are defined.
    pub(super) judge: Loss,
    pub(super) schedule: Schedule,
    /// Epochs after which the schedule starts again: those of the run, or those of each lambda of a path.
    pub(super) schedule_epochs: u64,
    pub(super) isa: Isa,
    pub(super) position: Position,
    pub(super) notes: Vec<String>,
    pub(super) pool: Arc<rayon::ThreadPool>,
}

impl Run {
    /// A new run; `directory` is where it is saved, `None` keeps it in memory.
    ///
    /// # Errors
    /// Settings or data that cannot be used; a folder that holds a run.
    pub fn start(settings: Settings, directory: Option<&Path>) -> Result<Run> {
        settings.check()?;
        let pool = Arc::new(thread_pool(settings.threads)?);
        let splits = Arc::new(pool.install(|| data::load(&settings.data, settings.seed))?);
        let mut run = Run::new(settings, splits, None, pool, drawn)?;
        // Only now, so that settings that do not fit the data leave no empty folder.
        run.directory = directory.map(RunDirectory::create).transpose()?;
        if let Some(directory) = &run.directory {
            let environment = serde_json::json!({
                "rarefy": env!("CARGO_PKG_VERSION"), "os": std::env::consts::OS, "processor": processor(),
                "isa": run.isa.name(), "threads": run.threads(),
            });
            directory.write("environment.json", &format!("{environment:#}\n"))?;
            run.save_checkpoint()?;
            directory.write_settings(&run.settings)?;
        }
        Ok(run)
    }

    /// A run that goes on from its last checkpoint, bit for bit. `adjust` may change settings that do not change
    /// results (threads).
    ///
    /// # Errors
    /// No checkpoint, one of other settings or data, a broken one.
    pub fn resume(directory: &Path, adjust: impl FnOnce(&mut Settings)) -> Result<Run> {
        let folder = RunDirectory::open(directory)?;
        let checkpoint = Checkpoint::read(directory)?;
        checkpoint.check_config(directory)?;
        let mut settings = checkpoint.settings.clone();
        adjust(&mut settings);
        settings.check()?;
        let pool = Arc::new(thread_pool(settings.threads)?);
        let splits = Arc::new(pool.install(|| data::load(&settings.data, settings.seed))?);
        let fingerprint = splits.fingerprint();
        let mut run = Run::new(settings, splits, Some(folder), pool, |settings, spec, _, _| {
            checkpoint.network(settings, fingerprint, spec)
        })?;
        checkpoint.check_position(run.steps_per_epoch())?;
        checkpoint.restore(&mut run.engine)?;
        run.notes.extend(checkpoint.other_isa(run.isa));
        run.position = checkpoint.position;
        let folder = run.directory.as_ref().expect("opened above");
        folder.truncate_metrics(run.position.metrics)?;
        // A start may have been killed before it came to that.
        if !directory.join("config.toml").exists() {
            folder.write_settings(&run.settings)?;
        }
        Ok(run)
    }

    pub(super) fn new(
        mut settings: Settings,
        splits: Arc<Splits>,
        directory: Option<RunDirectory>,
        pool: Arc<rayon::ThreadPool>,
        network: impl FnOnce(&Settings, &NetworkSpec, &Topology, &Plan) -> Result<Network>,
    ) -> Result<Run> {
        let samples = splits.train.len();
        let batch_size = settings.train.batch_size_for(samples);
        if batch_size > samples {
            let problem = format!("{batch_size} is more than the {samples} training samples; lower it");
            return Err(Error::setting("train.batch_size", problem));
        }
        if settings.optimizer.method() == Method::BarzilaiBorwein && batch_size < samples {
            let problem =
                format!("barzilai-borwein needs the whole training part in a batch: set it to {samples}");
            return Err(Error::setting("train.batch_size", problem));
        }
        let mut notes = Vec::new();
        if settings.train.batch_size.is_none() && batch_size < DEFAULT_BATCH {
            notes.push(format!("batches of {batch_size} samples, for there are but {samples} to train on"));
        }
        settings.train.batch_size = Some(batch_size);
        let isa = Isa::named(&settings.isa)?;
        let loss = build_loss(&settings, &splits)?;
        let judge = match splits.preparation.task {
            Task::LanguageModel => {
                LossSettings::default().build(losses::Task::Classification { counts: &[] })?
            }
            _ => loss.clone(),
        };
        let engine = engine(&settings, &splits, isa, &loss, network)?;
        let lost = splits.augmentation.as_ref().map_or(0, Augmentation::most_steps_lost);
        check_transcripts(&engine.network, &splits.preparation, &splits.train, lost)?;
        for part in splits.validation.iter().chain(&splits.test) {
            check_transcripts(&engine.network, &splits.preparation, part, 0)?;
        }
        let fingerprint = splits.fingerprint();
        let schedule = settings.schedule.build(settings.optimizer.method())?;
        let position = Position::default();
        let schedule_epochs = settings.train.epochs;
        Ok(Run {
            settings,
            directory,
            splits,
            fingerprint,
            engine,
            loss,
            judge,
            schedule,
            schedule_epochs,
            isa,
            position,
            notes,
            pool,
        })
    }

    /// Back to the start, with zeros staying as long as they do.
    ///
    /// # Errors
    /// As of [`Run::start`]; in practice none.
    pub(super) fn begin_again(&mut self) -> Result<()> {
        let mut engine = engine(&self.settings, &self.splits, self.isa, &self.loss, drawn)?;
        engine.sparsifier.zeros = self.engine.sparsifier.zeros;
        (self.engine, self.position) = (engine, Position::default());
        Ok(())
    }

    /// What whoever runs it should know.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Writes a small text file into the run's folder, if it has one, in one go.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, name: &str, text: &str) -> Result<()> {
        self.directory.as_ref().map_or(Ok(()), |directory| directory.write(name, text))
    }

    /// The settings as resolved.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The parts of the data.
    pub fn splits(&self) -> &Splits {
        &self.splits
    }

    /// The network as it is now.
    pub fn network(&self) -> &Network {
        &self.engine.network
    }

    /// The instruction set.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Threads at work.
    pub fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// Runs `work` in the run's threads.
    pub fn in_pool<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.pool.install(work)
    }

    /// Samples of a mini-batch.
    pub fn batch_size(&self) -> usize {
        self.settings.train.batch_size_for(self.splits.train.len())
    }

    /// Steps of an epoch.
    pub fn steps_per_epoch(&self) -> u64 {
        self.splits.train.len().div_ceil(self.batch_size()) as u64
    }

    /// Epochs done before this sitting.
    pub fn epochs_done(&self) -> u64 {
        self.position.epoch
    }

    /// Trains to the end, telling `watch` of every step and epoch.
    ///
    /// # Errors
    /// A loss that is not finite; a file that cannot be written.
    pub fn train(&mut self, watch: &mut (dyn FnMut(Event<'_>) -> Control + Send)) -> Result<Outcome> {
        self.in_own_pool(|run| {
            let (ending, times) = run.train_to(run.settings.train.epochs, watch)?;
            if ending == Ending::Interrupted {
                run.save_checkpoint()?;
            }
            run.outcome(ending, times)
        })
    }

    /// Changes the run in its own threads.
    pub(super) fn in_own_pool<R: Send>(&mut self, work: impl FnOnce(&mut Run) -> R + Send) -> R {
        // What runs in the pool needs the whole run.
        let pool = self.pool.clone();
        pool.install(|| work(self))
    }

    fn outcome(&mut self, ending: Ending, times: Vec<f64>) -> Result<Outcome> {
        let kept = self.position.best.filter(|_| self.settings.train.keep_best).map(|(epoch, _)| epoch);
        let training_bytes = self.engine.bytes();
        // The kept model comes from its file, beside the network that was trained.
        self.engine.rest();
        // Without a best epoch to keep, the last state is the model.
        self.engine.swap_average();
        let last = self.engine.model();
        let network = last.as_ref().unwrap_or(&self.engine.network);
        if kept.is_none() {
            self.save_model(network)?;
        }
        let model = match &self.directory {
            Some(directory) => Model::open(directory.path())?,
            None => self.model(network)?,
        };
        self.engine.swap_average();
        let found = self.splits.test.as_ref().map(|dataset| self.evaluate(&model.network, dataset));
        let test = found.map(|(score, _)| score);
        let seconds_per_epoch = median(times);
        Ok(Outcome {
            ending,
            epochs: self.position.epoch,
            best_epoch: kept,
            seconds_per_epoch,
            step_ms: seconds_per_epoch.map(|seconds| 1e3 * seconds / self.steps_per_epoch() as f64),
            test,
            test_numbers: found.and_then(|(_, numbers)| numbers),
            test_language: test.and_then(|score| self.language_score("test", &score)),
            model_bytes: super::model_bytes(&model.network),
            training_bytes,
            model,
        })
    }

    /// The loss and accuracy of a network on a data set, in the run's threads, and for regression its errors in the unit of the targets.
    /// The loss of a language model is the plain one.
    pub fn evaluate(&self, network: &Network, dataset: &Dataset) -> (Score, Option<NumberScore>) {
        let preparation = &self.splits.preparation;
        if preparation.task == Task::Regression {
            let scaler = &preparation.target_scaler;
            let (score, numbers) = evaluate_numbers(network, self.isa, &self.judge, dataset, scaler);
            return (score, Some(numbers));
        }
        (evaluate(network, self.isa, &self.judge, dataset), None)
    }

    /// The score on a part of a language model's text in its own figures; none for other tasks.
    pub(super) fn language_score(&self, part: &str, score: &Score) -> Option<LanguageScore> {
        self.splits.characters(part).map(|characters| LanguageScore::new(score, characters))
    }

    /// Bytes of weights, index, gradients and optimizer state.
    pub fn training_bytes(&self) -> usize {
        self.engine.bytes()
    }

    /// The share of right predictions, for classification.
    pub fn accuracy(&self, score: &Score) -> Option<f64> {
        (self.splits.preparation.task == Task::Classification).then(|| score.accuracy())
    }

    /// Wrong labels for each that there should be, for transcription.
    pub fn label_error_rate(&self, score: &Score) -> Option<f64> {
        (self.splits.preparation.task == Task::Transcription).then(|| score.label_error_rate())
    }

    fn config(&self, network: &Network) -> ModelConfig {
        ModelConfig::new(network, self.loss.head(), self.splits.preparation.clone())
    }

    fn model(&self, network: &Network) -> Result<Model> {
        Ok(Model::new(network.copy(sparse::Storage::Auto), self.config(network)))
    }

    pub(super) fn save_model(&self, network: &Network) -> Result<()> {
        if let Some(directory) = &self.directory {
            save_model(directory.path(), network, &self.config(network))?;
        }
        Ok(())
    }

    pub(super) fn save_checkpoint(&self) -> Result<()> {
        match &self.directory {
            Some(directory) => checkpoint::save(
                directory.path(),
                &self.engine,
                &self.settings,
                self.fingerprint,
                &self.position,
            ),
            None => Ok(()),
        }
    }
}
