//! Gradient descent whose step is found on each batch by backtracking (Vaswani et al. 2019, algorithm 1 with their reset
//! rule 2; the condition is Armijo's, 1966). With `f` the loss of the batch, `n` batches an epoch:
//! ```text
//! step <- min(step * 2^(1/n), 10)
//! while f(w - step * g) > f(w) - 0.1 * step * |g|^2:  step <- 0.7 * step
//! w <- w - step * g
//! ```
//! The first step tried is the learning rate. Dropout draws the same masks in each trial. A penalty's proximal step
//! follows the accepted one and takes its size.

use serde::{Deserialize, Serialize};

use super::memory::sum;
use super::{OptimizerSettings, StepSize, Sums, UpdateRule, check_lengths};

/// The part of the decrease that the slope promises which a step must make.
const SUFFICIENT: f64 = 0.1;
/// A refused step is multiplied by this.
const SHRINK: f32 = 0.7;
/// From epoch to epoch the step may grow by this factor.
const GROWTH: f64 = 2.0;
/// The largest step.
const LARGEST: f32 = 10.0;
/// Smaller steps are not tried: the loss no longer tells them apart. The search has failed, this step is taken, and the
/// next search begins where this one began.
pub(super) const SMALLEST: f32 = 1e-6;

/// Gradient descent with a line search; see the top of the file. One slot: the values that the search starts from.
#[derive(Debug, Clone, PartialEq)]
pub struct Armijo {
    first: f32,
    growth: f32,
}

/// How far the last step reached, and what the search on this batch compares with.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Reach {
    step: f32,
    loss: f64,
    slope: f64,
}

impl Armijo {
    pub(super) fn new(settings: &OptimizerSettings) -> Armijo {
        Armijo { first: settings.learning_rate(), growth: GROWTH as f32 }
    }

    pub(super) fn set_epoch(&mut self, steps: u64) {
        self.growth = GROWTH.powf(1.0 / steps.max(1) as f64) as f32;
    }

    pub(super) fn memory(&self) -> Reach {
        Reach { step: self.first, loss: 0.0, slope: 0.0 }
    }

    pub(super) fn prepare(&self, memory: &mut Reach, step: &mut StepSize) {
        memory.step = if step.step == 1 { self.first } else { (memory.step * self.growth).min(LARGEST) };
        step.learning_rate = memory.step;
    }

    pub(super) fn decide(&self, memory: &mut Reach, sums: Sums, loss: f64) {
        (memory.loss, memory.slope) = (loss, sums.0[0]);
    }

    /// Whether the step does, `loss` being that after it; a smaller one to try otherwise.
    pub(super) fn accept(&self, memory: &mut Reach, step: &mut StepSize, loss: f64) -> bool {
        let size = f64::from(step.learning_rate);
        if loss <= memory.loss - SUFFICIENT * size * memory.slope {
            memory.step = step.learning_rate;
            return true;
        }
        let last = step.learning_rate <= SMALLEST;
        step.learning_rate = (step.learning_rate * SHRINK).max(SMALLEST);
        last
    }
}

impl UpdateRule for Armijo {
    fn slots(&self) -> usize {
        1
    }

    #[inline(always)]
    fn gather(&self, _: &StepSize, values: &[f32], gradients: &[f32], slots: &mut [&mut [f32]]) -> Sums {
        let [start] = slots else { panic!("armijo has 1 slot, not {}", slots.len()) };
        check_lengths(values.len(), [gradients.len(), start.len()]);
        start.copy_from_slice(values);
        Sums([squares(gradients), 0.0, 0.0])
    }

    #[inline(always)]
    fn update(&self, step: &StepSize, values: &mut [f32], gradients: &[f32], slots: &mut [&mut [f32]]) {
        let [start] = slots else { panic!("armijo has 1 slot, not {}", slots.len()) };
        descend_from(start, step.learning_rate, values, gradients);
    }

    #[inline(always)]
    fn step_size(&self, step: &StepSize, slots: &[&[f32]], out: &mut [f32]) {
        check_lengths(out.len(), slots.iter().map(|slot| slot.len()));
        out.fill(step.learning_rate);
    }
}

/// The sum of squares.
#[inline(always)]
pub(super) fn squares(numbers: &[f32]) -> f64 {
    sum(numbers.len(), |i| f64::from(numbers[i]) * f64::from(numbers[i]))
}

/// `values = start - step * gradients`.
#[inline(always)]
pub(super) fn descend_from(start: &[f32], step: f32, values: &mut [f32], gradients: &[f32]) {
    check_lengths(values.len(), [gradients.len(), start.len()]);
    for ((w, &start), &g) in values.iter_mut().zip(start).zip(gradients) {
        *w = start - step * g;
    }
}
