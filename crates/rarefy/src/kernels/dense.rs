//! The same products on dense storage, through the `gemm` crate, one tile of 64 samples at a time.
//!
//! Blocks are cut at fixed numbers of rows, so the order of every sum depends on the layer's shape alone: not on the
//! threads, not on the batch. `gemm` picks its own instruction set and allocates its packing buffers at each call.

use std::ops::Range;

use gemm::Parallelism;

use super::product::Panels;
use super::spmm::{Finish, split_tiles};
use super::{Isa, par_chunks, tree};
use crate::tiles::{LANES, Row};

/// Rows of a result that one call of `gemm` computes.
const BLOCK: usize = 128;

/// A row-major matrix, perhaps seen transposed.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a> {
    pub(super) values: &'a [f32],
    pub(super) rows: usize,
    pub(super) cols: usize,
    pub(super) row_stride: usize,
    pub(super) col_stride: usize,
}

impl<'a> Matrix<'a> {
    pub(super) fn new(values: &'a [f32], rows: usize, cols: usize) -> Matrix<'a> {
        assert_eq!(values.len(), rows * cols, "a {rows} x {cols} matrix has {} values", rows * cols);
        Matrix { values, rows, cols, row_stride: cols, col_stride: 1 }
    }

    /// A tile as a features x lanes matrix.
    pub(super) fn of_rows(rows: &'a [Row]) -> Matrix<'a> {
        Matrix::new(bytemuck::must_cast_slice(rows), rows.len(), LANES)
    }

    pub(super) fn transposed(self) -> Matrix<'a> {
        Matrix {
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
            ..self
        }
    }

    pub(super) fn rows_from(self, start: usize, count: usize) -> Matrix<'a> {
        assert!(start + count <= self.rows && count > 0);
        Matrix { values: &self.values[start * self.row_stride..], rows: count, ..self }
    }
}

/// `Y = finish(A X)` for each tile.
pub(super) fn multiply(
    isa: Isa,
    matrix: Matrix<'_>,
    input: &[Row],
    output: &mut [Row],
    tiles: usize,
    finish: Finish<'_>,
) {
    split_tiles(0..tiles, output, matrix.rows, &|tile, output| {
        let input = Matrix::of_rows(&input[tile * matrix.cols..][..matrix.cols]);
        par_chunks(output, BLOCK, &|start, output| {
            let flat: &mut [f32] = bytemuck::must_cast_slice_mut(output);
            product(matrix.rows_from(start, flat.len() / LANES), input, flat, false);
            isa.vectorize(|| {
                for (line, row) in (start..).zip(output.iter_mut()) {
                    let bias = finish.start(line);
                    for sum in &mut row.0 {
                        *sum += bias;
                    }
                    finish.end(tile * matrix.rows + line, &mut row.0);
                }
            });
        });
    });
}

/// Rows `rows` of `dW = sum over tiles of dY X^T`. `scratch` holds `tree::scratch_levels(tiles)` times `out`.
pub(super) fn weight_gradient(
    gradient: &[Row],
    input: &[Row],
    panels: Panels,
    rows: Range<usize>,
    out: &mut [f32],
    scratch: &mut [f32],
) {
    let (height, cols) = (gradient.len() / panels.count(), input.len() / panels.count());
    tree::sum(0..panels.tiles, out, scratch, &mut |tile, out, accumulate| {
        par_chunks(out, BLOCK * cols, &|start, out| {
            for (place, panel) in panels.of(tile).enumerate() {
                let gradient = Matrix::of_rows(&gradient[panel * height..][..height][rows.clone()]);
                let input = Matrix::of_rows(&input[panel * cols..][..cols]).transposed();
                let gradient = gradient.rows_from(start / cols, out.len() / cols);
                product(gradient, input, out, accumulate || place > 0);
            }
        });
    });
}

/// `out = A B`, or `out += A B`, row-major.
pub(super) fn product(a: Matrix<'_>, b: Matrix<'_>, out: &mut [f32], accumulate: bool) {
    assert_eq!(a.cols, b.rows, "a product of {} x {} and {} x {}", a.rows, a.cols, b.rows, b.cols);
    assert_eq!(out.len(), a.rows * b.cols);
    for matrix in [a, b] {
        let last = (matrix.rows - 1) * matrix.row_stride + (matrix.cols - 1) * matrix.col_stride;
        assert!(last < matrix.values.len());
    }
    // SAFETY: both matrices hold all their elements (checked above), and `out` is a.rows x b.cols without gaps.
    unsafe {
        gemm::gemm(
            a.rows,
            b.cols,
            a.cols,
            out.as_mut_ptr(),
            1,
            b.cols as isize,
            accumulate,
            a.values.as_ptr(),
            a.col_stride as isize,
            a.row_stride as isize,
            b.values.as_ptr(),
            b.col_stride as isize,
            b.row_stride as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}
