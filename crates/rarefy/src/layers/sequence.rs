//! Layers one after the other, and the buffers that a pass over them fills.

use std::ops::Range;

use super::{Carried, Flow, Layer, Parameter, Pass, Workspace};
use crate::kernels::{Activation, Product};
use crate::tiles::{HALF, Row, Shape, Tiles};

/// Layers in order, each with its place in the list of parameters.
#[derive(Default)]
pub struct Sequence {
    layers: Vec<Box<dyn Layer>>,
    spans: Vec<Range<usize>>,
    /// The layers that small batches are folded for; none within other layers.
    folding: Range<usize>,
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
    /// Where folded layers begin and end.
    ends: Option<Ends>,
}

/// Layers that small batches are folded for, and what goes in and out.
#[derive(Debug, Clone)]
struct Ends {
    layers: Range<usize>,
    /// What goes in and its gradient, folded.
    input: [Tiles; 2],
    /// What comes out and its gradient, as others want it.
    output: [Tiles; 2],
}

impl Buffers {
    /// Sets the number of samples of every buffer.
    pub fn resize(&mut self, samples: usize) {
        self.resize_as(samples, false);
    }

    /// The same, all folded or only where a batch as small is.
    fn resize_as(&mut self, samples: usize, folded: bool) {
        let small = match &mut self.ends {
            Some(ends) => {
                let is_small = samples <= HALF;
                ends.input.iter_mut().for_each(|tiles| tiles.resize_as(samples.min(HALF), is_small));
                ends.output.iter_mut().for_each(|tiles| tiles.resize(samples.min(HALF)));
                if is_small { ends.layers.clone() } else { 0..0 }
            }
            None => 0..0,
        };
        let is_folded = |position: usize| folded || small.contains(&position);
        for tiles in [&mut self.outputs, &mut self.gradients] {
            let tiles = tiles.iter_mut().enumerate();
            tiles.for_each(|(position, tiles)| tiles.resize_as(samples, is_folded(position)));
        }
        for (position, work) in self.work.iter_mut().enumerate() {
            let is_folded = is_folded(position);
            work.tiles.iter_mut().for_each(|tiles| tiles.resize_as(samples, is_folded));
            work.inner.iter_mut().for_each(|buffers| buffers.resize_as(samples, is_folded));
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
        let ends = self.ends.iter().flat_map(|ends| ends.input.iter().chain(&ends.output));
        self.outputs.iter().chain(&self.gradients).chain(ends).map(tiles).sum::<usize>()
            + self.work.iter().map(work).sum::<usize>()
    }

    /// The last layer's outputs and their gradient, as others want them.
    fn last(&self) -> [Option<&Tiles>; 2] {
        match &self.ends {
            Some(ends) if ends.is_folded() && ends.layers.end == self.outputs.len() => {
                ends.output.each_ref().map(Some)
            }
            _ => [self.outputs.last(), self.gradients.last()],
        }
    }

    fn last_mut(&mut self) -> [Option<&mut Tiles>; 2] {
        match &mut self.ends {
            Some(ends) if ends.is_folded() && ends.layers.end == self.outputs.len() => {
                ends.output.each_mut().map(Some)
            }
            _ => [self.outputs.last_mut(), self.gradients.last_mut()],
        }
    }

    /// The last layer's outputs.
    ///
    /// # Panics
    /// If there is no layer.
    pub fn output(&self) -> &Tiles {
        let [output, _] = self.last();
        output.expect("a network has layers")
    }

    /// The last layer's outputs, to change.
    ///
    /// # Panics
    /// If there is no layer.
    pub fn output_mut(&mut self) -> &mut Tiles {
        let [output, _] = self.last_mut();
        output.expect("a network has layers")
    }

    /// The gradient of the last layer's outputs.
    ///
    /// # Panics
    /// If the buffers are for predicting only.
    pub fn gradient(&self) -> &Tiles {
        let [_, gradient] = self.last();
        gradient.expect("buffers for training")
    }

    /// The last layer's outputs and where their gradient goes.
    ///
    /// # Panics
    /// If the buffers are for predicting only.
    pub fn output_and_gradient(&mut self) -> (&Tiles, &mut Tiles) {
        let [output, gradient] = self.last_mut();
        (output.expect("a network has layers"), gradient.expect("buffers for training"))
    }
}

impl Ends {
    /// Whether this batch is small enough.
    fn is_folded(&self) -> bool {
        self.input[0].is_folded()
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

    /// Lets small batches be folded for as many layers in a row as possible.
    pub(super) fn fold_small_batches(&mut self) {
        let runs = (0..self.layers.len()).rev().map(|start| {
            let run = self.layers[start..].iter().take_while(|layer| folds(layer.as_ref()));
            start..start + run.count()
        });
        // A layer without parameters takes no longer than the copying.
        let is_worth_it = |run: &Range<usize>| self.spans[run.clone()].iter().any(|span| !span.is_empty());
        self.folding = runs.filter(is_worth_it).max_by_key(Range::len).unwrap_or_default();
    }

    /// Buffers for batches of up to `samples` samples.
    pub fn buffers(&self, samples: usize, training: bool) -> Buffers {
        let tiles =
            || self.layers.iter().map(|layer| Tiles::zeros(layer.output().features(), samples)).collect();
        let work = self.layers.iter().map(|layer| layer.workspace(samples, training)).collect();
        let gradients = if training { tiles() } else { Vec::new() };
        let mut buffers = Buffers { outputs: tiles(), gradients, work, ends: None };
        if let (Some(first), Some(last)) =
            (self.layers.get(self.folding.start), self.layers[self.folding.clone()].last())
        {
            let pair = |shape: Shape| {
                [true, training].map(|needed| Tiles::zeros(if needed { shape.features() } else { 0 }, 0))
            };
            let (input, output) = (pair(first.input()), pair(last.output()));
            buffers.ends = Some(Ends { layers: self.folding.clone(), input, output });
            buffers.resize(samples);
        }
        buffers
    }

    /// Computes every layer's outputs.
    pub fn forward(&self, pass: &Pass, parameters: &[Parameter], input: &Tiles, buffers: &mut Buffers) {
        let count = self.layers.len();
        let Some(mut ends) = buffers.ends.take_if(|ends| ends.is_folded()) else {
            return self.forward_some(0..count, pass, parameters, input, buffers);
        };
        let Range { start, end } = ends.layers;
        self.forward_some(0..start, pass, parameters, input, buffers);
        ends.input[0].fold(if start > 0 { &buffers.outputs[start - 1] } else { input });
        self.forward_some(start..end, pass, parameters, &ends.input[0], buffers);
        ends.output[0].unfold(&buffers.outputs[end - 1]);
        self.forward_some(end..count, pass, parameters, &ends.output[0], buffers);
        buffers.ends = Some(ends);
    }

    /// Computes the outputs of some layers, `input` being that of their first.
    fn forward_some(
        &self,
        layers: Range<usize>,
        pass: &Pass,
        parameters: &[Parameter],
        input: &Tiles,
        buffers: &mut Buffers,
    ) {
        for position in layers.clone() {
            let layer = &self.layers[position];
            let (before, after) = buffers.outputs.split_at_mut(position);
            let input = if position > layers.start { &before[position - 1] } else { input };
            let output = &mut after[0];
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
        let lowest = match &flow.gradient_input {
            Some(_) => 0,
            None => self.spans.iter().position(|span| !span.is_empty()).unwrap_or(self.layers.len()),
        };
        let count = self.layers.len();
        let Some(mut ends) = buffers.ends.take_if(|ends| ends.is_folded()) else {
            return self.backward_some(0..count, lowest, pass, parameters, flow, buffers);
        };
        let Range { start, end } = ends.layers;
        let fused = |end: usize, gate: Activation| if end > 0 { self.layers[end - 1].fused() } else { gate };
        let [output, output_gradient] = &mut ends.output;
        let mut gradient = std::mem::take(&mut buffers.gradients[end - 1]);
        if end < count {
            let gate = fused(end, flow.gate);
            let gradient_input = Some(&mut *output_gradient);
            let flow = Flow { input: output, gradient: flow.gradient, gradient_input, gate };
            self.backward_some(end..count, end, pass, parameters, flow, buffers);
        }
        gradient.fold(if end < count { output_gradient } else { flow.gradient });

        let [input, input_gradient] = &mut ends.input;
        let is_needed = lowest < start || flow.gradient_input.is_some();
        let gradient_input = is_needed.then_some(&mut *input_gradient);
        let gate = fused(start, flow.gate);
        let within = Flow { input, gradient: &gradient, gradient_input, gate };
        self.backward_some(start..end, lowest, pass, parameters, within, buffers);
        buffers.gradients[end - 1] = gradient;

        if start > 0 && is_needed {
            let mut gradient = std::mem::take(&mut buffers.gradients[start - 1]);
            gradient.unfold(input_gradient);
            let flow = Flow { gradient: &gradient, ..flow };
            self.backward_some(0..start, lowest, pass, parameters, flow, buffers);
            buffers.gradients[start - 1] = gradient;
        } else if let Some(gradient_input) = flow.gradient_input.take() {
            gradient_input.unfold(input_gradient);
        }
        buffers.ends = Some(ends);
    }

    /// The same for some layers, of which those below `lowest` are left out; `flow` is that through them all.
    #[expect(clippy::too_many_arguments)]
    fn backward_some(
        &self,
        layers: Range<usize>,
        lowest: usize,
        pass: &Pass,
        parameters: &mut [Parameter],
        mut flow: Flow<'_>,
        buffers: &mut Buffers,
    ) {
        let first = layers.start.max(lowest);
        for position in (first..layers.end).rev() {
            let (before, after) = buffers.gradients.split_at_mut(position);
            let is_last = position + 1 == layers.end;
            let gradient = if is_last { flow.gradient } else { &after[0] };
            let flow = if position == layers.start {
                Flow { gradient, gradient_input: flow.gradient_input.take(), ..flow }
            } else {
                Flow {
                    input: &buffers.outputs[position - 1],
                    gradient,
                    gradient_input: before.last_mut().filter(|_| position > first),
                    gate: self.layers[position - 1].fused(),
                }
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
        let ends = buffers.ends.as_ref().filter(|ends| ends.is_folded());
        let input = match ends {
            Some(ends) if position == ends.layers.start => &ends.input[0],
            Some(ends) if position == ends.layers.end => &ends.output[0],
            _ if position > 0 => &buffers.outputs[position - 1],
            _ => input,
        };
        let is_folded = ends.is_some_and(|ends| ends.layers.contains(&position));
        let is_last = position + 1 == self.layers.len();
        let gradient = if is_last && !is_folded { gradient } else { &buffers.gradients[position] };
        let parameter = parameter - self.spans[position].start;
        self.layers[position].product(parameter, input, gradient, &buffers.work[position])
    }
}

/// Whether a layer does, for sequences of an even number of steps, what it would do were these folded.
fn folds(layer: &dyn Layer) -> bool {
    let positions = layer.input().positions();
    layer.folds() && positions.is_multiple_of(2) && layer.output().positions() == positions
}

#[cfg(test)]
mod tests {
    use crate::kernels::Isa;
    use crate::layers::{Network, NetworkSpec, Pass, SparsitySettings};
    use crate::random::{Purpose, Stream};
    use crate::tiles::{Shape, Tiles};

    const STEPS: usize = 6;
    const SMALL: usize = 20;

    /// Outputs of the first 20 samples of a batch, and all gradients from those of these samples alone.
    fn train(network: &mut Network, samples: usize) -> (Vec<Vec<f32>>, Vec<f32>) {
        let mut stream = Stream::new(3, Purpose::Bench, 0, 0);
        let mut input = Tiles::zeros(4 * STEPS, samples);
        for sample in 0..samples {
            let values: Vec<f32> = (0..4 * STEPS).map(|_| stream.normal()).collect();
            input.set_sample(sample, &values);
        }
        input.set_lengths((0..samples as u32).map(|sample| 1 + sample % STEPS as u32));
        let pass = Pass { isa: Isa::detect(), training: Some((1, 1)) };
        // For more samples at first, as where the last batch of an epoch is small.
        let mut buffers = network.buffers(samples.max(70), true);
        buffers.resize(samples);
        network.forward(&pass, &input, &mut buffers);
        let (output, gradient) = buffers.output_and_gradient();
        let outputs: Vec<Vec<f32>> = (0..SMALL).map(|sample| output.sample(sample)).collect();
        outputs.iter().enumerate().for_each(|(sample, values)| gradient.set_sample(sample, values));
        network.backward(&pass, &input, &mut buffers);
        (outputs, network.parameters().flat_map(|parameter| parameter.gradient.clone()).collect())
    }

    #[test]
    fn folding_changes_nothing() {
        let attention =
            "{layer = 'residual', body = [{layer = 'layer-norm'}, {layer = 'attention', heads = 2}]}";
        let conv = "{layer = 'conv1d', filters = 4, kernel = 3, padding = 1}";
        let linear = "{layer = 'linear', outputs = 4}";
        for (layers, folding) in [
            (format!("{attention}, {linear}"), 0..2),
            (format!("{conv}, {attention}, {linear}"), 1..3),
            (format!("{attention}, {linear}, {{layer = 'last-step'}}, {linear}"), 0..2),
            (format!("{linear}, {conv}, {linear}, {attention}, {conv}"), 2..4),
        ] {
            #[derive(serde::Deserialize)]
            struct Described {
                layers: Vec<crate::layers::LayerSpec>,
            }
            let described: Described = toml::from_str(&format!("layers = [{layers}]")).unwrap();
            let spec = NetworkSpec { inputs: Shape::sequence(STEPS, 4), layers: described.layers };
            let mut network = Network::random(&spec, &SparsitySettings::dense(), 1).unwrap();
            assert_eq!(network.sequence.folding, folding, "{layers}");
            for parameter in network.parameters_mut() {
                parameter.gradient = vec![0.0; parameter.weights.values().len()];
            }
            let (small, large) = (train(&mut network, SMALL), train(&mut network, 50));
            assert_eq!(small.0, large.0, "{layers}");
            for (a, b) in small.1.iter().zip(&large.1) {
                assert!((a - b).abs() < 1e-4 * (1.0 + b.abs()), "{layers}: gradients {a} and {b}");
            }
        }
    }
}
