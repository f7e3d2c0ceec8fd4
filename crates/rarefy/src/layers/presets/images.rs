//! Networks for images. They are made for 28 x 28 to 32 x 32 pixels; other sizes go as long as pooling leaves something.

use super::parts::{conv2d, head, image, max_pool};
use crate::kernels::Activation::Relu;
use crate::layers::{Conv2dSpec, LayerSpec, Padding, Size};
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
        max_pool(2),
        conv((16 * width).div_ceil(6), 0),
        max_pool(2),
        LayerSpec::flatten(),
        LayerSpec::linear(20 * width, Relu),
        LayerSpec::linear(14 * width, Relu),
        head(),
    ])
}
