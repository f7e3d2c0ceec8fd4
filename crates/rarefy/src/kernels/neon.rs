//! NEON: rows of 64 samples are sixteen registers, so plain loops over half rows vectorise as they stand.

use std::ops::Range;

use super::sddmm::{Samples, for_each_group};
use super::spmm::{Lines, spmm_fused};
use crate::tiles::{LANES, Row};

pub(super) fn spmm(lines: &Lines<'_>, range: Range<usize>, output: &mut [Row]) {
    spmm_fused(lines, range, output);
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
