//! Layers: forward, backward, parameters and shapes. One layer, one file; a network is a sequence of them.
//!
//! A layer is a function and holds no numbers: its parameters stand in the network's one list, what a pass computes stands in
//! buffers, and both are handed to it. So a block of layers is a layer, and whoever trains sees nothing but parameters.
//!
//! A gradient handed to a layer is that of its stored outputs *before* its fused activation: whoever produces the
//! gradient of a layer's outputs (the next layer, or the loss) multiplies by the derivative, because it can do so in
//! registers ([`Vjp::gate`]).

mod activation;
mod attention;
mod block_height;
mod buffers;
mod build;
mod causal;
mod chain;
mod conv;
mod describe;
mod described;
mod dropout;
mod embedding;
mod figures;
mod first_weights;
mod flatten;
mod folded;
mod gradient;
mod inputs;
mod layer;
mod limits;
mod linear;
mod network;
mod norm;
mod parallel;
mod parameter;
mod pool;
mod positional_encoding;
mod precision;
mod presets;
mod recurrent;
mod sequence;
mod settings;
mod shrink;
mod spec;
mod spread;
#[cfg(test)]
mod suite;

pub use activation::{Elementwise, ElementwiseSpec};
pub use attention::{Attention, AttentionSpec};
pub use block_height::{Auto, BlockHeight};
pub use buffers::{Buffers, Carried, OneSample, Workspace};
pub use build::{Builder, WeightShape};
pub use chain::{Chain, Kept};
pub use conv::{Conv, Conv1dSpec, Conv2dSpec, Padding, Size};
pub use describe::{Describe, Properties};
pub use described::Outputs;
pub use dropout::{Dropout, DropoutSpec};
pub use embedding::{Embedding, EmbeddingSpec};
pub use figures::LayerFigures;
pub use first_weights::InputConnections;
pub use flatten::{Flatten, FlattenSpec};
pub use gradient::Gradient;
pub use inputs::Inputs;
pub use layer::{Layer, Pass, Training, Vjp};
pub use limits::{MAX_LAYERS, MAX_UNITS};
pub use linear::{Linear, LinearSpec};
pub use network::Network;
pub use norm::{BatchNorm, BatchNormSpec, GroupNorm, GroupNormSpec, LayerNorm, LayerNormSpec, RmsNormSpec};
pub use parallel::{Join, Parallel};
pub use parameter::{Joint, Parameter, Role};
pub use pool::{
    AttentionPool, AttentionPoolSpec, AveragePool, AveragePoolSpec, GlobalAveragePoolSpec, GlobalMaxPoolSpec,
    GlobalPool, LastStep, LastStepSpec, MaxPool, MaxPoolSpec,
};
pub use positional_encoding::{PositionalEncoding, PositionalEncodingSpec, Positions};
pub use precision::Precision;
pub use presets::{ActivationName, Choices, Preset};
pub use recurrent::{Gru, GruSpec, Lstm, LstmSpec, Rnn, RnnSpec};
pub use sequence::Sequence;
pub use settings::{NetworkSettings, SparsitySettings};
pub use shrink::{without_dead_neurons, without_zeros};
pub use spec::{CustomSpec, LayerKinds, LayerSpec, NetworkSpec, ParallelSpec, ResidualSpec};
