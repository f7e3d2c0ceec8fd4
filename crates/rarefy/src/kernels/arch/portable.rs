//! Convolution in plain loops over sixteen or more lanes, which compilers make instructions of: AVX2 and NEON run these, and then the
//! epilogue.

use super::arguments::{Bases, Entries, Window};
use crate::tiles::{LANES, Row};

/// A block of positions of a convolution, filter by filter at each.
#[inline(always)]
pub(super) fn convolve(entries: &Entries<'_>, bases: Bases<'_>, output: &mut [Row]) {
    let filters = entries.index.lines();
    for (place, output) in output.chunks_mut(filters).enumerate() {
        for (filter, output) in output.iter_mut().enumerate() {
            let first_channel = entries.windows.first_channel(filter);
            let mut sums = [entries.epilogue.start(filter); LANES];
            for entry in entries.index.line(filter) {
                let at = entries.windows.places[entries.index.indices()[entry] as usize];
                let row = &bases.rows()[at as usize & 0xff][place][first_channel + (at >> 8) as usize].0;
                let value = entries.values[entry];
                for lane in 0..LANES {
                    sums[lane] = value.mul_add(row[lane], sums[lane]);
                }
            }
            output.0 = sums;
        }
    }
}

/// A block of positions of the input's gradient, channel by channel at each.
#[inline(always)]
pub(super) fn convolve_transposed(entries: &Entries<'_>, bases: Bases<'_>, output: &mut [Row]) {
    let channels = entries.windows.geometry.input.channels;
    for (place, output) in output.chunks_mut(channels).enumerate() {
        for (channel, output) in output.iter_mut().enumerate() {
            let mut sums = [0.0; LANES];
            for (offset, base) in bases.rows().iter().enumerate() {
                for entry in entries.of_channel(channel, offset) {
                    let row = &base[place][entries.index.indices()[entry] as usize].0;
                    for lane in 0..LANES {
                        sums[lane] += entries.values[entry] * row[lane];
                    }
                }
            }
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
            let inputs = &window.bases.rows()[at as usize & 0xff];
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
