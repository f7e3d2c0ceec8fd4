//! Gradient descent with a line search on each batch.

use super::line_search::{SMALLEST, descend_from, squares};
use super::{Memory, Passes, StepSize, Sums, Traits, UpdateRule, check_lengths};

/// The part of the decrease that the slope promises which a step must make.
const SUFFICIENT: f64 = 0.1;
/// A refused step is multiplied by this.
const SHRINK: f32 = 0.7;
/// From epoch to epoch the step may grow by this factor.
const GROWTH: f64 = 2.0;
/// The largest step.
const LARGEST: f32 = 10.0;

/// Gradient descent whose step is found on each batch by backtracking (Vaswani et al. 2019, algorithm 1 with their reset
/// rule 2; the condition is Armijo's, 1966). With `f` the loss of the batch, `n` batches an epoch:
/// ```text
/// step <- min(step * 2^(1/n), 10)
/// while f(w - step * g) > f(w) - 0.1 * step * |g|^2:  step <- 0.7 * step
/// w <- w - step * g
/// ```
/// The first step tried is the learning rate. Dropout draws the same masks in each trial. A penalty's proximal step
/// follows the accepted one and takes its size.
///
/// One slot: the values that the search starts from. Neither weight decay nor clipping goes with the search.
#[derive(Debug, Clone, PartialEq)]
pub struct Armijo {
    /// Steps of an epoch.
    pub steps_per_epoch: u64,
}

impl Default for Armijo {
    fn default() -> Armijo {
        Armijo { steps_per_epoch: 1 }
    }
}

impl UpdateRule for Armijo {
    fn traits(&self) -> Traits {
        Traits { passes: Passes::Search, ..Traits::PLAIN }
    }

    fn slots(&self) -> usize {
        1
    }

    /// How far the last step reached, and what the search on this batch compares with: the loss and the slope before it.
    fn memory(&self) -> Memory {
        Memory::of(&[0.0; 3])
    }

    fn prepare(&self, memory: &mut Memory, step: &mut StepSize) {
        let [reach, ..] = memory.numbers::<3>();
        if step.step > 1 {
            let growth = GROWTH.powf(1.0 / self.steps_per_epoch.max(1) as f64) as f32;
            step.learning_rate = (*reach as f32 * growth).min(LARGEST);
        }
        *reach = f64::from(step.learning_rate);
    }

    fn decide(&self, memory: &mut Memory, _: &mut StepSize, sums: Sums, loss: f64) {
        let [_, before, slope] = memory.numbers();
        (*before, *slope) = (loss, sums.0[0]);
    }

    fn accepts(&self, memory: &mut Memory, step: &mut StepSize, loss: f64) -> bool {
        let [reach, before, slope] = memory.numbers();
        let size = f64::from(step.learning_rate);
        if loss <= *before - SUFFICIENT * size * *slope {
            *reach = size;
            return true;
        }
        let last = step.learning_rate <= SMALLEST;
        step.learning_rate = (step.learning_rate * SHRINK).max(SMALLEST);
        last
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
    fn step_size(&self, step: &StepSize, slots: &[&mut [f32]], out: &mut [f32]) {
        check_lengths(out.len(), slots.iter().map(|slot| slot.len()));
        out.fill(step.learning_rate);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On `a w^2 / 2` from 1 a step `s` leaves `a (1 - s a)^2 / 2`: the search ends with the first step on its way down
    /// that decreases the loss by a tenth of what the slope promises, and the next one begins a little above it.
    #[test]
    fn the_first_step_that_does_is_taken() {
        for curvature in [0.1, 1.0, 3.0, 50.0, 1e4] {
            let armijo = Armijo { steps_per_epoch: 10 };
            let mut memory = armijo.memory();
            let mut step = StepSize::new(1.0, 1);
            armijo.prepare(&mut memory, &mut step);
            let left = |size: f32| curvature * (1.0 - f64::from(size) * curvature).powi(2) / 2.0;
            let does =
                |size: f32| left(size) <= curvature / 2.0 - 0.1 * f64::from(size) * curvature * curvature;
            armijo.decide(&mut memory, &mut step, Sums([curvature * curvature, 0.0, 0.0]), curvature / 2.0);
            let taken = loop {
                let size = step.learning_rate;
                if armijo.accepts(&mut memory, &mut step, left(size)) {
                    break size;
                }
            };
            assert!(does(taken), "curvature {curvature}: {taken} does not decrease enough");
            assert!(taken == 1.0 || !does(taken / SHRINK), "curvature {curvature}: {taken} is too careful");
            let mut next = StepSize::new(1.0, 2);
            armijo.prepare(&mut memory, &mut next);
            assert!((next.learning_rate / taken - 2f32.powf(0.1)).abs() < 1e-6);
        }
    }

    /// A loss that never falls, or is not a number, ends the search at the smallest step, and is forgotten.
    #[test]
    fn a_search_that_fails_ends() {
        for loss in [f64::NAN, 2.0] {
            let armijo = Armijo::default();
            let mut memory = armijo.memory();
            let mut step = StepSize::new(1.0, 1);
            armijo.prepare(&mut memory, &mut step);
            armijo.decide(&mut memory, &mut step, Sums([1.0, 0.0, 0.0]), 1.0);
            let tries = (1..100).find(|_| armijo.accepts(&mut memory, &mut step, loss));
            assert!(tries.is_some() && step.learning_rate == SMALLEST);
            assert_eq!(memory.numbers::<3>()[0], 1.0);
        }
    }
}
