//! LinBreg, linearized Bregman iterations.

use super::bregman::{begin, carry, memory, prepare};
use super::{Memory, StepSize, Traits, UpdateRule, check_lengths, flush};

/// LinBreg, stochastic linearized Bregman iterations, with or without momentum (Bungert, Roith, Tenbrinck and Burger
/// 2022, algorithms 1 and 2), as TimRoith/BregmanLearning:
/// ```text
/// b <- momentum * b + (1 - momentum) * learning_rate * g       with momentum, else b = learning_rate * g
/// v <- v - b,  w <- sign(v) max(|v| - lambda, 0)
/// ```
///
/// Slots: the subgradient, then the momentum if there is one. There is no weight decay: the penalty is L1.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Linbreg {
    /// Momentum, from 0 to below 1.
    pub momentum: f32,
}

impl UpdateRule for Linbreg {
    fn traits(&self) -> Traits {
        Traits { is_bregman: true, ..Traits::PLAIN }
    }

    fn slots(&self) -> usize {
        1 + usize::from(self.momentum > 0.0)
    }

    fn begin(&self, values: &[f32], slots: &mut [&mut [f32]]) {
        begin(values, slots[0]);
    }

    fn memory(&self) -> Memory {
        memory()
    }

    fn prepare(&self, memory: &mut Memory, step: &mut StepSize) {
        prepare(memory, step);
    }

    #[inline(always)]
    fn update(&self, step: &StepSize, values: &mut [f32], gradients: &[f32], slots: &mut [&mut [f32]]) {
        check_lengths(values.len(), [gradients.len()].into_iter().chain(slots.iter().map(|slot| slot.len())));
        let rate = step.learning_rate;
        match slots {
            [subgradient] => {
                for ((w, &g), q) in values.iter_mut().zip(gradients).zip(subgradient.iter_mut()) {
                    carry(w, q, step, rate * g);
                }
            }
            [subgradient, velocity] => {
                let rest = (1.0 - self.momentum) * rate;
                let state = subgradient.iter_mut().zip(velocity.iter_mut());
                for ((w, &g), (q, b)) in values.iter_mut().zip(gradients).zip(state) {
                    *b = flush(self.momentum * *b + rest * g);
                    carry(w, q, step, *b);
                }
            }
            _ => panic!("linbreg has 1 or 2 slots, not {}", slots.len()),
        }
    }

    #[inline(always)]
    fn step_size(&self, step: &StepSize, slots: &[&mut [f32]], out: &mut [f32]) {
        check_lengths(out.len(), slots.iter().map(|slot| slot.len()));
        out.fill(step.learning_rate);
    }
}
