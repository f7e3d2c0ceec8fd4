//! Elementwise functions, their derivatives, and which of them a product may fuse.

use serde::{Deserialize, Serialize};

use crate::math;
use crate::tiles::Row;

/// An elementwise function of a layer's outputs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// `x`.
    #[default]
    Identity,
    /// `max(x, 0)`.
    Relu,
    /// `x` where positive, else `slope * x`. A negative slope on every other layer is All-ReLU (Curci et al. 2021).
    LeakyRelu(f32),
    /// Hyperbolic tangent.
    Tanh,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// `x * Phi(x)` by the tanh formula (Hendrycks and Gimpel 2016, eq. 2).
    Gelu,
    /// `x * sigmoid(x)` (Elfwing et al. 2018), also called swish.
    Silu,
}

impl Activation {
    /// Whether the derivative can be told from the output alone. Then the function is fused into the product that
    /// makes its input, and its derivative into the product that makes the gradient of its output.
    pub fn is_fusable(self) -> bool {
        match self {
            Activation::Identity | Activation::Relu | Activation::Tanh | Activation::Sigmoid => true,
            Activation::LeakyRelu(slope) => slope >= 0.0,
            Activation::Gelu | Activation::Silu => false,
        }
    }

    /// Checks that the function can be fused into what makes its input.
    ///
    /// # Errors
    /// What to do instead.
    pub fn check_fusable(self, made_by: &str) -> Result<(), String> {
        if self.is_fusable() {
            Ok(())
        } else {
            Err(format!("{self:?} cannot be fused into a {made_by}; make it a layer of its own"))
        }
    }

    /// Applies the function to a row, or a part of one.
    #[inline(always)]
    pub fn apply<const N: usize>(self, row: &mut [f32; N]) {
        match self {
            Activation::Identity => {}
            Activation::Relu => each(row, |x| if x > 0.0 { x } else { 0.0 * x }),
            Activation::LeakyRelu(slope) => each(row, |x| if x > 0.0 { x } else { slope * x }),
            Activation::Tanh => each(row, math::tanh),
            Activation::Sigmoid => each(row, math::sigmoid),
            Activation::Gelu => each(row, |x| x * math::sigmoid(2.0 * gelu_inner(x))),
            Activation::Silu => each(row, |x| x * math::sigmoid(x)),
        }
    }

    /// Multiplies the gradient of a row, or of its first lanes, by the derivative, told from the outputs.
    ///
    /// # Panics
    /// If the function is not fusable.
    #[inline(always)]
    pub fn gate<const N: usize>(self, gradient: &mut [f32; N], output: &Row) {
        match self {
            Activation::Identity => {}
            Activation::Relu => both(gradient, output, |g, y| if y > 0.0 { g } else { 0.0 }),
            Activation::LeakyRelu(slope) => {
                both(gradient, output, |g, y| if y > 0.0 { g } else { slope * g })
            }
            Activation::Tanh => both(gradient, output, |g, y| g * (1.0 - y * y)),
            Activation::Sigmoid => both(gradient, output, |g, y| g * y * (1.0 - y)),
            Activation::Gelu | Activation::Silu => {
                panic!("the derivative of {self:?} is not a function of its output")
            }
        }
    }

    /// Multiplies a gradient by the derivative, told from the inputs.
    #[inline(always)]
    pub fn gate_at_input<const N: usize>(self, gradient: &mut [f32; N], input: &Row) {
        match self {
            Activation::Identity => {}
            Activation::Relu => both(gradient, input, |g, x| if x > 0.0 { g } else { 0.0 }),
            Activation::LeakyRelu(slope) => both(gradient, input, |g, x| if x > 0.0 { g } else { slope * g }),
            Activation::Tanh => both(gradient, input, |g, x| {
                let y = math::tanh(x);
                g * (1.0 - y * y)
            }),
            Activation::Sigmoid => both(gradient, input, |g, x| {
                let y = math::sigmoid(x);
                g * y * (1.0 - y)
            }),
            Activation::Gelu => both(gradient, input, |g, x| {
                let s = math::sigmoid(2.0 * gelu_inner(x));
                g * (s + x * s * (1.0 - s) * 2.0 * SQRT_2_OVER_PI * (1.0 + 3.0 * GELU_CUBIC * x * x))
            }),
            Activation::Silu => both(gradient, input, |g, x| {
                let s = math::sigmoid(x);
                g * (s + x * s * (1.0 - s))
            }),
        }
    }
}

const SQRT_2_OVER_PI: f32 = 0.797_884_6;
const GELU_CUBIC: f32 = 0.044_715;

/// `(1 + tanh(z)) / 2 = sigmoid(2 z)`, so GELU is `x * sigmoid(2 z)` with this `z`.
#[inline(always)]
fn gelu_inner(x: f32) -> f32 {
    SQRT_2_OVER_PI * (x + GELU_CUBIC * x * x * x)
}

#[inline(always)]
fn each<const N: usize>(row: &mut [f32; N], f: impl Fn(f32) -> f32) {
    for value in row {
        *value = f(*value);
    }
}

#[inline(always)]
fn both<const N: usize>(gradient: &mut [f32; N], other: &Row, f: impl Fn(f32, f32) -> f32) {
    for (gradient, &other) in gradient.iter_mut().zip(&other.0) {
        *gradient = f(*gradient, other);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tiles::LANES;

    #[test]
    fn derivatives_match_finite_differences() {
        use Activation::*;
        for activation in [Identity, Relu, LeakyRelu(0.1), LeakyRelu(-0.6), Tanh, Sigmoid, Gelu, Silu] {
            for x in [-3.0f32, -0.7, -0.01, 0.02, 0.4, 2.5] {
                let value = |x: f32| {
                    let mut row = [x; LANES];
                    activation.apply(&mut row);
                    row[5]
                };
                let slope = (value(x + 1e-2) - value(x - 1e-2)) / 2e-2;
                let slope = if x.abs() < 0.1 { (value(x + 1e-3) - value(x - 1e-3)) / 2e-3 } else { slope };
                let mut gradient = [2.0; LANES];
                activation.gate_at_input(&mut gradient, &Row([x; LANES]));
                assert!(
                    (gradient[5] - 2.0 * slope).abs() < 2e-3,
                    "{activation:?} at {x}: {} {slope}",
                    gradient[5]
                );
                if activation.is_fusable() {
                    let mut gated = [2.0; LANES];
                    activation.gate(&mut gated, &Row([value(x); LANES]));
                    assert!((gated[5] - gradient[5]).abs() < 1e-5, "{activation:?} at {x}");
                }
            }
        }
    }

    #[test]
    fn relu_does_not_hide_a_nan() {
        let mut row = [f32::NAN; LANES];
        Activation::Relu.apply(&mut row);
        assert!(row[0].is_nan());
    }
}
