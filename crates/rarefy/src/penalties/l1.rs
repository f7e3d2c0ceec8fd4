//! The L1 penalty or lasso (Tibshirani 1996): `P(w) = lambda |w|`. Its proximal operator is the soft threshold
//! `sign(w) max(|w| - step lambda, 0)` (Donoho 1995).

use super::sign;

/// The L1 penalty.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct L1 {
    lambda: f32,
}

impl L1 {
    /// `lambda` is at least 0.
    pub(super) fn new(lambda: f32) -> L1 {
        L1 { lambda }
    }

    #[inline(always)]
    pub(super) fn value(&self, w: f32) -> f64 {
        f64::from(self.lambda) * f64::from(w).abs()
    }

    #[inline(always)]
    pub(super) fn slope(&self, w: f32) -> f32 {
        self.lambda * sign(w)
    }

    #[inline(always)]
    pub(super) fn prox(&self, w: f32, step: f32) -> f32 {
        soft_threshold(w, step * self.lambda)
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
        let l1 = L1::new(0.5);
        // The threshold is 2 * 0.5 = 1.
        let got = [-3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5].map(|w| l1.prox(w, 2.0));
        assert_eq!(got, [-2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5]);
        assert_eq!(l1.prox(f32::INFINITY, 2.0), f32::INFINITY);
        assert_eq!(l1.slope(0.0), 0.0);
    }
}
