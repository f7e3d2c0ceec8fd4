//! Batch norm.
//!
//! Mean and squared deviations are taken in two passes over a piece of the batch that stays in the cache, and joined
//! piece by piece (Chan, Golub and LeVeque 1979): no difference of large sums, and memory is read once.

use serde::{Deserialize, Serialize};

use super::{EPSILON, Pieces, real};
use crate::kernels::{Activation, Isa, Vectorized, par_chunks, sum_lanes};
use crate::layers::{Builder, Describe, Gradient, Layer, Parameter, Pass, Properties, Role, Vjp, Workspace};
use crate::tiles::{LANES, Row, Shape, Tiles};

/// The weight of a batch in the running averages.
pub(in crate::layers) const MOMENTUM: f32 = 0.1;

/// Channels of a piece that one thread takes at a time.
const CHANNELS: usize = 32;

/// Batch norm (Ioffe and Szegedy 2015): channels normalised over the batch; files keep it so.
///
/// ```text
/// training     y = f((x - m) r scale + shift)     r = 1 / sqrt(v + 1e-5)      x, y [positions x channels]
///              m, v: mean and variance of a channel over the n numbers of the batch: samples and their real positions
///              dx = scale r (dy - [is real] (sum dy + (x - m) r^2 sum dy (x - m)) / n)
///              mean <- mean + 0.1 (m - mean), variance <- variance + 0.1 (v n / (n - 1) - variance)
/// predicting   m = mean, v = variance         dx = scale r dy
/// ```
/// Parameters of one number a channel: `scale` and `shift`, and, not trained by gradients, `mean` and `variance`. A sample counts as
/// one whatever its weight, and where gradients of several batches are added up each batch is normalised by itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchNormSpec {
    /// The fused activation.
    #[serde(default)]
    pub activation: Activation,
}

impl Describe for BatchNormSpec {
    fn properties(&self) -> Properties<'_> {
        Properties {
            name: "batch-norm",
            // Predictions do not use the statistics of a batch.
            looks_ahead: None,
            is_random: false,
            is_per_position: true,
            has_windows: false,
        }
    }

    fn fused_mut(&mut self) -> Option<&mut Activation> {
        Some(&mut self.activation)
    }

    fn output(&self, input: Shape) -> Result<Shape, String> {
        self.activation.check_fusable("norm")?;
        Ok(input)
    }

    fn build(&self, input: Shape, builder: &mut Builder<'_>) -> crate::Result<Box<dyn Layer>> {
        builder.vector("scale", input.channels, 1.0, Role::Scale)?;
        builder.vector("shift", input.channels, 0.0, Role::Scale)?;
        builder.vector("mean", input.channels, 0.0, Role::Mean)?;
        builder.vector("variance", input.channels, 1.0, Role::Variance)?;
        builder.part();
        Ok(Box::new(BatchNorm { shape: input, activation: self.activation }))
    }
}

/// Batch norm. Parameters: scale, shift, running mean, running variance; one number a channel each.
pub struct BatchNorm {
    shape: Shape,
    activation: Activation,
}

/// `[count, mean, sum of squared deviations]` of some numbers.
type Moments = [f32; 3];

/// The moments of two parts together.
fn join([n, mean, square]: Moments, [more, its_mean, its_square]: Moments) -> Moments {
    if more == 0.0 {
        return [n, mean, square];
    }
    let (count, between) = (n + more, its_mean - mean);
    let share = more / count;
    [count, mean + between * share, square + its_square + between * between * (n * share)]
}

/// `1 / sqrt(variance + epsilon)`.
fn inverse_deviation([count, _, square]: Moments) -> f32 {
    1.0 / (square / count.max(1.0) + EPSILON).sqrt()
}

/// The variance that goes into the running one.
fn sample_variance([count, _, square]: Moments) -> f32 {
    square / (count - 1.0).max(1.0)
}

impl BatchNorm {
    /// The moments of each channel over the batch.
    fn of_batch(&self, isa: Isa, input: &Tiles, parts: &mut Vec<f32>, moments: &mut [Moments]) {
        let (channels, positions) = (self.shape.channels, self.shape.positions());
        let pieces = Pieces::new(input, channels);
        let parts: &mut [Moments] = pieces.parts(parts);
        pieces.each(&mut [], parts, &|panels, _, parts| {
            par_chunks(parts, CHANNELS, &|first, parts: &mut [Moments]| {
                let row = |panel: usize| &input.rows()[panel * channels + first..];
                crate::vectorize!(isa, {
                    let mut count = 0;
                    parts.fill([0.0; 3]);
                    for panel in panels.clone() {
                        let (tile, step) = (panel / positions, panel % positions);
                        let steps = input.real_steps(tile, positions);
                        count += steps.iter().filter(|&&steps| step < steps as usize).count();
                        for (part, row) in parts.iter_mut().zip(row(panel)) {
                            part[1] += sum_lanes(&real(&row.0, step, &steps));
                        }
                    }
                    for part in parts.iter_mut() {
                        part[0] = count as f32;
                        part[1] /= part[0].max(1.0);
                    }
                    for panel in panels.clone() {
                        let (tile, step) = (panel / positions, panel % positions);
                        let steps = input.real_steps(tile, positions);
                        for (part, row) in parts.iter_mut().zip(row(panel)) {
                            let mean = part[1];
                            let mut squares = row.0;
                            for value in &mut squares {
                                *value = (*value - mean) * (*value - mean);
                            }
                            part[2] += sum_lanes(&real(&squares, step, &steps));
                        }
                    }
                });
            });
        });
        for (channel, moments) in moments.iter_mut().enumerate() {
            *moments = if input.tiles() == 0 { [0.0; 3] } else { pieces.join(parts, channel, join) };
        }
    }

    /// Sums over the batch of the gradient, and of the gradient times the input's distance from its mean.
    fn gradient_sums<'a>(
        &self,
        isa: Isa,
        vjp: &Vjp<'_>,
        moments: &[Moments],
        parts: &'a mut Vec<f32>,
    ) -> (Pieces, &'a [[f32; 2]]) {
        let channels = self.shape.channels;
        let pieces = Pieces::new(vjp.input, channels);
        let parts: &mut [[f32; 2]] = pieces.parts(parts);
        pieces.each(&mut [], parts, &|panels, _, parts| {
            par_chunks(parts, CHANNELS, &|first, parts: &mut [[f32; 2]]| {
                crate::vectorize!(isa, {
                    parts.fill([0.0; 2]);
                    for panel in panels.clone() {
                        let inputs = &vjp.input.rows()[panel * channels + first..];
                        let gradients = &vjp.gradient.rows()[panel * channels + first..];
                        let rows = inputs.iter().zip(gradients).zip(&moments[first..]);
                        for (part, ((input, gradient), [_, mean, _])) in parts.iter_mut().zip(rows) {
                            let mut product = input.0;
                            for lane in 0..LANES {
                                product[lane] = (product[lane] - mean) * gradient.0[lane];
                            }
                            part[0] += sum_lanes(&gradient.0);
                            part[1] += sum_lanes(&product);
                        }
                    }
                });
            });
        });
        (pieces, parts)
    }
}

impl Layer for BatchNorm {
    fn input(&self) -> Shape {
        self.shape
    }

    fn output(&self) -> Shape {
        self.shape
    }

    fn fused(&self) -> Activation {
        self.activation
    }

    fn workspace(&self, _: usize, _: bool) -> Workspace {
        // The moments that the last forward pass normalised by, what rows are computed with, and sums of gradients.
        let room = |count: usize| vec![0.0; count * self.shape.channels];
        Workspace { numbers: vec![room(3), room(3), room(2)], ..Workspace::default() }
    }

    fn spreads(&self) -> bool {
        true
    }

    fn forward(
        &self,
        pass: &Pass,
        parameters: &[Parameter],
        input: &Tiles,
        output: &mut Tiles,
        work: &mut Workspace,
    ) {
        let [scale, shift, mean, variance] = values(parameters);
        let Workspace { scratch: parts, numbers, .. } = work;
        let [moments, factors, _] = &mut numbers[..] else { panic!("a workspace made by this layer") };
        let moments: &mut [Moments] = moments.as_chunks_mut().0;
        match pass.training {
            Some(_) => {
                self.of_batch(pass.isa, input, parts, moments);
                pass.join(moments, join);
            }
            None => {
                for (moments, (&mean, &variance)) in moments.iter_mut().zip(mean.iter().zip(variance)) {
                    *moments = [1.0, mean, variance];
                }
            }
        }
        let factors: &mut [[f32; 3]] = factors.as_chunks_mut().0;
        for (channel, factors) in factors.iter_mut().enumerate() {
            let moments = moments[channel];
            *factors = [moments[1], scale[channel] * inverse_deviation(moments), shift[channel]];
        }
        let pieces = Pieces::new(input, self.shape.channels);
        par_chunks(output.rows_mut(), pieces.rows(), &|start, rows: &mut [Row]| {
            let inputs = &input.rows()[start..];
            pass.isa.vectorize(Normalise { inputs, factors, activation: self.activation, rows });
        });
    }

    fn batch_statistics(&self, work: &Workspace, found: &mut Vec<f32>) {
        let moments: &[Moments] = work.numbers[0].as_chunks().0;
        found.extend(moments.iter().map(|moments| moments[1]));
        found.extend(moments.iter().map(|&moments| sample_variance(moments)));
    }

    fn backward(
        &self,
        pass: &Pass,
        parameters: &[Parameter],
        gradients: &mut [Gradient],
        mut vjp: Vjp<'_>,
        work: &mut Workspace,
    ) {
        let Workspace { scratch: parts, numbers, .. } = work;
        let [moments, factors, sums] = &mut numbers[..] else { panic!("a workspace made by this layer") };
        let moments: &[Moments] = moments.as_chunks().0;
        let (pieces, parts) = self.gradient_sums(pass.isa, &vjp, moments, parts);
        let sums: &mut [[f32; 2]] = sums.as_chunks_mut().0;
        for (channel, sums) in sums.iter_mut().enumerate() {
            *sums = pieces.sum(parts, channel);
        }
        pass.join(sums, |a, b| [a[0] + b[0], a[1] + b[1]]);
        // The first share has the sums of all, so the others add nothing to them: -0 is what changes no number.
        let is_first = pass.peers.is_none_or(|peers| peers.index() == 0);
        let factors: &mut [[f32; 3]] = factors.as_chunks_mut().0;
        let scale = parameters[0].weights.values();
        let [scale_gradient, shift_gradient, ..] = gradients else {
            panic!("a batch norm has a scale and a shift")
        };
        for (channel, factors) in factors.iter_mut().enumerate() {
            let [sum, product] = sums[channel];
            let (inverse, count) = (inverse_deviation(moments[channel]), moments[channel][0].max(1.0));
            let scaled = scale[channel] * inverse;
            // Only the statistics of a batch depend on the input.
            let through = |sum: f32| if pass.training.is_some() { sum / count } else { 0.0 };
            *factors = [scaled, through(scaled * sum), through(scaled * inverse * inverse * product)];
            scale_gradient.values[channel] = if is_first { inverse * product } else { -0.0 };
            shift_gradient.values[channel] = if is_first { sum } else { -0.0 };
        }
        let Some(gradient_input) = vjp.gradient_input.take() else { return };
        let (channels, positions) = (self.shape.channels, self.shape.positions());
        par_chunks(gradient_input.rows_mut(), pieces.rows(), &|start, rows: &mut [Row]| {
            crate::vectorize!(pass.isa, {
                for (panel, rows) in (start / channels..).zip(rows.chunks_exact_mut(channels)) {
                    let (tile, step) = (panel / positions, panel % positions);
                    let steps = vjp.input.real_steps(tile, positions);
                    let inputs = &vjp.input.rows()[panel * channels..];
                    let gradients = &vjp.gradient.rows()[panel * channels..];
                    let constants = moments.iter().zip(&*factors);
                    for ((row, (input, gradient)), ([_, mean, _], [scale, sum, product])) in
                        rows.iter_mut().zip(inputs.iter().zip(gradients)).zip(constants)
                    {
                        let mut through = input.0;
                        for value in &mut through {
                            *value = sum + (*value - mean) * product;
                        }
                        let through = real(&through, step, &steps);
                        for lane in 0..LANES {
                            row.0[lane] = scale * gradient.0[lane] - through[lane];
                        }
                        vjp.gate.gate(&mut row.0, input);
                    }
                }
            });
        });
    }
}

fn values(parameters: &[Parameter]) -> [&[f32]; 4] {
    std::array::from_fn(|index| parameters[index].weights.values())
}

/// Rows of normalised channels, position after position.
struct Normalise<'a> {
    inputs: &'a [Row],
    /// Mean, scale and shift of each channel.
    factors: &'a [[f32; 3]],
    activation: Activation,
    rows: &'a mut [Row],
}

impl Vectorized for Normalise<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let channels = self.factors.len();
        for (rows, inputs) in self.rows.chunks_exact_mut(channels).zip(self.inputs.chunks_exact(channels)) {
            for ((row, input), [mean, scale, shift]) in rows.iter_mut().zip(inputs).zip(self.factors) {
                for lane in 0..LANES {
                    row.0[lane] = (input.0[lane] - mean) * scale + shift;
                }
                self.activation.apply(&mut row.0);
            }
        }
    }
}
