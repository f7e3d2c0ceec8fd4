//! The same products on dense storage, by [`matrix`](super::arch::matrix), one tile of 64 samples at a time.
//!
//! Blocks are cut at fixed numbers of rows, so the order of every sum depends on the layer's shape alone: not on the
//! threads, not on the batch.

use std::ops::Range;

use super::arch::matrix::{Matrix, product};
use super::arch::{Epilogue, Isa, fetch_ahead};
use super::panels::Panels;
use super::split::{par_chunks, split_tiles};
use super::tree::{self, Leaf};
use crate::tiles::{HALF, LANES, Row};

/// Rows of a result that one call computes.
pub(super) const BLOCK: usize = 128;

/// `Y = epilogue(A X)` for each tile.
pub(super) fn multiply(
    isa: Isa,
    matrix: Matrix<'_>,
    input: &[Row],
    output: &mut [Row],
    panels: Panels,
    epilogue: Epilogue<'_>,
) {
    let (output, halves) = output.split_at_mut(panels.whole() * matrix.rows);
    split_tiles(0..panels.whole(), output, matrix.rows, &|tile, output| {
        let input = Matrix::of_rows(&input[tile * matrix.cols..][..matrix.cols]);
        par_chunks(output, BLOCK, &|start, output| {
            let flat: &mut [f32] = bytemuck::must_cast_slice_mut(output);
            product(isa, matrix.rows_from(start, flat.len() / LANES), input, flat, false);
            crate::vectorize!(isa, {
                for (line, row) in (start..).zip(output.iter_mut()) {
                    let bias = epilogue.start(line);
                    for sum in &mut row.0 {
                        *sum += bias;
                    }
                    isa.end(&epilogue, tile * matrix.rows + line, &mut row.0);
                }
            });
        });
    });
    let input = &input[panels.whole() * matrix.cols..];
    multiply_halves(isa, matrix, input, halves, panels.whole(), epilogue);
}

/// Two panels of which half of the lanes are alive, as one; the second may be missing.
fn side_by_side(panels: &[Row], height: usize, rows: Range<usize>, out: &mut [Row]) {
    let (first, second) = panels.split_at(height);
    for (line, out) in rows.clone().zip(out.iter_mut()) {
        fetch_ahead(first, line);
        fetch_ahead(second, line);
        out.0[..HALF].copy_from_slice(&first[line].0[..HALF]);
        match second.get(line) {
            Some(row) => out.0[HALF..].copy_from_slice(&row.0[..HALF]),
            None => out.0[HALF..].fill(0.0),
        }
    }
}

/// As [`multiply`], for panels of which half of the lanes are alive: two at a time, as wide as one whole. The first is the
/// panel `first` of the result.
fn multiply_halves(
    isa: Isa,
    matrix: Matrix<'_>,
    input: &[Row],
    output: &mut [Row],
    first: usize,
    epilogue: Epilogue<'_>,
) {
    par_chunks(output, 2 * matrix.rows.max(1), &|start, output| {
        let panel = start / matrix.rows;
        let count = output.len() / matrix.rows;
        let mut both = vec![Row::ZERO; matrix.cols];
        let mut sums = vec![Row::ZERO; matrix.rows];
        let input = &input[panel * matrix.cols..][..count * matrix.cols];
        side_by_side(input, matrix.cols, 0..matrix.cols, &mut both);
        for (block, sums) in sums.chunks_mut(BLOCK).enumerate() {
            let matrix = matrix.rows_from(block * BLOCK, sums.len());
            product(isa, matrix, Matrix::of_rows(&both), bytemuck::must_cast_slice_mut(sums), false);
        }
        crate::vectorize!(isa, {
            for (place, output) in output.chunks_exact_mut(matrix.rows).enumerate() {
                for (line, (row, sums)) in output.iter_mut().zip(&sums).enumerate() {
                    let half = row.0.first_chunk_mut::<HALF>().expect("a row is longer");
                    let bias = epilogue.start(line);
                    for (to, sum) in half.iter_mut().zip(&sums.0[place * HALF..]) {
                        *to = sum + bias;
                    }
                    isa.end(&epilogue, (first + panel + place) * matrix.rows + line, half);
                }
            }
        });
    });
}

/// Buffers of the output's length that [`weight_gradient`] needs beside the output.
pub(super) fn scratch_levels(panels: Panels) -> usize {
    Leaf::of_positions(panels.positions).scratch_levels(panels.tiles)
}

/// Rows `rows` of `dW = sum over tiles of dY X^T`. `scratch` holds [`scratch_levels`] times `out`.
pub(super) fn weight_gradient(
    isa: Isa,
    (gradient, input): (&[Row], &[Row]),
    panels: Panels,
    rows: Range<usize>,
    out: &mut [f32],
    scratch: &mut [f32],
) {
    if out.is_empty() {
        return;
    }
    let count = panels.count().max(1);
    let (height, cols) = (gradient.len() / count, input.len() / count);
    tree::sum(
        0..panels.tiles,
        Leaf::of_positions(panels.positions),
        out,
        scratch,
        &mut |tile, out, accumulate| {
            let is_half = panels.is_half(tile) && panels.positions > 1;
            par_chunks(out, BLOCK * cols, &|start, out| {
                if is_half {
                    let rows = rows.start + start / cols..rows.start + (start + out.len()) / cols;
                    let mut both = (vec![Row::ZERO; rows.len()], vec![Row::ZERO; cols]);
                    for (place, panel) in panels.of(tile).enumerate().step_by(2) {
                        let count = (panels.of(tile).end - panel).min(2);
                        let gradient = &gradient[panel * height..][..count * height];
                        side_by_side(gradient, height, rows.clone(), &mut both.0);
                        side_by_side(&input[panel * cols..][..count * cols], cols, 0..cols, &mut both.1);
                        let [gradient, input] = [&both.0, &both.1].map(|rows| Matrix::of_rows(rows));
                        product(isa, gradient, input.transposed(), out, accumulate || place > 0);
                    }
                    return;
                }
                for (place, panel) in panels.of(tile).enumerate() {
                    let gradient = Matrix::of_rows(&gradient[panel * height..][..height][rows.clone()]);
                    let input = Matrix::of_rows(&input[panel * cols..][..cols]).transposed();
                    let gradient = gradient.rows_from(start / cols, out.len() / cols);
                    product(isa, gradient, input, out, accumulate || place > 0);
                }
            });
        },
    );
}
