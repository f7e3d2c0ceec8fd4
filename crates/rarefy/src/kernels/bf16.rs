//! Products on bf16 numbers: of row blocks of 16 by tiles ([`Isa::amx`]; the loops are in `arch/amx`), of single entries and all row blocks
//! by pairs ([`Isa::avx512_bf16`]; `arch/avx512_bf16`). All numbers that are read are bf16 numbers, and rows are narrowed once for all
//! products. Those of row blocks are cut into pieces by [`blocks`](super::blocks), as in f32.

use super::arch::{Epilogue, Isa, Lines};
use super::panels::Panels;
use super::split::{par_chunks, split_tiles};
use super::{sddmm, spmm};
use crate::sparse::{Index, Weights};
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
