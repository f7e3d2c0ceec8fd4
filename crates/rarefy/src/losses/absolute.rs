//! The absolute error of one number.

/// `|p - t|` and its derivative, the sign of `p - t`; 0 where they are equal, as `torch.nn.L1Loss`.
#[inline(always)]
pub(super) fn absolute_error(prediction: f32, target: f32) -> (f32, f32) {
    let error = prediction - target;
    let slope = if error > 0.0 {
        1.0
    } else if error < 0.0 {
        -1.0
    } else {
        0.0
    };
    (error.abs(), slope)
}
