//! How a weight matrix is to be stored, and what that takes.

use super::pattern::KEPT_PLACES;

/// Below this density compressed storage is faster than dense storage with gaps; by whole steps of machines with AVX-512
/// (RECORD.md). A constant and not a measurement at start-up, so that a seed names the same bits anywhere.
pub const BREAK_EVEN_DENSITY: f64 = 0.45;

named! {
    /// How the weights of a layer are to be stored.
    #[derive(Default)]
    pub enum Storage {
        /// Compressed below [`BREAK_EVEN_DENSITY`], else dense.
        #[default]
        Auto = "auto",
        /// Compressed always.
        Sparse = "sparse",
        /// Dense always.
        Dense = "dense",
    }
}

impl Storage {
    /// Whether a matrix with so many connections is compressed.
    pub fn is_compressed(self, nnz: usize, cells: usize) -> bool {
        match self {
            Storage::Auto => (nnz as f64 / cells.max(1) as f64) < BREAK_EVEN_DENSITY,
            Storage::Sparse => true,
            Storage::Dense => false,
        }
    }

    /// Numbers that a matrix with so many connections stores.
    pub fn slots(self, rows: usize, cols: usize, nnz: usize) -> usize {
        if self.is_compressed(nnz, rows * cols) { nnz } else { rows * cols }
    }

    /// Bytes of the index that says where these stand, by rows and, where a backward pass needs it, by columns.
    pub fn index_bytes(self, rows: usize, cols: usize, nnz: usize) -> usize {
        let by_rows = 4 * (nnz + rows + 1);
        if self.is_compressed(nnz, rows * cols) {
            let places = if nnz <= KEPT_PLACES { nnz } else { 0 };
            by_rows + 4 * (nnz + cols + 1 + places)
        } else if nnz < rows * cols {
            by_rows
        } else {
            0
        }
    }
}

/// Which slots are neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// Those of an output: products with dense inputs read them in one go.
    #[default]
    Rows,
    /// Those of an input: where few inputs are not zero, what a step touches lies together.
    Columns,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sparse::{Pattern, Weights};

    #[test]
    fn auto_changes_storage_at_the_break_even() {
        let full = Weights::zeros(Pattern::full(4, 5), Storage::Auto);
        assert!(matches!(full, Weights::Dense(_)) && full.pattern().is_none());
        let (thin, _) = full.rewire(Pattern::from_cells(4, 5, [3, 9].into_iter()), Storage::Auto);
        assert!(matches!(thin, Weights::Sparse(_)));
    }
}
