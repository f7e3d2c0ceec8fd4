//! Layers: forward, backward, parameters and shapes. One layer, one file; a network is a sequence of them.
//!
//! A layer is a function and holds no numbers: its parameters stand in the network's one list, what a pass computes stands in
//! buffers, and both are handed to it. So a block of layers is a layer, and whoever trains sees nothing but parameters.
//!
//! A gradient handed to a layer is that of its stored outputs *before* its fused activation: whoever produces the
//! gradient of a layer's outputs (the next layer, or the loss) multiplies by the derivative, because it can do so in
//! registers ([`Flow::gate`]).

mod activation;
mod attention;
mod build;
mod causal;
mod conv;
mod describe;
mod described;
mod dropout;
mod embedding;
mod figures;
mod flatten;
mod inputs;
mod limits;
mod linear;
mod network;
mod norm;
mod parallel;
mod parameter;
mod pool;
mod positional_encoding;
mod presets;
mod recurrent;
mod residual;
mod sequence;
mod settings;
mod shrink;
mod spec;
#[cfg(test)]
mod suite;

pub use activation::{Elementwise, ElementwiseSpec};
pub use attention::{Attention, AttentionSpec};
pub use build::{Builder, WeightShape};
pub use conv::{Conv, Conv1dSpec, Conv2dSpec, Padding, Size};
pub use describe::{Describe, PartsMut, Properties};
pub use described::Outputs;
pub use dropout::{Dropout, DropoutSpec};
pub use embedding::{Embedding, EmbeddingSpec};
pub use figures::LayerFigures;
pub use flatten::{Flatten, FlattenSpec};
pub use inputs::Inputs;
pub use limits::{MAX_LAYERS, MAX_UNITS};
pub use linear::{Linear, LinearSpec};
pub use network::Network;
pub use norm::{BatchNorm, BatchNormSpec, GroupNorm, GroupNormSpec, LayerNorm, LayerNormSpec, RmsNormSpec};
pub use parallel::{Join, Parallel, ParallelSpec};
pub use parameter::{Joint, Parameter, Role};
pub use pool::{
    AttentionPool, AttentionPoolSpec, AveragePool, AveragePoolSpec, GlobalAveragePoolSpec, GlobalMaxPoolSpec,
    GlobalPool, LastStep, LastStepSpec, MaxPool, MaxPoolSpec,
};
pub use positional_encoding::{PositionalEncoding, PositionalEncodingSpec, Positions};
pub use presets::{Choices, Preset};
pub use recurrent::{Gru, GruSpec, Lstm, LstmSpec, Rnn, RnnSpec};
pub use residual::ResidualSpec;
pub use sequence::{Buffers, Sequence};
pub use settings::{ActivationName, NetworkSettings, SparsitySettings};
pub use shrink::{without_dead_neurons, without_zeros};
pub use spec::{LayerSpec, NetworkSpec};

use crate::kernels::{Activation, Isa, Product};
use crate::tiles::{Shape, Tiles};

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

/// What a layer keeps from its forward to its backward pass besides inputs and outputs, and room to work in. Allocated
/// once; what stands where is the layer's own affair.
#[derive(Debug, Clone, Default)]
pub struct Workspace {
    /// Activations, resized with the batch.
    pub tiles: Vec<Tiles>,
    /// Arrays of any length.
    pub numbers: Vec<Vec<f32>>,
    /// Lists of places.
    pub places: Vec<Vec<u32>>,
    /// The buffers of layers within this one.
    pub inner: Vec<Buffers>,
    /// What goes on from batch to batch.
    pub carried: Vec<Carried>,
}

/// A state that goes on from batch to batch: a lane goes on where the same lane of the batch before ended. A pass forward
/// reads one and writes the other, so that it can be made again; [`Buffers::carry_on`] says when the next batch comes.
#[derive(Debug, Clone)]
pub struct Carried {
    /// The state before the batch.
    pub begin: Tiles,
    /// The state after it.
    pub end: Tiles,
}

impl Carried {
    /// Zeros.
    pub fn zeros(features: usize, samples: usize) -> Carried {
        Carried { begin: Tiles::zeros(features, samples), end: Tiles::zeros(features, samples) }
    }
}

/// A differentiable map from samples of shape `input()` to samples of shape `output()`.
pub trait Layer: Send + Sync {
    /// What goes in.
    fn input(&self) -> Shape;

    /// What comes out.
    fn output(&self) -> Shape;

    /// The activation fused into the outputs.
    fn fused(&self) -> Activation {
        Activation::Identity
    }

    /// How many steps of output a sequence of `steps` steps makes, where lengths differ.
    fn steps(&self, steps: u32) -> u32 {
        steps
    }

    /// Whether the layer does at each position, or with each sequence, what it would do were these folded
    /// ([`Tiles::fold`]). Its workspace is then folded too.
    fn folds(&self) -> bool {
        false
    }

    /// Room for batches of up to `samples` samples.
    fn workspace(&self, samples: usize, training: bool) -> Workspace {
        let _ = (samples, training);
        Workspace::default()
    }

    /// Computes all outputs.
    fn forward(
        &self,
        pass: &Pass,
        parameters: &[Parameter],
        input: &Tiles,
        output: &mut Tiles,
        work: &mut Workspace,
    );

    /// Computes the gradients of the parameters and, where asked for, of the input.
    fn backward(&self, pass: &Pass, parameters: &mut [Parameter], flow: Flow<'_>, work: &mut Workspace);

    /// The product that weight `parameter` (counted within the layer) is part of, with what the last passes put in: by it
    /// growth rules tell the gradients of absent connections. `input` and `gradient` are as in [`Flow`].
    ///
    /// # Panics
    /// If that parameter is not a weight.
    fn product<'a>(
        &'a self,
        parameter: usize,
        input: &'a Tiles,
        gradient: &'a Tiles,
        work: &'a Workspace,
    ) -> Product<'a> {
        let _ = (input, gradient, work);
        panic!("parameter {parameter} of this layer has no connections to grow");
    }
}
