//! Layers: forward, backward, parameters and shapes. One layer, one file; a network is a sequence of them.
//!
//! A gradient handed to a layer is that of its stored outputs *before* its fused activation: whoever produces the
//! gradient of a layer's outputs (the next layer, or the loss) multiplies by the derivative, because it can do so in
//! registers ([`Flow::gate`]).

mod activation;
mod dropout;
mod linear;
mod network;
mod shrink;
mod spec;

use std::ops::Range;

pub use activation::Elementwise;
pub use dropout::Dropout;
pub use linear::Linear;
pub use network::{Buffers, Network};
pub use shrink::without_dead_neurons;
pub use spec::{ActivationName, LayerSpec, NetworkSettings, NetworkSpec, SparsitySettings};

use crate::kernels::{Activation, Isa};
use crate::sparse::{Init, Pattern, Storage, Weights};
use crate::tiles::Tiles;

/// How a pass over the network is made.
#[derive(Debug, Clone, Copy)]
pub struct Pass {
    /// The instruction set of the kernels.
    pub isa: Isa,
    /// Seed and step of a training pass; `None` when predicting.
    pub training: Option<(u64, u64)>,
}

impl Pass {
    /// A pass that predicts.
    pub fn predict(isa: Isa) -> Pass {
        Pass { isa, training: None }
    }
}

/// What a backward pass hands to a layer.
pub struct Flow<'a> {
    /// What the layer was given.
    pub input: &'a Tiles,
    /// The gradient of the layer's outputs, its own fused activation already accounted for.
    pub gradient: &'a Tiles,
    /// Where the gradient of the input goes, unless nobody needs it.
    pub gradient_input: Option<&'a mut Tiles>,
    /// The activation fused into whatever made the input: `gradient_input` is to be multiplied by its derivative,
    /// told from `input`.
    pub gate: Activation,
}

/// One trainable array.
#[derive(Debug)]
pub struct Parameter {
    /// The name in model files, as in `0.weight`.
    pub name: String,
    /// The values, dense or compressed; a bias is `outputs x 1`.
    pub weights: Weights,
    /// One gradient per stored value; empty until training starts.
    pub gradient: Vec<f32>,
    /// Whether weight decay and sparsity apply: true for weights, false for biases.
    pub is_weight: bool,
    /// The storage asked for.
    pub storage: Storage,
    /// How new weights are drawn.
    pub init: Init,
}

/// A differentiable map from rows of `inputs()` features to rows of `outputs()`.
pub trait Layer: Send + Sync {
    /// Features in.
    fn inputs(&self) -> usize;

    /// Features out.
    fn outputs(&self) -> usize;

    /// The activation fused into the outputs.
    fn fused(&self) -> Activation {
        Activation::Identity
    }

    /// Computes all outputs.
    fn forward(&self, pass: &Pass, input: &Tiles, output: &mut Tiles);

    /// Computes the gradients of the parameters and, where asked for, of the input.
    fn backward(&mut self, pass: &Pass, flow: Flow<'_>);

    /// The trainable arrays.
    fn parameters(&self) -> &[Parameter] {
        &[]
    }

    /// The trainable arrays, to change.
    fn parameters_mut(&mut self) -> &mut [Parameter] {
        &mut []
    }

    /// The gradient that the cells of some rows of parameter `parameter` would have if every connection were live,
    /// row-major: what a growth rule scores absent connections by. `gradient` is as in [`Flow`].
    ///
    /// # Panics
    /// If the parameter is not a weight.
    fn cell_gradients(
        &self,
        parameter: usize,
        input: &Tiles,
        gradient: &Tiles,
        rows: Range<usize>,
        out: &mut [f32],
        scratch: &mut Vec<f32>,
    ) {
        let _ = (input, gradient, rows, out, scratch);
        panic!("parameter {parameter} of this layer has no connections to grow");
    }

    /// The same for some cells only, in order: the work follows their number, not that of all cells.
    ///
    /// # Panics
    /// As for [`Layer::cell_gradients`].
    fn sampled_gradients(
        &self,
        isa: Isa,
        parameter: usize,
        cells: &Pattern,
        input: &Tiles,
        gradient: &Tiles,
        out: &mut [f32],
    ) {
        let _ = (isa, cells, input, gradient, out);
        panic!("parameter {parameter} of this layer has no connections to grow");
    }
}
