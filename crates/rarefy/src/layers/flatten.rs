//! Positions forgotten.

use serde::{Deserialize, Serialize};

use super::{Builder, Describe, Gradient, Layer, Parameter, Pass, Properties, Vjp, Workspace};
use crate::kernels::{Activation, par_chunks};
use crate::tiles::{Row, Shape, Tiles};

/// Rows of 64 samples that one piece of work covers.
const ROWS: usize = 64;

/// Forgets positions: the features of all of them, position by position, become features of one; files keep it so.
///
/// `y[t channels + c] = x[t, c]`, channels last. Nothing moves in memory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlattenSpec {}

impl Describe for FlattenSpec {
    fn properties(&self) -> Properties<'_> {
        Properties {
            name: "flatten",
            looks_ahead: Some("take it out"),
            is_random: false,
            is_per_position: false,
            has_windows: false,
        }
    }

    fn fused_mut(&mut self) -> Option<&mut Activation> {
        None
    }

    fn output(&self, input: Shape) -> Result<Shape, String> {
        Ok(Shape::flat(input.features()))
    }

    fn build(&self, input: Shape, builder: &mut Builder<'_>) -> crate::Result<Box<dyn Layer>> {
        builder.part();
        Ok(Box::new(Flatten::new(input)))
    }
}

/// An image or a sequence as plain features.
pub struct Flatten {
    input: Shape,
}

impl Flatten {
    /// Flattens samples of that shape.
    pub fn new(input: Shape) -> Flatten {
        Flatten { input }
    }
}

impl Layer for Flatten {
    fn input(&self) -> Shape {
        self.input
    }

    fn output(&self) -> Shape {
        Shape::flat(self.input.features())
    }

    fn spreads(&self) -> bool {
        true
    }

    fn forward(&self, _: &Pass, _: &[Parameter], input: &Tiles, output: &mut Tiles, _: &mut Workspace) {
        if input.is_spread() {
            return output.gather_sample(0, input);
        }
        par_chunks(output.rows_mut(), ROWS, &|start, rows: &mut [Row]| {
            rows.copy_from_slice(&input.rows()[start..][..rows.len()]);
        });
    }

    fn backward(&self, pass: &Pass, _: &[Parameter], _: &mut [Gradient], vjp: Vjp<'_>, _: &mut Workspace) {
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
