//! A weight matrix `[outputs x inputs]` in one of two storages. One layer, several storages: what computes with it
//! lives in `kernels`.

use serde::{Deserialize, Serialize};

use super::{Pattern, Rewire};

/// Below this density compressed storage is faster than dense; measured by `rarefy bench kernels` on two machines
/// with AVX-512 (RECORD.md). A constant and not a measurement at start-up, so that a seed names the same bits anywhere.
pub const BREAK_EVEN_DENSITY: f64 = 0.3;

/// How the weights of a layer are to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Storage {
    /// Compressed below [`BREAK_EVEN_DENSITY`], else dense: a layer that is to be nearly full gets all its weights.
    #[default]
    Auto,
    /// Compressed always.
    Sparse,
    /// Row-major, every connection.
    Dense,
}

/// Compressed weights.
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

    /// One value per connection, in row order.
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
    /// Row-major.
    Dense {
        /// Output features.
        rows: usize,
        /// Input features.
        cols: usize,
        /// `rows * cols` values.
        values: Vec<f32>,
    },
    /// Compressed rows.
    Sparse(Sparse),
}

impl Weights {
    /// Dense zeros.
    pub fn dense(rows: usize, cols: usize) -> Weights {
        Weights::Dense { rows, cols, values: vec![0.0; rows * cols] }
    }

    /// Zeros on a pattern.
    pub fn sparse(pattern: Pattern) -> Weights {
        let values = vec![0.0; pattern.nnz()];
        Weights::Sparse(Sparse { pattern, values, transposed: Vec::new() })
    }

    /// Values on a pattern, in row order.
    ///
    /// # Panics
    /// If there is not one value per connection.
    pub fn with_values(pattern: Pattern, values: Vec<f32>) -> Weights {
        assert_eq!(pattern.nnz(), values.len(), "a pattern needs one value per connection");
        Weights::Sparse(Sparse { pattern, values, transposed: Vec::new() })
    }

    /// Output features.
    pub fn rows(&self) -> usize {
        match self {
            Weights::Dense { rows, .. } => *rows,
            Weights::Sparse(sparse) => sparse.pattern.rows(),
        }
    }

    /// Input features.
    pub fn cols(&self) -> usize {
        match self {
            Weights::Dense { cols, .. } => *cols,
            Weights::Sparse(sparse) => sparse.pattern.cols(),
        }
    }

    /// Stored values.
    pub fn nnz(&self) -> usize {
        self.values().len()
    }

    /// Stored values over all cells.
    pub fn density(&self) -> f64 {
        self.nnz() as f64 / (self.rows() * self.cols()).max(1) as f64
    }

    /// The stored values in row order.
    pub fn values(&self) -> &[f32] {
        match self {
            Weights::Dense { values, .. } => values,
            Weights::Sparse(sparse) => &sparse.values,
        }
    }

    /// The stored values in row order, to change.
    pub fn values_mut(&mut self) -> &mut [f32] {
        match self {
            Weights::Dense { values, .. } => values,
            Weights::Sparse(sparse) => &mut sparse.values,
        }
    }

    /// The connections, if they are compressed.
    pub fn pattern(&self) -> Option<&Pattern> {
        match self {
            Weights::Dense { .. } => None,
            Weights::Sparse(sparse) => Some(&sparse.pattern),
        }
    }

    /// Where the values of a row start; `row_start(rows)` is their number.
    pub fn row_start(&self, row: usize) -> usize {
        match self {
            Weights::Dense { cols, .. } => row * cols,
            Weights::Sparse(sparse) => sparse.pattern.index().offsets()[row] as usize,
        }
    }

    /// The cells `row * cols + col` of the stored values, in order.
    pub fn cells(&self) -> Vec<usize> {
        match self {
            Weights::Dense { values, .. } => (0..values.len()).collect(),
            Weights::Sparse(sparse) => sparse.pattern.cells().collect(),
        }
    }

    /// The same weights on a new pattern; new connections are zero.
    pub fn rewired(&self, pattern: Pattern, rewire: &Rewire) -> Weights {
        Weights::with_values(pattern, rewire.carry(self.values(), 0.0))
    }

    /// Bytes of values and index, the transposed copies included once they exist.
    pub fn bytes(&self) -> usize {
        match self {
            Weights::Dense { values, .. } => 4 * values.len(),
            Weights::Sparse(sparse) => {
                4 * (sparse.values.len() + sparse.transposed.len()) + sparse.pattern.bytes()
            }
        }
    }
}
