//! The largest numbers of windows.

use serde::{Deserialize, Serialize};

use super::{Window, none, one, pool_spread, positions_in_piece, properties};
use crate::kernels::{Activation, Vectorized, Windows, par_chunk_pairs, par_chunks};
use crate::layers::{Builder, Describe, Gradient, Layer, Parameter, Pass, Properties, Size, Vjp, Workspace};
use crate::tiles::{LANES, Row, Shape, Tiles};

/// Max pooling: the largest number of each window, channel by channel; files keep it so.
///
/// ```text
/// y[q, c] = max over offsets k of x[stride q + dilation k - padding, c]
/// x [height x width x channels] -> y [height' x width' x channels]
/// size' = floor((size + 2 padding - dilation (kernel - 1) - 1) / stride) + 1 along each axis
/// ```
/// over what lies within the input and the sample; 0 where nothing does. The gradient goes to the first position that has the
/// largest number. On a sequence a size that is one number is a number of steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaxPoolSpec {
    /// The window's size.
    pub kernel: Size,
    /// Steps between windows; the window's size if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stride: Option<Size>,
    /// Positions around the input that windows may reach into.
    #[serde(default = "none")]
    pub padding: Size,
    /// Steps between the positions of a window.
    #[serde(default = "one")]
    pub dilation: Size,
}

impl MaxPoolSpec {
    /// Square windows side by side, without padding.
    pub fn new(kernel: usize) -> Self {
        MaxPoolSpec { kernel: Size::Square(kernel), stride: None, padding: none(), dilation: one() }
    }

    fn window(&self) -> Window {
        let stride = self.stride.unwrap_or(self.kernel);
        Window { kernel: self.kernel, stride, padding: self.padding, dilation: self.dilation }
    }
}

impl Describe for MaxPoolSpec {
    fn properties(&self) -> Properties<'_> {
        properties("max-pool", true)
    }

    fn fused_mut(&mut self) -> Option<&mut Activation> {
        None
    }

    fn output(&self, input: Shape) -> Result<Shape, String> {
        self.window().output(input)
    }

    fn build(&self, input: Shape, builder: &mut Builder<'_>) -> crate::Result<Box<dyn Layer>> {
        builder.part();
        Ok(Box::new(MaxPool { windows: self.window().on(input) }))
    }
}

/// Max pooling.
pub struct MaxPool {
    windows: Windows,
}

impl Layer for MaxPool {
    fn input(&self) -> Shape {
        self.windows.geometry().input
    }

    fn output(&self) -> Shape {
        self.windows.output()
    }

    fn steps(&self, steps: u32) -> u32 {
        self.windows.begin_within(steps)
    }

    fn spreads(&self) -> bool {
        true
    }

    fn workspace(&self, samples: usize, training: bool) -> Workspace {
        // The offset at which each output was found.
        let features = if training { self.output().features() } else { 0 };
        Workspace { tiles: vec![Tiles::zeros(features, samples)], ..Workspace::default() }
    }

    fn forward(&self, pass: &Pass, _: &[Parameter], input: &Tiles, output: &mut Tiles, work: &mut Workspace) {
        if input.is_spread() {
            let larger = |largest, number| if exceeds(number, largest) { number } else { largest };
            let end = |largest, count| if count == 0 { 0.0 } else { largest };
            return pool_spread(&self.windows, input, output, f32::NEG_INFINITY, larger, end);
        }
        let (channels, positions) = (self.output().channels, self.output().positions());
        let length = positions_in_piece(channels);
        let sizes = (length * channels, length * channels);
        let found = work.tiles[0].rows_mut();
        par_chunk_pairs(found, output.rows_mut(), sizes, &|piece, found: &mut [Row], rows| {
            let windows = &self.windows;
            pass.isa.vectorize(Largest { windows, input, positions, first: piece * length, found, rows });
        });
    }

    fn backward(&self, pass: &Pass, _: &[Parameter], _: &mut [Gradient], vjp: Vjp<'_>, work: &mut Workspace) {
        let Some(rows) = vjp.gradient_input else { return };
        let (channels, windows) = (self.input().channels, &self.windows);
        let (input, gradient, found) = (vjp.input, vjp.gradient, &work.tiles[0]);
        par_chunks(rows.rows_mut(), positions_in_piece(channels) * channels, &|start, rows: &mut [Row]| {
            let first = start / channels;
            pass.isa.vectorize(ToLargest { windows, input, gate: vjp.gate, gradient, found, first, rows });
        });
    }
}

/// In place of an offset, where a window has no number of the sample.
const NOWHERE: f32 = -1.0;

/// The largest numbers of some windows.
struct Largest<'a> {
    windows: &'a Windows,
    input: &'a Tiles,
    /// Windows of a tile.
    positions: usize,
    /// The first window, counted over all tiles.
    first: usize,
    /// The offset at which each was found, or [`NOWHERE`]; empty if nobody will ask.
    found: &'a mut [Row],
    rows: &'a mut [Row],
}

impl Vectorized for Largest<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Shape { channels, .. } = self.windows.output();
        let steps = self.windows.geometry().input.positions();
        for (index, rows) in self.rows.chunks_exact_mut(channels).enumerate() {
            let (tile, position) =
                ((self.first + index) / self.positions, (self.first + index) % self.positions);
            let mut found = self.found.chunks_exact_mut(channels).nth(index);
            let steps = self.input.real_steps(tile, steps);
            let first = self.windows.reads_of(position).map(|(_, read)| read as u32).next().unwrap_or(0);
            // Where not even the first position is the sample's, none is, and nothing will be larger.
            let smallest = steps.map(|steps| if first < steps { f32::NEG_INFINITY } else { 0.0 });
            rows.fill(Row(smallest));
            if let Some(found) = &mut found {
                found.fill(Row([NOWHERE; LANES]));
            }
            for (offset, read) in self.windows.reads_of(position) {
                let is_real = |lane: usize| (read as u32) < steps[lane];
                let inputs = &self.input.tile(tile)[read * channels..][..channels];
                // Where it was first, before the numbers tell no more.
                if let Some(found) = &mut found {
                    for (found, (row, input)) in found.iter_mut().zip(rows.iter().zip(inputs)) {
                        for lane in 0..LANES {
                            let is_larger = is_real(lane) & exceeds(input.0[lane], row.0[lane]);
                            found.0[lane] = if is_larger { offset as f32 } else { found.0[lane] };
                        }
                    }
                }
                for (row, input) in rows.iter_mut().zip(inputs) {
                    for lane in 0..LANES {
                        let is_larger = is_real(lane) & exceeds(input.0[lane], row.0[lane]);
                        row.0[lane] = if is_larger { input.0[lane] } else { row.0[lane] };
                    }
                }
            }
        }
    }
}

/// The gradients of some positions' inputs: those of the windows in which each was the largest.
struct ToLargest<'a> {
    windows: &'a Windows,
    input: &'a Tiles,
    gate: Activation,
    gradient: &'a Tiles,
    found: &'a Tiles,
    /// The first position, counted over all tiles.
    first: usize,
    rows: &'a mut [Row],
}

impl Vectorized for ToLargest<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Shape { channels, .. } = self.windows.geometry().input;
        let positions = self.windows.geometry().input.positions();
        for (place, rows) in (self.first..).zip(self.rows.chunks_exact_mut(channels)) {
            let (tile, position) = (place / positions, place % positions);
            rows.fill(Row::ZERO);
            for (offset, reader) in self.windows.readers_of(position) {
                let gradients = &self.gradient.tile(tile)[reader * channels..][..channels];
                let found = &self.found.tile(tile)[reader * channels..][..channels];
                for (row, (gradient, found)) in rows.iter_mut().zip(gradients.iter().zip(found)) {
                    for lane in 0..LANES {
                        let is_it = found.0[lane] == offset as f32;
                        row.0[lane] += if is_it { gradient.0[lane] } else { 0.0 };
                    }
                }
            }
            for (row, input) in rows.iter_mut().zip(&self.input.rows()[place * channels..]) {
                self.gate.gate(&mut row.0, input);
            }
        }
    }
}

/// Whether a number takes the place of the largest so far. A NaN does, and stays, so that a maximum does not hide it.
#[inline(always)]
pub(super) fn exceeds(value: f32, largest: f32) -> bool {
    value > largest || value.is_nan()
}
