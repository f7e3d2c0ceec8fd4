//! Gradient descent with the step of Barzilai and Borwein.

use super::line_search::{SMALLEST, descend_from, squares};
use super::sums::sum;
use super::{Memory, Passes, StepSize, Sums, Traits, UpdateRule, check_lengths};

const SUFFICIENT: f64 = 1e-4;
const SHRINK: f32 = 0.5;
const LARGEST: f32 = 1e4;
/// The step's growth where the curvature along the last step is not positive.
const GROWTH: f32 = 10.0;
/// Losses that a step may not exceed the largest of.
const MEMORY: usize = 10;

/// Gradient descent with the step of Barzilai and Borwein 1988 (equation 5), for full batches, safeguarded by the
/// non-monotone line search of Grippo, Lampariello and Lucidi 1986 as Raydan 1997 joins them:
/// ```text
/// s = w - last w,  y = g - last g
/// step <- (s . s) / (s . y)              if s . y > 0, else 10 times the last; from 1e-6 to 1e4
/// while f(w - step * g) > (largest f of the last 10 steps) - 1e-4 * step * |g|^2:  step <- step / 2
/// w <- w - step * g
/// ```
/// The first step is the learning rate. It needs the same loss at each step, so the batch is the training part.
///
/// Slots: the last values and the last gradients.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BarzilaiBorwein;

/// The numbers of the memory: the last step, the last losses, how many losses there were, and the slope at hand.
const NUMBERS: usize = MEMORY + 3;

impl UpdateRule for BarzilaiBorwein {
    fn traits(&self) -> Traits {
        Traits { passes: Passes::Search, needs_full_batch: true, ..Traits::PLAIN }
    }

    fn slots(&self) -> usize {
        2
    }

    fn begin(&self, values: &[f32], slots: &mut [&mut [f32]]) {
        slots[0].copy_from_slice(values);
    }

    fn memory(&self) -> Memory {
        Memory::of(&[0.0; NUMBERS])
    }

    fn decide(&self, memory: &mut Memory, step: &mut StepSize, sums: Sums, loss: f64) {
        let [last, losses @ .., seen, slope_at_hand] = memory.numbers::<NUMBERS>();
        let Sums([moved, curved, slope]) = sums;
        if step.step > 1 {
            let size = if curved > 0.0 { (moved / curved) as f32 } else { GROWTH * *last as f32 };
            step.learning_rate = size.clamp(SMALLEST, LARGEST);
        }
        losses[*seen as usize % MEMORY] = loss;
        *seen += 1.0;
        *slope_at_hand = slope;
    }

    fn accepts(&self, memory: &mut Memory, step: &mut StepSize, loss: f64) -> bool {
        let [last, losses @ .., seen, slope] = memory.numbers::<NUMBERS>();
        let size = f64::from(step.learning_rate);
        let losses = losses.iter().take(*seen as usize);
        let largest = losses.fold(f64::NEG_INFINITY, |largest, &loss| largest.max(loss));
        let does = loss <= largest - SUFFICIENT * size * *slope;
        if does || step.learning_rate <= SMALLEST {
            *last = size;
            return true;
        }
        step.learning_rate = (step.learning_rate * SHRINK).max(SMALLEST);
        false
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
    fn step_size(&self, step: &StepSize, slots: &[&mut [f32]], out: &mut [f32]) {
        check_lengths(out.len(), slots.iter().map(|slot| slot.len()));
        out.fill(step.learning_rate);
    }
}
