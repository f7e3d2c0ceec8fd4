//! The minimax concave penalty.

use super::rule::{PenaltyRule, sign};

/// The minimax concave penalty (Zhang 2010, equation 2.1): starts like L1 and levels off, so that large weights are not
/// shrunk.
/// ```text
/// P(w) = lambda |w| - w^2 / (2 gamma)   if |w| <= gamma lambda,   otherwise   gamma lambda^2 / 2
/// ```
/// Its proximal operator depends on the step size `s`. Below `gamma` the objective is convex and the answer is the firm
/// threshold (Gao and Bruce 1997): 0 up to `s lambda`, then the line `(|w| - s lambda) / (1 - s / gamma)`, then `w`
/// from `gamma lambda` on. From `gamma` on the objective is concave up to `gamma lambda`, so only 0 and `w` can be
/// minima: `w^2 / (2 s)` against `gamma lambda^2 / 2` gives a hard threshold at `lambda sqrt(s gamma)`.
///
/// Not convex: where training starts decides which weights stay.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mcp {
    /// The penalty is level from `gamma * lambda` on; above 0.
    pub gamma: f32,
}

impl Default for Mcp {
    fn default() -> Mcp {
        Mcp { gamma: 3.0 }
    }
}

impl PenaltyRule for Mcp {
    #[inline(always)]
    fn value(&self, lambda: f32, w: f32) -> f64 {
        let (lambda, gamma) = (f64::from(lambda), f64::from(self.gamma));
        let size = f64::from(w).abs();
        // `>` is false for NaN, so that NaN stays NaN.
        let size = if size > gamma * lambda { gamma * lambda } else { size };
        lambda * size - size * size / (2.0 * gamma)
    }

    #[inline(always)]
    fn slope(&self, lambda: f32, w: f32) -> f32 {
        sign(w) * (lambda - w.abs() / self.gamma).max(0.0)
    }

    fn slope_at_zero(&self, lambda: f32) -> f32 {
        lambda
    }

    fn lambda_that_empties(&self, slope: f32, _: f32) -> f32 {
        slope
    }

    #[inline(always)]
    fn prox(&self, lambda: f32, w: f32, step: f32) -> f32 {
        let size = w.abs();
        let convex = step < self.gamma;
        let hard = lambda * (step * self.gamma).sqrt();
        let low = if convex { step * lambda } else { hard };
        let high = if convex { self.gamma * lambda } else { hard };
        // Near gamma the division magnifies rounding; the answer is never farther out than w.
        let line = ((size - low) * (self.gamma / (self.gamma - step))).min(size).copysign(w);
        if size <= low {
            0.0
        } else if size < high {
            line
        } else {
            w
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn firm_below_gamma_and_hard_from_gamma_on() {
        let mcp = Mcp { gamma: 3.0 };
        // Step 1: 0 up to 1, slope 1 / (1 - 1/3) up to 3.
        let got = [0.5, 1.0, 2.0, -2.0, 3.0, 4.0].map(|w| mcp.prox(1.0, w, 1.0));
        assert_eq!(got, [0.0, 0.0, 1.5, -1.5, 3.0, 4.0]);
        // Step 12: hard at sqrt(36) = 6; step 3: at 3.
        assert_eq!([5.9, 6.0, 6.1, -6.1].map(|w| mcp.prox(1.0, w, 12.0)), [0.0, 0.0, 6.1, -6.1]);
        assert_eq!([2.9, 3.0, 3.1].map(|w| mcp.prox(1.0, w, 3.0)), [0.0, 0.0, 3.1]);
    }
}
