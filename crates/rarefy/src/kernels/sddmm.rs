//! Sampled dense-dense product: the weight gradient on the pattern, `dW[r, c] = sum over samples of dY[r] X[c]`.
//!
//! Each stored weight costs one dot product of two rows of 64 samples. Adding up the lanes of one dot product at a
//! time would cost more than the product itself, so eight are transposed and added together. A group may run past the
//! end of its row: the extra columns are the next row's first, soon needed anyway, and their sums are not stored.
//! (Groups of 16 are as fast on long rows and slower below 20 entries a row; a queue across rows was 20 % slower.)

use std::ops::Range;

use super::isa::{Isa, Kind};
use super::product::Panels;
use super::{scalar, tree};
use crate::sparse::Index;
use crate::tiles::Row;

/// Entries that one piece of work covers, and that its partial sums on the stack are made for.
const CHUNK: usize = 2048;

/// The same where the input has more than [`L2_ROWS`]: each row of a tile should be read several times before the next
/// tile's rows replace it in the cache.
const WIDE_CHUNK: usize = 16384;

/// Rows that fit in a common L2 cache of 1 MiB.
const L2_ROWS: usize = 4096;

/// What the inner loops see: one tile.
pub(super) struct Samples<'a> {
    pub(super) index: &'a Index,
    /// Output gradients, a row per line.
    pub(super) gradient: &'a [Row],
    /// Inputs, a row per column.
    pub(super) input: &'a [Row],
}

/// Writes the gradient of every entry to `out`, summed over all tiles.
pub(super) fn sddmm(
    isa: Isa,
    index: &Index,
    gradient: &[Row],
    input: &[Row],
    panels: Panels,
    out: &mut [f32],
) {
    assert_eq!(out.len(), index.indices().len(), "one gradient per entry");
    let tiles = panels.tiles;
    let columns = input.len() / panels.count().max(1);
    let leaf = |entries: Range<usize>, tile: usize, out: &mut [f32], accumulate: bool| {
        let samples = |panel: usize| {
            let gradient = &gradient[panel * index.lines()..][..index.lines()];
            Samples { index, gradient, input: &input[panel * columns..][..columns] }
        };
        let (first, mut at) = (panels.of(tile).start, panels.of(tile).start);
        while at < panels.of(tile).end {
            let accumulate = accumulate || at > first;
            at += if at + PANELS <= panels.of(tile).end && has_panels(isa) {
                let samples = std::array::from_fn(|place| samples(at + place));
                run_panels(isa, &samples, entries.clone(), out, accumulate, panels.is_half(tile));
                PANELS
            } else {
                run(isa, &samples(at), entries.clone(), out, accumulate);
                1
            };
        }
    };
    let levels = tree::scratch_levels(tiles);
    let chunk = if input.len() > L2_ROWS && levels <= 2 { WIDE_CHUNK } else { CHUNK };
    super::par_chunks(out, chunk, &|start, out| {
        let positions = start..start + out.len();
        let mut leaf = |tile, out: &mut [f32], accumulate| leaf(positions.clone(), tile, out, accumulate);
        match levels {
            0 => tree::sum(0..tiles, out, &mut [], &mut leaf),
            1..=2 if chunk == CHUNK => tree::sum(0..tiles, out, &mut [0.0; 2 * CHUNK], &mut leaf),
            1..=2 => tree::sum(0..tiles, out, &mut [0.0; 2 * WIDE_CHUNK], &mut leaf),
            levels => {
                assert!(levels <= 12, "a batch has at most {} samples", (1 << 13) * crate::tiles::LANES);
                tree::sum(0..tiles, out, &mut [0.0; 12 * CHUNK], &mut leaf);
            }
        }
    });
}

fn run(isa: Isa, samples: &Samples<'_>, positions: Range<usize>, out: &mut [f32], accumulate: bool) {
    match isa.kind() {
        Kind::Scalar => scalar::sddmm(samples, positions, out, accumulate),
        // SAFETY: an `Isa` of this kind exists only where the processor has these features.
        #[cfg(target_arch = "x86_64")]
        Kind::Avx2 => unsafe { super::avx2::sddmm(samples, positions, out, accumulate) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Kind::Avx512 => unsafe { super::avx512::sddmm(samples, positions, out, accumulate) },
        #[cfg(target_arch = "aarch64")]
        Kind::Neon => super::neon::sddmm(samples, positions, out, accumulate),
    }
}

/// Panels of a tile whose products are added up before their lanes are: adding up lanes costs as much as one panel's product.
pub(super) const PANELS: usize = 4;

/// Whether an instruction set has a loop for several panels.
fn has_panels(isa: Isa) -> bool {
    match isa.kind() {
        #[cfg(target_arch = "x86_64")]
        Kind::Avx512 => true,
        _ => false,
    }
}

fn run_panels(
    isa: Isa,
    samples: &[Samples<'_>; PANELS],
    positions: Range<usize>,
    out: &mut [f32],
    accumulate: bool,
    is_half: bool,
) {
    match (isa.kind(), is_half) {
        // SAFETY: an `Isa` of this kind exists only where the processor has these features.
        #[cfg(target_arch = "x86_64")]
        (Kind::Avx512, false) => unsafe {
            super::avx512::sddmm_panels::<4>(samples, positions, out, accumulate);
        },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        (Kind::Avx512, true) => unsafe {
            super::avx512::sddmm_panels::<2>(samples, positions, out, accumulate);
        },
        _ => unreachable!("has_panels"),
    }
}

/// Calls `group(line, first entry, entries)` for each run of at most eight entries of one line within `positions`.
#[inline(always)]
pub(super) fn for_each_group(
    index: &Index,
    positions: Range<usize>,
    mut group: impl FnMut(usize, usize, usize),
) {
    let offsets = index.offsets();
    let mut line = offsets.partition_point(|&offset| offset as usize <= positions.start) - 1;
    let mut start = positions.start;
    while start < positions.end {
        let end = (offsets[line + 1] as usize).min(positions.end);
        while start < end {
            let count = (end - start).min(8);
            group(line, start, count);
            start += count;
        }
        line += 1;
    }
}
