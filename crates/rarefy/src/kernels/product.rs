//! The three products of a linear map `y = W x`, for either storage. Shapes: `input` has `W.cols()` features, `output`
//! and its gradient `W.rows()`; both hold the same samples.

use std::ops::Range;

use super::dense::{self, Matrix};
use super::{Finish, Isa, par_chunks, sddmm, spmm, tree};
use crate::sparse::{Pattern, Weights};
use crate::tiles::Tiles;

/// `output = activation(W input + bias)` (or another [`Finish`]).
///
/// # Panics
/// If shapes do not fit.
pub fn multiply(isa: Isa, weights: &Weights, input: &Tiles, output: &mut Tiles, finish: Finish<'_>) {
    check(weights, input, output);
    let tiles = input.tiles();
    match weights {
        Weights::Dense(_) => {
            let matrix = Matrix::new(weights.values(), weights.rows(), weights.cols());
            dense::multiply(isa, matrix, input.rows(), output.rows_mut(), tiles, finish);
        }
        Weights::Sparse(sparse) => {
            spmm::spmm(
                isa,
                sparse.pattern().index(),
                weights.values(),
                input.rows(),
                output.rows_mut(),
                tiles,
                finish,
            );
        }
    }
}

/// `gradient_input = finish(W^T gradient)`.
///
/// # Panics
/// If shapes do not fit.
pub fn multiply_transposed(
    isa: Isa,
    weights: &mut Weights,
    gradient: &Tiles,
    gradient_input: &mut Tiles,
    finish: Finish<'_>,
) {
    check(weights, gradient_input, gradient);
    let tiles = gradient.tiles();
    let (rows, cols) = (weights.rows(), weights.cols());
    match weights {
        Weights::Dense(_) => {
            let matrix = Matrix::new(weights.values(), rows, cols).transposed();
            dense::multiply(isa, matrix, gradient.rows(), gradient_input.rows_mut(), tiles, finish);
        }
        Weights::Sparse(sparse) => {
            let (pattern, values, transposed) = sparse.transposed_mut();
            let transpose = pattern.transpose();
            // Gathered once a pass: one random read per weight here, instead of one per weight and tile in the loop.
            par_chunks(transposed, 8192, &|start, chunk| {
                for (value, &position) in chunk.iter_mut().zip(&transpose.positions[start..]) {
                    *value = values[position as usize];
                }
            });
            let output = gradient_input.rows_mut();
            spmm::spmm(isa, &transpose.index, transposed, gradient.rows(), output, tiles, finish);
        }
    }
}

/// The gradient of every live connection, summed over the batch, into `out`; zero for absent ones in dense storage. `scratch` grows to what dense storage
/// needs to sum more than two tiles in a tree.
///
/// # Panics
/// If shapes do not fit.
pub fn weight_gradient(
    isa: Isa,
    weights: &Weights,
    gradient: &Tiles,
    input: &Tiles,
    out: &mut [f32],
    scratch: &mut Vec<f32>,
) {
    check(weights, input, gradient);
    let tiles = input.tiles();
    match weights {
        Weights::Dense(_) => {
            scratch.resize(out.len() * tree::scratch_levels(tiles), 0.0);
            dense::weight_gradient(gradient, input, 0..weights.rows(), out, scratch);
            weights.clear_absent(out);
        }
        Weights::Sparse(sparse) => {
            sddmm::sddmm(isa, sparse.pattern().index(), gradient.rows(), input.rows(), tiles, out);
        }
    }
}

/// The gradient of a bias: each row of `gradient` summed over the batch.
pub fn bias_gradient(isa: Isa, gradient: &Tiles, out: &mut [f32], scratch: &mut Vec<f32>) {
    assert_eq!(out.len(), gradient.features(), "one bias per feature");
    scratch.resize(out.len() * tree::scratch_levels(gradient.tiles()), 0.0);
    tree::sum(0..gradient.tiles(), out, scratch, &mut |tile, out, accumulate| {
        isa.vectorize(|| {
            for (out, row) in out.iter_mut().zip(gradient.tile(tile)) {
                // Sixteen running sums and then halves: the order is the same whatever the instruction set.
                let mut sums = [0.0f32; 16];
                for block in row.0.as_chunks::<16>().0 {
                    for (sum, value) in sums.iter_mut().zip(block) {
                        *sum += value;
                    }
                }
                let sum = halves(sums);
                *out = if accumulate { *out + sum } else { sum };
            }
        });
    });
}

/// The gradient that rows `rows` of a dense matrix of the same shape would have, row-major: what a growth rule looks
/// at. `scratch` grows as in [`weight_gradient`].
pub fn dense_gradient_rows(
    gradient: &Tiles,
    input: &Tiles,
    rows: Range<usize>,
    out: &mut [f32],
    scratch: &mut Vec<f32>,
) {
    assert_eq!(out.len(), rows.len() * input.features());
    scratch.resize(out.len() * tree::scratch_levels(input.tiles()), 0.0);
    dense::weight_gradient(gradient, input, rows, out, scratch);
}

/// The gradient that the cells of a pattern would have, in its order, whatever the weights are stored as.
///
/// # Panics
/// If shapes do not fit.
pub fn sampled_gradient(isa: Isa, cells: &Pattern, gradient: &Tiles, input: &Tiles, out: &mut [f32]) {
    let (rows, cols) = (cells.rows(), cells.cols());
    assert!(
        input.features() == cols && gradient.features() == rows && input.samples() == gradient.samples(),
        "cells of a {rows} x {cols} matrix do not fit an input of {} features and a gradient of {}",
        input.features(),
        gradient.features()
    );
    sddmm::sddmm(isa, cells.index(), gradient.rows(), input.rows(), input.tiles(), out);
}

#[inline(always)]
fn halves(mut sums: [f32; 16]) -> f32 {
    for width in [8, 4, 2, 1] {
        for lane in 0..width {
            sums[lane] += sums[lane + width];
        }
    }
    sums[0]
}

fn check(weights: &Weights, input: &Tiles, output: &Tiles) {
    let (rows, cols) = (weights.rows(), weights.cols());
    assert!(
        input.features() == cols && output.features() == rows && input.samples() == output.samples(),
        "weights of {rows} x {cols} do not fit an input of {} features and {} samples and an output of {} and {}",
        input.features(),
        input.samples(),
        output.features(),
        output.samples()
    );
}
