//! Asking for memory before it is needed. Processors do so by themselves where they see that rows are read in order, but
//! not across pages, and half a tile fills a page with 16 half rows: loops over them waited for nothing but memory.

use crate::tiles::{HALF, Row};

/// How many rows ahead.
const AHEAD: usize = 16;

/// Asks for the first half of the row that is read 16 rows after row `index`: the second half is dead, or the processor
/// sees by itself that it will be read too.
#[inline(always)]
pub fn fetch_ahead(rows: &[Row], index: usize) {
    if let Some(row) = rows.get(index + AHEAD) {
        fetch(&row.0[..HALF]);
    }
}

/// Asks for the cache line where an array's number `index` stands, if it has so many.
#[inline(always)]
pub fn fetch_place<T>(array: &[T], index: usize) {
    #[cfg(target_arch = "x86_64")]
    if let Some(number) = array.get(index) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: every x86-64 has this instruction; a fetch reads nothing, and the address is that of a number.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(number).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (array, index);
}

/// Asks for a part of a row, some times 16 numbers, to be brought into the L1 cache.
#[inline(always)]
pub(in crate::kernels) fn fetch(numbers: &[f32]) {
    #[cfg(target_arch = "x86_64")]
    for line in numbers.as_chunks::<16>().0 {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: every x86-64 has this instruction; a fetch reads nothing, and the address is that of the numbers.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = numbers;
}
