//! The oracle: plain loops that read like the formulas. Other instruction sets agree with it to rounding.

use std::ops::Range;

use super::sddmm::Samples;
use super::spmm::Lines;
use crate::tiles::{LANES, Row};

pub(super) fn spmm(lines: &Lines<'_>, range: Range<usize>, output: &mut [Row]) {
    for (line, output) in range.zip(output) {
        let mut sums = [lines.finish.start(line); LANES];
        for entry in lines.index.line(line) {
            let row = &lines.input[lines.index.indices()[entry] as usize].0;
            for lane in 0..LANES {
                sums[lane] += lines.values[entry] * row[lane];
            }
        }
        lines.finish.end(lines.first_row + line, &mut sums);
        output.0 = sums;
    }
}

pub(super) fn sddmm(samples: &Samples<'_>, positions: Range<usize>, out: &mut [f32], accumulate: bool) {
    let offsets = samples.index.offsets();
    let mut line = 0;
    for (position, out) in positions.zip(out) {
        while offsets[line + 1] as usize <= position {
            line += 1;
        }
        let gradient = &samples.gradient[line].0;
        let input = &samples.input[samples.index.indices()[position] as usize].0;
        let dot: f32 = gradient.iter().zip(input).map(|(gradient, input)| gradient * input).sum();
        *out = if accumulate { *out + dot } else { dot };
    }
}
