//! Gradients that move weights one step late: the sum of a step is applied after the next step's passes, so it may be under way while
//! these are computed.
//!
//! ```text
//! exact   pass 1, sum 1, move by 1      pass 2, sum 2, move by 2 ...
//! stale   pass 1                        pass 2, move by 1            pass 3, move by 2 ...   last pass, move by both
//! ```
//! Before connections move, and at the end of an epoch, nothing is left to wait. A checkpoint has what waits.

use serde::{Deserialize, Serialize};

use super::Step;
use crate::data::Shares;
use crate::layers::Gradient;
use crate::train::{Engine, Score};

/// The gradients of the step before.
#[derive(Default)]
pub(in crate::train) struct Stale(Option<Waiting>);

/// Gradients that have not yet moved weights.
pub(in crate::train) struct Waiting {
    pub(in crate::train) gradients: Vec<Gradient>,
    pub(in crate::train) of: Origin,
}

/// What gradients are of.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(in crate::train) struct Origin {
    score: Score,
    step: u64,
    learning_rate: f32,
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

    pub(super) fn step(&mut self, engine: &mut Engine, batch: &Shares, step: &Step) -> Score {
        let Step { progress, learning_rate, ends_epoch } = *step;
        let score = engine.step_gradients(batch, progress.step);
        let of = Origin { score, step: progress.step, learning_rate };
        let found = std::mem::take(&mut engine.gradients);
        if let Some(Waiting { gradients, of }) = self.0.take() {
            engine.gradients = gradients;
            engine.move_weights(&of.score, batch, of.step, of.learning_rate);
        }
        if ends_epoch || engine.may_rewire(&progress) {
            engine.gradients = found;
            engine.move_weights(&of.score, batch, of.step, of.learning_rate);
        } else {
            self.0 = Some(Waiting { gradients: found, of });
        }
        engine.carry_on();
        score
    }
}
