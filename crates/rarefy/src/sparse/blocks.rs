//! Compressed storage by row blocks: some consecutive outputs are connected to the same inputs (the 1xN pattern of Lin et al.
//! 2022; blocks of Elsen et al. 2020). What several outputs read is then read once for all of them.
//!
//! ```text
//! rows 0, 1   [ a . b ]      pattern of blocks   [ x . x ]      values, slot by slot   a c b d | e f
//!             [ c . d ]                          [ . x . ]
//! rows 2, 3   [ . e . ]
//!             [ . f . ]
//! ```
//! A height divides the rows, so all blocks of a matrix are alike: to exchange one for another changes no number of connections.

use std::iter::StepBy;
use std::ops::Range;

use super::Pattern;

/// Heights that blocks may have, besides 1.
pub const BLOCK_HEIGHTS: [usize; 4] = [2, 4, 8, 16];

/// The height of blocks in a matrix whose rows are alike in runs of `alike`, all of which no block may leave: the largest power of two
/// that divides them and is at most `most`.
///
/// # Panics
/// If `most` is 0.
pub fn block_height(most: usize, alike: usize) -> usize {
    1 << most.ilog2().min(alike.trailing_zeros())
}

/// Compressed storage by row blocks.
#[derive(Debug, Clone)]
pub struct Blocks {
    height: usize,
    /// Lines of blocks times columns.
    pattern: Pattern,
    values: Vec<f32>,
}

/// Blocks that have the same rows.
#[derive(Debug, Clone)]
pub struct BlockLine<'a> {
    /// The rows that they have.
    pub rows: Range<usize>,
    /// The column of each block.
    pub columns: &'a [u32],
    /// The slots of their values, one block's after the other's.
    pub slots: Range<usize>,
}

impl Blocks {
    /// Zeros on a pattern of blocks.
    ///
    /// # Panics
    /// If the height is none of [`BLOCK_HEIGHTS`].
    pub(super) fn zeros(height: usize, pattern: Pattern) -> Blocks {
        assert!(BLOCK_HEIGHTS.contains(&height), "blocks of {height} rows");
        let values = vec![0.0; height * pattern.nnz()];
        Blocks { height, pattern, values }
    }

    /// Output features.
    pub fn rows(&self) -> usize {
        self.pattern.rows() * self.height
    }

    /// The rows of a block.
    pub fn height(&self) -> usize {
        self.height
    }

    pub(super) fn name(&self) -> &'static str {
        match self.height {
            2 => "blocks of 2",
            4 => "blocks of 4",
            8 => "blocks of 8",
            _ => "blocks of 16",
        }
    }

    /// Which blocks exist: a row of it stands for [`Blocks::height`] rows of the matrix.
    pub fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// The values, in the order of the slots.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The values, to change.
    pub(super) fn values_mut(&mut self) -> &mut Vec<f32> {
        &mut self.values
    }

    /// The pattern, to give memory back.
    pub(super) fn pattern_mut(&mut self) -> &mut Pattern {
        &mut self.pattern
    }

    /// The blocks of a line.
    pub fn line(&self, line: usize) -> BlockLine<'_> {
        let entries = self.pattern.index().line(line);
        BlockLine {
            rows: line * self.height..(line + 1) * self.height,
            columns: &self.pattern.index().indices()[entries.clone()],
            slots: entries.start * self.height..entries.end * self.height,
        }
    }

    /// The numbers of each block in an array aligned with the slots.
    pub(super) fn numbers<'a>(&self, array: &'a [f32]) -> impl Iterator<Item = &'a [f32]> {
        array.chunks_exact(self.height)
    }

    /// `(cell, slot)` of each connection, in the order of the cells.
    pub(super) fn connections(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let cols = self.pattern.cols();
        (0..self.rows()).flat_map(move |row| {
            let columns = self.line(row / self.height).columns;
            columns.iter().map(move |&col| row * cols + col as usize).zip(self.row_slots(row))
        })
    }

    /// The slots of a row's connections.
    fn row_slots(&self, row: usize) -> StepBy<Range<usize>> {
        let BlockLine { rows, slots, .. } = self.line(row / self.height);
        (slots.start + row - rows.start..slots.end).step_by(self.height)
    }

    /// Sets values that are given in the order of the cells.
    pub(super) fn set_live_values(&mut self, mut values: &[f32]) {
        for row in 0..self.rows() {
            let slots = self.row_slots(row);
            let own = values.split_off(..slots.len()).expect("a value for each connection");
            slots.zip(own).for_each(|(slot, value)| self.values[slot] = *value);
        }
    }

    /// What an array aligned with the slots holds, in the order of the cells.
    pub(super) fn copy_live(&self, array: &[f32], mut out: &mut [f32]) {
        for row in 0..self.rows() {
            let slots = self.row_slots(row);
            let own = out.split_off_mut(..slots.len()).expect("room for each connection");
            slots.zip(own).for_each(|(slot, out)| *out = array[slot]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ```text
    /// rows 0, 1   [ 0 . 2 ]
    ///             [ 1 . 3 ]
    /// rows 2, 3   [ . 4 . ]
    ///             [ . 5 . ]
    /// ```
    #[test]
    fn slots_stand_block_by_block() {
        let blocks = Blocks::zeros(2, Pattern::from_cells(2, 3, [0, 2, 4].into_iter()));
        assert_eq!((blocks.rows(), blocks.values().len()), (4, 6));
        let connections: Vec<(usize, usize)> = blocks.connections().collect();
        assert_eq!(connections, [(0, 0), (2, 2), (3, 1), (5, 3), (7, 4), (10, 5)]);
        let last = blocks.line(1);
        assert_eq!((last.rows, last.columns, last.slots), (2..4, &[1][..], 4..6));
        let (in_order, mut out) = ([0.0, 2.0, 1.0, 3.0, 4.0, 5.0], [f32::NAN; 6]);
        let mut set = blocks.clone();
        set.set_live_values(&in_order);
        assert_eq!(set.values(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        blocks.copy_live(set.values(), &mut out);
        assert_eq!(out, in_order);
    }

    #[test]
    fn a_height_divides_what_is_alike() {
        for (most, alike, height) in
            [(8, 64, 8), (16, 24, 8), (8, 100, 4), (16, 10, 2), (4, 33, 1), (1, 64, 1), (8, 0, 8)]
        {
            assert_eq!(block_height(most, alike), height, "{most} {alike}");
        }
    }
}
