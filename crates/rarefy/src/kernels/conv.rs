//! Convolution on compressed weights `[filters x (channels of a group, offsets)]`, through the table of [`Windows`]:
//!
//! | operation | formula |
//! |---|---|
//! | forward | `Y[q, o] = epilogue(sum over stored (o, c, k) of W[o, c, k] X[reads(q, k), c])` |
//! | input gradient | `dX[p, c] = epilogue(sum over stored (o, c, k) of W[o, c, k] dY[read_by(p, k), o])` |
//! | weight gradient | `dW[o, c, k] = sum over q and samples of dY[q, o] X[reads(q, k), c]` |
//!
//! A block of a few neighbouring positions is computed at a time: its sums stay in registers, each entry costs one broadcast
//! and a multiply-add per register, and the rows that the block reads, a few runs of consecutive ones, stay in the L2 cache
//! while all filters go over them.
//!
//! A weight gradient is summed over slices of the positions, each in order, and the slices in order; over tiles in a tree.

use std::ops::Range;

use super::arch::{BLOCK, Bases, Entries, Isa, Window};
use super::split::{par_chunks, split_tiles};
use super::tree;
use super::windows::{MAX_OFFSETS, OUTSIDE, Windows};
use crate::sparse::Index;
use crate::tiles::{Row, Tiles};

/// Blocks that one piece of work covers.
const BLOCKS: usize = 4;

/// Slices of positions that a weight gradient is summed in, so that threads share a tile.
const SLICES: usize = 4;

/// Positions below which a slice is not worth its sums.
const SLICE: usize = 16;

/// Calls `work` with the rows that a block of positions reads: `table` is `[position][offset]`, `channels` rows stand at
/// each position of `rows`. Positions beyond `count` read zeros.
fn with_bases<R>(
    windows: &Windows,
    table: &[u32],
    rows: &[Row],
    channels: usize,
    positions: Range<usize>,
    work: impl FnOnce(Bases<'_>) -> R,
) -> R {
    fn fill<'a>(
        bases: &mut [[&'a [Row]; BLOCK]],
        windows: &'a Windows,
        table: &[u32],
        rows: &'a [Row],
        channels: usize,
        positions: Range<usize>,
    ) {
        let offsets = bases.len();
        for (offset, bases) in bases.iter_mut().enumerate() {
            for (base, position) in bases.iter_mut().zip(positions.clone()) {
                *base = match table[position * offsets + offset] {
                    OUTSIDE => &windows.zeros[..channels],
                    at => &rows[at as usize * channels..][..channels],
                };
            }
        }
    }
    let nothing = [&windows.zeros[..channels]; BLOCK];
    let offsets = windows.geometry.offsets();
    if offsets <= 32 {
        let mut bases = [nothing; 32];
        fill(&mut bases[..offsets], windows, table, rows, channels, positions);
        work(Bases::new(&bases[..offsets], channels))
    } else {
        let mut bases = [nothing; MAX_OFFSETS];
        fill(&mut bases[..offsets], windows, table, rows, channels, positions);
        work(Bases::new(&bases[..offsets], channels))
    }
}

/// `output = epilogue(W * input)`.
pub(super) fn forward(isa: Isa, entries: &Entries<'_>, input: &Tiles, output: &mut Tiles) {
    let windows = entries.windows;
    let (channels, filters) = (windows.geometry.input.channels, windows.geometry.filters);
    let (tiles, per_tile) = (input.tiles(), output.features());
    split_tiles(0..tiles, output.rows_mut(), per_tile, &|tile, output| {
        par_chunks(output, BLOCKS * BLOCK * filters, &|start, output| {
            for (block, output) in output.chunks_mut(BLOCK * filters).enumerate() {
                let first = start / filters + block * BLOCK;
                let positions = first..first + output.len() / filters;
                let first_row = tile * per_tile + first * filters;
                with_bases(windows, &windows.reads, input.tile(tile), channels, positions, |bases| {
                    isa.convolve(entries, bases, first_row, output)
                });
            }
        });
    });
}

/// `gradient_input = epilogue(W^T * gradient)`; the entries are those of `W^T`.
pub(super) fn transposed(isa: Isa, entries: &Entries<'_>, gradient: &Tiles, gradient_input: &mut Tiles) {
    let windows = entries.windows;
    let (channels, filters) = (windows.geometry.input.channels, windows.geometry.filters);
    let (tiles, per_tile) = (gradient.tiles(), gradient_input.features());
    split_tiles(0..tiles, gradient_input.rows_mut(), per_tile, &|tile, output| {
        par_chunks(output, BLOCKS * BLOCK * channels, &|start, output| {
            for (block, output) in output.chunks_mut(BLOCK * channels).enumerate() {
                let first = start / channels + block * BLOCK;
                let positions = first..first + output.len() / channels;
                let first_row = tile * per_tile + first * channels;
                with_bases(windows, &windows.read_by, gradient.tile(tile), filters, positions, |bases| {
                    isa.convolve_transposed(entries, bases, first_row, output)
                });
            }
        });
    });
}

impl Windows {
    /// Sums over all gradients of the weights that are kept for each tile, until they are added up; none where the product is a linear
    /// map's.
    pub fn sums(&self) -> usize {
        if self.is_pointwise() { 0 } else { slices(self.output().positions()) }
    }
}

/// Into how many slices the positions of a tile are cut: by the shape alone.
fn slices(positions: usize) -> usize {
    positions.div_ceil(SLICE).clamp(1, SLICES)
}

/// The gradient of every entry of `index`, summed over positions and tiles, to `out`. `scratch` grows to what the slices
/// need.
pub(super) fn weight_gradient(
    (isa, windows): (Isa, &Windows),
    index: &Index,
    (gradient, input): (&Tiles, &Tiles),
    out: &mut [f32],
    scratch: &mut Vec<f32>,
) {
    let positions = windows.output().positions();
    sum_slices(positions, input.tiles(), out, scratch, &|tile, positions, out| {
        out.fill(0.0);
        slice_gradient((isa, windows), index, (gradient.tile(tile), input.tile(tile)), positions, out);
    });
}

/// Adds up the part of some positions of a tile.
type OfSlice<'a> = dyn Fn(usize, Range<usize>, &mut [f32]) + Sync + 'a;

/// Sums `part(tile, positions, out)` over slices of the positions in order, and over tiles in a tree.
pub(super) fn sum_slices(
    positions: usize,
    tiles: usize,
    out: &mut [f32],
    scratch: &mut Vec<f32>,
    part: &OfSlice<'_>,
) {
    let (slices, length) = (slices(positions), out.len());
    if length == 0 || tiles == 0 {
        return out.fill(0.0);
    }
    scratch.resize(tiles * slices * length, 0.0);
    // Slices begin at whole blocks.
    let size = positions.div_ceil(slices).next_multiple_of(BLOCK);
    par_chunks(scratch, length, &|start, out| {
        let piece = start / length;
        let (tile, slice) = (piece / slices, piece % slices);
        let range = (slice * size).min(positions)..((slice + 1) * size).min(positions);
        part(tile, range, out);
    });
    let scratch = &*scratch;
    par_chunks(out, 4096, &|start, out| {
        let of_tile = |tile: usize, at: usize| -> f32 {
            (0..slices).map(|slice| scratch[(tile * slices + slice) * length + start + at]).sum()
        };
        for (at, out) in out.iter_mut().enumerate() {
            *out = tree::sum_of(0..tiles, &|tile| of_tile(tile, at));
        }
    });
}

/// Adds what some positions of a tile give.
fn slice_gradient(
    (isa, windows): (Isa, &Windows),
    index: &Index,
    (gradient, input): (&[Row], &[Row]),
    positions: Range<usize>,
    out: &mut [f32],
) {
    let (channels, filters) = (windows.geometry.input.channels, windows.geometry.filters);
    for first in positions.clone().step_by(BLOCK) {
        let block = first..(first + BLOCK).min(positions.end);
        let gradients = std::array::from_fn(|place| {
            let is_there = first + place < positions.end;
            if is_there {
                &gradient[(first + place) * filters..][..filters]
            } else {
                &windows.zeros[..filters]
            }
        });
        with_bases(windows, &windows.reads, input, channels, block, |bases| {
            let window = Window { index, windows, bases, gradients };
            isa.convolve_gradient(&window, out)
        });
    }
}
