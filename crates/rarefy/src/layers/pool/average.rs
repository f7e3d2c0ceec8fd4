//! The means of windows.

use serde::{Deserialize, Serialize};

use super::{Window, none, one, pool_spread, positions_in_piece, properties};
use crate::kernels::{Activation, Windows, par_chunk_pairs, par_chunks};
use crate::layers::{Builder, Describe, Gradient, Layer, Parameter, Pass, Properties, Size, Vjp, Workspace};
use crate::tiles::{LANES, Row, Shape, Tiles};

/// Average pooling: the mean of each window, channel by channel; files keep it so.
///
/// ```text
/// y[q, c] = mean over offsets k of x[stride q + k - padding, c]
/// x [height x width x channels] -> y [height' x width' x channels]
/// size' = floor((size + 2 padding - kernel) / stride) + 1 along each axis
/// ```
/// over what lies within the input and the sample: padding is not counted. On a sequence a size that is one number is a number of
/// steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AveragePoolSpec {
    /// The window's size.
    pub kernel: Size,
    /// Steps between windows; the window's size if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stride: Option<Size>,
    /// Positions around the input that windows may reach into.
    #[serde(default = "none")]
    pub padding: Size,
}

impl AveragePoolSpec {
    /// Square windows side by side, without padding.
    pub fn new(kernel: usize) -> Self {
        AveragePoolSpec { kernel: Size::Square(kernel), stride: None, padding: none() }
    }

    fn window(&self) -> Window {
        let stride = self.stride.unwrap_or(self.kernel);
        Window { kernel: self.kernel, stride, padding: self.padding, dilation: one() }
    }
}

impl Describe for AveragePoolSpec {
    fn properties(&self) -> Properties<'_> {
        properties("average-pool", true)
    }

    fn fused_mut(&mut self) -> Option<&mut Activation> {
        None
    }

    fn output(&self, input: Shape) -> Result<Shape, String> {
        self.window().output(input)
    }

    fn build(&self, input: Shape, builder: &mut Builder<'_>) -> crate::Result<Box<dyn Layer>> {
        builder.part();
        Ok(Box::new(AveragePool { windows: self.window().on(input) }))
    }
}

/// Average pooling.
pub struct AveragePool {
    windows: Windows,
}

impl Layer for AveragePool {
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
        // For each window of each sample one over the positions that it has.
        let features = if training { self.output().positions() } else { 0 };
        Workspace { tiles: vec![Tiles::zeros(features, samples)], ..Workspace::default() }
    }

    fn forward(&self, pass: &Pass, _: &[Parameter], input: &Tiles, output: &mut Tiles, work: &mut Workspace) {
        if input.is_spread() {
            let end = |sum, count: usize| sum * (1.0 / count.max(1) as f32);
            return pool_spread(&self.windows, input, output, 0.0, |sum, number| sum + number, end);
        }
        let (channels, positions) = (self.output().channels, self.output().positions());
        let length = positions_in_piece(channels);
        let (shares, sizes) = (work.tiles[0].rows_mut(), (length, length * channels));
        par_chunk_pairs(shares, output.rows_mut(), sizes, &|piece, shares: &mut [Row], rows| {
            crate::vectorize!(pass.isa, {
                for (index, rows) in rows.chunks_exact_mut(channels).enumerate() {
                    let place = piece * length + index;
                    let (tile, position) = (place / positions, place % positions);
                    let steps = input.real_steps(tile, self.input().positions());
                    let mut counts = [0.0f32; LANES];
                    rows.fill(Row::ZERO);
                    for (_, read) in self.windows.reads_of(position) {
                        let is_real = |lane: usize| (read as u32) < steps[lane];
                        (0..LANES).for_each(|lane| counts[lane] += if is_real(lane) { 1.0 } else { 0.0 });
                        let inputs = &input.tile(tile)[read * channels..][..channels];
                        for (row, input) in rows.iter_mut().zip(inputs) {
                            for lane in 0..LANES {
                                row.0[lane] += if is_real(lane) { input.0[lane] } else { 0.0 };
                            }
                        }
                    }
                    let share = Row(counts.map(|count| 1.0 / count.max(1.0)));
                    for row in rows {
                        (0..LANES).for_each(|lane| row.0[lane] *= share.0[lane]);
                    }
                    if let Some(kept) = shares.get_mut(index) {
                        *kept = share;
                    }
                }
            });
        });
    }

    fn backward(&self, pass: &Pass, _: &[Parameter], _: &mut [Gradient], vjp: Vjp<'_>, work: &mut Workspace) {
        let Some(gradient_input) = vjp.gradient_input else { return };
        let shares = &work.tiles[0];
        let (channels, positions) = (self.input().channels, self.input().positions());
        par_chunks(
            gradient_input.rows_mut(),
            positions_in_piece(channels) * channels,
            &|start, rows: &mut [Row]| {
                crate::vectorize!(pass.isa, {
                    for (place, rows) in (start / channels..).zip(rows.chunks_exact_mut(channels)) {
                        let (tile, position) = (place / positions, place % positions);
                        rows.fill(Row::ZERO);
                        for (_, reader) in self.windows.readers_of(position) {
                            let share = &shares.tile(tile)[reader];
                            let gradients = &vjp.gradient.tile(tile)[reader * channels..][..channels];
                            for (row, gradient) in rows.iter_mut().zip(gradients) {
                                (0..LANES).for_each(|lane| row.0[lane] += gradient.0[lane] * share.0[lane]);
                            }
                        }
                        let steps = vjp.input.real_steps(tile, positions);
                        for (row, input) in rows.iter_mut().zip(&vjp.input.rows()[place * channels..]) {
                            for lane in 0..LANES {
                                let is_real = (position as u32) < steps[lane];
                                row.0[lane] = if is_real { row.0[lane] } else { 0.0 };
                            }
                            vjp.gate.gate(&mut row.0, input);
                        }
                    }
                });
            },
        );
    }
}
