//! A weight matrix `[outputs x inputs]` in one of three storages. One layer, several storages: what computes with it
//! lives in `kernels`, and nothing else cares.
//!
//! Compressed storage holds live connections only, one by one or in blocks of rows ([`Blocks`]). Dense storage holds every cell,
//! absent ones as zero, because above [`BREAK_EVEN_DENSITY`](super::BREAK_EVEN_DENSITY) that is faster. A stored value has a slot;
//! gradients and optimizer state have the same slots.

use std::borrow::Cow;
use std::ops::Range;

use super::{Blocks, Order, Pattern, Storage};

/// Dense storage.
#[derive(Debug, Clone)]
pub struct Dense {
    rows: usize,
    cols: usize,
    values: Vec<f32>,
    order: Order,
    /// The live connections; `None` if all are.
    pattern: Option<Pattern>,
}

impl Dense {
    fn zeros(rows: usize, cols: usize) -> Dense {
        Dense { rows, cols, values: vec![0.0; rows * cols], order: Order::Rows, pattern: None }
    }
}

/// Compressed storage.
#[derive(Debug, Clone)]
pub struct Sparse {
    pattern: Pattern,
    values: Vec<f32>,
    order: Order,
}

impl Sparse {
    /// Which connections exist.
    pub fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// The values, in the order of the slots.
    pub fn values(&self) -> &[f32] {
        &self.values
    }
}

/// A weight matrix.
///
/// A stored value has a slot; gradients and optimizer state have a number for each slot, too. Who needs to know where a connection is
/// stored asks [`Weights::connections`] or [`Weights::row_slots`]. What matches on the storage is this file, the doors of `kernels`,
/// and what writes and reads model files.
///
/// ```
/// use rarefy::sparse::{Pattern, Storage, Weights};
///
/// let pattern = Pattern::new(2, 4, vec![0, 2, 3], vec![1, 3, 0]).unwrap();
/// let weights = Weights::of_live_values(pattern, Storage::Sparse, vec![0.5, -1.0, 2.0]);
/// assert_eq!((weights.nnz(), weights.density(), weights.fan_in()), (3, 0.375, vec![2, 1]));
/// ```
#[derive(Debug, Clone)]
pub enum Weights {
    /// Every cell.
    Dense(Dense),
    /// Live connections only.
    Sparse(Sparse),
    /// Live connections only, in blocks of rows.
    Blocks(Blocks),
}

impl Weights {
    /// Zeros, every connection live, in dense storage.
    pub fn dense(rows: usize, cols: usize) -> Weights {
        Weights::Dense(Dense::zeros(rows, cols))
    }

    /// Zeros on a pattern, stored as `storage` says, in row order.
    pub fn zeros(pattern: Pattern, storage: Storage) -> Weights {
        let (rows, cols) = (pattern.rows(), pattern.cols());
        if storage.is_compressed(pattern.nnz(), rows * cols) {
            let values = vec![0.0; pattern.nnz()];
            return Weights::Sparse(Sparse { pattern, values, order: Order::Rows });
        }
        let pattern = (pattern.nnz() < rows * cols).then_some(pattern);
        Weights::Dense(Dense { pattern, ..Dense::zeros(rows, cols) })
    }

    /// Weights of the given values, one for each connection in the order of the cells.
    ///
    /// # Panics
    /// If there is not a value for each connection.
    pub fn of_live_values(pattern: Pattern, storage: Storage, values: Vec<f32>) -> Weights {
        assert_eq!(values.len(), pattern.nnz(), "there must be a value for each connection");
        if storage.is_compressed(pattern.nnz(), pattern.rows() * pattern.cols()) {
            return Weights::Sparse(Sparse { pattern, values, order: Order::Rows });
        }
        let mut weights = Weights::zeros(pattern, Storage::Dense);
        weights.set_live_values(values);
        weights
    }

    /// Zeros in blocks of `height` rows: a row of `pattern` stands for as many rows of the matrix. Storage is in blocks even if every
    /// block is there.
    ///
    /// # Panics
    /// If the height is none of [`BLOCK_HEIGHTS`](super::BLOCK_HEIGHTS).
    pub fn zeros_in_blocks(height: usize, pattern: Pattern) -> Weights {
        Weights::Blocks(Blocks::zeros(height, pattern))
    }

    /// Zeros in blocks of `height` rows, or where that is 1 on a pattern of connections stored as `storage` says.
    ///
    /// # Panics
    /// As [`Weights::zeros_in_blocks`].
    pub fn zeros_by(height: usize, pattern: Pattern, storage: Storage) -> Weights {
        match height {
            1 => Weights::zeros(pattern, storage),
            _ => Weights::zeros_in_blocks(height, pattern),
        }
    }

    /// Output features.
    pub fn rows(&self) -> usize {
        match self {
            Weights::Dense(dense) => dense.rows,
            Weights::Sparse(sparse) => sparse.pattern.rows(),
            Weights::Blocks(blocks) => blocks.rows(),
        }
    }

    /// Input features.
    pub fn cols(&self) -> usize {
        match self {
            Weights::Dense(dense) => dense.cols,
            Weights::Sparse(sparse) => sparse.pattern.cols(),
            Weights::Blocks(blocks) => blocks.pattern().cols(),
        }
    }

    /// The order of the slots.
    pub fn order(&self) -> Order {
        match self {
            Weights::Dense(dense) => dense.order,
            Weights::Sparse(sparse) => sparse.order,
            Weights::Blocks(_) => Order::Rows,
        }
    }

    /// Puts the values into another order; blocks stay in theirs. Arrays aligned with the slots do not follow.
    pub fn set_order(&mut self, order: Order) {
        let rows = self.in_row_order(self.values()).into_owned();
        match self {
            Weights::Dense(dense) => dense.order = order,
            Weights::Sparse(sparse) => sparse.order = order,
            Weights::Blocks(_) => return,
        }
        let values = self.from_row_order(rows);
        self.values_mut().copy_from_slice(&values);
    }

    /// An array aligned with the slots, as it would be if they stood in row order, blocks by lines of blocks: what files keep.
    pub fn in_row_order<'a>(&self, array: &'a [f32]) -> Cow<'a, [f32]> {
        match self {
            _ if self.order() == Order::Rows => array.into(),
            Weights::Dense(dense) => transposed(array, dense.cols, dense.rows).into(),
            Weights::Sparse(sparse) => sparse.pattern.column_places().map(|place| array[place]).collect(),
            Weights::Blocks(_) => unreachable!("blocks stand in row order"),
        }
    }

    /// The way back from [`Weights::in_row_order`].
    pub fn from_row_order(&self, array: Vec<f32>) -> Vec<f32> {
        match self {
            _ if self.order() == Order::Rows => array,
            Weights::Dense(dense) => transposed(&array, dense.rows, dense.cols),
            Weights::Sparse(sparse) => {
                let mut columns = vec![0.0; array.len()];
                sparse.pattern.column_places().zip(array).for_each(|(place, value)| columns[place] = value);
                columns
            }
            Weights::Blocks(_) => unreachable!("blocks stand in row order"),
        }
    }

    /// The stored values: of all cells or of the live connections, in the order of the slots.
    pub fn values(&self) -> &[f32] {
        match self {
            Weights::Dense(dense) => &dense.values,
            Weights::Sparse(sparse) => &sparse.values,
            Weights::Blocks(blocks) => blocks.values(),
        }
    }

    /// The stored values, to change. Absent connections in dense storage must stay zero.
    pub fn values_mut(&mut self) -> &mut [f32] {
        match self {
            Weights::Dense(dense) => &mut dense.values,
            Weights::Sparse(sparse) => &mut sparse.values,
            Weights::Blocks(blocks) => blocks.values_mut(),
        }
    }

    /// Exchanges the stored values for others, as a pass that computes with other values does.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn swap_values(&mut self, others: &mut Vec<f32>) {
        let values = match self {
            Weights::Dense(dense) => &mut dense.values,
            Weights::Sparse(sparse) => &mut sparse.values,
            Weights::Blocks(blocks) => blocks.values_mut(),
        };
        assert_eq!(values.len(), others.len(), "there must be a value for each slot");
        std::mem::swap(values, others);
    }

    /// The live connections, or the live blocks of them ([`Weights::block_height`]); `None` if every cell is one.
    pub fn pattern(&self) -> Option<&Pattern> {
        match self {
            Weights::Dense(dense) => dense.pattern.as_ref(),
            Weights::Sparse(sparse) => Some(&sparse.pattern),
            Weights::Blocks(blocks) => Some(blocks.pattern()),
        }
    }

    /// How many rows a row of the pattern stands for: 1 where connections are stored one by one.
    pub fn block_height(&self) -> usize {
        match self {
            Weights::Blocks(blocks) => blocks.height(),
            Weights::Dense(_) | Weights::Sparse(_) => 1,
        }
    }

    /// Live connections.
    pub fn nnz(&self) -> usize {
        match self {
            Weights::Dense(Dense { pattern: Some(pattern), .. }) => pattern.nnz(),
            _ => self.values().len(),
        }
    }

    /// Live connections over all cells.
    pub fn density(&self) -> f64 {
        self.nnz() as f64 / (self.rows() * self.cols()).max(1) as f64
    }

    /// Whether the live connections are listed; if not, every cell is one.
    pub fn has_pattern(&self) -> bool {
        self.pattern().is_some()
    }

    /// Whether only live connections are stored.
    pub fn is_compressed(&self) -> bool {
        !matches!(self, Weights::Dense(_))
    }

    /// How the values are stored: `sparse`, `dense`, or `blocks of 8`.
    pub fn storage_name(&self) -> &'static str {
        match self {
            Weights::Dense(_) => "dense",
            Weights::Sparse(_) => "sparse",
            Weights::Blocks(blocks) => blocks.name(),
        }
    }

    /// Bytes in a model file: where there is a pattern its row starts, a column for each connection or block, a value for each
    /// connection, and of blocks their height; else a value for each cell.
    pub fn file_bytes(&self) -> usize {
        4 * match self.pattern() {
            Some(pattern) => {
                let height = usize::from(self.block_height() > 1);
                pattern.rows() + 1 + pattern.nnz() + self.nnz() + height
            }
            None => self.rows() * self.cols(),
        }
    }

    /// The connections and their values in row order, stored as `storage` says; blocks stay blocks unless it says dense.
    pub fn stored_as(&self, storage: Storage) -> Weights {
        let (rows, cols) = (self.rows(), self.cols());
        if let Weights::Blocks(blocks) = self {
            if storage != Storage::Dense {
                return self.clone();
            }
            let cells: Vec<usize> = blocks.connections().map(|(cell, _)| cell).collect();
            let pattern = Pattern::from_cells(rows, cols, cells.into_iter());
            return Weights::of_live_values(pattern, storage, self.live_values());
        }
        match self.pattern() {
            None if !storage.is_compressed(rows * cols, rows * cols) => {
                let values = self.live_values();
                Weights::Dense(Dense { rows, cols, values, order: Order::Rows, pattern: None })
            }
            pattern => {
                let pattern = pattern.cloned().unwrap_or_else(|| Pattern::full(rows, cols));
                Weights::of_live_values(pattern, storage, self.live_values())
            }
        }
    }

    /// The slots of some rows.
    ///
    /// # Panics
    /// If the slots do not stand in row order, one by one.
    pub fn row_slots(&self, rows: Range<usize>) -> Range<usize> {
        assert_eq!(self.order(), Order::Rows, "slots of rows");
        match self {
            Weights::Dense(dense) => rows.start * dense.cols..rows.end * dense.cols,
            Weights::Sparse(sparse) => {
                let offsets = sparse.pattern.index().offsets();
                offsets[rows.start] as usize..offsets[rows.end] as usize
            }
            Weights::Blocks(_) => panic!("rows of blocks have no slots of their own"),
        }
    }

    /// The slots of a row, and their columns if not all are stored.
    ///
    /// # Panics
    /// If the slots do not stand in row order, one by one.
    pub fn row(&self, row: usize) -> (Range<usize>, Option<&[u32]>) {
        let slots = self.row_slots(row..row + 1);
        match self {
            Weights::Dense(_) | Weights::Blocks(_) => (slots, None),
            Weights::Sparse(sparse) => (slots.clone(), Some(&sparse.pattern.index().indices()[slots])),
        }
    }

    /// Live connections of a row.
    pub fn fan_in_of(&self, row: usize) -> usize {
        self.pattern().map_or(self.cols(), |pattern| pattern.index().line(row / self.block_height()).len())
    }

    /// Live connections of each row.
    pub fn fan_in(&self) -> Vec<usize> {
        (0..self.rows()).map(|row| self.fan_in_of(row)).collect()
    }

    /// `(cell, slot)` of each live connection, in the order of the cells, a cell being `row * cols + col`.
    pub fn connections(&self) -> Box<dyn Iterator<Item = (usize, usize)> + '_> {
        let (rows, cols) = (self.rows(), self.cols());
        let by_column = move |cell: usize| (cell, cell % cols * rows + cell / cols);
        match (self, self.pattern(), self.order()) {
            (Weights::Blocks(blocks), ..) => Box::new(blocks.connections()),
            (Weights::Sparse(_), Some(pattern), Order::Rows) => Box::new(pattern.cells().zip(0..)),
            (Weights::Sparse(_), Some(pattern), Order::Columns) => {
                Box::new(pattern.cells().zip(pattern.column_places()))
            }
            (_, Some(pattern), Order::Rows) => Box::new(pattern.cells().map(|cell| (cell, cell))),
            (_, Some(pattern), Order::Columns) => Box::new(pattern.cells().map(by_column)),
            (_, None, Order::Rows) => Box::new((0..rows * cols).map(|cell| (cell, cell))),
            (_, None, Order::Columns) => Box::new((0..rows * cols).map(by_column)),
        }
    }

    /// Values of the live connections, in the order of the cells.
    pub fn live_values(&self) -> Vec<f32> {
        self.live_in_row_order().into_owned()
    }

    /// The same, lent where they stand like that.
    pub fn live_in_row_order(&self) -> Cow<'_, [f32]> {
        match self {
            Weights::Dense(Dense { pattern: Some(_), .. }) | Weights::Blocks(_) => {
                self.connections().map(|(_, slot)| self.values()[slot]).collect()
            }
            _ => self.in_row_order(self.values()),
        }
    }

    /// Sets the values of the live connections, given in the order of the cells.
    ///
    /// # Panics
    /// If there is not a value for each.
    pub fn set_live_values(&mut self, values: Vec<f32>) {
        assert_eq!(values.len(), self.nnz(), "there must be a value for each connection");
        match self {
            Weights::Dense(Dense { pattern: Some(pattern), values: stored, order, rows, cols }) => {
                for (cell, value) in pattern.cells().zip(values) {
                    let (row, col) = (cell / *cols, cell % *cols);
                    stored[if *order == Order::Rows { cell } else { col * *rows + row }] = value;
                }
            }
            Weights::Blocks(blocks) => blocks.set_live_values(&values),
            _ => {
                let mut values = self.from_row_order(values);
                self.swap_values(&mut values);
            }
        }
    }

    /// Sets the values of the live connections to those of `values`, given in the order of the cells.
    ///
    /// # Panics
    /// If there is not a value for each.
    pub fn copy_from_live(&mut self, values: &[f32]) {
        assert_eq!(values.len(), self.nnz(), "there must be a value for each connection");
        match self {
            Weights::Blocks(blocks) => blocks.set_live_values(values),
            _ if self.is_live_array() => self.values_mut().copy_from_slice(values),
            _ => self.set_live_values(values.to_vec()),
        }
    }

    /// Writes what `array`, aligned with the stored values, holds for the live connections, in the order of the cells.
    ///
    /// # Panics
    /// If the lengths do not fit.
    pub fn copy_live(&self, array: &[f32], out: &mut [f32]) {
        assert_eq!(out.len(), self.nnz(), "there must be room for each connection");
        match self {
            Weights::Blocks(blocks) => blocks.copy_live(array, out),
            _ if self.is_live_array() => out.copy_from_slice(array),
            _ => self.connections().zip(out).for_each(|((_, slot), out)| *out = array[slot]),
        }
    }

    /// Whether arrays aligned with the stored values hold a number for each live connection, in the order of the cells.
    fn is_live_array(&self) -> bool {
        match self {
            Weights::Dense(dense) => dense.order == Order::Rows && dense.pattern.is_none(),
            Weights::Sparse(sparse) => sparse.order == Order::Rows,
            Weights::Blocks(_) => false,
        }
    }

    /// Zeroes what an array aligned with the stored values holds for absent connections.
    pub fn clear_absent(&self, array: &mut [f32]) {
        let Weights::Dense(Dense { rows, cols, order, pattern: Some(pattern), .. }) = self else { return };
        let (index, length) = match order {
            Order::Rows => (pattern.index(), *cols),
            Order::Columns => (pattern.transpose(), *rows),
        };
        // Gaps are short and of any length: copying what stays is nine times as fast as filling them.
        let mut kept = vec![0.0; length];
        for (line, array) in array.chunks_exact_mut(length.max(1)).enumerate() {
            kept.fill(0.0);
            for &live in &index.indices()[index.line(line)] {
                kept[live as usize] = array[live as usize];
            }
            array.copy_from_slice(&kept);
        }
    }

    /// Gives back the memory of what a backward pass builds when it is missing.
    pub fn forget_columns(&mut self) {
        match self {
            Weights::Dense(dense) => dense.pattern.iter_mut().for_each(Pattern::forget_columns),
            Weights::Sparse(sparse) => sparse.pattern.forget_columns(),
            Weights::Blocks(blocks) => blocks.pattern_mut().forget_columns(),
        }
    }

    /// Bytes of values and index, that by columns included once it exists.
    pub fn bytes(&self) -> usize {
        4 * self.values().len() + self.pattern().map_or(0, Pattern::bytes)
    }
}

/// Slots that a batch has to do with, where it has to do with few: ranges that do not overlap, in order, none empty.
pub type Touched = Vec<Range<usize>>;

/// A row-major matrix of `rows x cols`, column by column.
fn transposed(array: &[f32], rows: usize, cols: usize) -> Vec<f32> {
    (0..cols).flat_map(|col| (0..rows).map(move |row| array[row * cols + col])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ```text
    /// [ 1 . 2 ]      rows     1 2 3 4      or, dense,   1 . 2 . 3 4
    /// [ . 3 4 ]      columns  1 3 2 4                   1 . . 3 2 4
    /// ```
    #[test]
    fn an_order_moves_slots_and_nothing_else() {
        let pattern = Pattern::from_cells(2, 3, [0, 2, 4, 5].into_iter());
        for (storage, rows, columns) in [
            (Storage::Sparse, &[1.0, 2.0, 3.0, 4.0][..], &[1.0, 3.0, 2.0, 4.0][..]),
            (Storage::Dense, &[1.0, 0.0, 2.0, 0.0, 3.0, 4.0], &[1.0, 0.0, 0.0, 3.0, 2.0, 4.0]),
        ] {
            let mut weights = Weights::zeros(pattern.clone(), storage);
            weights.values_mut().copy_from_slice(rows);
            weights.set_order(Order::Columns);
            assert_eq!((weights.values(), weights.live_values()), (columns, vec![1.0, 2.0, 3.0, 4.0]));
            assert_eq!(&weights.in_row_order(columns)[..], rows);
            assert_eq!(weights.from_row_order(rows.to_vec()), columns);
            weights.set_order(Order::Rows);
            assert_eq!(weights.values(), rows);
        }
    }

    #[test]
    fn live_numbers_go_in_and_out_in_the_order_of_the_cells() {
        for storage in [Storage::Sparse, Storage::Dense] {
            for order in [Order::Rows, Order::Columns] {
                for cells in [vec![0, 2, 4, 5], vec![0, 1, 2, 3, 4, 5]] {
                    let mut weights =
                        Weights::zeros(Pattern::from_cells(2, 3, cells.iter().copied()), storage);
                    weights.set_order(order);
                    let values: Vec<f32> = cells.iter().map(|&cell| cell as f32 + 1.0).collect();
                    weights.copy_from_live(&values);
                    assert_eq!(weights.live_values(), values, "{storage:?}, {order:?}");
                    let mut out = vec![0.0; values.len()];
                    weights.copy_live(weights.values(), &mut out);
                    assert_eq!(out, values, "{storage:?}, {order:?}");
                }
            }
        }
    }

    #[test]
    fn clear_absent_spares_live_connections() {
        let mut weights = Weights::zeros(Pattern::from_cells(2, 3, [0, 2, 4].into_iter()), Storage::Dense);
        let mut array = [1.0; 6];
        weights.clear_absent(&mut array);
        assert_eq!(array, [1.0, 0.0, 1.0, 0.0, 1.0, 0.0]);
        weights.set_order(Order::Columns);
        array = [1.0; 6];
        weights.clear_absent(&mut array);
        assert_eq!(array, [1.0, 0.0, 0.0, 1.0, 1.0, 0.0]);
    }
}
