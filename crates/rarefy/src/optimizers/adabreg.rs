//! AdaBreg, Bregman iterations with the step of Adam.

use super::bregman::{begin, carry, memory, prepare};
use super::{Memory, StepSize, Traits, UpdateRule, check_lengths, correction, flush};

/// AdaBreg, Adam's step within Bregman iterations (Bungert, Roith, Tenbrinck and Burger 2022, algorithm 3; with Adam's
/// correction of both moments, which the code beside the paper computes and leaves out of the first):
/// ```text
/// m <- beta1 * m + (1 - beta1) * g
/// n <- beta2 * n + (1 - beta2) * g^2
/// v <- v - learning_rate / (1 - beta1^t) * m / (sqrt(n) / sqrt(1 - beta2^t) + epsilon)
/// w <- sign(v) max(|v| - lambda, 0)
/// ```
///
/// Slots: the subgradient, the first and the second moment. There is no weight decay: the penalty is L1.
#[derive(Debug, Clone, PartialEq)]
pub struct Adabreg {
    /// Smoothing of the first moment, from 0 to below 1.
    pub beta1: f32,
    /// Smoothing of the second moment, from 0 to below 1.
    pub beta2: f32,
    /// Added to the root that divides the gradient, above 0.
    pub epsilon: f32,
}

impl Default for Adabreg {
    fn default() -> Adabreg {
        Adabreg { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 }
    }
}

impl UpdateRule for Adabreg {
    fn traits(&self) -> Traits {
        Traits { is_bregman: true, ..Traits::PLAIN }
    }

    fn slots(&self) -> usize {
        3
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
        let [subgradient, first, second] = slots else { panic!("adabreg has 3 slots, not {}", slots.len()) };
        check_lengths(values.len(), [gradients.len(), subgradient.len(), first.len(), second.len()]);
        let rate = (f64::from(step.learning_rate) / correction(self.beta1, step.step)) as f32;
        let root_scale = (1.0 / correction(self.beta2, step.step).sqrt()) as f32;
        let (rest1, rest2) = (1.0 - self.beta1, 1.0 - self.beta2);
        let state = subgradient.iter_mut().zip(first.iter_mut()).zip(second.iter_mut());
        for ((w, &g), ((q, m), n)) in values.iter_mut().zip(gradients).zip(state) {
            *m = flush(self.beta1 * *m + rest1 * g);
            *n = flush(self.beta2 * *n + rest2 * (g * g));
            carry(w, q, step, rate * *m / (n.sqrt() * root_scale + self.epsilon));
        }
    }

    #[inline(always)]
    fn step_size(&self, step: &StepSize, slots: &[&mut [f32]], out: &mut [f32]) {
        let [_, _, second] = slots else { panic!("adabreg has 3 slots, not {}", slots.len()) };
        check_lengths(out.len(), [second.len()]);
        let root_scale = (1.0 / correction(self.beta2, step.step).sqrt()) as f32;
        for (out, &n) in out.iter_mut().zip(second.iter()) {
            *out = step.learning_rate / (n.sqrt() * root_scale + self.epsilon);
        }
    }
}
