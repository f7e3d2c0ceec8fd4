//! A run from its start (or its last checkpoint) to its end: epochs, validation, the best model, checkpoints.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::assemble::{build_loss, drawn, engine};
use super::checkpoint::{self, Checkpoint, Position, checkpoint_path};
use super::directory::RunDirectory;
use super::machine::processor;
use super::model::{Model, ModelConfig, save_model};
use super::plan::Plan;
use super::record::{Control, Ending, EpochRecord, Event, Outcome};
use super::settings::DEFAULT_BATCH;
use super::{Engine, LanguageScore, NumberScore, Progress, Score, Settings};
use super::{check_transcripts, evaluate_numbers, predict, score, thread_pool};
use crate::data::{self, Augmentation, Batch, Dataset, Splits, Task, epoch_order, run_order};
use crate::kernels::Isa;
use crate::layers::{Network, NetworkSpec, Pass};
use crate::losses::{self, Loss, LossSettings};
use crate::optimizers::{Method, Schedule};
use crate::sparse;
use crate::tiles::LANES;
use crate::topology::Topology;
use crate::{Error, Result};

/// Samples of a batch when predicting.
const PREDICT_BATCH: usize = 256;

/// A run under way.
pub struct Run {
    settings: Settings,
    directory: Option<RunDirectory>,
    pub(super) splits: Arc<Splits>,
    fingerprint: u64,
    pub(super) engine: Engine,
    pub(super) loss: Loss,
    /// What other parts are scored by: the loss; for a language model the plain one, by which its figures are defined.
    judge: Loss,
    schedule: Schedule,
    /// Epochs after which the schedule starts again: those of the run, or those of each lambda of a path.
    pub(super) schedule_epochs: u64,
    isa: Isa,
    position: Position,
    notes: Vec<String>,
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

    /// Trains until `epochs` are done, and says how that ended and how long each whole epoch took.
    pub(super) fn train_to(
        &mut self,
        epochs: u64,
        watch: &mut (dyn FnMut(Event<'_>) -> Control + Send),
    ) -> Result<(Ending, Vec<f64>)> {
        let mut times = Vec::new();
        let mut ending = Ending::Finished;
        while self.position.epoch < epochs {
            // Before the epoch and not after it, so that a run that had stopped does not go on when it is resumed.
            if self.is_out_of_patience() {
                ending = Ending::EarlyStopped;
                break;
            }
            let whole_epoch = self.position.step.is_multiple_of(self.steps_per_epoch());
            let start = Instant::now();
            if self.train_epoch(watch)? == Control::Stop {
                ending = Ending::Interrupted;
                break;
            }
            let seconds = start.elapsed().as_secs_f64();
            if whole_epoch {
                times.push(seconds);
            }
            let record = self.finish_epoch(seconds)?;
            if watch(Event::Epoch(&record)) == Control::Stop && self.position.epoch < epochs {
                ending = Ending::Interrupted;
                break;
            }
        }
        Ok((ending, times))
    }

    /// The rest of the epoch under way. The next batch is gathered while a step is computed.
    fn train_epoch(&mut self, watch: &mut (dyn FnMut(Event<'_>) -> Control + Send)) -> Result<Control> {
        let batch_size = self.batch_size();
        let steps = self.steps_per_epoch();
        let total = steps * self.settings.train.epochs;
        let schedule_steps = steps * self.schedule_epochs;
        let samples = self.splits.train.len();
        let order = match self.engine.carries() {
            true => run_order(samples, batch_size),
            false => epoch_order(samples, self.settings.seed, self.position.epoch),
        };
        let done = (self.position.step - self.position.epoch * steps) as usize;
        if done == 0 {
            self.engine.forget();
        }
        let mut batches = order.chunks(batch_size).skip(done).peekable();
        let mut current = Batch::new(&self.splits.train, batch_size);
        let mut next = current.clone();
        let (epoch, augmentation) = (self.position.epoch, self.splits.augmentation.as_ref());
        if let Some(samples) = batches.peek() {
            current.fill_for_training(&self.splits.train, samples, augmentation, epoch);
        }
        let mut last_save = Instant::now();
        while batches.next().is_some() {
            let (engine, train, position) = (&mut self.engine, &self.splits.train, &mut self.position);
            let step = position.step + 1;
            let base = self.settings.optimizer.learning_rate();
            let learning_rate = base * self.schedule.factor((step - 1) % schedule_steps + 1, schedule_steps);
            let following = batches.peek();
            let (score, ()) = rayon::join(
                || engine.step(&current, step, learning_rate),
                || {
                    if let Some(samples) = following {
                        next.fill_for_training(train, samples, augmentation, epoch);
                    }
                },
            );
            if !score.loss_sum.is_finite() {
                let checkpoint = self.directory.as_ref().map(|directory| checkpoint_path(directory.path()));
                return Err(Error::Diverged { step, what: "the loss".into(), checkpoint });
            }
            let progress = Progress { step, total, epoch: steps };
            if let Some(churn) = engine.rewire(&current, &progress) {
                position.dropped += churn.dropped;
                position.grown += churn.grown;
            }
            let churn = engine.compact(Some(&current), &progress)?;
            position.dropped += churn.dropped;
            position.grown += churn.grown;
            position.step = step;
            position.score.add(score);
            std::mem::swap(&mut current, &mut next);
            let event = Event::Step { progress, score: &position.score, samples: position.score.samples };
            if watch(event) == Control::Stop {
                return Ok(Control::Stop);
            }
            if last_save.elapsed().as_secs_f64() > 60.0 * self.settings.train.checkpoint_minutes {
                self.save_checkpoint()?;
                last_save = Instant::now();
            }
        }
        Ok(Control::Continue)
    }

    /// Looks at the validation part, keeps the model if it is the best, writes the record and the checkpoint.
    fn finish_epoch(&mut self, seconds: f64) -> Result<EpochRecord> {
        self.engine.swap_average();
        let model = self.engine.model();
        let network = model.as_ref().unwrap_or(&self.engine.network);
        let found = self.splits.validation.as_ref().map(|dataset| self.evaluate(network, dataset));
        let (validation, numbers) = (found.map(|(score, _)| score), found.and_then(|(_, numbers)| numbers));
        if validation.is_some_and(|score| !score.loss_sum.is_finite()) {
            let checkpoint = self.directory.as_ref().map(|directory| checkpoint_path(directory.path()));
            let what = "the loss on the validation part".to_string();
            return Err(Error::Diverged { step: self.position.step, what, checkpoint });
        }
        self.position.epoch += 1;
        self.position.seconds += seconds;
        let done = self.position.epoch as f64 / self.settings.train.epochs as f64;
        let goodness = validation
            .filter(|_| self.engine.is_settled(network, done))
            .map(|score| [self.goodness(&score), -score.loss()]);
        let best = match (goodness, self.position.best) {
            (Some(new), Some((_, old))) => new > old,
            (Some(_), None) => true,
            (None, _) => false,
        };
        if best {
            self.position.best = goodness.map(|goodness| (self.position.epoch, goodness));
        }
        if best && self.settings.train.keep_best {
            self.save_model(network)?;
        }
        self.engine.swap_average();
        let (nnz, cells) = self.engine.connections();
        let train = &self.position.score;
        let language = validation.and_then(|score| self.language_score("validation", &score));
        let record = EpochRecord {
            epoch: self.position.epoch,
            step: self.position.step,
            train_loss: train.loss(),
            train_accuracy: self.accuracy(train),
            train_label_error_rate: self.label_error_rate(train),
            validation_loss: validation.map(|score| score.loss()),
            validation_accuracy: validation.and_then(|score| self.accuracy(&score)),
            validation_label_error_rate: validation.and_then(|score| self.label_error_rate(&score)),
            validation_rmse: numbers.map(|numbers| numbers.rmse),
            validation_r2: numbers.and_then(|numbers| numbers.r2),
            validation_perplexity: language.map(|score| score.perplexity),
            validation_bits_per_character: language.map(|score| score.bits_per_character),
            learning_rate: self.engine.memory.learning_rate,
            nnz,
            density: nnz as f64 / cells as f64,
            lambda: self.engine.sparsifier.lambda(),
            dropped: self.position.dropped,
            grown: self.position.grown,
            seconds,
            best,
        };
        self.position.score = Score::default();
        (self.position.dropped, self.position.grown) = (0, 0);
        if let Some(directory) = &self.directory {
            directory.append_metrics(&record)?;
            self.position.metrics += 1;
            self.save_checkpoint()?;
        }
        Ok(record)
    }

    fn is_out_of_patience(&self) -> bool {
        let patience = self.settings.train.patience;
        // Nobody waits for a network that is still getting sparser.
        let Some((best, _)) = self.position.best else { return false };
        patience > 0 && self.position.epoch >= best + patience
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
    fn language_score(&self, part: &str, score: &Score) -> Option<LanguageScore> {
        self.splits.characters(part).map(|characters| LanguageScore::new(score, characters))
    }

    /// The learning rate of a run's beginning.
    pub(super) fn first_learning_rate(&self) -> f32 {
        self.settings.optimizer.learning_rate() * self.schedule.factor(1, 1000)
    }

    /// Milliseconds that a network takes to predict `samples` training samples at once: the median of repeated passes, ten
    /// unless these take seconds.
    pub fn time_inference(&self, network: &Network, samples: usize) -> f64 {
        let dataset = &self.splits.train;
        let mut batch = Batch::new(dataset, samples);
        batch.fill(dataset, &(0..samples).map(|sample| sample % dataset.len()).collect::<Vec<_>>());
        let mut buffers = network.buffers(samples, false);
        let start = Instant::now();
        let mut times = Vec::new();
        let is_enough = |passes: usize, seconds: f64| match passes {
            0..3 => false,
            3..10 => seconds > 2.0,
            _ => seconds > 0.1,
        };
        self.in_pool(|| {
            while !is_enough(times.len(), start.elapsed().as_secs_f64()) {
                let begin = Instant::now();
                network.forward(&Pass::predict(self.isa), &batch.input, &mut buffers);
                times.push(begin.elapsed().as_secs_f64());
            }
        });
        1e3 * median(times).expect("three passes at least")
    }

    /// Bytes of weights, index, gradients and optimizer state.
    pub fn training_bytes(&self) -> usize {
        self.engine.bytes()
    }

    /// What the best epoch is chosen by, before the loss.
    fn goodness(&self, score: &Score) -> f64 {
        match self.splits.preparation.task {
            Task::Classification => score.accuracy(),
            Task::Transcription => -score.label_error_rate(),
            Task::MultiLabel | Task::Regression | Task::LanguageModel => 0.0,
        }
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
        Ok(Model { network: network.copy(sparse::Storage::Auto), config: self.config(network) })
    }

    fn save_model(&self, network: &Network) -> Result<()> {
        if let Some(directory) = &self.directory {
            save_model(directory.path(), network, &self.config(network))?;
        }
        Ok(())
    }

    fn save_checkpoint(&self) -> Result<()> {
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

/// The loss and accuracy of a network on a data set.
pub fn evaluate(network: &Network, isa: Isa, loss: &Loss, dataset: &Dataset) -> Score {
    let mut total = Score::default();
    // Outputs at each step of many samples would take much memory for little speed.
    let batch = if network.output().positions() > 1 { LANES } else { PREDICT_BATCH };
    predict(network, isa, dataset, batch, |batch, output| {
        total.add(score(loss, isa, output, &batch.targets, None));
    });
    total
}

/// The median of some numbers; `None` of none.
pub(super) fn median(mut times: Vec<f64>) -> Option<f64> {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied()
}
