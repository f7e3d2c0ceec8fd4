//! The quantile loss of one number.

/// The quantile loss, or pinball loss (Koenker and Bassett 1978, equation 2.2), of a quantile `q`: with `e` the prediction less
/// the target, `(1 - q) e` if `e > 0`, otherwise `-q e`. It is least where a share `q` of the targets is below the prediction;
/// of 0.5 it is half the absolute error, and predicts the median.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantile {
    quantile: f32,
}

impl Quantile {
    pub(super) fn new(quantile: f32) -> Quantile {
        Quantile { quantile }
    }

    /// The share of targets that is to be below the prediction.
    pub fn quantile(&self) -> f32 {
        self.quantile
    }

    /// The loss and its derivative, 0 where prediction and target are equal.
    #[inline(always)]
    pub(super) fn element(&self, prediction: f32, target: f32) -> (f32, f32) {
        let error = prediction - target;
        let slope = if error > 0.0 {
            1.0 - self.quantile
        } else if error < 0.0 {
            -self.quantile
        } else {
            0.0
        };
        // Not the slope at an error that is no number: the product keeps that.
        (slope * error, slope)
    }
}
