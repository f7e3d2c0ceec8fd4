//! Networks for images. They are made for 28 x 28 to 32 x 32 pixels; other sizes go as long as pooling leaves something.

use super::parts::{conv_norm, conv2d, depthwise_norm, dropout, head, image};
use crate::kernels::Activation::{Identity, Relu};
use crate::layers::{Conv2dSpec, LayerSpec, Padding, ResidualSpec, Size};
use crate::tiles::Shape;

/// LeNet-5 (LeCun, Bottou, Bengio and Haffner 1998, section II.B), with rectifiers, the largest number instead of a trained
/// mean, and every filter connected to all maps: 61,706 parameters on 28 x 28 x 1, which are padded to 32 x 32 as there.
///
/// ```text
/// conv2d width 5x5 relu, max-pool 2                       width 6
/// conv2d 16/6 width 5x5 relu, max-pool 2
/// flatten, linear 20 width relu, linear 14 width relu, linear
/// ```
pub(super) fn lenet5(width: usize, inputs: Shape) -> Result<Vec<LayerSpec>, String> {
    image(inputs)?;
    let conv = |filters, padding| {
        let padding = Padding::By(Size::Square(padding));
        LayerSpec::Conv2d(Conv2dSpec { padding, ..conv2d(filters, 5, Relu) })
    };
    Ok(vec![
        conv(width, if inputs.height < 32 { 2 } else { 0 }),
        LayerSpec::max_pool(2),
        conv((16 * width).div_ceil(6), 0),
        LayerSpec::max_pool(2),
        LayerSpec::flatten(),
        LayerSpec::linear(20 * width, Relu),
        LayerSpec::linear(14 * width, Relu),
        head(),
    ])
}

/// A small VGG (Simonyan and Zisserman 2015, section 2) with batch norm (Ioffe and Szegedy 2015).
///
/// ```text
/// conv2d 3x3 batch-norm relu, the same again, max-pool 2   for each of depth (3), of width (32), 2 width, 4 width filters
/// flatten, linear 8 width relu, dropout, linear
/// ```
pub(super) fn vgg_small(
    width: usize,
    depth: usize,
    rate: f32,
    inputs: Shape,
) -> Result<Vec<LayerSpec>, String> {
    halves(depth, inputs)?;
    let mut layers = Vec::new();
    for stage in 0..depth {
        layers.extend(conv_norm(width << stage, 3, 1, Relu));
        layers.extend(conv_norm(width << stage, 3, 1, Relu));
        layers.push(LayerSpec::max_pool(2));
    }
    layers.extend([LayerSpec::flatten(), LayerSpec::linear(8 * width, Relu)]);
    layers.extend(dropout(rate));
    layers.push(head());
    Ok(layers)
}

/// ResNet-20 (He, Zhang, Ren and Sun 2016, section 4.2): three stages of `depth` blocks, each halving the image and doubling the
/// filters; where the shape changes a 1x1 convolution leads past a block (option B). 272,474 parameters on 32 x 32 x 3.
///
/// ```text
/// conv2d width (16) 3x3 batch-norm relu
/// residual (conv2d 3x3 batch-norm relu, conv2d 3x3 batch-norm) relu    three stages of depth (3), of width, 2 width, 4 width
/// global-average-pool, linear
/// ```
pub(super) fn resnet20(width: usize, depth: usize, inputs: Shape) -> Result<Vec<LayerSpec>, String> {
    image(inputs)?;
    let mut layers = conv_norm(width, 3, 1, Relu).to_vec();
    for stage in 0..3 {
        let filters = width << stage;
        for block in 0..depth {
            let changes = stage > 0 && block == 0;
            let stride = if changes { 2 } else { 1 };
            let body = [conv_norm(filters, 3, stride, Relu), conv_norm(filters, 3, 1, Identity)].concat();
            let shortcut = if changes { conv_norm(filters, 1, 2, Identity).to_vec() } else { Vec::new() };
            layers.push(LayerSpec::Residual(ResidualSpec { body, shortcut, activation: Relu }));
        }
    }
    layers.extend([LayerSpec::global_average_pool(), head()]);
    Ok(layers)
}

/// A small MobileNet (Howard et al. 2017, section 3.1): convolutions of each channel by itself, then across channels.
///
/// ```text
/// conv2d width (16) 3x3 batch-norm relu
/// separable, separable    for each of depth (3), of 2 width, 4 width, 8 width filters; all but the first halve the image
/// global-average-pool, dropout, linear
///
/// separable: conv2d 3x3 of each channel batch-norm relu, conv2d 1x1 batch-norm relu
/// ```
pub(super) fn mobilenet_small(
    width: usize,
    depth: usize,
    rate: f32,
    inputs: Shape,
) -> Result<Vec<LayerSpec>, String> {
    halves(depth - 1, inputs)?;
    let mut layers = conv_norm(width, 3, 1, Relu).to_vec();
    let mut channels = width;
    for stage in 0..depth {
        let filters = width << (stage + 1);
        for block in 0..2 {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            layers.extend(depthwise_norm(channels, 3, stride));
            layers.extend(conv_norm(filters, 1, 1, Relu));
            channels = filters;
        }
    }
    layers.push(LayerSpec::global_average_pool());
    layers.extend(dropout(rate));
    layers.push(head());
    Ok(layers)
}

/// Refuses what is no image, or one that cannot be halved so often.
fn halves(times: usize, inputs: Shape) -> Result<(), String> {
    image(inputs)?;
    let side = inputs.height.min(inputs.width);
    match u32::try_from(times).ok().and_then(|times| side.checked_shr(times)) {
        Some(1..) => Ok(()),
        _ => Err(format!(
            "halves an image {times} times, and there is not that much of {inputs}; lower network.depth"
        )),
    }
}
