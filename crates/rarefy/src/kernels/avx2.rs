//! AVX2 with FMA: rows of 64 samples are eight registers.

use std::arch::x86_64::*;
use std::hint::black_box;
use std::ops::Range;

use super::attention::{Arithmetic, Lanes, Step, Unit};
use super::conv::{Bases, Entries, Window};
use super::scalar;
use super::sddmm::{Samples, for_each_group};
use super::spmm::Lines;
use crate::tiles::Row;

#[target_feature(enable = "avx2,fma")]
pub(super) fn run<R>(body: impl FnOnce() -> R) -> R {
    body()
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn spmm(lines: &Lines<'_>, range: Range<usize>, output: &mut [Row]) {
    let columns = lines.index.indices();
    for (line, output) in range.zip(output) {
        let mut sums = match lines.accumulate {
            true => load(output),
            false => [_mm256_set1_ps(lines.finish.start(line)); 8],
        };
        let entries = lines.index.line(line);
        for (&column, &value) in columns[entries.clone()].iter().zip(&lines.values[entries]) {
            let value = _mm256_set1_ps(value);
            let row = load(&lines.input[column as usize]);
            for i in 0..8 {
                sums[i] = _mm256_fmadd_ps(value, row[i], sums[i]);
            }
        }
        for i in 0..8 {
            // SAFETY: a row is 64 floats at a multiple of 64 bytes.
            unsafe { _mm256_store_ps(output.0.as_mut_ptr().add(8 * i), sums[i]) };
        }
        lines.finish.end(lines.first_row + line, &mut output.0);
    }
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
pub(super) fn convolve(entries: &Entries<'_>, bases: &Bases<'_>, first_row: usize, output: &mut [Row]) {
    scalar::convolve(entries, bases, first_row, output);
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn convolve_transposed(
    entries: &Entries<'_>,
    bases: &Bases<'_>,
    first_row: usize,
    output: &mut [Row],
) {
    scalar::convolve_transposed(entries, bases, first_row, output);
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn convolve_gradient(window: &Window<'_>, out: &mut [f32]) {
    scalar::convolve_gradient(window, out);
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn attention(unit: &mut Unit<'_>, step: Step) {
    unit.run::<TwoRegisters, 2>(step);
}

/// 16 samples in two registers; used by nothing but [`attention`].
struct TwoRegisters;

impl Arithmetic for TwoRegisters {
    type Sums = [__m256; 2];

    #[inline(always)]
    fn load(from: &Lanes) -> [__m256; 2] {
        // SAFETY: `from` is 16 floats. (A read, because the load's own function would not be inlined here.)
        unsafe { from.as_ptr().cast::<[__m256; 2]>().read_unaligned() }
    }

    #[inline(always)]
    fn multiply_add(a: [__m256; 2], b: [__m256; 2], sum: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: `attention` has the features.
        unsafe { [_mm256_fmadd_ps(a[0], b[0], sum[0]), _mm256_fmadd_ps(a[1], b[1], sum[1])] }
    }

    #[inline(always)]
    fn store(sums: [__m256; 2], to: &mut Lanes) {
        // SAFETY: `to` is 16 floats.
        unsafe { to.as_mut_ptr().cast::<[__m256; 2]>().write_unaligned(sums) };
    }
}

#[target_feature(enable = "avx2")]
fn load(row: &Row) -> [__m256; 8] {
    // SAFETY: a row is 64 floats at a multiple of 64 bytes.
    std::array::from_fn(|i| unsafe { _mm256_load_ps(row.0.as_ptr().add(8 * i)) })
}

#[target_feature(enable = "avx2,fma")]
fn dot(a: &Row, b: &Row) -> __m256 {
    let (a, b) = (load(a), load(b));
    let mut sum = _mm256_mul_ps(a[0], b[0]);
    for i in 1..8 {
        sum = _mm256_fmadd_ps(a[i], b[i], sum);
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

/// Repeats a multiply-add on 12 independent registers, enough to hide its latency; returns how many floats those hold.
#[target_feature(enable = "avx2,fma")]
pub(super) fn multiply_adds(repeats: usize) -> usize {
    let (factor, term) = (_mm256_set1_ps(black_box(1.0)), _mm256_set1_ps(black_box(0.0)));
    let mut sums = [_mm256_set1_ps(1.0); 12];
    for _ in 0..repeats {
        for sum in &mut sums {
            *sum = _mm256_fmadd_ps(*sum, factor, term);
        }
    }
    8 * black_box(sums).len()
}
