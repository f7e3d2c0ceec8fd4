//! What is looked at, kept and told when an epoch is done, and when training is.

use std::ops::ControlFlow;

use super::exchange::Exchange;
use super::keep::Keep;
use super::model::model_bytes;
use super::record::{Control, Ending, EpochRecord, Event, Outcome, Watch};
use super::settings::Watched;
use super::timing::median;
use super::trainer::Trainer;
use super::{Evaluation, Score, Threshold};
use crate::data::Task;
use crate::layers::Network;
use crate::metrics::Metric;
use crate::{Error, Result};

impl Trainer {
    /// Looks at the validation part, keeps the model if it is the best, keeps and tells the record. Stopped while it looks, it
    /// leaves all as after the last step.
    pub(super) fn finish_epoch(
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
        let ControlFlow::Continue(found) = self.look(network, watch)? else {
            self.engine.swap_average();
            return Ok(Control::Stop);
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
            let config = match &found {
                Some(found) => self.config_with(network, found.decision),
                None => self.config(network),
            };
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
        let record = self.record(found.as_ref(), seconds, waiting, best);
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

    /// How good the network is on the validation part, if there is one; a break if somebody stops it.
    fn look(&self, network: &Network, watch: &mut Watch<'_>) -> Result<ControlFlow<(), Option<Evaluation>>> {
        let Some(dataset) = &self.splits.validation else { return Ok(ControlFlow::Continue(None)) };
        let found = self.validate_while(network, dataset, watch);
        dataset.check_read()?;
        self.engine.ranks.check()?;
        Ok(found.map_or(ControlFlow::Break(()), |found| ControlFlow::Continue(Some(found))))
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

    /// The line of an epoch that was just done.
    fn record(
        &mut self,
        found: Option<&Evaluation>,
        seconds: f64,
        seconds_waiting: Vec<f64>,
        best: bool,
    ) -> EpochRecord {
        let staleness = self.exchange.take_staleness();
        let slow_rank = match self.exchange {
            // Nobody waits for a slow rank, and all for the server.
            Exchange::Server(_) => None,
            _ => self.engine.ranks.slow_rank(&seconds_waiting, seconds),
        };
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
            seconds_waiting,
            slow_rank,
            staleness,
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
