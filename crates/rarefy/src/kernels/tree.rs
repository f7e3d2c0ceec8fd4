//! Sums over tiles in a fixed binary tree: `((t0 + t1) + (t2 + t3)) + ((t4 + t5) + ...)`. The split is at the largest
//! power of two below the count, so that workers which own aligned runs of tiles add up to the same bits.

use std::ops::Range;

/// What a leaf does that is to add a tile's part to what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaf {
    /// It adds the part's sum. Then a tile needs no buffer of its own.
    AddsOnce,
    /// It adds a number after the other, which is another sum than the tree's: each tile is written, and then added.
    AddsEach,
}

impl Leaf {
    /// That of a sum over so many positions of each tile, a product of one position being added once.
    pub(super) fn of_positions(positions: usize) -> Leaf {
        if positions == 1 { Leaf::AddsOnce } else { Leaf::AddsEach }
    }

    /// Buffers of the output's length that [`sum`] needs for `tiles` tiles, beside the output.
    pub(super) fn scratch_levels(self, tiles: usize) -> usize {
        let levels = tiles.next_power_of_two().trailing_zeros() as usize;
        levels.saturating_sub(usize::from(self == Leaf::AddsOnce))
    }
}

/// The most [`Leaf::scratch_levels`] that there is room for.
pub(super) const LEVELS: usize = 13;

/// Writes the tree sum of `leaf` over `tiles` to `out`. `leaf(tile, out, accumulate)` writes or adds one tile's part, as `kind`
/// says; `scratch` holds [`Leaf::scratch_levels`] times the output's length.
pub(super) fn sum(
    tiles: Range<usize>,
    kind: Leaf,
    out: &mut [f32],
    scratch: &mut [f32],
    leaf: &mut dyn FnMut(usize, &mut [f32], bool),
) {
    match tiles.len() {
        0 => out.fill(0.0),
        1 => leaf(tiles.start, out, false),
        count => {
            let middle = tiles.start + count.next_power_of_two() / 2;
            sum(tiles.start..middle, kind, out, scratch, leaf);
            if kind == Leaf::AddsOnce && middle + 1 == tiles.end {
                return leaf(middle, out, true);
            }
            let (right, rest) = scratch.split_at_mut(out.len());
            sum(middle..tiles.end, kind, right, rest, leaf);
            for (out, right) in out.iter_mut().zip(right) {
                *out += *right;
            }
        }
    }
}

/// The sum of `of` over tiles, in the same tree.
pub(super) fn sum_of(tiles: Range<usize>, of: &impl Fn(usize) -> f32) -> f32 {
    if tiles.is_empty() { 0.0 } else { join_in_tree(tiles, of, &|a, b| a + b) }
}

/// What `of` gives for each item, joined in the same tree.
///
/// # Panics
/// If there is no item.
pub fn join_in_tree<T>(items: Range<usize>, of: &impl Fn(usize) -> T, join: &impl Fn(T, T) -> T) -> T {
    match items.len() {
        0 => panic!("something to join"),
        1 => of(items.start),
        count => {
            let middle = items.start + count.next_power_of_two() / 2;
            join(join_in_tree(items.start..middle, of, join), join_in_tree(middle..items.end, of, join))
        }
    }
}

/// The sum over the lanes of a row, or a part of one: sixteen running sums, then half and half, in the same order whatever the instruction
/// set.
#[inline(always)]
pub fn sum_lanes<const N: usize>(row: &[f32; N]) -> f32 {
    let mut sums = [0.0f32; 16];
    for block in row.as_chunks::<16>().0 {
        for (sum, value) in sums.iter_mut().zip(block) {
            *sum += value;
        }
    }
    halves(sums)
}

/// The sum of sixteen numbers, half and half, so that the order is the same whatever the instruction set.
#[inline(always)]
fn halves(mut sums: [f32; 16]) -> f32 {
    for width in [8, 4, 2, 1] {
        for lane in 0..width {
            sums[lane] += sums[lane + width];
        }
    }
    sums[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_binary_and_aligned() {
        let tiles = [1e8f32, 1.0, -1e8, 3.0, 5.0, 7.0, 11.0];
        for count in 1..=tiles.len() {
            let mut out = [0.0];
            let t = |i: usize| if i < count { tiles[i] } else { 0.0 };
            let expected = ((t(0) + t(1)) + (t(2) + t(3))) + ((t(4) + t(5)) + (t(6) + t(7)));
            for kind in [Leaf::AddsOnce, Leaf::AddsEach] {
                let mut scratch = vec![0.0; kind.scratch_levels(count)];
                sum(0..count, kind, &mut out, &mut scratch, &mut |tile, out, accumulate| {
                    assert!(!accumulate || kind == Leaf::AddsOnce);
                    out[0] = if accumulate { out[0] + tiles[tile] } else { tiles[tile] };
                });
                assert_eq!(out[0], expected, "{count} tiles, {kind:?}");
            }
            assert_eq!(sum_of(0..count, &|tile| tiles[tile]), expected, "{count} tiles");
        }
    }
}
