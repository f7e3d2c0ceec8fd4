//! Convolution on dense storage: the rows that some positions read are laid side by side and multiplied as dense matrices.
//!
//! ```text
//! panel [offset, channel][position, lane]      weights [filter][offset, channel]      weights * panel = outputs
//! ```
//! Weights are stored `[filter][channel, offset]`, as torch has them, and turned once a pass, so that a panel is made of
//! whole runs of rows. One group only: convolutions in groups keep compressed storage.

use std::ops::Range;

use super::arch::matrix::{Matrix, product};
use super::arch::{Epilogue, Isa};
use super::conv::sum_slices;
use super::split::{par_chunks, split_tiles};
use super::windows::{OUTSIDE, Windows};
use crate::tiles::{LANES, Row, Tiles};

/// Rows of a panel times positions: about what stays in the L2 cache.
const PANEL: usize = 2048;

/// Positions that a panel of so many rows covers.
fn positions_at_once(rows: usize) -> usize {
    (PANEL / rows).clamp(2, 16)
}

/// What the positions of one side read of the other: a table of the [`Windows`], and how many rows stand at each position.
#[derive(Clone, Copy)]
struct Reads<'a> {
    table: &'a [u32],
    channels: usize,
}

/// Lays the rows that `positions` read side by side, `channels` at each: `[offset, channel][position, lane]`.
fn fill_panel(panel: &mut [Row], windows: &Windows, reads: Reads<'_>, rows: &[Row], positions: Range<usize>) {
    let Reads { table, channels } = reads;
    let (offsets, width) = (windows.geometry.offsets(), positions.len());
    for (place, position) in positions.enumerate() {
        for offset in 0..offsets {
            let source = match table[position * offsets + offset] {
                OUTSIDE => &windows.zeros[..channels],
                at => &rows[at as usize * channels..][..channels],
            };
            for (channel, row) in source.iter().enumerate() {
                panel[(offset * channels + channel) * width + place] = *row;
            }
        }
    }
}

/// Computes `epilogue(matrix * panel)` position by position: `matrix` is `lines x (offsets * channels)`.
fn multiply(
    (isa, windows): (Isa, &Windows),
    matrix: Matrix<'_>,
    reads: Reads<'_>,
    input: &Tiles,
    output: &mut Tiles,
    epilogue: Epilogue<'_>,
) {
    let Matrix { rows: lines, cols: height, .. } = matrix;
    let at_once = positions_at_once(height);
    let (tiles, per_tile) = (input.tiles(), output.features());
    split_tiles(0..tiles, output.rows_mut(), per_tile, &|tile, output| {
        par_chunks(output, at_once * lines, &|start, output| {
            let (first, width) = (start / lines, output.len() / lines);
            let mut panel = vec![Row::ZERO; height * width];
            let mut sums = vec![Row::ZERO; lines * width];
            fill_panel(&mut panel, windows, reads, input.tile(tile), first..first + width);
            let panel = Matrix::new(bytemuck::must_cast_slice(&panel), height, width * LANES);
            let flat: &mut [f32] = bytemuck::must_cast_slice_mut(&mut sums);
            product(isa, matrix, panel, flat, false);
            crate::vectorize!(isa, {
                for (place, output) in output.chunks_mut(lines).enumerate() {
                    for (line, row) in output.iter_mut().enumerate() {
                        *row = sums[line * width + place];
                        let bias = epilogue.start(line);
                        row.0.iter_mut().for_each(|sum| *sum += bias);
                        isa.end(&epilogue, tile * per_tile + (first + place) * lines + line, &mut row.0);
                    }
                }
            });
        });
    });
}

/// Weights `[filter][channel, offset]` as `[filter][offset, channel]`, in `turned`.
pub(super) fn turn<'a>(windows: &Windows, values: &[f32], turned: &'a mut Vec<f32>) -> &'a [f32] {
    let (channels, offsets) = (windows.geometry.input.channels, windows.geometry.offsets());
    turned.resize(values.len(), 0.0);
    for (from, to) in values.chunks(channels * offsets).zip(turned.chunks_mut(channels * offsets)) {
        for (offset, to) in to.chunks_mut(channels).enumerate() {
            for (to, from) in to.iter_mut().zip(from[offset..].iter().step_by(offsets)) {
                *to = *from;
            }
        }
    }
    turned
}

/// `output = finish(W * input)`.
pub(super) fn forward(
    (isa, windows): (Isa, &Windows),
    values: &[f32],
    input: &Tiles,
    output: &mut Tiles,
    epilogue: Epilogue<'_>,
) {
    let geometry = windows.geometry;
    let (channels, filters, offsets) = (geometry.input.channels, geometry.filters, geometry.offsets());
    let mut turned = Vec::new();
    let matrix = Matrix::new(turn(windows, values, &mut turned), filters, offsets * channels);
    multiply((isa, windows), matrix, Reads { table: &windows.reads, channels }, input, output, epilogue);
}

/// `gradient_input = epilogue(W^T * gradient)`.
pub(super) fn transposed(
    (isa, windows): (Isa, &Windows),
    values: &[f32],
    gradient: &Tiles,
    gradient_input: &mut Tiles,
    epilogue: Epilogue<'_>,
) {
    let geometry = windows.geometry;
    let (channels, filters, offsets) = (geometry.input.channels, geometry.filters, geometry.offsets());
    // `[channel][offset, filter]`
    let mut turned = vec![0.0; values.len()];
    for (filter, from) in values.chunks(channels * offsets).enumerate() {
        for (at, value) in from.iter().enumerate() {
            turned[at * filters + filter] = *value;
        }
    }
    let matrix = Matrix::new(&turned, channels, offsets * filters);
    let reads = Reads { table: &windows.read_by, channels: filters };
    multiply((isa, windows), matrix, reads, gradient, gradient_input, epilogue);
}

/// Rows `rows` of the gradient of every cell, `[filter][channel, offset]`, summed over positions and tiles.
pub(super) fn weight_gradient(
    (isa, windows): (Isa, &Windows),
    (gradient, input): (&Tiles, &Tiles),
    rows: Range<usize>,
    out: &mut [f32],
    scratch: &mut Vec<f32>,
) {
    let (channels, filters) = (windows.geometry.input.channels, windows.geometry.filters);
    let (offsets, height) = (windows.geometry.offsets(), windows.geometry.cols());
    let (positions, at_once) = (windows.output().positions(), positions_at_once(height));
    sum_slices(positions, input.tiles(), out, scratch, &|tile, positions, out| {
        let mut panel = vec![Row::ZERO; height * at_once];
        let mut gradients = vec![Row::ZERO; rows.len() * at_once];
        let mut sums = vec![0.0; out.len()];
        let mut has_sums = false;
        let mut first = positions.start;
        while first < positions.end {
            let width = at_once.min(positions.end - first);
            let block = first..first + width;
            let reads = Reads { table: &windows.reads, channels };
            fill_panel(&mut panel, windows, reads, input.tile(tile), block.clone());
            for (place, position) in block.enumerate() {
                let source = &gradient.tile(tile)[position * filters..][rows.clone()];
                for (row, gradient) in source.iter().enumerate() {
                    gradients[row * width + place] = *gradient;
                }
            }
            let panel =
                Matrix::new(bytemuck::must_cast_slice(&panel[..height * width]), height, width * LANES);
            let lines = bytemuck::must_cast_slice(&gradients[..rows.len() * width]);
            let lines = Matrix::new(lines, rows.len(), width * LANES);
            product(isa, lines, panel.transposed(), &mut sums, has_sums);
            has_sums = true;
            first += width;
        }
        for (from, to) in sums.chunks(height).zip(out.chunks_mut(height)) {
            for (at, value) in to.iter_mut().enumerate() {
                *value = from[at % offsets * channels + at / offsets];
            }
        }
    });
}
