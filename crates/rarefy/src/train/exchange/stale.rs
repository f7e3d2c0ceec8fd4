//! Gradients that move weights one step late: the sum of a step is under way while the next step's passes are computed, and is applied
//! after them.
//!
//! ```text
//! exact   pass 1, sum 1, move by 1      pass 2, sum 2, move by 2 ...
//! stale   pass 1                        pass 2, move by 1            pass 3, move by 2 ...   last pass, move by both
//!                                       (sum 1)                      (sum 2)
//! ```
//! Before connections move, and at the end of an epoch, nothing is left to wait. A checkpoint has what waits, added up. Where passes
//! talk themselves (batch norms), and of micro-batches, sums are made at once: two talks at a time would be mixed up.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::Step;
use crate::data::Shares;
use crate::layers::Gradient;
use crate::losses::Loss;
use crate::train::ranks::Ranks;
use crate::train::share::Share;
use crate::train::{Engine, Score};

/// The gradients of the step before.
#[derive(Default)]
pub(in crate::train) struct Stale(Option<Waiting>);

/// Gradients that have not yet moved weights.
pub(in crate::train) struct Waiting {
    pub(in crate::train) gradients: Vec<Gradient>,
    pub(in crate::train) of: Origin,
    /// What this rank has of the batch, if ranks have not yet added up what each has found.
    pub(in crate::train) unsummed: Option<Share>,
}

/// What gradients are of.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(in crate::train) struct Origin {
    score: Score,
    step: u64,
    learning_rate: f32,
}

impl Waiting {
    fn sum(&mut self, ranks: &mut Ranks, loss: &Loss) {
        if let Some(share) = self.unsummed.take() {
            let under_way = ranks.batch();
            ranks.begin(share);
            self.of.score = ranks.sum_gradients(&mut self.gradients, self.of.score, loss);
            ranks.begin(under_way);
        }
    }

    fn move_weights(self, engine: &mut Engine, batch: &Shares) -> Score {
        engine.gradients = self.gradients;
        engine.move_weights(&self.of.score, batch, self.of.step, self.of.learning_rate);
        self.of.score
    }
}

impl Stale {
    /// Gradients wait as a checkpoint says.
    pub(in crate::train) fn of(waiting: Option<Waiting>) -> Stale {
        Stale(waiting)
    }

    pub(in crate::train) fn waiting(&self) -> Option<&Waiting> {
        self.0.as_ref()
    }

    pub(super) fn bytes(&self) -> usize {
        self.0.iter().flat_map(|it| &it.gradients).map(|gradient| 4 * gradient.values.len()).sum()
    }

    /// Adds up what waits.
    pub(super) fn settle(&mut self, engine: &mut Engine) {
        if let Some(waiting) = &mut self.0 {
            waiting.sum(&mut engine.ranks, &engine.loss);
        }
    }

    /// The score is that of the steps whose gradients have moved weights.
    pub(super) fn step(&mut self, engine: &mut Engine, batch: &Shares, step: &Step) -> Option<Score> {
        let Step { progress, learning_rate, ends_epoch } = *step;
        let mut late = self.0.take();
        let mut score = match late.as_mut().filter(|late| late.unsummed.is_some()) {
            Some(late) => passes_beside_sum(engine, batch, progress.step, late),
            None => engine.passes(batch, progress.step),
        };
        let unsummed = engine.may_sum_later().then(|| engine.ranks.batch());
        if unsummed.is_none() {
            score = engine.sum_step(score);
        }
        let of = Origin { score, step: progress.step, learning_rate };
        let mut found = Waiting { gradients: std::mem::take(&mut engine.gradients), of, unsummed };
        let mut moved = late.map(|late| late.move_weights(engine, batch));
        if ends_epoch || engine.may_rewire(&progress) {
            found.sum(&mut engine.ranks, &engine.loss);
            let score = found.move_weights(engine, batch);
            moved = Some(moved.map_or(score, |before| before.with(score)));
        } else {
            self.0 = Some(found);
        }
        engine.carry_on();
        moved
    }
}

/// The passes of a step while what waits is added up, in a thread of its own: one of the pool would first compute, and then talk.
fn passes_beside_sum(engine: &mut Engine, batch: &Shares, step: u64, late: &mut Waiting) -> Score {
    let (loss, alone) = (engine.loss.clone(), Ranks::alone_after(engine.ranks.batch().first));
    let mut ranks = std::mem::replace(&mut engine.ranks, alone);
    let (before, begun) = (ranks.waited(), Instant::now());
    let (score, seconds) = std::thread::scope(|scope| {
        let sum = scope.spawn(|| late.sum(&mut ranks, &loss));
        let score = engine.passes(batch, step);
        let seconds = begun.elapsed();
        sum.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (score, seconds)
    });
    ranks.hide(seconds.min(ranks.waited() - before));
    engine.ranks = ranks;
    score
}
