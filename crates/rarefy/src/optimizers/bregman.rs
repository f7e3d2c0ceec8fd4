//! The step that the Bregman optimizers have in common (Bungert, Roith, Tenbrinck and Burger 2022, equation 1.9 with
//! `J = lambda |w|_1` and `delta = 1`): gradients move a hidden `v`, and a weight is what of it exceeds lambda:
//! ```text
//! v <- v - move
//! w <- sign(v) max(|v| - lambda, 0)
//! ```
//! A weight at zero stays there until gradients have carried its `v` past lambda, and is not pulled back to zero: the
//! network grows. Instead of `v` a slot keeps `q = (v - w) / lambda`, from -1 to 1, a subgradient of `|w|`. A connection
//! begins with `q = sign(w)`.
//!
//! When lambda rises between steps `v` stays, so that all weights come nearer to zero by the rise; when it falls `w` and
//! `q` stay, so that no weight jumps and the end of the penalty (lambda = 0) changes none. If `w` stayed at a rise too,
//! a controller could hold growth but not undo it: AdaBreg, whose weights all move alike, grew to 8 times a target of
//! 98 % and lost 3.5 points on digits when cut to it. If `v` stayed at a fall too, the number of weights swung by 4.

use super::{Memory, StepSize};

/// Fills the slot of `q` for weights that begin.
pub(super) fn begin(values: &[f32], subgradients: &mut [f32]) {
    for (q, &w) in subgradients.iter_mut().zip(values) {
        *q = if w == 0.0 { 0.0 } else { w.signum() };
    }
}

/// The lambda of the step before, which is not known yet.
pub(super) fn memory() -> Memory {
    Memory::of(&[f64::NAN])
}

/// Tells the step, as its estimate, at which lambda the hidden values stand.
pub(super) fn prepare(memory: &mut Memory, step: &mut StepSize) {
    let [last] = memory.numbers();
    // Where nothing is known `min` takes the other.
    step.estimate = step.lambda.min(*last as f32);
    *last = f64::from(step.lambda);
}

/// The weight and its `q` after `v` was moved by `-by`.
#[inline(always)]
pub(super) fn carry(w: &mut f32, q: &mut f32, step: &StepSize, by: f32) {
    let lambda = step.lambda;
    // A bias has no lambda, and no hidden value apart from it.
    let v = *w + step.estimate.min(lambda) * *q - by;
    let within = v.clamp(-lambda, lambda);
    *w = v - within;
    // Without a penalty there is no threshold to stand before.
    *q = if lambda > 0.0 {
        within / lambda
    } else if *w == 0.0 {
        *q
    } else {
        w.signum()
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever lambda does, `q` is a subgradient of `|w|` after every step. Without a move a weight stays if lambda
    /// falls, and comes nearer to zero by as much as lambda rises.
    #[test]
    fn the_slot_stays_a_subgradient() {
        for i in -40..=40 {
            let (mut w, mut q, mut memory) = (i as f32 * 0.05, 0.0, memory());
            begin(&[w], std::slice::from_mut(&mut q));
            let mut rise = 0.0;
            for (step, lambda) in (1..).zip([0.5, 0.5, 0.1, 0.4, 0.0, 0.0, 2.0, 0.3]) {
                for by in [0.0, ((i * 7 + step as i32) as f32).sin()] {
                    let mut size = StepSize { lambda, ..StepSize::new(1.0, step) };
                    let before = w;
                    let last = memory.numbers::<1>()[0] as f32;
                    rise = if last.is_nan() { rise } else { (lambda - last).max(0.0) };
                    prepare(&mut memory, &mut size);
                    carry(&mut w, &mut q, &size, by);
                    if by == 0.0 {
                        let want = before.signum() * (before.abs() - rise).max(0.0);
                        assert!((w - want).abs() < 1e-6, "lambda {lambda}: {before} became {w}, not {want}");
                    }
                    assert!(q.abs() <= 1.0 && (w == 0.0 || q == w.signum()), "lambda {lambda}: {w}, {q}");
                }
            }
        }
    }
}
