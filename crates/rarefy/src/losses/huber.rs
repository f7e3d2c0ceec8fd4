//! The Huber loss of one number.

/// The Huber loss (Huber 1964, equation 2), as `torch.nn.HuberLoss`: with `e` the prediction less the target, `1/2 e^2` if
/// `|e| <= delta`, otherwise `delta (|e| - delta / 2)`. Outliers pull with a bounded force.
#[derive(Debug, Clone, PartialEq)]
pub struct Huber {
    delta: f32,
}

impl Huber {
    pub(super) fn new(delta: f32) -> Huber {
        Huber { delta }
    }

    /// The error where the loss turns straight.
    pub fn delta(&self) -> f32 {
        self.delta
    }

    /// The loss and its derivative. With `c` the error clipped to plus or minus delta, the loss is `c (e - c / 2)` on
    /// both sides of the seam and the derivative is `c`.
    #[inline(always)]
    pub(super) fn element(&self, prediction: f32, target: f32) -> (f32, f32) {
        let error = prediction - target;
        let clipped = if error > self.delta {
            self.delta
        } else if error < -self.delta {
            -self.delta
        } else {
            error
        };
        (clipped * (error - 0.5 * clipped), clipped)
    }
}
