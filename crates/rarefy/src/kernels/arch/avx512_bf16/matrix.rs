//! Products of packed matrices by pairs: the sums of 8 rows and a stripe of 32 columns stay in registers over the whole depth, and each
//! has the bits that FMA gives it.

use super::Pairs;
use crate::kernels::arch::avx512::Register;
use crate::kernels::arch::blocks::Numbers;
use crate::kernels::arch::lanes::{Arithmetic, Lanes, NONE};
use crate::kernels::arch::matrix::Matrix;
use crate::kernels::arch::matrix_bf16::{self, Multiplier, Out, Rows};
use crate::tiles::Row16;

/// `out = A B`, or `out += A B`, of dense matrices.
///
/// # Safety
/// Both hold all their numbers, and one of the strides of each is 1.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16,avx2,fma")]
pub(in crate::kernels::arch) unsafe fn product(
    a: Matrix<'_>,
    b: Matrix<'_>,
    out: &mut [f32],
    accumulate: bool,
) {
    // SAFETY: as the caller promises; the features are those of this function.
    unsafe { matrix_bf16::product(Pairs(Register(())), a, b, out, accumulate) };
}

impl Multiplier for Pairs {
    #[inline(always)]
    fn multiply(&mut self, rows: Rows<'_>, stripe: &[Row16], depth: usize, mut out: Out<'_>) {
        let (mut row, stripe) = (0, &stripe[..depth]);
        while row < rows.count {
            row += match rows.count - row {
                8.. => add_block::<8>(*self, rows, stripe, row, &mut out),
                4.. => add_block::<4>(*self, rows, stripe, row, &mut out),
                2.. => add_block::<2>(*self, rows, stripe, row, &mut out),
                _ => add_block::<1>(*self, rows, stripe, row, &mut out),
            };
        }
    }
}

/// `ROWS` rows from row `first` on times a stripe. Returns how many they are.
#[inline(always)]
fn add_block<const ROWS: usize>(
    arithmetic: Pairs,
    rows: Rows<'_>,
    stripe: &[Row16],
    first: usize,
    out: &mut Out<'_>,
) -> usize {
    let mut lines: [&[f32]; ROWS] = [&[]; ROWS];
    for row in 0..ROWS {
        lines[row] = &rows.pairs[(first + row) * rows.length..][..stripe.len()];
    }
    let mut sums = [[arithmetic.load(&NONE); 2]; ROWS];
    for at in 0..stripe.len() {
        let halves: &[Lanes; 2] = stripe[at].numbers().as_chunks().0.first_chunk().expect("32 pairs");
        let numbers = [arithmetic.load(&halves[0]), arithmetic.load(&halves[1])];
        for row in 0..ROWS {
            // SAFETY: a line has as many pairs as the stripe.
            let number = arithmetic.repeat(&[unsafe { *lines[row].get_unchecked(at) }]);
            for half in 0..2 {
                sums[row][half] = arithmetic.multiply_add(number, numbers[half], sums[row][half]);
            }
        }
    }
    for row in 0..ROWS {
        // SAFETY: whoever has a `Pairs` is on a processor that has more than that.
        unsafe { out.put(first + row, sums[row]) };
    }
    ROWS
}
