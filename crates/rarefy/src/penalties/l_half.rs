//! The l-half penalty.

use super::rule::{PenaltyRule, sign};

/// `sqrt(2/27)`: at a larger `b`, 0 has the smaller objective.
const LIMIT: f32 = 0.272_165_53;

/// The l-half penalty (Xu, Chang, Xu and Zhang 2012): `P(w) = lambda sqrt(|w|)`, steeper at 0 than L1 and flatter far
/// from it. Its proximal operator is the half threshold (their theorem 1), with `c = step lambda / 2`:
/// ```text
/// prox(w) = 2/3 w (1 + cos(2/3 (pi - arccos(b 3 sqrt(3) / 2))))   if b <= sqrt(2/27),   otherwise 0,
/// b = c / |w|^(3/2)
/// ```
/// The cosine is the largest root of the cubic `u - u^3 = b` in `u = sqrt(prox(w) / w)`. Here Newton's method finds
/// that root: four divisions vectorise, where arccos and cos would not, and have the same bits on every platform.
///
/// Not convex: where training starts decides which weights stay.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LHalf;

impl PenaltyRule for LHalf {
    #[inline(always)]
    fn value(&self, lambda: f32, w: f32) -> f64 {
        f64::from(lambda) * f64::from(w).abs().sqrt()
    }

    #[inline(always)]
    fn slope(&self, lambda: f32, w: f32) -> f32 {
        let slope = 0.5 * lambda * sign(w) / w.abs().sqrt();
        if w == 0.0 { 0.0 } else { slope }
    }

    /// A root is infinitely steep at 0: no gradient is as steep.
    fn slope_at_zero(&self, lambda: f32) -> f32 {
        if lambda > 0.0 { f32::INFINITY } else { 0.0 }
    }

    /// The slope of the penalty is `lambda / (2 sqrt(|w|))`.
    fn lambda_that_empties(&self, slope: f32, w: f32) -> f32 {
        2.0 * slope * w.abs().sqrt()
    }

    #[inline(always)]
    fn prox(&self, lambda: f32, w: f32, step: f32) -> f32 {
        let size = w.abs();
        // The floor makes lambda 0 the identity at 0, where b would be 0 / 0.
        let b = 0.5 * (step * lambda) / (size * size.sqrt()).max(f32::MIN_POSITIVE);
        // The cubic is convex and 1 lies right of its largest root: Newton falls onto the root and never past it. The
        // first line is its first step; the worst start, at LIMIT, is exact in f32 after four.
        let mut u = 1.0 - 0.5 * b;
        for _ in 0..3 {
            let square = u * u;
            u = (2.0 * square * u - b) / (3.0 * square - 1.0);
        }
        let factor = if b >= LIMIT { 0.0 } else { u * u };
        // Adding 0 turns -0 into 0.
        w * factor + 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Their theorem 1 in f64, in terms of `(x - w)^2 + lambda sqrt(|x|)`.
    fn half_threshold(w: f64, lambda: f64) -> f64 {
        if w.abs() <= 54f64.cbrt() / 4.0 * lambda.powf(2.0 / 3.0) {
            return 0.0;
        }
        let phi = (lambda / 8.0 * (w.abs() / 3.0).powf(-1.5)).acos();
        2.0 / 3.0 * w * (1.0 + (2.0 / 3.0 * (std::f64::consts::PI - phi)).cos())
    }

    #[test]
    fn agrees_with_the_closed_form() {
        for step in [1e-3_f32, 0.5, 40.0] {
            for i in -4000..4000 {
                let w = i as f32 * 1e-3 * step.powf(2.0 / 3.0);
                let lambda = 2.0 * f64::from(step) * f64::from(0.3_f32);
                let (got, want) = (LHalf.prox(0.3, w, step), half_threshold(f64::from(w), lambda));
                let error = (f64::from(got) - want).abs();
                assert!(error <= 5e-7 * f64::from(w).abs(), "prox({w}, {step}) = {got}, not {want}");
            }
        }
    }

    #[test]
    fn extreme_weights() {
        assert_eq!(LHalf.prox(1e-4, 3e38, 1.0), 3e38);
        assert_eq!(LHalf.prox(1e-4, 1e-38, 1.0), 0.0);
        assert_eq!(LHalf.prox(0.0, 1e-38, 1.0), 1e-38);
        assert_eq!(LHalf.slope(1e-4, 0.0), 0.0);
    }
}
