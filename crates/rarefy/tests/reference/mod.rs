//! Every layer once more, in f64, one number at a time: nothing here is fast, and each formula stands as the docs have it.
//! Samples are lists of numbers, position by position, all channels of a position together.

use std::cell::Cell;
use std::collections::HashMap;

use rarefy::kernels::Activation;
use rarefy::layers::{Conv1dSpec, Conv2dSpec, Describe, Join, LayerSpec, Network, Padding, Positions, Size};
use rarefy::tiles::Shape;

/// Samples of a shape, and how many of their steps are there: all, or a number for each sample.
#[derive(Clone)]
pub struct Batch {
    pub shape: Shape,
    pub samples: Vec<Vec<f64>>,
    pub lengths: Option<Vec<usize>>,
}

/// A network's description and its numbers by name, weights as whole matrices, row by row.
pub struct Reference {
    pub layers: Vec<LayerSpec>,
    pub arrays: HashMap<String, Vec<f64>>,
    /// For each dropout, in the order in which layers are built, what each number of each sample is multiplied by.
    pub masks: Vec<Vec<Vec<f64>>>,
    dropouts: Cell<usize>,
    /// The smallest variance that a norm has met: of numbers all but alike it magnifies every rounding.
    pub smallest_variance: Cell<f64>,
}

impl Reference {
    pub fn new(network: &Network, masks: Vec<Vec<Vec<f64>>>) -> Reference {
        let array = |parameter: &rarefy::layers::Parameter| {
            let weights = &parameter.weights;
            let mut cells = vec![0.0; weights.rows() * weights.cols()];
            for (cell, slot) in weights.connections() {
                cells[cell] = f64::from(weights.values()[slot]);
            }
            (parameter.name.clone(), cells)
        };
        let arrays = network.parameters().map(array).collect();
        Reference {
            layers: network.spec().layers.clone(),
            arrays,
            masks,
            dropouts: Cell::new(0),
            smallest_variance: Cell::new(f64::INFINITY),
        }
    }

    /// What the network makes of a batch in training.
    pub fn forward(&self, batch: &Batch) -> Batch {
        self.dropouts.set(0);
        self.sequence(&self.layers, "layers", batch)
    }

    fn sequence(&self, layers: &[LayerSpec], name: &str, batch: &Batch) -> Batch {
        let mut batch = batch.clone();
        for (position, layer) in layers.iter().enumerate() {
            batch = self.layer(layer, &format!("{name}.{position}"), &batch);
        }
        batch
    }

    fn array(&self, name: &str, part: &str) -> &[f64] {
        &self.arrays[&format!("{name}.{part}")]
    }

    #[expect(clippy::too_many_lines, reason = "an arm for each layer")]
    fn layer(&self, layer: &LayerSpec, name: &str, batch: &Batch) -> Batch {
        let shape = layer.output(batch.shape).unwrap();
        let channels = batch.shape.channels;
        let array = |part: &str| self.array(name, part);
        let each = |f: &dyn Fn(&[f64], usize) -> Vec<f64>| batch.map(shape, f);
        let at_each_position = |f: &dyn Fn(&[f64]) -> Vec<f64>| {
            batch.map(shape, &|sample, _| sample.chunks(channels).flat_map(f).collect())
        };
        let scaled = |normal: f64, channel: usize| normal * array("scale")[channel] + array("shift")[channel];
        match layer {
            LayerSpec::Linear(spec) => {
                let (weight, bias) = (array("weight"), array("bias"));
                at_each_position(&|x| {
                    linear(weight, bias, x).iter().map(|&y| apply(spec.activation, y)).collect()
                })
            }
            LayerSpec::Conv2d(spec) => each(&|x, steps| self.conv(spec, name, batch.shape, shape, x, steps)),
            LayerSpec::Conv1d(spec) => {
                each(&|x, steps| self.conv(&in_two_dimensions(spec), name, batch.shape, shape, x, steps))
            }
            LayerSpec::MaxPool(spec) => each(&|x, steps| {
                let window = [spec.kernel, spec.stride.unwrap_or(spec.kernel), spec.padding, spec.dilation];
                pool(batch.shape, shape, window, x, steps, &|seen| {
                    seen.iter().copied().reduce(f64::max).unwrap_or(0.0)
                })
            }),
            LayerSpec::AveragePool(spec) => each(&|x, steps| {
                let one = Size::Square(1);
                let window = [spec.kernel, spec.stride.unwrap_or(spec.kernel), spec.padding, one];
                pool(batch.shape, shape, window, x, steps, &|seen| {
                    seen.iter().sum::<f64>() / seen.len().max(1) as f64
                })
            }),
            LayerSpec::GlobalMaxPool(_) => each(&|x, steps| {
                let column = |c: usize| (0..steps).map(move |t| x[t * channels + c]);
                (0..channels).map(|c| column(c).fold(f64::NEG_INFINITY, f64::max)).collect()
            }),
            LayerSpec::GlobalAveragePool(_) => each(&|x, steps| {
                let column = |c: usize| (0..steps).map(move |t| x[t * channels + c]);
                (0..channels).map(|c| column(c).sum::<f64>() / steps as f64).collect()
            }),
            LayerSpec::LastStep(_) => each(&|x, steps| x[(steps - 1) * channels..steps * channels].to_vec()),
            LayerSpec::AttentionPool(_) => each(&|x, steps| {
                let scores: Vec<f64> =
                    x.chunks(channels).take(steps).map(|x| dot(array("query"), x)).collect();
                weighted_mean(&softmax(&scores), x.chunks(channels))
            }),
            LayerSpec::Elementwise(spec) => {
                each(&|x, _| x.iter().map(|&x| apply(spec.activation, x)).collect())
            }
            LayerSpec::Dropout(_) => {
                let masks = &self.masks[self.dropouts.replace(self.dropouts.get() + 1)];
                let mut batch = batch.clone();
                for (sample, mask) in batch.samples.iter_mut().zip(masks) {
                    sample.iter_mut().zip(mask).for_each(|(x, factor)| *x *= factor);
                }
                batch
            }
            LayerSpec::Flatten(_) => each(&|x, _| x.to_vec()),
            LayerSpec::Embedding(spec) => each(&|x, _| {
                let row = |&token: &f64| match token as usize {
                    0 if spec.padding => vec![0.0; spec.channels],
                    token => array("weight")[token * spec.channels..][..spec.channels].to_vec(),
                };
                x.iter().flat_map(row).collect()
            }),
            LayerSpec::PositionalEncoding(spec) => each(&|x, _| {
                let added = |at: usize| match spec.positions {
                    Positions::Learned => array("positions")[at],
                    Positions::Sinusoidal => {
                        let (step, c) = ((at / channels) as f64, at % channels);
                        let angle = step / 10_000f64.powf((c - c % 2) as f64 / channels as f64);
                        if c % 2 == 0 { angle.sin() } else { angle.cos() }
                    }
                };
                x.iter().enumerate().map(|(at, x)| x + added(at)).collect()
            }),
            LayerSpec::Attention(spec) => each(&|x, steps| {
                let project = |part: &str| {
                    let (weight, bias) = (array(&format!("{part}.weight")), array(&format!("{part}.bias")));
                    x.chunks(channels).map(|x| linear(weight, bias, x)).collect::<Vec<_>>()
                };
                let (size, mut out) = (channels / spec.heads, vec![vec![0.0; channels]; x.len() / channels]);
                let (query, key, value) = (project("query"), project("key"), project("value"));
                for head in (0..channels).step_by(size) {
                    let of_head = |rows: &[Vec<f64>], step: usize| {
                        let row = &rows[step][head..head + size];
                        if spec.rotary { turned(row, step) } else { row.to_vec() }
                    };
                    for (step, out) in out.iter_mut().enumerate() {
                        let seen = if spec.causal { steps.min(step + 1) } else { steps };
                        let q = of_head(&query, step);
                        let score = |other: usize| dot(&q, &of_head(&key, other)) / (size as f64).sqrt();
                        let shares = softmax(&(0..seen).map(score).collect::<Vec<_>>());
                        let values = value.iter().map(|row| &row[head..head + size]);
                        out[head..head + size].copy_from_slice(&weighted_mean(&shares, values));
                    }
                }
                let (weight, bias) = (array("output.weight"), array("output.bias"));
                out.iter().flat_map(|x| linear(weight, bias, x)).collect()
            }),
            LayerSpec::Lstm(spec) => {
                self.recurrent(name, batch, shape, spec.hidden, spec.bidirectional, &lstm)
            }
            LayerSpec::Gru(spec) => self.recurrent(name, batch, shape, spec.hidden, spec.bidirectional, &gru),
            LayerSpec::Rnn(spec) => {
                let cell = |cell: &CellArrays, x: &[f64], state: &mut State| {
                    let sums =
                        add(&linear(cell.weight_ih, cell.bias_ih, x), &product(cell.weight_hh, &state.h));
                    state.h = sums.iter().map(|&sum| apply(spec.activation, sum)).collect();
                };
                self.recurrent(name, batch, shape, spec.hidden, spec.bidirectional, &cell)
            }
            LayerSpec::Residual(spec) => {
                let body = self.sequence(&spec.body, &format!("{name}.body"), batch);
                let shortcut = self.sequence(&spec.shortcut, &format!("{name}.shortcut"), batch);
                let sum = |(a, b): (&Vec<f64>, &Vec<f64>)| {
                    add(a, b).iter().map(|&sum| apply(spec.activation, sum)).collect()
                };
                let samples = body.samples.iter().zip(&shortcut.samples).map(sum).collect();
                Batch { samples, ..body }
            }
            LayerSpec::Parallel(spec) => {
                let branches = spec.branches.iter().enumerate();
                let made: Vec<Batch> = branches
                    .map(|(index, branch)| self.sequence(branch, &format!("{name}.branches.{index}"), batch))
                    .collect();
                let joined = |sample: usize| match spec.join {
                    Join::Add => made
                        .iter()
                        .map(|made| &made.samples[sample])
                        .fold(vec![0.0; shape.features()], |sum, made| add(&sum, made)),
                    Join::Concat => {
                        let position = |q: usize| {
                            made.iter().flat_map(move |made| {
                                let channels = made.shape.channels;
                                made.samples[sample][q * channels..][..channels].to_vec()
                            })
                        };
                        (0..shape.positions()).flat_map(position).collect()
                    }
                };
                let samples = (0..batch.samples.len()).map(joined).collect();
                Batch { shape, samples, lengths: made[0].lengths.clone() }
            }
            LayerSpec::BatchNorm(spec) => {
                let numbers = |c: usize| {
                    let real = batch
                        .samples
                        .iter()
                        .enumerate()
                        .flat_map(|(index, sample)| sample.chunks(channels).take(batch.steps(index)));
                    real.map(move |x| x[c]).collect::<Vec<f64>>()
                };
                let moments: Vec<[f64; 2]> = (0..channels).map(|c| self.moments(&numbers(c))).collect();
                at_each_position(&|x| {
                    let normal = |c: usize| (x[c] - moments[c][0]) / (moments[c][1] + 1e-5).sqrt();
                    (0..channels).map(|c| apply(spec.activation, scaled(normal(c), c))).collect()
                })
            }
            LayerSpec::LayerNorm(_) => at_each_position(&|x| {
                let [mean, variance] = self.moments(x);
                (0..channels).map(|c| scaled((x[c] - mean) / (variance + 1e-5).sqrt(), c)).collect()
            }),
            LayerSpec::RmsNorm(_) => at_each_position(&|x| {
                let root = (dot(x, x) / channels as f64 + 1e-5).sqrt();
                (0..channels).map(|c| x[c] / root * array("scale")[c]).collect()
            }),
            LayerSpec::GroupNorm(spec) => each(&|x, steps| {
                let size = channels / spec.groups;
                let of_group = |c: usize| {
                    let real = x.chunks(channels).take(steps);
                    self.moments(
                        &real.flat_map(|x| &x[c / size * size..][..size]).copied().collect::<Vec<_>>(),
                    )
                };
                let moments: Vec<[f64; 2]> = (0..channels).map(of_group).collect();
                let normal = |at: usize| {
                    let [mean, variance] = moments[at % channels];
                    scaled((x[at] - mean) / (variance + 1e-5).sqrt(), at % channels)
                };
                (0..x.len()).map(normal).collect()
            }),
            LayerSpec::Custom(_) => panic!("somebody's own layer"),
        }
        .with_lengths(layer, batch)
    }

    /// Mean and variance of what a norm is over.
    fn moments(&self, numbers: &[f64]) -> [f64; 2] {
        let count = numbers.len() as f64;
        let mean = numbers.iter().sum::<f64>() / count;
        let variance = numbers.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
        self.smallest_variance.set(self.smallest_variance.get().min(variance));
        [mean, variance]
    }

    #[expect(clippy::too_many_arguments, reason = "the numbers of its formula")]
    fn conv(
        &self,
        spec: &Conv2dSpec,
        name: &str,
        input: Shape,
        output: Shape,
        x: &[f64],
        steps: usize,
    ) -> Vec<f64> {
        let weight = self.array(name, "weight");
        let (kernel, dilation) = (spec.kernel.sides(), spec.dilation.sides());
        let padding = match spec.padding {
            Padding::By(size) => size.sides(),
            Padding::Same => [0, 1].map(|axis| dilation[axis] * (kernel[axis] - 1) / 2),
        };
        let offsets = kernel[0] * kernel[1];
        let of_group = input.channels / spec.groups;
        let mut out = Vec::new();
        for position in 0..output.positions() {
            let window = window(input, output, position, [kernel, spec.stride.sides(), padding, dilation]);
            for filter in 0..spec.filters {
                let first = filter / (spec.filters / spec.groups) * of_group;
                let mut sum = if spec.bias { self.array(name, "bias")[filter] } else { 0.0 };
                for &(offset, place) in window.iter().filter(|(_, place)| *place < steps || offsets == 1) {
                    for c in 0..of_group {
                        let column = c * offsets + offset;
                        sum += weight[filter * of_group * offsets + column]
                            * x[place * input.channels + first + c];
                    }
                }
                out.push(apply(spec.activation, sum));
            }
        }
        out
    }

    #[expect(clippy::too_many_arguments, reason = "the numbers of its formula")]
    fn recurrent(
        &self,
        name: &str,
        batch: &Batch,
        shape: Shape,
        hidden: usize,
        is_bidirectional: bool,
        cell: &dyn Fn(&CellArrays, &[f64], &mut State),
    ) -> Batch {
        let channels = batch.shape.channels;
        batch.map(shape, &|x, steps| {
            let mut out = vec![0.0; shape.features()];
            for direction in 0..1 + usize::from(is_bidirectional) {
                let part = |part: &str| {
                    let name = if direction == 0 {
                        format!("{name}.{part}")
                    } else {
                        format!("{name}.reverse.{part}")
                    };
                    self.arrays.get(&name).map_or(&[][..], |array| &array[..])
                };
                let arrays = CellArrays {
                    weight_ih: part("weight_ih"),
                    bias_ih: part("bias_ih"),
                    weight_hh: part("weight_hh"),
                    bias_hh: part("bias_hh"),
                };
                let mut state = State { h: vec![0.0; hidden], c: vec![0.0; hidden] };
                for turn in 0..steps {
                    let step = if direction == 0 { turn } else { steps - 1 - turn };
                    cell(&arrays, &x[step * channels..][..channels], &mut state);
                    out[step * shape.channels + direction * hidden..][..hidden].copy_from_slice(&state.h);
                }
            }
            out
        })
    }
}

impl Batch {
    /// How many positions of a sample are there.
    fn steps(&self, sample: usize) -> usize {
        self.lengths.as_ref().map_or(self.shape.positions(), |lengths| lengths[sample])
    }

    /// Each sample, with the number of its steps, made into another.
    fn map(&self, shape: Shape, f: &dyn Fn(&[f64], usize) -> Vec<f64>) -> Batch {
        let samples =
            self.samples.iter().enumerate().map(|(index, sample)| f(sample, self.steps(index))).collect();
        Batch { shape, samples, lengths: self.lengths.clone() }
    }

    /// The lengths that a layer leaves.
    fn with_lengths(mut self, layer: &LayerSpec, input: &Batch) -> Batch {
        let stride = match layer {
            LayerSpec::Conv1d(spec) => spec.stride,
            LayerSpec::Conv2d(spec) => spec.stride.sides()[1],
            LayerSpec::MaxPool(spec) => spec.stride.unwrap_or(spec.kernel).sides()[1],
            LayerSpec::AveragePool(spec) => spec.stride.unwrap_or(spec.kernel).sides()[1],
            LayerSpec::Residual(_) | LayerSpec::Parallel(_) => return self,
            _ => 1,
        };
        let steps = |&length: &usize| length.div_ceil(stride).min(self.shape.width);
        let lengths = input.lengths.as_ref().map(|lengths| lengths.iter().map(steps).collect());
        self.lengths = lengths.filter(|_| self.shape.positions() > 1);
        self
    }
}

/// The parameters of one direction of a recurrent layer; those that it has not are empty.
struct CellArrays<'a> {
    weight_ih: &'a [f64],
    bias_ih: &'a [f64],
    weight_hh: &'a [f64],
    bias_hh: &'a [f64],
}

/// The states of a recurrent layer.
struct State {
    h: Vec<f64>,
    c: Vec<f64>,
}

fn lstm(cell: &CellArrays<'_>, x: &[f64], state: &mut State) {
    let sums = add(&linear(cell.weight_ih, cell.bias_ih, x), &product(cell.weight_hh, &state.h));
    let hidden = state.h.len();
    for unit in 0..hidden {
        let [i, f, g, o] = [0, 1, 2, 3].map(|gate| sums[gate * hidden + unit]);
        state.c[unit] = sigmoid(f) * state.c[unit] + sigmoid(i) * g.tanh();
        state.h[unit] = sigmoid(o) * state.c[unit].tanh();
    }
}

fn gru(cell: &CellArrays<'_>, x: &[f64], state: &mut State) {
    let of_input = linear(cell.weight_ih, cell.bias_ih, x);
    let of_state = linear(cell.weight_hh, cell.bias_hh, &state.h);
    let hidden = state.h.len();
    for unit in 0..hidden {
        let [r, z] =
            [0, 1].map(|gate| sigmoid(of_input[gate * hidden + unit] + of_state[gate * hidden + unit]));
        let n = (of_input[2 * hidden + unit] + r * of_state[2 * hidden + unit]).tanh();
        state.h[unit] = (1.0 - z) * n + z * state.h[unit];
    }
}

/// What a window reads: the offset within the kernel and the position of the input, of those within the input. Kernel, stride,
/// padding and dilation are for height and width.
fn window(input: Shape, output: Shape, position: usize, sizes: [[usize; 2]; 4]) -> Vec<(usize, usize)> {
    let [kernel, stride, padding, dilation] = sizes;
    let (y, x) = (position / output.width, position % output.width);
    let mut found = Vec::new();
    for offset in 0..kernel[0] * kernel[1] {
        let (ky, kx) = (offset / kernel[1], offset % kernel[1]);
        let row = (y * stride[0] + ky * dilation[0]) as isize - padding[0] as isize;
        let column = (x * stride[1] + kx * dilation[1]) as isize - padding[1] as isize;
        if (0..input.height as isize).contains(&row) && (0..input.width as isize).contains(&column) {
            found.push((offset, row as usize * input.width + column as usize));
        }
    }
    found
}

/// What `join` makes of the numbers that each window sees of each channel.
fn pool(
    input: Shape,
    output: Shape,
    sizes: [Size; 4],
    x: &[f64],
    steps: usize,
    join: &dyn Fn(&[f64]) -> f64,
) -> Vec<f64> {
    // On a sequence a number is about steps; across there is a window of 1 without padding.
    let mut sides = sizes.map(Size::sides);
    if input.height == 1 {
        for (side, (size, across)) in sides.iter_mut().zip(sizes.into_iter().zip([1, 1, 0, 1])) {
            side[0] = if let Size::Square(_) = size { across } else { side[0] };
        }
    }
    let mut out = Vec::new();
    for position in 0..output.positions() {
        let window = window(input, output, position, sides);
        for c in 0..input.channels {
            let real = window.iter().filter(|(_, place)| *place < steps);
            out.push(join(&real.map(|(_, place)| x[place * input.channels + c]).collect::<Vec<_>>()));
        }
    }
    out
}

fn in_two_dimensions(spec: &Conv1dSpec) -> Conv2dSpec {
    let along = |steps: usize| Size::Sides([1, steps]);
    Conv2dSpec {
        filters: spec.filters,
        kernel: along(spec.kernel),
        stride: along(spec.stride),
        padding: match spec.padding {
            Padding::By(Size::Square(steps)) => Padding::By(Size::Sides([0, steps])),
            other => other,
        },
        dilation: along(spec.dilation),
        groups: spec.groups,
        bias: spec.bias,
        activation: spec.activation,
    }
}

pub fn apply(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::Identity => x,
        Activation::Relu => x.max(0.0),
        Activation::LeakyRelu(slope) => {
            if x > 0.0 {
                x
            } else {
                f64::from(slope) * x
            }
        }
        Activation::Tanh => x.tanh(),
        Activation::Sigmoid => sigmoid(x),
        Activation::Gelu => {
            0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3))).tanh())
        }
        Activation::Silu => x * sigmoid(x),
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn add(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

/// A matrix, row by row, times a vector.
fn product(weight: &[f64], x: &[f64]) -> Vec<f64> {
    weight.chunks(x.len()).map(|row| dot(row, x)).collect()
}

fn linear(weight: &[f64], bias: &[f64], x: &[f64]) -> Vec<f64> {
    add(&product(weight, x), bias)
}

fn softmax(scores: &[f64]) -> Vec<f64> {
    let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers: Vec<f64> = scores.iter().map(|score| (score - largest).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.iter().map(|power| power / sum).collect()
}

/// The sum of rows, each times its share; rows beyond the shares do not count.
fn weighted_mean<'a>(shares: &[f64], rows: impl Iterator<Item = &'a [f64]>) -> Vec<f64> {
    let mut sum = Vec::new();
    for (share, row) in shares.iter().zip(rows) {
        sum.resize(row.len(), 0.0);
        sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += share * x);
    }
    sum
}

/// Rotary positions: channels `2 i` and `2 i + 1` turned by `step / 10000^(2 i / size)`.
fn turned(row: &[f64], step: usize) -> Vec<f64> {
    let pairs = row.chunks(2).enumerate();
    let turn = |(pair, xy): (usize, &[f64])| {
        let angle = step as f64 / 10_000f64.powf(2.0 * pair as f64 / row.len() as f64);
        [xy[0] * angle.cos() - xy[1] * angle.sin(), xy[0] * angle.sin() + xy[1] * angle.cos()]
    };
    pairs.flat_map(turn).collect()
}
