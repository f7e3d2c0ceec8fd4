//! A weight matrix with other connections, and what it is worth block by block.

use std::borrow::Cow;

use super::rewire::NEW;
use super::{Pattern, Rewire, Storage, Weights};

impl Weights {
    /// The same weights on a new pattern, in the same order, and the map that arrays aligned with them follow. Grown
    /// connections are zero. Under [`Storage::Auto`] the storage changes too when the new density asks for it; blocks stay blocks, and
    /// the pattern is one of blocks.
    pub fn rewire(&self, pattern: Pattern, storage: Storage) -> (Weights, Rewire) {
        let mut new = Weights::zeros_by(self.block_height(), pattern, storage);
        new.set_order(self.order());
        let mut source = vec![NEW; new.values().len()];
        let mut grown = Vec::new();
        let mut old = self.connections().peekable();
        for (cell, slot) in new.connections() {
            while old.next_if(|&(old_cell, _)| old_cell < cell).is_some() {}
            match old.next_if(|&(old_cell, _)| old_cell == cell) {
                Some((_, old_slot)) => source[slot] = old_slot as u32,
                None => grown.push(slot),
            }
        }
        let rewire = Rewire::new(source, grown);
        new.values_mut().copy_from_slice(&rewire.carry(self.values(), 0.0));
        (new, rewire)
    }

    /// All connections of a matrix of which every cell is one, in blocks of `height` rows.
    ///
    /// # Panics
    /// If a cell is none, or there are no such blocks of its rows.
    pub fn in_blocks(&self, height: usize) -> Weights {
        let (rows, cols) = (self.rows(), self.cols());
        assert!(
            self.nnz() == rows * cols && rows.is_multiple_of(height),
            "blocks of {height} in {rows} rows"
        );
        let mut blocks = Weights::zeros_in_blocks(height, Pattern::full(rows / height, cols));
        blocks.set_live_values(self.live_values());
        blocks
    }

    /// What comes and goes as one, in order: live connections, or live blocks as the cells of a matrix of their lines. `(cell, place)`
    /// of each, `place` being where [`Weights::worth`] has its number.
    pub fn choices(&self) -> Box<dyn Iterator<Item = (usize, usize)> + '_> {
        match self {
            Weights::Blocks(blocks) => Box::new(blocks.pattern().cells().zip(0..)),
            Weights::Dense(_) | Weights::Sparse(_) => self.connections(),
        }
    }

    /// What an array aligned with the slots has for each [choice](Weights::choices): the number of a connection, the norm of a block's.
    pub fn worth<'a>(&self, array: &'a [f32]) -> Cow<'a, [f32]> {
        let norm = |block: &[f32]| block.iter().map(|number| number * number).sum::<f32>().sqrt();
        match self {
            Weights::Blocks(blocks) => blocks.numbers(array).map(norm).collect(),
            Weights::Dense(_) | Weights::Sparse(_) => array.into(),
        }
    }

    /// The connections that are not zero, in row order; of blocks those that are not zero as a whole.
    pub fn without_zeros(&self) -> Weights {
        if let Weights::Blocks(blocks) = self {
            let pattern = blocks.pattern();
            let is_live = blocks.numbers(self.values()).map(|block| block.iter().any(|value| *value != 0.0));
            let live = pattern.cells().zip(is_live).filter_map(|(cell, is_live)| is_live.then_some(cell));
            let live: Vec<usize> = live.collect();
            let pattern = Pattern::from_cells(pattern.rows(), pattern.cols(), live.into_iter());
            return self.rewire(pattern, Storage::Auto).0;
        }
        let stored = self.connections().map(|(cell, slot)| (cell, self.values()[slot]));
        let (cells, values): (Vec<usize>, _) = stored.filter(|(_, value)| *value != 0.0).unzip();
        let pattern = Pattern::from_cells(self.rows(), self.cols(), cells.into_iter());
        Weights::of_live_values(pattern, Storage::Auto, values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sparse::Order;

    /// ```text
    /// old  [ 1 . 2 ]      new  [ 1 x . ]      x grown, 2 and 4 dropped
    ///      [ . 3 4 ]           [ . 3 . ]
    /// ```
    #[test]
    fn rewire_keeps_values_between_any_two_storages() {
        for (from, to) in [
            (Storage::Sparse, Storage::Sparse),
            (Storage::Sparse, Storage::Dense),
            (Storage::Dense, Storage::Sparse),
            (Storage::Dense, Storage::Dense),
        ] {
            for order in [Order::Rows, Order::Columns] {
                let mut old = Weights::zeros(Pattern::from_cells(2, 3, [0, 2, 4, 5].into_iter()), from);
                old.set_order(order);
                for (value, (_, slot)) in (1..).zip(old.connections().collect::<Vec<_>>()) {
                    old.values_mut()[slot] = value as f32;
                }
                let (new, rewire) = old.rewire(Pattern::from_cells(2, 3, [0, 1, 4].into_iter()), to);
                assert_eq!(new.live_values(), [1.0, 0.0, 3.0], "{from:?} to {to:?}, {order:?}");
                assert_eq!((new.order(), rewire.grown().len()), (order, 1));
                let momentum: Vec<f32> = old.values().iter().map(|value| 10.0 * value).collect();
                let carried = rewire.carry(&momentum, 0.0);
                assert_eq!(
                    new.connections().map(|(_, slot)| carried[slot]).collect::<Vec<_>>(),
                    [10.0, 0.0, 30.0]
                );
            }
        }
    }

    /// ```text
    /// old  [ 1 2 . ]      new  [ 1 . x ]      x grown, the middle block of the first line dropped
    ///      [ 0 3 . ]           [ 0 . x ]
    ///      [ . 4 0 ]           [ . 4 . ]
    ///      [ . 3 0 ]           [ . 3 . ]
    /// ```
    #[test]
    fn blocks_move_and_leave_as_a_whole() {
        let pattern = |cells: &[usize]| Pattern::from_cells(2, 3, cells.iter().copied());
        let mut old = Weights::zeros_in_blocks(2, pattern(&[0, 1, 4, 5]));
        old.set_live_values(vec![1.0, 2.0, 0.0, 3.0, 4.0, 0.0, 3.0, 0.0]);
        assert_eq!(old.values(), [1.0, 0.0, 2.0, 3.0, 4.0, 3.0, 0.0, 0.0]);
        assert_eq!(old.worth(old.values())[..], [1.0, 13.0_f32.sqrt(), 5.0, 0.0]);
        assert_eq!(old.choices().collect::<Vec<_>>(), [(0, 0), (1, 1), (4, 2), (5, 3)]);
        let (new, rewire) = old.rewire(pattern(&[0, 2, 4]), Storage::Auto);
        assert_eq!((new.live_values(), rewire.grown()), (vec![1.0, 0.0, 0.0, 0.0, 4.0, 3.0], &[2, 3][..]));
        let thin = old.without_zeros();
        assert_eq!(
            (thin.pattern(), thin.live_values()),
            (Some(&pattern(&[0, 1, 4])), vec![1.0, 2.0, 0.0, 3.0, 4.0, 3.0])
        );
        let (full, _) = old.rewire(Pattern::full(2, 3), Storage::Auto);
        assert_eq!(full.live_values(), [1.0, 2.0, 0.0, 0.0, 3.0, 0.0, 0.0, 4.0, 0.0, 0.0, 3.0, 0.0]);
        assert_eq!(full.rewire(pattern(&[0, 1, 4, 5]), Storage::Auto).0.live_values(), old.live_values());
        let dense = full.stored_as(Storage::Dense);
        assert_eq!((dense.nnz(), dense.live_values()), (12, full.live_values()));
        assert_eq!(dense.in_blocks(2).values(), full.values());
    }
}
