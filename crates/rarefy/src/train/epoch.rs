//! The epochs of a training and their steps.

use std::time::Instant;

use super::exchange::{Exchange, Step};
use super::feed::fill;
use super::keep::Keep;
use super::lambda_path::largest_lambda;
use super::ranks::Wish;
use super::record::{Control, Emptied, Ending, Event, Watch};
use super::rewiring::{Churn, Source};
use super::share::Share;
use super::trainer::Trainer;
use super::{Engine, Progress};
use crate::data::{Batch, Shares};
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
        let (batch_size, steps) = (self.batch_size(), self.steps_per_epoch());
        let (order, share) = (self.order(), self.share());
        let done = (self.position.step - self.epoch_start) as usize;
        if done == 0 {
            self.engine.forget();
        }
        // Micro-batches, where several make a step.
        let accumulate = self.settings.train.accumulate;
        let first = done * accumulate;
        let mut feed = self.feed(&order);
        let mut current = feed.room(self.engine.workers());
        let mut next = current.clone();
        feed.gather(first, &mut next);
        for (place, samples) in order.chunks(batch_size).enumerate().skip(first) {
            std::mem::swap(&mut current, &mut next);
            self.engine.ranks.begin(share(samples.len()));
            self.engine.ranks.wish(Wish::Save, keep.is_due(&self.settings));
            let step = self.position.step + 1;
            let learning_rate = self.learning_rate(step);
            let progress = Progress { step, total: self.planned_steps, epoch: steps };
            let ends_epoch = (place + 1) * batch_size >= order.len();
            let ends_step = (place + 1).is_multiple_of(accumulate) || ends_epoch;
            let (engine, exchange) = (&mut self.engine, &mut self.exchange);
            let (met, ()) = rayon::join(
                || {
                    if !ends_step {
                        engine.accumulate(&current[0], step);
                        return None;
                    }
                    if accumulate > 1 {
                        engine.keep_past(&progress);
                    }
                    exchange.step(engine, &current, &Step { progress, learning_rate, ends_epoch })
                },
                || feed.gather(place + 1, &mut next),
            );
            self.splits.train.check_read()?;
            if !ends_step {
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

    /// What this rank has of a batch of so many samples.
    fn share(&self) -> impl Fn(usize) -> Share + Copy + use<> {
        let (batch_size, (rank, ranks)) = (self.batch_size(), self.engine.ranks.place());
        move |samples| Share::of(samples, batch_size, rank, ranks)
    }

    /// Whether training stops now, where `control` is what this rank's watcher says: all ranks stop after the same step.
    pub(super) fn stops(&mut self, control: Control) -> bool {
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
}
