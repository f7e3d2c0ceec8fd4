//! Samples as lists of numbers, as data sets and other programs keep them, turned into lanes and back.
//!
//! It goes by blocks of 16 samples and a run of features: each sample's run is copied to a block that stays in L1, one long
//! sequential read per sample, which the hardware prefetches (reading 16 features of each sample at a time took 54 us where this
//! takes 34), then the block is turned and written as whole cache lines. The way back is the same in reverse.

use std::ops::Range;

use rayon::prelude::*;

use super::{LANES, Row, Shape, Tiles};

/// Samples turned at a time: the floats of a cache line.
const LINE: usize = 16;
/// Features of a run: 16 samples x 256 features are 16 KiB.
const RUN: usize = 256;
/// Positions of a run where there are several channels, so that threads share a tile.
const POSITIONS: usize = 64;
/// Numbers below which handing work to other threads costs more than it saves.
const ALONE: usize = 1 << 14;

/// A number of a sample, as tiles hold it. The id of a token is exact: there are at most 2^24.
pub(crate) trait Number: Copy + Sync {
    fn to_f32(self) -> f32;
}

impl Number for f32 {
    fn to_f32(self) -> f32 {
        self
    }
}

impl Number for u32 {
    fn to_f32(self) -> f32 {
        self as f32
    }
}

/// How a sample lies in an array: channel by channel, all positions of one together, as torch has it.
#[derive(Clone, Copy)]
struct ChannelsFirst {
    channels: usize,
    positions: usize,
}

impl ChannelsFirst {
    /// Features at no position in particular are one channel at as many positions: these lie in both orders alike.
    fn new(shape: Shape) -> ChannelsFirst {
        match shape.positions() {
            1 => ChannelsFirst { channels: 1, positions: shape.channels },
            positions => ChannelsFirst { channels: shape.channels, positions },
        }
    }

    fn features(self) -> usize {
        self.channels * self.positions
    }

    /// Positions of a run.
    fn run(self) -> usize {
        if self.channels == 1 { RUN } else { POSITIONS }
    }
}

impl Tiles {
    /// Takes samples that lie one after the other in `array`, each channel by channel (`[channels][positions]`). Dead lanes are
    /// zero.
    ///
    /// # Panics
    /// If `array` does not hold whole samples, or they are not those of these tiles.
    pub fn pack(&mut self, array: &[f32], shape: Shape) {
        let order = ChannelsFirst::new(shape);
        let features = order.features();
        assert_eq!(features, self.features(), "samples of {shape} in tiles for other ones");
        assert!(array.len().is_multiple_of(features), "{} numbers are no samples of {shape}", array.len());
        let sample = |at: usize| &array[at * features..][..features];
        self.turn(order, array.len() / features, &sample);
    }

    /// Takes so many samples, each as the list of its features. Dead lanes are zero.
    ///
    /// # Panics
    /// If a list is too short.
    pub(crate) fn gather<'a, N: Number + 'a>(
        &mut self,
        samples: usize,
        sample: impl Fn(usize) -> &'a [N] + Sync,
    ) {
        self.turn(ChannelsFirst::new(Shape::flat(self.features())), samples, &sample);
    }

    fn turn<'a, N: Number + 'a>(
        &mut self,
        order: ChannelsFirst,
        samples: usize,
        sample: &(impl Fn(usize) -> &'a [N] + Sync),
    ) {
        self.resize(samples);
        let (features, run) = (order.features(), order.run() * order.channels);
        if features == 0 {
            return;
        }
        let pack = |tile: usize, first: usize, rows: &mut [Row]| {
            let lanes = tile * LANES..samples.min((tile + 1) * LANES);
            pack_rows(order, (lanes, sample), first, rows);
        };
        if samples * features < ALONE {
            return self
                .rows_mut()
                .chunks_mut(features)
                .enumerate()
                .for_each(|(tile, rows)| pack(tile, 0, rows));
        }
        self.rows_mut().par_chunks_mut(features).enumerate().for_each(|(tile, rows)| {
            let runs = rows.par_chunks_mut(run).enumerate();
            runs.for_each(|(place, rows)| pack(tile, place * order.run(), rows));
        });
    }

    /// Writes the samples one after the other, each channel by channel.
    ///
    /// # Panics
    /// If there is another number of numbers in `array`.
    pub fn unpack(&self, array: &mut [f32], shape: Shape) {
        let order = ChannelsFirst::new(shape);
        let features = order.features();
        assert_eq!(features, self.features(), "samples of {shape} in tiles for other ones");
        assert_eq!(array.len(), self.samples() * features, "numbers of all samples");
        let unpack = |(line, samples): (usize, &mut [f32])| {
            let tile = self.tile(line * LINE / LANES);
            for first in (0..order.positions).step_by(order.run()) {
                unpack_run(order, tile, line % (LANES / LINE), first, samples);
            }
        };
        if array.len() < ALONE {
            array.chunks_mut(LINE * features).enumerate().for_each(unpack);
        } else {
            array.par_chunks_mut(LINE * features).enumerate().for_each(unpack);
        }
    }
}

/// Fills `rows`, those of one tile from position `first` on, with the samples of its lanes.
fn pack_rows<'a, N: Number + 'a>(
    order: ChannelsFirst,
    (lanes, sample): (Range<usize>, &impl Fn(usize) -> &'a [N]),
    first: usize,
    rows: &mut [Row],
) {
    let ChannelsFirst { channels, positions } = order;
    let mut block = [[0.0; RUN]; LINE];
    for (place, rows) in rows.chunks_mut(order.run() * channels).enumerate() {
        let (first, run) = (first + place * order.run(), rows.len() / channels);
        // Lanes beyond have been zero since they died.
        for (line, start) in lanes.clone().step_by(LINE).enumerate() {
            let samples = start..lanes.end.min(start + LINE);
            block[samples.len()..].iter_mut().for_each(|sample| sample.fill(0.0));
            for channel in 0..channels {
                for (to, at) in block.iter_mut().zip(samples.clone()) {
                    let numbers = &sample(at)[channel * positions + first..][..run];
                    to.iter_mut().zip(numbers).for_each(|(to, from)| *to = from.to_f32());
                }
                for (place, rows) in rows.chunks_exact_mut(channels).enumerate() {
                    let (lines, _) = rows[channel].0.as_chunks_mut::<LINE>();
                    // A run is no longer than the block; saying so saves a check in each lane.
                    lines[line] = std::array::from_fn(|lane| block[lane][place % RUN]);
                }
            }
        }
    }
}

/// Writes a run of positions from `first` on of `samples`, which are line `line` of the lanes of a tile.
fn unpack_run(order: ChannelsFirst, tile: &[Row], line: usize, first: usize, samples: &mut [f32]) {
    let ChannelsFirst { channels, positions } = order;
    let run = order.run().min(positions - first);
    let mut block = [[0.0; RUN]; LINE];
    for channel in 0..channels {
        let rows = tile[first * channels + channel..].iter().step_by(channels).take(run);
        for (place, row) in rows.enumerate() {
            let (lines, _) = row.0.as_chunks::<LINE>();
            (0..LINE).for_each(|lane| block[lane][place] = lines[line][lane]);
        }
        for (to, from) in samples.chunks_exact_mut(order.features()).zip(&block) {
            to[channel * positions + first..][..run].copy_from_slice(&from[..run]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_become_lanes_and_samples_again() {
        let shapes =
            [(1, 1, 1), (1, 1, 15), (1, 1, 300), (1, 1, 784), (1, 5, 3), (3, 7, 16), (16, 16, 5), (9, 9, 1)];
        for (height, width, channels) in shapes {
            let shape = Shape { height, width, channels };
            let mut tiles = Tiles::zeros(shape.features(), 130);
            // Large, then small, then large again: nothing of what was there before may stay.
            for samples in [130, 1, 64, 0, 65, 130] {
                let array: Vec<f32> = (1..=samples * shape.features()).map(|number| number as f32).collect();
                tiles.pack(&array, shape);
                assert_eq!(tiles.samples(), samples);
                for sample in 0..samples {
                    let at = |feature: usize| {
                        let (position, channel) = (feature / channels, feature % channels);
                        array[(sample * channels + channel) * shape.positions() + position]
                    };
                    let expected: Vec<f32> = (0..shape.features()).map(at).collect();
                    assert_eq!(tiles.sample(sample), expected, "{shape}, sample {sample} of {samples}");
                }
                for tile in 0..tiles.tiles() {
                    let live = tiles.live(tile);
                    assert!(tiles.tile(tile).iter().all(|row| row.0[live..].iter().all(|&x| x == 0.0)));
                }
                let mut back = vec![0.0; array.len()];
                tiles.unpack(&mut back, shape);
                assert_eq!(back, array, "{shape}");
            }
        }
    }
}
