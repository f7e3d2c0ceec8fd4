//! Products with an input of which only the nonzeros are kept, in every storage and order of slots.

use proptest::prelude::*;
use rarefy::kernels::{self, Activation, Epilogue, Isa, Product};
use rarefy::random::Stream;
use rarefy::sparse::{BLOCK_HEIGHTS, Order, Storage, Weights};
use rarefy::tiles::Tiles;

use crate::random_shapes;
use crate::support::{
    assert_close, cells, live, pattern_of, random_blocks, random_tiles, random_weights, sampled, samples_of,
    stream,
};

/// Rows, columns, nonzeros, samples.
const SHAPES: &[[usize; 4]] = &[
    [1, 1, 1, 1],
    [3, 5, 0, 2],
    [0, 5, 0, 3],
    [3, 5, 7, 0],
    [5, 40, 90, 63],
    [7, 300, 500, 64],
    [130, 300, 900, 65],
];

/// Sparse samples: features and numbers of each, some of which are stored zeros.
fn samples(cols: usize, samples: usize, stream: &mut Stream) -> Vec<(Vec<u32>, Vec<f32>)> {
    (0..samples)
        .map(|sample| {
            let features = stream.choose(cols, (sample % 7).min(cols));
            let values = features.iter().map(|&at| if at % 5 == 4 { 0.0 } else { stream.normal() }).collect();
            (features.into_iter().map(|feature| feature as u32).collect(), values)
        })
        .collect()
}

/// Where `block` is above 1 weights are in blocks of as many rows.
fn check([rows, cols, nnz, count]: [usize; 4], block: usize) {
    let mut stream = stream(rows, cols);
    let rows = rows.next_multiple_of(block);
    let sparse = match block {
        1 => random_weights(rows, cols, nnz, &mut stream),
        _ => random_blocks(rows, cols, nnz, block, &mut stream),
    };
    let bias: Vec<f32> = (0..rows).map(|_| stream.normal()).collect();
    let kept = samples(cols, count, &mut stream);
    let gradient = random_tiles(rows, count, &mut stream);
    let mut input = Tiles::sparse(cols);
    input.fill_columns(count, |sample| (&kept[sample].0, &kept[sample].1));
    let mut dense_input = Tiles::zeros(cols, count);
    for (sample, (features, values)) in kept.iter().enumerate() {
        let mut all = vec![0.0; cols];
        features.iter().zip(values).for_each(|(&feature, &value)| all[feature as usize] = value);
        dense_input.set_sample(sample, &all);
    }
    let weights = cells(&sparse);
    let x = |sample: usize, col: usize| f64::from(dense_input.at(sample, col));
    let output: Vec<f64> = (0..count)
        .flat_map(|sample| (0..rows).map(move |row| (sample, row)))
        .map(|(sample, row)| {
            let sum: f64 = (0..cols).map(|col| weights[row * cols + col] * x(sample, col)).sum();
            (sum + f64::from(bias[row])).max(0.0)
        })
        .collect();
    let of_cell = |cell: usize| -> f64 {
        (0..count).map(|sample| f64::from(gradient.at(sample, cell / cols)) * x(sample, cell % cols)).sum()
    };
    let gradient_cells: Vec<f64> = (0..rows * cols).map(of_cell).collect();
    let summed = (count as f64).sqrt() + 1.0;

    let gaps = sparse.stored_as(Storage::Dense);
    let mut dense = Weights::dense(rows, cols);
    dense.set_live_values(weights.iter().map(|&value| value as f32).collect());
    for (storage, order) in [0, 1, 2].into_iter().flat_map(|at| [(at, Order::Rows), (at, Order::Columns)]) {
        let mut weights = [&sparse, &gaps, &dense][storage].clone();
        weights.set_order(order);
        let what = format!(
            "storage {storage}, {order:?}, {rows} x {cols} by {block}, {nnz} nonzeros, {count} samples"
        );
        for isa in Isa::available() {
            // Slots in column order are for sparse inputs alone.
            let inputs = if order == Order::Rows { &[&input, &dense_input][..] } else { &[&input] };
            for input in inputs {
                let mut got = Tiles::zeros(rows, count);
                let epilogue = Epilogue::Activate { bias: &bias, activation: Activation::Relu };
                kernels::multiply(isa, &weights, input, &mut got, epilogue);
                assert_close(&format!("{isa} output, {what}"), samples_of(&got), &output, 2.0);
            }
        }
        let mut got = vec![0.0; weights.values().len()];
        let mut touched = Vec::new();
        for _ in 0..2 {
            kernels::sparse_input_gradient(&weights, &gradient, &input, &mut got, &mut touched);
            let of_live = sampled(&weights, &gradient_cells);
            assert_close(&format!("weight gradient, {what}"), live(&weights, &got), &of_live, summed);
        }
        touched.iter().for_each(|slots| got[slots.clone()].fill(0.0));
        assert!(got.iter().all(|&gradient| gradient == 0.0), "a gradient that is not touched, {what}");
    }
    let product = Product::new(&input, &gradient);
    let mut got = vec![f32::NAN; rows * cols];
    product.row_gradients(Isa::SCALAR, (rows, cols), 0..rows, &mut got, &mut Vec::new());
    assert_close("rows", got, &gradient_cells, summed);
    let mut got = vec![f32::NAN; sparse.nnz()];
    product.cell_gradients(Isa::SCALAR, &pattern_of(&sparse), &mut got);
    assert_close("cells", got, &sampled(&sparse, &gradient_cells), summed);
}

#[test]
fn products_of_sparse_inputs_are_their_formulas_on_awkward_shapes() {
    for block in [1].into_iter().chain(BLOCK_HEIGHTS) {
        SHAPES.iter().for_each(|&shape| check(shape, block));
    }
}

proptest! {
    #![proptest_config(random_shapes(24))]

    #[test]
    fn products_of_sparse_inputs_are_their_formulas_on_random_shapes(
        rows in 0..80_usize,
        cols in 1..60_usize,
        share in 0.0..1.0_f64,
        samples in 0..140_usize,
        block in 0..5_u32,
    ) {
        check([rows, cols, (share * (rows * cols) as f64) as usize, samples], 1 << block);
    }
}
