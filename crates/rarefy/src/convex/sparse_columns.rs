//! Sparse features, column by column (CSC), checked once.

use crate::{Error, Result};

/// A sparse matrix in compressed columns: the rows and values of column `j` stand at
/// `ccol_indices[j]..ccol_indices[j + 1]`, rows ascending.
#[derive(Debug, Clone, PartialEq)]
pub struct SparseColumns {
    rows: usize,
    ccol_indices: Vec<usize>,
    row_indices: Vec<u32>,
    values: Vec<f32>,
}

impl SparseColumns {
    /// From compressed columns.
    ///
    /// # Errors
    /// If there is no row or column, `ccol_indices` does not go from 0 to the number of values without descending, the
    /// rows of a column do not ascend below `rows`, or a value is not finite.
    pub fn new(
        rows: usize,
        cols: usize,
        ccol_indices: Vec<usize>,
        row_indices: Vec<u32>,
        values: Vec<f32>,
    ) -> Result<SparseColumns> {
        check(cols, rows, ["column", "row"], &ccol_indices, &row_indices, &values)?;
        Ok(SparseColumns { rows, ccol_indices, row_indices, values })
    }

    /// From compressed rows.
    ///
    /// # Errors
    /// As for [`SparseColumns::new`], with rows and columns swapped.
    pub fn from_csr(
        rows: usize,
        cols: usize,
        crow_indices: &[usize],
        col_indices: &[u32],
        values: &[f32],
    ) -> Result<SparseColumns> {
        check(rows, cols, ["row", "column"], crow_indices, col_indices, values)?;
        let mut ccol_indices = vec![0; cols + 1];
        for &column in col_indices {
            ccol_indices[column as usize + 1] += 1;
        }
        for column in 0..cols {
            ccol_indices[column + 1] += ccol_indices[column];
        }
        let mut next = ccol_indices.clone();
        let mut row_indices = vec![0; values.len()];
        let mut turned = vec![0.0; values.len()];
        for row in 0..rows {
            for at in crow_indices[row]..crow_indices[row + 1] {
                let place = &mut next[col_indices[at] as usize];
                (row_indices[*place], turned[*place]) = (row as u32, values[at]);
                *place += 1;
            }
        }
        Ok(SparseColumns { rows, ccol_indices, row_indices, values: turned })
    }

    /// From all values, row-major; zeros are left out.
    ///
    /// # Errors
    /// As for [`SparseColumns::new`], and if there are not `rows x cols` values.
    pub fn from_rows(rows: usize, cols: usize, dense: &[f32]) -> Result<SparseColumns> {
        if rows.checked_mul(cols) != Some(dense.len()) {
            let problem = format!("{rows} x {cols} features are not {} values", dense.len());
            return Err(Error::setting("design", problem));
        }
        let (mut crow_indices, mut col_indices, mut values) = (vec![0], Vec::new(), Vec::new());
        for row in 0..rows {
            for (column, &value) in dense[row * cols..][..cols].iter().enumerate() {
                if value != 0.0 {
                    col_indices.push(column as u32);
                    values.push(value);
                }
            }
            crow_indices.push(values.len());
        }
        SparseColumns::from_csr(rows, cols, &crow_indices, &col_indices, &values)
    }

    /// Number of samples.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of features.
    pub fn cols(&self) -> usize {
        self.ccol_indices.len() - 1
    }

    /// Number of stored values.
    pub fn nnz(&self) -> usize {
        self.values.len()
    }

    /// The rows and values of one feature.
    pub fn column(&self, column: usize) -> (&[u32], &[f32]) {
        let range = self.ccol_indices[column]..self.ccol_indices[column + 1];
        (&self.row_indices[range.clone()], &self.values[range])
    }

    /// `x_column . vector`.
    pub(super) fn dot(&self, column: usize, vector: &[f64]) -> f64 {
        let (rows, values) = self.column(column);
        rows.iter().zip(values).map(|(&row, &value)| f64::from(value) * vector[row as usize]).sum()
    }

    /// `out = sum of weight * x_column` over `terms`.
    pub(super) fn combine(&self, terms: &[(usize, f64)], out: &mut [f64]) {
        out.fill(0.0);
        for &(column, weight) in terms {
            let (rows, values) = self.column(column);
            for (&row, &value) in rows.iter().zip(values) {
                out[row as usize] += weight * f64::from(value);
            }
        }
    }

    /// `(sum of weight x, sum of weight x^2)` over a column.
    pub(super) fn moments(&self, column: usize, weights: &[f64]) -> (f64, f64) {
        let (rows, values) = self.column(column);
        rows.iter().zip(values).fold((0.0, 0.0), |(first, second), (&row, &value)| {
            let weighted = f64::from(value) * weights[row as usize];
            (first + weighted, second + weighted * f64::from(value))
        })
    }

    /// `out -= step * weight * x_column`.
    pub(super) fn subtract(&self, column: usize, step: f64, weights: &[f64], out: &mut [f64]) {
        let (rows, values) = self.column(column);
        for (&row, &value) in rows.iter().zip(values) {
            out[row as usize] -= step * weights[row as usize] * f64::from(value);
        }
    }

    /// Whether a column never changes, absent values being zeros.
    pub(super) fn is_constant(&self, column: usize) -> bool {
        let (rows, values) = self.column(column);
        let first = if rows.len() == self.rows { values[0] } else { 0.0 };
        values.iter().all(|&value| value == first)
    }
}

/// Checks a compressed index. `names` are those of the outer and the inner dimension.
fn check(
    outer: usize,
    inner: usize,
    names: [&str; 2],
    offsets: &[usize],
    indices: &[u32],
    values: &[f32],
) -> Result<()> {
    let fail = |problem: String| Err(Error::setting("design", problem));
    let [outer_name, inner_name] = names;
    if outer == 0 || inner == 0 || u32::try_from(inner).is_err() {
        return fail(format!("{outer} {outer_name}s of {inner} {inner_name}s cannot be used"));
    }
    if indices.len() != values.len() {
        return fail(format!("{} {inner_name} indices are not {} values", indices.len(), values.len()));
    }
    let whole = offsets.len() == outer + 1
        && offsets[0] == 0
        && offsets[outer] == values.len()
        && offsets.is_sorted();
    if !whole {
        return fail(format!(
            "the {outer_name} offsets must be {} numbers that go from 0 to {} and never descend",
            outer + 1,
            values.len()
        ));
    }
    for line in 0..outer {
        let range = offsets[line]..offsets[line + 1];
        let row = &indices[range.clone()];
        let ascending = row.windows(2).all(|pair| pair[0] < pair[1]);
        if !ascending || row.last().is_some_and(|&last| last as usize >= inner) {
            return fail(format!("{outer_name} {line}: its {inner_name}s must ascend and be below {inner}"));
        }
        if let Some(value) = values[range].iter().find(|value| !value.is_finite()) {
            return fail(format!("{outer_name} {line}: {value} is not finite"));
        }
    }
    Ok(())
}
