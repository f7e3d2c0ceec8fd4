//! An elementwise function as a layer of its own, for those whose derivative needs the input: GELU, SiLU, All-ReLU.

use super::{Flow, Layer, Pass};
use crate::kernels::{Activation, par_chunks};
use crate::tiles::{Row, Tiles};

/// Rows of 64 samples that one piece of elementwise work covers.
const ROWS: usize = 64;

/// `y = f(x)` for each number.
pub struct Elementwise {
    features: usize,
    activation: Activation,
}

impl Elementwise {
    /// The function on `features` features.
    pub fn new(features: usize, activation: Activation) -> Elementwise {
        Elementwise { features, activation }
    }
}

impl Layer for Elementwise {
    fn inputs(&self) -> usize {
        self.features
    }

    fn outputs(&self) -> usize {
        self.features
    }

    fn forward(&self, pass: &Pass, input: &Tiles, output: &mut Tiles) {
        par_chunks(output.rows_mut(), ROWS, &|start, rows: &mut [Row]| {
            pass.isa.vectorize(|| {
                for (row, input) in rows.iter_mut().zip(&input.rows()[start..]) {
                    row.0 = input.0;
                    self.activation.apply(&mut row.0);
                }
            });
        });
    }

    fn backward(&mut self, pass: &Pass, flow: Flow<'_>) {
        let Some(gradient_input) = flow.gradient_input else { return };
        let (input, gradient) = (flow.input.rows(), flow.gradient.rows());
        par_chunks(gradient_input.rows_mut(), ROWS, &|start, rows: &mut [Row]| {
            pass.isa.vectorize(|| {
                for (row, (input, gradient)) in
                    rows.iter_mut().zip(input[start..].iter().zip(&gradient[start..]))
                {
                    row.0 = gradient.0;
                    self.activation.gate_at_input(&mut row.0, input);
                    flow.gate.gate(&mut row.0, input);
                }
            });
        });
    }
}
