//! Attention pooling over time.

use serde::{Deserialize, Serialize};

use super::{CHANNELS, of_sequence, positions_in_piece, properties};
use crate::kernels::{self, Activation, Epilogue, Product, par_chunks};
use crate::layers::{
    Builder, Describe, Gradient, Layer, Parameter, Pass, Properties, Vjp, WeightShape, Workspace,
};
use crate::math;
use crate::tiles::{LANES, Row, Shape, Tiles};

/// A mean of the steps that a sample has, each weighted by how well it answers one learned query; files keep it so.
///
/// ```text
/// y = sum over steps t of a[t] x[t]      a = softmax over steps of (q . x[t])      x [steps x channels] -> y [channels]
/// d(q . x[t]) = a[t] (dy . x[t] - sum over s of a[s] dy . x[s])
/// ```
/// `q` is the parameter `query`, a weight `[1 x channels]`. There is no bias, which softmax would not see. It is the pooling of
/// Raffel and Ellis 2015, equations 1 and 2, with a linear score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttentionPoolSpec {}

impl Describe for AttentionPoolSpec {
    fn properties(&self) -> Properties<'_> {
        properties("attention-pool", false)
    }

    fn fused_mut(&mut self) -> Option<&mut Activation> {
        None
    }

    fn output(&self, input: Shape) -> Result<Shape, String> {
        of_sequence(input)
    }

    fn build(&self, input: Shape, builder: &mut Builder<'_>) -> crate::Result<Box<dyn Layer>> {
        let shape = WeightShape::linear(1, input.channels, input.positions());
        // Drawn as before a hyperbolic tangent: no rectifier will halve what comes out.
        builder.weight("query", shape, Activation::Tanh)?;
        builder.part();
        Ok(Box::new(AttentionPool { input }))
    }
}

/// The tiles of the workspace: the weight of each step, and the gradient of its score.
const SHARES: usize = 0;
const SCORES: usize = 1;

/// Attention pooling. Parameter: the query, a weight of one row.
pub struct AttentionPool {
    input: Shape,
}

impl AttentionPool {
    /// Turns the scores of a tile, a row a step, into weights.
    fn softmax(&self, input: &Tiles, tile: usize, scores: &mut [Row]) {
        // A lane that is nobody's has one step, so that numbers stay finite.
        let steps = input.real_steps(tile, self.input.width).map(|steps| steps.max(1));
        let mut largest = scores[0].0;
        for (step, row) in scores.iter().enumerate() {
            for lane in 0..LANES {
                let is_larger = (step as u32) < steps[lane] && row.0[lane] > largest[lane];
                largest[lane] = if is_larger { row.0[lane] } else { largest[lane] };
            }
        }
        let mut sum = [0.0f32; LANES];
        for (step, row) in scores.iter_mut().enumerate() {
            for lane in 0..LANES {
                let power = math::exp(row.0[lane] - largest[lane]);
                row.0[lane] = if (step as u32) < steps[lane] { power } else { 0.0 };
                sum[lane] += row.0[lane];
            }
        }
        for row in scores {
            (0..LANES).for_each(|lane| row.0[lane] /= sum[lane]);
        }
    }
}

impl Layer for AttentionPool {
    fn input(&self) -> Shape {
        self.input
    }

    fn output(&self) -> Shape {
        Shape::flat(self.input.channels)
    }

    fn workspace(&self, samples: usize, training: bool) -> Workspace {
        let room = |is_needed: bool| Tiles::zeros(if is_needed { self.input.width } else { 0 }, samples);
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
        let (channels, steps, shares) = (self.input.channels, self.input.width, &mut work.tiles[SHARES]);
        let epilogue = Epilogue::Activate { bias: &[0.0], activation: Activation::Identity };
        kernels::multiply(pass.isa, &parameters[0].weights, input, shares, epilogue);
        par_chunks(shares.rows_mut(), steps, &|start, scores: &mut [Row]| {
            crate::vectorize!(pass.isa, self.softmax(input, start / steps, scores));
        });
        par_chunks(output.rows_mut(), channels, &|start, rows: &mut [Row]| {
            let tile = start / channels;
            par_chunks(rows, CHANNELS, &|first, rows: &mut [Row]| {
                crate::vectorize!(pass.isa, {
                    rows.fill(Row::ZERO);
                    for (step, share) in shares.tile(tile).iter().enumerate() {
                        let inputs = &input.tile(tile)[step * channels + first..];
                        for (row, input) in rows.iter_mut().zip(inputs) {
                            (0..LANES).for_each(|lane| row.0[lane] += share.0[lane] * input.0[lane]);
                        }
                    }
                });
            });
        });
    }

    fn backward(
        &self,
        pass: &Pass,
        parameters: &[Parameter],
        gradients: &mut [Gradient],
        vjp: Vjp<'_>,
        work: &mut Workspace,
    ) {
        let (channels, steps) = (self.input.channels, self.input.width);
        let [shares, scores] = &mut work.tiles[..] else { panic!("a workspace made by this layer") };
        // First the gradients of the weights of the steps, then those of their scores.
        par_chunks(scores.rows_mut(), positions_in_piece(channels), &|start, rows: &mut [Row]| {
            crate::vectorize!(pass.isa, {
                for (place, row) in (start..).zip(rows) {
                    let inputs = &vjp.input.rows()[place * channels..][..channels];
                    let mut sum = [0.0f32; LANES];
                    for (input, gradient) in inputs.iter().zip(vjp.gradient.tile(place / steps)) {
                        (0..LANES).for_each(|lane| sum[lane] += input.0[lane] * gradient.0[lane]);
                    }
                    row.0 = sum;
                }
            });
        });
        par_chunks(scores.rows_mut(), steps, &|start, rows: &mut [Row]| {
            let shares = shares.tile(start / steps);
            crate::vectorize!(pass.isa, {
                let mut mean = [0.0f32; LANES];
                for (row, share) in rows.iter().zip(shares) {
                    (0..LANES).for_each(|lane| mean[lane] += share.0[lane] * row.0[lane]);
                }
                for (row, share) in rows.iter_mut().zip(shares) {
                    for lane in 0..LANES {
                        row.0[lane] = share.0[lane] * (row.0[lane] - mean[lane]);
                    }
                }
            });
        });
        pass.precision.round(pass.isa, scores.numbers_mut());
        let (query, scratch) = (&parameters[0].weights, &mut work.scratch);
        let out = &mut gradients[0].values;
        kernels::weight_gradient(pass.isa, query, scores, vjp.input, out, scratch);
        let Some(gradient_input) = vjp.gradient_input else { return };
        let epilogue = Epilogue::Gate { activation: Activation::Identity, outputs: vjp.input.rows() };
        kernels::multiply_transposed(pass.isa, query, scores, gradient_input, epilogue, scratch);
        par_chunks(
            gradient_input.rows_mut(),
            positions_in_piece(channels) * channels,
            &|start, rows: &mut [Row]| {
                crate::vectorize!(pass.isa, {
                    for (place, rows) in (start / channels..).zip(rows.chunks_exact_mut(channels)) {
                        let share = &shares.rows()[place];
                        let inputs = &vjp.input.rows()[place * channels..];
                        let gradients = vjp.gradient.tile(place / steps);
                        for (row, (gradient, input)) in rows.iter_mut().zip(gradients.iter().zip(inputs)) {
                            (0..LANES).for_each(|lane| row.0[lane] += share.0[lane] * gradient.0[lane]);
                            vjp.gate.gate(&mut row.0, input);
                        }
                    }
                });
            },
        );
    }

    fn product<'a>(
        &'a self,
        parameter: usize,
        input: &'a Tiles,
        _: &'a Tiles,
        work: &'a Workspace,
    ) -> Product<'a> {
        assert_eq!(parameter, 0, "only the query has connections");
        Product::new(input, &work.tiles[SCORES])
    }
}
