//! Turning 16 rows of 16 double words.

use std::arch::x86_64::*;

/// Rows as columns.
///
/// # Safety
/// The processor has AVX-512.
#[inline(always)]
pub(super) unsafe fn transpose(rows: [__m512i; 16]) -> [__m512i; 16] {
    // SAFETY: as the caller promises.
    unsafe {
        let mut twos = [_mm512_setzero_si512(); 16];
        for at in 0..8 {
            twos[2 * at] = _mm512_unpacklo_epi32(rows[2 * at], rows[2 * at + 1]);
            twos[2 * at + 1] = _mm512_unpackhi_epi32(rows[2 * at], rows[2 * at + 1]);
        }
        // In each quarter of a register column `k` of four rows.
        let mut fours = [_mm512_setzero_si512(); 16];
        for at in 0..4 {
            let [a, b, c, d] = [twos[4 * at], twos[4 * at + 1], twos[4 * at + 2], twos[4 * at + 3]];
            fours[4 * at] = _mm512_unpacklo_epi64(a, c);
            fours[4 * at + 1] = _mm512_unpackhi_epi64(a, c);
            fours[4 * at + 2] = _mm512_unpacklo_epi64(b, d);
            fours[4 * at + 3] = _mm512_unpackhi_epi64(b, d);
        }
        let mut columns = [_mm512_setzero_si512(); 16];
        for k in 0..4 {
            let [a, b, c, d] = [fours[k], fours[4 + k], fours[8 + k], fours[12 + k]];
            let (even_low, odd_low) =
                (_mm512_shuffle_i32x4::<0x88>(a, b), _mm512_shuffle_i32x4::<0xdd>(a, b));
            let (even_high, odd_high) =
                (_mm512_shuffle_i32x4::<0x88>(c, d), _mm512_shuffle_i32x4::<0xdd>(c, d));
            columns[k] = _mm512_shuffle_i32x4::<0x88>(even_low, even_high);
            columns[4 + k] = _mm512_shuffle_i32x4::<0x88>(odd_low, odd_high);
            columns[8 + k] = _mm512_shuffle_i32x4::<0xdd>(even_low, even_high);
            columns[12 + k] = _mm512_shuffle_i32x4::<0xdd>(odd_low, odd_high);
        }
        columns
    }
}
