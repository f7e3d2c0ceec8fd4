//! The three products of a convolution, for either storage. Shapes are those of the [`Windows`]; weights are `filters x
//! cols`, a filter's columns going channel by channel, offset by offset.

use super::arch::{Entries, Finish, Isa};
use super::spmm::gather_columns;
use super::windows::Windows;
use super::{conv, conv_dense};
use crate::sparse::Weights;
use crate::tiles::Tiles;

/// `output = finish(W * input)`.
///
/// # Panics
/// If shapes do not fit, or a convolution in groups is in dense storage.
pub fn convolve(
    isa: Isa,
    weights: &Weights,
    windows: &Windows,
    input: &Tiles,
    output: &mut Tiles,
    finish: Finish<'_>,
) {
    check(weights, windows, input, output);
    match weights {
        Weights::Dense(_) => conv_dense::convolve(isa, weights.values(), windows, input, output, finish),
        Weights::Sparse(sparse) => conv::convolve(isa, sparse, windows, input, output, finish),
    }
}

/// `gradient_input = finish(W^T * gradient)`; `room` is as in [`multiply_transposed`](super::multiply_transposed).
///
/// # Panics
/// As for [`convolve`].
#[expect(clippy::too_many_arguments)]
pub fn convolve_transposed(
    isa: Isa,
    weights: &mut Weights,
    windows: &Windows,
    gradient: &Tiles,
    gradient_input: &mut Tiles,
    finish: Finish<'_>,
    room: &mut Vec<f32>,
) {
    check(weights, windows, gradient_input, gradient);
    match weights {
        Weights::Dense(_) => {
            let values = weights.values();
            conv_dense::convolve_transposed(isa, values, windows, gradient, gradient_input, finish);
        }
        Weights::Sparse(sparse) => {
            let (index, values) = gather_columns(sparse, room);
            let entries = Entries { index, values, windows, finish };
            conv::convolve_transposed(isa, &entries, gradient, gradient_input);
        }
    }
}

/// The gradient of every live connection, summed over positions and the batch, into `out`; zero for absent ones in dense
/// storage. `scratch` grows to what the sums need.
///
/// # Panics
/// As for [`convolve`].
#[expect(clippy::too_many_arguments)]
pub fn convolution_gradient(
    isa: Isa,
    weights: &Weights,
    windows: &Windows,
    gradient: &Tiles,
    input: &Tiles,
    out: &mut [f32],
    scratch: &mut Vec<f32>,
) {
    check(weights, windows, input, gradient);
    match weights {
        Weights::Dense(_) => {
            conv_dense::weight_gradient(windows, gradient, input, 0..weights.rows(), out, scratch);
            weights.clear_absent(out);
        }
        Weights::Sparse(sparse) => {
            let index = sparse.pattern().index();
            conv::weight_gradient(isa, index, windows, gradient, input, out, scratch);
        }
    }
}

fn check(weights: &Weights, windows: &Windows, input: &Tiles, output: &Tiles) {
    let geometry = windows.geometry();
    assert_eq!(
        (weights.rows(), weights.cols()),
        (geometry.filters, geometry.cols()),
        "weights of {geometry:?}"
    );
    let shapes = (geometry.input.features(), windows.output().features());
    assert_eq!((input.features(), output.features()), shapes, "activations of {geometry:?}");
    assert_eq!(input.samples(), output.samples());
    let is_dense = matches!(weights, Weights::Dense(_));
    assert!(!is_dense || geometry.groups == 1, "convolutions in groups are stored compressed");
}
