//! Prodigy, which finds its own learning rate.

use super::sums::sum;
use super::{Memory, Passes, StepSize, Sums, Traits, UpdateRule, check_lengths, flush};

/// The first estimate of the distance.
const FIRST_DISTANCE: f64 = 1e-6;

/// Prodigy (Mishchenko and Defazio 2023, algorithm 4), as `prodigyopt` 1.1 with decoupled decay, `safeguard_warmup` and
/// its other defaults: Adam that finds its own learning rate `d`, an estimate of the distance from the start `x0` to
/// the solution. With `r` the schedule's factor, `d0 = 1e-6` and sums over all weights of the network:
/// ```text
/// m <- beta1 * m + (1 - beta1) * d * g
/// v <- beta2 * v + (1 - beta2) * d^2 * g^2
/// s <- sqrt(beta2) * s + d^2 / d0 * g
/// n <- sqrt(beta2) * n + d / d0 * (d r) * sum of g * (x0 - w)
/// d' = max(d, n / sum of |s|)
/// w <- w - d r * weight_decay * w - d r * m / (sqrt(v) + d' * epsilon)
/// ```
/// The authors advise a constant or a cosine schedule, and the safeguard (`s` without the schedule's factor) for a
/// warm-up. They estimate `d` over fixed coordinates. Here a connection that is grown starts with `m`, `v` and `s` zero
/// and its own first value as `x0`: it says nothing about the distance until it has moved.
///
/// Slots: first and second moment, weighted gradient sum, start. It looks at the whole network before it moves it.
#[derive(Debug, Clone, PartialEq)]
pub struct Prodigy {
    /// Smoothing of the first moment, from 0 to below 1.
    pub beta1: f32,
    /// Smoothing of the second moment, from 0 to below 1.
    pub beta2: f32,
    /// Added to the root that divides the gradient, above 0.
    pub epsilon: f32,
    /// Weight decay, at least 0; biases are exempt.
    pub weight_decay: f32,
}

impl Default for Prodigy {
    fn default() -> Prodigy {
        Prodigy { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0 }
    }
}

impl UpdateRule for Prodigy {
    fn traits(&self) -> Traits {
        Traits { passes: Passes::Two, ..Traits::PLAIN }
    }

    fn slots(&self) -> usize {
        4
    }

    fn begin(&self, values: &[f32], slots: &mut [&mut [f32]]) {
        slots[3].copy_from_slice(values);
    }

    /// The estimate of the distance, and its numerator.
    fn memory(&self) -> Memory {
        Memory::of(&[FIRST_DISTANCE, 0.0])
    }

    fn prepare(&self, memory: &mut Memory, step: &mut StepSize) {
        let [distance, _] = memory.numbers();
        step.learning_rate = (*distance * f64::from(step.learning_rate)) as f32;
        step.estimate = *distance as f32;
    }

    fn decide(&self, memory: &mut Memory, step: &mut StepSize, sums: Sums, _: f64) {
        let ([distance, numerator], Sums([correlation, weighted, _])) = (memory.numbers(), sums);
        let scale = *distance / FIRST_DISTANCE * f64::from(step.learning_rate);
        *numerator = f64::from(self.beta2).sqrt() * *numerator + scale * correlation;
        if weighted > 0.0 {
            *distance = distance.max(*numerator / weighted);
        }
        step.estimate = *distance as f32;
    }

    #[inline(always)]
    fn gather(&self, step: &StepSize, values: &[f32], gradients: &[f32], slots: &mut [&mut [f32]]) -> Sums {
        let [first, second, weighted, start] = slots else { panic!("prodigy has 4 slots") };
        let lengths = [gradients.len(), first.len(), second.len(), weighted.len(), start.len()];
        check_lengths(values.len(), lengths);
        let d = step.estimate;
        let (rest1, rest2) = ((1.0 - self.beta1) * d, (1.0 - self.beta2) * d * d);
        let (beta3, weight) = (self.beta2.sqrt(), d / FIRST_DISTANCE as f32 * d);
        for ((m, v), &g) in first.iter_mut().zip(second.iter_mut()).zip(gradients) {
            *m = flush(self.beta1 * *m + rest1 * g);
            *v = flush(self.beta2 * *v + rest2 * (g * g));
        }
        for (s, &g) in weighted.iter_mut().zip(gradients) {
            *s = flush(beta3 * *s + weight * g);
        }
        let (start, weighted) = (&start[..values.len()], &weighted[..values.len()]);
        let gradients = &gradients[..values.len()];
        let correlation =
            sum(values.len(), |i| f64::from(gradients[i]) * (f64::from(start[i]) - f64::from(values[i])));
        Sums([correlation, sum(values.len(), |i| f64::from(weighted[i].abs())), 0.0])
    }

    #[inline(always)]
    fn update(&self, step: &StepSize, values: &mut [f32], _: &[f32], slots: &mut [&mut [f32]]) {
        let [first, second, _, _] = slots else { panic!("prodigy has 4 slots") };
        check_lengths(values.len(), [first.len(), second.len()]);
        let keep = 1.0 - step.learning_rate * step.decay(self.weight_decay);
        let epsilon = step.estimate * self.epsilon;
        for ((w, &m), &v) in values.iter_mut().zip(first.iter()).zip(second.iter()) {
            *w = *w * keep - step.learning_rate * m / (v.sqrt() + epsilon);
        }
    }

    /// `d r * d / (sqrt(v) + d * epsilon)`: the moments are those of `d * g`.
    #[inline(always)]
    fn step_size(&self, step: &StepSize, slots: &[&mut [f32]], out: &mut [f32]) {
        let [_, second, _, _] = slots else { panic!("prodigy has 4 slots") };
        check_lengths(out.len(), [second.len()]);
        let epsilon = step.estimate * self.epsilon;
        for (out, &v) in out.iter_mut().zip(second.iter()) {
            *out = step.learning_rate * step.estimate / (v.sqrt() + epsilon);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimizers::{Method, OptimizerSettings};

    /// Against `prodigyopt`'s formulas in f64: the distance and the weights after some steps on a quadratic.
    #[test]
    fn the_distance_is_the_authors() {
        let settings = OptimizerSettings { method: Method::Prodigy, ..Default::default() };
        let optimizer = settings.build().unwrap();
        let mut memory = optimizer.memory();
        let (mut values, mut state) = ([0.0f32; 3], [[0.0f32; 3]; 4]);
        for step in 1..=60 {
            let [a, b, c] = values;
            let gradients = [0.5 * (a - 1.0), b + 2.0, 2.0 * (c - 0.5)];
            let mut slots: Vec<&mut [f32]> = state.iter_mut().map(|slot| &mut slot[..]).collect();
            let mut size = StepSize::new(1.0, step);
            optimizer.prepare(&mut memory, &mut size);
            let sums = optimizer.gather(&size, &values, &gradients, &mut slots);
            optimizer.decide(&mut memory, &mut size, sums, 0.0);
            optimizer.update(&size, &mut values, &gradients, &mut slots);
            let want = match step {
                1 => [3.162_275_7e-6, -3.162_277_2e-6, 3.162_276_7e-6],
                20 => [1.311_454_3, -0.860_989_8, 0.884_074_5],
                60 => [0.952_833_3, -1.851_880_5, 0.489_752_5],
                _ => continue,
            };
            // 1 - 0.999 is off by 5e-5 in f32.
            let close = |(got, want): (&f32, f32)| (got - want).abs() < 3e-4 * want.abs();
            assert!(values.iter().zip(want).all(close), "step {step}: {values:?}, not {want:?}");
            if step >= 20 {
                assert!((size.estimate - 0.414_818_94).abs() < 1e-4, "step {step}: {}", size.estimate);
            }
        }
    }
}
