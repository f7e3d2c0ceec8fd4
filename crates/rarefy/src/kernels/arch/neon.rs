//! NEON: rows of 64 samples are sixteen registers, so plain loops over half rows vectorise as they stand.

use std::ops::Range;

use super::arguments::{Bases, Entries, Epilogue, Groups, Lines, Samples};
use super::lanes::{self, Arithmetic, Lanes, OnLanes};
use super::vectorized::Vectorized;
use super::{portable, scalar};

pub(super) use super::portable::convolve_gradient;
pub(super) use super::scalar::end;

pub(super) const NAME: &str = "neon";
pub(super) const HAS_HALVES: bool = false;
pub(super) const IS_FUSED: bool = true;

pub(super) fn run<V: Vectorized>(body: V) -> V::Output {
    body.run()
}

pub(super) fn on_lanes(body: impl OnLanes) {
    body.run::<FourRegisters, 2>(FourRegisters);
}
use crate::tiles::{LANES, Row};

pub(super) fn spmm(lines: &Lines<'_>, range: Range<usize>, output: &mut [Row]) {
    for (line, output) in range.zip(output) {
        // A quarter of the row at a time: four registers of sums, and as many in flight as hide the latency.
        for quarter in 0..4 {
            let mut sums = [lines.epilogue.start(line); LANES / 4];
            if lines.accumulate {
                sums.copy_from_slice(&output.0[quarter * LANES / 4..][..LANES / 4]);
            }
            for entry in lines.index.line(line) {
                let row = &lines.input[lines.index.indices()[entry] as usize].0;
                let value = lines.values[entry];
                for lane in 0..LANES / 4 {
                    sums[lane] = value.mul_add(row[quarter * LANES / 4 + lane], sums[lane]);
                }
            }
            output.0[quarter * LANES / 4..][..LANES / 4].copy_from_slice(&sums);
        }
        end(&lines.epilogue, lines.first_row + line, &mut output.0);
    }
}

pub(super) fn spmm_halves(lines: &Lines<'_>, output: &mut [Row]) {
    scalar::spmm_halves(lines, output);
}

pub(super) fn convolve(entries: &Entries<'_>, bases: Bases<'_>, first_row: usize, output: &mut [Row]) {
    portable::convolve(entries, bases, output);
    for (at, row) in output.iter_mut().enumerate() {
        end(&entries.epilogue, first_row + at, &mut row.0);
    }
}

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

pub(super) fn sddmm<const N: usize>(
    samples: &Samples<'_, N>,
    positions: Range<usize>,
    out: &mut [f32],
    accumulate: bool,
    _is_half: bool,
) {
    let base = positions.start;
    for (line, start, count) in Groups::new(samples.index, positions) {
        for position in start..start + count {
            let column = samples.index.indices()[position] as usize;
            // Four registers of partial sums hide the latency of the multiply-adds.
            let mut sums = [0.0f32; 16];
            for (gradient, input) in samples.gradient.iter().zip(samples.input) {
                let (gradient, input) = (&gradient[line].0, &input[column].0);
                for block in 0..LANES / 16 {
                    for lane in 0..16 {
                        sums[lane] =
                            gradient[16 * block + lane].mul_add(input[16 * block + lane], sums[lane]);
                    }
                }
            }
            let mut width = 8;
            while width > 0 {
                for lane in 0..width {
                    sums[lane] += sums[lane + width];
                }
                width /= 2;
            }
            let out = &mut out[position - base];
            *out = if accumulate { *out + sums[0] } else { sums[0] };
        }
    }
}

/// 16 lanes in four registers.
#[derive(Clone, Copy)]
struct FourRegisters;

impl Arithmetic for FourRegisters {
    type Sums = Lanes;

    #[inline(always)]
    fn load(self, from: &Lanes) -> Lanes {
        *from
    }

    #[inline(always)]
    fn multiply_add(self, a: Lanes, b: Lanes, mut sum: Lanes) -> Lanes {
        for at in 0..sum.len() {
            sum[at] = a[at].mul_add(b[at], sum[at]);
        }
        sum
    }

    #[inline(always)]
    fn store(self, sums: Lanes, to: &mut Lanes) {
        *to = sums;
    }

    #[inline(always)]
    fn end(self, epilogue: &Epilogue<'_>, row: usize, sums: &mut [f32; LANES]) {
        end(epilogue, row, sums);
    }

    #[inline(always)]
    fn add(self, a: Lanes, b: Lanes) -> Lanes {
        lanes::add(a, b)
    }

    #[inline(always)]
    fn repeat<const P: usize>(self, from: &[f32; P]) -> Lanes {
        lanes::repeat(from)
    }

    #[inline(always)]
    fn add_pairs(self, a: Lanes, b: Lanes) -> Lanes {
        lanes::add_pairs(a, b)
    }
}

pub(super) fn multiply_adds(repeats: usize) -> usize {
    scalar::chains(repeats, f32::mul_add)
}
