//! Layers one after the other.

use std::ops::Range;

use super::{Buffers, Gradient, Layer, Parameter, Pass, Vjp};
use crate::kernels::{Activation, Product};
use crate::tiles::{Shape, Tiles};

/// Layers in order, each with its place in the list of parameters.
#[derive(Default)]
pub struct Sequence {
    layers: Vec<Box<dyn Layer>>,
    spans: Vec<Range<usize>>,
}

impl Sequence {
    /// Adds a layer whose parameters are those of `span`, counted from the sequence's first.
    pub fn push(&mut self, layer: Box<dyn Layer>, span: Range<usize>) {
        self.layers.push(layer);
        self.spans.push(span);
    }

    /// The layers in order.
    pub fn layers(&self) -> &[Box<dyn Layer>] {
        &self.layers
    }

    /// Where each layer's parameters are.
    pub fn spans(&self) -> &[Range<usize>] {
        &self.spans
    }

    /// What comes out; `None` if there is no layer.
    pub fn output(&self) -> Option<Shape> {
        self.layers.last().map(|layer| layer.output())
    }

    /// The activation fused into the last layer.
    pub fn fused(&self) -> Activation {
        self.layers.last().map_or(Activation::Identity, |layer| layer.fused())
    }

    /// How many steps of output a sequence of `steps` steps makes, where lengths differ.
    pub fn steps(&self, steps: u32) -> u32 {
        // Where all steps have become one that is there for every sample, so is whatever is made of it.
        match self.output() {
            Some(output) if self.layers.iter().any(|layer| layer.output().positions() == 1) => {
                output.positions() as u32
            }
            _ => self.layers.iter().fold(steps, |steps, layer| layer.steps(steps)),
        }
    }

    /// Whether all layers work on folded tiles ([`Layer::folds`]).
    pub(super) fn folds(&self) -> bool {
        self.layers.iter().all(|layer| folds(layer.as_ref()))
    }

    /// Whether all layers work on a sample whose positions are lanes ([`Layer::spreads`]).
    pub(super) fn spreads(&self) -> bool {
        self.layers.iter().all(|layer| layer.spreads())
    }

    /// Makes one layer of those of `run`, as `join` makes it of their sequence.
    pub(super) fn join(&mut self, run: Range<usize>, join: impl FnOnce(Sequence) -> Box<dyn Layer>) {
        let spans: Vec<Range<usize>> = self.spans.drain(run.clone()).collect();
        let span = spans[0].start..spans[spans.len() - 1].end;
        let start = span.start;
        let spans = spans.into_iter().map(|span| span.start - start..span.end - start).collect();
        let layers = self.layers.drain(run.clone()).collect();
        self.layers.insert(run.start, join(Sequence { layers, spans }));
        self.spans.insert(run.start, span);
    }

    /// Buffers for batches of up to `samples` samples.
    pub fn buffers(&self, samples: usize, training: bool) -> Buffers {
        let tiles =
            || self.layers.iter().map(|layer| Tiles::zeros(layer.output().features(), samples)).collect();
        let work = self.layers.iter().map(|layer| layer.workspace(samples, training)).collect();
        let gradients = if training { tiles() } else { Vec::new() };
        Buffers { outputs: tiles(), gradients, work, ..Buffers::default() }
    }

    /// Buffers for a single sample whose positions are lanes ([`Tiles::is_spread`]).
    pub(super) fn spread_buffers(&self) -> Buffers {
        Buffers {
            outputs: self.layers.iter().map(|layer| Tiles::spread(layer.output())).collect(),
            work: self.layers.iter().map(|layer| layer.spread_workspace()).collect(),
            ..Buffers::default()
        }
    }

    /// Computes every layer's outputs. What one layer hands to the next is rounded; whoever reads the last one's outputs rounds those.
    pub fn forward(&self, pass: &Pass, parameters: &[Parameter], input: &Tiles, buffers: &mut Buffers) {
        for (position, layer) in self.layers.iter().enumerate() {
            let (before, after) = buffers.outputs.split_at_mut(position);
            let input = before.last().unwrap_or(input);
            let output = &mut after[0];
            if layer.output().positions() > 1 {
                output.set_lengths(input.lengths().iter().map(|&steps| layer.steps(steps)));
            }
            let parameters = &parameters[self.spans[position].clone()];
            layer.forward(pass, parameters, input, output, &mut buffers.work[position]);
            if position + 1 < self.layers.len() {
                pass.precision.round(pass.isa, output.numbers_mut());
            }
        }
    }

    /// Computes every parameter's gradient and that of the input from that of the last layer's outputs, `vjp.gradient`, which is
    /// rounded; whoever reads that of the input rounds it.
    pub fn backward(
        &self,
        pass: &Pass,
        parameters: &[Parameter],
        gradients: &mut [Gradient],
        mut vjp: Vjp<'_>,
        buffers: &mut Buffers,
    ) {
        // Below the first layer with parameters nobody needs a gradient, unless that of the input is asked for.
        let lowest = match &vjp.gradient_input {
            Some(_) => 0,
            None => self.spans.iter().position(|span| !span.is_empty()).unwrap_or(self.layers.len()),
        };
        for position in (lowest..self.layers.len()).rev() {
            let (before, after) = buffers.gradients.split_at_mut(position);
            let is_last = position + 1 == self.layers.len();
            let gradient = if is_last { vjp.gradient } else { &after[0] };
            let vjp = if position == 0 {
                Vjp { gradient, gradient_input: vjp.gradient_input.take(), ..vjp }
            } else {
                Vjp {
                    input: &buffers.outputs[position - 1],
                    gradient,
                    gradient_input: before.last_mut().filter(|_| position > lowest),
                    gate: self.layers[position - 1].fused(),
                }
            };
            let span = self.spans[position].clone();
            let (parameters, gradients) = (&parameters[span.clone()], &mut gradients[span]);
            self.layers[position].backward(pass, parameters, gradients, vjp, &mut buffers.work[position]);
            if position > lowest {
                pass.precision.round(pass.isa, buffers.gradients[position - 1].numbers_mut());
            }
        }
    }

    /// As [`Layer::batch_statistics`], of all layers in order.
    pub fn batch_statistics(&self, buffers: &Buffers, found: &mut Vec<f32>) {
        self.layers.iter().zip(&buffers.work).for_each(|(layer, work)| layer.batch_statistics(work, found));
    }

    /// As [`Layer::product`], `gradient` being that of the last layer's outputs.
    pub fn product<'a>(
        &'a self,
        parameter: usize,
        input: &'a Tiles,
        gradient: &'a Tiles,
        buffers: &'a Buffers,
    ) -> Product<'a> {
        let position = self.spans.iter().position(|span| span.contains(&parameter));
        let position = position.expect("a parameter of one of the layers");
        let input = if position > 0 { &buffers.outputs[position - 1] } else { input };
        let is_last = position + 1 == self.layers.len();
        let gradient = if is_last { gradient } else { &buffers.gradients[position] };
        let parameter = parameter - self.spans[position].start;
        self.layers[position].product(parameter, input, gradient, &buffers.work[position])
    }
}

/// Whether a layer does, for sequences of an even number of steps, what it would do were these folded.
pub(super) fn folds(layer: &dyn Layer) -> bool {
    let positions = layer.input().positions();
    layer.folds() && positions.is_multiple_of(2) && layer.output().positions() == positions
}
