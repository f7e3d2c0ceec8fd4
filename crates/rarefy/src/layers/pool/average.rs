//! The mean of each window and channel, over what lies within the input: padding is not counted.
//! `y[q] = sum over offsets k of x[stride q + k - padding] / how many of these there are`.

use serde::{Deserialize, Serialize};

use super::{Window, none, one, positions_in_piece};
use crate::kernels::{Windows, par_chunks};
use crate::layers::{Builder, Describe, Flow, Layer, Parameter, Pass, Size, Workspace};
use crate::tiles::{LANES, Row, Shape, Tiles};

/// Average pooling as files keep it. On a sequence a number stands for so many steps.
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
    fn window(&self) -> Window {
        let stride = self.stride.unwrap_or(self.kernel);
        Window { kernel: self.kernel, stride, padding: self.padding, dilation: one() }
    }
}

impl Describe for AveragePoolSpec {
    fn output(&self, input: Shape) -> Result<Shape, String> {
        Ok(self.window().geometry(input)?.output().expect("checked with the geometry"))
    }

    fn build(&self, input: Shape, builder: &mut Builder<'_>) -> crate::Result<Box<dyn Layer>> {
        builder.part();
        let geometry = self.window().geometry(input).expect("a description that was found good");
        let windows = Windows::new(geometry);
        let share = |position: usize| 1.0 / windows.reads_of(position).count() as f32;
        let shares = (0..windows.output().positions()).map(share).collect();
        Ok(Box::new(AveragePool { windows, shares }))
    }
}

/// Average pooling.
pub struct AveragePool {
    windows: Windows,
    /// For each window one over the positions that it has.
    shares: Vec<f32>,
}

impl Layer for AveragePool {
    fn input(&self) -> Shape {
        self.windows.geometry().input
    }

    fn output(&self) -> Shape {
        self.windows.output()
    }

    fn steps(&self, steps: u32) -> u32 {
        // As many windows as begin within the sequence.
        steps.div_ceil(self.windows.geometry().stride[1] as u32).min(self.output().width as u32)
    }

    fn forward(&self, pass: &Pass, _: &[Parameter], input: &Tiles, output: &mut Tiles, _: &mut Workspace) {
        let (channels, positions) = (self.output().channels, self.output().positions());
        par_chunks(output.rows_mut(), positions_in_piece(channels) * channels, &|start, rows: &mut [Row]| {
            pass.isa.vectorize(|| {
                for (place, rows) in (start / channels..).zip(rows.chunks_exact_mut(channels)) {
                    let (tile, position) = (place / positions, place % positions);
                    rows.fill(Row::ZERO);
                    for (_, read) in self.windows.reads_of(position) {
                        let inputs = &input.tile(tile)[read * channels..][..channels];
                        for (row, input) in rows.iter_mut().zip(inputs) {
                            (0..LANES).for_each(|lane| row.0[lane] += input.0[lane]);
                        }
                    }
                    for row in rows {
                        row.0.iter_mut().for_each(|value| *value *= self.shares[position]);
                    }
                }
            });
        });
    }

    fn backward(&self, pass: &Pass, _: &mut [Parameter], flow: Flow<'_>, _: &mut Workspace) {
        let Some(gradient_input) = flow.gradient_input else { return };
        let (channels, positions) = (self.input().channels, self.input().positions());
        par_chunks(
            gradient_input.rows_mut(),
            positions_in_piece(channels) * channels,
            &|start, rows: &mut [Row]| {
                pass.isa.vectorize(|| {
                    for (place, rows) in (start / channels..).zip(rows.chunks_exact_mut(channels)) {
                        let (tile, position) = (place / positions, place % positions);
                        rows.fill(Row::ZERO);
                        for (_, reader) in self.windows.readers_of(position) {
                            let share = self.shares[reader];
                            let gradients = &flow.gradient.tile(tile)[reader * channels..][..channels];
                            for (row, gradient) in rows.iter_mut().zip(gradients) {
                                (0..LANES).for_each(|lane| row.0[lane] += gradient.0[lane] * share);
                            }
                        }
                        for (row, input) in rows.iter_mut().zip(&flow.input.rows()[place * channels..]) {
                            flow.gate.gate(&mut row.0, input);
                        }
                    }
                });
            },
        );
    }
}
