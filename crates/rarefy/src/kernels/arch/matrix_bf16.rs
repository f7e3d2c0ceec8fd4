//! A product of dense matrices on bf16 numbers, which are packed as tiles (Intel AMX) and pairs (AVX512-BF16) want them.
//!
//! ```text
//! A [rows x depth]    packed [row][pair]            16 rows at a time
//! B [depth x cols]    packed [stripe][pair][col]    a stripe is 32 columns
//! ```
//! A pair is two numbers that follow each other along the depth, rounded to bf16, in the place of one. Both sides are filled up to
//! multiples of 16 pairs with zeros.

use std::arch::x86_64::*;
use std::cell::Cell;
use std::ops::Range;

use super::avx512::Register;
use super::lanes::{Arithmetic, NONE, WIDTH};
use super::matrix::Matrix;
use super::transpose::transpose;
use crate::tiles::Row16;

/// Columns of a stripe.
const STRIPE: usize = 2 * WIDTH;

/// Pairs of stripes that are packed at once: 64 KiB, which stay in the L2 cache.
const PACKED: usize = 512;

/// Rows of packed numbers that are kept for the next product: 1 MiB. Long sums of a single row take more.
const KEPT: usize = 1 << 13;

thread_local! {
    /// Packed rows and stripes, kept for their memory.
    static ROOM: Cell<[Vec<Row16>; 2]> = const { Cell::new([Vec::new(), Vec::new()]) };
}

/// Up to 16 packed rows.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    /// So many numbers from one row to the next.
    pub(super) length: usize,
    pub(super) pairs: &'a [f32],
    pub(super) count: usize,
}

/// What multiplies packed rows and stripes.
pub(super) trait Multiplier {
    /// Writes or adds the products of some rows and a stripe of `depth` pairs, and zeros up to a multiple of 16.
    fn multiply(&mut self, rows: Rows<'_>, stripe: &[Row16], depth: usize, out: Out<'_>);
}

/// `out = A B`, or `out += A B`, row-major: the product of numbers rounded to bf16. Inlined where the processor has the features.
///
/// # Safety
/// The processor has AVX512-BF16, both matrices hold all their numbers, and one of the strides of each is 1.
#[inline(always)]
pub(super) unsafe fn product(
    mut multiplier: impl Multiplier,
    a: Matrix<'_>,
    b: Matrix<'_>,
    out: &mut [f32],
    accumulate: bool,
) {
    assert_eq!(out.len(), a.rows * b.cols);
    let (depth, cols) = (a.cols.div_ceil(2), b.cols);
    let filled = depth.next_multiple_of(WIDTH);
    let length = depth.next_multiple_of(STRIPE);
    let [mut rows, mut stripes] = ROOM.take();
    rows.resize(WIDTH * length / STRIPE, Row16::ZERO);
    let at_once = (PACKED / filled).max(1) * STRIPE;
    for first in (0..cols).step_by(at_once) {
        let columns = first..cols.min(first + at_once);
        stripes.resize(columns.len().div_ceil(STRIPE) * filled, Row16::ZERO);
        // SAFETY: as the caller promises.
        unsafe { pack_stripes(b.transposed(), columns.clone(), &mut stripes) };
        for row in (0..a.rows).step_by(WIDTH) {
            let count = WIDTH.min(a.rows - row);
            // SAFETY: as the caller promises.
            unsafe { pack_rows(a, row, bytemuck::must_cast_slice_mut(&mut rows), length) };
            let rows = Rows { length, pairs: bytemuck::must_cast_slice(&rows), count };
            for stripe in 0..stripes.len() / filled {
                let start = columns.start + stripe * STRIPE;
                let columns = start..columns.end.min(start + STRIPE);
                let out = Out { rows: &mut out[row * cols..(row + count) * cols], cols, columns, accumulate };
                multiplier.multiply(rows, &stripes[stripe * filled..][..filled], depth, out);
            }
        }
    }
    if rows.len() + stripes.len() <= KEPT {
        ROOM.set([rows, stripes]);
    }
}

/// Where the sums of a stripe go.
pub(super) struct Out<'a> {
    /// Rows of `cols` numbers.
    rows: &'a mut [f32],
    cols: usize,
    /// Those of the stripe.
    columns: Range<usize>,
    accumulate: bool,
}

impl Out<'_> {
    /// Writes or adds the sums of a row.
    ///
    /// # Safety
    /// The processor has AVX-512.
    #[inline(always)]
    pub(super) unsafe fn put(&mut self, row: usize, sums: [__m512; 2]) {
        let arithmetic = Register(());
        let out = &mut self.rows[row * self.cols..][self.columns.clone()];
        let mut whole = [NONE; 2];
        let count = out.len();
        let is_whole = count == STRIPE;
        let to = if is_whole {
            out.as_chunks_mut().0
        } else {
            whole.as_flattened_mut()[..count].copy_from_slice(out);
            &mut whole[..]
        };
        for half in 0..2 {
            let there = arithmetic.load(&to[half]);
            let sum = if self.accumulate { arithmetic.add(there, sums[half]) } else { sums[half] };
            arithmetic.store(sum, &mut to[half]);
        }
        if !is_whole {
            out.copy_from_slice(&whole.as_flattened()[..count]);
        }
    }
}

/// Packs 16 rows from a row on, `length` pairs from one to the next; those beyond the last are zero.
///
/// # Safety
/// As for [`product`].
#[inline(always)]
unsafe fn pack_rows(side: Matrix<'_>, row: usize, packed: &mut [u32], length: usize) {
    for pair in (0..side.cols.div_ceil(2)).step_by(WIDTH) {
        // SAFETY: as the caller promises.
        let rows = unsafe {
            match side.col_stride {
                1 => along(side, row, pair),
                _ => transpose(across(side, row, pair)),
            }
        };
        for at in 0..WIDTH {
            let to: &mut [u32; WIDTH] = packed[(at * length + pair)..].first_chunk_mut().expect("whole rows");
            // SAFETY: there are 16 numbers.
            unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), rows[at]) };
        }
    }
}

/// Packs some columns, which are the rows of `side`, in stripes; those beyond the last are zero.
///
/// # Safety
/// As for [`product`].
#[inline(always)]
unsafe fn pack_stripes(side: Matrix<'_>, columns: Range<usize>, packed: &mut [Row16]) {
    let filled = side.cols.div_ceil(2).next_multiple_of(WIDTH);
    for stripe in 0..packed.len() / filled {
        let packed = &mut packed[stripe * filled..][..filled];
        for half in 0..2 {
            let column = columns.start + stripe * STRIPE + half * WIDTH;
            for pair in (0..filled).step_by(WIDTH) {
                // SAFETY: as the caller promises.
                let pairs = unsafe {
                    match side.col_stride {
                        1 => transpose(along(side, column, pair)),
                        _ => across(side, column, pair),
                    }
                };
                for at in 0..WIDTH {
                    let to: &mut [u32; WIDTH] = &mut packed[pair + at].0.as_chunks_mut().0[half];
                    // SAFETY: there are 16 numbers.
                    unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), pairs[at]) };
                }
            }
        }
    }
}

/// The first of 16 places of which `left` are there.
#[inline(always)]
fn first_of(left: usize) -> __mmask16 {
    if left < WIDTH { (1 << left) - 1 } else { !0 }
}

/// 16 pairs from `pair` on of 16 rows from `row` on, each a register; numbers of a row are neighbours. Those that are not there are zero.
///
/// # Safety
/// As for [`product`].
#[inline(always)]
unsafe fn along(side: Matrix<'_>, row: usize, pair: usize) -> [__m512i; WIDTH] {
    // SAFETY: as the caller promises.
    let mut pairs = [unsafe { _mm512_setzero_si512() }; WIDTH];
    let left = side.cols - 2 * pair;
    let masks = (first_of(left), first_of(left.saturating_sub(WIDTH)));
    for at in 0..WIDTH.min(side.rows.saturating_sub(row)) {
        let from = side.values.as_ptr().wrapping_add((row + at) * side.row_stride + 2 * pair);
        // SAFETY: what the masks have is there, as the caller promises.
        unsafe {
            let low = _mm512_maskz_loadu_ps(masks.0, from);
            let high = _mm512_maskz_loadu_ps(masks.1, from.wrapping_add(WIDTH));
            let words: __m512i = std::mem::transmute(_mm512_cvtne2ps_pbh(high, low));
            // The earlier one where it is added first.
            pairs[at] = _mm512_rol_epi32::<16>(words);
        }
    }
    pairs
}

/// Pairs `pair` to `pair + 15`, each a register of 16 rows from `row` on; the numbers of a pair are `col_stride` apart. Those that are
/// not there are zero.
///
/// # Safety
/// As for [`product`].
#[inline(always)]
unsafe fn across(side: Matrix<'_>, row: usize, pair: usize) -> [__m512i; WIDTH] {
    const WORDS: [u16; 32] = {
        let mut words = [0; 32];
        let mut at = 0;
        while at < 16 {
            (words[2 * at], words[2 * at + 1]) = (at as u16, at as u16 + 16);
            at += 1;
        }
        words
    };
    // SAFETY: as the caller promises.
    let mut pairs = [unsafe { _mm512_setzero_si512() }; WIDTH];
    let mask = first_of(side.rows.saturating_sub(row));
    // SAFETY: what is loaded is there: the words above, and what the mask has, as the caller promises.
    unsafe {
        let order = _mm512_loadu_si512(WORDS.as_ptr().cast());
        for at in 0..WIDTH.min(side.cols.div_ceil(2) - pair) {
            let column = 2 * (pair + at);
            let from = side.values.as_ptr().wrapping_add(column * side.col_stride + row);
            let first = _mm512_maskz_loadu_ps(mask, from);
            let is_there = if column + 1 < side.cols { mask } else { 0 };
            let second = _mm512_maskz_loadu_ps(is_there, from.wrapping_add(side.col_stride));
            let words: __m512i = std::mem::transmute(_mm512_cvtne2ps_pbh(first, second));
            pairs[at] = _mm512_permutexvar_epi16(order, words);
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::Isa;
    use crate::kernels::arch::matrix;
    use crate::math::nearest_bf16;
    use crate::random::{Purpose, Stream};

    /// A matrix in row order, and the same by columns.
    fn both_orders(values: &[f32], rows: usize, cols: usize) -> [Vec<f32>; 2] {
        [values.to_vec(), (0..rows * cols).map(|at| values[at % rows * cols + at / rows]).collect()]
    }

    fn seen([by_rows, by_columns]: &[Vec<f32>; 2], rows: usize, cols: usize) -> [Matrix<'_>; 2] {
        [Matrix::new(by_rows, rows, cols), Matrix::new(by_columns, cols, rows).transposed()]
    }

    /// The sum of runs, each in order, of products of rounded numbers; and the sum of their magnitudes.
    fn dot(before: f32, a: &[f32], b: impl Fn(usize) -> f32, run: usize) -> (f32, f32) {
        let (mut sum, mut size) = (before, before.abs());
        for start in (0..a.len()).step_by(run) {
            let mut part = 0.0;
            for k in start..a.len().min(start + run) {
                let (a, b) = (nearest_bf16(a[k]), nearest_bf16(b(k)));
                (part, size) = (a.mul_add(b, part), size + (a * b).abs());
            }
            sum += part;
        }
        (sum, size)
    }

    /// Sizes about those of blocks of rows, of stripes, of pairs and of runs; both orders of either side; numbers to be rounded.
    #[test]
    fn products_are_sums_in_order() {
        for isa in Isa::amx().into_iter().chain(Isa::avx512_bf16()) {
            let mut stream = Stream::new(5, Purpose::Bench, 0, 0);
            for sizes in [
                [1, 1, 1],
                [1, 700, 64],
                [10, 64, 784],
                [16, 31, 33],
                [17, 33, 95],
                [23, 512, 64],
                [40, 1025, 128],
                [7, 2, 130],
            ] {
                check(isa, sizes, &mut stream);
            }
        }
    }

    fn check(isa: Isa, [rows, depth, cols]: [usize; 3], stream: &mut Stream) {
        let mut random = |count: usize| (0..count).map(|_| stream.normal()).collect::<Vec<f32>>();
        let (a, b, before) = (random(rows * depth), random(depth * cols), random(rows * cols));
        let sides = (both_orders(&a, rows, depth), both_orders(&b, depth, cols));
        let run = matrix::depth(rows, depth);
        for (order, accumulate) in (0..4).flat_map(|order| [(order, false), (order, true)]) {
            let left = seen(&sides.0, rows, depth)[order / 2];
            let right = seen(&sides.1, depth, cols)[order % 2];
            let mut found = before.clone();
            matrix::product(isa, left, right, &mut found, accumulate);
            for at in 0..rows * cols {
                let start = if accumulate { before[at] } else { 0.0 };
                let (row, column) = (&a[at / cols * depth..][..depth], at % cols);
                let (sum, size) = dot(start, row, |k| b[k * cols + column], run);
                // Tiles add the first and the second numbers of pairs apart.
                let allowed = if isa.has_tiles() { 1e-6 * size } else { 0.0 };
                let found = found[at];
                assert!(
                    (found - sum).abs() <= allowed,
                    "{isa}, {rows} x {depth} x {cols}, order {order}, {accumulate}: {found}, not {sum}"
                );
            }
        }
    }
}
