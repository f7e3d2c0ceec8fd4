//! NEON: rows of 64 samples are sixteen registers, so plain loops over half rows vectorise as they stand.

use std::ops::Range;

use super::attention::{Arithmetic, Lanes};
use super::sddmm::{Samples, for_each_group};
use super::spmm::Lines;
use crate::tiles::{LANES, Row};

pub(super) fn spmm(lines: &Lines<'_>, range: Range<usize>, output: &mut [Row]) {
    for (line, output) in range.zip(output) {
        // A quarter of the row at a time: four registers of sums, and as many in flight as hide the latency.
        for quarter in 0..4 {
            let mut sums = [lines.finish.start(line); LANES / 4];
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
        lines.finish.end(lines.first_row + line, &mut output.0);
    }
}

pub(super) fn sddmm(samples: &Samples<'_>, positions: Range<usize>, out: &mut [f32], accumulate: bool) {
    let base = positions.start;
    for_each_group(samples.index, positions, |line, start, count| {
        let gradient = &samples.gradient[line].0;
        for position in start..start + count {
            let input = &samples.input[samples.index.indices()[position] as usize].0;
            // Four registers of partial sums hide the latency of the multiply-adds.
            let mut sums = [0.0f32; 16];
            for block in 0..LANES / 16 {
                for lane in 0..16 {
                    sums[lane] = gradient[16 * block + lane].mul_add(input[16 * block + lane], sums[lane]);
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
    });
}

/// 16 samples in four registers, for attention.
pub(super) struct FourRegisters;

impl Arithmetic for FourRegisters {
    type Sums = Lanes;

    #[inline(always)]
    fn load(from: &Lanes) -> Lanes {
        *from
    }

    #[inline(always)]
    fn multiply_add(a: Lanes, b: Lanes, mut sum: Lanes) -> Lanes {
        for at in 0..sum.len() {
            sum[at] = a[at].mul_add(b[at], sum[at]);
        }
        sum
    }

    #[inline(always)]
    fn store(sums: Lanes, to: &mut Lanes) {
        *to = sums;
    }
}
