//! How rows of activations are cut into tiles and positions.

use std::ops::Range;

use crate::sparse::Weights;
use crate::tiles::Tiles;

/// How rows of activations are cut: so many tiles, each of so many positions. A gradient is summed over the positions of a
/// tile in order, and over tiles in a tree.
#[derive(Debug, Clone, Copy)]
pub(super) struct Panels {
    pub(super) tiles: usize,
    pub(super) positions: usize,
    /// Whether the second half of the last tile's lanes is dead.
    pub(super) ends_half: bool,
}

impl Panels {
    pub(super) fn new(of: &Tiles, positions: usize) -> Panels {
        let ends_half = of.tiles().checked_sub(1).is_some_and(|last| of.is_half(last));
        Panels { tiles: of.tiles(), positions, ends_half }
    }

    /// Whether only half of a tile's lanes are to be computed.
    pub(super) fn is_half(self, tile: usize) -> bool {
        self.ends_half && tile + 1 == self.tiles
    }

    /// The panels before those of a last tile of which only half is alive and which has several positions: those are worth
    /// computing side by side.
    pub(super) fn whole(self) -> usize {
        let is_cut = self.ends_half && self.positions > 1;
        if is_cut { (self.tiles - 1) * self.positions } else { self.count() }
    }

    /// The panels of a tile.
    pub(super) fn of(self, tile: usize) -> Range<usize> {
        tile * self.positions..(tile + 1) * self.positions
    }

    pub(super) fn count(self) -> usize {
        self.tiles * self.positions
    }
}

/// At how many positions the map is applied.
pub(super) fn positions(weights: &Weights, input: &Tiles, output: &Tiles) -> usize {
    positions_of((weights.rows(), weights.cols()), input, output)
}

pub(super) fn positions_of((rows, cols): (usize, usize), input: &Tiles, output: &Tiles) -> usize {
    let positions = match (rows, cols) {
        (0, 0) => 1,
        (_, 0) => output.features() / rows,
        _ => input.features() / cols,
    };
    assert!(
        input.features() == positions * cols
            && output.features() == positions * rows
            && input.samples() == output.samples(),
        "weights of {rows} x {cols} do not fit an input of {} features and {} samples and an output of {} and {}",
        input.features(),
        input.samples(),
        output.features(),
        output.samples()
    );
    positions
}
