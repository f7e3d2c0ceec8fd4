//! Every instruction set and both storages compute what the formulas say, on awkward shapes; and the same bits for any
//! number of threads and for a sample alone or in a batch.

use rarefy::kernels::{self, Activation, Finish, Isa};
use rarefy::random::{Purpose, Stream};
use rarefy::sparse::{Init, Pattern, Storage, Weights};
use rarefy::tiles::Tiles;

/// Rows, columns, nonzeros, samples.
const SHAPES: &[(usize, usize, usize, usize)] = &[
    (1, 1, 1, 1),
    (1, 1, 0, 5),
    (3, 5, 7, 64),
    (5, 3, 15, 65),
    (17, 33, 40, 130),
    (130, 70, 900, 63),
    (40, 300, 3000, 200),
    (2, 5000, 9000, 300),
    (300, 7, 100, 500),
];

struct Case {
    weights: Weights,
    dense: Weights,
    bias: Vec<f32>,
    input: Tiles,
    gradient: Tiles,
}

fn random_tiles(features: usize, samples: usize, stream: &mut Stream) -> Tiles {
    let mut tiles = Tiles::zeros(features, samples);
    for sample in 0..samples {
        let values: Vec<f32> = (0..features).map(|_| stream.normal()).collect();
        tiles.set_sample(sample, &values);
    }
    tiles
}

fn case(&(rows, cols, nnz, samples): &(usize, usize, usize, usize)) -> Case {
    let mut stream = Stream::new(7, Purpose::Bench, rows as u64, cols as u64);
    let mut weights = Weights::zeros(Pattern::random(rows, cols, nnz, &mut stream), Storage::Sparse);
    Init::Glorot.fill(&mut weights, &mut stream);
    let mut dense = Weights::dense(rows, cols);
    for (cell, slot) in weights.connections() {
        dense.values_mut()[cell] = weights.values()[slot];
    }
    Case {
        bias: (0..rows).map(|_| stream.normal()).collect(),
        input: random_tiles(cols, samples, &mut stream),
        gradient: random_tiles(rows, samples, &mut stream),
        weights,
        dense,
    }
}

/// Output, gradient of the input, gradient of the weights, gradient of the bias.
struct Results {
    output: Tiles,
    gradient_input: Tiles,
    gradient_weights: Vec<f32>,
    gradient_bias: Vec<f32>,
}

fn compute(isa: Isa, weights: &Weights, case: &Case) -> Results {
    let mut weights = weights.clone();
    let mut scratch = Vec::new();
    let samples = case.input.samples();
    let mut results = Results {
        output: Tiles::zeros(weights.rows(), samples),
        gradient_input: Tiles::zeros(weights.cols(), samples),
        gradient_weights: vec![f32::NAN; weights.values().len()],
        gradient_bias: vec![f32::NAN; weights.rows()],
    };
    let finish = Finish::Activate { bias: &case.bias, activation: Activation::Tanh };
    kernels::multiply(isa, &weights, &case.input, &mut results.output, finish);
    let gate = Finish::Gate { activation: Activation::Relu, outputs: case.input.rows() };
    let (gradient_input, room) = (&mut results.gradient_input, &mut scratch);
    kernels::multiply_transposed(isa, &mut weights, &case.gradient, gradient_input, gate, room);
    kernels::weight_gradient(
        isa,
        &weights,
        &case.gradient,
        &case.input,
        &mut results.gradient_weights,
        &mut scratch,
    );
    kernels::bias_gradient(isa, &case.gradient, &mut results.gradient_bias);
    results
}

/// The formulas in `f64`, on dense arrays.
fn reference(case: &Case) -> (Vec<f64>, Vec<f64>, Vec<f64>, Vec<f64>) {
    let (rows, cols, samples) = (case.dense.rows(), case.dense.cols(), case.input.samples());
    let weight = |row: usize, col: usize| f64::from(case.dense.values()[row * cols + col]);
    let input = |sample, col| f64::from(case.input.at(sample, col));
    let gradient = |sample, row| f64::from(case.gradient.at(sample, row));
    let mut results = (vec![], vec![], vec![0.0; rows * cols], vec![0.0; rows]);
    for sample in 0..samples {
        for row in 0..rows {
            let sum: f64 = (0..cols).map(|col| weight(row, col) * input(sample, col)).sum();
            results.0.push((sum + f64::from(case.bias[row])).tanh());
            results.3[row] += gradient(sample, row);
        }
        for col in 0..cols {
            let sum: f64 = (0..rows).map(|row| weight(row, col) * gradient(sample, row)).sum();
            results.1.push(if input(sample, col) > 0.0 { sum } else { 0.0 });
            for row in 0..rows {
                results.2[row * cols + col] += gradient(sample, row) * input(sample, col);
            }
        }
    }
    results
}

fn assert_close(what: &str, got: impl IntoIterator<Item = f32>, expected: &[f64], magnitude: f64) {
    let got: Vec<f32> = got.into_iter().collect();
    assert_eq!(got.len(), expected.len(), "{what}");
    for (index, (got, expected)) in got.iter().zip(expected).enumerate() {
        let tolerance = 1e-5 * (magnitude + expected.abs());
        assert!((f64::from(*got) - expected).abs() <= tolerance, "{what} {index}: {got} {expected}");
    }
}

fn samples_of(tiles: &Tiles) -> Vec<f32> {
    (0..tiles.samples()).flat_map(|sample| tiles.sample(sample)).collect()
}

#[test]
fn every_instruction_set_and_storage_agrees_with_the_formulas() {
    for shape in SHAPES {
        let case = case(shape);
        let (output, gradient_input, gradient_weights, gradient_bias) = reference(&case);
        let sampled: Vec<f64> = case.weights.connections().map(|(cell, _)| gradient_weights[cell]).collect();
        let samples = shape.3 as f64;
        for isa in Isa::available() {
            for (storage, weights, expected) in
                [("sparse", &case.weights, &sampled), ("dense", &case.dense, &gradient_weights)]
            {
                let what = |part: &str| format!("{isa} {storage} {shape:?} {part}");
                let got = compute(isa, weights, &case);
                assert_close(&what("output"), samples_of(&got.output), &output, 1.0);
                let magnitude = (shape.2 as f64 / shape.1 as f64).sqrt() + 1.0;
                assert_close(
                    &what("input gradient"),
                    samples_of(&got.gradient_input),
                    &gradient_input,
                    magnitude,
                );
                assert_close(&what("weight gradient"), got.gradient_weights, expected, samples.sqrt() + 1.0);
                assert_close(&what("bias gradient"), got.gradient_bias, &gradient_bias, samples.sqrt() + 1.0);
            }
        }
        let mut rows = vec![f32::NAN; case.dense.values().len()];
        let product = kernels::Product::new(&case.input, &case.gradient);
        product.row_gradients(Isa::SCALAR, (shape.0, shape.1), 0..shape.0, &mut rows, &mut Vec::new());
        assert_close("growth scores", rows, &gradient_weights, samples.sqrt() + 1.0);
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    for shape in SHAPES {
        let case = case(shape);
        for isa in Isa::available() {
            for weights in [&case.weights, &case.dense] {
                let run = |threads| {
                    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                    let results = pool.install(|| compute(isa, weights, &case));
                    [
                        bits(&samples_of(&results.output)),
                        bits(&samples_of(&results.gradient_input)),
                        bits(&results.gradient_weights),
                        bits(&results.gradient_bias),
                    ]
                };
                let one = run(1);
                assert!([2, 3, 7].into_iter().all(|threads| run(threads) == one), "{isa} {shape:?}");
            }
        }
    }
}

#[test]
fn a_sample_does_not_depend_on_its_batch() {
    for shape in SHAPES {
        let case = case(shape);
        for isa in Isa::available() {
            for weights in [&case.weights, &case.dense] {
                let together = compute(isa, weights, &case).output;
                for sample in (0..shape.3).step_by(37) {
                    let mut alone = Tiles::zeros(shape.1, 1);
                    alone.set_sample(0, &case.input.sample(sample));
                    let mut output = Tiles::zeros(shape.0, 1);
                    let finish = Finish::Activate { bias: &case.bias, activation: Activation::Tanh };
                    kernels::multiply(isa, weights, &alone, &mut output, finish);
                    assert_eq!(
                        bits(&output.sample(0)),
                        bits(&together.sample(sample)),
                        "{isa} {shape:?} {sample}"
                    );
                }
            }
        }
    }
}
