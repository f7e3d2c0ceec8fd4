//! Convolution of one sample whose positions are lanes ([`Tiles::is_spread`]): 64 windows at a time, what they read laid out
//! as rows, are the input of a linear map.
//!
//! ```text
//! panel [channel, offset][window]      weights [filter][channel, offset]      weights * panel = outputs [filter][window]
//! ```
//! The linear maps are those of tiles, so that each sum has the order that it has in a batch: `spmm` and row blocks add entries as
//! the convolution of a tile does, and dense storage lays the panel out by offset first, as `conv_dense` does.

#[cfg(target_arch = "x86_64")]
use super::arch::TILE_HEIGHT;
use super::arch::blocks::Multiply;
use super::arch::matrix::Matrix;
use super::arch::operand::Operand;
use super::arch::{Entries, Epilogue, Isa, Lines};
use super::panels::Panels;
use super::windows::{OUTSIDE, Windows};
use super::{conv_dense, dense, spmm};
use crate::sparse::Blocks;
#[cfg(target_arch = "x86_64")]
use crate::tiles::Row16;
use crate::tiles::{LANES, Row, Tiles};

/// One tile of which all lanes are computed.
const TILE: Panels = Panels { tiles: 1, positions: 1, ends_half: false };

/// `output = finish(W * input)` on compressed storage. `panel` grows to what it needs, and so below.
pub(super) fn forward(
    isa: Isa,
    entries: &Entries<'_>,
    input: &Tiles,
    output: &mut Tiles,
    panel: &mut Vec<Row>,
) {
    let windows = entries.windows;
    let (offsets, groups) = (windows.geometry.offsets(), windows.geometry.groups);
    let (channels, filters) = (windows.channels_of_group(), windows.filters_of_group());
    for tile in 0..output.tiles() {
        fill(panel, windows, input, tile, |channel, offset| channel * offsets + offset);
        let output = output.tile_mut(tile);
        if groups == 1 {
            spmm::spmm(isa, (entries.index, entries.values), panel, output, TILE, entries.epilogue);
            continue;
        }
        let (index, values, epilogue) = (entries.index, entries.values, entries.epilogue);
        for (group, input) in panel.chunks_exact(channels * offsets).enumerate() {
            let lines = Lines { index, values, input, epilogue, first_row: 0, accumulate: false };
            let range = group * filters..(group + 1) * filters;
            isa.spmm(&lines, range.clone(), &mut output[range]);
        }
    }
}

/// `output = finish(W * input)` on row blocks.
pub(super) fn forward_blocks(
    (isa, windows): (Isa, &Windows),
    (blocks, epilogue): (&Blocks, Epilogue<'_>),
    input: &Tiles,
    output: &mut Tiles,
    panel: &mut Vec<Row>,
) {
    let offsets = windows.geometry.offsets();
    for tile in 0..output.tiles() {
        fill(panel, windows, input, tile, |channel, offset| channel * offsets + offset);
        let output = output.tile_mut(tile);
        #[cfg(target_arch = "x86_64")]
        if isa.has_tiles() && blocks.height() == TILE_HEIGHT {
            let mut narrowed = vec![Row16::ZERO; panel.len()];
            isa.narrow(panel, &mut narrowed);
            multiply_groups((isa, windows), (blocks, epilogue), &narrowed, output);
            continue;
        }
        multiply_groups((isa, windows), (blocks, epilogue), panel, output);
    }
}

/// The products of all groups, of what the windows of a tile read.
fn multiply_groups<R: Operand>(
    (isa, windows): (Isa, &Windows),
    (blocks, epilogue): (&Blocks, Epilogue<'_>),
    panel: &[R],
    output: &mut [Row],
) {
    let (filters, inputs) =
        (windows.filters_of_group(), windows.channels_of_group() * windows.geometry.offsets());
    let lines = filters / blocks.height();
    for (group, (input, output)) in
        panel.chunks_exact(inputs).zip(output.chunks_exact_mut(filters)).enumerate()
    {
        let lines = group * lines..(group + 1) * lines;
        let (first_row, accumulate, is_half) = (0, false, false);
        R::multiply(isa, Multiply { blocks, lines, input, output, epilogue, first_row, accumulate, is_half });
    }
}

/// `output = finish(W * input)` on dense storage; `turned` is room for the weights in another order.
pub(super) fn forward_dense(
    (isa, windows): (Isa, &Windows),
    (values, epilogue): (&[f32], Epilogue<'_>),
    input: &Tiles,
    output: &mut Tiles,
    panel: &mut Vec<Row>,
    turned: &mut Vec<f32>,
) {
    let channels = windows.geometry.input.channels;
    let matrix = Matrix::new(
        conv_dense::turn(windows, values, turned),
        windows.geometry.filters,
        windows.geometry.cols(),
    );
    for tile in 0..output.tiles() {
        fill(panel, windows, input, tile, |channel, offset| offset * channels + channel);
        dense::multiply(isa, matrix, panel, output.tile_mut(tile), TILE, epilogue);
    }
}

/// Lays out what the windows of a tile read: of each channel at each offset of the kernel the row that `place` says.
fn fill(
    panel: &mut Vec<Row>,
    windows: &Windows,
    input: &Tiles,
    tile: usize,
    place: impl Fn(usize, usize) -> usize,
) {
    let (channels, offsets) = (windows.geometry.input.channels, windows.geometry.offsets());
    panel.resize(channels * offsets, Row::ZERO);
    let first = tile * LANES;
    let count = LANES.min(windows.output().positions() - first);
    let is_sequence = windows.geometry.input.height == 1;
    for offset in 0..offsets {
        // Where each window reads; nowhere beyond the edges and the sample's end.
        let sources: [u32; LANES] = std::array::from_fn(|lane| {
            let at = if lane < count { windows.reads[(first + lane) * offsets + offset] } else { OUTSIDE };
            let is_real = !is_sequence || offsets == 1 || (at as usize) < input.real_positions();
            if is_real { at } else { OUTSIDE }
        });
        let mut lane = 0;
        while lane < LANES {
            let run = Run::from(&sources, lane);
            for channel in 0..channels {
                let to = &mut panel[place(channel, offset)].0[lane..lane + run.length];
                match run.source {
                    OUTSIDE => to.fill(0.0),
                    at => {
                        let row = &input.tile(at as usize / LANES)[channel].0;
                        run.copy(&row[at as usize % LANES..], to);
                    }
                }
            }
            lane += run.length;
        }
    }
}

/// Neighbouring windows that read nothing, or positions of one tile at equal distances.
struct Run {
    source: u32,
    step: u32,
    length: usize,
}

impl Run {
    /// The longest that begins at a lane.
    fn from(sources: &[u32; LANES], lane: usize) -> Run {
        let source = sources[lane];
        let step = match sources.get(lane + 1) {
            Some(&next) if source != OUTSIDE && next != OUTSIDE => next.wrapping_sub(source),
            _ => 0,
        };
        let tile = |at: u32| at as usize / LANES;
        let belongs = |(place, &at): (usize, &u32)| match source {
            OUTSIDE => at == OUTSIDE,
            _ => at != OUTSIDE && at == source.wrapping_add(place as u32 * step) && tile(at) == tile(source),
        };
        let length = sources[lane..].iter().enumerate().take_while(|&it| belongs(it)).count();
        Run { source, step, length }
    }

    fn copy(&self, from: &[f32], to: &mut [f32]) {
        match self.step {
            1 => to.copy_from_slice(&from[..to.len()]),
            step => {
                for (to, from) in to.iter_mut().zip(from.iter().step_by((step as usize).max(1))) {
                    *to = *from;
                }
            }
        }
    }
}
