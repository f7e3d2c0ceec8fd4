//! Layers as presets write them, and what they ask of the samples.

use crate::kernels::Activation;
use crate::layers::{Conv1dSpec, Conv2dSpec, LayerSpec, Padding, Size};
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
    Conv2dSpec { padding: Padding::Same, activation, ..Conv2dSpec::new(filters, kernel) }
}

/// A convolution over steps that keeps their number, its activation fused.
pub(super) fn conv1d(filters: usize, kernel: usize, activation: Activation) -> Conv1dSpec {
    Conv1dSpec { padding: Padding::Same, activation, ..Conv1dSpec::new(filters, kernel) }
}

/// A convolution, and a batch norm in place of a bias.
pub(super) fn conv_norm(
    filters: usize,
    kernel: usize,
    stride: usize,
    activation: Activation,
) -> [LayerSpec; 2] {
    let conv = conv2d(filters, kernel, Activation::Identity);
    [
        LayerSpec::Conv2d(Conv2dSpec { stride: Size::Square(stride), bias: false, ..conv }),
        LayerSpec::batch_norm(activation),
    ]
}

/// A convolution of each of `channels` by itself, and a batch norm with a rectifier.
pub(super) fn depthwise_norm(channels: usize, kernel: usize, stride: usize) -> [LayerSpec; 2] {
    let conv = conv2d(channels, kernel, Activation::Identity);
    let stride = Size::Square(stride);
    [
        LayerSpec::Conv2d(Conv2dSpec { stride, groups: channels, bias: false, ..conv }),
        LayerSpec::batch_norm(Activation::Relu),
    ]
}

/// As [`conv_norm`], over steps.
pub(super) fn over_time_norm(
    filters: usize,
    kernel: usize,
    stride: usize,
    activation: Activation,
) -> [LayerSpec; 2] {
    let conv = conv1d(filters, kernel, Activation::Identity);
    [LayerSpec::Conv1d(Conv1dSpec { stride, bias: false, ..conv }), LayerSpec::batch_norm(activation)]
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
