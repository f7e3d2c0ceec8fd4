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
        fetch::<HALF>(row);
    }
}

/// Asks for the first `N` numbers of a row to be brought into the L1 cache.
#[inline(always)]
pub(super) fn fetch<const N: usize>(row: &Row) {
    #[cfg(target_arch = "x86_64")]
    for line in row.0[..N].as_chunks::<16>().0 {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: every x86-64 has this instruction; a fetch reads nothing, and the address lies in the row.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = row;
}
