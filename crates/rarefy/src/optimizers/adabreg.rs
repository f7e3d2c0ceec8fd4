//! AdaBreg, Adam's step within Bregman iterations (Bungert, Roith, Tenbrinck and Burger 2022, algorithm 3; with Adam's
//! correction of both moments, which the code beside the paper computes and leaves out of the first):
//! ```text
//! m <- beta1 * m + (1 - beta1) * g
//! n <- beta2 * n + (1 - beta2) * g^2
//! v <- v - learning_rate / (1 - beta1^t) * m / (sqrt(n) / sqrt(1 - beta2^t) + epsilon)
//! w <- what of v exceeds lambda                                                             (file bregman)
//! ```

use super::bregman::{begin, carry};
use super::{OptimizerSettings, StepSize, UpdateRule, check_lengths, correction, flush};

/// AdaBreg; see the top of the file for the formula. Slots: the subgradient, the first and the second moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Adabreg {
    beta1: f32,
    beta2: f32,
    epsilon: f32,
}

impl Adabreg {
    pub(super) fn new(settings: &OptimizerSettings) -> Adabreg {
        Adabreg { beta1: settings.beta1, beta2: settings.beta2, epsilon: settings.epsilon() }
    }
}

impl UpdateRule for Adabreg {
    fn slots(&self) -> usize {
        3
    }

    fn begin(&self, values: &[f32], slots: &mut [&mut [f32]]) {
        begin(values, slots[0]);
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
    fn step_size(&self, step: &StepSize, slots: &[&[f32]], out: &mut [f32]) {
        let [_, _, second] = slots else { panic!("adabreg has 3 slots, not {}", slots.len()) };
        check_lengths(out.len(), [second.len()]);
        let root_scale = (1.0 / correction(self.beta2, step.step).sqrt()) as f32;
        for (out, &n) in out.iter_mut().zip(second.iter()) {
            *out = step.learning_rate / (n.sqrt() * root_scale + self.epsilon);
        }
    }
}
