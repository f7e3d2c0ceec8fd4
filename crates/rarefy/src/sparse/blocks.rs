//! Compressed storage by row blocks: some consecutive outputs are connected to the same inputs (the 1xN pattern of Lin et al.
//! 2022; blocks of Elsen et al. 2020). What several outputs read is then read once for all of them.
//!
//! ```text
//! rows 0, 1   [ a . b ]      pattern of blocks   [ x . x ]      values, slot by slot   a c b d | e f
//!             [ c . d ]                          [ . x . ]
//! rows 2, 3   [ . e . ]
//!             [ . f . ]
//! ```
//! Where the height does not divide the rows, the last blocks are as much lower: nothing is stored but connections.

use std::ops::Range;

use super::Pattern;

/// Heights that blocks may have, besides 1.
pub const BLOCK_HEIGHTS: [usize; 4] = [2, 4, 8, 16];

/// How many blocks of `height` have as large a share of a matrix of `rows` rows as `connections` have.
pub fn blocks_for(connections: usize, rows: usize, height: usize) -> usize {
    (connections as f64 * rows.div_ceil(height) as f64 / rows.max(1) as f64).round() as usize
}

/// Compressed storage by row blocks.
#[derive(Debug, Clone)]
pub struct Blocks {
    rows: usize,
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
    /// If the height is none of [`BLOCK_HEIGHTS`], or the pattern has not a line for each `height` rows.
    pub(super) fn zeros(rows: usize, height: usize, pattern: Pattern) -> Blocks {
        assert!(BLOCK_HEIGHTS.contains(&height), "blocks of {height} rows");
        assert_eq!(pattern.rows(), rows.div_ceil(height), "lines of blocks of {height} in {rows} rows");
        let mut blocks = Blocks { rows, height, pattern, values: Vec::new() };
        blocks.values = vec![0.0; blocks.first_slot(blocks.pattern.nnz())];
        blocks
    }

    /// Output features.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The rows of a block, but for those of the last line.
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

    /// Lines whose blocks have [`Blocks::height`] rows: all, or all but the last.
    pub fn whole_lines(&self) -> usize {
        self.rows / self.height
    }

    /// The blocks of a line.
    pub fn line(&self, line: usize) -> BlockLine<'_> {
        let entries = self.pattern.index().line(line);
        let rows = line * self.height..self.rows.min((line + 1) * self.height);
        BlockLine {
            rows,
            columns: &self.pattern.index().indices()[entries.clone()],
            slots: self.first_slot(entries.start)..self.first_slot(entries.end),
        }
    }

    /// The slot of the first value of block number `block`, in the order of the pattern; of one behind the last block, the slots.
    pub fn first_slot(&self, block: usize) -> usize {
        let whole = self.pattern.index().offsets()[self.whole_lines()] as usize;
        let (of_whole, of_last) = (block.min(whole), block.saturating_sub(whole));
        of_whole * self.height + of_last * (self.rows % self.height)
    }

    /// The numbers of each block in an array aligned with the slots.
    pub(super) fn numbers<'a>(&'a self, array: &'a [f32]) -> impl Iterator<Item = &'a [f32]> {
        let lines = (0..self.pattern.rows()).map(|line| self.line(line));
        lines.flat_map(move |line| array[line.slots].chunks_exact(line.rows.len()))
    }

    /// `(cell, slot)` of each connection, in the order of the cells.
    pub(super) fn connections(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let cols = self.pattern.cols();
        (0..self.rows).flat_map(move |row| {
            let BlockLine { rows, columns, slots } = self.line(row / self.height);
            let slots = (slots.start + row - rows.start..).step_by(rows.len());
            columns.iter().map(move |&col| row * cols + col as usize).zip(slots)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ```text
    /// rows 0, 1   [ 0 . 2 ]      the last block is one row high
    ///             [ 1 . 3 ]
    /// row 2       [ . 4 5 ]
    /// ```
    #[test]
    fn slots_stand_block_by_block() {
        let pattern = Pattern::from_cells(2, 3, [0, 2, 4, 5].into_iter());
        let blocks = Blocks::zeros(3, 2, pattern);
        assert_eq!(blocks.values().len(), 6);
        let connections: Vec<(usize, usize)> = blocks.connections().collect();
        assert_eq!(connections, [(0, 0), (2, 2), (3, 1), (5, 3), (7, 4), (8, 5)]);
        let last = blocks.line(1);
        assert_eq!((last.rows, last.columns, last.slots), (2..3, &[1, 2][..], 4..6));
    }
}
