//! Epochs in which workers do not wait for each other: ranks take the next share of a batch when they have done one, and a server moves
//! weights by what comes (`exchange/server`); or threads take the next batch and move the weights that they share (`exchange/hogwild`).
//! Between two meetings nobody has the network of all.

use super::exchange::{Batches, Exchange, Hands, Segment, train_without_locks};
use super::feed::fill;
use super::keep::Keep;
use super::record::{Control, Event, Watch};
use super::share::Cut;
use super::trainer::Trainer;
use super::{Progress, Score};
use crate::data::Shares;
use crate::distributed::ExchangeMethod;
use crate::{Error, Result};

/// The part of the epochs of `distributed.exchange = "wasap"` that a server trains (Curci et al. 2021).
const SERVED: f64 = 0.7;

impl Trainer {
    /// Lets workers take steps of their own if it is time to.
    pub(super) fn change_exchange(&mut self) -> Result<()> {
        let Exchange::Server(_) = &self.exchange else { return Ok(()) };
        let served = (SERVED * self.settings.train.epochs as f64).ceil() as u64;
        if self.settings.distributed.exchange != ExchangeMethod::Wasap || self.position.epoch < served {
            return Ok(());
        }
        let batch_size = self.batch_size();
        let engine = &mut self.engine;
        engine.ranks.tell_all(engine.state.iter_mut().flatten());
        engine.ranks.check()?;
        let (optimizer, ranks) = (&engine.optimizer, &engine.ranks);
        self.exchange = Exchange::new(&self.settings, optimizer, batch_size, ranks, true)?;
        if let Exchange::Local(local) = &self.exchange {
            local.begin(engine, batch_size);
        }
        self.position.steps_alone = true;
        Ok(())
    }

    /// The rest of the epoch under way, from meeting to meeting.
    pub(super) fn train_unordered_epoch(
        &mut self,
        keep: &mut dyn Keep,
        watch: &mut Watch<'_>,
    ) -> Result<Control> {
        let (steps, order) = (self.steps_per_epoch(), self.order());
        let batches: Vec<&[usize]> = order.chunks(self.batch_size()).collect();
        let (_, ranks) = self.engine.ranks.place();
        let most = self.batch_size().div_ceil(ranks);
        let mut batch = Shares::new(&self.splits.train, most, self.engine.workers());
        while self.position.step - self.epoch_start < steps {
            let done = (self.position.step - self.epoch_start) as usize;
            let (score, trained) = self.train_segment(&batches[done..], &mut batch, keep, watch)?;
            let step = self.position.step + trained as u64;
            if !score.loss_sum.is_finite() {
                return Err(Error::Diverged { step, what: "the loss".into(), checkpoint: None });
            }
            let progress = Progress { step, total: self.planned_steps, epoch: steps };
            let last = std::iter::once(batches[done + trained - 1]);
            self.change_connections(&mut batch, last, &progress)?;
            self.position.score.add(score);
            self.position.step = step;
            // What workers wish they have told with their batches.
            if self.stops_or_saves(Control::Continue, keep)? == Control::Stop {
                return Ok(Control::Stop);
            }
        }
        Ok(Control::Continue)
    }

    /// Trains on the first of some batches, until all meet: the score, and how many batches these were.
    fn train_segment(
        &mut self,
        batches: &[&[usize]],
        batch: &mut Shares,
        keep: &mut dyn Keep,
        watch: &mut Watch<'_>,
    ) -> Result<(Score, usize)> {
        let (before, total, steps) = (self.position.step, self.planned_steps, self.steps_per_epoch());
        let progress = |done: usize| Progress { step: before + done as u64, total, epoch: steps };
        let meets = (1..batches.len()).find(|&done| self.engine.may_rewire(&progress(done)));
        let count = meets.unwrap_or(batches.len());
        let learning_rates = (1..=count as u64).map(|step| self.learning_rate(before + step)).collect();
        let segment = Segment { steps_before: before, learning_rates };
        let most = self.batch_size();
        let Trainer { settings, splits, engine, exchange, position, .. } = self;
        let epoch = position.epoch;
        let mut tell = move |done: usize, so_far: Score| {
            let score = position.score.with(so_far);
            let (progress, samples) = (progress(done), score.samples as usize);
            let control = watch(Event::Step { progress, score: &score, samples });
            [control == Control::Stop, keep.is_due(settings)]
        };
        let server = match exchange {
            Exchange::Server(server) => server,
            Exchange::Hogwild => {
                let room = || Shares::new(&splits.train, most, 1);
                let fill = |batch: &mut Shares, at: usize| fill(batch, splits, batches[at], epoch);
                let batches = Batches { most, room: &room, fill: &fill, tell: &mut tell };
                return Ok(train_without_locks(engine, &segment, batches));
            }
            _ => panic!("only workers that do not wait for each other have such epochs"),
        };
        let workers = server.workers();
        let mut take = |batch: &mut Shares, share: usize| {
            let (samples, worker) = (batches[share / workers], share % workers);
            let range = Cut::Even { workers, own: (worker, worker + 1) }.range(samples.len());
            fill(batch, splits, &samples[range], epoch);
            // Draws are named by whole tiles.
            worker * most.div_ceil(workers).next_multiple_of(crate::tiles::LANES)
        };
        let mut tell = |share: usize, so_far: Score| tell(share / workers + 1, so_far);
        let mut hands = Hands { batch, fill: &mut take, tell: &mut tell, workers };
        server.train(engine, &segment, &mut hands)
    }
}
