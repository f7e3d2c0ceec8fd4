//! Sampled dense-dense product: the weight gradient on the pattern, `dW[r, c] = sum over samples of dY[r] X[c]`.
//!
//! Each stored weight costs one dot product of two rows of 64 samples. Adding up the lanes of one dot product at a
//! time would cost more than the product itself, so eight are transposed and added together. A group may run past the
//! end of its row: the extra columns are the next row's first, soon needed anyway, and their sums are not stored.
//! (Groups of 16 are as fast on long rows and slower below 20 entries a row; a queue across rows was 20 % slower.)

use std::ops::Range;

use super::arch::operand::Operand;
use super::arch::{Isa, Samples};
use super::panels::Panels;
use super::tree::{self, LEVELS, Leaf};
use crate::sparse::Index;
use crate::tiles::LANES;

/// Entries that one piece of work covers, and that its partial sums on the stack are made for.
const CHUNK: usize = 2048;

/// The same for many columns where the input has more than [`L2_ROWS`]: each row of a tile should be read several times before
/// the next tile's rows replace it in the cache.
const WIDE_CHUNK: usize = 16384;

/// Columns that rows are read several times of in any chunk.
const FEW_COLUMNS: usize = 512;

/// Rows that fit in a common L2 cache of 1 MiB.
const L2_ROWS: usize = 4096;

/// Positions whose samples are added up before the lanes are: adding lanes costs as much as two positions.
const PANELS: usize = 4;

/// Writes the gradient of every entry to `out`, summed over all tiles.
pub(super) fn sddmm<R: Operand>(
    isa: Isa,
    index: &Index,
    gradient: &[R],
    input: &[R],
    panels: Panels,
    out: &mut [f32],
) {
    assert_eq!(out.len(), index.indices().len(), "one gradient per entry");
    let tiles = panels.tiles;
    let columns = input.len() / panels.count().max(1);
    let leaf = |entries: Range<usize>, tile: usize, out: &mut [f32], accumulate: bool| {
        let gradient = |panel: usize| &gradient[panel * index.lines()..][..index.lines()];
        let input = |panel: usize| &input[panel * columns..][..columns];
        let mut accumulate = accumulate;
        let is_half = panels.is_half(tile);
        let mut panels = panels.of(tile);
        while panels.len() >= PANELS {
            let start = panels.start;
            let gradient = std::array::from_fn(|place| gradient(start + place));
            let input = std::array::from_fn(|place| input(start + place));
            let samples = Samples { index, gradient, input };
            R::sddmm::<PANELS>(isa, &samples, entries.clone(), out, accumulate, is_half);
            panels.start += PANELS;
            accumulate = true;
        }
        for panel in panels {
            let samples = Samples { index, gradient: [gradient(panel)], input: [input(panel)] };
            R::sddmm::<1>(isa, &samples, entries.clone(), out, accumulate, is_half);
            accumulate = true;
        }
    };
    let kind = Leaf::of_positions(panels.positions);
    let levels = kind.scratch_levels(tiles);
    let is_wide = input.len() > L2_ROWS && columns > FEW_COLUMNS && levels <= 2;
    let chunk = if is_wide { WIDE_CHUNK } else { CHUNK };
    super::par_chunks(out, chunk, &|start, out| {
        let positions = start..start + out.len();
        let mut leaf = |tile, out: &mut [f32], accumulate| leaf(positions.clone(), tile, out, accumulate);
        match levels {
            0 => tree::sum(0..tiles, kind, out, &mut [], &mut leaf),
            1..=2 if chunk == CHUNK => tree::sum(0..tiles, kind, out, &mut [0.0; 2 * CHUNK], &mut leaf),
            1..=2 => tree::sum(0..tiles, kind, out, &mut [0.0; 2 * WIDE_CHUNK], &mut leaf),
            levels => {
                assert!(levels <= LEVELS, "a batch has at most {} samples", LANES << LEVELS);
                tree::sum(0..tiles, kind, out, &mut [0.0; LEVELS * CHUNK], &mut leaf);
            }
        }
    });
}
