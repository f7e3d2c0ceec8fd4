//! The losses of a linear model.

use serde::{Deserialize, Serialize};

use super::targets::Targets;

/// What is minimised besides the penalty: the mean over samples.
///
/// The two losses of a linear model, with what their duality gap needs.
///
/// ```text
/// z: x w for each sample     b: the intercept     r = -f'(z + b): the residual
///             f(z + b)              r                 f's conjugate at -s r
/// squared     (y - z - b)^2 / 2     y - z - b         (s r)^2 / 2 - s r y
/// logistic    ln(1 + e^t) - y t     y - sigmoid(t)    q ln q + (1 - q) ln(1 - q),  q = y - s r
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// Half of the squared difference.
    Squared,
    /// The log-loss of labels 0 and 1.
    Logistic,
}

impl Loss {
    /// The largest second derivative.
    pub(super) fn curvature(self) -> f64 {
        match self {
            Loss::Squared => 1.0,
            Loss::Logistic => 0.25,
        }
    }

    /// The intercept that minimises the loss for these `z`: the one at which residuals sum to 0. `guess` is where the
    /// search starts. 0 for a model without.
    pub(super) fn intercept(self, z: &[f64], targets: &Targets, guess: f64) -> f64 {
        match self {
            _ if !targets.has_intercept => 0.0,
            Loss::Squared => targets.mean(|at, y| y - z[at]),
            Loss::Logistic => logistic_intercept(z, targets, guess),
        }
    }

    /// `out = -f'(z + b)`.
    pub(super) fn residual(self, z: &[f64], intercept: f64, targets: &Targets, out: &mut [f64]) {
        for ((out, &z), &y) in out.iter_mut().zip(z).zip(&targets.values) {
            *out = match self {
                Loss::Squared => y - z - intercept,
                Loss::Logistic => y - sigmoid(z + intercept),
            };
        }
    }

    /// The second derivative where the residual of a target is this.
    pub(super) fn bend(self, residual: f64, target: f64) -> f64 {
        match self {
            Loss::Squared => 1.0,
            Loss::Logistic => {
                let probability = target - residual;
                probability * (1.0 - probability)
            }
        }
    }

    /// The loss of one sample.
    pub fn value(self, z: f64, target: f64) -> f64 {
        match self {
            Loss::Squared => 0.5 * (target - z).powi(2),
            Loss::Logistic => z.max(0.0) + (-z.abs()).exp().ln_1p() - target * z,
        }
    }

    /// The mean over samples.
    pub(super) fn mean(self, z: &[f64], intercept: f64, targets: &Targets) -> f64 {
        targets.mean(|at, y| self.value(z[at] + intercept, y))
    }

    /// The dual objective at the best feasible multiple `s` of the residuals, `|s| <= limit`. `ridge` is
    /// `mu |w|^2`, which the dual loses `s^2 / 2` times.
    pub(super) fn dual(self, residual: &[f64], targets: &Targets, ridge: f64, limit: f64) -> f64 {
        match self {
            Loss::Squared => {
                let square = targets.mean(|at, _| residual[at] * residual[at]);
                let product = targets.mean(|at, y| residual[at] * y);
                squared_dual(square + ridge, product, limit)
            }
            Loss::Logistic => {
                // A multiple above 1 may leave the conjugate's domain.
                let scale = limit.min(1.0);
                targets.mean(|at, y| entropy(y - scale * residual[at])) - 0.5 * scale * scale * ridge
            }
        }
    }
}

/// The largest `s product - s^2 square / 2` with `|s| <= limit`.
pub(super) fn squared_dual(square: f64, product: f64, limit: f64) -> f64 {
    if square <= 0.0 {
        return 0.0;
    }
    let scale = (product / square).clamp(-limit, limit);
    scale * product - 0.5 * scale * scale * square
}

fn sigmoid(z: f64) -> f64 {
    1.0 / (1.0 + (-z).exp())
}

/// `-q ln q - (1 - q) ln(1 - q)`.
fn entropy(q: f64) -> f64 {
    let part = |p: f64| if p > 0.0 { -p * p.ln() } else { 0.0 };
    part(q) + part(1.0 - q)
}

/// Newton's method inside a bracket: the mean of probabilities grows with `b` from 0 to 1, and that of the targets lies
/// between.
fn logistic_intercept(z: &[f64], targets: &Targets, guess: f64) -> f64 {
    let (mut low, mut high) = (f64::NEG_INFINITY, f64::INFINITY);
    let mut intercept = guess;
    for _ in 0..200 {
        let (mut excess, mut slope) = (0.0, 0.0);
        targets.each(|at, y, weight| {
            let probability = sigmoid(z[at] + intercept);
            excess += weight * (probability - y);
            slope += weight * probability * (1.0 - probability);
        });
        if excess.abs() <= 1e-15 * targets.total {
            break;
        }
        if excess > 0.0 {
            high = intercept
        } else {
            low = intercept
        }
        let newton = intercept - excess / slope;
        let next = if newton > low && newton < high {
            newton
        } else if low.is_finite() && high.is_finite() {
            0.5 * (low + high)
        } else {
            // Far out on a flat side: walk towards the other one, wider at each step.
            intercept - excess.signum() * (1.0 + intercept.abs())
        };
        if (next - intercept).abs() <= 1e-16 * intercept.abs() {
            break;
        }
        intercept = next;
    }
    intercept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intercepts_make_residuals_sum_to_zero_from_any_guess() {
        let z = [-40.0, 3.0, 0.1, 25.0, -2.0];
        let targets = Targets::new(vec![1.0, 0.0, 0.0, 1.0, 1.0], None, true);
        for loss in [Loss::Squared, Loss::Logistic] {
            for guess in [0.0, -60.0, 800.0] {
                let intercept = loss.intercept(&z, &targets, guess);
                let mut residual = [0.0; 5];
                loss.residual(&z, intercept, &targets, &mut residual);
                let sum: f64 = residual.iter().sum();
                assert!(sum.abs() < 1e-12, "{loss:?} from {guess}: {sum:e}");
            }
        }
    }

    #[test]
    fn residuals_are_slopes() {
        let step = 1e-6;
        for loss in [Loss::Squared, Loss::Logistic] {
            for (z, y) in [(-3.0, 1.0), (0.2, 0.0), (30.0, 1.0), (-30.0, 1.0)] {
                let slope = (loss.value(z + step, y) - loss.value(z - step, y)) / (2.0 * step);
                let mut residual = [0.0];
                loss.residual(&[z - 1.0], 1.0, &Targets::new(vec![y], None, true), &mut residual);
                assert!((residual[0] + slope).abs() < 1e-6, "{loss:?} {z} {y}");
            }
        }
    }
}
