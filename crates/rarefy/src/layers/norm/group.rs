//! Group norm.

use serde::{Deserialize, Serialize};

use super::{EPSILON, Pieces, real};
use crate::kernels::{Activation, Isa, par_chunks, sum_lanes};
use crate::layers::{Builder, Describe, Gradient, Layer, Parameter, Pass, Properties, Role, Vjp, Workspace};
use crate::tiles::{LANES, Row, Shape, Tiles};

/// Group norm (Wu and He 2018): each sample normalised over its positions and the channels of a group; files keep it so.
///
/// ```text
/// y  = (x - m) r scale + shift            m, r = 1 / sqrt(v + 1e-5) of the real positions and the group's channels
/// dx = r (g - [is real] (sum g + (x - m) r sum (g (x - m) r)) / n)      g = dy scale      x, y [positions x channels]
/// ```
/// Parameters of one number a channel: `scale` and `shift`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupNormSpec {
    /// Into how many groups the channels are cut.
    pub groups: usize,
}

impl Describe for GroupNormSpec {
    fn properties(&self) -> Properties<'_> {
        Properties {
            name: "group-norm",
            looks_ahead: Some("take layer-norm or rms-norm"),
            is_random: false,
            is_per_position: false,
            has_windows: false,
        }
    }

    fn fused_mut(&mut self) -> Option<&mut Activation> {
        None
    }

    fn output(&self, input: Shape) -> Result<Shape, String> {
        if self.groups == 0 || !input.channels.is_multiple_of(self.groups) {
            return Err(format!(
                "{} channels cannot be cut into {} groups alike",
                input.channels, self.groups
            ));
        }
        Ok(input)
    }

    fn build(&self, input: Shape, builder: &mut Builder<'_>) -> crate::Result<Box<dyn Layer>> {
        builder.vector("scale", input.channels, 1.0, Role::Scale)?;
        builder.vector("shift", input.channels, 0.0, Role::Scale)?;
        builder.part();
        Ok(Box::new(GroupNorm { shape: input, groups: self.groups }))
    }
}

/// Group norm. Parameters: scale and shift, one number a channel each.
pub struct GroupNorm {
    shape: Shape,
    groups: usize,
}

impl GroupNorm {
    /// Channels of a group.
    fn size(&self) -> usize {
        self.shape.channels / self.groups
    }

    /// Two rows for each group of each tile, made by `compute(tile, group, positions' steps, how many numbers of each lane
    /// count, rows)`.
    fn each_group(
        &self,
        isa: Isa,
        input: &Tiles,
        out: &mut Tiles,
        compute: &(impl Fn(usize, usize, &[u32; LANES], &[f32; LANES], &mut [Row]) + Sync),
    ) {
        par_chunks(out.rows_mut(), 2, &|start, rows: &mut [Row]| {
            let (tile, group) = (start / 2 / self.groups, start / 2 % self.groups);
            let steps = input.real_steps(tile, self.shape.positions());
            let counts = steps.map(|steps| (steps.max(1) as usize * self.size()) as f32);
            crate::vectorize!(isa, compute(tile, group, &steps, &counts, rows));
        });
    }

    /// The rows of a group at one position of a tile.
    #[inline(always)]
    fn rows<'a>(&self, tiles: &'a Tiles, tile: usize, position: usize, group: usize) -> &'a [Row] {
        &tiles.tile(tile)[position * self.shape.channels + group * self.size()..][..self.size()]
    }

    /// Mean and inverse deviation of each group of each sample.
    fn moments(&self, isa: Isa, input: &Tiles, out: &mut Tiles) {
        let positions = self.shape.positions();
        self.each_group(isa, input, out, &|tile, group, steps, counts, out| {
            let mut mean = [0.0f32; LANES];
            for position in 0..positions {
                let mut sum = [0.0f32; LANES];
                for row in self.rows(input, tile, position, group) {
                    (0..LANES).for_each(|lane| sum[lane] += row.0[lane]);
                }
                let sum = real(&sum, position, steps);
                (0..LANES).for_each(|lane| mean[lane] += sum[lane]);
            }
            (0..LANES).for_each(|lane| mean[lane] /= counts[lane]);
            let (mut rest, mut square) = ([0.0f32; LANES], [0.0f32; LANES]);
            for position in 0..positions {
                let (mut sum, mut squares) = ([0.0f32; LANES], [0.0f32; LANES]);
                for row in self.rows(input, tile, position, group) {
                    for lane in 0..LANES {
                        let distance = row.0[lane] - mean[lane];
                        sum[lane] += distance;
                        squares[lane] += distance * distance;
                    }
                }
                let (sum, squares) = (real(&sum, position, steps), real(&squares, position, steps));
                for lane in 0..LANES {
                    rest[lane] += sum[lane];
                    square[lane] += squares[lane];
                }
            }
            for lane in 0..LANES {
                // What the mean's rounding left is taken out of both.
                let rest = rest[lane] / counts[lane];
                out[0].0[lane] = mean[lane] + rest;
                out[1].0[lane] = 1.0 / (square[lane] / counts[lane] - rest * rest + EPSILON).sqrt();
            }
        });
    }

    /// Means over each group of each sample of the gradient times scale, and of that times the normalised input.
    fn gradient_means(&self, isa: Isa, vjp: &Vjp<'_>, scale: &[f32], moments: &Tiles, out: &mut Tiles) {
        self.each_group(isa, vjp.input, out, &|tile, group, _, counts, out| {
            let [mean, inverse] = of_group(moments, tile, group);
            let scale = &scale[group * self.size()..][..self.size()];
            let (mut sums, mut products) = ([0.0f32; LANES], [0.0f32; LANES]);
            for position in 0..self.shape.positions() {
                let (mut sum, mut product) = ([0.0f32; LANES], [0.0f32; LANES]);
                let inputs = self.rows(vjp.input, tile, position, group);
                let gradients = self.rows(vjp.gradient, tile, position, group);
                for ((input, gradient), scale) in inputs.iter().zip(gradients).zip(scale) {
                    for lane in 0..LANES {
                        let gradient = gradient.0[lane] * scale;
                        sum[lane] += gradient;
                        product[lane] += gradient * (input.0[lane] - mean.0[lane]);
                    }
                }
                for lane in 0..LANES {
                    sums[lane] += sum[lane];
                    products[lane] += product[lane];
                }
            }
            for lane in 0..LANES {
                out[0].0[lane] = sums[lane] / counts[lane];
                out[1].0[lane] = products[lane] * inverse.0[lane] / counts[lane];
            }
        });
    }
}

/// The two rows of a group.
#[inline(always)]
fn of_group(tiles: &Tiles, tile: usize, group: usize) -> &[Row; 2] {
    tiles.tile(tile)[2 * group..].first_chunk().expect("two rows a group")
}

impl Layer for GroupNorm {
    fn input(&self) -> Shape {
        self.shape
    }

    fn output(&self) -> Shape {
        self.shape
    }

    fn workspace(&self, samples: usize, training: bool) -> Workspace {
        // Mean and inverse deviation, and the means of the gradient, of each group.
        let room = |is_needed: bool| Tiles::zeros(if is_needed { 2 * self.groups } else { 0 }, samples);
        Workspace { tiles: vec![room(true), room(training)], ..Workspace::default() }
    }

    fn forward(
        &self,
        pass: &Pass,
        parameters: &[Parameter],
        input: &Tiles,
        output: &mut Tiles,
        work: &mut Workspace,
    ) {
        let moments = &mut work.tiles[0];
        self.moments(pass.isa, input, moments);
        let (scale, shift) = (parameters[0].weights.values(), parameters[1].weights.values());
        let (channels, size) = (self.shape.channels, self.size());
        let pieces = Pieces::new(input, channels);
        par_chunks(output.rows_mut(), pieces.rows(), &|start, rows: &mut [Row]| {
            crate::vectorize!(pass.isa, {
                for (place, rows) in (start / channels..).zip(rows.chunks_exact_mut(channels)) {
                    let inputs = &input.rows()[place * channels..][..channels];
                    for (channel, (row, input)) in rows.iter_mut().zip(inputs).enumerate() {
                        let [mean, inverse] =
                            of_group(moments, place / self.shape.positions(), channel / size);
                        for lane in 0..LANES {
                            let normal = (input.0[lane] - mean.0[lane]) * inverse.0[lane];
                            row.0[lane] = normal * scale[channel] + shift[channel];
                        }
                    }
                }
            });
        });
    }

    fn backward(
        &self,
        pass: &Pass,
        parameters: &[Parameter],
        gradients: &mut [Gradient],
        mut vjp: Vjp<'_>,
        work: &mut Workspace,
    ) {
        let [scale, shift] = gradients else { panic!("a group norm has a scale and a shift") };
        let factors = parameters[0].weights.values();
        let [moments, means] = &mut work.tiles[..] else { panic!("a workspace made by this layer") };
        if vjp.gradient_input.is_some() {
            self.gradient_means(pass.isa, &vjp, factors, moments, means);
        }
        let (channels, size, positions) = (self.shape.channels, self.size(), self.shape.positions());
        let pieces = Pieces::new(vjp.input, channels);
        let parts: &mut [[f32; 2]] = pieces.parts(&mut work.scratch);
        let out = vjp.gradient_input.take().map_or(&mut [][..], Tiles::rows_mut);
        pieces.each(out, parts, &|places, out, parts| {
            crate::vectorize!(pass.isa, {
                parts.fill([0.0; 2]);
                let mut out = out.iter_mut();
                for place in places {
                    let (tile, step) = (place / positions, place % positions);
                    let steps = vjp.input.real_steps(tile, positions);
                    let inputs = &vjp.input.rows()[place * channels..][..channels];
                    let gradients = &vjp.gradient.rows()[place * channels..][..channels];
                    let rows = inputs.iter().zip(gradients).zip(factors);
                    for (channel, (part, ((input, gradient), scale))) in
                        parts.iter_mut().zip(rows).enumerate()
                    {
                        let [mean, inverse] = of_group(moments, tile, channel / size);
                        let (mut normal, mut product) = ([0.0; LANES], [0.0; LANES]);
                        for lane in 0..LANES {
                            normal[lane] = (input.0[lane] - mean.0[lane]) * inverse.0[lane];
                            product[lane] = normal[lane] * gradient.0[lane];
                        }
                        part[0] += sum_lanes(&product);
                        part[1] += sum_lanes(&gradient.0);
                        let Some(row) = out.next() else { continue };
                        let [sum, product] = of_group(means, tile, channel / size);
                        for lane in 0..LANES {
                            normal[lane] = sum.0[lane] + normal[lane] * product.0[lane];
                        }
                        let through = real(&normal, step, &steps);
                        for lane in 0..LANES {
                            row.0[lane] = inverse.0[lane] * (gradient.0[lane] * scale - through[lane]);
                        }
                        vjp.gate.gate(&mut row.0, input);
                    }
                }
            });
        });
        for channel in 0..channels {
            [scale.values[channel], shift.values[channel]] = pieces.sum(parts, channel);
        }
    }
}
