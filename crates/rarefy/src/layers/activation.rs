//! Elementwise functions as layers of their own.

use serde::{Deserialize, Serialize};

use super::{Builder, Describe, Gradient, Layer, Parameter, Pass, Properties, Vjp, Workspace};
use crate::kernels::{Activation, fetch_ahead, par_chunks};
use crate::tiles::{HALF, Row, Shape, Tiles};

/// Rows of 64 samples that one piece of elementwise work covers.
const ROWS: usize = 64;

/// A function of each number, `y = f(x)`, as a layer of its own; files keep it so.
///
/// It is for functions whose derivative needs the input, which a product cannot fuse: GELU, SiLU, All-ReLU.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ElementwiseSpec {
    /// The function.
    pub activation: Activation,
}

impl Describe for ElementwiseSpec {
    fn properties(&self) -> Properties<'_> {
        Properties {
            name: "elementwise",
            looks_ahead: None,
            is_random: false,
            is_per_position: true,
            has_windows: false,
        }
    }

    fn fused_mut(&mut self) -> Option<&mut Activation> {
        None
    }

    fn output(&self, input: Shape) -> Result<Shape, String> {
        Ok(input)
    }

    fn build(&self, input: Shape, builder: &mut Builder<'_>) -> crate::Result<Box<dyn Layer>> {
        builder.pass_through(self.activation);
        Ok(Box::new(Elementwise::new(input, self.activation)))
    }
}

/// `y = f(x)` for each number.
pub struct Elementwise {
    shape: Shape,
    activation: Activation,
}

impl Elementwise {
    /// The function on samples of a shape.
    pub fn new(shape: Shape, activation: Activation) -> Elementwise {
        Elementwise { shape, activation }
    }
}

impl Layer for Elementwise {
    fn input(&self) -> Shape {
        self.shape
    }

    fn output(&self) -> Shape {
        self.shape
    }

    fn folds(&self) -> bool {
        true
    }

    fn spreads(&self) -> bool {
        true
    }

    fn forward(&self, pass: &Pass, _: &[Parameter], input: &Tiles, output: &mut Tiles, _: &mut Workspace) {
        let features = input.features();
        par_chunks(output.rows_mut(), ROWS, &|start, rows: &mut [Row]| {
            crate::vectorize!(pass.isa, {
                for (index, row) in (start..).zip(rows) {
                    let from = &input.rows()[index].0;
                    fetch_ahead(input.rows(), index);
                    match row.0.first_chunk_mut::<HALF>() {
                        Some(half) if input.is_half(index / features) => {
                            half.copy_from_slice(&from[..HALF]);
                            self.activation.apply(half);
                        }
                        _ => {
                            row.0 = *from;
                            self.activation.apply(&mut row.0);
                        }
                    }
                }
            });
        });
    }

    fn backward(&self, pass: &Pass, _: &[Parameter], _: &mut [Gradient], vjp: Vjp<'_>, _: &mut Workspace) {
        let Some(gradient_input) = vjp.gradient_input else { return };
        let (input, gradient) = (vjp.input.rows(), vjp.gradient.rows());
        let features = vjp.input.features();
        par_chunks(gradient_input.rows_mut(), ROWS, &|start, rows: &mut [Row]| {
            crate::vectorize!(pass.isa, {
                for (index, row) in (start..).zip(rows) {
                    fetch_ahead(input, index);
                    fetch_ahead(gradient, index);
                    let (input, gradient) = (&input[index], &gradient[index].0);
                    match row.0.first_chunk_mut::<HALF>() {
                        Some(half) if vjp.input.is_half(index / features) => {
                            half.copy_from_slice(&gradient[..HALF]);
                            self.activation.gate_at_input(half, input);
                            vjp.gate.gate(half, input);
                        }
                        _ => {
                            row.0 = *gradient;
                            self.activation.gate_at_input(&mut row.0, input);
                            vjp.gate.gate(&mut row.0, input);
                        }
                    }
                }
            });
        });
    }
}
