//! The L1 penalty.

use super::rule::{PenaltyRule, sign};

/// The L1 penalty or lasso (Tibshirani 1996): `P(w) = lambda |w|`. Its proximal operator is the soft threshold
/// `sign(w) max(|w| - step lambda, 0)` (Donoho 1995).
///
/// It shrinks large weights as much as small ones; [`Mcp`](super::Mcp) and [`LHalf`](super::LHalf) do not.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct L1;

impl PenaltyRule for L1 {
    #[inline(always)]
    fn value(&self, lambda: f32, w: f32) -> f64 {
        f64::from(lambda) * f64::from(w).abs()
    }

    #[inline(always)]
    fn slope(&self, lambda: f32, w: f32) -> f32 {
        lambda * sign(w)
    }

    fn slope_at_zero(&self, lambda: f32) -> f32 {
        lambda
    }

    fn lambda_that_empties(&self, slope: f32, _: f32) -> f32 {
        slope
    }

    #[inline(always)]
    fn prox(&self, lambda: f32, w: f32, step: f32) -> f32 {
        soft_threshold(w, step * lambda)
    }
}

/// Moves `w` towards 0 by `threshold`, not past it. Both comparisons fail for NaN, so that NaN stays NaN, and the
/// threshold's NaN shows too.
#[inline(always)]
pub(super) fn soft_threshold(w: f32, threshold: f32) -> f32 {
    let cut = if w.abs() <= threshold { w } else { threshold.copysign(w) };
    w - cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_by_hand() {
        // The threshold is 2 * 0.5 = 1.
        let got = [-3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5].map(|w| L1.prox(0.5, w, 2.0));
        assert_eq!(got, [-2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5]);
        assert_eq!(L1.prox(0.5, f32::INFINITY, 2.0), f32::INFINITY);
        assert_eq!(L1.slope(0.5, 0.0), 0.0);
    }
}
