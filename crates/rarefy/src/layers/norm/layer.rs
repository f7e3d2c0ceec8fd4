//! Layer norm (Ba, Kiros and Hinton 2016): each position of each sample is normalised over its channels.
//!
//! ```text
//! y  = u r scale + shift                  u = x - mean of x, r = 1 / sqrt(mean of u^2 + 1e-5)
//! dx = r (g - mean of g - u r mean of (g u r))     g = dy scale
//! ```
//! With the mean taken as 0, in both lines, and no shift it is the RMS norm. A position is read twice while it stands in
//! the cache; the backward pass computes mean and deviation again rather than keep them.

use serde::{Deserialize, Serialize};

use super::{EPSILON, Pieces};
use crate::kernels::{par_chunk_pairs, par_chunks, sum_lanes};
use crate::layers::{Builder, Describe, Flow, Layer, Parameter, Pass, Role, Workspace};
use crate::tiles::{LANES, Row, Shape, Tiles};

/// Layer norm as files keep it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerNormSpec {}

impl Describe for LayerNormSpec {
    fn output(&self, input: Shape) -> Result<Shape, String> {
        Ok(input)
    }

    fn build(&self, input: Shape, builder: &mut Builder<'_>) -> crate::Result<Box<dyn Layer>> {
        builder.vector("scale", input.channels, 1.0, Role::Scale);
        builder.vector("shift", input.channels, 0.0, Role::Scale);
        builder.part();
        Ok(Box::new(LayerNorm { shape: input, zeros: None }))
    }
}

/// Layer norm, or RMS norm. Parameters: scale and, for layer norm, shift; one number a channel each.
pub struct LayerNorm {
    pub(super) shape: Shape,
    /// For an RMS norm, which leaves the mean where it is, what stands for the shift that is not there.
    pub(super) zeros: Option<Vec<f32>>,
}

impl LayerNorm {
    fn is_centred(&self) -> bool {
        self.zeros.is_none()
    }

    /// Mean and inverse deviation of each lane over some rows.
    #[inline(always)]
    fn moments(&self, rows: &[Row]) -> ([f32; LANES], [f32; LANES]) {
        let count = rows.len() as f32;
        let (mut mean, mut rest, mut square) = ([0.0f32; LANES], [0.0f32; LANES], [0.0f32; LANES]);
        if self.is_centred() {
            for row in rows {
                for lane in 0..LANES {
                    mean[lane] += row.0[lane];
                }
            }
            mean.iter_mut().for_each(|mean| *mean /= count);
        }
        for row in rows {
            for lane in 0..LANES {
                let distance = row.0[lane] - mean[lane];
                rest[lane] += distance;
                square[lane] += distance * distance;
            }
        }
        let mut inverse = [0.0; LANES];
        for lane in 0..LANES {
            // What the mean's rounding left is taken out of both.
            let rest = if self.is_centred() { rest[lane] / count } else { 0.0 };
            mean[lane] += rest;
            inverse[lane] = 1.0 / (square[lane] / count - rest * rest + EPSILON).sqrt();
        }
        (mean, inverse)
    }
}

impl Layer for LayerNorm {
    fn input(&self) -> Shape {
        self.shape
    }

    fn output(&self) -> Shape {
        self.shape
    }

    fn workspace(&self, _: usize, _: bool) -> Workspace {
        // Parts of sums.
        Workspace { numbers: vec![Vec::new()], ..Workspace::default() }
    }

    fn forward(
        &self,
        pass: &Pass,
        parameters: &[Parameter],
        input: &Tiles,
        output: &mut Tiles,
        _: &mut Workspace,
    ) {
        let scale = parameters[0].weights.values();
        let shift = self.zeros.as_deref().unwrap_or_else(|| parameters[1].weights.values());
        let (channels, pieces) = (self.shape.channels, Pieces::new(input.rows(), self.shape.channels));
        par_chunks(output.rows_mut(), pieces.rows(), &|start, rows: &mut [Row]| {
            let inputs = input.rows()[start..].chunks_exact(channels);
            pass.isa.vectorize(|| {
                for (rows, inputs) in rows.chunks_exact_mut(channels).zip(inputs) {
                    let (mean, inverse) = self.moments(inputs);
                    let constants = scale.iter().zip(shift);
                    for ((row, input), (scale, shift)) in rows.iter_mut().zip(inputs).zip(constants) {
                        for lane in 0..LANES {
                            let normal = (input.0[lane] - mean[lane]) * inverse[lane];
                            row.0[lane] = normal * scale + shift;
                        }
                    }
                }
            });
        });
    }

    fn backward(&self, pass: &Pass, parameters: &mut [Parameter], mut flow: Flow<'_>, work: &mut Workspace) {
        let (scale, shift) = parameters.split_first_mut().expect("a norm has a scale");
        let factors = scale.weights.values();
        let (channels, pieces) = (self.shape.channels, Pieces::new(flow.input.rows(), self.shape.channels));
        let count = channels as f32;
        let parts: &mut [[f32; 2]] = pieces.parts(&mut work.numbers[0]);
        let out = flow.gradient_input.take().map_or(&mut [][..], Tiles::rows_mut);
        par_chunk_pairs(out, parts, (pieces.rows(), channels), &|piece, out: &mut [Row], parts| {
            pass.isa.vectorize(|| {
                parts.fill([0.0; 2]);
                let mut out = out.chunks_exact_mut(channels);
                for position in pieces.of(piece) {
                    let inputs = &flow.input.rows()[position * channels..][..channels];
                    let gradients = &flow.gradient.rows()[position * channels..][..channels];
                    let (mean, inverse) = self.moments(inputs);
                    let (mut sum, mut product) = ([0.0f32; LANES], [0.0f32; LANES]);
                    let rows = inputs.iter().zip(gradients).zip(factors);
                    for (part, ((input, gradient), scale)) in parts.iter_mut().zip(rows.clone()) {
                        let mut normal = [0.0; LANES];
                        for lane in 0..LANES {
                            normal[lane] = (input.0[lane] - mean[lane]) * inverse[lane] * gradient.0[lane];
                            sum[lane] += gradient.0[lane] * scale;
                            product[lane] += normal[lane] * scale;
                        }
                        part[0] += sum_lanes(&normal);
                        part[1] += sum_lanes(&gradient.0);
                    }
                    let Some(out) = out.next() else { continue };
                    if !self.is_centred() {
                        sum = [0.0; LANES];
                    }
                    for (row, ((input, gradient), scale)) in out.iter_mut().zip(rows) {
                        for lane in 0..LANES {
                            let normal = (input.0[lane] - mean[lane]) * inverse[lane];
                            let through = (sum[lane] + normal * product[lane]) / count;
                            row.0[lane] = inverse[lane] * (gradient.0[lane] * scale - through);
                        }
                        flow.gate.gate(&mut row.0, input);
                    }
                }
            });
        });
        for channel in 0..channels {
            let [product, sum] = pieces.sum(parts, channel);
            scale.gradient[channel] = product;
            if let Some(shift) = shift.first_mut() {
                shift.gradient[channel] = sum;
            }
        }
    }
}
