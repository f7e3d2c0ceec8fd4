//! What the methods that search along the gradient have in common.

use super::check_lengths;
use super::sums::sum;

/// Smaller steps are not tried: the loss no longer tells them apart. The search has failed, this step is taken, and the
/// next search begins where this one began.
pub(super) const SMALLEST: f32 = 1e-6;

/// The sum of squares.
#[inline(always)]
pub(super) fn squares(numbers: &[f32]) -> f64 {
    sum(numbers.len(), |i| f64::from(numbers[i]) * f64::from(numbers[i]))
}

/// `values = start - step * gradients`.
#[inline(always)]
pub(super) fn descend_from(start: &[f32], step: f32, values: &mut [f32], gradients: &[f32]) {
    check_lengths(values.len(), [gradients.len(), start.len()]);
    for ((w, &start), &g) in values.iter_mut().zip(start).zip(gradients) {
        *w = start - step * g;
    }
}
