//! Which products read bf16 numbers, and how they come to them: those of row blocks of 16 by tiles ([`Isa::amx`]; the loops are in
//! `arch/amx`), of single entries and all row blocks by pairs ([`Isa::avx512_bf16`]; `arch/avx512_bf16`). All numbers that are read are bf16
//! numbers, and rows are narrowed once for all products. These are cut into pieces as in f32.

use super::arch::Isa;
use super::split::par_chunks;
use crate::sparse::Weights;
use crate::tiles::{Row16, Tiles};

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
