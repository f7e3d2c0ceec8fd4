//! Layer norm.
//!
//! A position is read twice while it stands in the cache; the backward pass computes mean and deviation again rather than keep
//! them. With the mean taken as 0, forward and backward, and no shift it is the RMS norm.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::{EPSILON, Pieces};
use crate::kernels::{Activation, Vectorized, fetch_ahead, par_chunks, sum_lanes};
use crate::layers::{Builder, Describe, Gradient, Layer, Parameter, Pass, Properties, Role, Vjp, Workspace};
use crate::tiles::{HALF, LANES, Row, Shape, Tiles};

/// Layer norm (Ba, Kiros and Hinton 2016): each position of a sample normalised over its channels; files keep it so.
///
/// ```text
/// y  = u r scale + shift      u = x - mean of x, r = 1 / sqrt(mean of u^2 + 1e-5)      x, y [positions x channels]
/// dx = r (g - mean of g - u r mean of (g u r))     g = dy scale
/// ```
/// Parameters of one number a channel: `scale` and `shift`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerNormSpec {}

impl Describe for LayerNormSpec {
    fn properties(&self) -> Properties<'_> {
        Properties {
            name: "layer-norm",
            looks_ahead: None,
            is_random: false,
            is_per_position: true,
            has_windows: false,
        }
    }

    fn fused_mut(&mut self) -> Option<&mut Activation> {
        None
    }

    fn output(&self, input: Shape) -> Result<Shape, String> {
        Ok(input)
    }

    fn build(&self, input: Shape, builder: &mut Builder<'_>) -> crate::Result<Box<dyn Layer>> {
        builder.vector("scale", input.channels, 1.0, Role::Scale)?;
        builder.vector("shift", input.channels, 0.0, Role::Scale)?;
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

    /// Mean and inverse deviation of each of the first `N` lanes over some rows.
    #[inline(always)]
    fn moments<const N: usize>(&self, rows: &[Row]) -> ([f32; N], [f32; N]) {
        let count = rows.len() as f32;
        let (mut mean, mut rest, mut square) = ([0.0f32; N], [0.0f32; N], [0.0f32; N]);
        if self.is_centred() {
            for (index, row) in rows.iter().enumerate() {
                fetch_ahead(rows, index);
                for lane in 0..N {
                    mean[lane] += row.0[lane];
                }
            }
            mean.iter_mut().for_each(|mean| *mean /= count);
        }
        for row in rows {
            for lane in 0..N {
                let distance = row.0[lane] - mean[lane];
                rest[lane] += distance;
                square[lane] += distance * distance;
            }
        }
        let mut inverse = [0.0; N];
        for lane in 0..N {
            // What the mean's rounding left is taken out of both.
            let rest = if self.is_centred() { rest[lane] / count } else { 0.0 };
            mean[lane] += rest;
            inverse[lane] = 1.0 / (square[lane] / count - rest * rest + EPSILON).sqrt();
        }
        (mean, inverse)
    }
}

/// Some positions of a forward pass.
struct Forward<'a> {
    norm: &'a LayerNorm,
    scale: &'a [f32],
    shift: &'a [f32],
    input: &'a Tiles,
    /// The first position, counted over all tiles.
    first: usize,
    output: &'a mut [Row],
}

impl Vectorized for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run(mut self) {
        let channels = self.norm.shape.channels;
        let output = std::mem::take(&mut self.output);
        for (position, output) in (self.first..).zip(output.chunks_exact_mut(channels)) {
            let input = &self.input.rows()[position * channels..][..channels];
            if self.input.is_half(position / self.norm.shape.positions()) {
                self.normalise::<HALF>(input, output);
            } else {
                self.normalise::<LANES>(input, output);
            }
        }
    }
}

impl Forward<'_> {
    /// The first `N` lanes of a position.
    #[inline(always)]
    fn normalise<const N: usize>(&self, input: &[Row], output: &mut [Row]) {
        let (mean, inverse) = self.norm.moments::<N>(input);
        let constants = self.scale.iter().zip(self.shift);
        for ((output, input), (scale, shift)) in output.iter_mut().zip(input).zip(constants) {
            for lane in 0..N {
                let normal = (input.0[lane] - mean[lane]) * inverse[lane];
                output.0[lane] = normal * scale + shift;
            }
        }
    }
}

/// A piece of a backward pass.
struct Backward<'a> {
    norm: &'a LayerNorm,
    scale: &'a [f32],
    input: &'a Tiles,
    gradient: &'a Tiles,
    gate: Activation,
    /// Counted over all tiles.
    positions: Range<usize>,
    /// Empty if nobody needs the gradient of the inputs.
    gradient_input: &'a mut [Row],
    /// Each channel's sums of the gradient times the normalised input, and of the gradient.
    parts: &'a mut [[f32; 2]],
}

impl Vectorized for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn run(mut self) {
        let channels = self.norm.shape.channels;
        self.parts.fill([0.0; 2]);
        let mut out = std::mem::take(&mut self.gradient_input).chunks_exact_mut(channels);
        for position in self.positions.clone() {
            let rows = position * channels..(position + 1) * channels;
            let (input, gradient) = (&self.input.rows()[rows.clone()], &self.gradient.rows()[rows]);
            if self.input.is_half(position / self.norm.shape.positions()) {
                self.differentiate::<HALF>(input, gradient, out.next());
            } else {
                self.differentiate::<LANES>(input, gradient, out.next());
            }
        }
    }
}

impl Backward<'_> {
    /// The first `N` lanes of a position.
    #[inline(always)]
    fn differentiate<const N: usize>(&mut self, input: &[Row], gradient: &[Row], out: Option<&mut [Row]>) {
        let (mean, inverse) = self.norm.moments::<N>(input);
        let (mut sum, mut product) = ([0.0f32; N], [0.0f32; N]);
        let count = input.len() as f32;
        let rows = input.iter().zip(gradient).zip(self.scale);
        for (index, (part, ((input, row), scale))) in self.parts.iter_mut().zip(rows.clone()).enumerate() {
            fetch_ahead(gradient, index);
            let (mut normal, mut plain) = ([0.0; N], [0.0; N]);
            for lane in 0..N {
                plain[lane] = row.0[lane];
                normal[lane] = (input.0[lane] - mean[lane]) * inverse[lane] * plain[lane];
                sum[lane] += plain[lane] * scale;
                product[lane] += normal[lane] * scale;
            }
            part[0] += sum_lanes(&normal);
            part[1] += sum_lanes(&plain);
        }
        let Some(out) = out else { return };
        if !self.norm.is_centred() {
            sum = [0.0; N];
        }
        for (row, ((input, gradient), scale)) in out.iter_mut().zip(rows) {
            let lanes = row.0.first_chunk_mut::<N>().expect("at most a row");
            for lane in 0..N {
                let normal = (input.0[lane] - mean[lane]) * inverse[lane];
                let through = (sum[lane] + normal * product[lane]) / count;
                lanes[lane] = inverse[lane] * (gradient.0[lane] * scale - through);
            }
            self.gate.gate(lanes, input);
        }
    }
}

impl Layer for LayerNorm {
    fn input(&self) -> Shape {
        self.shape
    }

    fn output(&self) -> Shape {
        self.shape
    }

    fn folds(&self) -> bool {
        true
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
        _: &mut Workspace,
    ) {
        let scale = parameters[0].weights.values();
        let shift = self.zeros.as_deref().unwrap_or_else(|| parameters[1].weights.values());
        let (channels, pieces) = (self.shape.channels, Pieces::new(input, self.shape.channels));
        par_chunks(output.rows_mut(), pieces.rows(), &|start, output: &mut [Row]| {
            let first = start / channels;
            pass.isa.vectorize(Forward { norm: self, scale, shift, input, first, output });
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
        let (scale, shift) = gradients.split_first_mut().expect("a norm has a scale");
        let factors = parameters[0].weights.values();
        let (channels, pieces) = (self.shape.channels, Pieces::new(vjp.input, self.shape.channels));
        let parts: &mut [[f32; 2]] = pieces.parts(&mut work.scratch);
        let out = vjp.gradient_input.take().map_or(&mut [][..], Tiles::rows_mut);
        pieces.each(out, parts, &|positions, gradient_input, parts| {
            pass.isa.vectorize(Backward {
                norm: self,
                scale: factors,
                input: vjp.input,
                gradient: vjp.gradient,
                gate: vjp.gate,
                positions,
                gradient_input,
                parts,
            });
        });
        for channel in 0..channels {
            let [product, sum] = pieces.sum(parts, channel);
            scale.values[channel] = product;
            if let Some(shift) = shift.first_mut() {
                shift.values[channel] = sum;
            }
        }
    }
}
