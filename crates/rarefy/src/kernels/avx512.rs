//! AVX-512: rows of 64 samples are four registers.

use std::arch::x86_64::*;
use std::hint::black_box;
use std::ops::Range;

use super::sddmm::{Samples, for_each_group};
use super::spmm::Lines;
use crate::tiles::Row;

#[target_feature(enable = "avx512f,avx512vl,avx2,fma")]
pub(super) fn run<R>(body: impl FnOnce() -> R) -> R {
    body()
}

#[target_feature(enable = "avx512f,avx512vl,avx2,fma")]
pub(super) fn spmm(lines: &Lines<'_>, range: Range<usize>, output: &mut [Row]) {
    let columns = lines.index.indices();
    for (line, output) in range.zip(output) {
        let mut sums = [_mm512_set1_ps(lines.finish.start(line)); 4];
        let entries = lines.index.line(line);
        for (&column, &value) in columns[entries.clone()].iter().zip(&lines.values[entries]) {
            let value = _mm512_set1_ps(value);
            let row = load(&lines.input[column as usize]);
            for i in 0..4 {
                sums[i] = _mm512_fmadd_ps(value, row[i], sums[i]);
            }
        }
        for i in 0..4 {
            // SAFETY: a row is 64 floats at a multiple of 64 bytes.
            unsafe { _mm512_store_ps(output.0.as_mut_ptr().add(16 * i), sums[i]) };
        }
        lines.finish.end(lines.first_row + line, &mut output.0);
    }
}

#[target_feature(enable = "avx512f,avx512vl,avx2,fma")]
pub(super) fn sddmm(samples: &Samples<'_>, positions: Range<usize>, out: &mut [f32], accumulate: bool) {
    /// How many entries ahead rows are fetched: +20 % at 4096 columns, +2 % at 1024.
    const AHEAD: usize = 12;
    let base = positions.start;
    let columns = samples.index.indices();
    let dot = |[d0, d1, d2, d3]: [__m512; 4], column: u32| {
        let [x0, x1, x2, x3] = load(&samples.input[column as usize]);
        _mm512_fmadd_ps(d3, x3, _mm512_fmadd_ps(d2, x2, _mm512_fmadd_ps(d1, x1, _mm512_mul_ps(d0, x0))))
    };
    for_each_group(samples.index, positions, |line, start, count| {
        let gradient = load(&samples.gradient[line]);
        let next = columns.get(start + AHEAD..start + AHEAD + 8);
        let sums = match columns.get(start..start + 8) {
            Some(columns) => add_lanes(std::array::from_fn(|i| {
                if let Some(next) = next {
                    fetch(&samples.input[next[i] as usize]);
                }
                dot(gradient, columns[i])
            })),
            None => add_lanes(std::array::from_fn(|i| match columns.get(start + i) {
                Some(&column) => dot(gradient, column),
                None => _mm512_setzero_ps(),
            })),
        };
        let out = &mut out[start - base..][..count];
        let mask = (0xff_u32 >> (8 - count)) as __mmask8;
        // SAFETY: the mask lets through the first `count` floats, which is the length of `out`.
        unsafe {
            let sums = if accumulate {
                _mm256_add_ps(_mm256_maskz_loadu_ps(mask, out.as_ptr()), sums)
            } else {
                sums
            };
            _mm256_mask_storeu_ps(out.as_mut_ptr(), mask, sums);
        }
    });
}

/// Asks for a row to be brought into the L1 cache.
#[target_feature(enable = "avx512f")]
fn fetch(row: &Row) {
    let start = row.0.as_ptr();
    for i in 0..4 {
        // SAFETY: a fetch reads nothing; the address lies in the row.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(start.add(16 * i).cast()) };
    }
}

#[target_feature(enable = "avx512f")]
fn load(row: &Row) -> [__m512; 4] {
    // SAFETY: a row is 64 floats at a multiple of 64 bytes.
    std::array::from_fn(|i| unsafe { _mm512_load_ps(row.0.as_ptr().add(16 * i)) })
}

/// The lane sums of eight registers: transposed and added pairwise, halving the registers at each level.
#[target_feature(enable = "avx512f,avx512vl")]
fn add_lanes(v: [__m512; 8]) -> __m256 {
    let pairs: [__m512; 4] = std::array::from_fn(|i| {
        let (a, b) = (v[2 * i], v[2 * i + 1]);
        _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b))
    });
    let [a, b]: [__m512; 2] = std::array::from_fn(|i| {
        let (a, b) = (_mm512_castps_pd(pairs[2 * i]), _mm512_castps_pd(pairs[2 * i + 1]));
        let (low, high) = (_mm512_unpacklo_pd(a, b), _mm512_unpackhi_pd(a, b));
        _mm512_add_ps(_mm512_castpd_ps(low), _mm512_castpd_ps(high))
    });
    // Each 128-bit lane of `a` now holds partial sums of registers 0-3, of `b` those of 4-7.
    let halves = _mm512_add_ps(_mm512_shuffle_f32x4::<0x88>(a, b), _mm512_shuffle_f32x4::<0xdd>(a, b));
    let whole = _mm512_add_ps(
        _mm512_shuffle_f32x4::<0x08>(halves, halves),
        _mm512_shuffle_f32x4::<0x0d>(halves, halves),
    );
    _mm512_castps512_ps256(whole)
}

/// Repeats a multiply-add on 12 independent registers, enough to hide its latency; returns how many floats those hold.
#[target_feature(enable = "avx512f,avx512vl,avx2,fma")]
pub(super) fn multiply_adds(repeats: usize) -> usize {
    let (factor, term) = (_mm512_set1_ps(black_box(1.0)), _mm512_set1_ps(black_box(0.0)));
    let mut sums = [_mm512_set1_ps(1.0); 12];
    for _ in 0..repeats {
        for sum in &mut sums {
            *sum = _mm512_fmadd_ps(*sum, factor, term);
        }
    }
    16 * black_box(sums).len()
}
