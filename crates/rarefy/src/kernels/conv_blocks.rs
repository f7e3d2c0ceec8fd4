//! Convolution on weights in row blocks: filters of a block read the same rows, so each is loaded once for all of them.
//!
//! | operation | how |
//! |---|---|
//! | forward | each position is a panel, whose inputs are what its window reads |
//! | input gradient | each position adds to what its window read, in the order of the positions |
//! | weight gradient | summed over slices of the positions, as that of single entries |

use std::ops::Range;

use super::arch::blocks::{Gradient, Multiply, Transposed, WindowInputs, WindowOutputs};
use super::arch::operand::Operand;
use super::arch::{Epilogue, Isa};
use super::conv::sum_slices;
use super::split::{par_chunks, split_tiles};
use super::windows::{MAX_OFFSETS, OUTSIDE, Windows};
use crate::sparse::Blocks;
use crate::tiles::{Row, Tiles};

/// Positions that one piece of work covers.
const POSITIONS: usize = 16;

/// Rows that three quarters of a common L2 cache of 1 MiB hold.
const CACHED_ROWS: usize = 3072;

/// The lines of blocks of each group of filters, and its first channel.
fn groups(windows: &Windows, height: usize) -> impl Iterator<Item = (Range<usize>, usize)> {
    let (lines, channels) = (windows.filters_of_group() / height, windows.channels_of_group());
    (0..windows.geometry.groups).map(move |group| (group * lines..(group + 1) * lines, group * channels))
}

/// The rows of all tiles, and of zeros as many as a window may read outside.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a, R> {
    pub(super) rows: &'a [R],
    pub(super) zeros: &'a [R],
}

/// Calls `work` with what the window of a position of a tile reads of a group's channels.
fn with_inputs<R>(
    windows: &Windows,
    input: Rows<'_, R>,
    (tile, position): (usize, usize),
    first_channel: usize,
    work: impl FnOnce(WindowInputs<'_, R>),
) {
    let (offsets, channels) = (windows.geometry.offsets(), windows.channels_of_group());
    let features = windows.geometry.input.features();
    let rows = &input.rows[tile * features..][..features];
    let mut bases = [&rows[..0]; MAX_OFFSETS];
    for (base, &at) in bases.iter_mut().zip(&windows.reads[position * offsets..][..offsets]) {
        *base = match at {
            OUTSIDE => &input.zeros[..channels],
            at => &rows[at as usize * windows.geometry.input.channels + first_channel..][..channels],
        };
    }
    work(WindowInputs::new(windows, &bases[..offsets]));
}

/// `output = epilogue(W * input)`.
pub(super) fn forward<R: Operand>(
    (isa, windows): (Isa, &Windows),
    blocks: &Blocks,
    input: Rows<'_, R>,
    output: &mut Tiles,
    epilogue: Epilogue<'_>,
) {
    let (filters, height) = (windows.geometry.filters, blocks.height());
    let (tiles, per_tile) = (output.tiles(), output.features());
    split_tiles(0..tiles, output.rows_mut(), per_tile, &|tile, output| {
        par_chunks(output, POSITIONS * filters, &|start, output| {
            for (position, output) in (start / filters..).zip(output.chunks_mut(filters)) {
                for (lines, first_channel) in groups(windows, height) {
                    with_inputs(windows, input, (tile, position), first_channel, |input| {
                        let product = Multiply {
                            blocks,
                            output: &mut output[lines.start * height..lines.end * height],
                            lines,
                            input,
                            epilogue,
                            first_row: tile * per_tile + position * filters,
                            accumulate: false,
                            is_half: false,
                        };
                        R::multiply(isa, product);
                    });
                }
            }
        });
    });
}

/// `gradient_input = epilogue(W^T * gradient)`. Where there are fewer tiles than threads each is cut by positions of the input, which
/// changes no bit: what is added to one comes in the order of the windows.
pub(super) fn transposed<R: Operand>(
    (isa, windows): (Isa, &Windows),
    blocks: &Blocks,
    gradient: &[R],
    gradient_input: &mut Tiles,
    epilogue: Epilogue<'_>,
) {
    let geometry = windows.geometry;
    let (channels, positions) = (geometry.input.channels, geometry.input.positions());
    let (tiles, per_tile) = (gradient_input.tiles(), gradient_input.features());
    let of_gradient = windows.output().features();
    let pieces = rayon::current_num_threads().div_ceil(tiles.max(1));
    split_tiles(0..tiles, gradient_input.rows_mut(), per_tile, &|tile, output| {
        par_chunks(output, positions.div_ceil(pieces) * channels, &|start, output| {
            let first = start / channels;
            add_windows(
                (isa, windows),
                blocks,
                &gradient[tile * of_gradient..][..of_gradient],
                first..first + output.len() / channels,
                output,
            );
            for (at, row) in (tile * per_tile + start..).zip(output) {
                isa.end(&epilogue, at, &mut row.0);
            }
        });
    });
}

/// What all windows of a tile give to some positions of the input. A few channels after the other: what neighbouring windows add to
/// stays in the cache.
fn add_windows<R: Operand>(
    (isa, windows): (Isa, &Windows),
    blocks: &Blocks,
    gradient: &[R],
    range: Range<usize>,
    output: &mut [Row],
) {
    let (offsets, channels) = (windows.geometry.offsets(), windows.geometry.input.channels);
    let of_group = windows.channels_of_group();
    let pieces = (of_group * windows.geometry.span()).div_ceil(CACHED_ROWS);
    let piece = of_group.div_ceil(pieces);
    let mut firsts = [OUTSIDE; MAX_OFFSETS];
    for start in (0..of_group).step_by(piece) {
        let some = start..of_group.min(start + piece);
        // Rows are cleared when the first window comes near.
        let mut cleared = 0;
        let mut clear = |output: &mut [Row], until: usize| {
            for rows in output.chunks_exact_mut(channels).take(until).skip(cleared) {
                rows.chunks_exact_mut(of_group).for_each(|rows| rows[some.clone()].fill(Row::ZERO));
            }
            cleared = cleared.max(until);
        };
        for (reads, gradient) in
            windows.reads.chunks_exact(offsets).zip(gradient.chunks_exact(windows.geometry.filters))
        {
            let here = |at: u32| {
                (at != OUTSIDE && range.contains(&(at as usize))).then(|| at as usize - range.start)
            };
            let Some(last) = reads.iter().filter_map(|&at| here(at)).max() else { continue };
            clear(output, last + 1);
            for (lines, first_channel) in groups(windows, blocks.height()) {
                for (first, &at) in firsts.iter_mut().zip(reads) {
                    *first = here(at).map_or(OUTSIDE, |at| (at * channels + first_channel) as u32);
                }
                let output = WindowOutputs::new(windows, some.clone(), &mut *output, &firsts[..offsets]);
                R::transposed(isa, Transposed { blocks, lines, gradient, output, is_half: false });
            }
        }
        clear(output, range.len());
    }
}

/// The gradient of every connection, summed over positions and tiles, to `out`. `scratch` grows to what the slices need.
pub(super) fn weight_gradient<R: Operand>(
    (isa, windows): (Isa, &Windows),
    blocks: &Blocks,
    (gradient, input): (&[R], Rows<'_, R>),
    out: &mut [f32],
    scratch: &mut Vec<f32>,
) {
    let (filters, height) = (windows.geometry.filters, blocks.height());
    let offsets = blocks.pattern().index().offsets();
    let (positions, of_gradient) = (windows.output().positions(), windows.output().features());
    sum_slices(positions, gradient.len() / of_gradient.max(1), out, scratch, &|tile, positions, out| {
        out.fill(0.0);
        for position in positions {
            for (lines, first_channel) in groups(windows, height) {
                let range = offsets[lines.start] as usize..offsets[lines.end] as usize;
                with_inputs(windows, input, (tile, position), first_channel, |input| {
                    let product = Gradient {
                        blocks,
                        out: &mut out[range.start * height..range.end * height],
                        range,
                        gradient: &gradient[tile * of_gradient + position * filters..][..filters],
                        input,
                        accumulate: true,
                        is_half: false,
                    };
                    R::gradient(isa, product);
                });
            }
        }
    });
}
