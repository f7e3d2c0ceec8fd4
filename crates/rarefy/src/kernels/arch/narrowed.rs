//! Rows of bf16 numbers as products read them.

use std::arch::x86_64::*;

use super::blocks::Numbers;
use crate::tiles::{HALF, LANES, Row, Row16};

/// The pairs of a row. Of each half, of 32 lanes, the words are ordered so that `unpacklo` and `unpackhi` of two rows have their pairs in
/// order: four of lanes 0 to 15, four of lanes 16 to 31, and so on.
impl Row16 {
    /// Where its 64 words begin.
    #[inline(always)]
    pub(super) fn words(&self) -> *const u16 {
        self.0.as_ptr().cast()
    }

    /// The pairs of half 0 or 1.
    #[inline(always)]
    pub(super) fn half(&self, half: usize) -> &[u32; HALF / 2] {
        &self.0.as_chunks().0[half]
    }
}

/// Two samples in the place of a number.
impl Numbers for Row16 {
    const COUNT: usize = LANES / 2;

    #[inline(always)]
    fn numbers(&self) -> &[f32] {
        bytemuck::must_cast_slice(&self.0)
    }
}

/// Narrows rows, to the nearest: numbers that bf16 has stay what they are.
///
/// # Safety
/// The processor has these features.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16,avx2,fma")]
pub(super) fn narrow(rows: &[Row], out: &mut [Row16]) {
    let order = _mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7);
    for (row, out) in rows.iter().zip(out) {
        for (from, to) in row.0.as_chunks::<HALF>().0.iter().zip(out.0.as_chunks_mut::<{ HALF / 2 }>().0) {
            // SAFETY: from two times 16 numbers of 32 bits come 16.
            unsafe {
                let (first, second) =
                    (_mm512_loadu_ps(from.as_ptr()), _mm512_loadu_ps(from.as_ptr().add(16)));
                let words: __m512i = std::mem::transmute(_mm512_cvtne2ps_pbh(second, first));
                _mm512_storeu_si512(to.as_mut_ptr().cast(), _mm512_permutexvar_epi64(order, words));
            }
        }
    }
}
