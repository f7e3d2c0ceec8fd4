//! `y = f(W x + b)`, the weights in either storage, the activation fused.

use std::ops::Range;

use super::{Flow, Layer, Parameter, Pass};
use crate::kernels::{self, Activation, Finish, Isa};
use crate::sparse::{Init, Pattern, Storage, Weights};
use crate::tiles::Tiles;

/// A fully or sparsely connected layer.
pub struct Linear {
    parameters: [Parameter; 2],
    activation: Activation,
    scratch: Vec<f32>,
}

impl Linear {
    /// A layer with the given weights and a bias of zero; `name` prefixes the parameters' names.
    ///
    /// # Panics
    /// If the activation cannot be fused.
    pub fn new(name: &str, weights: Weights, activation: Activation, storage: Storage, init: Init) -> Linear {
        assert!(activation.is_fusable(), "{activation:?} must be a layer of its own");
        let rows = weights.rows();
        let parameter = |part: &str, weights, is_weight, storage| Parameter {
            name: format!("{name}.{part}"),
            weights,
            gradient: Vec::new(),
            is_weight,
            storage,
            init,
        };
        Linear {
            parameters: [
                parameter("weight", weights, true, storage),
                parameter("bias", Weights::dense(rows, 1), false, Storage::Dense),
            ],
            activation,
            scratch: Vec::new(),
        }
    }

    fn weights(&self) -> &Weights {
        &self.parameters[0].weights
    }
}

impl Layer for Linear {
    fn inputs(&self) -> usize {
        self.weights().cols()
    }

    fn outputs(&self) -> usize {
        self.weights().rows()
    }

    fn fused(&self) -> Activation {
        self.activation
    }

    fn forward(&self, pass: &Pass, input: &Tiles, output: &mut Tiles) {
        let finish =
            Finish::Activate { bias: self.parameters[1].weights.values(), activation: self.activation };
        kernels::multiply(pass.isa, self.weights(), input, output, finish);
    }

    fn backward(&mut self, pass: &Pass, flow: Flow<'_>) {
        let [weight, bias] = &mut self.parameters;
        if let Some(gradient_input) = flow.gradient_input {
            let finish = Finish::Gate { activation: flow.gate, outputs: flow.input.rows() };
            kernels::multiply_transposed(
                pass.isa,
                &mut weight.weights,
                flow.gradient,
                gradient_input,
                finish,
            );
        }
        let scratch = &mut self.scratch;
        kernels::weight_gradient(
            pass.isa,
            &weight.weights,
            flow.gradient,
            flow.input,
            &mut weight.gradient,
            scratch,
        );
        kernels::bias_gradient(pass.isa, flow.gradient, &mut bias.gradient, scratch);
    }

    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn parameters_mut(&mut self) -> &mut [Parameter] {
        &mut self.parameters
    }

    fn cell_gradients(
        &self,
        parameter: usize,
        input: &Tiles,
        gradient: &Tiles,
        rows: Range<usize>,
        out: &mut [f32],
        scratch: &mut Vec<f32>,
    ) {
        assert_eq!(parameter, 0, "only the weights of a linear layer have connections");
        kernels::dense_gradient_rows(gradient, input, rows, out, scratch);
    }

    fn sampled_gradients(
        &self,
        isa: Isa,
        parameter: usize,
        cells: &Pattern,
        input: &Tiles,
        gradient: &Tiles,
        out: &mut [f32],
    ) {
        assert_eq!(parameter, 0, "only the weights of a linear layer have connections");
        kernels::sampled_gradient(isa, cells, gradient, input, out);
    }
}
