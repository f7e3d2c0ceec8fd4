//! Adagrad.

use super::{StepSize, Traits, UpdateRule, check_lengths};

/// Adagrad, diagonal (Duchi, Hazan and Singer 2011, figure 1), as `torch.optim.Adagrad` without learning-rate decay:
/// ```text
/// g <- g + weight_decay * w
/// v <- v + g^2
/// w <- w - learning_rate * g / (sqrt(v) + epsilon)
/// ```
///
/// One slot: the sum of squares.
#[derive(Debug, Clone, PartialEq)]
pub struct Adagrad {
    /// Added to the root that divides the gradient, above 0.
    pub epsilon: f32,
    /// Weight decay, at least 0; biases are exempt.
    pub weight_decay: f32,
}

impl Default for Adagrad {
    fn default() -> Adagrad {
        Adagrad { epsilon: 1e-10, weight_decay: 0.0 }
    }
}

impl UpdateRule for Adagrad {
    fn traits(&self) -> Traits {
        Traits::PLAIN
    }

    fn slots(&self) -> usize {
        1
    }

    #[inline(always)]
    fn update(&self, step: &StepSize, values: &mut [f32], gradients: &[f32], slots: &mut [&mut [f32]]) {
        let [square] = slots else { panic!("adagrad has 1 slot, not {}", slots.len()) };
        check_lengths(values.len(), [gradients.len(), square.len()]);
        let decay = step.decay(self.weight_decay);
        for ((w, &g), v) in values.iter_mut().zip(gradients).zip(square.iter_mut()) {
            let g = g + decay * *w;
            *v += g * g;
            *w -= step.learning_rate * g / (v.sqrt() + self.epsilon);
        }
    }

    #[inline(always)]
    fn step_size(&self, step: &StepSize, slots: &[&mut [f32]], out: &mut [f32]) {
        let [square] = slots else { panic!("adagrad has 1 slot, not {}", slots.len()) };
        check_lengths(out.len(), [square.len()]);
        for (out, &v) in out.iter_mut().zip(square.iter()) {
            *out = step.learning_rate / (v.sqrt() + self.epsilon);
        }
    }
}
