//! Dense features, column by column, and the loops over them.
//!
//! Sums run in sixteen lanes that are added up in a fixed order, so the bits depend on neither threads nor the
//! instruction set.

use rayon::prelude::*;

use crate::kernels::Isa;
use crate::{Error, Result};

/// Lanes of a sum.
const LANES: usize = 16;

/// Rows of a product that one task computes.
const ROWS: usize = 512;

/// A dense matrix, `rows x cols`, column-major.
#[derive(Debug, Clone, PartialEq)]
pub struct DenseColumns {
    rows: usize,
    cols: usize,
    values: Vec<f32>,
}

impl DenseColumns {
    /// From `values`, column-major.
    ///
    /// # Errors
    /// If there are not `rows x cols` values, none at all, or one is not finite.
    pub fn new(rows: usize, cols: usize, values: Vec<f32>) -> Result<DenseColumns> {
        if rows.checked_mul(cols) != Some(values.len()) {
            let problem = format!("{rows} x {cols} features are not {} values", values.len());
            return Err(Error::setting("design", problem));
        }
        if values.is_empty() {
            return Err(Error::setting("design", format!("{rows} x {cols} features: there are none")));
        }
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            let problem = format!("row {}, column {}: {} is not finite", at % rows, at / rows, values[at]);
            return Err(Error::setting("design", problem));
        }
        Ok(DenseColumns { rows, cols, values })
    }

    /// From `values`, row-major, as a data set holds them.
    ///
    /// # Errors
    /// As for [`DenseColumns::new`].
    pub fn from_rows(rows: usize, cols: usize, values: &[f32]) -> Result<DenseColumns> {
        /// Columns turned together, so that each cache line of a row is read once.
        const STRIP: usize = 16;
        if rows == 0 || rows.checked_mul(cols) != Some(values.len()) {
            return DenseColumns::new(rows, cols, values.to_vec());
        }
        let mut turned = vec![0.0; values.len()];
        turned.par_chunks_mut(STRIP * rows).enumerate().for_each(|(strip, out)| {
            let width = out.len() / rows;
            for (row, numbers) in values.chunks_exact(cols).enumerate() {
                for (column, &number) in numbers[strip * STRIP..][..width].iter().enumerate() {
                    out[column * rows + row] = number;
                }
            }
        });
        DenseColumns::new(rows, cols, turned)
    }

    /// Number of samples.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of features.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// The values of one feature.
    pub fn column(&self, column: usize) -> &[f32] {
        &self.values[column * self.rows..][..self.rows]
    }

    /// `x_column . vector`.
    pub(super) fn dot(&self, isa: Isa, column: usize, vector: &[f64]) -> f64 {
        let values = self.column(column);
        crate::vectorize!(isa, dot(values, vector))
    }

    /// `out = sum of weight * x_column` over `terms`.
    pub(super) fn combine(&self, isa: Isa, terms: &[(usize, f64)], out: &mut [f64]) {
        out.par_chunks_mut(ROWS).enumerate().for_each(|(chunk, out)| {
            let rows = chunk * ROWS..chunk * ROWS + out.len();
            let part = |column: usize| &self.column(column)[rows.clone()];
            crate::vectorize!(isa, {
                out.fill(0.0);
                let (fours, rest) = terms.as_chunks::<4>();
                for four in fours {
                    add_four(four.map(|(column, _)| part(column)), four.map(|(_, weight)| weight), out);
                }
                for &(column, weight) in rest {
                    for (out, &value) in out.iter_mut().zip(part(column)) {
                        *out += weight * f64::from(value);
                    }
                }
            });
        });
    }

    /// `(sum of weight x, sum of weight x^2)` over a column.
    pub(super) fn moments(&self, isa: Isa, column: usize, weights: &[f64]) -> (f64, f64) {
        let values = self.column(column);
        crate::vectorize!(isa, moments(values, weights))
    }

    /// `out -= step * weight * x_column`.
    pub(super) fn subtract(&self, isa: Isa, column: usize, step: f64, weights: &[f64], out: &mut [f64]) {
        let values = self.column(column);
        crate::vectorize!(isa, {
            for ((out, &value), weight) in out.iter_mut().zip(values).zip(weights) {
                *out -= step * weight * f64::from(value);
            }
        });
    }

    /// Whether a column never changes.
    pub(super) fn is_constant(&self, column: usize) -> bool {
        let values = self.column(column);
        values.iter().all(|value| value == &values[0])
    }
}

#[inline(always)]
fn dot(values: &[f32], vector: &[f64]) -> f64 {
    let mut lanes = [0.0; LANES];
    let (values, last_values) = values.as_chunks::<LANES>();
    let (vector, last_vector) = vector.as_chunks::<LANES>();
    for (values, vector) in values.iter().zip(vector) {
        for lane in 0..LANES {
            lanes[lane] += f64::from(values[lane]) * vector[lane];
        }
    }
    for (lane, (&value, &number)) in last_values.iter().zip(last_vector).enumerate() {
        lanes[lane] += f64::from(value) * number;
    }
    lanes.iter().sum()
}

#[inline(always)]
fn moments(values: &[f32], weights: &[f64]) -> (f64, f64) {
    let (mut firsts, mut seconds) = ([0.0; LANES], [0.0; LANES]);
    let (values, last_values) = values.as_chunks::<LANES>();
    let (weights, last_weights) = weights.as_chunks::<LANES>();
    for (values, weights) in values.iter().zip(weights) {
        for lane in 0..LANES {
            let weighted = f64::from(values[lane]) * weights[lane];
            firsts[lane] += weighted;
            seconds[lane] += weighted * f64::from(values[lane]);
        }
    }
    for (lane, (&value, &weight)) in last_values.iter().zip(last_weights).enumerate() {
        firsts[lane] += f64::from(value) * weight;
        seconds[lane] += f64::from(value) * weight * f64::from(value);
    }
    (firsts.iter().sum(), seconds.iter().sum())
}

/// Four columns at a time: `out` is read and written once for them.
#[inline(always)]
fn add_four(columns: [&[f32]; 4], weights: [f64; 4], out: &mut [f64]) {
    let [a, b, c, d] = columns.map(|column| &column[..out.len()]);
    for i in 0..out.len() {
        let first = weights[0] * f64::from(a[i]) + weights[1] * f64::from(b[i]);
        out[i] += first + (weights[2] * f64::from(c[i]) + weights[3] * f64::from(d[i]));
    }
}
