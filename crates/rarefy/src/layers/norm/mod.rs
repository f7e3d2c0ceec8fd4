//! Norms: numbers shifted and scaled to mean 0 and variance 1, then by learned numbers of each channel.
//!
//! ```text
//! y = (x - mean) / sqrt(variance + 1e-5) * scale[channel] + shift[channel]
//!
//! batch   mean and variance of a channel, over all positions and samples of the batch
//! layer   of one position of one sample, over its channels
//! rms     of one position of one sample, over its channels, the mean taken as 0 and no shift
//! group   of one sample and group of channels, over these and all positions
//! ```
//! Steps beyond a sample's length are not counted in mean and variance, wherever these are over positions.

mod batch;
mod group;
mod layer;
mod rms;

pub(super) use batch::MOMENTUM;
pub use batch::{BatchNorm, BatchNormSpec};
pub use group::{GroupNorm, GroupNormSpec};
pub use layer::{LayerNorm, LayerNormSpec};
pub use rms::RmsNormSpec;

use std::ops::Range;

use crate::kernels::{join_in_tree, par_chunk_pairs};
use crate::tiles::{LANES, Row, Tiles};

/// Added to variances, so that constants do not divide by 0.
const EPSILON: f32 = 1e-5;

/// Rows of 64 samples in a piece of work: 128 kB, which stay in the L2 cache while they are read twice.
const ROWS: usize = 512;

/// How tiles are cut into pieces, each some positions long, all of their channels.
#[derive(Debug, Clone, Copy)]
struct Pieces {
    channels: usize,
    tiles: usize,
    /// Positions of a tile.
    positions: usize,
    /// Positions of a piece; the last of a tile may have fewer.
    length: usize,
}

impl Pieces {
    fn new(tiles: &Tiles, channels: usize) -> Pieces {
        let positions = tiles.features() / channels;
        Pieces { channels, tiles: tiles.tiles(), positions, length: (ROWS / channels).max(1) }
    }

    /// Rows that work on one row at a time takes at once.
    fn rows(self) -> usize {
        self.length * self.channels
    }

    /// Pieces of a tile.
    fn count(self) -> usize {
        self.positions.div_ceil(self.length)
    }

    /// Room for `N` numbers of each channel in each piece.
    fn parts<const N: usize>(self, numbers: &mut Vec<f32>) -> &mut [[f32; N]] {
        numbers.resize(N * self.channels * self.count() * self.tiles, 0.0);
        numbers.as_chunks_mut().0
    }

    /// Runs `work(positions, rows of these, parts of the piece)` on each piece, in parallel; positions are counted over all tiles.
    /// `rows`, of all tiles, may be empty.
    fn each<const N: usize>(
        self,
        rows: &mut [Row],
        parts: &mut [[f32; N]],
        work: &(impl Fn(Range<usize>, &mut [Row], &mut [[f32; N]]) + Sync),
    ) {
        let Pieces { channels, positions, length, .. } = self;
        let of_tile = (positions * channels, self.count() * channels);
        par_chunk_pairs(rows, parts, of_tile, &|tile, rows: &mut [Row], parts: &mut [[f32; N]]| {
            par_chunk_pairs(rows, parts, (length * channels, channels), &|piece, rows: &mut [Row], parts| {
                let of_tile = piece * length..((piece + 1) * length).min(positions);
                work(tile * positions + of_tile.start..tile * positions + of_tile.end, rows, parts);
            });
        });
    }

    /// The numbers of a channel in all pieces, joined in a tree of each tile's pieces and then of tiles: so shares of a batch that
    /// are whole tiles join to the same bits.
    ///
    /// # Panics
    /// If there is no tile.
    fn join<const N: usize>(
        self,
        parts: &[[f32; N]],
        channel: usize,
        join: impl Fn([f32; N], [f32; N]) -> [f32; N],
    ) -> [f32; N] {
        let of_piece = |piece: usize| parts[piece * self.channels + channel];
        let of_tile =
            |tile: usize| join_in_tree(tile * self.count()..(tile + 1) * self.count(), &of_piece, &join);
        join_in_tree(0..self.tiles, &of_tile, &join)
    }

    /// The numbers of a channel in all pieces, added in the same tree: zeros for no tiles.
    fn sum<const N: usize>(self, parts: &[[f32; N]], channel: usize) -> [f32; N] {
        if self.tiles == 0 {
            return [0.0; N];
        }
        self.join(parts, channel, |a, b| std::array::from_fn(|index| a[index] + b[index]))
    }
}

/// The numbers of a row whose step is real; 0 for the others.
#[inline(always)]
fn real(row: &[f32; LANES], step: usize, steps: &[u32; LANES]) -> [f32; LANES] {
    let step = step as u32;
    let mut out = [0.0; LANES];
    for lane in 0..LANES {
        out[lane] = if step < steps[lane] { row[lane] } else { 0.0 };
    }
    out
}

#[cfg(test)]
mod tests {
    use crate::kernels::Isa;
    use crate::layers::{LayerSpec, Network, NetworkSpec, Pass, SparsitySettings};
    use crate::tiles::{Shape, Tiles};

    const TRAINING: Pass = Pass::train(Isa::SCALAR, 1, 1);

    fn network(layer: &str, inputs: Shape) -> Network {
        let spec = NetworkSpec { inputs, layers: vec![toml::from_str::<LayerSpec>(layer).unwrap()] };
        Network::random(&spec, &SparsitySettings::dense(), 0).unwrap()
    }

    fn tiles(samples: &[Vec<f32>]) -> Tiles {
        let mut tiles = Tiles::zeros(samples[0].len(), samples.len());
        samples.iter().enumerate().for_each(|(index, values)| tiles.set_sample(index, values));
        tiles
    }

    fn outputs(network: &Network, pass: &Pass, input: &Tiles) -> Vec<Vec<f32>> {
        let mut buffers = network.buffers(input.samples(), true);
        network.forward(pass, input, &mut buffers);
        (0..input.samples()).map(|sample| buffers.output().sample(sample)).collect()
    }

    fn assert_near(found: &[f32], expected: &[f32], tolerance: f32, what: &str) {
        for (at, (a, b)) in found.iter().zip(expected).enumerate() {
            assert!((a - b).abs() < tolerance, "{what}, number {at}: {a}, not {b}");
        }
    }

    /// Two samples of two positions with two channels each.
    #[test]
    fn each_norm_is_over_what_it_says() {
        let samples = [vec![1.0, 10.0, 3.0, 30.0], vec![5.0, -10.0, 7.0, 10.0]];
        // Channel 0 is 1 3 5 7: mean 4, variance 5. Channel 1 is 10 30 -10 10: mean 10, variance 200.
        let (a, b) = (5f32.sqrt(), 200f32.sqrt());
        #[rustfmt::skip]
        let table = [
            ("layer = 'batch-norm'", [-3.0 / a, 0.0, -1.0 / a, 20.0 / b]),
            ("layer = 'batch-norm'\nactivation = 'relu'", [0.0, 0.0, 0.0, 20.0 / b]),
            ("layer = 'layer-norm'", [-1.0, 1.0, -1.0, 1.0]),
            ("layer = 'rms-norm'", [1.0 / 50.5f32.sqrt(), 10.0 / 50.5f32.sqrt(), 3.0 / 454.5f32.sqrt(), 30.0 / 454.5f32.sqrt()]),
            // All four numbers: mean 11, variance 131.5.
            ("layer = 'group-norm'\ngroups = 1", [-10.0, -1.0, -8.0, 19.0].map(|it| it / 131.5f32.sqrt())),
            ("layer = 'group-norm'\ngroups = 2", [-1.0, -1.0, 1.0, 1.0]),
        ];
        for (layer, expected) in table {
            let network = network(layer, Shape::sequence(2, 2));
            assert_near(&outputs(&network, &TRAINING, &tiles(&samples))[0], &expected, 1e-4, layer);
        }
    }

    #[test]
    fn steps_beyond_a_sample_s_length_count_nowhere() {
        for layer in ["layer = 'batch-norm'", "layer = 'group-norm'\ngroups = 1"] {
            let network = network(layer, Shape::sequence(3, 1));
            let found = [7.0, -1e6].map(|padding| {
                let mut input = tiles(&[vec![1.0, 5.0, padding], vec![3.0, padding, padding]]);
                input.set_lengths([2, 1].into_iter());
                let outputs = outputs(&network, &TRAINING, &input);
                vec![outputs[0][0], outputs[0][1], outputs[1][0]]
            });
            assert_eq!(found[0], found[1], "{layer}");
        }
    }

    #[test]
    fn a_large_mean_does_not_drown_a_small_deviation() {
        for layer in ["batch-norm'", "layer-norm'", "group-norm'\ngroups = 1"] {
            // Multiples of 1/16 near 10,000 are exact numbers; a mean is so to 1/2000, which is 0.002 deviations.
            let (channels, samples) = if layer.starts_with("batch") { (1, 700) } else { (700, 1) };
            let network = network(&format!("layer = '{layer}"), Shape::flat(channels));
            let values: Vec<f32> = (0..700).map(|index| (index * 7 % 16) as f32 / 16.0).collect();
            let mean = values.iter().sum::<f32>() / 700.0;
            let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / 700.0;
            let expected: Vec<f32> =
                values.iter().map(|value| (value - mean) / (variance + 1e-5).sqrt()).collect();
            let moved: Vec<f32> = values.iter().map(|value| value + 10_000.0).collect();
            let input: Vec<Vec<f32>> = moved.chunks(channels).map(<[f32]>::to_vec).collect();
            assert_eq!(input.len(), samples);
            assert_near(&outputs(&network, &TRAINING, &tiles(&input)).concat(), &expected, 4e-3, layer);
        }
    }

    #[test]
    fn batch_norm_predicts_by_running_averages() {
        let mut network = network("layer = 'batch-norm'", Shape::flat(1));
        // Mean 4 and, of a larger population, variance 20 / 3.
        let input = tiles(&[vec![1.0], vec![3.0], vec![5.0], vec![7.0]]);
        let mut buffers = network.buffers(4, true);
        for _ in 0..2 {
            network.forward(&TRAINING, &input, &mut buffers);
            let mut statistics = Vec::new();
            network.batch_statistics(&buffers, &mut statistics);
            network.move_averages(&statistics);
        }
        let statistics = network.parameters().filter(|parameter| !parameter.is_trained());
        let statistics: Vec<f32> = statistics.map(|parameter| parameter.weights.values()[0]).collect();
        let (mean, variance) = (0.4 + 0.9 * 0.4, 20.0 / 3.0 * 0.19 + 0.81);
        assert_near(&statistics, &[mean, variance], 1e-4, "running averages");
        let predicted = outputs(&network, &Pass::predict(Isa::SCALAR), &input);
        assert_near(&predicted[3], &[(7.0 - mean) / variance.sqrt()], 1e-4, "prediction");
    }
}
