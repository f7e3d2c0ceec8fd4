//! Pooling: the largest number or the mean of a window, channel by channel; of a window as large as the input, of all
//! positions ("global"), where the steps of a sequence that are padding do not count.
//!
//! ```text
//! max      y[q, c] = max over the window of x[p, c]; the gradient goes to the first that is largest
//! average  y[q, c] = mean over the window of x[p, c]
//! ```
//! Windows that hang over the edge count what is within.

use serde::{Deserialize, Serialize};

use super::{Builder, Describe, Flow, Layer, Parameter, Pass, Size, Workspace};
use crate::kernels::par_chunks;
use crate::tiles::{LANES, Row, Shape, Tiles};

/// What a window becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Max,
    Average,
}

/// Pooling over windows as files keep it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PoolSpec {
    /// The window's size; on a sequence its steps.
    pub kernel: Size,
    /// Steps between windows; as large as the window unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stride: Option<Size>,
}

/// Pooling over all positions as files keep it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GlobalPoolSpec {}

/// Largest numbers of windows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MaxPoolSpec(pub PoolSpec);

/// Means of windows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AveragePoolSpec(pub PoolSpec);

/// The mean of all positions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GlobalAveragePoolSpec(pub GlobalPoolSpec);

/// The largest number of all positions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GlobalMaxPoolSpec(pub GlobalPoolSpec);

impl PoolSpec {
    /// Window and stride; those of a sequence go along its steps.
    fn sizes(&self, input: Shape) -> [[usize; 2]; 2] {
        [self.kernel, self.stride.unwrap_or(self.kernel)].map(|size| match size {
            Size::Square(steps) if input.height == 1 => [1, steps],
            size => size.sides(),
        })
    }

    fn output(&self, input: Shape) -> Result<Shape, String> {
        let [kernel, stride] = self.sizes(input);
        if kernel.contains(&0) || stride.contains(&0) {
            return Err("kernel and stride must be at least 1".into());
        }
        if kernel[0] > input.height || kernel[1] > input.width {
            return Err(format!("its window of {} x {} is larger than the input", kernel[0], kernel[1]));
        }
        let size = |axis: usize, size: usize| (size - kernel[axis]) / stride[axis] + 1;
        Ok(Shape { height: size(0, input.height), width: size(1, input.width), ..input })
    }

    fn build(&self, kind: Kind, input: Shape, builder: &mut Builder<'_>) -> Box<dyn Layer> {
        builder.part();
        let output = self.output(input).expect("a description that was found good");
        let [kernel, stride] = self.sizes(input);
        Box::new(Pool { kind, input, output, kernel, stride, is_global: false })
    }
}

fn build_global(kind: Kind, input: Shape, builder: &mut Builder<'_>) -> Box<dyn Layer> {
    builder.part();
    let kernel = [input.height, input.width];
    let output = Shape::flat(input.channels);
    Box::new(Pool { kind, input, output, kernel, stride: kernel, is_global: true })
}

macro_rules! describe {
    ($($spec:ty, $kind:expr, |$self:ident, $input:ident| $output:expr, $build:expr;)*) => {$(
        impl Describe for $spec {
            fn output(&self, input: Shape) -> Result<Shape, String> {
                let ($self, $input) = (self, input);
                $output
            }

            fn build(&self, input: Shape, builder: &mut Builder<'_>) -> crate::Result<Box<dyn Layer>> {
                Ok($build(&self.0, $kind, input, builder))
            }
        }
    )*};
}

describe! {
    MaxPoolSpec, Kind::Max, |spec, input| spec.0.output(input), PoolSpec::build;
    AveragePoolSpec, Kind::Average, |spec, input| spec.0.output(input), PoolSpec::build;
    GlobalMaxPoolSpec, Kind::Max, |_spec, input| Ok(Shape::flat(input.channels)), |_, kind, input, builder| build_global(kind, input, builder);
    GlobalAveragePoolSpec, Kind::Average, |_spec, input| Ok(Shape::flat(input.channels)), |_, kind, input, builder| build_global(kind, input, builder);
}

/// Whether a number takes the place of the largest so far: what is not a number does, so that it is seen.
#[inline(always)]
fn beats(number: f32, largest: f32) -> bool {
    number > largest || number.is_nan()
}

/// Pooling over windows or over all positions.
pub struct Pool {
    kind: Kind,
    input: Shape,
    output: Shape,
    kernel: [usize; 2],
    stride: [usize; 2],
    /// Over all positions, so that lengths count.
    is_global: bool,
}

impl Pool {
    /// The positions of the input that output `position` covers, in order.
    fn window(&self, position: usize) -> impl Iterator<Item = usize> + '_ {
        let top = position / self.output.width * self.stride[0];
        let left = position % self.output.width * self.stride[1];
        let rows = top..top + self.kernel[0];
        rows.flat_map(move |y| (left..left + self.kernel[1]).map(move |x| y * self.input.width + x))
    }

    /// How many steps of each lane count; all unless this is over all positions of sequences with lengths.
    fn lengths(&self, input: &Tiles, tile: usize) -> [u32; LANES] {
        let lengths = if self.is_global { input.lengths() } else { &[] };
        std::array::from_fn(|lane| match lengths.is_empty() {
            true => u32::MAX,
            // A lane without a sample takes one step, so that its numbers stay finite.
            false => lengths.get(tile * LANES + lane).copied().unwrap_or(1),
        })
    }
}

impl Layer for Pool {
    fn input(&self) -> Shape {
        self.input
    }

    fn output(&self) -> Shape {
        self.output
    }

    fn steps(&self, steps: u32) -> u32 {
        (steps.div_ceil(self.stride[1] as u32)).min(self.output.width as u32)
    }

    fn forward(&self, pass: &Pass, _: &[Parameter], input: &Tiles, output: &mut Tiles, _: &mut Workspace) {
        let channels = self.input.channels;
        let per_tile = self.output.features();
        // A piece of work is a position, of all channels.
        par_chunks(output.rows_mut(), channels, &|start, rows: &mut [Row]| {
            let (tile, position) = (start / per_tile, start % per_tile / channels);
            let (source, lengths) = (input.tile(tile), self.lengths(input, tile));
            pass.isa.vectorize(|| {
                for (channel, row) in rows.iter_mut().enumerate() {
                    row.0 = match self.kind {
                        Kind::Max => {
                            let mut largest = [f32::NEG_INFINITY; LANES];
                            for place in self.window(position) {
                                let input = &source[place * channels + channel].0;
                                for lane in 0..LANES {
                                    let counts = (place as u32) < lengths[lane];
                                    if counts && beats(input[lane], largest[lane]) {
                                        largest[lane] = input[lane];
                                    }
                                }
                            }
                            largest
                        }
                        Kind::Average => {
                            let mut sums = [0.0; LANES];
                            for place in self.window(position) {
                                let input = &source[place * channels + channel].0;
                                for lane in 0..LANES {
                                    sums[lane] +=
                                        if (place as u32) < lengths[lane] { input[lane] } else { 0.0 };
                                }
                            }
                            let count = (self.kernel[0] * self.kernel[1]) as u32;
                            std::array::from_fn(|lane| sums[lane] / count.min(lengths[lane]).max(1) as f32)
                        }
                    };
                }
            });
        });
    }

    fn backward(&self, pass: &Pass, _: &mut [Parameter], flow: Flow<'_>, _: &mut Workspace) {
        let Some(gradient_input) = flow.gradient_input else { return };
        let channels = self.input.channels;
        let (per_tile, outputs) = (self.input.features(), self.output.features());
        par_chunks(gradient_input.rows_mut(), per_tile, &|start, rows: &mut [Row]| {
            let tile = start / per_tile;
            let (source, lengths) = (flow.input.tile(tile), self.lengths(flow.input, tile));
            let gradients = &flow.gradient.rows()[tile * outputs..][..outputs];
            rows.fill(Row::ZERO);
            pass.isa.vectorize(|| {
                for position in 0..self.output.positions() {
                    for channel in 0..channels {
                        let gradient = &gradients[position * channels + channel].0;
                        match self.kind {
                            Kind::Max => {
                                let (mut largest, mut first) = ([f32::NEG_INFINITY; LANES], [0; LANES]);
                                for place in self.window(position) {
                                    let input = &source[place * channels + channel].0;
                                    for lane in 0..LANES {
                                        let counts = (place as u32) < lengths[lane];
                                        if counts && beats(input[lane], largest[lane]) {
                                            (largest[lane], first[lane]) = (input[lane], place as u32);
                                        }
                                    }
                                }
                                for place in self.window(position) {
                                    let row = &mut rows[place * channels + channel].0;
                                    for lane in 0..LANES {
                                        row[lane] +=
                                            if first[lane] == place as u32 { gradient[lane] } else { 0.0 };
                                    }
                                }
                            }
                            Kind::Average => {
                                let count = (self.kernel[0] * self.kernel[1]) as u32;
                                let parts: [f32; LANES] = std::array::from_fn(|lane| {
                                    gradient[lane] / count.min(lengths[lane]).max(1) as f32
                                });
                                for place in self.window(position) {
                                    let row = &mut rows[place * channels + channel].0;
                                    for lane in 0..LANES {
                                        row[lane] +=
                                            if (place as u32) < lengths[lane] { parts[lane] } else { 0.0 };
                                    }
                                }
                            }
                        }
                    }
                }
                for (row, input) in rows.iter_mut().zip(source) {
                    flow.gate.gate(&mut row.0, input);
                }
            });
        });
    }
}
