//! The products of linear maps on bf16 numbers, cut into pieces for threads: of row blocks of 16 by tiles ([`Isa::amx`]; the loops are in
//! `arch/amx`), of single entries and all row blocks by pairs ([`Isa::avx512_bf16`]; `arch/avx512_bf16`). All numbers that are read are bf16
//! numbers, and rows are narrowed once for all products.

use std::ops::Range;

use super::arch::amx::{Forward, Product, Transposed};
use super::arch::blocks::Gradient;
use super::arch::{Epilogue, Isa, Lines};
use super::blocks::{self, piece_of_columns, split_lines, sum_tiles};
use super::panels::Panels;
use super::split::{par_chunks, split_tiles};
use super::{sddmm, spmm};
use crate::sparse::{Blocks, Index, Weights};
use crate::tiles::{Row, Row16, Tiles};

/// Rows that one thread narrows at least.
const ROWS: usize = 1024;

/// Whether the products of a linear layer's matrix are these.
pub(super) fn are_for(isa: Isa, weights: &Weights) -> bool {
    weights.is_compressed() && (isa.has_pairs() || isa.has_tiles_for(weights))
}

/// The rows of tiles, narrowed if no product before has had them so.
pub(super) fn narrowed(isa: Isa, tiles: &Tiles) -> &[Row16] {
    tiles.narrowed(|rows, narrowed| {
        par_chunks(narrowed, ROWS, &|start, narrowed| isa.narrow(&rows[start..][..narrowed.len()], narrowed));
    })
}

/// Computes all lines of all panels, of single entries.
pub(super) fn spmm(
    isa: Isa,
    (index, values): (&Index, &[f32]),
    input: &Tiles,
    output: &mut [Row],
    panels: Panels,
    epilogue: Epilogue<'_>,
) {
    assert_eq!(values.len(), index.indices().len(), "one value per entry");
    let input = narrowed(isa, input);
    let columns = input.len() / panels.count().max(1);
    split_tiles(0..panels.count(), output, index.lines(), &|panel, output| {
        let input = &input[panel * columns..][..columns];
        let is_half = panels.is_half(panel / panels.positions);
        let (first_row, accumulate) = (panel * index.lines(), false);
        let lines = Lines { index, values, input, epilogue, first_row, accumulate };
        spmm::split_lines(index, 0..index.lines(), output, &|range, output: &mut [Row]| {
            isa.spmm_pairs(&lines, range, output, is_half);
        });
    });
}

/// Writes the gradient of every single entry to `out`, summed over all tiles.
pub(super) fn sddmm(
    isa: Isa,
    index: &Index,
    gradient: &Tiles,
    input: &Tiles,
    panels: Panels,
    out: &mut [f32],
) {
    sddmm::sddmm(isa, index, narrowed(isa, gradient), narrowed(isa, input), panels, out);
}

/// Computes all rows of all panels, of row blocks.
pub(super) fn multiply(
    isa: Isa,
    blocks: &Blocks,
    input: &Tiles,
    output: &mut [Row],
    panels: Panels,
    epilogue: Epilogue<'_>,
) {
    let input = narrowed(isa, input);
    if isa.has_pairs() {
        return blocks::multiply(isa, blocks, input, output, panels, epilogue);
    }
    let (rows, columns) = (blocks.rows(), blocks.pattern().cols());
    split_tiles(0..panels.count(), output, rows, &|panel, output| {
        let input = &input[panel * columns..][..columns];
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
}

/// Computes the transposed product of all panels.
pub(super) fn multiply_transposed(
    isa: Isa,
    blocks: &Blocks,
    gradient: &Tiles,
    output: &mut [Row],
    panels: Panels,
    epilogue: Epilogue<'_>,
) {
    let gradient = narrowed(isa, gradient);
    if isa.has_pairs() {
        return blocks::multiply_transposed(isa, blocks, gradient, output, panels, epilogue);
    }
    let (rows, columns) = (blocks.rows(), blocks.pattern().cols());
    let piece = piece_of_columns(blocks, panels);
    split_tiles(0..panels.count(), output, columns, &|panel, output| {
        let gradient = &gradient[panel * rows..][..rows];
        par_chunks(output, piece, &|first, output| {
            output.fill(Row::ZERO);
            isa.by_tiles(Product::Transposed(Transposed { blocks, gradient, output: &mut *output, first }));
            crate::vectorize!(isa, {
                for (at, row) in (panel * columns + first..).zip(output) {
                    epilogue.end(at, &mut row.0);
                }
            });
        });
    });
}

/// Writes the gradient of every connection to `out`, summed over all tiles.
pub(super) fn weight_gradient(
    isa: Isa,
    blocks: &Blocks,
    gradient: &Tiles,
    input: &Tiles,
    panels: Panels,
    out: &mut [f32],
) {
    let (rows, columns) = (blocks.rows(), blocks.pattern().cols());
    let (gradient, input) = (narrowed(isa, gradient), narrowed(isa, input));
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
}
