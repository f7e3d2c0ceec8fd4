//! The activation layout: a sample is a lane.
//!
//! ```text
//! tile 0: feature 0 [lane 0 .. lane 63]      samples 0..64
//!         feature 1 [lane 0 .. lane 63]
//!         ...
//! tile 1: feature 0 [lane 0 .. lane 63]      samples 64..128
//! ```
//!
//! A feature of a tile is one aligned row of [`LANES`] floats, so every kernel vectorises over samples with no gather
//! and no remainder. The last tile is padded: its dead lanes hold finite numbers that no result depends on.
//! Alignment matters: rows that straddle cache lines cost a third of the speed (RECORD.md).

/// Samples in a tile.
pub const LANES: usize = 64;

/// One feature of one tile: a cache-line aligned row of samples.
#[derive(Debug, Clone, Copy, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(64))]
pub struct Row(pub [f32; LANES]);

impl Row {
    /// All lanes zero.
    pub const ZERO: Row = Row([0.0; LANES]);
}

/// A mini-batch of activations, `[tile][feature][lane]`.
#[derive(Debug, Clone)]
pub struct Tiles {
    features: usize,
    samples: usize,
    rows: Vec<Row>,
}

impl Tiles {
    /// Zeros for `samples` samples of `features` features each.
    pub fn zeros(features: usize, samples: usize) -> Tiles {
        Tiles { features, samples, rows: vec![Row::ZERO; samples.div_ceil(LANES) * features] }
    }

    /// Sets the number of live samples, keeping the memory. Growing beyond any earlier size allocates.
    pub fn resize(&mut self, samples: usize) {
        self.samples = samples;
        self.rows.resize(samples.div_ceil(LANES) * self.features, Row::ZERO);
    }

    /// Features of a sample.
    pub fn features(&self) -> usize {
        self.features
    }

    /// Live samples.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// Tiles, the last perhaps with dead lanes.
    pub fn tiles(&self) -> usize {
        self.samples.div_ceil(LANES)
    }

    /// Live lanes of a tile: [`LANES`] but for the last.
    pub fn live(&self, tile: usize) -> usize {
        (self.samples - tile * LANES).min(LANES)
    }

    /// All rows, tile by tile.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// All rows, tile by tile, to write.
    pub fn rows_mut(&mut self) -> &mut [Row] {
        &mut self.rows
    }

    /// The rows of one tile, a row per feature.
    pub fn tile(&self, tile: usize) -> &[Row] {
        &self.rows[tile * self.features..][..self.features]
    }

    /// The rows of one tile, to write.
    pub fn tile_mut(&mut self, tile: usize) -> &mut [Row] {
        &mut self.rows[tile * self.features..][..self.features]
    }

    /// One number.
    pub fn at(&self, sample: usize, feature: usize) -> f32 {
        self.tile(sample / LANES)[feature].0[sample % LANES]
    }

    /// Writes one sample, `features` numbers long, into its lane.
    ///
    /// # Panics
    /// If the length of `values` is not the number of features.
    pub fn set_sample(&mut self, sample: usize, values: &[f32]) {
        assert_eq!(
            values.len(),
            self.features,
            "a sample of {} features needs as many values",
            self.features
        );
        let lane = sample % LANES;
        for (row, &value) in self.tile_mut(sample / LANES).iter_mut().zip(values) {
            row.0[lane] = value;
        }
    }

    /// Reads one sample.
    pub fn sample(&self, sample: usize) -> Vec<f32> {
        self.tile(sample / LANES).iter().map(|row| row.0[sample % LANES]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_a_lane() {
        let mut tiles = Tiles::zeros(3, 70);
        tiles.set_sample(65, &[1.0, 2.0, 3.0]);
        assert_eq!((tiles.tiles(), tiles.live(0), tiles.live(1)), (2, 64, 6));
        assert_eq!(tiles.tile(1)[2].0[1], 3.0);
        assert_eq!(tiles.sample(65), [1.0, 2.0, 3.0]);
        assert_eq!(tiles.at(65, 1), 2.0);
    }
}
