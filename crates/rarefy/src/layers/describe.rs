//! What every kind of layer says about itself.

use super::{Builder, Layer};
use crate::kernels::Activation;
use crate::tiles::Shape;

/// A description of a layer: what kind it is, what it makes of a shape, and the layer itself.
///
/// No method has a default, so that a new kind answers every question before it compiles. One of a user's own becomes a layer
/// of a network by [`LayerSpec::custom`](super::LayerSpec::custom), where there is an example.
pub trait Describe {
    /// What kind of layer it is.
    fn properties(&self) -> Properties<'_>;

    /// The activation that the layer fuses into its outputs, if it may have one. One that cannot be fused becomes a layer of
    /// its own where a network is made for data.
    fn fused_mut(&mut self) -> Option<&mut Activation>;

    /// The shape that comes out where `input` goes in.
    ///
    /// # Errors
    /// Why the layer cannot be, in words that follow its name.
    fn output(&self, input: Shape) -> Result<Shape, String>;

    /// The layer for samples of shape `input`, its parameters made by `builder`. [`Describe::output`] has accepted the shape.
    ///
    /// # Errors
    /// An [`Error`](crate::Error) of where the weights come from, such as a model file.
    fn build(&self, input: Shape, builder: &mut Builder<'_>) -> crate::Result<Box<dyn Layer>>;
}

/// What kind a layer is of. Where it holds other layers, the answers are about what it does besides these.
#[derive(Debug, Clone, PartialEq)]
pub struct Properties<'a> {
    /// The name in files, as in `{layer = "linear"}`.
    pub name: &'a str,
    /// If outputs at a step depend on later steps, what to do about it where they must not, as in `give it causal = true`.
    pub looks_ahead: Option<&'static str>,
    /// Whether a training pass over the same samples differs from step to step.
    pub is_random: bool,
    /// Whether it does with each position what it would do were there no other.
    pub is_per_position: bool,
    /// Whether it looks at windows of positions: samples without positions are then perhaps images that nobody declared.
    pub has_windows: bool,
}
