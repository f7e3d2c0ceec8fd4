//! Layers one after the other, and the buffers that a pass over them fills.

use std::ops::Range;

use super::{Carried, Flow, Layer, Parameter, Pass, Workspace};
use crate::kernels::{Activation, Product};
use crate::tiles::{Row, Shape, Tiles};

/// Layers in order, each with its place in the list of parameters.
#[derive(Default)]
pub struct Sequence {
    layers: Vec<Box<dyn Layer>>,
    spans: Vec<Range<usize>>,
}

/// The activations and gradients of one mini-batch, allocated once.
#[derive(Debug, Clone, Default)]
pub struct Buffers {
    /// Each layer's outputs.
    pub outputs: Vec<Tiles>,
    /// The gradients of each layer's outputs; empty when only predicting.
    pub gradients: Vec<Tiles>,
    /// What each layer keeps besides.
    pub work: Vec<Workspace>,
}

impl Buffers {
    /// Sets the number of samples of every buffer.
    pub fn resize(&mut self, samples: usize) {
        for tiles in self.outputs.iter_mut().chain(&mut self.gradients) {
            tiles.resize(samples);
        }
        for work in &mut self.work {
            work.tiles.iter_mut().for_each(|tiles| tiles.resize(samples));
            work.inner.iter_mut().for_each(|buffers| buffers.resize(samples));
        }
        self.for_each_carried(&mut |carried| {
            carried.begin.resize(samples);
            carried.end.resize(samples);
        });
    }

    /// Calls `change` with each state that goes on from batch to batch, in order.
    pub fn for_each_carried(&mut self, change: &mut dyn FnMut(&mut Carried)) {
        for work in &mut self.work {
            work.carried.iter_mut().for_each(&mut *change);
            work.inner.iter_mut().for_each(|buffers| buffers.for_each_carried(change));
        }
    }

    /// All states that go on from batch to batch, in the same order.
    pub fn carried(&self) -> Vec<&Carried> {
        let mut found = Vec::new();
        for work in &self.work {
            found.extend(&work.carried);
            work.inner.iter().for_each(|buffers| found.extend(buffers.carried()));
        }
        found
    }

    /// The next batch begins as that of `other`, buffers of the same network for as many samples.
    pub fn begin_as(&mut self, other: &Buffers) {
        let mut others = other.carried().into_iter();
        self.for_each_carried(&mut |carried| {
            let other = others.next().expect("buffers of the same network");
            carried.begin.rows_mut().copy_from_slice(other.begin.rows());
        });
    }

    /// The next batch goes on where the last one ended.
    pub fn carry_on(&mut self) {
        self.for_each_carried(&mut |carried| std::mem::swap(&mut carried.begin, &mut carried.end));
    }

    /// The next batch begins anew.
    pub fn forget(&mut self) {
        self.for_each_carried(&mut |carried| carried.begin.rows_mut().fill(Row::ZERO));
    }

    /// Bytes of it all.
    pub fn bytes(&self) -> usize {
        let tiles = |tiles: &Tiles| size_of_val(tiles.rows());
        let work = |work: &Workspace| {
            work.tiles.iter().map(tiles).sum::<usize>()
                + work.numbers.iter().map(|numbers| size_of_val(&numbers[..])).sum::<usize>()
                + work.inner.iter().map(Buffers::bytes).sum::<usize>()
        };
        self.outputs.iter().chain(&self.gradients).map(tiles).sum::<usize>()
            + self.work.iter().map(work).sum::<usize>()
    }

    /// The last layer's outputs.
    ///
    /// # Panics
    /// If there is no layer.
    pub fn output(&self) -> &Tiles {
        self.outputs.last().expect("a network has layers")
    }

    /// The last layer's outputs and where their gradient goes.
    ///
    /// # Panics
    /// If the buffers are for predicting only.
    pub fn output_and_gradient(&mut self) -> (&Tiles, &mut Tiles) {
        let output = self.outputs.last().expect("a network has layers");
        (output, self.gradients.last_mut().expect("buffers for training"))
    }
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
        self.layers.iter().fold(steps, |steps, layer| layer.steps(steps))
    }

    /// Buffers for batches of up to `samples` samples.
    pub fn buffers(&self, samples: usize, training: bool) -> Buffers {
        let tiles =
            || self.layers.iter().map(|layer| Tiles::zeros(layer.output().features(), samples)).collect();
        let work = self.layers.iter().map(|layer| layer.workspace(samples, training)).collect();
        Buffers { outputs: tiles(), gradients: if training { tiles() } else { Vec::new() }, work }
    }

    /// Computes every layer's outputs.
    pub fn forward(&self, pass: &Pass, parameters: &[Parameter], input: &Tiles, buffers: &mut Buffers) {
        for (position, layer) in self.layers.iter().enumerate() {
            let (before, after) = buffers.outputs.split_at_mut(position);
            let (input, output) = (before.last().unwrap_or(input), &mut after[0]);
            if layer.output().positions() > 1 {
                output.set_lengths(input.lengths().iter().map(|&steps| layer.steps(steps)));
            }
            let parameters = &parameters[self.spans[position].clone()];
            layer.forward(pass, parameters, input, output, &mut buffers.work[position]);
        }
    }

    /// Computes every parameter's gradient and that of the input from that of the last layer's outputs, `flow.gradient`.
    pub fn backward(
        &self,
        pass: &Pass,
        parameters: &mut [Parameter],
        mut flow: Flow<'_>,
        buffers: &mut Buffers,
    ) {
        // Below the first layer with parameters nobody needs a gradient, unless that of the input is asked for.
        let first = match &flow.gradient_input {
            Some(_) => 0,
            None => self.spans.iter().position(|span| !span.is_empty()).unwrap_or(0),
        };
        let last = self.layers.len() - 1;
        for position in (first..=last).rev() {
            let (before, after) = buffers.gradients.split_at_mut(position);
            let (gradient_input, gate) = match position {
                0 => (flow.gradient_input.take(), flow.gate),
                _ if position == first => (None, Activation::Identity),
                _ => (before.last_mut(), self.layers[position - 1].fused()),
            };
            let flow = Flow {
                input: if position > 0 { &buffers.outputs[position - 1] } else { flow.input },
                gradient: if position < last { &after[0] } else { flow.gradient },
                gradient_input,
                gate,
            };
            let parameters = &mut parameters[self.spans[position].clone()];
            self.layers[position].backward(pass, parameters, flow, &mut buffers.work[position]);
        }
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
        let last = self.layers.len() - 1;
        self.layers[position].product(
            parameter - self.spans[position].start,
            if position > 0 { &buffers.outputs[position - 1] } else { input },
            if position < last { &buffers.gradients[position] } else { gradient },
            &buffers.work[position],
        )
    }
}
