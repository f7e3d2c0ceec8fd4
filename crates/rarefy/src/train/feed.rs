//! The batches of an epoch: in which order they go through the samples, and who gathers one while a step is computed on another.

use std::sync::Arc;

use super::share::{Cut, Share};
use super::trainer::Trainer;
use crate::data::{Ahead, Shares, Splits, run_order, windowed_order};

impl Trainer {
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

    /// What gathers the batches of this order.
    pub(super) fn feed<'a>(&self, order: &'a [usize]) -> Feed<'a> {
        let batch_size = self.batch_size();
        let read = self.splits.train.in_file();
        Feed {
            splits: Arc::clone(&self.splits),
            epoch: self.position.epoch,
            order,
            batch_size,
            cut: self.exchange.cut(batch_size, &self.engine.ranks),
            ahead: read.map(|samples| Ahead::new(samples, self.window().div_ceil(batch_size))),
        }
    }
}

/// What gathers the batches of an epoch.
pub(super) struct Feed<'a> {
    splits: Arc<Splits>,
    epoch: u64,
    order: &'a [usize],
    batch_size: usize,
    cut: Cut,
    /// Who reads samples before they are asked for, where not all are in memory.
    ahead: Option<Ahead>,
}

impl Feed<'_> {
    /// Room for what this rank's workers have of a batch.
    pub(super) fn room(&self, workers: usize) -> Vec<Shares> {
        // A rank that idles has none.
        let room = |share: Share| Shares::new(&self.splits.train, share.samples.max(1), workers);
        self.cut.shares(self.batch_size).map(room).collect()
    }

    /// Takes what this rank's workers have of the batch at a place, if there is one.
    pub(super) fn gather(&mut self, place: usize, shares: &mut [Shares]) {
        let Feed { order, batch_size, cut, .. } = *self;
        let batch = |place: usize| order.chunks(batch_size).nth(place);
        let Some(samples) = batch(place) else { return };
        if let Some(ahead) = &mut self.ahead {
            ahead.reach(place, |place| {
                let samples = batch(place).unwrap_or_default();
                &samples[cut.range(samples.len())]
            });
        }
        for (shares, share) in shares.iter_mut().zip(cut.shares(samples.len())) {
            fill(shares, &self.splits, &samples[share.range()], self.epoch);
        }
    }
}

/// Takes these samples of the training part.
pub(super) fn fill(batch: &mut Shares, splits: &Splits, samples: &[usize], epoch: u64) {
    batch.fill_for_training(&splits.train, samples, splits.augmentation.as_ref(), epoch);
}
