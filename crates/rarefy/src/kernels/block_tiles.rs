//! The products of blocks of 16 by tiles ([`Isa::amx`]), cut into pieces for threads; the loops are in `arch/amx`. All numbers that are
//! read are bf16 numbers, and rows are narrowed once for all lines.

use std::cell::Cell;
use std::ops::Range;

use super::arch::amx::{Forward, Gradient, HEIGHT, Product, Row16, Transposed};
use super::arch::{Epilogue, Isa};
use super::blocks::{piece_of_columns, split_lines, sum_tiles};
use super::panels::Panels;
use super::split::{par_chunks, split_tiles};
use crate::sparse::Blocks;
use crate::tiles::Row;

/// Rows that one thread narrows at least.
const ROWS: usize = 1024;

thread_local! {
    /// Narrowed rows of inputs and of gradients, kept for their memory.
    static NARROW: [Cell<Vec<Row16>>; 2] = const { [const { Cell::new(Vec::new()) }; 2] };
}

/// Whether a matrix's products are made by tiles.
pub(super) fn are_for(isa: Isa, blocks: &Blocks) -> bool {
    isa.has_tiles() && blocks.height() == HEIGHT
}

/// Calls `work` with narrowed rows, and one of zeros behind them.
fn with_narrow<R>(isa: Isa, rows: &[Row], place: usize, work: impl FnOnce(&[Row16]) -> R) -> R {
    let mut narrow = NARROW.with(|room| room[place].take());
    narrow.resize(rows.len() + 1, Row16::ZERO);
    narrow[rows.len()] = Row16::ZERO;
    par_chunks(&mut narrow[..rows.len()], ROWS, &|start, narrow| {
        isa.narrow(&rows[start..][..narrow.len()], narrow);
    });
    let result = work(&narrow);
    NARROW.with(|room| room[place].set(narrow));
    result
}

/// Computes all rows of all panels.
pub(super) fn multiply(
    isa: Isa,
    blocks: &Blocks,
    input: &[Row],
    output: &mut [Row],
    panels: Panels,
    epilogue: Epilogue<'_>,
) {
    let (rows, columns) = (blocks.rows(), blocks.pattern().cols());
    split_tiles(0..panels.count(), output, rows, &|panel, output| {
        with_narrow(isa, &input[panel * columns..][..columns], 0, |input| {
            let product = |lines: Range<usize>, output: &mut [Row]| {
                let first = lines.start * blocks.height();
                isa.by_tiles(Product::Forward(Forward { blocks, lines, input, output: &mut *output }));
                crate::vectorize!(isa, {
                    for (line, row) in (first..).zip(output.iter_mut()) {
                        let start = epilogue.start(line);
                        row.0.iter_mut().for_each(|sum| *sum += start);
                        epilogue.end(panel * rows + line, &mut row.0);
                    }
                });
            };
            split_lines(blocks, 0..blocks.pattern().rows(), output, &product);
        });
    });
}

/// Computes the transposed product of all panels.
pub(super) fn multiply_transposed(
    isa: Isa,
    blocks: &Blocks,
    gradient: &[Row],
    output: &mut [Row],
    panels: Panels,
    epilogue: Epilogue<'_>,
) {
    let (rows, columns) = (blocks.rows(), blocks.pattern().cols());
    let piece = piece_of_columns(blocks, panels);
    split_tiles(0..panels.count(), output, columns, &|panel, output| {
        with_narrow(isa, &gradient[panel * rows..][..rows], 0, |gradient| {
            let gradient = &gradient[..rows];
            par_chunks(output, piece, &|first, output| {
                output.fill(Row::ZERO);
                isa.by_tiles(Product::Transposed(Transposed {
                    blocks,
                    gradient,
                    output: &mut *output,
                    first,
                }));
                crate::vectorize!(isa, {
                    for (at, row) in (panel * columns + first..).zip(output) {
                        epilogue.end(at, &mut row.0);
                    }
                });
            });
        });
    });
}

/// Writes the gradient of every connection to `out`, summed over all tiles.
pub(super) fn weight_gradient(
    isa: Isa,
    blocks: &Blocks,
    gradient: &[Row],
    input: &[Row],
    panels: Panels,
    out: &mut [f32],
) {
    let (rows, columns) = (blocks.rows(), blocks.pattern().cols());
    with_narrow(isa, gradient, 0, |gradient| {
        with_narrow(isa, input, 1, |input| {
            sum_tiles(blocks, panels, out, &|range: Range<usize>, panel, out: &mut [f32], accumulate| {
                isa.by_tiles(Product::Gradient(Gradient {
                    blocks,
                    range,
                    gradient: &gradient[panel * rows..][..rows],
                    input: &input[panel * columns..][..columns],
                    out,
                    accumulate,
                    is_half: panels.is_half(panel / panels.positions),
                }));
            });
        });
    });
}
