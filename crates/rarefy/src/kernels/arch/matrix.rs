//! A product of dense matrices: by the `gemm` crate, which picks its own instruction set and allocates its packing buffers at each call;
//! or of bf16 numbers, where an instruction set has products of them, by `matrix_bf16`.

use gemm::Parallelism;

use super::Isa;
use crate::tiles::{LANES, Row};

/// A row-major matrix, perhaps seen transposed.
#[derive(Clone, Copy)]
pub(in crate::kernels) struct Matrix<'a> {
    pub(in crate::kernels) values: &'a [f32],
    pub(in crate::kernels) rows: usize,
    pub(in crate::kernels) cols: usize,
    pub(in crate::kernels) row_stride: usize,
    pub(in crate::kernels) col_stride: usize,
}

impl<'a> Matrix<'a> {
    pub(in crate::kernels) fn new(values: &'a [f32], rows: usize, cols: usize) -> Matrix<'a> {
        assert_eq!(Some(values.len()), rows.checked_mul(cols), "values of a {rows} x {cols} matrix");
        Matrix { values, rows, cols, row_stride: cols, col_stride: 1 }
    }

    /// A tile as a features x lanes matrix.
    pub(in crate::kernels) fn of_rows(rows: &'a [Row]) -> Matrix<'a> {
        Matrix::new(bytemuck::must_cast_slice(rows), rows.len(), LANES)
    }

    pub(in crate::kernels) fn transposed(self) -> Matrix<'a> {
        Matrix {
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
            ..self
        }
    }

    pub(in crate::kernels) fn rows_from(self, start: usize, count: usize) -> Matrix<'a> {
        assert!(start + count <= self.rows && count > 0);
        Matrix { values: &self.values[start * self.row_stride..], rows: count, ..self }
    }

    /// That it holds all its numbers, and that those of a row or of a column are neighbours.
    pub(super) fn check(&self) {
        let last = (self.rows - 1) * self.row_stride + (self.cols - 1) * self.col_stride;
        assert!(last < self.values.len() && (self.row_stride == 1 || self.col_stride == 1));
    }

    fn cols_from(self, start: usize, count: usize) -> Matrix<'a> {
        self.transposed().rows_from(start, count).transposed()
    }
}

/// The most numbers that one call adds up. `gemm` would cut longer sums by itself, where it thinks best for the
/// machine's caches; so long a one it does not cut.
const DEPTH: usize = 512;

fn is_by_gemm(isa: Isa) -> bool {
    !isa.has_pairs() && !isa.has_tiles()
}

/// How long the runs are in which the sums of so many rows are added up over `cols` columns. `gemm` adds a single row up in
/// one go.
pub(in crate::kernels) fn depth(rows: usize, cols: usize) -> usize {
    let runs = if rows == 1 { 1 } else { cols.div_ceil(DEPTH).max(1) };
    cols.div_ceil(runs).max(1)
}

/// Whether products over so many columns are multiplied and added at once, with one rounding; of one or two `gemm` adds them one after
/// the other.
pub(in crate::kernels) fn is_fused(isa: Isa, cols: usize) -> bool {
    !is_by_gemm(isa) || Isa::detect().is_fused() && cols > 2
}

/// Whether sums over so many columns are a single run in the order of the columns, whose sum is then added to what is there.
pub(in crate::kernels) fn is_plain(isa: Isa, cols: usize) -> bool {
    cols <= DEPTH && !isa.has_tiles() && (isa.has_pairs() || cols > 2)
}

/// `out = A B`, or `out += A B`, row-major. Each number is the sum of runs of [`depth`] columns, one run after the other.
pub(in crate::kernels) fn product(isa: Isa, a: Matrix<'_>, b: Matrix<'_>, out: &mut [f32], accumulate: bool) {
    assert_eq!(a.cols, b.rows, "a product of {} x {} and {} x {}", a.rows, a.cols, b.rows, b.cols);
    assert_eq!(out.len(), a.rows * b.cols);
    if out.is_empty() {
        return;
    }
    if a.cols == 0 {
        if !accumulate {
            out.fill(0.0);
        }
        return;
    }
    let depth = depth(a.rows, a.cols);
    for start in (0..a.cols).step_by(depth) {
        let count = depth.min(a.cols - start);
        let (a, b) = (a.cols_from(start, count), b.rows_from(start, count));
        #[cfg(target_arch = "x86_64")]
        if !is_by_gemm(isa) {
            isa.multiply_matrices(a, b, out, accumulate || start > 0);
            continue;
        }
        by_gemm(a, b, out, accumulate || start > 0);
    }
}

/// One run of a product, by `gemm`.
fn by_gemm(a: Matrix<'_>, b: Matrix<'_>, out: &mut [f32], accumulate: bool) {
    a.check();
    b.check();
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
