//! Layers as presets write them, and what they ask of the samples.

use crate::kernels::Activation;
use crate::layers::{Conv2dSpec, GlobalAveragePoolSpec, LayerSpec, LstmSpec, MaxPoolSpec, Padding, Size};
use crate::tiles::Shape;

/// The last layer: as many outputs as the data asks for.
pub(super) fn head() -> LayerSpec {
    LayerSpec::linear(0, Activation::Identity)
}

/// Dropout, if there is any.
pub(super) fn dropout(rate: f32) -> Option<LayerSpec> {
    (rate > 0.0).then(|| LayerSpec::dropout(rate))
}

/// A convolution by square kernels that keeps the size, its activation fused.
pub(super) fn conv2d(filters: usize, kernel: usize, activation: Activation) -> Conv2dSpec {
    Conv2dSpec {
        filters,
        kernel: Size::Square(kernel),
        stride: Size::Square(1),
        padding: Padding::Same,
        dilation: Size::Square(1),
        groups: 1,
        bias: true,
        activation,
    }
}

/// The largest of each square of that side.
pub(super) fn max_pool(side: usize) -> LayerSpec {
    let (kernel, padding, dilation) = (Size::Square(side), Size::Square(0), Size::Square(1));
    LayerSpec::MaxPool(MaxPoolSpec { kernel, stride: None, padding, dilation })
}

/// The mean of all positions.
pub(super) fn mean() -> LayerSpec {
    LayerSpec::GlobalAveragePool(GlobalAveragePoolSpec {})
}

/// Long short-term memory that reads a sequence from its start.
pub(super) fn lstm(hidden: usize) -> LayerSpec {
    LayerSpec::Lstm(LstmSpec { hidden, bidirectional: false, carry: false })
}

/// Refuses what is no image.
pub(super) fn image(inputs: Shape) -> Result<(), String> {
    let problem = match inputs {
        Shape { height: 2.., .. } => return Ok(()),
        Shape { width: 1, .. } => {
            "plain features; say what they are by data.shape = [height, width, channels]"
        }
        _ => {
            "a sequence; take a network for sequences, or say by data.shape = [height, width, channels] what it is"
        }
    };
    Err(format!("is for images, and the samples ({inputs}) are {problem}"))
}

/// Refuses what is no sequence.
pub(super) fn sequence(inputs: Shape) -> Result<(), String> {
    let problem = match inputs {
        Shape { height: 1, width: 2.., .. } => return Ok(()),
        Shape { height: 1, .. } => "plain features; say what they are by data.shape = [1, steps, features]",
        _ => "images; take a network for images, or say by data.shape = [1, steps, features] what they are",
    };
    Err(format!("is for sequences, and the samples ({inputs}) are {problem}"))
}
