//! Products of packed matrices by tiles: 16 rows and a stripe of 32 columns are two tiles of sums.

use std::arch::x86_64::*;

use super::unit::{Tiles, Unit};
use super::{STRIDE, WHOLE, WIDTH};
use crate::kernels::arch::matrix::Matrix;
use crate::kernels::arch::matrix_bf16::{self, Multiplier, Out, Rows};
use crate::tiles::Row16;

/// `out = A B`, or `out += A B`, of dense matrices.
///
/// # Safety
/// The processor has these features and tiles, which this process may use; both matrices hold all their numbers, and one of the strides of
/// each is 1.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16,avx2,fma")]
pub(in crate::kernels::arch) unsafe fn product(
    a: Matrix<'_>,
    b: Matrix<'_>,
    out: &mut [f32],
    accumulate: bool,
) {
    // SAFETY: as the caller promises; the features are those of this function.
    unsafe { matrix_bf16::product(Whole::new(Unit::new()), a, b, out, accumulate) };
}

/// Tiles that multiply whole ones.
struct Whole<T>(T);

impl<T: Tiles> Whole<T> {
    #[inline(always)]
    fn new(mut tiles: T) -> Whole<T> {
        tiles.configure(&WHOLE);
        Whole(tiles)
    }
}

impl<T: Tiles> Multiplier for Whole<T> {
    #[inline(always)]
    fn multiply(&mut self, rows: Rows<'_>, stripe: &[Row16], _: usize, mut out: Out<'_>) {
        let tiles = &mut self.0;
        assert!(rows.pairs.len() >= 15 * rows.length + stripe.len() && stripe.len().is_multiple_of(WIDTH));
        tiles.zero::<0>();
        tiles.zero::<1>();
        for pair in (0..stripe.len()).step_by(WIDTH) {
            let (a, b) = (rows.pairs[pair..].as_ptr().cast(), stripe[pair..].as_ptr().cast::<u8>());
            // SAFETY: there are 16 rows of 16 pairs and 16 pairs of 32 columns (checked above).
            unsafe {
                tiles.load::<2>(a, size_of::<f32>() * rows.length);
                tiles.load::<3>(b, size_of::<Row16>());
                tiles.dot::<0, 2, 3>();
                tiles.load::<4>(b.add(STRIDE), size_of::<Row16>());
                tiles.dot::<1, 2, 4>();
            }
        }
        let mut sums = [Row16::ZERO; 16];
        let to: *mut u8 = sums.as_mut_ptr().cast();
        // SAFETY: that is room for 16 rows of two tiles; whoever has tiles has AVX-512.
        unsafe {
            tiles.store::<0>(to, size_of::<Row16>());
            tiles.store::<1>(to.add(STRIDE), size_of::<Row16>());
            for row in 0..rows.count {
                let from: *const f32 = sums[row].0.as_ptr().cast();
                out.put(row, [_mm512_loadu_ps(from), _mm512_loadu_ps(from.add(WIDTH))]);
            }
        }
    }
}
