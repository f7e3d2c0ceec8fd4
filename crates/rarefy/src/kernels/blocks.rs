//! The products of a matrix stored in row blocks, cut into pieces for threads; the loops are in `arch/blocks`.
//!
//! Speed comes from what a block's rows share: an input that is read, a row of sums that is read and written. The product takes
//! twice as much of the FMA peak as one of single entries, its transpose and the weight gradient up to three times as much
//! (benchmarks/RECORD.md).

use std::ops::Range;

use super::arch::blocks::{ColumnOutputs, Gradient, Multiply, Transposed};
use super::arch::operand::Operand;
use super::arch::{Epilogue, Isa};
use super::panels::Panels;
use super::split::split_tiles;
use super::tree::{self, LEVELS, Leaf};
use crate::sparse::Blocks;
use crate::tiles::Row;

/// Blocks times their height below which a piece of work is not split between threads: some five microseconds.
const GRAIN: usize = 16_384;

/// Slots that one piece of a weight gradient covers, and that its partial sums on the stack are made for; fewer where a batch has many
/// tiles, whose tree is higher.
const CHUNK: usize = 8192;
const SMALL_CHUNK: usize = 1024;

/// Computes all rows of all panels.
pub(super) fn multiply<R: Operand>(
    isa: Isa,
    blocks: &Blocks,
    input: &[R],
    output: &mut [Row],
    panels: Panels,
    epilogue: Epilogue<'_>,
) {
    let (rows, columns) = (blocks.rows(), blocks.pattern().cols());
    split_tiles(0..panels.count(), output, rows, &|panel, output| {
        let input = &input[panel * columns..][..columns];
        let is_half = panels.is_half(panel / panels.positions);
        let product = |lines: Range<usize>, output: &mut [Row]| {
            let first_row = panel * rows;
            let accumulate = false;
            let product = Multiply { blocks, lines, input, output, epilogue, first_row, accumulate, is_half };
            R::multiply(isa, product);
        };
        split_lines(blocks, 0..blocks.pattern().rows(), output, &product);
    });
}

/// Halves a range of lines by their blocks until a piece is small.
fn split_lines(
    blocks: &Blocks,
    lines: Range<usize>,
    output: &mut [Row],
    work: &(dyn Fn(Range<usize>, &mut [Row]) + Sync),
) {
    let offsets = blocks.pattern().index().offsets();
    let (start, end) = (offsets[lines.start], offsets[lines.end]);
    if (end - start) as usize * blocks.height() <= GRAIN || lines.len() <= 1 {
        return work(lines, output);
    }
    let half = start + (end - start) / 2;
    let middle = lines.start + offsets[lines.clone()].partition_point(|&offset| offset < half);
    let middle = middle.clamp(lines.start + 1, lines.end - 1);
    let (left, right) = output.split_at_mut((middle - lines.start) * blocks.height());
    rayon::join(
        || split_lines(blocks, lines.start..middle, left, work),
        || split_lines(blocks, middle..lines.end, right, work),
    );
}

/// Computes the transposed product of all panels. Where there are fewer panels than threads each is cut by columns, which changes no
/// bit: a column's sums are added in the order of the lines.
pub(super) fn multiply_transposed<R: Operand>(
    isa: Isa,
    blocks: &Blocks,
    gradient: &[R],
    output: &mut [Row],
    panels: Panels,
    epilogue: Epilogue<'_>,
) {
    let (rows, columns) = (blocks.rows(), blocks.pattern().cols());
    let piece = piece_of_columns(blocks, panels);
    split_tiles(0..panels.count(), output, columns, &|panel, output| {
        let gradient = &gradient[panel * rows..][..rows];
        let is_half = panels.is_half(panel / panels.positions);
        super::par_chunks(output, piece, &|start, output| {
            output.fill(Row::ZERO);
            let lines = 0..blocks.pattern().rows();
            let sums = ColumnOutputs::new(&mut *output, start, columns);
            R::transposed(isa, Transposed { blocks, lines, gradient, output: sums, is_half });
            for (at, row) in (panel * columns + start..).zip(output) {
                isa.end(&epilogue, at, &mut row.0);
            }
        });
    });
}

/// Columns that one piece of a transposed product covers.
fn piece_of_columns(blocks: &Blocks, panels: Panels) -> usize {
    let small = blocks.values().len() <= GRAIN;
    let pieces = if small { 1 } else { rayon::current_num_threads().div_ceil(panels.count().max(1)) };
    blocks.pattern().cols().div_ceil(pieces).max(1)
}

/// Writes the gradient of every connection to `out`, summed over all tiles.
pub(super) fn weight_gradient<R: Operand>(
    isa: Isa,
    blocks: &Blocks,
    gradient: &[R],
    input: &[R],
    panels: Panels,
    out: &mut [f32],
) {
    let (rows, columns) = (blocks.rows(), blocks.pattern().cols());
    sum_tiles(blocks, panels, out, &|range: Range<usize>, panel, out: &mut [f32], accumulate| {
        let gradient = Gradient {
            blocks,
            range,
            gradient: &gradient[panel * rows..][..rows],
            input: &input[panel * columns..][..columns],
            out,
            accumulate,
            is_half: panels.is_half(panel / panels.positions),
        };
        R::gradient(isa, gradient);
    });
}

/// Writes a panel's part of the gradients of some blocks, or adds it.
type OfPanel<'a> = dyn Fn(Range<usize>, usize, &mut [f32], bool) + Sync + 'a;

/// Sums gradients over all tiles: `leaf(blocks, panel, out, accumulate)` writes a panel's part of those of some blocks, or adds it.
fn sum_tiles(blocks: &Blocks, panels: Panels, out: &mut [f32], leaf: &OfPanel<'_>) {
    assert_eq!(out.len(), blocks.values().len(), "one gradient per slot");
    let levels = Leaf::of_positions(panels.positions).scratch_levels(panels.tiles);
    assert!(levels <= LEVELS, "a batch has at most {} samples", crate::tiles::LANES << LEVELS);
    let chunk = if levels <= 2 { CHUNK } else { SMALL_CHUNK };
    let sums = Sums { height: blocks.height(), panels, leaf };
    sums.split(0..blocks.pattern().nnz(), out, chunk / blocks.height());
}

/// A weight gradient being added up.
struct Sums<'a> {
    height: usize,
    panels: Panels,
    leaf: &'a OfPanel<'a>,
}

impl Sums<'_> {
    /// Cuts a range of blocks into pieces of `size`, the last perhaps smaller. `out` has the slots of the range.
    fn split(&self, range: Range<usize>, out: &mut [f32], size: usize) {
        if range.len() <= size {
            return self.add(range, out);
        }
        let middle = range.start + range.len().div_ceil(size).div_ceil(2) * size;
        let (left, right) = out.split_at_mut((middle - range.start) * self.height);
        rayon::join(
            || self.split(range.start..middle, left, size),
            || self.split(middle..range.end, right, size),
        );
    }

    fn add(&self, range: Range<usize>, out: &mut [f32]) {
        let panels = self.panels;
        let mut leaf = |tile: usize, out: &mut [f32], accumulate: bool| {
            for panel in panels.of(tile) {
                let accumulate = accumulate || panel > panels.of(tile).start;
                (self.leaf)(range.clone(), panel, &mut *out, accumulate);
            }
        };
        let (tiles, kind) = (0..panels.tiles, Leaf::of_positions(panels.positions));
        match kind.scratch_levels(panels.tiles) {
            0 => tree::sum(tiles, kind, out, &mut [], &mut leaf),
            1..=2 => tree::sum(tiles, kind, out, &mut [0.0; 2 * CHUNK], &mut leaf),
            _ => tree::sum(tiles, kind, out, &mut [0.0; LEVELS * SMALL_CHUNK], &mut leaf),
        }
    }
}
