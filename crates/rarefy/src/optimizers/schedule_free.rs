//! Schedule-free gradient descent and AdamW (Defazio et al. 2024, equations 3 to 5 and algorithm 1), as `schedulefree`
//! 1.4: an average in place of a schedule. Gradients are taken at `y` (the network's values while training), steps are
//! made from `z`, and the model is the average `x`:
//! ```text
//! z <- z - l * (g + weight_decay * y)                                     sgd
//! v <- beta2 * v + (1 - beta2) * g^2                                      adamw
//! z <- z - l * sqrt(1 - beta2^t) * (g / (sqrt(v) + epsilon) + weight_decay * y)
//! x <- (1 - c) * x + c * z        c = (largest l so far)^2 / the sum of these squares over all steps
//! y <- beta1 * x + (1 - beta1) * z
//! ```
//! `l` is the learning rate, warm-up included; for adamw the root belongs to it in `c` too. Beta1 interpolates, it is no
//! momentum. A connection that is grown starts with `x = z = y`.

use serde::{Deserialize, Serialize};

use super::{Method, OptimizerSettings, StepSize, UpdateRule, check_lengths, correction, flush};

/// The slot that holds the average.
pub(super) const AVERAGE: usize = 1;

/// Both methods; see the top of the file for the formulas. Slots: `z`, `x`, and for adamw the second moment.
#[derive(Debug, Clone, PartialEq)]
pub struct ScheduleFree {
    beta1: f32,
    beta2: f32,
    epsilon: f32,
    weight_decay: f32,
    is_adaptive: bool,
}

/// What the weight of the next point in the average depends on.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Average {
    largest: f64,
    sum: f64,
}

impl ScheduleFree {
    pub(super) fn new(settings: &OptimizerSettings) -> ScheduleFree {
        ScheduleFree {
            beta1: settings.beta1,
            beta2: settings.beta2,
            epsilon: settings.epsilon(),
            weight_decay: settings.weight_decay(),
            is_adaptive: settings.method == Method::ScheduleFreeAdamw,
        }
    }

    pub(super) fn prepare(&self, memory: &mut Average, step: &mut StepSize) {
        if self.is_adaptive {
            let root = correction(self.beta2, step.step).sqrt();
            step.learning_rate = (f64::from(step.learning_rate) * root) as f32;
        }
        memory.largest = memory.largest.max(f64::from(step.learning_rate));
        let weight = memory.largest * memory.largest;
        memory.sum += weight;
        step.averaging = if memory.sum > 0.0 { (weight / memory.sum) as f32 } else { 0.0 };
    }
}

impl UpdateRule for ScheduleFree {
    fn slots(&self) -> usize {
        2 + usize::from(self.is_adaptive)
    }

    fn begin(&self, values: &[f32], slots: &mut [&mut [f32]]) {
        slots[..2].iter_mut().for_each(|slot| slot.copy_from_slice(values));
    }

    #[inline(always)]
    fn update(&self, step: &StepSize, values: &mut [f32], gradients: &[f32], slots: &mut [&mut [f32]]) {
        check_lengths(values.len(), [gradients.len()].into_iter().chain(slots.iter().map(|slot| slot.len())));
        let (rate, decay) = (step.learning_rate, step.decay(self.weight_decay));
        match slots {
            [iterate, _] => {
                for ((y, &g), z) in values.iter().zip(gradients).zip(iterate.iter_mut()) {
                    *z -= rate * (g + decay * y);
                }
            }
            [iterate, _, square] => {
                let rest = 1.0 - self.beta2;
                let state = iterate.iter_mut().zip(square.iter_mut());
                for ((y, &g), (z, v)) in values.iter().zip(gradients).zip(state) {
                    *v = flush(self.beta2 * *v + rest * (g * g));
                    *z -= rate * (g / (v.sqrt() + self.epsilon) + decay * y);
                }
            }
            _ => panic!("schedule-free methods have 2 or 3 slots, not {}", slots.len()),
        }
        let [iterate, average, ..] = slots else { unreachable!("matched above") };
        let (c, beta) = (step.averaging, self.beta1);
        for ((y, &z), x) in values.iter_mut().zip(iterate.iter()).zip(average.iter_mut()) {
            *x = (1.0 - c) * *x + c * z;
            *y = beta * *x + (1.0 - beta) * z;
        }
    }

    /// That of `z`. No proximal penalty goes with the average, which would fill in what it empties.
    #[inline(always)]
    fn step_size(&self, step: &StepSize, slots: &[&[f32]], out: &mut [f32]) {
        check_lengths(out.len(), slots.iter().map(|slot| slot.len()));
        match slots {
            [_, _, square] => {
                for (out, &v) in out.iter_mut().zip(square.iter()) {
                    *out = step.learning_rate / (v.sqrt() + self.epsilon);
                }
            }
            _ => out.fill(step.learning_rate),
        }
    }
}
