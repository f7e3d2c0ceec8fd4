//! A network: a sequence of layers, and its parameters.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use super::build::{Source, Vectors};
use super::folded::{Folded, foldable};
use super::norm::MOMENTUM;
use super::spread::{Spread, spreadable};
use super::{
    Buffers, Builder, Gradient, LayerSpec, NetworkSpec, Parameter, Pass, Precision, Role, Sequence,
    SparsitySettings, Vjp, WeightShape,
};
use crate::kernels::{Activation, Isa, Product, Tokens, look_up_slots, sparse_input_slots};
use crate::random::{Purpose, Stream};
use crate::sparse::{self, Allocation, Init, Order, Pattern, Storage, Touched, Weights};
use crate::tiles::{LANES, Shape, Tiles};
use crate::{Error, Result};

/// A feed-forward network. A clone has parameters of its own and shares the layers, which hold no numbers.
///
/// ```
/// use rarefy::kernels::Activation;
/// use rarefy::layers::{LayerSpec, Network, NetworkSpec, SparsitySettings};
/// use rarefy::tiles::Shape;
///
/// let layers = vec![LayerSpec::linear(100, Activation::Relu), LayerSpec::linear(10, Activation::Identity)];
/// let spec = NetworkSpec { inputs: Shape::flat(64), layers };
/// let sparsity = SparsitySettings { density: 0.1, ..SparsitySettings::default() };
/// let network = Network::random(&spec, &sparsity, 1)?;
/// assert_eq!(network.connections(), (740, 7400));
/// # Ok::<(), rarefy::Error>(())
/// ```
#[derive(Clone)]
pub struct Network {
    spec: NetworkSpec,
    pub(super) sequence: Arc<Sequence>,
    folded: Range<usize>,
    pub(super) parameters: Vec<Parameter>,
    precision: Precision,
}

impl Network {
    /// A network with random weights: density spread over the layers, each layer's pattern and values drawn from its
    /// own stream.
    ///
    /// # Errors
    /// If the density leaves a layer without connections.
    pub fn random(spec: &NetworkSpec, sparsity: &SparsitySettings, seed: u64) -> Result<Network> {
        let counts = spec.connections(sparsity.allocation, sparsity.density, |shape| shape.least)?;
        Network::drawn(spec, sparsity, &counts, seed, Pattern::random)
    }

    /// A network with random weights, at most `counts` of each, their patterns made by `draw(rows, cols, nnz, stream)`. An output that
    /// it leaves without a connection takes one from where most are, if there is one for each. Where connections are in row blocks
    /// a row of what `draw` makes is a line of blocks, and `nnz` counts blocks. The density of `sparsity` is not looked at.
    ///
    /// # Errors
    /// A layer that does not fit what it is given.
    pub fn drawn(
        spec: &NetworkSpec,
        sparsity: &SparsitySettings,
        counts: &[usize],
        seed: u64,
        draw: impl Fn(usize, usize, usize, &mut Stream) -> Pattern,
    ) -> Result<Network> {
        let shapes = spec.weight_shapes()?;
        let mut draw = |index: usize, shape: &WeightShape, init| {
            let place = index as u64;
            let mut stream = Stream::new(seed, Purpose::Pattern, place, 0);
            let height = sparsity.block.in_layer(shape.alike);
            let lines = shape.rows / height;
            let count = (counts[index] / height).max(1);
            let mut pattern = draw(lines, shape.cols, count, &mut stream);
            if shape.least == shape.rows && pattern.nnz() >= lines {
                pattern = pattern.without_empty_rows(&mut stream);
            }
            let mut weights = Weights::zeros_by(height, pattern, sparsity.storage);
            // What comes out last are logits or values, which no rectifier halves.
            let usual = if index + 1 == shapes.len() { Init::Glorot } else { init };
            sparsity.init(usual).fill(&mut weights, &mut Stream::new(seed, Purpose::Weights, place, 0));
            Ok(weights)
        };
        Network::assemble(spec, sparsity.storage, &mut draw, None)
    }

    /// A network whose weights `load(name, rows, cols)` finds, as from a model file; the other parameters are as at a
    /// start.
    ///
    /// # Errors
    /// An error of `load`.
    pub fn load(
        spec: &NetworkSpec,
        storage: Storage,
        mut load: impl FnMut(&str, usize, usize) -> Result<Weights>,
    ) -> Result<Network> {
        let mut source = |_, shape: &WeightShape, _| load(&shape.name, shape.rows, shape.cols);
        Network::assemble(spec, storage, &mut source, None)
    }

    /// A network whose weights `load` finds by name and shape, and its other arrays `vectors(name, length)`.
    ///
    /// # Errors
    /// An error of `load` or `vectors`.
    pub fn load_all(
        spec: &NetworkSpec,
        storage: Storage,
        mut load: impl FnMut(&WeightShape) -> Result<Weights>,
        mut vectors: impl FnMut(&str, usize) -> Result<Vec<f32>>,
    ) -> Result<Network> {
        let mut source = |_, shape: &WeightShape, _| load(shape);
        Network::assemble(spec, storage, &mut source, Some(&mut vectors))
    }

    /// A copy of the network, its weights stored as `storage` says and in row order, without what training adds.
    pub fn copy(&self, storage: Storage) -> Network {
        let mut weights = self.parameters.iter().filter(|parameter| parameter.is_weight());
        let mut copy = Network::load(&self.spec, storage, |_, _, _| {
            Ok(weights.next().expect("the same layers have the same weights").weights.stored_as(storage))
        })
        .expect("weights in memory can be had");
        copy.precision = self.precision;
        for (copy, parameter) in copy.parameters.iter_mut().zip(&self.parameters) {
            if !parameter.is_weight() {
                copy.weights = parameter.weights.clone();
            }
        }
        copy
    }

    fn assemble<'a>(
        spec: &NetworkSpec,
        storage: Storage,
        source: &'a mut Source<'a>,
        vectors: Option<&'a mut Vectors<'a>>,
    ) -> Result<Network> {
        let shapes = spec.shapes().map_err(|problem| Error::setting("network", problem))?;
        let mut builder = Builder::new(storage, source, vectors);
        let mut sequence = builder.sequence(&spec.layers, &shapes)?;
        let folded = foldable(&sequence);
        if !folded.is_empty() {
            sequence.join(folded.clone(), |layers| Box::new(Folded { layers }));
        }
        // The last first: what stands before a run keeps its place.
        for run in spreadable(&sequence).into_iter().rev() {
            sequence.join(run, |layers| Box::new(Spread { layers }));
        }
        let mut parameters = builder.finish();
        if let Some(last) = parameters.iter_mut().rfind(|parameter| parameter.is_weight()) {
            last.init = Init::Glorot;
        }
        let (spec, sequence) = (spec.clone(), Arc::new(sequence));
        Ok(Network { spec, sequence, folded, parameters, precision: Precision::F32 })
    }

    /// Puts the weights of a first linear layer into column order: what inputs of which few are not zero ask for.
    pub fn store_by_input(&mut self) {
        if let Some(LayerSpec::Linear(_)) = self.spec.layers.first() {
            self.parameters[0].weights.set_order(Order::Columns);
        }
    }

    /// Whether the first weights stand in column order ([`Network::store_by_input`]): such a network takes inputs as their
    /// nonzeros alone.
    pub fn is_stored_by_input(&self) -> bool {
        self.parameters.first().is_some_and(|first| first.weights.order() == Order::Columns)
    }

    /// Puts all weights back into row order.
    pub fn store_by_output(&mut self) {
        if self.is_stored_by_input() {
            self.parameters[0].weights.set_order(Order::Rows);
        }
    }

    /// In how many bits products read numbers.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Sets in how many bits products read numbers; at first all 32. Weights stay as they are: passes want
    /// [those that products read](Network::with_rounded_weights).
    pub fn set_precision(&mut self, precision: Precision) {
        self.precision = precision;
    }

    /// The network with the weights that products read: itself, or a copy with rounded ones.
    pub fn with_rounded_weights(&self, isa: Isa) -> Cow<'_, Network> {
        if self.has_rounded_weights() {
            return Cow::Borrowed(self);
        }
        let mut network = self.clone();
        for weight in network.parameters.iter_mut().filter(|parameter| parameter.is_weight()) {
            self.precision.round(isa, weight.weights.values_mut());
        }
        Cow::Owned(network)
    }

    fn has_rounded_weights(&self) -> bool {
        self.weights().all(|(_, weight)| self.precision.has_rounded(weight.weights.values()))
    }

    /// Whether inputs are rounded: numbers, but not the tokens of an embedding.
    fn rounds_inputs(&self) -> bool {
        fn reads_tokens(layers: &[LayerSpec]) -> bool {
            layers.first().is_some_and(|first| {
                matches!(first, LayerSpec::Embedding(_))
                    || first.inner().iter().any(|(_, inner)| reads_tokens(inner))
            })
        }
        self.precision == Precision::Bf16 && !reads_tokens(&self.spec.layers)
    }

    /// The network's shape.
    pub fn spec(&self) -> &NetworkSpec {
        &self.spec
    }

    /// Input features.
    pub fn inputs(&self) -> usize {
        self.spec.inputs.features()
    }

    /// What comes out.
    pub fn output(&self) -> Shape {
        self.sequence.output().unwrap_or(self.spec.inputs)
    }

    /// How many steps of output a sequence of `steps` steps makes.
    pub fn steps(&self, steps: u32) -> u32 {
        self.sequence.steps(steps)
    }

    /// The layers, counted as in the spec, that small batches are folded for ([`Tiles::fold`]).
    pub fn folded(&self) -> Range<usize> {
        self.folded.clone()
    }

    /// The activation fused into the last layer.
    pub fn fused(&self) -> Activation {
        self.sequence.fused()
    }

    /// The parameters of the layer at `position` of the spec.
    pub fn layer_parameters(&self, position: usize) -> &[Parameter] {
        let prefix = format!("layers.{position}.");
        let is_its_own = |parameter: &Parameter| parameter.name.starts_with(&prefix);
        let start = self.parameters.iter().position(is_its_own).unwrap_or_default();
        let count = self.parameters[start..].iter().take_while(|parameter| is_its_own(parameter)).count();
        &self.parameters[start..start + count]
    }

    /// All parameters in order.
    pub fn parameters(&self) -> std::slice::Iter<'_, Parameter> {
        self.parameters.iter()
    }

    /// All parameters in order, to change.
    pub fn parameters_mut(&mut self) -> std::slice::IterMut<'_, Parameter> {
        self.parameters.iter_mut()
    }

    /// One parameter.
    pub fn parameter(&self, index: usize) -> &Parameter {
        &self.parameters[index]
    }

    /// One parameter, to change.
    pub fn parameter_mut(&mut self, index: usize) -> &mut Parameter {
        &mut self.parameters[index]
    }

    /// The weights with their indices.
    pub fn weights(&self) -> impl Iterator<Item = (usize, &Parameter)> + Clone {
        self.parameters.iter().enumerate().filter(|(_, parameter)| parameter.is_weight())
    }

    /// The index of a weight's bias, if it has one.
    pub fn bias_of(&self, weight: usize) -> Option<usize> {
        self.parameters.get(weight + 1).filter(|next| next.role == Role::Bias).map(|_| weight + 1)
    }

    /// Live connections and cells of all weight matrices.
    pub fn connections(&self) -> (usize, usize) {
        self.weights().fold((0, 0), |(nnz, cells), (_, parameter)| {
            let weights = &parameter.weights;
            (nnz + weights.nnz(), cells + weights.rows() * weights.cols())
        })
    }

    /// What a neuron without inputs, as input `neuron` of weight `weight`, is when predicting: its bias through the
    /// functions between.
    ///
    /// # Panics
    /// If the inputs of that weight are not a weight's neurons.
    pub fn constant_output(&self, weight: usize, neuron: usize) -> f32 {
        let joint = self.parameters[weight].joint.as_ref().expect("inputs that are neurons");
        let bias = self.bias_of(joint.weight);
        let bias = bias.map_or(0.0, |bias| self.parameters[bias].weights.values()[neuron]);
        self.constant_output_at(weight, bias)
    }

    /// What functions between neurons and weight `weight` make of a number.
    ///
    /// # Panics
    /// If the inputs of that weight are not a weight's neurons.
    pub fn constant_output_at(&self, weight: usize, number: f32) -> f32 {
        let joint = self.parameters[weight].joint.as_ref().expect("inputs that are neurons");
        let mut row = [number; LANES];
        joint.through.iter().for_each(|activation| activation.apply(&mut row));
        row[0]
    }

    /// Buffers for batches of up to `samples` samples.
    pub fn buffers(&self, samples: usize, training: bool) -> Buffers {
        self.sequence.buffers(samples, training)
    }

    /// Room for the gradient of each parameter, in order.
    pub fn gradients(&self) -> Vec<Gradient> {
        self.parameters.iter().map(Gradient::zeros).collect()
    }

    /// Computes every layer's outputs, in the network's [precision](Network::precision), for which weights must be
    /// [rounded](Network::with_rounded_weights).
    pub fn forward(&self, pass: &Pass, input: &Tiles, buffers: &mut Buffers) {
        debug_assert!(self.has_rounded_weights(), "weights that {} products read", self.precision);
        let pass = &Pass { precision: self.precision, ..*pass };
        if !self.rounds_inputs() {
            return self.sequence.forward(pass, &self.parameters, input, buffers);
        }
        let mut rounded = std::mem::take(&mut buffers.rounded);
        rounded.copy_from(input);
        pass.precision.round(pass.isa, rounded.numbers_mut());
        self.sequence.forward(pass, &self.parameters, &rounded, buffers);
        buffers.rounded = rounded;
    }

    /// Computes every parameter's gradient from that of the outputs ([`Buffers::output_and_gradient`]).
    pub fn backward(&self, pass: &Pass, input: &Tiles, gradients: &mut [Gradient], buffers: &mut Buffers) {
        self.backward_to_input(pass, input, None, gradients, buffers);
    }

    /// Computes every parameter's gradient from that of the outputs ([`Buffers::output_and_gradient`]), and the gradient of
    /// the input where there is room for it.
    pub fn backward_to_input(
        &self,
        pass: &Pass,
        input: &Tiles,
        gradient_input: Option<&mut Tiles>,
        gradients: &mut [Gradient],
        buffers: &mut Buffers,
    ) {
        let pass = &Pass { precision: self.precision, ..*pass };
        let rounded = std::mem::take(&mut buffers.rounded);
        let mut gradient = std::mem::take(buffers.output_and_gradient().1);
        pass.precision.round(pass.isa, gradient.numbers_mut());
        let input = if self.rounds_inputs() { &rounded } else { input };
        let vjp = Vjp { input, gradient: &gradient, gradient_input, gate: Activation::Identity };
        self.sequence.backward(pass, &self.parameters, gradients, vjp, buffers);
        *buffers.output_and_gradient().1 = gradient;
        buffers.rounded = rounded;
    }

    /// Adds to `found` what the batch norms, in order, saw in the last pass, which trained: of each the means and then the
    /// variances of its channels, as they go into the running ones.
    pub fn batch_statistics(&self, buffers: &Buffers, found: &mut Vec<f32>) {
        self.sequence.batch_statistics(buffers, found);
    }

    /// Moves the running averages of batch norms towards `found`, what they saw ([`Network::batch_statistics`]).
    ///
    /// # Panics
    /// If `found` is of another network.
    pub fn move_averages(&mut self, mut found: &[f32]) {
        for parameter in self.parameters.iter_mut().filter(|parameter| !parameter.is_trained()) {
            let averages = parameter.weights.values_mut();
            let (seen, rest) = found.split_at_checked(averages.len()).expect("statistics of this network");
            averages
                .iter_mut()
                .zip(seen)
                .for_each(|(average, seen)| *average += MOMENTUM * (seen - *average));
            found = rest;
        }
        assert!(found.is_empty(), "statistics of this network");
    }

    /// Lists the slots of the first parameter that a pass over `input` reads, where only few are read: the weights of a sparse input's
    /// nonzeros, the vectors of tokens. `false` where any may be.
    pub fn slots_met(&self, input: &Tiles, met: &mut Touched) -> bool {
        let Some(Parameter { weights, .. }) = self.parameters.first() else { return false };
        let Some(LayerSpec::Embedding(embedding)) = self.spec.layers.first() else {
            return sparse_input_slots(weights, input, met);
        };
        look_up_slots(
            weights,
            Tokens { input, padding: embedding.padding.then_some(0) },
            met,
            &mut Vec::new(),
        );
        true
    }

    /// The product that a weight is part of, with what the last passes put in; see [`Layer::product`](crate::layers::Layer::product).
    pub fn product<'a>(&'a self, weight: usize, input: &'a Tiles, buffers: &'a Buffers) -> Product<'a> {
        let input = if self.rounds_inputs() { &buffers.rounded } else { input };
        self.sequence.product(weight, input, buffers.gradient(), buffers)
    }
}

impl NetworkSpec {
    /// Connections of each weight matrix at a density of all of them, but at least `least` of each.
    ///
    /// # Errors
    /// A layer that does not fit what it is given, or that is left without connections.
    pub fn connections(
        &self,
        allocation: Allocation,
        density: f64,
        least: impl Fn(&WeightShape) -> usize,
    ) -> Result<Vec<usize>> {
        let shapes = self.weight_shapes()?;
        let axes: Vec<Vec<usize>> = shapes.iter().map(WeightShape::axes).collect();
        sparse::allocate(allocation, density, &axes, &shapes.iter().map(least).collect::<Vec<_>>())
    }

    /// The shape of each weight matrix, in order.
    ///
    /// # Errors
    /// A layer that does not fit what it is given.
    pub fn weight_shapes(&self) -> Result<Vec<WeightShape>> {
        let mut shapes = Vec::new();
        self.without_connections(|shape| shapes.push(shape.clone()))?;
        Ok(shapes)
    }

    /// Bytes of the buffers for a batch of `samples` samples: activations, their gradients when training, and what layers
    /// keep besides, without what grows with the first step ([`WeightShape::sum_bytes`]).
    ///
    /// # Errors
    /// A layer that does not fit what it is given.
    pub fn buffer_bytes(&self, samples: usize, training: bool) -> Result<usize> {
        let tile = self.without_connections(|_| ())?.buffers(samples.min(LANES), training);
        Ok(samples.div_ceil(LANES) * tile.bytes())
    }

    /// The network without any connection, `see` being told the shape of each weight.
    fn without_connections(&self, mut see: impl FnMut(&WeightShape)) -> Result<Network> {
        let mut source = |_, shape: &WeightShape, _| {
            see(shape);
            Ok(Weights::zeros(Pattern::empty(shape.rows, shape.cols), Storage::Sparse))
        };
        Network::assemble(self, Storage::Sparse, &mut source, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_counted_by_the_tile() {
        let layers = vec![LayerSpec::flatten(), LayerSpec::linear(5, Activation::Relu)];
        let spec = NetworkSpec { inputs: Shape { height: 2, width: 3, channels: 4 }, layers };
        // 24 and 5 features of two tiles, four bytes each; as many gradients.
        assert_eq!(spec.buffer_bytes(65, false).unwrap(), 2 * 29 * LANES * 4);
        assert_eq!(spec.buffer_bytes(65, true).unwrap(), 4 * 29 * LANES * 4);
        let layers = vec![toml::from_str("layer = 'lstm'\nhidden = 2\ncarry = true").unwrap()];
        let spec = NetworkSpec { inputs: Shape::sequence(1, 3), layers };
        // Of each unit its output, four gates, two states before the step and two after it; those that are carried, in and out.
        assert_eq!(spec.buffer_bytes(65, false).unwrap(), 2 * 2 * (1 + 4 + 2 + 2 + 4) * LANES * 4);
    }
}
