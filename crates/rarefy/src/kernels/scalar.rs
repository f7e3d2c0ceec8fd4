//! The oracle: plain loops that read like the formulas. Other instruction sets agree with it to rounding.

use std::ops::Range;

use super::conv::{Bases, Entries, Window};
use super::sddmm::Samples;
use super::spmm::Lines;
use crate::tiles::{LANES, Row};

pub(super) fn spmm(lines: &Lines<'_>, range: Range<usize>, output: &mut [Row]) {
    for (line, output) in range.zip(output) {
        let mut sums = if lines.accumulate { output.0 } else { [lines.finish.start(line); LANES] };
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

/// A block of positions of a convolution, filter by filter at each.
#[inline(always)]
pub(super) fn convolve(entries: &Entries<'_>, bases: &Bases<'_>, first_row: usize, output: &mut [Row]) {
    let filters = entries.index.lines();
    for (place, output) in output.chunks_mut(filters).enumerate() {
        for (filter, output) in output.iter_mut().enumerate() {
            let first_channel = entries.windows.first_channel(filter);
            let mut sums = [entries.finish.start(filter); LANES];
            for entry in entries.index.line(filter) {
                let at = entries.windows.places[entries.index.indices()[entry] as usize];
                let row = &bases[at as usize & 0xff][place][first_channel + (at >> 8) as usize].0;
                for lane in 0..LANES {
                    sums[lane] += entries.values[entry] * row[lane];
                }
            }
            entries.finish.end(first_row + place * filters + filter, &mut sums);
            output.0 = sums;
        }
    }
}

/// A block of positions of the input's gradient, channel by channel at each.
#[inline(always)]
pub(super) fn convolve_transposed(
    entries: &Entries<'_>,
    bases: &Bases<'_>,
    first_row: usize,
    output: &mut [Row],
) {
    let channels = entries.windows.geometry.input.channels;
    for (place, output) in output.chunks_mut(channels).enumerate() {
        for (channel, output) in output.iter_mut().enumerate() {
            let mut sums = [0.0; LANES];
            for (offset, base) in bases.iter().enumerate() {
                for entry in entries.of_channel(channel, offset) {
                    let row = &base[place][entries.index.indices()[entry] as usize].0;
                    for lane in 0..LANES {
                        sums[lane] += entries.values[entry] * row[lane];
                    }
                }
            }
            entries.finish.end(first_row + place * channels + channel, &mut sums);
            output.0 = sums;
        }
    }
}

/// Adds a block's part of the gradient of every entry.
#[inline(always)]
pub(super) fn convolve_gradient(window: &Window<'_>, out: &mut [f32]) {
    for filter in 0..window.index.lines() {
        let first_channel = window.windows.first_channel(filter);
        for entry in window.index.line(filter) {
            let at = window.windows.places[window.index.indices()[entry] as usize];
            let inputs = &window.bases[at as usize & 0xff];
            let channel = first_channel + (at >> 8) as usize;
            let mut sums = [0.0; 16];
            for (gradient, input) in window.gradients.iter().zip(inputs) {
                let (gradient, input) = (&gradient[filter].0, &input[channel].0);
                for (gradient, input) in gradient.as_chunks::<16>().0.iter().zip(input.as_chunks::<16>().0) {
                    for (sum, (gradient, input)) in sums.iter_mut().zip(gradient.iter().zip(input)) {
                        *sum += gradient * input;
                    }
                }
            }
            out[entry] += sums.iter().sum::<f32>();
        }
    }
}
