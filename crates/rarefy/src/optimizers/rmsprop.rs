//! RMSprop.

use super::{StepSize, Traits, UpdateRule, check_lengths, flush};

/// RMSprop (Tieleman and Hinton 2012, lecture 6.5), not centred, as `torch.optim.RMSprop`:
/// ```text
/// g <- g + weight_decay * w
/// v <- rho * v + (1 - rho) * g^2
/// w <- w - learning_rate * g / (sqrt(v) + epsilon)         without momentum
/// b <- momentum * b + g / (sqrt(v) + epsilon)              with momentum
/// w <- w - learning_rate * b
/// ```
///
/// Slots: the mean square, then the momentum if there is one.
#[derive(Debug, Clone, PartialEq)]
pub struct Rmsprop {
    /// Smoothing of the mean square, from 0 to below 1 (`alpha` in PyTorch).
    pub rho: f32,
    /// Added to the root that divides the gradient, above 0.
    pub epsilon: f32,
    /// Momentum, from 0 to below 1.
    pub momentum: f32,
    /// Weight decay, at least 0; biases are exempt.
    pub weight_decay: f32,
}

impl Default for Rmsprop {
    fn default() -> Rmsprop {
        Rmsprop { rho: 0.99, epsilon: 1e-8, momentum: 0.0, weight_decay: 0.0 }
    }
}

impl UpdateRule for Rmsprop {
    fn traits(&self) -> Traits {
        Traits::PLAIN
    }

    fn slots(&self) -> usize {
        1 + usize::from(self.momentum > 0.0)
    }

    #[inline(always)]
    fn update(&self, step: &StepSize, values: &mut [f32], gradients: &[f32], slots: &mut [&mut [f32]]) {
        check_lengths(values.len(), [gradients.len()].into_iter().chain(slots.iter().map(|slot| slot.len())));
        assert_eq!(slots.len(), self.slots(), "rmsprop's slots");
        let decay = step.decay(self.weight_decay);
        let rest = 1.0 - self.rho;
        match slots {
            [square] => {
                for ((w, &g), v) in values.iter_mut().zip(gradients).zip(square.iter_mut()) {
                    let g = g + decay * *w;
                    *v = flush(self.rho * *v + rest * (g * g));
                    *w -= step.learning_rate * g / (v.sqrt() + self.epsilon);
                }
            }
            [square, momentum] => {
                let state = square.iter_mut().zip(momentum.iter_mut());
                for ((w, &g), (v, b)) in values.iter_mut().zip(gradients).zip(state) {
                    let g = g + decay * *w;
                    *v = flush(self.rho * *v + rest * (g * g));
                    *b = flush(self.momentum * *b + g / (v.sqrt() + self.epsilon));
                    *w -= step.learning_rate * *b;
                }
            }
            _ => unreachable!("one or two slots"),
        }
    }

    #[inline(always)]
    fn step_size(&self, step: &StepSize, slots: &[&mut [f32]], out: &mut [f32]) {
        assert_eq!(slots.len(), self.slots(), "rmsprop's slots");
        check_lengths(out.len(), [slots[0].len()]);
        for (out, &v) in out.iter_mut().zip(slots[0].iter()) {
            *out = step.learning_rate / ((1.0 - self.momentum) * (v.sqrt() + self.epsilon));
        }
    }
}
