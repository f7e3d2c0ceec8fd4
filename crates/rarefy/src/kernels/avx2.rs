//! AVX2 with FMA: rows of 64 samples are eight registers.

use std::arch::x86_64::*;
use std::ops::Range;

use super::sddmm::{Samples, for_each_group};
use super::spmm::{Lines, spmm_fused};
use crate::tiles::Row;

#[target_feature(enable = "avx2,fma")]
pub(super) fn run<R>(body: impl FnOnce() -> R) -> R {
    body()
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn spmm(lines: &Lines<'_>, range: Range<usize>, output: &mut [Row]) {
    spmm_fused(lines, range, output);
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn sddmm(samples: &Samples<'_>, positions: Range<usize>, out: &mut [f32], accumulate: bool) {
    let base = positions.start;
    let columns = samples.index.indices();
    for_each_group(samples.index, positions, |line, start, count| {
        let gradient = &samples.gradient[line];
        let columns = &columns[start..columns.len().min(start + 8)];
        let parts = std::array::from_fn(|i| match columns.get(i) {
            Some(&column) => dot(gradient, &samples.input[column as usize]),
            None => _mm256_setzero_ps(),
        });
        let mut sums = [0.0; 8];
        // SAFETY: `sums` is eight floats.
        unsafe { _mm256_storeu_ps(sums.as_mut_ptr(), add_lanes(parts)) };
        for (out, sum) in out[start - base..][..count].iter_mut().zip(sums) {
            *out = if accumulate { *out + sum } else { sum };
        }
    });
}

#[target_feature(enable = "avx2,fma")]
fn dot(a: &Row, b: &Row) -> __m256 {
    // SAFETY: a row is 64 floats at a multiple of 64 bytes.
    let load = |row: &Row, i: usize| unsafe { _mm256_load_ps(row.0.as_ptr().add(8 * i)) };
    let mut sum = _mm256_mul_ps(load(a, 0), load(b, 0));
    for i in 1..8 {
        sum = _mm256_fmadd_ps(load(a, i), load(b, i), sum);
    }
    sum
}

/// The lane sums of eight registers.
#[target_feature(enable = "avx2")]
fn add_lanes(v: [__m256; 8]) -> __m256 {
    let pairs: [__m256; 4] = std::array::from_fn(|i| _mm256_hadd_ps(v[2 * i], v[2 * i + 1]));
    let [a, b]: [__m256; 2] = std::array::from_fn(|i| _mm256_hadd_ps(pairs[2 * i], pairs[2 * i + 1]));
    // `a` holds partial sums of registers 0-3 in either half, `b` those of 4-7.
    _mm256_add_ps(_mm256_permute2f128_ps::<0x20>(a, b), _mm256_permute2f128_ps::<0x31>(a, b))
}
