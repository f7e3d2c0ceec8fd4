//! Binary cross-entropy of a logit `z` and a target `t` from 0 to 1, as `torch.nn.BCEWithLogitsLoss`:
//! `-t ln sigmoid(z) - (1 - t) ln(1 - sigmoid(z))`, computed as `max(z, 0) - z t + ln(1 + e^-|z|)`, which neither
//! overflows nor loses small losses. Its derivative is `sigmoid(z) - t`.

use crate::math::{exp, ln_1p};

/// The loss and its derivative.
#[inline(always)]
pub(super) fn binary_cross_entropy(logit: f32, target: f32) -> (f32, f32) {
    let small = exp(-logit.abs());
    let positive_part = if logit < 0.0 { 0.0 } else { logit };
    let loss = positive_part - logit * target + ln_1p(small);
    let sigmoid = if logit < 0.0 { small } else { 1.0 } / (1.0 + small);
    (loss, sigmoid - target)
}
