//! The features of a linear model, dense or sparse, seen as columns.

use rayon::prelude::*;

use super::{DenseColumns, SparseColumns};
use crate::Result;
use crate::kernels::Isa;

/// Columns whose products one task computes.
const COLUMNS: usize = 64;

/// At most so many of the values may be nonzero for sparse storage to be the faster one: a stored value costs an index
/// and a jump.
const SPARSE_BELOW: f64 = 0.1;

/// `samples x features`.
#[derive(Debug, Clone, PartialEq)]
pub enum Design {
    /// All values.
    Dense(DenseColumns),
    /// The features that are not zero.
    Sparse(SparseColumns),
}

impl Design {
    /// From all values, row-major, in the storage that suits them: sparse if at most a tenth is not zero.
    ///
    /// # Errors
    /// If there are not `rows x cols` values, none at all, or one is not finite.
    pub fn from_rows(rows: usize, cols: usize, values: &[f32]) -> Result<Design> {
        let nonzero = values.iter().filter(|&&value| value != 0.0).count();
        if (nonzero as f64) <= SPARSE_BELOW * values.len() as f64 && !values.is_empty() {
            return SparseColumns::from_rows(rows, cols, values).map(Design::Sparse);
        }
        DenseColumns::from_rows(rows, cols, values).map(Design::Dense)
    }

    /// Number of samples.
    pub fn rows(&self) -> usize {
        match self {
            Design::Dense(dense) => dense.rows(),
            Design::Sparse(sparse) => sparse.rows(),
        }
    }

    /// Number of features.
    pub fn cols(&self) -> usize {
        match self {
            Design::Dense(dense) => dense.cols(),
            Design::Sparse(sparse) => sparse.cols(),
        }
    }

    /// `x_column . vector`.
    pub(super) fn dot(&self, isa: Isa, column: usize, vector: &[f64]) -> f64 {
        match self {
            Design::Dense(dense) => dense.dot(isa, column, vector),
            Design::Sparse(sparse) => sparse.dot(column, vector),
        }
    }

    /// `out[i] = x_{columns[i]} . vector`.
    pub(super) fn dots(&self, isa: Isa, columns: &[usize], vector: &[f64], out: &mut [f64]) {
        out.par_chunks_mut(COLUMNS).zip(columns.par_chunks(COLUMNS)).for_each(|(out, columns)| {
            for (out, &column) in out.iter_mut().zip(columns) {
                *out = self.dot(isa, column, vector);
            }
        });
    }

    /// `out = sum of weight * x_column` over `terms`, one number per sample.
    pub(super) fn combine(&self, isa: Isa, terms: &[(usize, f64)], out: &mut [f64]) {
        match self {
            Design::Dense(dense) => dense.combine(isa, terms, out),
            Design::Sparse(sparse) => sparse.combine(terms, out),
        }
    }

    /// Whether a column never changes.
    pub(super) fn is_constant(&self, column: usize) -> bool {
        match self {
            Design::Dense(dense) => dense.is_constant(column),
            Design::Sparse(sparse) => sparse.is_constant(column),
        }
    }

    /// Whether a column holds nothing but zeros.
    pub(super) fn is_zero(&self, column: usize) -> bool {
        match self {
            Design::Dense(dense) => dense.column(column).iter().all(|&value| value == 0.0),
            Design::Sparse(sparse) => sparse.column(column).1.iter().all(|&value| value == 0.0),
        }
    }

    /// `(sum of weight x, sum of weight x^2)` over the samples of a column.
    pub(super) fn moments(&self, isa: Isa, column: usize, weights: &[f64]) -> (f64, f64) {
        match self {
            Design::Dense(dense) => dense.moments(isa, column, weights),
            Design::Sparse(sparse) => sparse.moments(column, weights),
        }
    }

    /// `out -= step * weight * x_column`, sample by sample.
    pub(super) fn subtract(&self, isa: Isa, column: usize, step: f64, weights: &[f64], out: &mut [f64]) {
        match self {
            Design::Dense(dense) => dense.subtract(isa, column, step, weights, out),
            Design::Sparse(sparse) => sparse.subtract(column, step, weights, out),
        }
    }

    /// The values of one column, less a number, in `f64`.
    pub(super) fn less(&self, column: usize, mean: f64) -> Vec<f64> {
        let mut values = vec![0.0; self.rows()];
        match self {
            Design::Dense(dense) => {
                for (out, &value) in values.iter_mut().zip(dense.column(column)) {
                    *out = value.into();
                }
            }
            Design::Sparse(sparse) => {
                let (rows, stored) = sparse.column(column);
                for (&row, &value) in rows.iter().zip(stored) {
                    values[row as usize] = value.into();
                }
            }
        }
        values.iter_mut().for_each(|value| *value -= mean);
        values
    }
}
