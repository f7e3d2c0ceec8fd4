//! Whole networks compute and learn what the formulas say: a few hundred small ones in random arrangements, every kind of layer
//! first, in the middle and last, alone and within blocks, against a plain reference in f64 (`reference`).
//!
//! - Outputs are the reference's.
//! - Parameters' gradients, as training asks for them, are the reference's central differences, and have the same bits where the
//!   gradient of the input is asked for too, which is right as well. Those of absent connections, which growth rules ask for, are too.

use std::collections::HashMap;

use crate::networks::{Draw, Inputs, KINDS, Place};
use crate::reference::{Batch, Reference};
use rarefy::kernels::Isa;
use rarefy::layers::{Buffers, Describe, Dropout, Gradient, Layer, LayerSpec, Network, Pass, Workspace};
use rarefy::random::{Purpose, Stream};
use rarefy::tiles::{LANES, Row, Shape, Tiles};
use rayon::prelude::*;

/// A network as it is trained, with a batch.
struct Trained {
    network: Network,
    gradients: Vec<Gradient>,
    pass: Pass<'static>,
    input: Tiles,
    batch: Batch,
    buffers: Buffers,
}

impl Trained {
    /// A network whose numbers are all away from their starts. Its buffers have seen a larger batch, as those of an epoch's last
    /// batch have.
    fn new(draw: &mut Draw, inputs: Inputs, layers: &[LayerSpec]) -> Trained {
        let mut network = draw.built(inputs, layers);
        let mut gradients = network.gradients();
        let pass = Pass::train(Isa::detect(), draw.0.bits(), 3);
        let mut buffers = network.buffers(70, true);
        let (others, _) = draw.batch(inputs, 70);
        network.forward(&pass, &others, &mut buffers);
        let (output, gradient) = buffers.output_and_gradient();
        gradient.rows_mut().copy_from_slice(output.rows());
        network.backward(&pass, &others, &mut gradients, &mut buffers);
        let mut statistics = Vec::new();
        network.batch_statistics(&buffers, &mut statistics);
        network.move_averages(&statistics);
        // Those of at most 32 samples are folded where layers allow it.
        let samples = if draw.chance(0.6) { 2 + draw.0.below(6) } else { 33 + draw.0.below(3) };
        let (input, batch) = draw.batch(inputs, samples);
        buffers.resize(samples);
        Trained { network, gradients, pass, input, batch, buffers }
    }

    /// What dropouts multiply each number of each sample by, in the order in which layers are built.
    fn masks(&self) -> Vec<Vec<Vec<f64>>> {
        let mut masks = Vec::new();
        let mut shape = self.network.spec().inputs;
        for (position, layer) in self.network.spec().layers.iter().enumerate() {
            let is_folded = self.input.is_half(0) && self.network.folded().contains(&position);
            self.add_masks(layer, shape, is_folded, &mut masks);
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
        for gradient in &mut self.gradients {
            gradient.values.fill(f32::NAN);
            gradient.touched = None;
        }
        self.network.forward(&self.pass, &self.input, &mut self.buffers);
        let fused = self.network.fused();
        let (output, gradient) = self.buffers.output_and_gradient();
        gradient.rows_mut().fill(Row::ZERO);
        for (sample, factors) in factors.iter().enumerate() {
            gradient.set_sample(sample, &factors.iter().map(|&factor| factor as f32).collect::<Vec<_>>());
        }
        for (row, output) in gradient.rows_mut().iter_mut().zip(output.rows()) {
            fused.gate(&mut row.0, output);
        }
        let room = (&mut self.gradients, &mut self.buffers);
        self.network.backward_to_input(&self.pass, &self.input, gradient_input, room.0, room.1);
    }

    /// The gradients of all cells of a weight, as growth rules ask for them after a pass.
    fn cell_gradients(&self, index: usize) -> Vec<f32> {
        let weights = &self.network.parameter(index).weights;
        let (rows, cols) = (weights.rows(), weights.cols());
        let mut cells = vec![f32::NAN; rows * cols];
        let product = self.network.product(index, &self.input, &self.buffers);
        product.row_gradients(self.pass.isa, (rows, cols), 0..rows, &mut cells, &mut Vec::new());
        cells
    }
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

/// The slopes on either side of 0, where the loss is `here`.
fn slopes(here: f64, mut loss: impl FnMut(f64) -> f64) -> [f64; 2] {
    const STEP: f64 = 1e-6;
    [(here - loss(-STEP)) / STEP, (loss(STEP) - here) / STEP]
}

/// Compares gradients with the slope along a way.
fn assert_slope(gradients: &[f32], ways: &[f64], expected: f64, what: &dyn Fn() -> String) {
    let terms = || gradients.iter().zip(ways).map(|(&gradient, way)| f64::from(gradient) * way);
    assert_near(terms().sum(), expected, terms().map(f64::abs).sum(), what);
}

fn assert_near(found: f64, expected: f64, scale: f64, what: &dyn Fn() -> String) {
    let is_near = (found - expected).abs() <= 5e-4 * (1.0 + scale);
    assert!(is_near, "{}: {found}, and by the reference {expected}", what());
}

/// Whether the network is one that can be told by, all of which is checked.
#[expect(clippy::too_many_lines, reason = "one comparison after the other")]
fn check(draw: &mut Draw, inputs: Inputs, layers: &[LayerSpec]) -> bool {
    let mut trained = Trained::new(draw, inputs, layers);
    let title = || {
        let layers = serde_json::to_string(layers).unwrap();
        format!("{} samples, {inputs:?}, {layers}", trained.input.samples())
    };
    let title = title();
    let mut reference = Reference::new(&trained.network, trained.masks());
    let expected = reference.forward(&trained.batch);
    if reference.smallest_variance.get() < 0.01 {
        return false;
    }
    let mut factors = expected.samples.clone();
    factors.iter_mut().flatten().for_each(|factor| *factor = f64::from(draw.0.normal()));
    let here = loss(&expected, &factors);

    trained.pass(&factors, None);
    let values = |gradients: &[Gradient]| gradients.iter().map(|it| it.values.clone()).collect();
    let gradients: Vec<Vec<f32>> = values(&trained.gradients);
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
    let again = trained.network.parameters().zip(&trained.gradients).zip(&gradients);
    for ((parameter, again), gradients) in again {
        let bits = |numbers: &[f32]| numbers.iter().map(|number| number.to_bits()).collect::<Vec<_>>();
        let what = "differs where the gradient of the input is asked for";
        assert_eq!(bits(gradients), bits(&again.values), "{title}: {} {what}", parameter.name);
    }

    // All numbers of an array at once, each moved its own way.
    for (index, (parameter, gradients)) in trained.network.parameters().zip(&gradients).enumerate() {
        if !parameter.is_trained() {
            continue;
        }
        let name = &parameter.name;
        let start = reference.arrays[name].clone();
        let mut live = vec![0.0; start.len()];
        parameter.weights.connections().for_each(|(cell, slot)| live[cell] = gradients[slot]);
        let mut slopes = |ways: &[f64]| {
            let slopes = slopes(here, |step| {
                let array = reference.arrays.get_mut(name).unwrap();
                array.iter_mut().zip(&start).zip(ways).for_each(|((w, start), way)| *w = start + step * way);
                loss(&reference.forward(&trained.batch), &factors)
            });
            reference.arrays.insert(name.clone(), start.clone());
            slopes
        };
        let is_live = |cell: usize| parameter.weights.connections().any(|(live, _)| live == cell);
        let ways: Vec<f64> = (0..live.len())
            .map(|cell| if is_live(cell) { f64::from(draw.0.normal()) } else { 0.0 })
            .collect();
        let [left, right] = slopes(&ways);
        assert_slope(&live, &ways, (left + right) / 2.0, &|| format!("{title}, gradient of {name}"));
        if !parameter.is_weight() {
            continue;
        }
        let cells = trained.cell_gradients(index);
        for cell in (0..cells.len()).filter(|&cell| is_live(cell)) {
            let (found, expected) = (f64::from(cells[cell]), f64::from(live[cell]));
            assert_near(found, expected, expected.abs(), &|| format!("{title}, {name} {cell} as if absent"));
        }
        let ways: Vec<f64> = cells.iter().map(|_| f64::from(draw.0.normal())).collect();
        let [left, right] = slopes(&ways);
        // What has only absent connections is 0 or its bias at every position: a kink of rectifiers and of what takes the largest.
        if (left - right).abs() < 1e-3 * (1.0 + left.abs()) {
            assert_slope(&cells, &ways, left, &|| format!("{title}, absent connections of {name}"));
        }
    }
    if !inputs.is_tokens {
        let mut way = trained.batch.samples.clone();
        way.iter_mut().flatten().for_each(|way| *way = f64::from(draw.0.normal()));
        let [left, right] = slopes(here, |step| {
            let mut batch = trained.batch.clone();
            let numbers = batch.samples.iter_mut().flatten().zip(way.iter().flatten());
            numbers.for_each(|(number, way)| *number += step * way);
            loss(&reference.forward(&batch), &factors)
        });
        let samples = 0..trained.input.samples();
        let found: Vec<f32> = samples.flat_map(|sample| gradient_input.sample(sample)).collect();
        let expected = (left + right) / 2.0;
        assert_slope(&found, &way.concat(), expected, &|| format!("{title}, gradient of the input"));
    }
    true
}

/// Checks layers, written as in a file.
fn check_written(number: u64, shape: Shape, has_lengths: bool, layers: &str) {
    let layers: HashMap<String, Vec<LayerSpec>> = toml::from_str(&format!("layers = [{layers}]")).unwrap();
    let inputs = Inputs { shape, is_tokens: false, has_lengths };
    assert!(check(&mut Draw(Stream::new(17, Purpose::Bench, number, 0)), inputs, &layers["layers"]));
}

/// Below the first parameter nobody needs a gradient, and what is above still needs its own inputs.
#[test]
fn the_first_layers_may_have_no_parameters() {
    for (number, (shape, layers)) in (0..).zip([
        (Shape::flat(5), "{layer = 'elementwise', activation = 'relu'}"),
        (Shape::flat(5), "{layer = 'elementwise', activation = 'tanh'}"),
        (Shape::flat(5), "{layer = 'dropout', rate = 0.4}"),
        (Shape { height: 4, width: 4, channels: 2 }, "{layer = 'max-pool', kernel = 2}, {layer = 'flatten'}"),
        (Shape::sequence(4, 3), "{layer = 'residual', body = [{layer = 'dropout', rate = 0.4}]}"),
    ]) {
        check_written(number, shape, false, &format!("{layers}, {{layer = 'linear', outputs = 3}}"));
    }
}

/// What is made of a summary of a short sample is no shorter than that of others.
#[test]
fn steps_made_of_one_step_are_all_there() {
    let two = "{layer = 'last-step'}, {layer = 'conv1d', filters = 2, kernel = 2, padding = 1}";
    let layers =
        format!("{{layer = 'parallel', join = 'add', branches = [[{two}]]}}, {{layer = 'global-max-pool'}}");
    (0..4).for_each(|number| check_written(number, Shape::sequence(4, 3), true, &layers));
}

#[test]
fn every_kind_of_layer_in_every_place() {
    let error =
        serde_json::from_value::<LayerSpec>(serde_json::json!({ "layer": "?" })).unwrap_err().to_string();
    // unknown variant `?`, expected one of `a`, `b`
    let known = error.split('`').skip(3).step_by(2).filter(|kind| *kind != "custom");
    assert!(known.eq(KINDS), "{error}");
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
            let checked = (0..3000).any(|_| {
                draw.network(kind, place, is_nested)
                    .is_some_and(|(inputs, layers)| check(&mut draw, inputs, &layers))
            });
            // Tokens are given to the first layer alone.
            assert!(
                checked || kind == "embedding" && place != Place::First,
                "no network with {kind} {place:?}"
            );
            usize::from(checked)
        })
        .sum();
    assert!(made > 270, "{made} networks");
}
