//! The l-half penalty (Xu, Chang, Xu and Zhang 2012): `P(w) = lambda sqrt(|w|)`, steeper at 0 than L1 and flatter far
//! from it. Its proximal operator is the half threshold (their theorem 1), with `c = step lambda / 2`:
//! ```text
//! prox(w) = 2/3 w (1 + cos(2/3 (pi - arccos(b 3 sqrt(3) / 2))))   if b <= sqrt(2/27),   otherwise 0,
//! b = c / |w|^(3/2)
//! ```
//! The cosine is the largest root of the cubic `u - u^3 = b` in `u = sqrt(prox(w) / w)`. Here Newton's method finds
//! that root: four divisions vectorise, where arccos and cos would not, and have the same bits on every platform.

use super::sign;

/// `sqrt(2/27)`: at a larger `b`, 0 has the smaller objective.
const LIMIT: f32 = 0.272_165_53;

/// The l-half penalty.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LHalf {
    lambda: f32,
}

impl LHalf {
    /// `lambda` is at least 0.
    pub(super) fn new(lambda: f32) -> LHalf {
        LHalf { lambda }
    }

    #[inline(always)]
    pub(super) fn value(&self, w: f32) -> f64 {
        f64::from(self.lambda) * f64::from(w).abs().sqrt()
    }

    #[inline(always)]
    pub(super) fn slope(&self, w: f32) -> f32 {
        let slope = 0.5 * self.lambda * sign(w) / w.abs().sqrt();
        if w == 0.0 { 0.0 } else { slope }
    }

    #[inline(always)]
    pub(super) fn prox(&self, w: f32, step: f32) -> f32 {
        let size = w.abs();
        // The floor makes lambda 0 the identity at 0, where b would be 0 / 0.
        let b = 0.5 * (step * self.lambda) / (size * size.sqrt()).max(f32::MIN_POSITIVE);
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
        let penalty = LHalf::new(0.3);
        for step in [1e-3_f32, 0.5, 40.0] {
            for i in -4000..4000 {
                let w = i as f32 * 1e-3 * step.powf(2.0 / 3.0);
                let lambda = 2.0 * f64::from(step) * f64::from(0.3_f32);
                let (got, want) = (penalty.prox(w, step), half_threshold(f64::from(w), lambda));
                let error = (f64::from(got) - want).abs();
                assert!(error <= 5e-7 * f64::from(w).abs(), "prox({w}, {step}) = {got}, not {want}");
            }
        }
    }

    #[test]
    fn extreme_weights() {
        let penalty = LHalf::new(1e-4);
        assert_eq!(penalty.prox(3e38, 1.0), 3e38);
        assert_eq!(penalty.prox(1e-38, 1.0), 0.0);
        assert_eq!(LHalf::new(0.0).prox(1e-38, 1.0), 1e-38);
        assert_eq!(penalty.slope(0.0), 0.0);
    }
}
