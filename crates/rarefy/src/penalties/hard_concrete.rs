//! Hard-concrete gates (Louizos, Welling and Kingma 2018, equations 10 to 13): a neuron's output times a gate `z` that
//! is often exactly 0 or 1 and yet has a gradient, so that the expected number of open gates can be trained down.
//! ```text
//! s = sigmoid((ln u - ln(1 - u) + log_alpha) / beta)      u uniform on (0, 1)
//! z = clamp(s (zeta - gamma) + gamma, 0, 1)
//! P(z > 0) = sigmoid(log_alpha - beta ln(-gamma / zeta))
//! ```
//! with the paper's beta 2/3, gamma -0.1 and zeta 1.1. Everything is per gate; NaN stays NaN.

use crate::math;

/// Temperature: lower is closer to a coin toss.
pub const BETA: f32 = 2.0 / 3.0;

/// The stretched interval begins below 0, so that a gate can close.
pub const GAMMA: f32 = -0.1;

/// The stretched interval ends above 1, so that a gate can open fully.
pub const ZETA: f32 = 1.1;

/// `beta ln(-gamma / zeta)`.
const SHIFT: f32 = -1.598_596_8;

/// The gate drawn by `u` from `[0, 1)`, and its derivative by `log_alpha` (0 where the gate is closed or fully open).
#[inline(always)]
pub fn sample(log_alpha: f32, u: f32) -> (f32, f32) {
    let s = math::sigmoid((math::ln(u) - math::ln(1.0 - u) + log_alpha) / BETA);
    let stretched = stretch(s);
    let slope = (ZETA - GAMMA) / BETA * (s * (1.0 - s));
    // Both comparisons fail for NaN.
    let flat = stretched <= 0.0 || stretched >= 1.0;
    (stretched.clamp(0.0, 1.0), if flat { 0.0 } else { slope })
}

/// The gate to use after training.
#[inline(always)]
pub fn test_gate(log_alpha: f32) -> f32 {
    stretch(math::sigmoid(log_alpha)).clamp(0.0, 1.0)
}

/// The probability that the gate is not 0, which is its part of the expected L0 norm, and its derivative by `log_alpha`.
#[inline(always)]
pub fn open_probability(log_alpha: f32) -> (f32, f32) {
    let p = math::sigmoid(log_alpha - SHIFT);
    (p, p * (1.0 - p))
}

#[inline(always)]
fn stretch(s: f32) -> f32 {
    s * (ZETA - GAMMA) + GAMMA
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, Stream};

    /// The paper's formulas in f64.
    fn exact(log_alpha: f64, u: f64) -> f64 {
        let s = 1.0 / (1.0 + (-(u.ln() - (1.0 - u).ln() + log_alpha) * 1.5).exp());
        (s * 1.2 - 0.1).clamp(0.0, 1.0)
    }

    fn exact_open(log_alpha: f64) -> f64 {
        1.0 / (1.0 + (-(log_alpha - 2.0 / 3.0 * (0.1_f64 / 1.1).ln())).exp())
    }

    #[test]
    fn gates_and_slopes_match_the_formula_and_its_differences() {
        let (mut closed, mut between, mut open) = (0, 0, 0);
        for log_alpha in (-40..=40).map(|i| i as f32 * 0.1) {
            for u in (1..100).map(|i| i as f32 * 0.01) {
                let (gate, slope) = sample(log_alpha, u);
                let at = |step: f64| exact(f64::from(log_alpha) + step, f64::from(u));
                assert!((f64::from(gate) - at(0.0)).abs() < 2e-6, "gate at {log_alpha}, {u}");
                let (left, right) = (at(-1e-5), at(1e-5));
                // Not across the corners.
                if left > 0.0 && right < 1.0 {
                    let want = (right - left) / 2e-5;
                    assert!(
                        (f64::from(slope) - want).abs() < 1e-5,
                        "slope at {log_alpha}, {u}: {slope}, {want}"
                    );
                    between += 1;
                } else if right == 0.0 {
                    assert_eq!((gate, slope), (0.0, 0.0));
                    closed += 1;
                } else if left == 1.0 {
                    assert_eq!((gate, slope), (1.0, 0.0));
                    open += 1;
                }
            }
        }
        assert!(closed > 1000 && between > 1000 && open > 1000);
    }

    #[test]
    fn open_probability_matches_its_differences_and_the_draws() {
        for log_alpha in [-4.0, -1.6, 0.0, 0.5, 3.0] {
            let (p, slope) = open_probability(log_alpha);
            let wide = f64::from(log_alpha);
            let want = (exact_open(wide + 1e-5) - exact_open(wide - 1e-5)) / 2e-5;
            assert!((f64::from(p) - exact_open(wide)).abs() < 1e-6);
            assert!((f64::from(slope) - want).abs() < 1e-6);
            let mut stream = Stream::new(7, Purpose::Bench, 0, 0);
            let open = (0..20_000).filter(|_| sample(log_alpha, stream.uniform()).0 > 0.0).count();
            assert!(
                (open as f64 / 20_000.0 - f64::from(p)).abs() < 0.015,
                "{log_alpha}: {open} open, p = {p}"
            );
        }
    }

    #[test]
    fn ends() {
        assert_eq!(sample(0.0, 0.0), (0.0, 0.0));
        assert_eq!(sample(30.0, 0.5), (1.0, 0.0));
        assert_eq!((test_gate(-5.0), test_gate(0.0), test_gate(5.0)), (0.0, 0.5, 1.0));
        assert!(sample(f32::NAN, 0.5).0.is_nan() && sample(f32::NAN, 0.5).1.is_nan());
        assert!(test_gate(f32::NAN).is_nan());
    }
}
