//! Which connections exist, as compressed rows with torch's names.
//!
//! ```text
//!      0 1 2 3
//! 0  [ . x . x ]   crow_indices  0 2 2 3
//! 1  [ . . . . ]   col_indices   1 3 0        sorted and unique within a row
//! 2  [ x . . . ]
//! ```
//!
//! A position is an index into `col_indices`; values, gradients and optimizer state are arrays of one number per
//! position. The transpose lists the same connections by column; it is built at the first backward pass that needs it.
//! Which position a connection has there is found by going through the rows in order and counting for each column, so
//! that a large matrix keeps no number a connection for it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::OnceLock;

use crate::random::Stream;

/// Connections of a matrix up to which a backward pass keeps the place of each in row order: 16 MiB at most, for steps that are
/// 4 to 17 % faster at widths of 1024 and 4096. Beyond, places are counted anew in each pass and cost no memory.
pub(crate) const KEPT_PLACES: usize = 1 << 22;

/// Compressed rows (or compressed columns): entry `k` of line `r` for
/// `offsets[r] <= k < offsets[r + 1]` stands at `indices[k]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    width: usize,
    offsets: Vec<u32>,
    indices: Vec<u32>,
}

impl Index {
    /// One offset per line and the total at the end.
    pub fn offsets(&self) -> &[u32] {
        &self.offsets
    }

    /// Where each entry stands within its line.
    pub fn indices(&self) -> &[u32] {
        &self.indices
    }

    /// How long a line is: its entries stand below.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Number of lines.
    pub fn lines(&self) -> usize {
        self.offsets.len() - 1
    }

    /// The entries of one line.
    pub fn line(&self, line: usize) -> std::ops::Range<usize> {
        self.offsets[line] as usize..self.offsets[line + 1] as usize
    }
}

/// The connections of a `rows x cols` weight matrix: at most `u32::MAX` of them.
///
/// ```
/// use rarefy::sparse::Pattern;
///
/// // [ . x . x ]
/// // [ x . . . ]
/// let pattern = Pattern::new(2, 4, vec![0, 2, 3], vec![1, 3, 0]).unwrap();
/// assert_eq!((pattern.nnz(), pattern.cells().collect::<Vec<_>>()), (3, vec![1, 3, 4]));
/// assert!(Pattern::new(2, 4, vec![0, 2, 3], vec![3, 1, 0]).is_err());
/// ```
#[derive(Debug, Clone)]
pub struct Pattern {
    index: Index,
    transpose: OnceLock<Index>,
    positions: OnceLock<Vec<u32>>,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        self.index == other.index
    }
}

impl Pattern {
    /// A pattern from parts that may come from a file; the only place where the invariants are checked.
    ///
    /// # Errors
    /// The broken invariant, in words.
    pub fn new(
        rows: usize,
        cols: usize,
        crow_indices: Vec<u32>,
        col_indices: Vec<u32>,
    ) -> Result<Pattern, String> {
        if crow_indices.len().checked_sub(1) != Some(rows) {
            return Err(format!("crow_indices has {} entries for {rows} rows", crow_indices.len()));
        }
        if crow_indices[0] != 0 || crow_indices[rows] as usize != col_indices.len() {
            return Err(format!(
                "crow_indices runs from {} to {}, not from 0 to {} nonzeros",
                crow_indices[0],
                crow_indices[rows],
                col_indices.len()
            ));
        }
        for (row, pair) in crow_indices.windows(2).enumerate() {
            if pair[0] > pair[1] {
                return Err(format!("crow_indices falls at row {row}"));
            }
            // It may rise beyond the end here and fall further on.
            let Some(line) = col_indices.get(pair[0] as usize..pair[1] as usize) else {
                return Err(format!("row {row} ends at {} of {} nonzeros", pair[1], col_indices.len()));
            };
            if line.windows(2).any(|pair| pair[0] >= pair[1]) {
                return Err(format!("col_indices of row {row} are not sorted and unique"));
            }
            if line.last().is_some_and(|&col| col as usize >= cols) {
                return Err(format!("row {row} has a column index beyond its {cols} columns"));
            }
        }
        Ok(Pattern::trusted(cols, crow_indices, col_indices))
    }

    /// A pattern from parts that are right by construction.
    fn trusted(cols: usize, crow_indices: Vec<u32>, col_indices: Vec<u32>) -> Pattern {
        Pattern {
            index: Index { width: cols, offsets: crow_indices, indices: col_indices },
            transpose: OnceLock::new(),
            positions: OnceLock::new(),
        }
    }

    /// No connection.
    pub fn empty(rows: usize, cols: usize) -> Pattern {
        Pattern::trusted(cols, vec![0; rows + 1], Vec::new())
    }

    /// A pattern from cells `row * cols + col`, sorted and unique.
    ///
    /// # Panics
    /// If there are more than `u32::MAX` cells or one lies outside the matrix.
    pub fn from_cells(rows: usize, cols: usize, cells: impl ExactSizeIterator<Item = usize>) -> Pattern {
        let nnz = u32::try_from(cells.len()).expect("a layer keeps at most 2^32 - 1 connections");
        let mut crow_indices = vec![0u32; rows + 1];
        let mut col_indices = Vec::with_capacity(nnz as usize);
        let mut last = None;
        for cell in cells {
            assert!(last.is_none_or(|last| last < cell), "cells must be sorted and unique");
            last = Some(cell);
            crow_indices[cell / cols + 1] += 1;
            col_indices.push((cell % cols) as u32);
        }
        for row in 0..rows {
            crow_indices[row + 1] += crow_indices[row];
        }
        Pattern::trusted(cols, crow_indices, col_indices)
    }

    /// `nnz` connections, each set of that size equally likely.
    ///
    /// # Panics
    /// If the matrix has fewer cells.
    pub fn random(rows: usize, cols: usize, nnz: usize, stream: &mut Stream) -> Pattern {
        Pattern::from_cells(rows, cols, stream.choose(rows * cols, nnz).into_iter())
    }

    /// `nnz` connections spread evenly over the rows: the fan-ins, in random places, differ by at most one, and the
    /// columns of a row are any set of that size, each equally likely.
    ///
    /// # Panics
    /// If the matrix has fewer cells.
    pub fn constant_fan_in(rows: usize, cols: usize, nnz: usize, stream: &mut Stream) -> Pattern {
        let mut with_one_more = stream.choose(rows, nnz % rows.max(1)).into_iter().peekable();
        let mut cells = Vec::with_capacity(nnz);
        for row in 0..rows {
            let fan_in = nnz / rows + usize::from(with_one_more.next_if_eq(&row).is_some());
            cells.extend(stream.choose(cols, fan_in).into_iter().map(|col| row * cols + col));
        }
        Pattern::from_cells(rows, cols, cells.into_iter())
    }

    /// The same number of connections, but at least one in each row: a row without any gets one in a random place, for a random
    /// one of the row that has most, which goes. Of equal rows the first counts.
    ///
    /// # Panics
    /// If there are fewer connections than rows.
    pub fn without_empty_rows(self, stream: &mut Stream) -> Pattern {
        assert!(self.nnz() >= self.rows(), "{} connections for {} rows", self.nnz(), self.rows());
        let (rows, cols) = (self.rows(), self.cols());
        let fan_in = |row: usize| self.index.line(row).len();
        if (0..rows).all(|row| fan_in(row) > 0) {
            return self;
        }
        let columns = |row: usize| self.index.indices[self.index.line(row)].to_vec();
        let mut lines: Vec<Vec<u32>> = (0..rows).map(columns).collect();
        // By fan-in, then the first row.
        let mut fullest: BinaryHeap<_> = (0..rows).map(|row| (fan_in(row), Reverse(row))).collect();
        for row in (0..rows).filter(|&row| fan_in(row) == 0) {
            let (count, Reverse(from)) = fullest.pop().expect("a row has more than one");
            lines[from].remove(stream.below(count));
            lines[row].push(stream.below(cols) as u32);
            fullest.push((count - 1, Reverse(from)));
        }
        let offsets = std::iter::once(0).chain(lines.iter().scan(0, |end, line| {
            *end += line.len() as u32;
            Some(*end)
        }));
        Pattern::trusted(cols, offsets.collect(), lines.concat())
    }

    /// Every connection.
    pub fn full(rows: usize, cols: usize) -> Pattern {
        Pattern::from_cells(rows, cols, 0..rows * cols)
    }

    /// The blocks of `height` rows that these connections are, a row for each line of blocks; `None` if rows of a block have other
    /// columns, or the height does not divide the rows.
    pub fn blocks(&self, height: usize) -> Option<Pattern> {
        let (rows, index) = (self.rows(), &self.index);
        let columns = |row: usize| &index.indices[index.line(row)];
        let lines = (0..rows).step_by(height);
        let is_block = |first: usize| (first + 1..first + height).all(|row| columns(row) == columns(first));
        if !rows.is_multiple_of(height) || !lines.clone().all(is_block) {
            return None;
        }
        let offsets = (0..=rows).step_by(height).map(|row| index.offsets[row] / height as u32).collect();
        Some(Pattern::trusted(self.cols(), offsets, lines.flat_map(columns).copied().collect()))
    }

    /// The connections of blocks of `height` rows, of which these are the lines.
    ///
    /// # Panics
    /// If there are more than `u32::MAX` of them.
    pub fn of_blocks(&self, height: usize) -> Pattern {
        let (rows, cols) = (height * self.rows(), self.cols());
        let cells = (0..rows).flat_map(|row| {
            let columns = &self.index.indices[self.index.line(row / height)];
            columns.iter().map(move |&col| row * cols + col as usize)
        });
        Pattern::from_cells(rows, cols, cells.collect::<Vec<_>>().into_iter())
    }

    /// Output features.
    pub fn rows(&self) -> usize {
        self.index.lines()
    }

    /// Input features.
    pub fn cols(&self) -> usize {
        self.index.width
    }

    /// Connections.
    pub fn nnz(&self) -> usize {
        self.index.indices.len()
    }

    /// Compressed rows.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// Compressed columns, `ccol_indices` and `row_indices`, built at the first call.
    pub fn transpose(&self) -> &Index {
        self.transpose.get_or_init(|| {
            let mut offsets = vec![0u32; self.cols() + 1];
            for &col in &self.index.indices {
                offsets[col as usize + 1] += 1;
            }
            for col in 0..self.cols() {
                offsets[col + 1] += offsets[col];
            }
            let mut next = offsets.clone();
            let mut indices = vec![0; self.nnz()];
            for row in 0..self.rows() {
                for &col in &self.index.indices[self.index.line(row)] {
                    let place = &mut next[col as usize];
                    indices[*place as usize] = row as u32;
                    *place += 1;
                }
            }
            Index { width: self.rows(), offsets, indices }
        })
    }

    /// For each connection in row order, its place in column order.
    pub fn column_places(&self) -> impl Iterator<Item = usize> + '_ {
        let mut next = self.transpose().offsets.clone();
        self.index.indices.iter().map(move |&col| {
            next[col as usize] += 1;
            next[col as usize] as usize - 1
        })
    }

    /// For each connection in column order, its place in row order; kept from the first call on.
    pub fn row_places(&self) -> &[u32] {
        self.positions.get_or_init(|| {
            let mut places = vec![0; self.nnz()];
            self.column_places().zip(0..).for_each(|(place, position)| places[place] = position);
            places
        })
    }

    /// Gives back the memory of what is built at a first call.
    pub fn forget_columns(&mut self) {
        (self.transpose, self.positions) = (OnceLock::new(), OnceLock::new());
    }

    /// The cells `row * cols + col` in row order, one per position.
    pub fn cells(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.rows()).flat_map(move |row| {
            self.index.indices[self.index.line(row)].iter().map(move |&col| row * self.cols() + col as usize)
        })
    }

    /// Bytes of the index, the transpose included once it is built.
    pub fn bytes(&self) -> usize {
        let entries = |index: &Index| index.offsets.len() + index.indices.len();
        let positions = self.positions.get().map_or(0, Vec::len);
        4 * (entries(&self.index) + self.transpose.get().map_or(0, entries) + positions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ```text
    /// [ x . x ]      rows 0 and 1 are a line of blocks of 2, rows 2 and 3 another; there are none of 4
    /// [ x . x ]
    /// [ . x . ]
    /// [ . x . ]
    /// ```
    #[test]
    fn rows_alike_are_blocks() {
        let blocks = Pattern::from_cells(2, 3, [0, 2, 4].into_iter());
        let pattern = blocks.of_blocks(2);
        assert_eq!(pattern.cells().collect::<Vec<_>>(), [0, 2, 3, 5, 7, 10]);
        assert_eq!(pattern.blocks(2), Some(blocks));
        assert_eq!(pattern.blocks(1), Some(pattern.clone()));
        assert_eq!((pattern.blocks(4), pattern.blocks(3)), (None, None));
        assert_eq!(Pattern::from_cells(2, 3, [0, 2, 3, 4].into_iter()).blocks(2), None);
        assert_eq!(Pattern::empty(4, 3).blocks(4), Some(Pattern::empty(1, 3)));
    }
    use crate::random::Purpose;

    #[test]
    fn invariants_are_checked() {
        let new = |crow: &[u32], col: &[u32]| Pattern::new(3, 4, crow.to_vec(), col.to_vec());
        assert!(new(&[0, 2, 2, 3], &[1, 3, 0]).is_ok());
        for (crow, col, problem) in [
            (&[0, 2, 3][..], &[1, 3, 0][..], "3 entries for 3 rows"),
            (&[0, 2, 2, 4], &[1, 3, 0], "not from 0 to 3"),
            (&[0, 3, 2, 3], &[1, 3, 0], "row 0"),
            (&[0, 1, 9, 3], &[1, 3, 0], "row 1 ends at 9 of 3 nonzeros"),
            (&[], &[], "0 entries for 3 rows"),
            (&[0, 2, 2, 3], &[3, 1, 0], "sorted"),
            (&[0, 2, 2, 3], &[1, 1, 0], "unique"),
            (&[0, 2, 2, 3], &[1, 4, 0], "beyond its 4 columns"),
        ] {
            let error = new(crow, col).unwrap_err();
            assert!(error.contains(problem), "{error}");
        }
    }

    #[test]
    fn empty_rows_take_from_the_fullest() {
        let mut stream = Stream::new(1, Purpose::Bench, 0, 0);
        let fan_ins = |pattern: &Pattern| -> Vec<usize> {
            (0..pattern.rows()).map(|row| pattern.index().line(row).len()).collect()
        };
        let cells = [0, 1, 2, 3, 8, 9, 10];
        let filled = Pattern::from_cells(4, 4, cells.into_iter()).without_empty_rows(&mut stream);
        assert_eq!(fan_ins(&filled), [2, 1, 3, 1]);
        let all: Vec<usize> = filled.cells().collect();
        assert!(
            all.is_sorted_by(|a, b| a < b)
                && all.iter().all(|&cell| cell / 4 % 2 == 1 || cells.contains(&cell))
        );
        // Where none is empty, nothing changes.
        assert_eq!(filled.without_empty_rows(&mut stream).cells().collect::<Vec<_>>(), all);
        let one_each = Pattern::from_cells(5, 9, 0..5).without_empty_rows(&mut stream);
        assert_eq!(fan_ins(&one_each), [1; 5]);
    }

    #[test]
    fn a_constant_fan_in_is_constant() {
        for nnz in [0, 20, 22, 35] {
            let pattern = Pattern::constant_fan_in(5, 7, nnz, &mut Stream::new(0, Purpose::Bench, 0, 0));
            assert_eq!(pattern.nnz(), nnz);
            assert!((0..5).all(|row| pattern.index().line(row).len().abs_diff(nnz / 5) <= 1));
        }
    }

    #[test]
    fn the_transpose_lists_the_same_cells() {
        let pattern = Pattern::random(7, 5, 13, &mut Stream::new(0, Purpose::Bench, 0, 0));
        assert_eq!(pattern.nnz(), 13);
        let cells: Vec<usize> = pattern.cells().collect();
        let transpose = pattern.transpose();
        for col in 0..5 {
            for entry in transpose.line(col) {
                let row = transpose.indices()[entry] as usize;
                let position = pattern.row_places()[entry] as usize;
                assert_eq!(cells[position], row * 5 + col);
                assert_eq!(pattern.column_places().nth(position), Some(entry));
            }
        }
        let again = Pattern::from_cells(7, 5, cells.into_iter());
        assert_eq!(again, pattern);
    }
}
