//! Products of a linear map: spmm, its transpose, sddmm, the sums of biases, and all of these on dense storage and on row blocks.

use proptest::prelude::*;
use rarefy::kernels::{self, Activation, Epilogue, Isa, Product};
use rarefy::sparse::{BLOCK_HEIGHTS, Storage, Weights};
use rarefy::tiles::Tiles;

use crate::random_shapes;
use crate::support::{
    assert_close, bf16_isas, bits, cells, live, pattern_of, random_blocks, random_tiles, random_weights,
    round, round_tiles, sampled, samples_of, stream,
};

#[derive(Debug, Clone, Copy)]
struct Shape {
    rows: usize,
    cols: usize,
    nnz: usize,
    positions: usize,
    samples: usize,
    /// Rows that share their inputs: where it is above 1 weights are in row blocks.
    block: usize,
}

const fn shape(rows: usize, cols: usize, nnz: usize, positions: usize, samples: usize) -> Shape {
    Shape { rows, cols, nnz, positions, samples, block: 1 }
}

const SHAPES: &[Shape] = &[
    shape(1, 1, 1, 1, 1),
    shape(1, 1, 0, 1, 5),
    shape(0, 5, 0, 1, 3),
    shape(5, 0, 0, 2, 3),
    shape(0, 0, 0, 1, 3),
    shape(4, 5, 9, 3, 0),
    shape(3, 5, 7, 1, 64),
    shape(5, 3, 15, 1, 65),
    shape(9, 7, 20, 6, 31),
    shape(9, 7, 20, 5, 96),
    shape(17, 33, 40, 1, 130),
    shape(130, 70, 900, 1, 63),
    shape(40, 300, 3000, 1, 200),
    shape(2, 3000, 5000, 1, 150),
    shape(300, 7, 100, 1, 300),
];

/// Each of the shapes, its connections one by one and in blocks of any height; those have as many lines as there were rows, or enough.
fn shapes() -> impl Iterator<Item = Shape> {
    let in_blocks = |shape: Shape, block: usize| {
        let lines = if shape.rows > 20 { shape.rows.div_ceil(block) } else { shape.rows };
        Shape { block, rows: block * lines, nnz: block * shape.nnz.min(lines * shape.cols), ..shape }
    };
    let heights = || [1].into_iter().chain(BLOCK_HEIGHTS);
    SHAPES.iter().flat_map(move |&shape| heights().map(move |block| in_blocks(shape, block)))
}

struct Case {
    shape: Shape,
    /// Compressed, in dense storage with gaps, and in dense storage of all cells; or in blocks.
    weights: Vec<Weights>,
    bias: Vec<f32>,
    input: Tiles,
    gradient: Tiles,
}

fn case(shape: Shape) -> Case {
    let Shape { rows, cols, nnz, positions, samples, block } = shape;
    let mut stream = stream(rows, cols);
    let weights = if block == 1 {
        let sparse = random_weights(rows, cols, nnz, &mut stream);
        let (gaps, _) = sparse.rewire(sparse.pattern().expect("compressed weights").clone(), Storage::Dense);
        let mut dense = Weights::dense(rows, cols);
        dense.set_live_values(cells(&sparse).into_iter().map(|value| value as f32).collect());
        vec![sparse, gaps, dense]
    } else {
        vec![random_blocks(rows, cols, nnz, block, &mut stream)]
    };
    Case {
        shape,
        weights,
        bias: (0..rows).map(|_| stream.normal()).collect(),
        input: random_tiles(positions * cols, samples, &mut stream),
        gradient: random_tiles(positions * rows, samples, &mut stream),
    }
}

impl Case {
    /// Of numbers that bf16 has.
    fn rounded(mut self) -> Case {
        self.weights.iter_mut().for_each(|weights| round(weights.values_mut()));
        round_tiles(&mut self.input);
        round_tiles(&mut self.gradient);
        self
    }
}

/// Cases, and the instruction sets that compute them.
fn cases(shape: Shape) -> [(Case, Vec<Isa>); 2] {
    [(case(shape), Isa::available()), (case(shape).rounded(), bf16_isas())]
}

struct Results {
    output: Tiles,
    gradient_input: Tiles,
    gradient_weights: Vec<f32>,
    gradient_bias: Vec<f32>,
}

fn compute(isa: Isa, weights: &Weights, case: &Case) -> Results {
    let mut scratch = Vec::new();
    // Copies: tiles keep what a product has made of their rows.
    let (input, gradient) = (&case.input.clone(), &case.gradient.clone());
    let samples = input.samples();
    let mut results = Results {
        output: Tiles::zeros(case.gradient.features(), samples),
        gradient_input: Tiles::zeros(case.input.features(), samples),
        gradient_weights: vec![f32::NAN; weights.values().len()],
        gradient_bias: vec![f32::NAN; weights.rows()],
    };
    let epilogue = Epilogue::Activate { bias: &case.bias, activation: Activation::Tanh };
    kernels::multiply(isa, weights, input, &mut results.output, epilogue);
    let gate = Epilogue::Gate { activation: Activation::Relu, outputs: input.rows() };
    let (gradient_input, room) = (&mut results.gradient_input, &mut scratch);
    kernels::multiply_transposed(isa, weights, gradient, gradient_input, gate, room);
    kernels::weight_gradient(isa, weights, gradient, input, &mut results.gradient_weights, &mut scratch);
    kernels::bias_gradient(isa, gradient, &mut results.gradient_bias);
    results
}

/// Outputs, gradients of the inputs, of all cells and of the biases.
struct Formulas {
    output: Vec<f64>,
    gradient_input: Vec<f64>,
    gradient_cells: Vec<f64>,
    gradient_bias: Vec<f64>,
}

impl Formulas {
    fn of(case: &Case) -> Formulas {
        let Shape { rows, cols, positions, samples, .. } = case.shape;
        let weights = cells(&case.weights[0]);
        let mut results = Formulas {
            output: vec![],
            gradient_input: vec![],
            gradient_cells: vec![0.0; rows * cols],
            gradient_bias: vec![0.0; rows],
        };
        for (sample, position) in
            (0..samples).flat_map(|sample| (0..positions).map(move |position| (sample, position)))
        {
            let x = |col: usize| f64::from(case.input.at(sample, position * cols + col));
            let g = |row: usize| f64::from(case.gradient.at(sample, position * rows + row));
            for row in 0..rows {
                let sum: f64 = (0..cols).map(|col| weights[row * cols + col] * x(col)).sum();
                results.output.push((sum + f64::from(case.bias[row])).tanh());
                results.gradient_bias[row] += g(row);
            }
            for col in 0..cols {
                let sum: f64 = (0..rows).map(|row| weights[row * cols + col] * g(row)).sum();
                results.gradient_input.push(if x(col) > 0.0 { sum } else { 0.0 });
                for row in 0..rows {
                    results.gradient_cells[row * cols + col] += g(row) * x(col);
                }
            }
        }
        results
    }
}

fn check(shape: Shape) {
    cases(shape)
        .into_iter()
        .filter(|(_, isas)| !isas.is_empty())
        .for_each(|(case, isas)| check_case(case, &isas));
}

fn check_case(case: Case, isas: &[Isa]) {
    let shape = case.shape;
    let expected = Formulas::of(&case);
    let summed = ((shape.samples * shape.positions) as f64).sqrt() + 1.0;
    let connected = (shape.nnz as f64 / shape.cols.max(1) as f64).sqrt() + 1.0;
    for &isa in isas {
        for weights in &case.weights {
            let storage = weights.storage_name();
            let what = |part: &str| format!("{isa} {storage} {shape:?} {part}");
            let got = compute(isa, weights, &case);
            assert_close(&what("output"), samples_of(&got.output), &expected.output, 1.0);
            let gradient_input = samples_of(&got.gradient_input);
            assert_close(&what("input gradient"), gradient_input, &expected.gradient_input, connected);
            let gradient = live(weights, &got.gradient_weights);
            let of_live = sampled(weights, &expected.gradient_cells);
            assert_close(&what("weight gradient"), gradient, &of_live, summed);
            assert_close(&what("bias gradient"), got.gradient_bias, &expected.gradient_bias, summed);
            let mut absent = got.gradient_weights;
            weights.connections().for_each(|(_, slot)| absent[slot] = 0.0);
            assert!(absent.iter().all(|&gradient| gradient == 0.0), "{}", what("absent connections"));
        }
        let product = Product::new(&case.input, &case.gradient);
        let mut rows = vec![f32::NAN; shape.rows * shape.cols];
        product.row_gradients(isa, (shape.rows, shape.cols), 0..shape.rows, &mut rows, &mut Vec::new());
        assert_close(&format!("{isa} {shape:?} rows"), rows, &expected.gradient_cells, summed);
        let pattern = pattern_of(&case.weights[0]);
        let mut of_cells = vec![f32::NAN; pattern.nnz()];
        product.cell_gradients(isa, &pattern, &mut of_cells);
        let of_live = sampled(&case.weights[0], &expected.gradient_cells);
        assert_close(&format!("{isa} {shape:?} cells"), of_cells, &of_live, summed);
    }
}

#[test]
fn products_are_their_formulas_on_awkward_shapes() {
    shapes().for_each(check);
}

proptest! {
    #![proptest_config(random_shapes(24))]

    #[test]
    fn products_are_their_formulas_on_random_shapes(
        lines in 0..40_usize,
        cols in 0..40_usize,
        share in 0.0..1.0_f64,
        positions in 1..7_usize,
        samples in 0..140_usize,
        block in 0..5_u32,
    ) {
        let block = 1 << block;
        let rows = block * lines.min(40 / block);
        let nnz = (share * (rows * cols) as f64) as usize;
        check(Shape { rows, cols, nnz, positions, samples, block });
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    for (case, isas) in shapes().flat_map(cases) {
        let shape = case.shape;
        for isa in isas {
            for weights in &case.weights {
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
    for (case, isas) in shapes().flat_map(cases) {
        let shape = case.shape;
        for isa in isas {
            for weights in &case.weights {
                let together = compute(isa, weights, &case).output;
                for sample in (0..shape.samples).step_by(37) {
                    let mut alone = Tiles::zeros(case.input.features(), 1);
                    alone.set_sample(0, &case.input.sample(sample));
                    let mut output = Tiles::zeros(together.features(), 1);
                    let epilogue = Epilogue::Activate { bias: &case.bias, activation: Activation::Tanh };
                    kernels::multiply(isa, weights, &alone, &mut output, epilogue);
                    let (alone, together) = (bits(&output.sample(0)), bits(&together.sample(sample)));
                    assert_eq!(alone, together, "{isa} {shape:?} {sample}");
                }
            }
        }
    }
}
