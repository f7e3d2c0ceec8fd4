//! How long steps and predictions take, on the data of a run.

use std::time::Instant;

use super::Trainer;
use crate::data::{Batch, Shares, epoch_order};
use crate::layers::{Network, Pass};

/// Turns that a timing takes at least; the first two touch their memory for the first time and do not count.
pub(super) const TURNS: usize = 5;

impl Trainer {
    /// The learning rate of a run's beginning.
    pub(super) fn first_learning_rate(&self) -> f32 {
        self.settings.optimizer.learning_rate() * self.schedule.factor(1, 1000)
    }

    /// Milliseconds that a network takes to predict `samples` training samples at once: the median of repeated passes, ten
    /// unless these take seconds.
    pub fn time_inference(&self, network: &Network, samples: usize) -> f64 {
        let (dataset, network) = (&self.splits.train, network.with_rounded_weights(self.isa()));
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
                network.forward(&Pass::predict(self.isa()), &batch.input, &mut buffers);
                times.push(begin.elapsed().as_secs_f64());
            }
        });
        1e3 * median(times).expect("three passes at least")
    }

    /// Milliseconds of a training step of this run and of another on the same data: medians of steps taken in turn, so
    /// that what else the machine does slows both alike, within about `seconds`. Both train on by these steps.
    pub fn time_in_turn(&mut self, other: &mut Trainer, seconds: f64) -> [f64; 2] {
        // Who times need not be all ranks.
        self.engine.go_on_alone();
        other.engine.go_on_alone();
        let order = epoch_order(self.splits.train.len(), self.settings().seed, 0);
        let chunks: Vec<&[usize]> = order.chunks_exact(self.batch_size()).collect();
        let mut timers = [Timer::new(self, chunks[0]), Timer::new(other, chunks[0])];
        let start = Instant::now();
        for step in 1.. {
            let samples = chunks[step % chunks.len()];
            timers.iter_mut().for_each(|timer| timer.step(step as u64, samples));
            if step >= TURNS && start.elapsed().as_secs_f64() > seconds {
                break;
            }
        }
        timers.map(|timer| 1e3 * median(timer.times[2..].to_vec()).expect("more turns than two"))
    }
}

/// A run whose steps are timed.
struct Timer<'a> {
    run: &'a mut Trainer,
    batch: Shares,
    next: Shares,
    times: Vec<f64>,
}

impl Timer<'_> {
    fn new<'a>(run: &'a mut Trainer, samples: &[usize]) -> Timer<'a> {
        let (train, augmentation) = (&run.splits.train, run.splits.augmentation.as_ref());
        let mut batch = Shares::new(train, run.batch_size(), run.engine.workers());
        batch.fill_for_training(train, samples, augmentation, 0);
        Timer { next: batch.clone(), run, batch, times: Vec::new() }
    }

    /// A step as training does it: `samples` are gathered meanwhile, for the next one.
    fn step(&mut self, step: u64, samples: &[usize]) {
        let rate = self.run.first_learning_rate();
        let Trainer { pool, engine, splits, .. } = &mut *self.run;
        let (batch, next) = (&self.batch, &mut self.next);
        let seconds = pool.install(|| {
            let start = Instant::now();
            rayon::join(
                || engine.step(batch, step, rate),
                || next.fill_for_training(&splits.train, samples, splits.augmentation.as_ref(), 0),
            );
            start.elapsed().as_secs_f64()
        });
        std::mem::swap(&mut self.batch, &mut self.next);
        self.times.push(seconds);
    }
}

/// The median of some numbers; `None` of none.
pub(super) fn median(mut times: Vec<f64>) -> Option<f64> {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied()
}
