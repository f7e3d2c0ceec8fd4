//! Squared errors: `(p - t)^2` for the mean, as `torch.nn.MSELoss`, and `1/2 (p - t)^2` for the sum, the textbook's
//! loss of penalised least squares `1/2 sum (y - yhat)^2 + lambda sum |w|` (Tibshirani 1996).

/// `(p - t)^2` and its derivative.
#[inline(always)]
pub(super) fn squared_error(prediction: f32, target: f32) -> (f32, f32) {
    let error = prediction - target;
    (error * error, error + error)
}

/// `1/2 (p - t)^2` and its derivative.
#[inline(always)]
pub(super) fn half_squared_error(prediction: f32, target: f32) -> (f32, f32) {
    let error = prediction - target;
    (0.5 * error * error, error)
}
