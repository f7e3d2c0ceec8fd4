//! The epochs of a run: its steps, and what is looked at, kept and told after them.

use std::time::Instant;

use super::checkpoint::checkpoint_path;
use super::record::{Control, Ending, EpochRecord, Event};
use super::{Progress, Run, Score};
use crate::data::{Batch, Task, epoch_order, run_order};
use crate::{Error, Result};

impl Run {
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
            let event =
                Event::Step { progress, score: &position.score, samples: position.score.samples as usize };
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

    /// What the best epoch is chosen by, before the loss.
    fn goodness(&self, score: &Score) -> f64 {
        match self.splits.preparation.task {
            Task::Classification => score.accuracy(),
            Task::Transcription => -score.label_error_rate(),
            Task::MultiLabel | Task::Regression | Task::LanguageModel => 0.0,
        }
    }
}
