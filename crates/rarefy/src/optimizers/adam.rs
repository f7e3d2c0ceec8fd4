//! Adam and AdamW.

use super::{StepSize, Traits, UpdateRule, check_lengths, correction, flush};

/// Adam (Kingma and Ba 2015, algorithm 1) and AdamW (Loshchilov and Hutter 2019, algorithm 2), as `torch.optim`:
/// ```text
/// g <- g + weight_decay * w                          Adam
/// w <- w - learning_rate * weight_decay * w          AdamW
/// m <- beta1 * m + (1 - beta1) * g
/// v <- beta2 * v + (1 - beta2) * g^2
/// w <- w - learning_rate / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon)
/// ```
/// `t` is the run's step, also for a connection grown late: its moments start at zero and are not corrected again.
///
/// Two slots: first and second moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Adam {
    /// Smoothing of the first moment, from 0 to below 1.
    pub beta1: f32,
    /// Smoothing of the second moment, from 0 to below 1.
    pub beta2: f32,
    /// Added to the root that divides the gradient, above 0.
    pub epsilon: f32,
    /// Weight decay, at least 0; biases are exempt.
    pub weight_decay: f32,
    /// AdamW: the decay shrinks the weight and stays out of the moments.
    pub decoupled: bool,
}

impl Default for Adam {
    fn default() -> Adam {
        Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0, decoupled: false }
    }
}

impl UpdateRule for Adam {
    fn traits(&self) -> Traits {
        Traits::PLAIN
    }

    fn slots(&self) -> usize {
        2
    }

    #[inline(always)]
    fn update(&self, step: &StepSize, values: &mut [f32], gradients: &[f32], slots: &mut [&mut [f32]]) {
        let [first, second] = slots else { panic!("adam has 2 slots, not {}", slots.len()) };
        check_lengths(values.len(), [gradients.len(), first.len(), second.len()]);
        let decay = step.decay(self.weight_decay);
        let (keep, coupled) =
            if self.decoupled { (1.0 - step.learning_rate * decay, 0.0) } else { (1.0, decay) };
        let rate = (f64::from(step.learning_rate) / correction(self.beta1, step.step)) as f32;
        let root_scale = (1.0 / correction(self.beta2, step.step).sqrt()) as f32;
        let (rest1, rest2) = (1.0 - self.beta1, 1.0 - self.beta2);
        let moments = first.iter_mut().zip(second.iter_mut());
        for ((w, &g), (m, v)) in values.iter_mut().zip(gradients).zip(moments) {
            let g = g + coupled * *w;
            *m = flush(self.beta1 * *m + rest1 * g);
            *v = flush(self.beta2 * *v + rest2 * (g * g));
            *w = *w * keep - rate * *m / (v.sqrt() * root_scale + self.epsilon);
        }
    }

    /// `learning_rate / (sqrt(v) / sqrt(1 - beta2^t) + epsilon)`: the corrected first moment stands for the gradient.
    #[inline(always)]
    fn step_size(&self, step: &StepSize, slots: &[&mut [f32]], out: &mut [f32]) {
        let [_, second] = slots else { panic!("adam has 2 slots, not {}", slots.len()) };
        check_lengths(out.len(), [second.len()]);
        let root_scale = (1.0 / correction(self.beta2, step.step).sqrt()) as f32;
        for (out, &v) in out.iter_mut().zip(second.iter()) {
            *out = step.learning_rate / (v.sqrt() * root_scale + self.epsilon);
        }
    }
}
