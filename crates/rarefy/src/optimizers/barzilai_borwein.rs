//! Gradient descent with the step of Barzilai and Borwein 1988 (equation 5), for full batches, safeguarded by the
//! non-monotone line search of Grippo, Lampariello and Lucidi 1986 as Raydan 1997 joins them:
//! ```text
//! s = w - last w,  y = g - last g
//! step <- (s . s) / (s . y)              if s . y > 0, else 10 times the last; from 1e-6 to 1e4
//! while f(w - step * g) > (largest f of the last 10 steps) - 1e-4 * step * |g|^2:  step <- step / 2
//! w <- w - step * g
//! ```
//! The first step is the learning rate. It needs the same loss at each step, so the batch is the training part.

use serde::{Deserialize, Serialize};

use super::line_search::{SMALLEST, descend_from, squares};
use super::sums::sum;
use super::{StepSize, Sums, UpdateRule, check_lengths};

const SUFFICIENT: f64 = 1e-4;
const SHRINK: f32 = 0.5;
const LARGEST: f32 = 1e4;
/// The step's growth where the curvature along the last step is not positive.
const GROWTH: f32 = 10.0;
/// Losses that a step may not exceed the largest of.
const MEMORY: usize = 10;

/// The method; see the top of the file. Slots: the last values and the last gradients.
#[derive(Debug, Clone, PartialEq)]
pub struct BarzilaiBorwein;

/// The last step, the last losses, and the slope at hand.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Secant {
    step: f32,
    losses: [f64; MEMORY],
    seen: usize,
    slope: f64,
}

impl BarzilaiBorwein {
    pub(super) fn decide(&self, memory: &mut Secant, step: &mut StepSize, sums: Sums, loss: f64) {
        let Sums([moved, curved, slope]) = sums;
        if step.step > 1 {
            let size = if curved > 0.0 { (moved / curved) as f32 } else { GROWTH * memory.step };
            step.learning_rate = size.clamp(SMALLEST, LARGEST);
        }
        memory.losses[memory.seen % MEMORY] = loss;
        memory.seen += 1;
        memory.slope = slope;
    }

    /// Whether the step does, `loss` being that after it; a smaller one to try otherwise.
    pub(super) fn accept(&self, memory: &mut Secant, step: &mut StepSize, loss: f64) -> bool {
        let size = f64::from(step.learning_rate);
        let losses = memory.losses.iter().take(memory.seen);
        let largest = losses.fold(f64::NEG_INFINITY, |largest, &loss| largest.max(loss));
        let does = loss <= largest - SUFFICIENT * size * memory.slope;
        if does || step.learning_rate <= SMALLEST {
            memory.step = step.learning_rate;
            return true;
        }
        step.learning_rate = (step.learning_rate * SHRINK).max(SMALLEST);
        false
    }
}

impl UpdateRule for BarzilaiBorwein {
    fn slots(&self) -> usize {
        2
    }

    fn begin(&self, values: &[f32], slots: &mut [&mut [f32]]) {
        slots[0].copy_from_slice(values);
    }

    #[inline(always)]
    fn gather(&self, _: &StepSize, values: &[f32], gradients: &[f32], slots: &mut [&mut [f32]]) -> Sums {
        let [place, slope] = slots else { panic!("barzilai-borwein has 2 slots, not {}", slots.len()) };
        check_lengths(values.len(), [gradients.len(), place.len(), slope.len()]);
        let moved = |i: usize| f64::from(values[i]) - f64::from(place[i]);
        let curved = |i: usize| f64::from(gradients[i]) - f64::from(slope[i]);
        let sums = Sums([
            sum(values.len(), |i| moved(i) * moved(i)),
            sum(values.len(), |i| moved(i) * curved(i)),
            squares(gradients),
        ]);
        place.copy_from_slice(values);
        slope.copy_from_slice(gradients);
        sums
    }

    #[inline(always)]
    fn update(&self, step: &StepSize, values: &mut [f32], gradients: &[f32], slots: &mut [&mut [f32]]) {
        let [place, _] = slots else { panic!("barzilai-borwein has 2 slots, not {}", slots.len()) };
        descend_from(place, step.learning_rate, values, gradients);
    }

    #[inline(always)]
    fn step_size(&self, step: &StepSize, slots: &[&[f32]], out: &mut [f32]) {
        check_lengths(out.len(), slots.iter().map(|slot| slot.len()));
        out.fill(step.learning_rate);
    }
}
