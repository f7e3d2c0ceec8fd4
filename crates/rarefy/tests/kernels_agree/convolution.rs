//! Convolutions of compressed weights and of row blocks, in groups or not, and on dense storage: forward, gradient of the input, gradient of the weights.

use proptest::prelude::*;
use rarefy::kernels::{Activation, Convolution, Epilogue, Geometry, Isa, Product, Windows};
use rarefy::sparse::{BLOCK_HEIGHTS, Storage, Weights};
use rarefy::tiles::{Shape, Tiles};

use crate::random_shapes;
use crate::support::{
    assert_close, bf16_isas, cells, live, random_blocks, random_tiles, random_weights, round, round_tiles,
    sampled, samples_of, stream,
};

/// Height, width and channels, filters, kernel, stride, padding, dilation, groups.
type Sizes = ([usize; 3], usize, [usize; 2], [usize; 2], [usize; 2], [usize; 2], usize);

fn geometry(
    ([height, width, channels], filters, kernel, stride, padding, dilation, groups): Sizes,
) -> Geometry {
    let input = Shape { height, width, channels };
    Geometry { input, filters, kernel, stride, padding, dilation, groups }
}

const SHAPES: &[(Sizes, usize)] = &[
    (([1, 1, 1], 1, [1, 1], [1, 1], [0, 0], [1, 1], 1), 1),
    (([1, 5, 1], 1, [1, 3], [1, 2], [0, 1], [1, 1], 1), 65),
    (([4, 5, 3], 7, [3, 3], [1, 1], [1, 1], [1, 1], 1), 64),
    (([5, 4, 6], 9, [2, 3], [2, 1], [1, 2], [1, 2], 3), 63),
    (([3, 3, 8], 8, [3, 3], [1, 1], [1, 1], [1, 1], 8), 5),
    (([1, 9, 4], 5, [1, 9], [1, 1], [0, 8], [1, 1], 1), 33),
    (([7, 7, 2], 3, [6, 6], [1, 1], [3, 3], [1, 1], 1), 2),
    (([2, 2, 3], 4, [1, 1], [1, 1], [0, 0], [1, 1], 1), 0),
    (([4, 3, 2], 32, [3, 2], [1, 1], [1, 0], [1, 1], 2), 33),
    // Windows that span too many rows for all channels to go together.
    (([3, 64, 26], 8, [3, 3], [1, 1], [1, 1], [1, 1], 1), 2),
    (([4, 60, 54], 16, [3, 3], [2, 2], [1, 1], [1, 1], 2), 1),
];

/// Outputs, gradients of the inputs and of all cells.
struct Formulas {
    output: Vec<f64>,
    gradient_input: Vec<f64>,
    gradient_cells: Vec<f64>,
}

impl Formulas {
    fn of(geometry: Geometry, weights: &[f64], bias: &[f32], input: &Tiles, gradient: &Tiles) -> Formulas {
        let Geometry { input: Shape { height, width, channels }, filters, kernel, groups, .. } = geometry;
        let (output, cols) = (geometry.output().unwrap(), geometry.cols());
        let mut results = Formulas {
            output: vec![],
            gradient_input: vec![0.0; input.samples() * input.features()],
            gradient_cells: vec![0.0; weights.len()],
        };
        // The position that a window reads at an offset of the kernel.
        let read = |y: usize, x: usize, offset: usize| {
            let at = |axis: usize, window: usize, offset: usize, size: usize| {
                let at = window * geometry.stride[axis] + offset * geometry.dilation[axis];
                at.checked_sub(geometry.padding[axis]).filter(|&at| at < size)
            };
            let row = at(0, y, offset / kernel[1], height)?;
            Some(row * width + at(1, x, offset % kernel[1], width)?)
        };
        for sample in 0..input.samples() {
            for place in 0..output.positions() {
                for filter in 0..filters {
                    let g = f64::from(gradient.at(sample, place * filters + filter));
                    let mut sum = f64::from(bias[filter]);
                    for col in 0..cols {
                        let (channel, offset) = (col / geometry.offsets(), col % geometry.offsets());
                        let Some(at) = read(place / output.width, place % output.width, offset) else {
                            continue;
                        };
                        let first = filter / (filters / groups) * (channels / groups);
                        let feature = at * channels + first + channel;
                        let (w, x) = (weights[filter * cols + col], f64::from(input.at(sample, feature)));
                        sum += w * x;
                        results.gradient_input[sample * input.features() + feature] += w * g;
                        results.gradient_cells[filter * cols + col] += g * x;
                    }
                    results.output.push(sum.max(0.0));
                }
            }
        }
        results
    }
}

fn check(sizes: Sizes, share: f64, samples: usize) {
    check_on(&Isa::available(), false, sizes, share, samples);
    check_on(&bf16_isas(), true, sizes, share, samples);
}

fn check_on(isas: &[Isa], is_rounded: bool, sizes: Sizes, share: f64, samples: usize) {
    let geometry = geometry(sizes);
    let windows = Windows::new(geometry);
    let (rows, cols) = (geometry.filters, geometry.cols());
    let mut stream = stream(rows, cols);
    let nnz = (share * (rows * cols) as f64).ceil() as usize;
    let sparse = random_weights(rows, cols, nnz, &mut stream);
    let mut storages = vec![sparse.clone()];
    if geometry.groups == 1 {
        storages.push(sparse.rewire(sparse.pattern().unwrap().clone(), Storage::Dense).0);
        let mut dense = Weights::dense(rows, cols);
        dense.set_live_values(cells(&sparse).into_iter().map(|value| value as f32).collect());
        storages.push(dense);
    }
    let heights = BLOCK_HEIGHTS.into_iter().filter(|height| (rows / geometry.groups).is_multiple_of(*height));
    storages.extend(heights.map(|height| random_blocks(rows, cols, nnz, height, &mut stream)));
    let bias: Vec<f32> = (0..rows).map(|_| stream.normal()).collect();
    let mut input = random_tiles(geometry.input.features(), samples, &mut stream);
    let mut gradient = random_tiles(windows.output().features(), samples, &mut stream);
    if is_rounded {
        storages.iter_mut().for_each(|weights| round(weights.values_mut()));
        round_tiles(&mut input);
        round_tiles(&mut gradient);
    }
    let of = |weights: &Weights| Formulas::of(geometry, &cells(weights), &bias, &input, &gradient);
    let all: Vec<Formulas> = storages.iter().map(of).collect();
    let summed = ((samples * windows.output().positions()) as f64).sqrt() + 1.0;
    for &isa in isas {
        let convolution = Convolution::new(isa, &windows);
        for (weights, expected) in storages.iter().zip(&all) {
            let storage = weights.storage_name();
            let what = |part: &str| format!("{isa} {storage} {geometry:?} of {samples} samples: {part}");
            let mut output = Tiles::zeros(gradient.features(), samples);
            let epilogue = Epilogue::Activate { bias: &bias, activation: Activation::Relu };
            convolution.forward(weights, &input, &mut output, epilogue);
            assert_close(&what("output"), samples_of(&output), &expected.output, 2.0);
            let mut gradient_input = Tiles::zeros(input.features(), samples);
            let through = Epilogue::Gate { activation: Activation::Identity, outputs: &[] };
            let into = &mut gradient_input;
            convolution.transposed(weights, &gradient, into, through, &mut Vec::new());
            let got = samples_of(&gradient_input);
            assert_close(&what("input gradient"), got, &expected.gradient_input, 4.0);
            let mut got = vec![f32::NAN; weights.values().len()];
            let (out, scratch) = (&mut got, &mut Vec::new());
            convolution.weight_gradient(weights, &gradient, &input, out, scratch);
            let of_live = sampled(weights, &expected.gradient_cells);
            assert_close(&what("weight gradient"), live(weights, &got), &of_live, summed);
        }
        let product = Product::convolution(&input, &gradient, &windows);
        let mut got = vec![f32::NAN; rows * cols];
        product.row_gradients(isa, (rows, cols), 0..rows, &mut got, &mut Vec::new());
        assert_close(&format!("{isa} {geometry:?} rows"), got, &all[0].gradient_cells, summed);
        let mut got = vec![f32::NAN; sparse.nnz()];
        product.cell_gradients(isa, sparse.pattern().unwrap(), &mut got);
        let of_live = sampled(&sparse, &all[0].gradient_cells);
        assert_close(&format!("{isa} {geometry:?} cells"), got, &of_live, summed);
    }
}

#[test]
fn convolutions_are_their_formulas_on_awkward_shapes() {
    for &(sizes, samples) in SHAPES {
        check(sizes, 0.5, samples);
        check(sizes, 0.0, samples);
    }
}

proptest! {
    #![proptest_config(random_shapes(24))]

    #[test]
    fn convolutions_are_their_formulas_on_random_shapes(
        places in [1..6_usize, 1..6_usize],
        of_group in [1..5_usize, 1..5_usize],
        groups in 1..4_usize,
        kernel in [1..4_usize, 1..4_usize],
        stride in [1..3_usize, 1..3_usize],
        dilation in [1..3_usize, 1..3_usize],
        share in 0.0..1.0_f64,
        samples in 0..70_usize,
    ) {
        let padding = [0, 1].map(|axis| dilation[axis] * (kernel[axis] - 1) / 2 + 1);
        let input = [places[0], places[1], of_group[0] * groups];
        check((input, of_group[1] * groups, kernel, stride, padding, dilation, groups), share, samples);
    }
}
