//! Layers in sequence, and the buffers that a pass over them fills.

use super::{
    Dropout, Elementwise, Flow, Layer, LayerSpec, Linear, NetworkSpec, Parameter, Pass, SparsitySettings,
};
use crate::Result;
use crate::kernels::Activation;
use crate::random::{Purpose, Stream};
use crate::sparse::{self, Init, Pattern, Storage, Weights};
use crate::tiles::Tiles;

/// A feed-forward network.
pub struct Network {
    spec: NetworkSpec,
    layers: Vec<Box<dyn Layer>>,
}

/// The activations and gradients of one mini-batch, allocated once.
pub struct Buffers {
    /// Each layer's outputs.
    pub outputs: Vec<Tiles>,
    /// The gradients of each layer's outputs; empty when only predicting.
    pub gradients: Vec<Tiles>,
}

impl Buffers {
    /// Sets the number of samples of every buffer.
    pub fn resize(&mut self, samples: usize) {
        for tiles in self.outputs.iter_mut().chain(&mut self.gradients) {
            tiles.resize(samples);
        }
    }

    /// The network's outputs.
    ///
    /// # Panics
    /// If there is no layer.
    pub fn output(&self) -> &Tiles {
        self.outputs.last().expect("a network has layers")
    }

    /// The network's outputs and where their gradient goes.
    ///
    /// # Panics
    /// If the buffers are for predicting only.
    pub fn output_and_gradient(&mut self) -> (&Tiles, &mut Tiles) {
        let output = self.outputs.last().expect("a network has layers");
        (output, self.gradients.last_mut().expect("buffers for training"))
    }
}

impl Network {
    /// A network with random weights: density spread over the layers, each layer's pattern and values drawn from its
    /// own stream.
    ///
    /// # Errors
    /// If the density leaves a layer without connections.
    pub fn random(spec: &NetworkSpec, sparsity: &SparsitySettings, seed: u64) -> Result<Network> {
        Network::drawn(spec, sparsity, seed, Pattern::random)
    }

    /// The same with patterns that `draw(rows, cols, nnz, stream)` makes.
    ///
    /// # Errors
    /// If the density leaves a layer without connections.
    pub fn drawn(
        spec: &NetworkSpec,
        sparsity: &SparsitySettings,
        seed: u64,
        draw: impl Fn(usize, usize, usize, &mut Stream) -> Pattern,
    ) -> Result<Network> {
        let shapes: Vec<Vec<usize>> =
            spec.linear_shapes().into_iter().map(|(rows, cols)| vec![rows, cols]).collect();
        let mut kept = sparse::allocate(sparsity.allocation, sparsity.density, &shapes)?.into_iter();
        let last = shapes.len() as u64 - 1;
        Network::build(spec, |depth, name, rows, cols, activation| {
            let nnz = kept.next().expect("one budget per linear layer");
            let pattern = draw(rows, cols, nnz, &mut Stream::new(seed, Purpose::Pattern, depth, 0));
            let mut weights = Weights::zeros(pattern, sparsity.storage);
            let init = init_of(activation, depth == last);
            init.fill(&mut weights, &mut Stream::new(seed, Purpose::Weights, depth, 0));
            Ok(Linear::new(name, weights, activation, sparsity.storage, init))
        })
    }

    /// A network whose weights `load(name, rows, cols)` finds, as from a model file; biases stay zero.
    ///
    /// # Errors
    /// Those of `load`.
    pub fn load(
        spec: &NetworkSpec,
        storage: Storage,
        mut load: impl FnMut(&str, usize, usize) -> Result<Weights>,
    ) -> Result<Network> {
        let last = spec.linear_shapes().len() as u64 - 1;
        Network::build(spec, |depth, name, rows, cols, activation| {
            let weights = load(&format!("{name}.weight"), rows, cols)?;
            Ok(Linear::new(name, weights, activation, storage, init_of(activation, depth == last)))
        })
    }

    fn build(
        spec: &NetworkSpec,
        mut linear: impl FnMut(u64, &str, usize, usize, Activation) -> Result<Linear>,
    ) -> Result<Network> {
        let mut layers: Vec<Box<dyn Layer>> = Vec::new();
        let mut features = spec.inputs;
        let mut depth = 0;
        for (position, layer) in spec.layers.iter().enumerate() {
            layers.push(match layer {
                LayerSpec::Linear { outputs, activation } => {
                    let layer =
                        linear(depth, &format!("layers.{position}"), *outputs, features, *activation)?;
                    depth += 1;
                    features = *outputs;
                    Box::new(layer)
                }
                LayerSpec::Elementwise { activation } => Box::new(Elementwise::new(features, *activation)),
                LayerSpec::Dropout { rate } => Box::new(Dropout::new(features, *rate, position as u64)),
            });
        }
        Ok(Network { spec: spec.clone(), layers })
    }

    /// The network's shape.
    pub fn spec(&self) -> &NetworkSpec {
        &self.spec
    }

    /// Input features.
    pub fn inputs(&self) -> usize {
        self.spec.inputs
    }

    /// Output features.
    pub fn outputs(&self) -> usize {
        self.layers.last().map_or(self.spec.inputs, |layer| layer.outputs())
    }

    /// The layers in order.
    pub fn layers(&self) -> &[Box<dyn Layer>] {
        &self.layers
    }

    /// The layers in order, to change.
    pub fn layers_mut(&mut self) -> &mut [Box<dyn Layer>] {
        &mut self.layers
    }

    /// All trainable arrays in order.
    pub fn parameters(&self) -> impl Iterator<Item = &Parameter> + Clone {
        self.layers.iter().flat_map(|layer| layer.parameters())
    }

    /// All trainable arrays in order, to change.
    pub fn parameters_mut(&mut self) -> impl Iterator<Item = &mut Parameter> {
        self.layers.iter_mut().flat_map(|layer| layer.parameters_mut())
    }

    /// Live connections and cells of all weight matrices.
    pub fn connections(&self) -> (usize, usize) {
        self.parameters().filter(|parameter| parameter.is_weight).fold((0, 0), |(nnz, cells), parameter| {
            let weights = &parameter.weights;
            (nnz + weights.nnz(), cells + weights.rows() * weights.cols())
        })
    }

    /// The output of a neuron without inputs, as the layer at `position` gets it when predicting: its bias through the
    /// functions between.
    ///
    /// # Panics
    /// If no linear layer comes before.
    pub fn constant_output(&self, position: usize, neuron: usize) -> f32 {
        let linear =
            (0..position).rev().find(|&before| matches!(self.spec.layers[before], LayerSpec::Linear { .. }));
        let linear = linear.expect("a neuron belongs to a linear layer");
        let bias = self.layers[linear].parameters().iter().find(|parameter| !parameter.is_weight);
        let bias = bias.map_or(0.0, |bias| bias.weights.values()[neuron]);
        LayerSpec::constant(&self.spec.layers[linear..position], bias)
    }

    /// Buffers for batches of up to `samples` samples.
    pub fn buffers(&self, samples: usize, training: bool) -> Buffers {
        let tiles = || self.layers.iter().map(|layer| Tiles::zeros(layer.outputs(), samples)).collect();
        Buffers { outputs: tiles(), gradients: if training { tiles() } else { Vec::new() } }
    }

    /// Computes every layer's outputs.
    pub fn forward(&self, pass: &Pass, input: &Tiles, buffers: &mut Buffers) {
        for (position, layer) in self.layers.iter().enumerate() {
            let (before, after) = buffers.outputs.split_at_mut(position);
            layer.forward(pass, before.last().unwrap_or(input), &mut after[0]);
        }
    }

    /// Computes every parameter's gradient from that of the outputs, which the last of `buffers.gradients` holds.
    pub fn backward(&mut self, pass: &Pass, input: &Tiles, buffers: &mut Buffers) {
        // Below the first layer with parameters nobody needs a gradient.
        let first = self.layers.iter().position(|layer| !layer.parameters().is_empty()).unwrap_or(0);
        for position in (first..self.layers.len()).rev() {
            let gate = if position > 0 { self.layers[position - 1].fused() } else { Activation::Identity };
            let (before, after) = buffers.gradients.split_at_mut(position);
            let flow = Flow {
                input: if position > 0 { &buffers.outputs[position - 1] } else { input },
                gradient: &after[0],
                gradient_input: if position > first { before.last_mut() } else { None },
                gate,
            };
            self.layers[position].backward(pass, flow);
        }
    }
}

impl NetworkSpec {
    /// Rows and columns of each linear layer.
    pub fn linear_shapes(&self) -> Vec<(usize, usize)> {
        let mut features = self.inputs;
        let mut shapes = Vec::new();
        for layer in &self.layers {
            if let LayerSpec::Linear { outputs, .. } = layer {
                shapes.push((*outputs, features));
                features = *outputs;
            }
        }
        shapes
    }

    /// Checks what came from a file.
    ///
    /// # Errors
    /// If there is no last linear layer without activation, a width is 0, or an activation is not where it can be.
    pub fn check(&self) -> std::result::Result<(), String> {
        let last = self.layers.last().ok_or("the network has no layers")?;
        if !matches!(last, LayerSpec::Linear { activation: Activation::Identity, .. }) {
            return Err("the last layer must be linear without activation".into());
        }
        for layer in &self.layers {
            match layer {
                LayerSpec::Linear { outputs: 0, .. } => return Err("a layer has no outputs".into()),
                LayerSpec::Linear { activation, .. } if !activation.is_fusable() => {
                    return Err(format!("{activation:?} cannot be fused into a linear layer"));
                }
                LayerSpec::Dropout { rate } if !(0.0..1.0).contains(rate) => {
                    return Err(format!("dropout rate {rate} is not in [0, 1)"));
                }
                _ => {}
            }
        }
        if self.inputs == 0 { Err("the network has no inputs".into()) } else { Ok(()) }
    }
}

fn init_of(activation: Activation, is_head: bool) -> Init {
    match activation {
        Activation::Tanh | Activation::Sigmoid => Init::Glorot,
        _ if is_head => Init::Glorot,
        _ => Init::He,
    }
}
