//! The gradient of a bias: `db[r] = sum over samples and positions of dY[r]`.
//!
//! Sixteen rows at a time have sixteen running sums each, in registers; neighbours are then added up until one is left of each, in an
//! order that is the same whatever the instruction set.

use super::arch::Isa;
use super::arch::lanes::{Arithmetic, Lanes, NONE, OnLanes, WIDTH};
use super::split::par_chunks;
use super::tree::{self, LEVELS, Leaf};
use crate::tiles::{LANES, Row, Tiles};

/// Rows that one piece of work covers, and the most biases that its sums on the stack are made for.
const ROWS: usize = 2048;
const BIASES: usize = 256;

/// The gradient of a bias: each row of `gradient` summed over the positions and the batch.
///
/// # Panics
/// If there is not a bias for each feature of a position.
pub fn bias_gradient(isa: Isa, gradient: &Tiles, out: &mut [f32]) {
    assert!(gradient.features().is_multiple_of(out.len()), "one bias per feature of a position");
    if out.is_empty() {
        return;
    }
    let (features, tiles) = (out.len(), gradient.tiles());
    let rows = tiles * gradient.features() / features;
    let levels = Leaf::AddsOnce.scratch_levels(tiles);
    assert!(levels < LEVELS, "a batch has at most {} samples", LANES << LEVELS);
    par_chunks(out, (ROWS / rows.max(1)).next_multiple_of(WIDTH).clamp(WIDTH, BIASES), &|first, out| {
        let scratch = &mut [0.0; (LEVELS - 1) * BIASES];
        tree::sum(0..tiles, Leaf::AddsOnce, out, scratch, &mut |tile, out, accumulate| {
            let (rows, is_half) = (gradient.tile(tile), gradient.is_half(tile));
            isa.on_lanes(Sums { rows, features, first, out, accumulate, is_half });
        });
    });
}

/// The sums of some rows of each position of a tile.
struct Sums<'a> {
    rows: &'a [Row],
    /// Rows of a position.
    features: usize,
    /// The first of them that is summed; `out` has a number for each.
    first: usize,
    out: &'a mut [f32],
    /// Whether they are added to what is there.
    accumulate: bool,
    /// Whether only the first half of the lanes is alive.
    is_half: bool,
}

impl OnLanes for Sums<'_> {
    #[inline(always)]
    fn run<A: Arithmetic, const BLOCK: usize>(self, arithmetic: A) {
        let Sums { rows, features, mut first, out, accumulate, is_half } = self;
        let parts = if is_half { 2 } else { 4 };
        for out in out.chunks_mut(WIDTH) {
            let mut sums = [arithmetic.load(&NONE); WIDTH];
            for position in rows.chunks_exact(features) {
                let rows = &position[first..][..out.len()];
                for at in 0..WIDTH {
                    // Beyond the last row that one once more.
                    let lanes = rows[at.min(rows.len() - 1)].0.as_chunks::<WIDTH>().0;
                    for part in 0..parts {
                        sums[at] = arithmetic.add(sums[at], arithmetic.load(&lanes[part]));
                    }
                }
            }
            let mut left = WIDTH;
            while left > 1 {
                left /= 2;
                for at in 0..left {
                    sums[at] = arithmetic.add_pairs(sums[2 * at], sums[2 * at + 1]);
                }
            }
            let mut found: Lanes = NONE;
            arithmetic.store(sums[0], &mut found);
            for at in 0..out.len() {
                out[at] = if accumulate { out[at] + found[at] } else { found[at] };
            }
            first += out.len();
        }
    }
}
