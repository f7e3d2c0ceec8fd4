//! Whole networks compute and learn what the formulas say: a few hundred small ones in random arrangements, every kind of layer
//! first, in the middle and last, alone and within blocks, against a plain reference in f64 (`reference`).
//!
//! - Outputs are the reference's.
//! - Parameters' gradients, as training asks for them, are the reference's central differences, and have the same bits where the
//!   gradient of the input is asked for too, which is right as well.

mod reference;

use std::collections::HashMap;

use rarefy::kernels::{Activation, Isa};
use rarefy::layers::{
    Buffers, Describe, Dropout, Layer, LayerSpec, Network, NetworkSpec, Pass, Role, SparsitySettings,
    Workspace,
};
use rarefy::random::{Purpose, Stream};
use rarefy::sparse::{Allocation, Storage};
use rarefy::tiles::{LANES, Row, Shape, Tiles};
use rayon::prelude::*;
use reference::{Batch, Reference};

/// Numbers that tokens are drawn below.
const VOCABULARY: usize = 7;
/// Numbers of a sample at most: the reference is slow.
const FEATURES: usize = 72;

const KINDS: [&str; 24] = [
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

#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    First,
    Middle,
    Last,
}

/// What goes into a network.
#[derive(Debug, Clone, Copy)]
struct Inputs {
    shape: Shape,
    is_tokens: bool,
    has_lengths: bool,
}

/// Draws networks.
struct Draw(Stream);

impl Draw {
    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.0.below(choices.len())]
    }

    fn chance(&mut self, share: f32) -> bool {
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
    fn network(&mut self, kind: &str, place: Place, is_nested: bool) -> Option<(Inputs, Vec<LayerSpec>)> {
        let inputs = self.inputs();
        let around = |is_there: bool, draw: &mut Draw, inputs: Inputs| match is_there {
            true => draw.layers(inputs, 1, 1),
            false => Some((Vec::new(), inputs)),
        };
        let outer = if is_nested { self.of(&[Place::First, Place::Middle, Place::Last]) } else { place };
        let (mut layers, at) = around(outer != Place::First, self, inputs)?;
        let (layer, mut end) = match is_nested {
            false => self.fitting(kind, at, 1)?,
            true => {
                let (mut inner, at_kind) = around(place != Place::First, self, at)?;
                let (layer, after) = self.fitting(kind, at_kind, 1)?;
                inner.push(layer);
                let (rest, _) = around(place != Place::Last, self, after)?;
                inner.extend(rest);
                let block = self.of(&["residual", "parallel"]);
                let layer = self.block_of(block, at, inner)?;
                let output = self.after(&layer, at)?;
                (layer, output)
            }
        };
        layers.push(layer);
        if outer != Place::Last {
            let (rest, after) = around(true, self, end)?;
            layers.extend(rest);
            end = after;
        }
        (end.shape.features() > 0).then_some((inputs, layers))
    }
}

/// A network as it is trained, with a batch.
struct Trained {
    network: Network,
    pass: Pass,
    input: Tiles,
    batch: Batch,
    buffers: Buffers,
}

impl Trained {
    /// A network whose numbers are all away from their starts. Its buffers have seen a larger batch, as those of an epoch's last
    /// batch have.
    fn new(draw: &mut Draw, inputs: Inputs, layers: &[LayerSpec]) -> Trained {
        let spec = NetworkSpec { inputs: inputs.shape, layers: layers.to_vec() };
        let (density, storage) =
            draw.of(&[(0.5, Storage::Sparse), (0.5, Storage::Dense), (1.0, Storage::Dense)]);
        let sparsity =
            SparsitySettings { density, storage, allocation: Allocation::Uniform, ..Default::default() };
        let mut network = Network::random(&spec, &sparsity, draw.0.bits()).unwrap();
        for parameter in network.parameters_mut() {
            if parameter.is_trained() {
                parameter.gradient = vec![f32::NAN; parameter.weights.values().len()];
            }
            if !parameter.is_weight() && parameter.is_trained() {
                parameter.weights.values_mut().iter_mut().for_each(|value| *value += 0.4 * draw.0.normal());
            }
        }
        let pass = Pass { isa: Isa::detect(), training: Some((draw.0.bits(), 3)) };
        let mut buffers = network.buffers(70, true);
        let (others, _) = batch(draw, inputs, 70);
        network.forward(&pass, &others, &mut buffers);
        let (output, gradient) = buffers.output_and_gradient();
        gradient.rows_mut().copy_from_slice(output.rows());
        network.backward(&pass, &others, &mut buffers);
        // Those of at most 32 samples are folded where layers allow it.
        let samples = if draw.chance(0.6) { 2 + draw.0.below(6) } else { 33 + draw.0.below(3) };
        let (input, batch) = batch(draw, inputs, samples);
        buffers.resize(samples);
        Trained { network, pass, input, batch, buffers }
    }

    /// What dropouts multiply each number of each sample by, in the order in which layers are built.
    fn masks(&self) -> Vec<Vec<Vec<f64>>> {
        let mut masks = Vec::new();
        let mut shape = self.network.spec().inputs;
        for (layer, output) in self.network.spec().layers.iter().zip(&self.buffers.outputs) {
            self.add_masks(layer, shape, output.is_folded(), &mut masks);
            shape = layer.output(shape).unwrap();
        }
        masks
    }

    fn add_masks(&self, layer: &LayerSpec, shape: Shape, is_folded: bool, masks: &mut Vec<Vec<Vec<f64>>>) {
        for (_, layers) in layer.inner() {
            let mut shape = shape;
            for layer in layers {
                self.add_masks(layer, shape, is_folded, masks);
                shape = layer.output(shape).unwrap();
            }
        }
        let LayerSpec::Dropout(spec) = layer else { return };
        let samples = self.input.samples();
        let tiles = |is_folded: bool| {
            let mut tiles = Tiles::zeros(shape.features(), samples);
            tiles.resize_as(samples, is_folded);
            tiles
        };
        let (mut ones, mut mask) = (tiles(is_folded), tiles(is_folded));
        ones.rows_mut().fill(Row([1.0; LANES]));
        let dropout = Dropout::new(shape, spec.rate, masks.len() as u64);
        dropout.forward(&self.pass, &[], &ones, &mut mask, &mut Workspace::default());
        if is_folded {
            let mut whole = tiles(false);
            whole.unfold(&mask);
            mask = whole;
        }
        let of_sample = |sample| mask.sample(sample).into_iter().map(f64::from).collect();
        masks.push((0..samples).map(of_sample).collect());
    }

    /// A pass forward and back; the gradient of the outputs is that of their sum times `factors`.
    fn pass(&mut self, factors: &[Vec<f64>], gradient_input: Option<&mut Tiles>) {
        self.network.parameters_mut().for_each(|parameter| parameter.gradient.fill(f32::NAN));
        self.network.parameters_mut().for_each(|parameter| parameter.touched = None);
        self.network.forward(&self.pass, &self.input, &mut self.buffers);
        let fused = self.network.layers().last().map_or(Activation::Identity, |layer| layer.fused());
        let (output, gradient) = self.buffers.output_and_gradient();
        gradient.rows_mut().fill(Row::ZERO);
        for (sample, factors) in factors.iter().enumerate() {
            gradient.set_sample(sample, &factors.iter().map(|&factor| factor as f32).collect::<Vec<_>>());
        }
        for (row, output) in gradient.rows_mut().iter_mut().zip(output.rows()) {
            fused.gate(&mut row.0, output);
        }
        self.network.backward_to_input(&self.pass, &self.input, gradient_input, &mut self.buffers);
    }
}

/// A batch for the network and for the reference.
fn batch(draw: &mut Draw, inputs: Inputs, samples: usize) -> (Tiles, Batch) {
    let mut tiles = Tiles::zeros(inputs.shape.features(), samples);
    let mut batch = Batch { shape: inputs.shape, samples: Vec::new(), lengths: None };
    for sample in 0..samples {
        let mut number = || if inputs.is_tokens { draw.0.below(VOCABULARY) as f32 } else { draw.0.normal() };
        let values: Vec<f32> = (0..inputs.shape.features()).map(|_| number()).collect();
        tiles.set_sample(sample, &values);
        batch.samples.push(values.into_iter().map(f64::from).collect());
    }
    if inputs.has_lengths {
        let lengths: Vec<usize> = (0..samples).map(|_| 1 + draw.0.below(inputs.shape.width)).collect();
        tiles.set_lengths(lengths.iter().map(|&length| length as u32));
        batch.lengths = Some(lengths);
    }
    (tiles, batch)
}

/// The sum of all outputs, each times its factor.
fn loss(output: &Batch, factors: &[Vec<f64>]) -> f64 {
    output
        .samples
        .iter()
        .flatten()
        .zip(factors.iter().flatten())
        .map(|(output, factor)| output * factor)
        .sum()
}

/// The derivative at 0.
fn slope(mut loss: impl FnMut(f64) -> f64) -> f64 {
    const STEP: f64 = 1e-6;
    (loss(STEP) - loss(-STEP)) / (2.0 * STEP)
}

fn assert_near(found: f64, expected: f64, scale: f64, what: &dyn Fn() -> String) {
    let is_near = (found - expected).abs() <= 2e-4 * (1.0 + scale);
    assert!(is_near, "{}: {found}, and by the reference {expected}", what());
}

fn check(draw: &mut Draw, inputs: Inputs, layers: &[LayerSpec]) {
    let mut trained = Trained::new(draw, inputs, layers);
    let title = || {
        let layers = serde_json::to_string(layers).unwrap();
        format!("{} samples, {inputs:?}, {layers}", trained.input.samples())
    };
    let title = title();
    let mut reference = Reference::new(&trained.network, trained.masks());
    let expected = reference.forward(&trained.batch);
    let mut factors = expected.samples.clone();
    factors.iter_mut().flatten().for_each(|factor| *factor = f64::from(draw.0.normal()));

    trained.pass(&factors, None);
    let gradients: Vec<Vec<f32>> =
        trained.network.parameters().map(|parameter| parameter.gradient.clone()).collect();
    for (sample, expected) in expected.samples.iter().enumerate() {
        let found = trained.buffers.output().sample(sample);
        for (at, (&found, &expected)) in found.iter().zip(expected).enumerate() {
            assert_near(f64::from(found), expected, expected.abs(), &|| {
                format!("{title}, output {at} of {sample}")
            });
        }
    }
    let mut gradient_input = Tiles::zeros(trained.input.features(), trained.input.samples());
    trained.pass(&factors, Some(&mut gradient_input));
    for (parameter, gradients) in trained.network.parameters().zip(&gradients) {
        let bits = |numbers: &[f32]| numbers.iter().map(|number| number.to_bits()).collect::<Vec<_>>();
        let what = "differs where the gradient of the input is asked for";
        assert_eq!(bits(gradients), bits(&parameter.gradient), "{title}: {} {what}", parameter.name);
    }

    // All numbers of an array at once, each moved its own way.
    for (parameter, gradients) in trained.network.parameters().zip(&gradients) {
        if parameter.role == Role::Statistic {
            continue;
        }
        let ways: Vec<(usize, usize, f64)> = parameter
            .weights
            .connections()
            .map(|(cell, slot)| (cell, slot, f64::from(draw.0.normal())))
            .collect();
        let start = reference.arrays[&parameter.name].clone();
        let expected = slope(|step| {
            let array = reference.arrays.get_mut(&parameter.name).unwrap();
            ways.iter().for_each(|&(cell, _, way)| array[cell] = start[cell] + step * way);
            loss(&reference.forward(&trained.batch), &factors)
        });
        reference.arrays.insert(parameter.name.clone(), start);
        let terms = || ways.iter().map(|&(_, slot, way)| f64::from(gradients[slot]) * way);
        let scale = terms().map(f64::abs).sum();
        assert_near(terms().sum(), expected, scale, &|| format!("{title}, gradient of {}", parameter.name));
    }
    if !inputs.is_tokens {
        let mut way = trained.batch.samples.clone();
        way.iter_mut().flatten().for_each(|way| *way = f64::from(draw.0.normal()));
        let expected = slope(|step| {
            let mut batch = trained.batch.clone();
            let numbers = batch.samples.iter_mut().flatten().zip(way.iter().flatten());
            numbers.for_each(|(number, way)| *number += step * way);
            loss(&reference.forward(&batch), &factors)
        });
        let samples = 0..trained.input.samples();
        let found: Vec<f64> =
            samples.flat_map(|sample| gradient_input.sample(sample)).map(f64::from).collect();
        let terms = || found.iter().zip(way.iter().flatten()).map(|(gradient, way)| gradient * way);
        let scale = terms().map(f64::abs).sum();
        assert_near(terms().sum(), expected, scale, &|| format!("{title}, gradient of the input"));
    }
}

/// Below the first parameter nobody needs a gradient, and what is above still needs its own inputs.
#[test]
fn the_first_layers_may_have_no_parameters() {
    let linear = "{layer = 'linear', outputs = 3}";
    for (number, (shape, layers)) in (0..).zip([
        (Shape::flat(5), "{layer = 'elementwise', activation = 'relu'}"),
        (Shape::flat(5), "{layer = 'elementwise', activation = 'tanh'}"),
        (Shape::flat(5), "{layer = 'dropout', rate = 0.4}"),
        (Shape { height: 4, width: 4, channels: 2 }, "{layer = 'max-pool', kernel = 2}, {layer = 'flatten'}"),
        (Shape::sequence(4, 3), "{layer = 'residual', body = [{layer = 'dropout', rate = 0.4}]}"),
    ]) {
        let layers: HashMap<String, Vec<LayerSpec>> =
            toml::from_str(&format!("layers = [{layers}, {linear}]")).unwrap();
        let inputs = Inputs { shape, is_tokens: false, has_lengths: false };
        check(&mut Draw(Stream::new(17, Purpose::Bench, number, 0)), inputs, &layers["layers"]);
    }
}

#[test]
fn every_kind_of_layer_in_every_place() {
    let mut cases = Vec::new();
    for kind in KINDS {
        for place in [Place::First, Place::Middle, Place::Last] {
            for is_nested in [false, true] {
                (0..2).for_each(|round| cases.push((kind, place, is_nested, round)));
            }
        }
    }
    let made: usize = cases
        .into_par_iter()
        .enumerate()
        .map(|(number, (kind, place, is_nested, _))| {
            let mut draw = Draw(Stream::new(13, Purpose::Bench, number as u64, 0));
            let Some((inputs, layers)) = (0..3000).find_map(|_| draw.network(kind, place, is_nested)) else {
                // Tokens are given to the first layer alone.
                assert!(kind == "embedding" && place != Place::First, "no network with {kind} {place:?}");
                return 0;
            };
            check(&mut draw, inputs, &layers);
            1
        })
        .sum();
    assert!(made > 270, "{made} networks");
}
