//! Rows that tokens name, and their gradients.

use proptest::prelude::*;
use rarefy::kernels::{self, Isa, Product, Tokens};
use rarefy::sparse::{Storage, Weights};
use rarefy::tiles::Tiles;

use crate::random_shapes;
use crate::support::{assert_close, cells, live, random_tiles, random_weights, sampled, samples_of, stream};

/// Vocabulary, channels, steps, samples.
const SHAPES: &[[usize; 4]] =
    &[[1, 1, 1, 1], [5, 3, 4, 0], [9, 1, 1, 63], [30, 7, 3, 64], [4, 5, 9, 65], [200, 3, 2, 130]];

fn check([vocabulary, channels, steps, samples]: [usize; 4], padding: Option<usize>) {
    let mut stream = stream(vocabulary, channels);
    let sparse = random_weights(vocabulary, channels, vocabulary * channels / 2, &mut stream);
    let mut input = Tiles::zeros(steps, samples);
    for sample in 0..samples {
        let ids: Vec<f32> = (0..steps).map(|step| ((sample * 7 + step * 3) % vocabulary) as f32).collect();
        input.set_sample(sample, &ids);
    }
    let tokens = Tokens { input: &input, padding };
    let gradient = random_tiles(steps * channels, samples, &mut stream);
    let weights = cells(&sparse);
    let (mut output, mut gradient_cells) = (Vec::new(), vec![0.0; weights.len()]);
    for (sample, step) in (0..samples).flat_map(|sample| (0..steps).map(move |step| (sample, step))) {
        let token = input.at(sample, step) as usize;
        for channel in 0..channels {
            let (cell, is_there) = (token * channels + channel, padding != Some(token));
            output.push(if is_there { weights[cell] } else { 0.0 });
            if is_there {
                gradient_cells[cell] += f64::from(gradient.at(sample, step * channels + channel));
            }
        }
    }
    let summed = ((samples * steps) as f64).sqrt() + 1.0;
    let (gaps, _) = sparse.rewire(sparse.pattern().unwrap().clone(), Storage::Dense);
    let mut dense = Weights::dense(vocabulary, channels);
    dense.set_live_values(weights.iter().map(|&value| value as f32).collect());
    for (storage, weights) in [&sparse, &gaps, &dense].into_iter().enumerate() {
        let what = format!("storage {storage}, {vocabulary} x {channels}, {steps} steps, {samples} samples");
        let mut got = Tiles::zeros(steps * channels, samples);
        kernels::look_up(weights, tokens, &mut got);
        assert_close(&format!("rows, {what}"), samples_of(&got), &output, 0.0);
        let mut got = vec![0.0; weights.values().len()];
        let (mut touched, mut order) = (Vec::new(), Vec::new());
        for _ in 0..2 {
            let out = &mut got;
            kernels::look_up_gradient(weights, &gradient, tokens, out, &mut touched, &mut order);
            let of_live = sampled(weights, &gradient_cells);
            assert_close(&format!("gradient, {what}"), live(weights, &got), &of_live, summed);
        }
        touched.iter().for_each(|slots| got[slots.clone()].fill(0.0));
        assert!(got.iter().all(|&gradient| gradient == 0.0), "a gradient that is not touched, {what}");
    }
    let product = Product::look_up(&input, &gradient, padding);
    let mut got = vec![f32::NAN; sparse.nnz()];
    product.cell_gradients(Isa::SCALAR, sparse.pattern().unwrap(), &mut got);
    assert_close("cells", got, &sampled(&sparse, &gradient_cells), summed);
}

#[test]
fn rows_of_tokens_are_their_formulas_on_awkward_shapes() {
    for &shape in SHAPES {
        check(shape, None);
        check(shape, Some(0));
    }
}

proptest! {
    #![proptest_config(random_shapes(24))]

    #[test]
    fn rows_of_tokens_are_their_formulas_on_random_shapes(
        vocabulary in 1..50_usize,
        channels in 1..20_usize,
        steps in 1..9_usize,
        samples in 0..140_usize,
    ) {
        check([vocabulary, channels, steps, samples], Some(vocabulary / 2));
    }
}
