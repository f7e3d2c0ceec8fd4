//! The elastic net (Zou and Hastie 2005) with scikit-learn's names:
//! `P(w) = lambda (l1_ratio |w| + (1 - l1_ratio) / 2 w^2)`. Its proximal operator thresholds, then shrinks:
//! `soft(w, step lambda l1_ratio) / (1 + step lambda (1 - l1_ratio))`.

use super::l1::soft_threshold;
use super::sign;

/// The elastic net.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ElasticNet {
    l1: f32,
    l2: f32,
}

impl ElasticNet {
    /// `lambda` is at least 0, `l1_ratio` from 0 to 1.
    pub(super) fn new(lambda: f32, l1_ratio: f32) -> ElasticNet {
        ElasticNet { l1: lambda * l1_ratio, l2: lambda * (1.0 - l1_ratio) }
    }

    #[inline(always)]
    pub(super) fn value(&self, w: f32) -> f64 {
        let size = f64::from(w).abs();
        f64::from(self.l1) * size + 0.5 * f64::from(self.l2) * (size * size)
    }

    #[inline(always)]
    pub(super) fn slope(&self, w: f32) -> f32 {
        self.l1 * sign(w) + self.l2 * w
    }

    #[inline(always)]
    pub(super) fn prox(&self, w: f32, step: f32) -> f32 {
        soft_threshold(w, step * self.l1) / (1.0 + step * self.l2)
    }
}
