//! The optimizer's work on a parameter, cut into pieces that threads share.

use std::ops::Range;

use crate::kernels::{Isa, Shared, Vectorized, fetch_place};
use crate::layers::Gradient;
use crate::optimizers::{Optimizer, Slots, StepSize, Sums, UpdateRule};
use crate::penalties::{Regularizer, Steps};

/// Numbers that one piece of an optimizer's work covers.
const CHUNK: usize = 8192;
/// Ranges of touched weights that one piece of its work covers.
const RANGES: usize = 256;
/// Numbers that are read, moved and written at once where several threads move them: the fewer, the less of another's moves is lost.
const PIECE: usize = 256;

/// A part of an optimizer's step.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Part {
    /// All of it, for an optimizer that looks at each weight alone.
    Whole {
        /// What gradients are multiplied by before.
        scale: f32,
    },
    /// State and sums.
    Gather {
        /// What gradients are multiplied by before.
        scale: f32,
    },
    /// The step.
    Move,
    /// The penalty's proximal step.
    Shrink,
}

/// An optimizer's work on one parameter, halved between threads.
pub(super) struct Update<'a> {
    pub(super) optimizer: &'a Optimizer,
    pub(super) part: Part,
    pub(super) step: &'a StepSize,
    pub(super) isa: Isa,
    /// What acts on these weights one by one.
    pub(super) regularizer: Option<&'a Regularizer>,
}

impl Update<'_> {
    #[inline(always)]
    fn chunk(&self, values: &mut [f32], gradients: &mut [f32], slots: &mut [&mut [f32]]) -> Sums {
        if let Part::Whole { scale } | Part::Gather { scale } = self.part {
            // Here, where the numbers are in the cache, and not in a pass of its own over all gradients.
            if scale != 1.0 {
                gradients.iter_mut().for_each(|gradient| *gradient *= scale);
            }
            if let Some(Regularizer::Subgradient(penalty)) = self.regularizer {
                penalty.add_subgradient(values, gradients);
            }
        }
        if matches!(self.part, Part::Gather { .. }) {
            return self.optimizer.gather(self.step, values, gradients, slots);
        }
        if self.part != Part::Shrink {
            self.optimizer.update(self.step, values, gradients, slots);
        }
        if self.part != Part::Move
            && let Some(Regularizer::Prox(penalty)) = self.regularizer
        {
            let mut steps = [0.0; CHUNK];
            let steps = &mut steps[..values.len()];
            self.optimizer.step_size(self.step, slots, steps);
            penalty.prox(values, Steps::Each(steps));
        }
        Sums::default()
    }

    /// All rules are compiled into this, once for each instruction set.
    fn piece(&self, values: &mut [f32], gradients: &mut [f32], slots: &mut [&mut [f32]]) -> Sums {
        self.isa.vectorize(Piece { update: self, values, gradients, slots })
    }

    /// The sums are added up in the order of the halves, so that threads do not change them.
    pub(super) fn split(&self, values: &mut [f32], gradients: &mut [f32], mut slots: Slots<'_>) -> Sums {
        if values.len() <= CHUNK {
            return self.piece(values, gradients, &mut slots);
        }
        let middle = values.len().div_ceil(CHUNK).div_ceil(2) * CHUNK;
        let (left, right) = values.split_at_mut(middle);
        let (left_gradients, right_gradients) = gradients.split_at_mut(middle);
        let (left_slots, right_slots) = slots.split_at(middle);
        let (left, right) = rayon::join(
            || self.split(left, left_gradients, left_slots),
            || self.split(right, right_gradients, right_slots),
        );
        left + right
    }

    /// The work on the weights that a batch has touched, if it has touched few: their number, and not that of all, says
    /// how long it takes. The arrays begin at slot `first`.
    ///
    /// The other weights stay as they are: momentum does not move them on and decay does not shrink them until their
    /// feature is seen again (the "lazy" updates of torch's `SparseAdam`). Not so with a penalty, which acts on every
    /// weight: then all are updated.
    pub(super) fn split_touched(
        &self,
        touched: &[Range<usize>],
        first: usize,
        values: &mut [f32],
        gradients: &mut [f32],
        mut slots: Slots<'_>,
    ) {
        if touched.len() <= RANGES {
            for (at, range) in touched.iter().enumerate() {
                if let Some(next) = touched.get(at + 8) {
                    fetch_place(values, next.start - first);
                    fetch_place(gradients, next.start - first);
                    slots.iter().for_each(|slot| fetch_place(slot, next.start - first));
                }
                let range = range.start - first..range.end - first;
                let mut slots = slots.range(range.clone());
                self.piece(&mut values[range.clone()], &mut gradients[range], &mut slots);
            }
            return;
        }
        let (left_touched, right_touched) = touched.split_at(touched.len() / 2);
        let border = right_touched[0].start;
        let (left, right) = values.split_at_mut(border - first);
        let (left_gradients, right_gradients) = gradients.split_at_mut(border - first);
        let (left_slots, right_slots) = slots.split_at(border - first);
        rayon::join(
            || self.split_touched(left_touched, first, left, left_gradients, left_slots),
            || self.split_touched(right_touched, border, right, right_gradients, right_slots),
        );
    }
}

/// One piece of the work.
struct Piece<'a, 'b> {
    update: &'a Update<'a>,
    values: &'a mut [f32],
    gradients: &'a mut [f32],
    slots: &'a mut [&'b mut [f32]],
}

impl Vectorized for Piece<'_, '_> {
    type Output = Sums;

    #[inline(always)]
    fn run(self) -> Sums {
        self.update.chunk(self.values, self.gradients, self.slots)
    }
}

/// The values of a parameter and its optimizer's state, which several threads move.
pub(super) struct SharedState<'a> {
    pub(super) values: Shared<'a>,
    pub(super) slots: Vec<Shared<'a>>,
}

impl Update<'_> {
    /// The same work, without a penalty, on what other threads move too: a piece at a time is read, moved and written. `values` are a
    /// thread's own: they get what was written. `room` holds a piece of each slot.
    pub(super) fn share(
        &self,
        shared: &SharedState<'_>,
        gradient: &mut Gradient,
        values: &mut [f32],
        room: &mut [Vec<f32>],
    ) {
        let all = 0..values.len();
        let Gradient { values: gradients, touched } = gradient;
        let ranges = touched.as_deref().unwrap_or(std::slice::from_ref(&all));
        room.iter_mut().for_each(|slot| slot.resize(PIECE, 0.0));
        for (at, range) in ranges.iter().enumerate() {
            if let Some(next) = ranges.get(at + 8) {
                shared.values.fetch(next.start);
                fetch_place(gradients, next.start);
                shared.slots.iter().for_each(|slot| slot.fetch(next.start));
            }
            for first in range.clone().step_by(PIECE) {
                let piece = first..range.end.min(first + PIECE);
                let values = &mut values[piece.clone()];
                shared.values.read(first, values);
                let mut slots = Slots::of(room);
                let mut slots = slots.range(0..piece.len());
                shared.slots.iter().zip(slots.iter_mut()).for_each(|(shared, slot)| shared.read(first, slot));
                self.piece(values, &mut gradients[piece], &mut slots);
                shared.values.write(first, values);
                shared.slots.iter().zip(slots.iter()).for_each(|(shared, slot)| shared.write(first, slot));
            }
        }
    }
}
