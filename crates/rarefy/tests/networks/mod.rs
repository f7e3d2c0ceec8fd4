//! Random networks, small ones, with any kind of layer in any place.

use rarefy::layers::{Describe, LayerSpec, Network, NetworkSpec, SparsitySettings};
use rarefy::random::Stream;
use rarefy::sparse::{Allocation, Storage};
use rarefy::tiles::{Shape, Tiles};

use crate::reference::Batch;

/// Numbers that tokens are drawn below.
const VOCABULARY: usize = 7;
/// Numbers of a sample at most: the reference is slow.
const FEATURES: usize = 72;

/// Every kind of layer.
pub const KINDS: [&str; 24] = [
    "linear",
    "conv2d",
    "conv1d",
    "max-pool",
    "average-pool",
    "global-max-pool",
    "global-average-pool",
    "last-step",
    "attention-pool",
    "elementwise",
    "dropout",
    "flatten",
    "embedding",
    "positional-encoding",
    "attention",
    "lstm",
    "gru",
    "rnn",
    "residual",
    "parallel",
    "batch-norm",
    "layer-norm",
    "rms-norm",
    "group-norm",
];

/// Where a layer stands among others.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Place {
    First,
    Middle,
    Last,
}

/// What goes into a network.
#[derive(Debug, Clone, Copy)]
pub struct Inputs {
    pub shape: Shape,
    pub is_tokens: bool,
    pub has_lengths: bool,
}

/// Draws networks.
pub struct Draw(pub Stream);

impl Draw {
    pub fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.0.below(choices.len())]
    }

    pub fn chance(&mut self, share: f32) -> bool {
        self.0.uniform() < share
    }

    fn inputs(&mut self) -> Inputs {
        let (is_tokens, has_lengths) = (self.chance(0.15), self.chance(0.6));
        let sequence = |steps, channels| Shape::sequence(steps, channels);
        match self.0.below(4) {
            _ if is_tokens => Inputs { shape: sequence(2 + self.0.below(5), 1), is_tokens, has_lengths },
            0 => Inputs { shape: Shape::flat(2 + self.0.below(8)), is_tokens, has_lengths: false },
            1 => {
                let shape = Shape {
                    height: 2 + self.0.below(3),
                    width: 2 + self.0.below(3),
                    channels: 2 + self.0.below(3),
                };
                Inputs { shape, is_tokens, has_lengths: false }
            }
            _ => Inputs { shape: sequence(2 + self.0.below(6), 2 + self.0.below(4)), is_tokens, has_lengths },
        }
    }

    fn activation(&mut self) -> &'static str {
        self.of(&["'identity'", "'relu'", "'tanh'", "'sigmoid'", "{leaky-relu = 0.3}"])
    }

    /// A layer of a kind, which may not fit.
    fn layer(&mut self, kind: &str, inputs: Inputs, depth: usize) -> Option<LayerSpec> {
        let activation = self.activation();
        let (two, size) = (1 + self.0.below(2), 2 + self.0.below(4));
        let yes = self.chance(0.5);
        let window = |draw: &mut Draw| {
            let kernel = 1 + draw.0.below(3);
            (kernel, draw.0.below(kernel.div_ceil(2) + 1).min(kernel / 2))
        };
        let text = match kind {
            "linear" => format!("outputs = {size}\nactivation = {activation}"),
            "conv2d" | "conv1d" => {
                let (kernel, padding) = window(self);
                let (stride, dilation, groups) =
                    (1 + self.0.below(2), 1 + self.0.below(2), self.of(&[1, 1, 2, 3]));
                let padding = if kernel % 2 == 1 && yes { "'same'".into() } else { padding.to_string() };
                format!(
                    "filters = {}\nkernel = {kernel}\npadding = {padding}\nstride = {stride}\ndilation = {dilation}
                     groups = {groups}\nbias = {}\nactivation = {activation}",
                    size * groups,
                    self.chance(0.7)
                )
            }
            "max-pool" | "average-pool" => {
                let (kernel, padding) = window(self);
                let stride = if yes { String::new() } else { format!("stride = {two}\n") };
                let dilation = if kind == "max-pool" {
                    format!("dilation = {}", 1 + self.0.below(2))
                } else {
                    String::new()
                };
                format!("kernel = {kernel}\npadding = {padding}\n{stride}{dilation}")
            }
            "elementwise" => {
                format!("activation = {}", self.of(&[activation, "'gelu'", "'silu'", "{leaky-relu = -0.6}"]))
            }
            "dropout" => "rate = 0.4".into(),
            "embedding" => format!("vocabulary = {VOCABULARY}\nchannels = {size}\npadding = {yes}"),
            "positional-encoding" => format!("positions = {}", self.of(&["'learned'", "'sinusoidal'"])),
            "attention" => format!("heads = {two}\ncausal = {yes}\nrotary = {}", self.chance(0.5)),
            "lstm" | "gru" | "rnn" => {
                let mut text = format!("hidden = {}\nbidirectional = {yes}", 1 + self.0.below(4));
                if kind == "rnn" {
                    text += self.of(&["", "\nactivation = 'relu'"]);
                }
                if !yes {
                    text += self.of(&["", "\ncarry = true"]);
                }
                text
            }
            "batch-norm" => format!("activation = {activation}"),
            "group-norm" => format!("groups = {two}"),
            "residual" | "parallel" => return self.block(kind, inputs, depth),
            _ => String::new(),
        };
        Some(toml::from_str(&format!("layer = '{kind}'\n{text}")).unwrap())
    }

    /// A block of layers that are drawn too.
    fn block(&mut self, kind: &str, inputs: Inputs, depth: usize) -> Option<LayerSpec> {
        if depth == 0 {
            return None;
        }
        let (branch, _) = self.layers(inputs, 1, depth - 1)?;
        self.block_of(kind, inputs, branch)
    }

    /// A block around layers: beside them the same once more, or the input as it is where that fits.
    fn block_of(&mut self, kind: &str, inputs: Inputs, branch: Vec<LayerSpec>) -> Option<LayerSpec> {
        let written = |layers: &[LayerSpec]| serde_json::to_value(layers).unwrap();
        let beside = if self.chance(0.5) && !inputs.is_tokens { Vec::new() } else { branch.clone() };
        let activation = self.of(&["identity", "relu", "tanh"]);
        let (branch, beside) = (written(&branch), written(&beside));
        let value = match kind {
            "residual" => serde_json::json!({
                "layer": kind, "body": branch, "shortcut": beside, "activation": activation,
            }),
            _ => {
                let mut branches = vec![branch, beside];
                if self.chance(0.5) {
                    branches.reverse();
                }
                serde_json::json!({"layer": kind, "branches": branches, "join": self.of(&["concat", "add"])})
            }
        };
        Some(serde_json::from_value(value).unwrap())
    }

    /// At least `fewest` layers that fit one another, and what comes out.
    fn layers(&mut self, inputs: Inputs, fewest: usize, depth: usize) -> Option<(Vec<LayerSpec>, Inputs)> {
        let (mut layers, mut inputs) = (Vec::new(), inputs);
        let count = fewest + self.0.below(2);
        for _ in 0..60 {
            if layers.len() == count {
                break;
            }
            let kind = self.of(&KINDS);
            if let Some((layer, output)) = self.fitting(kind, inputs, depth) {
                (layers, inputs) = ([layers, vec![layer]].concat(), output);
            }
        }
        (layers.len() >= fewest).then_some((layers, inputs))
    }

    /// A layer of a kind and what comes out, if the one drawn fits.
    fn fitting(&mut self, kind: &str, inputs: Inputs, depth: usize) -> Option<(LayerSpec, Inputs)> {
        let layer = self.layer(kind, inputs, depth)?;
        self.after(&layer, inputs).map(|output| (layer, output))
    }

    /// What comes out of a layer, if it fits.
    fn after(&self, layer: &LayerSpec, inputs: Inputs) -> Option<Inputs> {
        let takes_tokens = matches!(layer, LayerSpec::Embedding(_));
        if layer.inner().is_empty() && takes_tokens != inputs.is_tokens {
            return None;
        }
        let shape = layer.output(inputs.shape).ok().filter(|shape| shape.features() <= FEATURES)?;
        Some(Inputs { shape, is_tokens: false, has_lengths: inputs.has_lengths && shape.positions() > 1 })
    }

    /// A network with a layer of a kind in a place, which may be one within a block.
    pub fn network(&mut self, kind: &str, place: Place, is_nested: bool) -> Option<(Inputs, Vec<LayerSpec>)> {
        let inputs = self.inputs();
        let around = |is_there: bool, draw: &mut Draw, inputs: Inputs| {
            if is_there { draw.layers(inputs, 1, 1) } else { Some((Vec::new(), inputs)) }
        };
        let outer = if is_nested { self.of(&[Place::First, Place::Middle, Place::Last]) } else { place };
        let (mut layers, at) = around(outer != Place::First, self, inputs)?;
        let (layer, mut end) = if is_nested {
            let (mut inner, at_kind) = around(place != Place::First, self, at)?;
            let (layer, after) = self.fitting(kind, at_kind, 1)?;
            inner.push(layer);
            let (rest, _) = around(place != Place::Last, self, after)?;
            inner.extend(rest);
            let block = self.of(&["residual", "parallel"]);
            let layer = self.block_of(block, at, inner)?;
            let output = self.after(&layer, at)?;
            (layer, output)
        } else {
            self.fitting(kind, at, 1)?
        };
        layers.push(layer);
        if outer != Place::Last {
            let (rest, after) = around(true, self, end)?;
            layers.extend(rest);
            end = after;
        }
        (end.shape.features() > 0).then_some((inputs, layers))
    }

    /// The network, its numbers all away from their starts, in a storage that is drawn too.
    pub fn built(&mut self, inputs: Inputs, layers: &[LayerSpec]) -> Network {
        let spec = NetworkSpec { inputs: inputs.shape, layers: layers.to_vec() };
        let (density, storage, block) = self.of(&[
            (0.5, Storage::Sparse, 1),
            (0.5, Storage::Dense, 1),
            (1.0, Storage::Dense, 1),
            (0.5, Storage::Sparse, 4),
        ]);
        let allocation = Allocation::Uniform;
        let sparsity =
            SparsitySettings { density, storage, block: block.into(), allocation, ..Default::default() };
        let mut network = Network::random(&spec, &sparsity, self.0.bits()).unwrap();
        for parameter in network.parameters_mut().filter(|parameter| !parameter.is_weight()) {
            let is_variance = parameter.name.ends_with(".variance");
            for value in parameter.weights.values_mut() {
                *value = if is_variance { 0.3 + self.0.uniform() } else { *value + 0.4 * self.0.normal() };
            }
        }
        network
    }

    /// A batch for the network and for the reference.
    pub fn batch(&mut self, inputs: Inputs, samples: usize) -> (Tiles, Batch) {
        let mut tiles = Tiles::zeros(inputs.shape.features(), samples);
        let mut batch = Batch { shape: inputs.shape, samples: Vec::new(), lengths: None };
        for sample in 0..samples {
            let mut number =
                || if inputs.is_tokens { self.0.below(VOCABULARY) as f32 } else { self.0.normal() };
            let values: Vec<f32> = (0..inputs.shape.features()).map(|_| number()).collect();
            tiles.set_sample(sample, &values);
            batch.samples.push(values.into_iter().map(f64::from).collect());
        }
        if inputs.has_lengths {
            let lengths: Vec<usize> = (0..samples).map(|_| 1 + self.0.below(inputs.shape.width)).collect();
            tiles.set_lengths(lengths.iter().map(|&length| length as u32));
            batch.lengths = Some(lengths);
        }
        (tiles, batch)
    }
}
