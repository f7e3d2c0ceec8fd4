//! The controller of lambda.

use serde::{Deserialize, Serialize};

/// The share of the run at which the target is to be reached.
pub const END: f64 = 0.5;

const INTEGRAL: f64 = 0.3;
const PROPORTIONAL: f64 = 1.5;

/// The smallest cost that has a logarithm, as a share of the one wanted in the end.
const LEAST: f64 = 1e-6;

/// Lambda changes by at most this factor at once.
const LARGEST_FACTOR: f64 = 2.0;

/// What a controller remembers; part of a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ControllerState {
    /// The penalty's lambda as it stands.
    pub lambda: f64,
    /// The last error.
    error: f64,
}

/// Steers lambda so that a penalised network ends at its budget.
///
/// The cost is to follow `end + (start - end) (1 - t / END)^3`, the curve of Zhu and Gupta 2017, to the budget at `END`
/// of the run. Every few steps the logarithm of lambda moves by a proportional and an integral part of the error
/// `log(cost / wanted)`:
/// ```text
/// log lambda <- log lambda + INTEGRAL * error + PROPORTIONAL * (error - previous error)
/// ```
/// From END on lambda is zero: what is left trains on, free of the penalty's bias.
///
/// Aloradi et al. 2026 (arXiv 2605.07892) drive lambda by the difference of sparsities too. Here the error is a ratio,
/// so that 90 and 99.5 % need no other gain; the cost may be bytes or FLOPs, or the largest share of several budgets; it follows a
/// curve instead of a fixed goal, so that lambda does not overshoot early; and zeros beyond the curve stay stored and may come back, so that the end
/// is exact.
#[derive(Debug, Clone, PartialEq)]
pub struct Controller {
    start: f64,
    end: f64,
    /// What it remembers.
    pub state: ControllerState,
}

impl Controller {
    /// A controller for a cost that begins at `start` and is to end at `end`, with a first lambda.
    ///
    /// # Panics
    /// If a cost or lambda is not above 0.
    pub fn new(start: f64, end: f64, lambda: f64) -> Controller {
        assert!(
            start > 0.0 && end > 0.0 && lambda > 0.0,
            "costs {start} and {end} and lambda {lambda} are above 0"
        );
        Controller { start, end, state: ControllerState { lambda, error: 0.0 } }
    }

    /// The cost wanted when the share `t` of the run is done.
    pub fn wanted(&self, t: f64) -> f64 {
        let left = (1.0 - t / END).clamp(0.0, 1.0);
        self.end + (self.start - self.end) * left.powi(3)
    }

    /// Looks at the cost and moves lambda.
    pub fn observe(&mut self, cost: f64, t: f64) {
        if t >= END {
            self.state.lambda = 0.0;
            return;
        }
        let error = (cost.max(LEAST * self.end) / self.wanted(t)).ln();
        let change = INTEGRAL * error + PROPORTIONAL * (error - self.state.error);
        let limit = LARGEST_FACTOR.ln();
        self.state.lambda = (self.state.lambda * change.clamp(-limit, limit).exp()).clamp(1e-12, 1e6);
        self.state.error = error;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Weights with exponentially distributed strengths, of which those below a threshold that follows lambda slowly
    /// are zero: the cost must follow the curve whatever the first lambda and the scale.
    #[test]
    fn a_lagging_plant_reaches_its_target() {
        for first in [1e-8, 1e-4, 1.0] {
            for scale in [1e-3, 1.0, 1e3] {
                for end in [5.0, 100.0, 2000.0] {
                    let mut controller = Controller::new(10_000.0, end, first);
                    let mut threshold = 0.0;
                    let mut cost = 10_000.0;
                    for step in 0..1000 {
                        let t = step as f64 / 1000.0;
                        controller.observe(cost, t);
                        if t < END {
                            threshold += 0.1 * (controller.state.lambda * scale - threshold);
                            cost = 10_000.0 * f64::exp(-threshold);
                        }
                    }
                    assert!(
                        (cost / end).ln().abs() < 0.1,
                        "lambda {first}, scale {scale}, end {end}: {cost}"
                    );
                    assert_eq!(controller.state.lambda, 0.0);
                }
            }
        }
    }

    #[test]
    fn the_curve_falls_from_start_to_end() {
        let controller = Controller::new(1000.0, 10.0, 1.0);
        assert_eq!(controller.wanted(0.0), 1000.0);
        assert_eq!(controller.wanted(END), 10.0);
        assert_eq!(controller.wanted(1.0), 10.0);
        assert!(controller.wanted(0.2) > controller.wanted(0.3));
    }
}
