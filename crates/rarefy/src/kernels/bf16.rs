//! The products on bf16 numbers, cut into pieces for threads: of row blocks of 16 by tiles ([`Isa::amx`]; the loops are in `arch/amx`), of
//! single entries and all row blocks by pairs ([`Isa::avx512_bf16`]; `arch/avx512_bf16`). All numbers that are read are bf16 numbers, and
//! rows are narrowed once for all lines.

use std::cell::Cell;
use std::ops::Range;

use super::arch::amx::{self, Forward, Product};
use super::arch::blocks::{ColumnOutputs, Gradient, Multiply, Transposed};
use super::arch::narrowed::Row16;
use super::arch::{Epilogue, Isa, Lines, Samples};
use super::blocks::{piece_of_columns, split_lines, sum_tiles};
use super::panels::Panels;
use super::sddmm::{self, Sampled};
use super::split::{par_chunks, split_tiles};
use super::spmm;
use crate::sparse::{Blocks, Index, Weights};
use crate::tiles::Row;

/// Rows that one thread narrows at least.
const ROWS: usize = 1024;

thread_local! {
    /// Narrowed rows of inputs and of gradients, kept for their memory.
    static NARROW: [Cell<Vec<Row16>>; 2] = const { [const { Cell::new(Vec::new()) }; 2] };
}

/// Whether a matrix's products are these.
pub(super) fn are_for(isa: Isa, weights: &Weights) -> bool {
    match weights {
        Weights::Dense(_) => false,
        Weights::Sparse(_) => isa.has_narrowed(1),
        Weights::Blocks(blocks) => isa.has_narrowed(blocks.height()),
    }
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

/// Computes all lines of all panels, of single entries.
pub(super) fn spmm(
    isa: Isa,
    (index, values): (&Index, &[f32]),
    input: &[Row],
    output: &mut [Row],
    panels: Panels,
    epilogue: Epilogue<'_>,
) {
    assert_eq!(values.len(), index.indices().len(), "one value per entry");
    let columns = input.len() / panels.count().max(1);
    split_tiles(0..panels.count(), output, index.lines(), &|panel, output| {
        let is_half = panels.is_half(panel / panels.positions);
        with_narrow(isa, &input[panel * columns..][..columns], 0, |input| {
            let (first_row, accumulate) = (panel * index.lines(), false);
            let lines = Lines { index, values, input, epilogue, first_row, accumulate };
            spmm::split_lines(index, 0..index.lines(), output, &|range, output: &mut [Row]| {
                isa.spmm_pairs(&lines, range, output, is_half);
            });
        });
    });
}

impl Sampled for Row16 {
    fn sddmm<const N: usize>(
        isa: Isa,
        samples: &Samples<'_, N, Row16>,
        entries: Range<usize>,
        out: &mut [f32],
        accumulate: bool,
        is_half: bool,
    ) {
        isa.sddmm_pairs(samples, entries, out, accumulate, is_half);
    }
}

/// Writes the gradient of every single entry to `out`, summed over all tiles.
pub(super) fn sddmm(
    isa: Isa,
    index: &Index,
    gradient: &[Row],
    input: &[Row],
    panels: Panels,
    out: &mut [f32],
) {
    with_narrow(isa, gradient, 0, |narrow| {
        let gradient = &narrow[..gradient.len()];
        with_narrow(isa, input, 1, |narrow| {
            sddmm::sddmm(isa, index, gradient, &narrow[..input.len()], panels, out);
        });
    });
}

/// Computes all rows of all panels, of row blocks.
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
        let is_half = panels.is_half(panel / panels.positions);
        with_narrow(isa, &input[panel * columns..][..columns], 0, |input| {
            let product = |lines: Range<usize>, output: &mut [Row]| {
                if !isa.has_tiles() {
                    let (input, first_row, accumulate) = (&input[..columns], panel * rows, false);
                    isa.multiply_pairs(Multiply {
                        blocks,
                        lines,
                        input,
                        output,
                        epilogue,
                        first_row,
                        accumulate,
                        is_half,
                    });
                    return;
                }
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
        let is_half = panels.is_half(panel / panels.positions);
        with_narrow(isa, &gradient[panel * rows..][..rows], 0, |gradient| {
            let gradient = &gradient[..rows];
            par_chunks(output, piece, &|first, output| {
                output.fill(Row::ZERO);
                if isa.has_tiles() {
                    let output = &mut *output;
                    isa.by_tiles(Product::Transposed(amx::Transposed { blocks, gradient, output, first }));
                } else {
                    let lines = 0..blocks.pattern().rows();
                    let output = ColumnOutputs::new(&mut *output, first, columns);
                    isa.transposed_pairs(Transposed { blocks, lines, gradient, output, is_half });
                }
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
                let product = Gradient {
                    blocks,
                    range,
                    gradient: &gradient[panel * rows..][..rows],
                    input: &input[panel * columns..][..columns],
                    out,
                    accumulate,
                    is_half: panels.is_half(panel / panels.positions),
                };
                match isa.has_tiles() {
                    true => isa.by_tiles(Product::Gradient(product)),
                    false => isa.gradient_pairs(product),
                }
            });
        });
    });
}
