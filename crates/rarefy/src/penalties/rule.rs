//! What a penalty on single weights is.

use std::fmt::Debug;

/// A penalty that looks at each weight alone, as functions of its strength `lambda` and a weight `w`. Implement it to train by
/// a penalty of your own ([`PenaltyForm::Custom`](super::PenaltyForm::Custom)). NaN must stay NaN.
///
/// Ridge regression's penalty, `lambda w^2 / 2`, which makes weights small and none 0:
/// ```
/// use rarefy::penalties::PenaltyRule;
///
/// #[derive(Debug)]
/// struct Ridge;
///
/// impl PenaltyRule for Ridge {
///     fn value(&self, lambda: f32, w: f32) -> f64 {
///         0.5 * f64::from(lambda) * f64::from(w).powi(2)
///     }
///     fn slope(&self, lambda: f32, w: f32) -> f32 {
///         lambda * w
///     }
///     fn slope_at_zero(&self, _: f32) -> f32 {
///         0.0
///     }
///     fn lambda_that_empties(&self, _: f32, _: f32) -> f32 {
///         f32::INFINITY
///     }
///     fn prox(&self, lambda: f32, w: f32, step: f32) -> f32 {
///         w / (1.0 + step * lambda)
///     }
/// }
///
/// assert_eq!(Ridge.prox(0.5, 3.0, 1.0), 2.0);
/// ```
pub trait PenaltyRule: Debug + Send + Sync {
    /// The penalty `P(w)`.
    fn value(&self, lambda: f32, w: f32) -> f64;

    /// A subgradient: the derivative of the penalty, and 0 at a weight of 0.
    fn slope(&self, lambda: f32, w: f32) -> f32;

    /// How strong a gradient must be to move a weight off 0: the derivative just above 0. Where it is 0 the penalty makes no
    /// zeros.
    fn slope_at_zero(&self, lambda: f32) -> f32;

    /// The lambda from which the penalty is at `w` as steep as the loss, whose derivative there has the magnitude `slope`.
    fn lambda_that_empties(&self, slope: f32, w: f32) -> f32;

    /// The proximal step: the `x` at which `(x - w)^2 / (2 step) + P(x)` is least, the one nearer to 0 if there are two.
    fn prox(&self, lambda: f32, w: f32, step: f32) -> f32;
}

/// Step sizes of a proximal step, at least 0.
#[derive(Debug, Clone, Copy)]
pub enum Steps<'a> {
    /// One for all weights.
    Same(f32),
    /// One for each weight.
    Each(&'a [f32]),
}

/// The sum over the values in 16 interleaved parts, so that it vectorises.
#[inline(always)]
pub(super) fn sum(values: &[f32], value: impl Fn(f32) -> f64) -> f64 {
    let mut sums = [0.0; 16];
    let (chunks, rest) = values.as_chunks::<16>();
    for chunk in chunks {
        for (sum, &w) in sums.iter_mut().zip(chunk) {
            *sum += value(w);
        }
    }
    for (sum, &w) in sums.iter_mut().zip(rest) {
        *sum += value(w);
    }
    sums.iter().sum()
}

/// -1, 0 or 1; NaN for NaN.
#[inline(always)]
pub(super) fn sign(w: f32) -> f32 {
    if w > 0.0 {
        1.0
    } else if w < 0.0 {
        -1.0
    } else {
        w
    }
}
