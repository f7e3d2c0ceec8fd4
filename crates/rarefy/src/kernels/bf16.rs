//! The products on bf16 numbers, cut into pieces for threads: of row blocks of 16 by tiles ([`Isa::amx`]; the loops are in `arch/amx`), of
//! single entries and all row blocks, convolutions of these too, by pairs ([`Isa::avx512_bf16`]; `arch/avx512_bf16`). All numbers that are read are bf16 numbers, and
//! rows are narrowed once for all lines.

use std::cell::Cell;
use std::ops::Range;

use super::arch::amx::{Forward, Product, Transposed};
use super::arch::blocks::Gradient;
use super::arch::narrowed::Row16;
use super::arch::{Epilogue, Isa, Lines};
use super::blocks::{self, piece_of_columns, split_lines, sum_tiles};
use super::conv_blocks::{self, Rows};
use super::panels::Panels;
use super::split::{par_chunks, split_tiles};
use super::windows::Windows;
use super::{sddmm, spmm};
use crate::sparse::{Blocks, Index, Weights};
use crate::tiles::{Row, Tiles};

/// Rows that one thread narrows at least.
const ROWS: usize = 1024;

thread_local! {
    /// Narrowed rows of inputs and of gradients, kept for their memory.
    static NARROW: [Cell<Vec<Row16>>; 2] = const { [const { Cell::new(Vec::new()) }; 2] };
}

/// Whether the products of a linear layer's matrix are these.
pub(super) fn are_for(isa: Isa, weights: &Weights) -> bool {
    weights.is_compressed() && (isa.has_pairs() || isa.has_tiles(weights.block_height()))
}

/// Calls `work` with narrowed rows, and one of zeros behind them.
fn with_narrow<R>(isa: Isa, rows: &[Row], place: usize, work: impl FnOnce(&[Row16]) -> R) -> R {
    with_narrow_before(isa, rows, 1, place, work)
}

/// Calls `work` with narrowed rows, and some of zeros behind them.
fn with_narrow_before<R>(
    isa: Isa,
    rows: &[Row],
    zeros: usize,
    place: usize,
    work: impl FnOnce(&[Row16]) -> R,
) -> R {
    let mut narrow = NARROW.with(|room| room[place].take());
    narrow.resize(rows.len() + zeros, Row16::ZERO);
    narrow[rows.len()..].fill(Row16::ZERO);
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
    if isa.has_pairs() {
        return with_narrow(isa, input, 0, |narrow| {
            blocks::multiply(isa, blocks, &narrow[..input.len()], output, panels, epilogue);
        });
    }
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
    if isa.has_pairs() {
        return with_narrow(isa, gradient, 0, |narrow| {
            blocks::multiply_transposed(isa, blocks, &narrow[..gradient.len()], output, panels, epilogue);
        });
    }
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
    with_narrow(isa, gradient, 0, |narrow| {
        let gradient = &narrow[..gradient.len()];
        with_narrow(isa, input, 1, |narrow| {
            let input = &narrow[..input.len()];
            if isa.has_pairs() {
                return blocks::weight_gradient(isa, blocks, gradient, input, panels, out);
            }
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

/// As [`conv_blocks::forward`].
pub(super) fn convolve(
    windows: (Isa, &Windows),
    blocks: &Blocks,
    input: &Tiles,
    output: &mut Tiles,
    epilogue: Epilogue<'_>,
) {
    with_windows(windows, input, |input| conv_blocks::forward(windows, blocks, input, output, epilogue));
}

/// As [`conv_blocks::transposed`].
pub(super) fn convolve_transposed(
    windows: (Isa, &Windows),
    blocks: &Blocks,
    gradient: &Tiles,
    gradient_input: &mut Tiles,
    epilogue: Epilogue<'_>,
) {
    with_narrow(windows.0, gradient.rows(), 0, |narrow| {
        let gradient = &narrow[..gradient.rows().len()];
        conv_blocks::transposed(windows, blocks, gradient, gradient_input, epilogue);
    });
}

/// As [`conv_blocks::weight_gradient`].
pub(super) fn convolve_gradient(
    windows: (Isa, &Windows),
    blocks: &Blocks,
    (gradient, input): (&Tiles, &Tiles),
    out: &mut [f32],
    scratch: &mut Vec<f32>,
) {
    with_narrow(windows.0, gradient.rows(), 0, |narrow| {
        let gradient = &narrow[..gradient.rows().len()];
        with_windows(windows, input, |input| {
            conv_blocks::weight_gradient(windows, blocks, (gradient, input), out, scratch);
        });
    });
}

/// Calls `work` with what windows read.
fn with_windows((isa, windows): (Isa, &Windows), input: &Tiles, work: impl FnOnce(Rows<'_, Row16>)) {
    let count = input.rows().len();
    with_narrow_before(isa, input.rows(), windows.zeros.len(), 1, |narrow| {
        let (rows, zeros) = narrow.split_at(count);
        work(Rows { rows, zeros });
    });
}
