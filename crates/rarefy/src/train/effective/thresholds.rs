//! STR, soft threshold reparametrisation (Kusupati et al. 2020, equation 4): each layer has a number `s` that is trained,
//! ```text
//! effective w = sign(w) max(|w| - sigmoid(s), 0)
//! ```
//! so where `|w|` is above the threshold the gradients are `dw = g` and `ds = -sum g sign(w) sigmoid'(s)`, elsewhere 0.
//!
//! In the paper the weight decay lambda of `s` raises the threshold, `s` being below 0, and sets the sparsity by that. Here
//! it acts apart from the gradient, `s <- s - learning_rate * lambda * s` (as AdamW's), because an adaptive optimizer
//! would divide its strength away; and on `s` only, the weights' decay being the optimizer's.

use super::CHUNK;
use crate::kernels::par_chunks;
use crate::math;

/// `s` at the start: a threshold of 0.0067.
pub(super) const START: f32 = -5.0;

pub(super) fn apply(s: f32, stored: &[f32], out: &mut [f32]) {
    let threshold = math::sigmoid(s);
    par_chunks(out, CHUNK, &|start, out| {
        for (out, w) in out.iter_mut().zip(&stored[start..]) {
            *out = (w.abs() - threshold).max(0.0).copysign(*w);
        }
    });
}

/// Turns gradients of effective values into those of stored ones; returns that of `s`.
pub(super) fn vjp(s: f32, stored: &[f32], gradient: &mut [f32]) -> f32 {
    let threshold = math::sigmoid(s);
    let sum = vjp_part(threshold, stored, gradient);
    (-sum * f64::from(threshold * (1.0 - threshold))) as f32
}

/// The sum of `g sign(w)` above the threshold; halved at fixed places, so that threads do not change it.
fn vjp_part(threshold: f32, stored: &[f32], gradient: &mut [f32]) -> f64 {
    if stored.len() > CHUNK {
        let middle = stored.len().div_ceil(CHUNK).div_ceil(2) * CHUNK;
        let (left, right) = stored.split_at(middle);
        let (left_gradient, right_gradient) = gradient.split_at_mut(middle);
        let (left, right) = rayon::join(
            || vjp_part(threshold, left, left_gradient),
            || vjp_part(threshold, right, right_gradient),
        );
        return left + right;
    }
    let mut sum = 0.0;
    for (g, w) in gradient.iter_mut().zip(stored) {
        *g = if w.abs() > threshold { *g } else { 0.0 };
        sum += f64::from(g.copysign(*g * *w));
    }
    sum
}

/// The decay of `s`; `amount` is the learning rate times lambda.
pub(super) fn decay(s: &mut f32, amount: f32) {
    *s *= (1.0 - amount).max(0.0);
}
