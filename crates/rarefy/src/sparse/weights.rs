//! A weight matrix `[outputs x inputs]` in one of two storages. One layer, several storages: what computes with it
//! lives in `kernels`, and nothing else cares.
//!
//! Compressed storage holds live connections only. Dense storage holds every cell, absent ones as zero, because above
//! [`BREAK_EVEN_DENSITY`] that is faster. A stored value has a slot; gradients and optimizer state have the same slots.

use serde::{Deserialize, Serialize};

use super::{Pattern, Rewire};

/// Below this density compressed storage is faster than dense; measured by `rarefy bench kernels` on machines with
/// AVX-512 (RECORD.md). A constant and not a measurement at start-up, so that a seed names the same bits anywhere.
pub const BREAK_EVEN_DENSITY: f64 = 0.3;

/// How the weights of a layer are to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Storage {
    /// Compressed below [`BREAK_EVEN_DENSITY`], else dense.
    #[default]
    Auto,
    /// Compressed always.
    Sparse,
    /// Dense always.
    Dense,
}

/// Dense storage.
#[derive(Debug, Clone)]
pub struct Dense {
    rows: usize,
    cols: usize,
    values: Vec<f32>,
    /// The live connections; `None` if all are.
    pattern: Option<Pattern>,
}

/// Compressed storage.
#[derive(Debug, Clone)]
pub struct Sparse {
    pattern: Pattern,
    values: Vec<f32>,
    /// The values in column order, refreshed for each backward pass; empty until the first.
    transposed: Vec<f32>,
}

impl Sparse {
    /// Which connections exist.
    pub fn pattern(&self) -> &Pattern {
        &self.pattern
    }

    /// The values in row order.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The pattern, the values in row order and room for the values in column order.
    pub(crate) fn transposed_mut(&mut self) -> (&Pattern, &[f32], &mut [f32]) {
        self.transposed.resize(self.values.len(), 0.0);
        (&self.pattern, &self.values, &mut self.transposed)
    }
}

/// A weight matrix.
#[derive(Debug, Clone)]
pub enum Weights {
    /// Every cell, row-major.
    Dense(Dense),
    /// Live connections only.
    Sparse(Sparse),
}

impl Weights {
    /// Zeros, every connection live, in dense storage.
    pub fn dense(rows: usize, cols: usize) -> Weights {
        Weights::Dense(Dense { rows, cols, values: vec![0.0; rows * cols], pattern: None })
    }

    /// Zeros on a pattern, stored as `storage` says.
    pub fn zeros(pattern: Pattern, storage: Storage) -> Weights {
        let (rows, cols) = (pattern.rows(), pattern.cols());
        let density = pattern.nnz() as f64 / (rows * cols).max(1) as f64;
        let compressed = match storage {
            Storage::Auto => density < BREAK_EVEN_DENSITY,
            Storage::Sparse => true,
            Storage::Dense => false,
        };
        if compressed {
            let values = vec![0.0; pattern.nnz()];
            return Weights::Sparse(Sparse { pattern, values, transposed: Vec::new() });
        }
        let pattern = (pattern.nnz() < rows * cols).then_some(pattern);
        Weights::Dense(Dense { rows, cols, values: vec![0.0; rows * cols], pattern })
    }

    /// Output features.
    pub fn rows(&self) -> usize {
        match self {
            Weights::Dense(dense) => dense.rows,
            Weights::Sparse(sparse) => sparse.pattern.rows(),
        }
    }

    /// Input features.
    pub fn cols(&self) -> usize {
        match self {
            Weights::Dense(dense) => dense.cols,
            Weights::Sparse(sparse) => sparse.pattern.cols(),
        }
    }

    /// The stored values: of all cells or of the live connections, in row order.
    pub fn values(&self) -> &[f32] {
        match self {
            Weights::Dense(dense) => &dense.values,
            Weights::Sparse(sparse) => &sparse.values,
        }
    }

    /// The stored values, to change. Absent connections in dense storage must stay zero.
    pub fn values_mut(&mut self) -> &mut [f32] {
        match self {
            Weights::Dense(dense) => &mut dense.values,
            Weights::Sparse(sparse) => &mut sparse.values,
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
        };
        assert_eq!(values.len(), others.len(), "there must be a value for each slot");
        std::mem::swap(values, others);
    }

    /// The live connections; `None` if every cell is one.
    pub fn pattern(&self) -> Option<&Pattern> {
        match self {
            Weights::Dense(dense) => dense.pattern.as_ref(),
            Weights::Sparse(sparse) => Some(&sparse.pattern),
        }
    }

    /// Live connections.
    pub fn nnz(&self) -> usize {
        self.pattern().map_or(self.values().len(), Pattern::nnz)
    }

    /// Live connections over all cells.
    pub fn density(&self) -> f64 {
        self.nnz() as f64 / (self.rows() * self.cols()).max(1) as f64
    }

    /// Live connections of each row.
    pub fn fan_in(&self) -> Vec<usize> {
        match self.pattern() {
            Some(pattern) => (0..self.rows()).map(|row| pattern.index().line(row).len()).collect(),
            None => vec![self.cols(); self.rows()],
        }
    }

    /// `(cell, slot)` of each live connection in order, the cell being `row * cols + col`.
    pub fn connections(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let dense = matches!(self, Weights::Dense(_));
        let cells: Box<dyn Iterator<Item = usize>> = match self.pattern() {
            Some(pattern) => Box::new(pattern.cells()),
            None => Box::new(0..self.values().len()),
        };
        cells.enumerate().map(move |(position, cell)| (cell, if dense { cell } else { position }))
    }

    /// Values of the live connections, in order.
    pub fn live_values(&self) -> Vec<f32> {
        self.connections().map(|(_, slot)| self.values()[slot]).collect()
    }

    /// Zeroes what an array aligned with the stored values holds for absent connections.
    pub fn clear_absent(&self, array: &mut [f32]) {
        let Weights::Dense(Dense { cols, pattern: Some(pattern), .. }) = self else { return };
        for (row, line) in array.chunks_exact_mut((*cols).max(1)).enumerate() {
            let mut next = 0;
            for &col in &pattern.index().indices()[pattern.index().line(row)] {
                line[next..col as usize].fill(0.0);
                next = col as usize + 1;
            }
            line[next..].fill(0.0);
        }
    }

    /// The same weights on a new pattern, and the map that arrays aligned with them follow. Grown connections are
    /// zero. Under [`Storage::Auto`] the storage changes too when the new density asks for it.
    pub fn rewire(&self, pattern: Pattern, storage: Storage) -> (Weights, Rewire) {
        let mut new = Weights::zeros(pattern, storage);
        let mut source = vec![None; new.values().len()];
        let mut grown = Vec::new();
        let mut old = self.connections().peekable();
        for (cell, slot) in new.connections() {
            while old.next_if(|&(old_cell, _)| old_cell < cell).is_some() {}
            match old.next_if(|&(old_cell, _)| old_cell == cell) {
                Some((_, old_slot)) => source[slot] = Some(old_slot as u32),
                None => grown.push(slot),
            }
        }
        let rewire = Rewire::new(source.into_iter(), grown);
        new.values_mut().copy_from_slice(&rewire.carry(self.values(), 0.0));
        (new, rewire)
    }

    /// Bytes of values and index, the transposed copies included once they exist.
    pub fn bytes(&self) -> usize {
        let index = self.pattern().map_or(0, Pattern::bytes);
        let transposed = match self {
            Weights::Dense(_) => 0,
            Weights::Sparse(sparse) => sparse.transposed.len(),
        };
        4 * (self.values().len() + transposed) + index
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let mut old = Weights::zeros(Pattern::from_cells(2, 3, [0, 2, 4, 5].into_iter()), from);
            for (value, (_, slot)) in (1..).zip(old.connections().collect::<Vec<_>>()) {
                old.values_mut()[slot] = value as f32;
            }
            let (new, rewire) = old.rewire(Pattern::from_cells(2, 3, [0, 1, 4].into_iter()), to);
            assert_eq!(new.live_values(), [1.0, 0.0, 3.0], "{from:?} to {to:?}");
            assert_eq!(rewire.grown().len(), 1);
            let momentum: Vec<f32> = old.values().iter().map(|value| 10.0 * value).collect();
            let carried = rewire.carry(&momentum, 0.0);
            assert_eq!(
                new.connections().map(|(_, slot)| carried[slot]).collect::<Vec<_>>(),
                [10.0, 0.0, 30.0]
            );
        }
    }

    #[test]
    fn clear_absent_spares_live_connections() {
        let weights = Weights::zeros(Pattern::from_cells(2, 3, [0, 2, 4].into_iter()), Storage::Dense);
        let mut array = [1.0; 6];
        weights.clear_absent(&mut array);
        assert_eq!(array, [1.0, 0.0, 1.0, 0.0, 1.0, 0.0]);
    }

    #[test]
    fn auto_changes_storage_at_the_break_even() {
        let full = Weights::zeros(Pattern::full(4, 5), Storage::Auto);
        assert!(matches!(full, Weights::Dense(_)) && full.pattern().is_none());
        let (thin, _) = full.rewire(Pattern::from_cells(4, 5, [3, 9].into_iter()), Storage::Auto);
        assert!(matches!(thin, Weights::Sparse(_)));
    }
}
