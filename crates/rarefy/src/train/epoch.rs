//! The epochs of a training: its steps, what is looked at, kept and told after them, and what came of them.

use std::ops::ControlFlow;
use std::time::Instant;

use super::exchange::{Exchange, Step};
use super::keep::Keep;
use super::lambda_path::largest_lambda;
use super::model::model_bytes;
use super::ranks::Wish;
use super::record::{Control, Emptied, Ending, EpochRecord, Event, Outcome, Watch};
use super::rewiring::{Churn, Source};
use super::settings::Watched;
use super::share::{Cut, Share};
use super::timing::median;
use super::trainer::Trainer;
use super::{Engine, Evaluation, Progress, Score, Threshold};
use crate::data::{Ahead, Batch, Shares, Splits, Task, run_order, windowed_order};
use crate::metrics::Metric;
use crate::{Error, Result};

/// Steps after which ranks compare their weights, where they have the same.
const STEPS_OF_TRUST: u64 = 100;

impl Trainer {
    /// Trains until `epochs` are done, and says how that ended and how long each whole epoch took.
    pub(super) fn train_to(
        &mut self,
        epochs: u64,
        keep: &mut dyn Keep,
        watch: &mut Watch<'_>,
    ) -> Result<(Ending, Vec<f64>)> {
        let mut times = Vec::new();
        self.emptied = None;
        self.waited.clear();
        self.engine.ranks.forget(Wish::Stop);
        let is_new = self.position.step == 0 || !keep.has_kept();
        if is_new && self.engine.sparsifier.may_empty() {
            // What is left should the first epoch empty a layer.
            keep.keep(&self.engine.network, self.config(&self.engine.network))?;
        }
        while self.position.epoch < epochs {
            // Before the epoch and not after it, so that a run that had stopped does not go on when it is resumed.
            if self.is_out_of_patience() {
                return Ok((Ending::EarlyStopped, times));
            }
            let is_whole = self.position.step == self.epoch_start;
            // Rank 0 may still have been writing files: nobody is to seem slow for that.
            self.engine.ranks.meet();
            self.engine.ranks.check()?;
            let (start, waited) = (Instant::now(), self.engine.ranks.waited());
            self.change_exchange()?;
            let trained = match self.exchange {
                Exchange::Server(_) | Exchange::Hogwild => self.train_unordered_epoch(keep, watch),
                _ => self.train_epoch(keep, watch),
            };
            match trained {
                Ok(Control::Continue) => {}
                Ok(Control::Stop) => return Ok((Ending::Interrupted, times)),
                Err(Error::Emptied { key, layer, step, cure }) => {
                    let epoch = self.best_epoch().unwrap_or(self.position.whole);
                    self.emptied =
                        Some(Emptied { key, layer, step, epoch, lambda: self.gentler_lambda(), cure });
                    return Ok((Ending::Emptied, times));
                }
                Err(error) => return Err(error),
            }
            let seconds = start.elapsed().as_secs_f64();
            let waiting = self.engine.ranks.waiting_since(waited);
            self.engine.ranks.check()?;
            self.waited.resize(waiting.len(), 0.0);
            self.waited.iter_mut().zip(&waiting).for_each(|(sum, waiting)| *sum += waiting);
            if is_whole {
                times.push(seconds);
            }
            let control = self.finish_epoch(seconds, waiting, keep, watch)?;
            if control == Control::Stop && self.position.epoch < epochs {
                return Ok((Ending::Interrupted, times));
            }
        }
        Ok((Ending::Finished, times))
    }

    /// The rest of the epoch under way. The next batch is gathered while a step is computed.
    fn train_epoch(&mut self, keep: &mut dyn Keep, watch: &mut Watch<'_>) -> Result<Control> {
        let batch_size = self.batch_size();
        let steps = self.steps_per_epoch();
        let order = self.order();
        let done = (self.position.step - self.epoch_start) as usize;
        if done == 0 {
            self.engine.forget();
        }
        // Micro-batches, where several make a step.
        let accumulate = self.settings.train.accumulate;
        let mut batches = order.chunks(batch_size).enumerate().skip(done * accumulate).peekable();
        let (share, cut) = (self.share(), self.exchange.cut(batch_size, &self.engine.ranks));
        // A rank that idles has none.
        let room =
            |share: Share| Shares::new(&self.splits.train, share.samples.max(1), self.engine.workers());
        let mut current: Vec<Shares> = cut.shares(batch_size).map(room).collect();
        let mut next = current.clone();
        let epoch = self.position.epoch;
        let mut ahead = self.ahead(&order);
        if let Some((place, samples)) = batches.peek() {
            ahead.reach(*place);
            fill_all(&mut current, &self.splits, samples, cut, epoch);
        }
        while let Some((place, samples)) = batches.next() {
            self.engine.ranks.begin(share(samples.len()));
            self.engine.ranks.wish(Wish::Save, keep.is_due(&self.settings));
            let step = self.position.step + 1;
            let learning_rate = self.learning_rate(step);
            let (engine, exchange, splits) = (&mut self.engine, &mut self.exchange, &self.splits);
            let following = batches.peek();
            let ends_step = (place + 1).is_multiple_of(accumulate) || following.is_none();
            let progress = Progress { step, total: self.planned_steps, epoch: steps };
            let (met, ()) = rayon::join(
                || {
                    if ends_step {
                        if accumulate > 1 {
                            engine.keep_past(&progress);
                        }
                        let step = Step { progress, learning_rate, ends_epoch: following.is_none() };
                        return exchange.step(engine, &current, &step);
                    }
                    engine.accumulate(&current[0], step);
                    None
                },
                || {
                    if let Some((place, samples)) = following {
                        ahead.reach(*place);
                        fill_all(&mut next, splits, samples, cut, epoch);
                    }
                },
            );
            self.splits.train.check_read()?;
            if !ends_step {
                std::mem::swap(&mut current, &mut next);
                continue;
            }
            self.engine.ranks.check()?;
            if let Some(score) = met {
                if !score.loss_sum.is_finite() {
                    return Err(Error::Diverged { step, what: "the loss".into(), checkpoint: None });
                }
                let of_step = place / accumulate * accumulate * batch_size..;
                let of_step = order[of_step].chunks(batch_size).take(place % accumulate + 1);
                self.change_connections(&mut current[0], of_step, &progress)?;
                self.position.score.add(score);
                if step.is_multiple_of(STEPS_OF_TRUST) {
                    self.engine.ranks.check_values(&self.engine.network)?;
                }
            }
            self.position.step = step;
            std::mem::swap(&mut current, &mut next);
            let score = &self.position.score;
            let samples = score.samples as usize;
            let control = watch(Event::Step { progress, score, samples });
            if met.is_none() {
                // What workers have by now is no network yet.
                self.wish_to_stop(control);
            } else if self.stops_or_saves(control, keep)? == Control::Stop {
                return Ok(Control::Stop);
            }
        }
        Ok(Control::Continue)
    }

    /// Grants what ranks wish after a step, where `control` is what this rank's watcher says.
    pub(super) fn stops_or_saves(&mut self, control: Control, keep: &mut dyn Keep) -> Result<Control> {
        let (stops, saves) = (self.stops(control), self.engine.ranks.is_granted(Wish::Save));
        if stops || saves {
            self.gather()?;
        }
        if stops {
            return Ok(Control::Stop);
        }
        if saves {
            self.engine.ranks.forget(Wish::Save);
            keep.save(self.state())?;
        }
        Ok(Control::Continue)
    }

    /// The order in which the epoch under way goes through the training samples.
    pub(super) fn order(&self) -> Vec<usize> {
        let samples = self.splits.train.len();
        if self.engine.carries() {
            run_order(samples, self.batch_size())
        } else {
            windowed_order(samples, self.window(), self.settings.seed, self.position.epoch)
        }
    }

    /// How many samples are shuffled together: whole batches.
    fn window(&self) -> usize {
        let batch_size = self.batch_size();
        let all = self.splits.train.len();
        self.splits.window.map_or(all, |window| (window / batch_size).max(1) * batch_size)
    }

    /// Who reads what batches of this order will take, if samples are read.
    fn ahead<'a>(&self, order: &'a [usize]) -> ReadAhead<impl Fn(usize) -> &'a [usize] + use<'a>> {
        let batch_size = self.batch_size();
        let cut = self.exchange.cut(batch_size, &self.engine.ranks);
        let of = move |place: usize| {
            let samples = order.chunks(batch_size).nth(place).unwrap_or_default();
            &samples[cut.range(samples.len())]
        };
        let train = self.splits.train.in_file();
        let ahead = train.map(|samples| Ahead::new(samples, self.window().div_ceil(batch_size)));
        ReadAhead { ahead, of }
    }

    /// What this rank has of a batch of so many samples.
    fn share(&self) -> impl Fn(usize) -> Share + Copy + use<> {
        let (batch_size, (rank, ranks)) = (self.batch_size(), self.engine.ranks.place());
        move |samples| Share::of(samples, batch_size, rank, ranks)
    }

    /// Whether training stops now, where `control` is what this rank's watcher says: all ranks stop after the same step.
    fn stops(&mut self, control: Control) -> bool {
        self.wish_to_stop(control);
        let stops = self.engine.ranks.is_granted(Wish::Stop);
        if stops {
            self.engine.ranks.forget(Wish::Stop);
        }
        stops
    }

    fn wish_to_stop(&self, control: Control) {
        if control == Control::Stop {
            self.engine.ranks.wish(Wish::Stop, true);
        }
    }

    /// The learning rate of a step, counted from 1.
    pub(super) fn learning_rate(&self, step: u64) -> f32 {
        let factor = match self.schedule_period {
            Some(period) => self.schedule.factor((step - 1) % period + 1, period),
            None => self.schedule.factor(step, self.planned_steps),
        };
        self.settings.optimizer.learning_rate() * factor
    }

    /// What the topology method, the penalty and the constraint do to connections after a step on some micro-batches, whose last
    /// `batch` holds.
    pub(super) fn change_connections<'a>(
        &mut self,
        batch: &mut Shares,
        of_step: impl Iterator<Item = &'a [usize]> + Clone,
        progress: &Progress,
    ) -> Result<()> {
        let share = self.share();
        let looks_again = self.exchange.looks_again();
        let (splits, epoch, engine) = (&self.splits, self.position.epoch, &mut self.engine);
        let change = |engine: &mut Engine, source: &Source<'_>| -> Result<Churn> {
            Ok(engine.rewire_by(source, progress).unwrap_or_default()
                + engine.compact_by(Some(source), progress)?)
        };
        let churn = if engine.has_past() {
            let again = Box::new(|look: &mut dyn FnMut(&[Batch], Share)| {
                for samples in of_step.clone() {
                    let share = share(samples.len());
                    fill(batch, splits, &samples[share.range()], epoch);
                    look(batch.as_ref(), share);
                }
            });
            engine.with_replay(progress.step, again, change)?
        } else if looks_again && engine.may_rewire(progress) {
            // At what all have come to, as one batch.
            let samples = of_step.flatten().copied().collect::<Vec<_>>();
            let share = share(samples.len());
            let mut batch = Shares::new(&splits.train, share.samples.max(1), engine.workers());
            fill(&mut batch, splits, &samples[share.range()], epoch);
            engine.ranks.begin(share);
            engine.mean_gradients(&batch, progress.step);
            change(engine, &Source::Passes(batch.as_ref()))?
        } else {
            change(engine, &Source::Passes((*batch).as_ref()))?
        };
        engine.ranks.check()?;
        if churn != Churn::default() {
            engine.ranks.check_patterns(&engine.network)?;
        }
        self.position.dropped += churn.dropped;
        self.position.grown += churn.grown;
        Ok(())
    }

    /// Looks at the validation part, keeps the model if it is the best, keeps and tells the record. Stopped while it looks, it
    /// leaves all as after the last step.
    fn finish_epoch(
        &mut self,
        seconds: f64,
        waiting: Vec<f64>,
        keep: &mut dyn Keep,
        watch: &mut Watch<'_>,
    ) -> Result<Control> {
        let step = self.position.step;
        let is_last_resort = self.engine.sparsifier.may_empty() && self.engine.is_whole();
        self.engine.swap_average();
        let model = self.engine.model();
        let network = model.as_ref().unwrap_or(&self.engine.network);
        let found = match &self.splits.validation {
            None => None,
            Some(dataset) => {
                let found = self.validate_while(network, dataset, watch);
                dataset.check_read()?;
                self.engine.ranks.check()?;
                if found.is_none() {
                    self.engine.swap_average();
                    return Ok(Control::Stop);
                }
                found
            }
        };
        self.position.epoch += 1;
        self.position.seconds += seconds;
        self.epoch_start = step;
        let is_settled = self.engine.is_settled(network, step as f64 / self.planned_steps as f64);
        let monitored = self.monitored(found.as_ref()).filter(|_| is_settled);
        let best = monitored
            .is_some_and(|monitored| self.position.is_best(monitored, self.settings.train.tolerance));
        let network = model.as_ref().unwrap_or(&self.engine.network);
        let is_kept = best && self.settings.train.keep_best;
        let kept = if is_kept || (is_last_resort && self.best_epoch().is_none()) {
            let decision = found.as_ref().map(|found| found.decision);
            let config = decision.map_or_else(|| self.config(network), |it| self.config_with(network, it));
            keep.keep(network, config)
        } else {
            Ok(())
        };
        if is_last_resort {
            self.position.whole = self.position.epoch;
        }
        self.engine.swap_average();
        kept?;
        if found.as_ref().is_some_and(|found| !found.score.loss_sum.is_finite()) {
            let what = "the loss on the validation part".to_string();
            return Err(Error::Diverged { step, what, checkpoint: None });
        }
        let staleness = self.exchange.take_staleness();
        let slow_rank = match self.exchange {
            // Nobody waits for a slow rank, and all for the server.
            Exchange::Server(_) => None,
            _ => self.engine.ranks.slow_rank(&waiting, seconds),
        };
        let record = EpochRecord {
            seconds_waiting: waiting,
            slow_rank,
            staleness,
            ..self.record(found.as_ref(), seconds, best)
        };
        self.position.score = Score::default();
        (self.position.dropped, self.position.grown) = (0, 0);
        self.gather()?;
        keep.after_epoch(self.state(), &record)?;
        self.engine.swap_average();
        let network = model.as_ref().unwrap_or(&self.engine.network);
        let control = watch(Event::Epoch { record: &record, network });
        self.engine.swap_average();
        Ok(if self.stops(control) { Control::Stop } else { Control::Continue })
    }

    /// What tells how good an epoch was, the larger the better, the second where the first is equal; `None` without the
    /// part that is looked at.
    fn monitored(&self, validation: Option<&Evaluation>) -> Option<[f64; 2]> {
        let Evaluation { score, metrics, .. } = match self.settings.train.watch {
            Watched::Training => return Some([-self.position.score.loss(), 0.0]),
            Watched::Validation => validation?,
        };
        if let Some(metric) = self.settings.train.metric {
            let value = metrics.get(metric)?;
            return Some([if metric.is_higher_better() { value } else { -value }, -score.loss()]);
        }
        let first = match self.splits.preparation.task {
            Task::Classification => score.accuracy(),
            Task::Transcription => -score.label_error_rate(),
            Task::MultiLabel | Task::Regression | Task::LanguageModel => 0.0,
        };
        Some([first, -score.loss()])
    }

    /// A lambda that is likelier to leave each layer something than the one that has emptied one. What no weight withstands at the
    /// start is a bound: on the digits a tenth to a twenty-fifth of it emptied a layer too (L1, groups), a fiftieth did not.
    fn gentler_lambda(&self) -> Option<f64> {
        let lambda = f64::from(self.engine.sparsifier.lambda().filter(|&lambda| lambda > 0.0)?);
        let start = self.start_again().ok()?;
        let largest = largest_lambda(
            &start.network,
            &self.splits.train,
            &self.loss,
            self.isa(),
            &self.settings.penalty,
        );
        let gentler = (lambda / 3.0).min(if largest > 0.0 { largest / 50.0 } else { f64::INFINITY });
        // One digit is all that is known of it.
        let unit = 10f64.powf(gentler.log10().floor());
        format!("{:.0e}", (gentler / unit).round() * unit).parse().ok()
    }

    /// Notes what other epochs than the `old` ones mean for a run that stands somewhere within.
    ///
    /// # Errors
    /// [`Error::Setting`] where early stopping would train none of them.
    pub(super) fn note_new_plan(&mut self, old: u64) -> Result<()> {
        let (epochs, done) = (self.settings.train.epochs, self.position.epoch);
        if epochs > old && self.is_out_of_patience() {
            let problem = format!(
                "{} has stopped this run after {done} epochs, so that more would not be trained; start a new run with a \
                 larger one",
                self.patience()
            );
            return Err(Error::setting("train.patience", problem));
        }
        let next = self.learning_rate(self.position.step + 1);
        self.notes.push(format!(
            "planned for {epochs} epochs, not {old}, of which {done} are done: the learning rate was {:.2e} and goes on at \
             {next:.2e}, and connections change as that plan says",
            self.engine.memory.learning_rate
        ));
        Ok(())
    }

    /// Epochs without a better one after which training stops; 0 for never. It was settled with the data.
    fn patience(&self) -> u64 {
        self.settings.train.patience.unwrap_or(0)
    }

    fn is_out_of_patience(&self) -> bool {
        let patience = self.patience();
        // Nobody waits for a network that is still getting sparser: it has no best epoch.
        self.position.improved().is_some_and(|epoch| patience > 0 && self.position.epoch >= epoch + patience)
    }

    /// The line of an epoch that was just done.
    fn record(&self, found: Option<&Evaluation>, seconds: f64, best: bool) -> EpochRecord {
        let train = &self.position.score;
        let (validation, numbers) = (found.map(|found| found.score), found.and_then(Evaluation::numbers));
        let metric = self.settings.train.metric;
        let language = validation.and_then(|score| self.language_score("validation", &score));
        let (nnz, cells) = self.engine.connections();
        EpochRecord {
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
            metric,
            validation_metric: metric.and_then(|metric| found?.metrics.get(metric)),
            validation_perplexity: language.map(|score| score.perplexity),
            validation_bits_per_character: language.map(|score| score.bits_per_character),
            learning_rate: self.engine.memory.learning_rate,
            nnz,
            density: nnz as f64 / cells as f64,
            lambda: self.engine.sparsifier.lambda(),
            dropped: self.position.dropped,
            grown: self.position.grown,
            seconds,
            bytes_sent: self.engine.ranks.take_sent(),
            seconds_waiting: Vec::new(),
            slow_rank: None,
            staleness: None,
            best,
        }
    }

    /// What came of a training that ended so and whose whole epochs took so many seconds each.
    pub(super) fn outcome(
        &mut self,
        ending: Ending,
        times: Vec<f64>,
        keep: &mut dyn Keep,
    ) -> Result<Outcome> {
        let kept = self.best_epoch();
        let training_bytes = self.training_bytes();
        // The kept model comes beside the network that was trained.
        self.engine.rest();
        // Without a best epoch to keep, the last state is the model, unless a layer of it is empty.
        if kept.is_none() && ending != Ending::Emptied {
            self.engine.swap_average();
            let last = self.engine.model();
            let network = last.as_ref().unwrap_or(&self.engine.network);
            keep.keep(network, self.config(network))?;
            self.engine.swap_average();
        }
        let model = keep.kept(&self.engine.network.spec().kinds())?;
        let is_over = ending != Ending::Interrupted;
        let threshold = Threshold::At(model.config.decision.threshold);
        let found = self.splits.test.as_ref().filter(|_| is_over).and_then(|dataset| {
            let ranks = Some(&self.engine.ranks);
            self.evaluate_by(model.network(), (dataset, ranks), &Metric::ALL, threshold, &mut |_| {
                ControlFlow::Continue(())
            })
        });
        self.splits.test.as_ref().map_or(Ok(()), |dataset| dataset.check_read())?;
        self.engine.ranks.check()?;
        let test = found.as_ref().map(|found| found.score);
        let seconds_per_epoch = median(times);
        Ok(Outcome {
            ending,
            emptied: self.emptied.clone(),
            epochs: self.position.epoch,
            best_epoch: kept,
            seconds_per_epoch,
            step_ms: seconds_per_epoch.map(|seconds| 1e3 * seconds / self.steps_per_epoch() as f64),
            seconds_waiting: std::mem::take(&mut self.waited),
            test,
            test_numbers: found.as_ref().and_then(Evaluation::numbers),
            test_language: test.and_then(|score| self.language_score("test", &score)),
            model_bytes: model_bytes(model.network()),
            training_bytes,
            never_predicted: found.as_ref().map_or_else(Vec::new, |found| found.never_predicted.clone()),
            test_metrics: found.map_or_else(Default::default, |found| found.metrics),
            model,
        })
    }
}

/// Reads what batches will take before they are filled; nothing where all samples are in memory.
struct ReadAhead<F> {
    ahead: Option<Ahead>,
    of: F,
}

impl<'a, F: Fn(usize) -> &'a [usize]> ReadAhead<F> {
    fn reach(&mut self, batch: usize) {
        if let Some(ahead) = &mut self.ahead {
            ahead.reach(batch, &self.of);
        }
    }
}

/// Takes what this rank's workers have of a batch.
fn fill_all(shares: &mut [Shares], splits: &Splits, samples: &[usize], cut: Cut, epoch: u64) {
    for (batch, share) in shares.iter_mut().zip(cut.shares(samples.len())) {
        fill(batch, splits, &samples[share.range()], epoch);
    }
}

/// Takes these samples of the training part.
pub(super) fn fill(batch: &mut Shares, splits: &Splits, samples: &[usize], epoch: u64) {
    batch.fill_for_training(&splits.train, samples, splits.augmentation.as_ref(), epoch);
}
