//! The oracle: plain loops that read like the formulas. Other instruction sets agree with it to rounding.

use std::ops::Range;

use super::arguments::{Bases, Entries, Epilogue, Lines, Samples, Window};
use super::lanes::{self, Arithmetic, Lanes, OnLanes};
use super::vectorized::Vectorized;
use crate::tiles::{LANES, Row};

pub(super) const NAME: &str = "scalar";
pub(super) const HAS_HALVES: bool = false;
pub(super) const IS_FUSED: bool = false;

pub(super) fn run<V: Vectorized>(body: V) -> V::Output {
    body.run()
}

pub(super) fn on_lanes(body: impl OnLanes) {
    body.run::<Plain, 2>(Plain);
}

#[inline(never)]
pub(super) fn end<const N: usize>(epilogue: &Epilogue<'_>, row: usize, sums: &mut [f32; N]) {
    epilogue.end(row, sums);
}

pub(super) fn spmm(lines: &Lines<'_>, range: Range<usize>, output: &mut [Row]) {
    for (line, output) in range.zip(output) {
        let mut sums = if lines.accumulate { output.0 } else { [lines.epilogue.start(line); LANES] };
        for entry in lines.index.line(line) {
            let row = &lines.input[lines.index.indices()[entry] as usize].0;
            for lane in 0..LANES {
                sums[lane] += lines.values[entry] * row[lane];
            }
        }
        end(&lines.epilogue, lines.first_row + line, &mut sums);
        output.0 = sums;
    }
}

pub(super) fn spmm_halves(lines: &Lines<'_>, output: &mut [Row]) {
    let height = lines.index.lines();
    let width = lines.input.len() / (output.len() / height);
    for (panel, output) in output.chunks_exact_mut(height).enumerate() {
        let (input, first_row) = (&lines.input[panel * width..][..width], lines.first_row + panel * height);
        spmm(&Lines { input, first_row, ..*lines }, 0..height, output);
    }
}

pub(super) fn sddmm<const N: usize>(
    samples: &Samples<'_, N>,
    positions: Range<usize>,
    out: &mut [f32],
    accumulate: bool,
    _is_half: bool,
) {
    let offsets = samples.index.offsets();
    let mut line = 0;
    for (position, out) in positions.zip(out) {
        while offsets[line + 1] as usize <= position {
            line += 1;
        }
        let column = samples.index.indices()[position] as usize;
        let mut dot = if accumulate { *out } else { 0.0 };
        for (gradient, input) in samples.gradient.iter().zip(samples.input) {
            let pairs = gradient[line].0.iter().zip(&input[column].0);
            dot += pairs.map(|(gradient, input)| gradient * input).sum::<f32>();
        }
        *out = dot;
    }
}

/// A block of positions of a convolution, filter by filter at each.
pub(super) fn convolve(entries: &Entries<'_>, bases: Bases<'_>, first_row: usize, output: &mut [Row]) {
    let filters = entries.index.lines();
    for (place, output) in output.chunks_mut(filters).enumerate() {
        for (filter, output) in output.iter_mut().enumerate() {
            let first_channel = entries.windows.first_channel(filter);
            let mut sums = [entries.epilogue.start(filter); LANES];
            for entry in entries.index.line(filter) {
                let at = entries.windows.places[entries.index.indices()[entry] as usize];
                let row = &bases.rows()[at as usize & 0xff][place][first_channel + (at >> 8) as usize].0;
                for lane in 0..LANES {
                    sums[lane] += entries.values[entry] * row[lane];
                }
            }
            end(&entries.epilogue, first_row + place * filters + filter, &mut sums);
            output.0 = sums;
        }
    }
}

/// A block of positions of the input's gradient, channel by channel at each.
pub(super) fn convolve_transposed(
    entries: &Entries<'_>,
    bases: Bases<'_>,
    first_row: usize,
    output: &mut [Row],
) {
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
            end(&entries.epilogue, first_row + place * channels + channel, &mut sums);
            output.0 = sums;
        }
    }
}

/// Adds a block's part of the gradient of every entry.
pub(super) fn convolve_gradient(window: &Window<'_>, out: &mut [f32]) {
    for filter in 0..window.index.lines() {
        let first_channel = window.windows.first_channel(filter);
        for entry in window.index.line(filter) {
            let at = window.windows.places[window.index.indices()[entry] as usize];
            let inputs = &window.bases.rows()[at as usize & 0xff];
            let channel = first_channel + (at >> 8) as usize;
            // Sixteen running sums, as an instruction set has them.
            let mut sums = [0.0; 16];
            for (gradient, input) in window.gradients.iter().zip(inputs) {
                for lane in 0..LANES {
                    sums[lane % 16] += gradient[filter].0[lane] * input[channel].0[lane];
                }
            }
            out[entry] += sums.iter().sum::<f32>();
        }
    }
}

/// Plain Rust.
#[derive(Clone, Copy)]
struct Plain;

impl Arithmetic for Plain {
    type Sums = Lanes;

    #[inline(always)]
    fn load(self, from: &Lanes) -> Lanes {
        *from
    }

    #[inline(always)]
    fn multiply_add(self, a: Lanes, b: Lanes, sum: Lanes) -> Lanes {
        std::array::from_fn(|at| a[at] * b[at] + sum[at])
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
    chains(repeats, |sum, factor, term| sum * factor + term)
}

/// Multiplies and adds on 32 independent sums, which compilers turn into eight registers of four; returns 32.
pub(super) fn chains(repeats: usize, multiply_add: impl Fn(f32, f32, f32) -> f32) -> usize {
    let (factor, term) = (std::hint::black_box(1.0), std::hint::black_box(0.0));
    let mut sums = [1.0f32; 32];
    for _ in 0..repeats {
        for sum in &mut sums {
            *sum = multiply_add(*sum, factor, term);
        }
    }
    std::hint::black_box(sums).len()
}
