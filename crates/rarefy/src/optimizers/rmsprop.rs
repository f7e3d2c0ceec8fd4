//! RMSprop (Tieleman and Hinton 2012, lecture 6.5), not centred, as `torch.optim.RMSprop`:
//! ```text
//! g <- g + weight_decay * w
//! v <- rho * v + (1 - rho) * g^2
//! w <- w - learning_rate * g / (sqrt(v) + epsilon)         without momentum
//! b <- momentum * b + g / (sqrt(v) + epsilon)              with momentum
//! w <- w - learning_rate * b
//! ```

use super::{OptimizerSettings, StepSize, UpdateRule, check_lengths, flush};

/// RMSprop; see the top of the file for the formula. Slots: the mean square, then the momentum if there is one.
#[derive(Debug, Clone, PartialEq)]
pub struct Rmsprop {
    rho: f32,
    epsilon: f32,
    momentum: f32,
    weight_decay: f32,
}

impl Rmsprop {
    pub(super) fn new(settings: &OptimizerSettings) -> Rmsprop {
        Rmsprop {
            rho: settings.rho,
            epsilon: settings.epsilon(),
            momentum: settings.momentum,
            weight_decay: settings.weight_decay(),
        }
    }
}

impl UpdateRule for Rmsprop {
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
    fn step_size(&self, step: &StepSize, slots: &[&[f32]], out: &mut [f32]) {
        assert_eq!(slots.len(), self.slots(), "rmsprop's slots");
        check_lengths(out.len(), [slots[0].len()]);
        for (out, &v) in out.iter_mut().zip(slots[0]) {
            *out = step.learning_rate / ((1.0 - self.momentum) * (v.sqrt() + self.epsilon));
        }
    }
}
