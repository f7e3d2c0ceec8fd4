//! With `Precision::Bf16` a network computes what a plain reference does that rounds inputs, weights, what goes from layer to layer and
//! its gradients, once each, and nothing else.

use rarefy::kernels::{Activation, Isa};
use rarefy::layers::{LayerSpec, Network, NetworkSpec, Pass, Precision, SparsitySettings};
use rarefy::random::{Purpose, Stream};
use rarefy::sparse::Storage;
use rarefy::tiles::{Shape, Tiles};
use rarefy::train::{Control, Model, Settings, Trainer};

const INPUTS: usize = 24;
const HIDDEN: usize = 16;
const OUTPUTS: usize = 4;
const SAMPLES: usize = 70;

/// The nearest number with eight significant bits, of two as near the even one.
fn nearest(number: f64) -> f64 {
    if number == 0.0 {
        return number;
    }
    let step = 2f64.powi(number.abs().log2().floor() as i32 - 7);
    (number / step).round_ties_even() * step
}

fn nearest_of(numbers: &[f64]) -> Vec<f64> {
    numbers.iter().copied().map(nearest).collect()
}

/// `[outputs][inputs]`, zeros where there is no connection.
fn cells(network: &Network, parameter: usize) -> Vec<f64> {
    let weights = &network.parameter(parameter).weights;
    let mut cells = vec![0.0; weights.rows() * weights.cols()];
    weights.connections().for_each(|(cell, slot)| cells[cell] = f64::from(weights.values()[slot]));
    cells
}

fn times(matrix: &[f64], vector: &[f64]) -> Vec<f64> {
    matrix.chunks_exact(vector.len()).map(|row| row.iter().zip(vector).map(|(a, b)| a * b).sum()).collect()
}

fn transposed_times(matrix: &[f64], vector: &[f64]) -> Vec<f64> {
    let columns = matrix.len() / vector.len();
    let of_column =
        |column: usize| (0..vector.len()).map(|row| matrix[row * columns + column] * vector[row]).sum();
    (0..columns).map(of_column).collect()
}

fn plus(numbers: &[f64], bias: &[f32]) -> Vec<f64> {
    numbers.iter().zip(bias).map(|(number, bias)| number + f64::from(*bias)).collect()
}

fn add_outer(sums: &mut [f64], rows: &[f64], columns: &[f64]) {
    for (sums, row) in sums.chunks_exact_mut(columns.len()).zip(rows) {
        sums.iter_mut().zip(columns).for_each(|(sum, column)| *sum += row * column);
    }
}

fn check(what: &str, found: impl IntoIterator<Item = f32>, expected: &[f64]) {
    for (found, expected) in found.into_iter().zip(expected) {
        let error = (f64::from(found) - expected).abs();
        assert!(error < 1e-5 * (1.0 + expected.abs()), "{what}: {found} and not {expected}");
    }
}

fn samples(features: usize, stream: &mut Stream) -> Tiles {
    let mut tiles = Tiles::zeros(features, SAMPLES);
    for sample in 0..SAMPLES {
        tiles.set_sample(sample, &(0..features).map(|_| stream.normal()).collect::<Vec<_>>());
    }
    tiles
}

fn numbers(tiles: &Tiles, sample: usize) -> Vec<f64> {
    tiles.sample(sample).into_iter().map(f64::from).collect()
}

#[test]
fn what_products_read_is_rounded_once_and_nothing_else() {
    let layers =
        vec![LayerSpec::linear(HIDDEN, Activation::Relu), LayerSpec::linear(OUTPUTS, Activation::Identity)];
    let spec = NetworkSpec { inputs: Shape::flat(INPUTS), layers };
    for (block, storage) in [(1, Storage::Sparse), (4, Storage::Sparse), (1, Storage::Dense)] {
        for isa in Isa::available_bf16() {
            let what = format!("blocks of {block}, {storage:?}, {isa}");
            let sparsity = SparsitySettings {
                density: 0.5,
                block: block.into(),
                storage,
                ..SparsitySettings::default()
            };
            let mut network = Network::random(&spec, &sparsity, 1).unwrap();
            let mut stream = Stream::new(3, Purpose::Bench, 0, 0);
            for bias in network.parameters_mut().filter(|parameter| !parameter.is_weight()) {
                bias.weights.values_mut().iter_mut().for_each(|bias| *bias = stream.normal());
            }
            network.set_precision(Precision::Bf16);
            let (first, second) = (nearest_of(&cells(&network, 0)), nearest_of(&cells(&network, 2)));
            let biases = [1, 3].map(|index| network.parameter(index).weights.values().to_vec());
            let (input, gradient) = (samples(INPUTS, &mut stream), samples(OUTPUTS, &mut stream));

            let rounded = network.with_rounded_weights(isa);
            let (mut buffers, mut gradients) = (rounded.buffers(SAMPLES, true), rounded.gradients());
            let pass = Pass::train(isa, 1, 1);
            rounded.forward(&pass, &input, &mut buffers);
            buffers.output_and_gradient().1.rows_mut().copy_from_slice(gradient.rows());
            let output = buffers.output().clone();
            rounded.backward(&pass, &input, &mut gradients, &mut buffers);

            let (mut of_first, mut of_second) = (vec![0.0; HIDDEN * INPUTS], vec![0.0; OUTPUTS * HIDDEN]);
            let mut of_bias = vec![0.0; HIDDEN];
            for sample in 0..SAMPLES {
                let x = nearest_of(&numbers(&input, sample));
                let sums = plus(&times(&first, &x), &biases[0]);
                let hidden = nearest_of(&sums.iter().map(|sum| sum.max(0.0)).collect::<Vec<_>>());
                check(&what, output.sample(sample), &plus(&times(&second, &hidden), &biases[1]));
                let g = nearest_of(&numbers(&gradient, sample));
                let mut back = nearest_of(&transposed_times(&second, &g));
                back.iter_mut().zip(&hidden).for_each(|(back, hidden)| *back *= f64::from(*hidden > 0.0));
                add_outer(&mut of_first, &back, &x);
                add_outer(&mut of_second, &g, &hidden);
                of_bias.iter_mut().zip(&back).for_each(|(sum, back)| *sum += back);
            }
            check(&what, gradients[1].values.iter().copied(), &of_bias);
            for (index, expected) in [(0, &of_first), (2, &of_second)] {
                for (cell, slot) in network.parameter(index).weights.connections() {
                    check(&what, [gradients[index].values[slot]], &expected[cell..=cell]);
                }
            }
        }
    }
}

#[test]
fn a_model_keeps_all_bits_of_its_weights() {
    let mut settings = Settings::default();
    (settings.train.epochs, settings.train.precision) = (1, Precision::Bf16);
    let splits = rarefy::data::load(&settings.data, settings.seed).unwrap();
    let test = splits.test.clone().unwrap();
    let model = Trainer::new(settings, splits).unwrap().train(&mut |_| Control::Continue).unwrap().model;
    let bytes = model.to_bytes();
    let scores = [model.evaluate(&test).0, model.evaluate(&test).0];
    assert!(model.to_bytes() == bytes && scores[0] == scores[1]);
    assert!(model.network().weights().all(|(_, weight)| {
        weight.weights.values().iter().any(|value| value.to_bits().trailing_zeros() < 16)
    }));
    assert!(Model::from_bytes(&bytes).unwrap().evaluate(&test).0 == scores[0]);
}

#[test]
fn first_predictions_may_come_all_at_once_in_one_pool() {
    let mut settings = Settings::default();
    (settings.train.epochs, settings.train.precision) = (1, Precision::Bf16);
    // So many weights that threads share the rounding.
    settings.network.hidden = vec![1000, 1000];
    let splits = rarefy::data::load(&settings.data, settings.seed).unwrap();
    let test = splits.test.clone().unwrap();
    let model = Trainer::new(settings, splits).unwrap().train(&mut |_| Control::Continue).unwrap().model;
    let expected = Model::from_bytes(&model.to_bytes()).unwrap().evaluate(&test).0;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    pool.scope(|scope| (0..4).for_each(|_| scope.spawn(|_| assert!(model.evaluate(&test).0 == expected))));
}
