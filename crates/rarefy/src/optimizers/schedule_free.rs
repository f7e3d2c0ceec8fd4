//! Schedule-free gradient descent and AdamW.

use super::{Memory, StepSize, Traits, UpdateRule, check_lengths, correction, flush};

/// The slot that holds the average.
const AVERAGE: usize = 1;

/// Schedule-free gradient descent and AdamW (Defazio et al. 2024, equations 3 to 5), as `SGDScheduleFree` and
/// `AdamWScheduleFree` of the package `schedulefree` 1.4: an average in place of a schedule. Gradients are taken at `y` (the network's values while training), steps are
/// made from `z`, and the model is the average `x`:
/// ```text
/// z <- z - l * (g + weight_decay * y)                                     sgd
/// v <- beta2 * v + (1 - beta2) * g^2                                      adamw
/// z <- z - l * (g / (sqrt(v / (1 - beta2^t)) + epsilon) + weight_decay * y)
/// x <- (1 - c) * x + c * z        c = (largest l so far)^2 / the sum of these squares over all steps
/// y <- beta1 * x + (1 - beta1) * z
/// ```
/// `l` is the learning rate, warm-up included. The paper's algorithm 1 makes the root of `1 - beta2^t` a part of it, which leaves
/// early steps almost out of the average; the package does not. Beta1 interpolates, it is no momentum. A connection that is grown starts with `x = z = y`.
///
/// Slots: `z`, `x`, and for adamw the second moment. No proximal penalty goes with the average, which would fill in what it empties.
#[derive(Debug, Clone, PartialEq)]
pub struct ScheduleFree {
    /// Smoothing of the first moment, from 0 to below 1.
    pub beta1: f32,
    /// Smoothing of the second moment, from 0 to below 1.
    pub beta2: f32,
    /// Added to the root that divides the gradient, above 0.
    pub epsilon: f32,
    /// Weight decay, at least 0; biases are exempt.
    pub weight_decay: f32,
    /// Whether steps are AdamW's, and not those of gradient descent.
    pub is_adaptive: bool,
}

impl Default for ScheduleFree {
    fn default() -> ScheduleFree {
        ScheduleFree { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0, is_adaptive: true }
    }
}

impl ScheduleFree {
    /// What roots of the second moment are multiplied by, because it starts at 0.
    #[inline(always)]
    fn scale(&self, step: &StepSize) -> f32 {
        correction(self.beta2, step.step).sqrt().recip() as f32
    }
}

impl UpdateRule for ScheduleFree {
    fn traits(&self) -> Traits {
        Traits { average: Some(AVERAGE), ..Traits::PLAIN }
    }

    fn slots(&self) -> usize {
        2 + usize::from(self.is_adaptive)
    }

    fn begin(&self, values: &[f32], slots: &mut [&mut [f32]]) {
        slots[..2].iter_mut().for_each(|slot| slot.copy_from_slice(values));
    }

    /// The largest learning rate so far, and the sum of the squares of these.
    fn memory(&self) -> Memory {
        Memory::of(&[0.0, 0.0])
    }

    /// Tells the step, as its estimate, the weight of its point in the average.
    fn prepare(&self, memory: &mut Memory, step: &mut StepSize) {
        let [largest, sum] = memory.numbers();
        *largest = largest.max(f64::from(step.learning_rate));
        let weight = *largest * *largest;
        *sum += weight;
        step.estimate = if *sum > 0.0 { (weight / *sum) as f32 } else { 0.0 };
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
                let (rest, scale) = (1.0 - self.beta2, self.scale(step));
                let state = iterate.iter_mut().zip(square.iter_mut());
                for ((y, &g), (z, v)) in values.iter().zip(gradients).zip(state) {
                    *v = flush(self.beta2 * *v + rest * (g * g));
                    *z -= rate * (g / (scale * v.sqrt() + self.epsilon) + decay * y);
                }
            }
            _ => panic!("schedule-free methods have 2 or 3 slots, not {}", slots.len()),
        }
        let [iterate, average, ..] = slots else { unreachable!("matched above") };
        let (c, beta) = (step.estimate, self.beta1);
        for ((y, &z), x) in values.iter_mut().zip(iterate.iter()).zip(average.iter_mut()) {
            *x = (1.0 - c) * *x + c * z;
            *y = beta * *x + (1.0 - beta) * z;
        }
    }

    /// The step size of `z`.
    #[inline(always)]
    fn step_size(&self, step: &StepSize, slots: &[&mut [f32]], out: &mut [f32]) {
        check_lengths(out.len(), slots.iter().map(|slot| slot.len()));
        match slots {
            [_, _, square] => {
                let scale = self.scale(step);
                for (out, &v) in out.iter_mut().zip(square.iter()) {
                    *out = step.learning_rate / (scale * v.sqrt() + self.epsilon);
                }
            }
            _ => out.fill(step.learning_rate),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimizers::{Method, OptimizerSettings};

    /// The values while training and the average after each of eight gradients, from 1 with rate 0.1 and decay 0.1, recorded
    /// from schedulefree 1.4 in f64; warm-up is the package's `warmup_steps`.
    #[test]
    fn steps_are_the_packages() {
        let gradients = [0.5, -0.25, 1.0, 0.125, -2.0, 0.5, 0.5, -0.75];
        #[rustfmt::skip]
        let table = [
            (Method::ScheduleFreeAdamw, 0,
             [0.89, 0.91989528, 0.86391192, 0.83407968, 0.8698751, 0.86625508, 0.85349156, 0.86469186],
             [0.89, 0.91717752, 0.87278952, 0.84301272, 0.86220014, 0.86490343, 0.85777101, 0.8618421]),
            (Method::ScheduleFreeAdamw, 4,
             [0.9725, 0.99444732, 0.91556261, 0.8778774, 0.94368946, 0.94623384, 0.93306301, 0.94749304],
             [0.9725, 0.99391202, 0.91968627, 0.88124133, 0.93382923, 0.94346388, 0.93596776, 0.94371585]),
            (Method::ScheduleFreeSgd, 0,
             [0.94, 0.94858, 0.90712568, 0.88486215, 0.9263207, 0.9264005, 0.91714453, 0.92863592],
             [0.94, 0.9478, 0.91390473, 0.89156429, 0.91639029, 0.92306376, 0.91936424, 0.92481817]),
            (Method::ScheduleFreeSgd, 4,
             [0.985, 0.9912115, 0.93615062, 0.9095991, 0.98103521, 0.98649131, 0.97619781, 0.98987473],
             [0.985, 0.99106, 0.93904059, 0.91196796, 0.97012986, 0.98283778, 0.97805222, 0.98600012]),
        ];
        for (method, warmup, values, averages) in table {
            let settings = OptimizerSettings { method, weight_decay: Some(0.1), ..Default::default() };
            let optimizer = settings.build().unwrap();
            let mut memory = optimizer.memory();
            let mut value = [1.0f32];
            let mut slots = vec![[0.0f32]; optimizer.slots()];
            let views = |slots: &mut Vec<[f32; 1]>, act: &mut dyn FnMut(&mut [&mut [f32]])| {
                act(&mut slots.iter_mut().map(|slot| &mut slot[..]).collect::<Vec<_>>());
            };
            views(&mut slots, &mut |slots| optimizer.begin(&value, slots));
            for (at, gradient) in gradients.into_iter().enumerate() {
                let rate = if at < warmup { 0.1 * (at + 1) as f32 / warmup as f32 } else { 0.1 };
                let mut step = StepSize::new(rate, at as u64 + 1);
                optimizer.prepare(&mut memory, &mut step);
                views(&mut slots, &mut |slots| optimizer.update(&step, &mut value, &[gradient], slots));
                let case = format!("{method:?}, warm-up {warmup}, step {}", at + 1);
                assert!((f64::from(value[0]) - values[at]).abs() < 1e-6, "{case}: {}", value[0]);
                let average = slots[optimizer.average_slot().unwrap()][0];
                assert!((f64::from(average) - averages[at]).abs() < 1e-6, "{case}: average {average}");
            }
        }
    }
}
