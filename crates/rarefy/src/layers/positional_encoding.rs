//! What tells steps apart.

use serde::{Deserialize, Serialize};

use super::{Builder, Describe, Gradient, Layer, Parameter, Pass, Properties, Role, Vjp, Workspace};
use crate::kernels::{self, Activation, par_chunks};
use crate::tiles::{Row, Shape, Tiles};

/// Rows of 64 samples that one piece of work covers.
const ROWS: usize = 64;

/// What positions are told by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Positions {
    /// A number for each channel of each step, trained.
    Learned,
    /// Sines and cosines of the step.
    #[default]
    Sinusoidal,
}

/// Adds to each step what tells it from the others (Vaswani et al. 2017, section 3.5); files keep it so.
///
/// ```text
/// y[t, c] = x[t, c] + p[t, c]             x, y [steps x channels]
/// sinusoidal   p[t, 2 i] = sin(t / 10000^(2 i / channels)), p[t, 2 i + 1] = cos(t / 10000^(2 i / channels))
/// learned      p is the parameter `positions`, [steps x channels], and begins at 0
/// ```
/// [`AttentionSpec::rotary`](super::AttentionSpec::rotary) is another way: it turns queries and keys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PositionalEncodingSpec {
    /// What is added.
    #[serde(default)]
    pub positions: Positions,
}

impl Describe for PositionalEncodingSpec {
    fn properties(&self) -> Properties<'_> {
        Properties {
            name: "positional-encoding",
            looks_ahead: None,
            is_random: false,
            is_per_position: false,
            has_windows: false,
        }
    }

    fn fused_mut(&mut self) -> Option<&mut Activation> {
        None
    }

    fn output(&self, input: Shape) -> Result<Shape, String> {
        match input.height {
            1 => Ok(input),
            _ => Err("it wants a sequence, not an image".into()),
        }
    }

    fn build(&self, input: Shape, builder: &mut Builder<'_>) -> crate::Result<Box<dyn Layer>> {
        let constants = match self.positions {
            Positions::Learned => {
                builder.vector("positions", input.features(), 0.0, Role::Scale)?;
                None
            }
            Positions::Sinusoidal => Some(sinusoids(input)),
        };
        builder.part();
        Ok(Box::new(PositionalEncoding { shape: input, constants }))
    }
}

/// The sinusoidal encoding, `[step][channel]`.
fn sinusoids(shape: Shape) -> Vec<f32> {
    let number = |step: usize, channel: usize| {
        let rate = 10_000f64.powf((channel / 2 * 2) as f64 / shape.channels as f64);
        let angle = step as f64 / rate;
        (if channel.is_multiple_of(2) { angle.sin() } else { angle.cos() }) as f32
    };
    (0..shape.features()).map(|at| number(at / shape.channels, at % shape.channels)).collect()
}

/// Tells steps apart. Parameter: positions, if they are learned.
pub struct PositionalEncoding {
    shape: Shape,
    /// What is added, unless it is learned.
    constants: Option<Vec<f32>>,
}

impl Layer for PositionalEncoding {
    fn input(&self) -> Shape {
        self.shape
    }

    fn output(&self) -> Shape {
        self.shape
    }

    fn forward(
        &self,
        pass: &Pass,
        parameters: &[Parameter],
        input: &Tiles,
        output: &mut Tiles,
        _: &mut Workspace,
    ) {
        let added = self.constants.as_deref().unwrap_or_else(|| parameters[0].weights.values());
        par_chunks(output.rows_mut(), ROWS, &|start, rows: &mut [Row]| {
            crate::vectorize!(pass.isa, {
                for (index, row) in (start..).zip(rows) {
                    let added = added[index % added.len()];
                    for (to, from) in row.0.iter_mut().zip(&input.rows()[index].0) {
                        *to = from + added;
                    }
                }
            });
        });
    }

    fn backward(
        &self,
        pass: &Pass,
        _: &[Parameter],
        gradients: &mut [Gradient],
        vjp: Vjp<'_>,
        _: &mut Workspace,
    ) {
        if let Some(positions) = gradients.first_mut() {
            kernels::bias_gradient(pass.isa, vjp.gradient, &mut positions.values);
        }
        let Some(gradient_input) = vjp.gradient_input else { return };
        let (input, gradient) = (vjp.input.rows(), vjp.gradient.rows());
        par_chunks(gradient_input.rows_mut(), ROWS, &|start, rows: &mut [Row]| {
            rows.copy_from_slice(&gradient[start..][..rows.len()]);
            crate::vectorize!(pass.isa, {
                for (row, input) in rows.iter_mut().zip(&input[start..]) {
                    vjp.gate.gate(&mut row.0, input);
                }
            });
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sinusoids_are_those_of_the_paper() {
        let numbers = sinusoids(Shape::sequence(3, 4));
        assert_eq!(numbers[..4], [0.0, 1.0, 0.0, 1.0]);
        let expected = [2f64.sin(), 2f64.cos(), 0.02f64.sin(), 0.02f64.cos()].map(|number| number as f32);
        assert_eq!(numbers[8..], expected);
    }
}
