//! The elastic net.

use super::l1::soft_threshold;
use super::rule::{PenaltyRule, sign};

/// The elastic net (Zou and Hastie 2005) with scikit-learn's names:
/// `P(w) = lambda (l1_ratio |w| + (1 - l1_ratio) / 2 w^2)`. Its proximal operator thresholds, then shrinks:
/// `soft(w, step lambda l1_ratio) / (1 + step lambda (1 - l1_ratio))`.
///
/// With `l1_ratio = 0` it makes no zeros.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ElasticNet {
    /// The part of L1, from 0 to 1.
    pub l1_ratio: f32,
}

impl Default for ElasticNet {
    fn default() -> ElasticNet {
        ElasticNet { l1_ratio: 0.5 }
    }
}

impl ElasticNet {
    /// The strengths of the two parts.
    #[inline(always)]
    fn parts(&self, lambda: f32) -> (f32, f32) {
        (lambda * self.l1_ratio, lambda * (1.0 - self.l1_ratio))
    }
}

impl PenaltyRule for ElasticNet {
    #[inline(always)]
    fn value(&self, lambda: f32, w: f32) -> f64 {
        let ((l1, l2), size) = (self.parts(lambda), f64::from(w).abs());
        f64::from(l1) * size + 0.5 * f64::from(l2) * (size * size)
    }

    #[inline(always)]
    fn slope(&self, lambda: f32, w: f32) -> f32 {
        let (l1, l2) = self.parts(lambda);
        l1 * sign(w) + l2 * w
    }

    fn slope_at_zero(&self, lambda: f32) -> f32 {
        lambda * self.l1_ratio
    }

    fn lambda_that_empties(&self, slope: f32, _: f32) -> f32 {
        slope / self.l1_ratio
    }

    #[inline(always)]
    fn prox(&self, lambda: f32, w: f32, step: f32) -> f32 {
        let (l1, l2) = self.parts(lambda);
        soft_threshold(w, step * l1) / (1.0 + step * l2)
    }
}
