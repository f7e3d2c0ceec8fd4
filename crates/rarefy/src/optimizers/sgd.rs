//! Gradient descent with and without momentum.

use super::{StepSize, Traits, UpdateRule, check_lengths, flush};

/// Stochastic gradient descent with momentum (Polyak 1964) or Nesterov's (Sutskever et al. 2013), as `torch.optim.SGD`
/// without dampening:
/// ```text
/// g <- g + weight_decay * w
/// v <- momentum * v + g
/// w <- w - learning_rate * v                      plain
/// w <- w - learning_rate * (g + momentum * v)     Nesterov
/// ```
/// A steady gradient moves a weight by `learning_rate / (1 - momentum)` times itself a step, which is what proximal penalties
/// are told: their lambda means the same with any momentum. Without momentum there is no `v` and `w <- w - learning_rate * g`.
///
/// One slot with momentum, none without.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sgd {
    /// Momentum, from 0 to below 1.
    pub momentum: f32,
    /// Whether the momentum is Nesterov's.
    pub nesterov: bool,
    /// Weight decay, at least 0; biases are exempt.
    pub weight_decay: f32,
}

impl UpdateRule for Sgd {
    fn traits(&self) -> Traits {
        Traits::PLAIN
    }

    fn slots(&self) -> usize {
        usize::from(self.momentum > 0.0)
    }

    #[inline(always)]
    fn update(&self, step: &StepSize, values: &mut [f32], gradients: &[f32], slots: &mut [&mut [f32]]) {
        check_lengths(values.len(), [gradients.len()].into_iter().chain(slots.iter().map(|slot| slot.len())));
        assert_eq!(slots.len(), self.slots(), "sgd's slots");
        let decay = step.decay(self.weight_decay);
        match slots {
            [] => descend(values, gradients, step.learning_rate, decay),
            // The new direction is a * g + b * v: one loop serves both kinds of momentum.
            [velocity] => {
                let (a, b) = if self.nesterov { (1.0, self.momentum) } else { (0.0, 1.0) };
                for ((w, &g), v) in values.iter_mut().zip(gradients).zip(velocity.iter_mut()) {
                    let g = g + decay * *w;
                    *v = flush(self.momentum * *v + g);
                    *w -= step.learning_rate * (a * g + b * *v);
                }
            }
            _ => unreachable!("at most one slot"),
        }
    }

    #[inline(always)]
    fn step_size(&self, step: &StepSize, slots: &[&mut [f32]], out: &mut [f32]) {
        check_lengths(out.len(), slots.iter().map(|slot| slot.len()));
        out.fill(step.learning_rate / (1.0 - self.momentum));
    }
}

#[inline(always)]
fn descend(values: &mut [f32], gradients: &[f32], learning_rate: f32, decay: f32) {
    for (w, &g) in values.iter_mut().zip(gradients) {
        *w -= learning_rate * (g + decay * *w);
    }
}
