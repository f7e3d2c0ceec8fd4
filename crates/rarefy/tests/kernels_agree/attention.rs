//! Attention and its gradients, with and without an end for each sample, a look ahead, and turned positions.

use proptest::prelude::*;
use rarefy::kernels::{Heads, Isa, attend, attend_backward};
use rarefy::tiles::Tiles;

use crate::random_shapes;
use crate::support::{random_tiles, stream};

/// `[step][channel]` of one head of one sample.
type Matrix = Vec<Vec<f64>>;

#[derive(Debug, Clone, Copy)]
struct Shape {
    steps: usize,
    heads: usize,
    size: usize,
    is_causal: bool,
    is_rotary: bool,
    has_lengths: bool,
    samples: usize,
}

/// Each pair of channels turned by its angle (Su et al. 2021, eq. 34), or back.
fn turned(matrix: &Matrix, direction: f64) -> Matrix {
    let size = matrix.first().map_or(0, Vec::len);
    let turn = |(step, row): (usize, &Vec<f64>)| {
        let mut row = row.clone();
        for pair in 0..size / 2 {
            let angle = step as f64 * 10_000f64.powf(-2.0 * pair as f64 / size as f64);
            let (x, y) = (row[2 * pair], row[2 * pair + 1]);
            row[2 * pair] = x * angle.cos() - direction * y * angle.sin();
            row[2 * pair + 1] = direction * x * angle.sin() + y * angle.cos();
        }
        row
    };
    matrix.iter().enumerate().map(turn).collect()
}

/// Attention of one head of one sample: outputs and, given their gradients, those of queries, keys and values.
fn by_the_formulas([q, k, v, g]: &[Matrix; 4], sees: impl Fn(usize, usize) -> bool) -> [Matrix; 4] {
    let (steps, size) = (q.len(), q[0].len());
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let scale = 1.0 / (size as f64).sqrt();
    let mut results = [(); 4].map(|()| vec![vec![0.0; size]; steps]);
    for i in 0..steps {
        let power = |j: usize| if sees(i, j) { (scale * dot(&q[i], &k[j])).exp() } else { 0.0 };
        let sum: f64 = (0..steps).map(power).sum();
        let p: Vec<f64> = (0..steps).map(|j| power(j) / sum).collect();
        let dp: Vec<f64> = (0..steps).map(|j| dot(&g[i], &v[j])).collect();
        let taken = dot(&p, &dp);
        for j in 0..steps {
            let ds = p[j] * (dp[j] - taken) * scale;
            for c in 0..size {
                results[0][i][c] += p[j] * v[j][c];
                results[1][i][c] += ds * k[j][c];
                results[2][j][c] += ds * q[i][c];
                results[3][j][c] += p[j] * g[i][c];
            }
        }
    }
    results
}

fn check(shape: Shape) {
    let Shape { steps, heads, size, is_causal, is_rotary, has_lengths, samples } = shape;
    let features = steps * heads * size;
    let mut stream = stream(steps, heads * size);
    let inputs = [(); 4].map(|()| random_tiles(features, samples, &mut stream));
    let lengths: Vec<u32> =
        (0..if has_lengths { samples } else { 0 }).map(|sample| 1 + (sample % steps) as u32).collect();
    for isa in Isa::available() {
        let kernel = Heads::new(steps, heads, size, is_causal, is_rotary);
        let mut work = Tiles::zeros(kernel.work_features(true), samples);
        let mut results = [(); 4].map(|()| Tiles::zeros(features, samples));
        let [q, k, v, g] = &inputs;
        let [output, dq, dk, dv] = &mut results;
        attend(isa, &kernel, [q, k, v], &lengths, output, &mut work);
        attend_backward(isa, &kernel, g, &lengths, [dq, dk, dv], &mut work);
        for (sample, head) in (0..samples).flat_map(|sample| (0..heads).map(move |head| (sample, head))) {
            let matrix = |tiles: &Tiles| -> Matrix {
                let at = |step: usize, channel: usize| (step * heads + head) * size + channel;
                let of = |step, channel| f64::from(tiles.at(sample, at(step, channel)));
                (0..steps).map(|step| (0..size).map(|channel| of(step, channel)).collect()).collect()
            };
            let mut known = inputs.each_ref().map(matrix);
            if is_rotary {
                known[..2].iter_mut().for_each(|matrix| *matrix = turned(matrix, 1.0));
            }
            let length = lengths.get(sample).map_or(steps, |&length| length as usize);
            let mut expected = by_the_formulas(&known, |i, j| j < length && (j <= i || !is_causal));
            if is_rotary {
                expected[1..3].iter_mut().for_each(|matrix| *matrix = turned(matrix, -1.0));
            }
            for (expected, got) in expected.iter().zip(&results) {
                for (expected, got) in expected.iter().flatten().zip(matrix(got).iter().flatten()) {
                    let near = (expected - got).abs() < 2e-4 * (1.0 + expected.abs());
                    assert!(near, "{isa}, {shape:?}, sample {sample}: {got} for {expected}");
                }
            }
        }
    }
}

#[test]
fn attention_is_its_formula_on_awkward_shapes() {
    for (steps, heads, size, samples) in
        [(1, 1, 1, 1), (4, 2, 2, 0), (5, 2, 3, 63), (33, 1, 8, 17), (18, 3, 6, 64), (2, 1, 4, 65)]
    {
        for (is_causal, has_lengths) in [(false, false), (true, false), (false, true), (true, true)] {
            let is_rotary = size % 2 == 0;
            check(Shape { steps, heads, size, is_causal, is_rotary, has_lengths, samples });
        }
    }
}

proptest! {
    #![proptest_config(random_shapes(16))]

    #[test]
    fn attention_is_its_formula_on_random_shapes(
        (steps, heads, size) in (1..40_usize, 1..4_usize, 1..10_usize),
        (is_causal, is_rotary, has_lengths) in any::<(bool, bool, bool)>(),
        samples in 0..70_usize,
    ) {
        let is_rotary = is_rotary && size % 2 == 0;
        check(Shape { steps, heads, size, is_causal, is_rotary, has_lengths, samples });
    }
}
