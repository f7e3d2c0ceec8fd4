//! AVX2 with FMA: rows of 64 samples are eight registers.

use std::arch::x86_64::*;
use std::hint::black_box;
use std::ops::Range;

use super::arguments::{Bases, Entries, Epilogue, Groups, Lines, Samples, Window};
use super::lanes::{Arithmetic, Lanes, OnLanes};
use super::portable;
use super::scalar;
use super::vectorized::Vectorized;
use crate::tiles::{LANES, Row};

pub(super) const NAME: &str = "avx2";
pub(super) const HAS_HALVES: bool = false;
pub(super) const IS_FUSED: bool = true;

#[target_feature(enable = "avx2,fma")]
pub(super) fn run<V: Vectorized>(body: V) -> V::Output {
    body.run()
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn spmm(lines: &Lines<'_>, range: Range<usize>, output: &mut [Row]) {
    let columns = lines.index.indices();
    for (line, output) in range.zip(output) {
        let mut sums =
            if lines.accumulate { load(output) } else { [_mm256_set1_ps(lines.epilogue.start(line)); 8] };
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
        end(&lines.epilogue, lines.first_row + line, &mut output.0);
    }
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn spmm_halves(lines: &Lines<'_>, output: &mut [Row]) {
    scalar::spmm_halves(lines, output);
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn sddmm<const N: usize>(
    samples: &Samples<'_, N>,
    positions: Range<usize>,
    out: &mut [f32],
    accumulate: bool,
    _is_half: bool,
) {
    let base = positions.start;
    let columns = samples.index.indices();
    for (line, start, count) in Groups::new(samples.index, positions) {
        let columns = &columns[start..columns.len().min(start + 8)];
        let mut parts = [_mm256_setzero_ps(); 8];
        for (sum, &column) in parts.iter_mut().zip(columns) {
            for (gradient, input) in samples.gradient.iter().zip(samples.input) {
                *sum = add_dot(*sum, &gradient[line], &input[column as usize]);
            }
        }
        let mut sums = [0.0; 8];
        // SAFETY: `sums` is eight floats.
        unsafe { _mm256_storeu_ps(sums.as_mut_ptr(), add_lanes(parts)) };
        for (out, sum) in out[start - base..][..count].iter_mut().zip(sums) {
            *out = if accumulate { *out + sum } else { sum };
        }
    }
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn convolve(entries: &Entries<'_>, bases: Bases<'_>, first_row: usize, output: &mut [Row]) {
    portable::convolve(entries, bases, output);
    for (at, row) in output.iter_mut().enumerate() {
        end(&entries.epilogue, first_row + at, &mut row.0);
    }
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn convolve_transposed(
    entries: &Entries<'_>,
    bases: Bases<'_>,
    first_row: usize,
    output: &mut [Row],
) {
    portable::convolve_transposed(entries, bases, output);
    for (at, row) in output.iter_mut().enumerate() {
        end(&entries.epilogue, first_row + at, &mut row.0);
    }
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn convolve_gradient(window: &Window<'_>, out: &mut [f32]) {
    portable::convolve_gradient(window, out);
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn on_lanes(body: impl OnLanes) {
    body.run::<TwoRegisters, 2>(TwoRegisters(()));
}

#[target_feature(enable = "avx2,fma")]
#[inline]
pub(super) fn end<const N: usize>(epilogue: &Epilogue<'_>, row: usize, sums: &mut [f32; N]) {
    if !epilogue.end_soon(row, sums) {
        end_by_call(epilogue, row, sums);
    }
}

#[target_feature(enable = "avx2,fma")]
#[inline(never)]
fn end_by_call<const N: usize>(epilogue: &Epilogue<'_>, row: usize, sums: &mut [f32; N]) {
    epilogue.end(row, sums);
}

/// 16 lanes in two registers; made by nothing but [`on_lanes`], which runs where the processor has these features.
#[derive(Clone, Copy)]
struct TwoRegisters(());

impl Arithmetic for TwoRegisters {
    type Sums = [__m256; 2];

    #[inline(always)]
    fn load(self, from: &Lanes) -> [__m256; 2] {
        // SAFETY: `from` is 16 floats. (A read, because the load's own function would not be inlined here.)
        unsafe { from.as_ptr().cast::<[__m256; 2]>().read_unaligned() }
    }

    #[inline(always)]
    fn multiply_add(self, a: [__m256; 2], b: [__m256; 2], sum: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: a value of this type exists only where the processor has the features.
        unsafe { [_mm256_fmadd_ps(a[0], b[0], sum[0]), _mm256_fmadd_ps(a[1], b[1], sum[1])] }
    }

    #[inline(always)]
    fn store(self, sums: [__m256; 2], to: &mut Lanes) {
        // SAFETY: `to` is 16 floats.
        unsafe { to.as_mut_ptr().cast::<[__m256; 2]>().write_unaligned(sums) };
    }

    #[inline(always)]
    fn end(self, epilogue: &Epilogue<'_>, row: usize, sums: &mut [f32; LANES]) {
        // SAFETY: a value of this type exists only where the processor has the features.
        unsafe { end(epilogue, row, sums) };
    }

    #[inline(always)]
    fn add(self, a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: as for `multiply_add`.
        unsafe { [_mm256_add_ps(a[0], b[0]), _mm256_add_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn repeat<const P: usize>(self, from: &[f32; P]) -> [__m256; 2] {
        const { assert!(16 % P == 0) };
        let from = from.as_ptr();
        // SAFETY: `from` is as many floats as are read; the features as above.
        unsafe {
            match P {
                1 => [_mm256_set1_ps(*from); 2],
                2 => [_mm256_castpd_ps(_mm256_set1_pd(from.cast::<f64>().read_unaligned())); 2],
                4 => {
                    let four = from.cast::<__m128>().read_unaligned();
                    [_mm256_set_m128(four, four); 2]
                }
                8 => [from.cast::<__m256>().read_unaligned(); 2],
                _ => from.cast::<[__m256; 2]>().read_unaligned(),
            }
        }
    }

    #[inline(always)]
    fn add_pairs(self, a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: as for `multiply_add`.
        unsafe { [add_pairs(a[0], a[1]), add_pairs(b[0], b[1])] }
    }
}

/// The sums of two neighbours each, in order.
#[inline]
#[target_feature(enable = "avx2")]
fn add_pairs(a: __m256, b: __m256) -> __m256 {
    // Quarters: those of `a`'s first half, of `b`'s first half, of `a`'s second and of `b`'s second.
    let quarters = _mm256_castps_pd(_mm256_hadd_ps(a, b));
    _mm256_castpd_ps(_mm256_permute4x64_pd::<0b11_01_10_00>(quarters))
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(row: &Row) -> [__m256; 8] {
    let mut registers = [_mm256_setzero_ps(); 8];
    for (i, register) in registers.iter_mut().enumerate() {
        // SAFETY: a row is 64 floats at a multiple of 64 bytes.
        *register = unsafe { _mm256_load_ps(row.0.as_ptr().add(8 * i)) };
    }
    registers
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn add_dot(mut sum: __m256, a: &Row, b: &Row) -> __m256 {
    let (a, b) = (load(a), load(b));
    for i in 0..8 {
        sum = _mm256_fmadd_ps(a[i], b[i], sum);
    }
    sum
}

/// The lane sums of eight registers.
#[inline]
#[target_feature(enable = "avx2")]
fn add_lanes(v: [__m256; 8]) -> __m256 {
    let mut pairs = [_mm256_setzero_ps(); 4];
    for i in 0..4 {
        pairs[i] = _mm256_hadd_ps(v[2 * i], v[2 * i + 1]);
    }
    let (a, b) = (_mm256_hadd_ps(pairs[0], pairs[1]), _mm256_hadd_ps(pairs[2], pairs[3]));
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
