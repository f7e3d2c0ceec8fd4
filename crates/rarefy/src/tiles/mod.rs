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
//!
//! The features of an image or a sequence go position by position, the channels of one position together ([`Shape`]): to
//! a kernel each position is a tile of its own, and a layer that works on windows reads whole runs of rows.

mod columns;
mod fold;
mod padding;
mod rows;
mod spread;
mod turn;

use std::fmt;

pub use columns::Columns;
pub(crate) use rows::Row16;
use rows::Rows;
pub(crate) use turn::Number;

use serde::{Deserialize, Serialize};

/// Samples in a tile.
pub const LANES: usize = 64;

/// Lanes that are computed of a tile whose others are dead ([`Tiles::is_half`]).
pub const HALF: usize = LANES / 2;

/// In place of a class: there nothing is to be predicted, as at the padding of a sequence.
pub const IGNORED: u32 = u32::MAX;

/// The most numbers of a sample; of one without positions, of which only the nonzeros may be kept, four times as many.
const MAX_FEATURES: usize = 1 << 28;

/// One feature of one tile: a cache-line aligned row of samples.
#[derive(Debug, Clone, Copy, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(64))]
pub struct Row(pub [f32; LANES]);

impl Row {
    /// All lanes zero.
    pub const ZERO: Row = Row([0.0; LANES]);
}

/// The features of a sample: channels at each position of an image (`[y][x][channel]`), of a sequence (`height` 1,
/// `[time][channel]`), or at no position in particular (`height` and `width` 1). In files a shape of the last kind is a
/// number, another one `[height, width, channels]`.
///
/// ```
/// use rarefy::tiles::Shape;
///
/// let image = Shape { height: 8, width: 8, channels: 3 };
/// assert_eq!((image.features(), image.to_string()), (192, "8 x 8 x 3".into()));
/// assert_eq!(Shape::sequence(100, 40).positions(), 100);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Shape {
    /// Rows of an image; 1 for sequences and plain features.
    pub height: usize,
    /// Columns of an image, steps of a sequence; 1 for plain features.
    pub width: usize,
    /// Numbers at each position.
    pub channels: usize,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Flat(usize),
    Image([usize; 3]),
}

impl From<Written> for Shape {
    fn from(written: Written) -> Shape {
        match written {
            Written::Flat(channels) => Shape::flat(channels),
            Written::Image([height, width, channels]) => Shape { height, width, channels },
        }
    }
}

impl From<Shape> for Written {
    fn from(shape: Shape) -> Written {
        match shape {
            Shape { height: 1, width: 1, channels } => Written::Flat(channels),
            Shape { height, width, channels } => Written::Image([height, width, channels]),
        }
    }
}

impl From<usize> for Shape {
    /// Plain features.
    fn from(features: usize) -> Shape {
        Shape::flat(features)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Shape { height: 1, width: 1, channels } => write!(f, "{channels}"),
            Shape { height: 1, width, channels } => write!(f, "{width} steps x {channels}"),
            Shape { height, width, channels } => write!(f, "{height} x {width} x {channels}"),
        }
    }
}

impl Shape {
    /// Plain features.
    pub fn flat(features: usize) -> Shape {
        Shape { height: 1, width: 1, channels: features }
    }

    /// A sequence of `steps` times `channels` features.
    pub fn sequence(steps: usize, channels: usize) -> Shape {
        Shape { height: 1, width: steps, channels }
    }

    /// Checks sizes that came from a file or a user: that a sample can be counted and held.
    ///
    /// # Errors
    /// If it holds no numbers, or too many.
    pub fn check(&self) -> Result<(), String> {
        let most = if (self.height, self.width) == (1, 1) { 4 * MAX_FEATURES } else { MAX_FEATURES };
        let features = self.height.checked_mul(self.width).and_then(|it| it.checked_mul(self.channels));
        match features {
            Some(0) => Err(format!("samples of {self} hold no numbers")),
            Some(features) if features <= most => Ok(()),
            _ => Err(format!("samples of {self} hold more than the {most} numbers that there may be")),
        }
    }

    /// Places of an image, or steps of a sequence.
    pub fn positions(&self) -> usize {
        self.height * self.width
    }

    /// Numbers of a sample.
    pub fn features(&self) -> usize {
        self.positions() * self.channels
    }
}

/// A mini-batch of activations, `[tile][feature][lane]`.
#[derive(Debug, Clone, Default)]
pub struct Tiles {
    features: usize,
    samples: usize,
    rows: Rows,
    lengths: Vec<u32>,
    /// Whether the lanes from [`HALF`] on hold the later half of the positions, and `samples` counts them too.
    folded: bool,
    /// Whether lanes are the positions of one sample, which `samples` then counts.
    spread: bool,
    /// In place of rows, for a wide input of which little is not zero.
    columns: Option<Columns>,
}

impl Tiles {
    /// Zeros for `samples` samples of `features` features each.
    pub fn zeros(features: usize, samples: usize) -> Tiles {
        Tiles {
            features,
            samples,
            rows: Rows::zeros(samples.div_ceil(LANES) * features),
            lengths: Vec::new(),
            folded: false,
            spread: false,
            columns: None,
        }
    }

    /// No samples yet, of `features` features of which only the nonzeros will be kept: for layers that can do with
    /// [`Tiles::columns`]. There are no rows.
    pub fn sparse(features: usize) -> Tiles {
        Tiles { features, columns: Some(Columns::default()), ..Tiles::default() }
    }

    /// The nonzeros, where only those are kept.
    pub fn columns(&self) -> Option<&Columns> {
        self.columns.as_ref()
    }

    /// Takes sparse samples; `row` has the features and numbers of each.
    ///
    /// # Panics
    /// If these tiles have rows, or a sample has a number beyond the features.
    pub fn fill_columns<'a>(&mut self, samples: usize, row: impl Fn(usize) -> (&'a [u32], &'a [f32])) {
        self.samples = samples;
        let columns = self.columns.as_mut().expect("tiles made for sparse samples");
        columns.fill(samples, row);
        if let Some(last) = columns.last_feature() {
            assert!(
                (last as usize) < self.features,
                "feature {last} of samples of {} features",
                self.features
            );
        }
    }

    /// Sets the number of live samples, keeping the memory. Growing beyond any earlier size allocates. Lanes that die become
    /// zero.
    pub fn resize(&mut self, samples: usize) {
        let tile = samples / LANES;
        if samples < self.samples && !samples.is_multiple_of(LANES) && !self.rows.is_empty() {
            self.tile_mut(tile).iter_mut().for_each(|row| row.0[samples % LANES..].fill(0.0));
        }
        self.samples = samples;
        self.lengths.clear();
        self.rows.resize(samples.div_ceil(LANES) * self.features);
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

    /// Whether the second half of a tile's lanes is dead. Then whoever computes may leave it as it is: in gradients it is zero.
    pub fn is_half(&self, tile: usize) -> bool {
        self.live(tile) <= HALF
    }

    /// How many steps of each sample's sequence are there, the others being padding; empty if all are.
    pub fn lengths(&self) -> &[u32] {
        &self.lengths
    }

    /// How many of `steps` positions are real in each lane of a tile: all where no lengths are set, none in dead lanes.
    pub fn real_steps(&self, tile: usize, steps: usize) -> [u32; LANES] {
        let mut real = [0; LANES];
        let samples = tile * LANES..tile * LANES + self.live(tile);
        if self.lengths.is_empty() {
            real[..samples.len()].fill(steps as u32);
        } else {
            real[..samples.len()].copy_from_slice(&self.lengths[samples]);
        }
        real
    }

    /// Whether the second half of the lanes holds the later half of the positions ([`Tiles::fold`]).
    pub fn is_folded(&self) -> bool {
        self.folded
    }

    /// Sets the lengths: one a sample, or none; a spread sample is one.
    ///
    /// # Panics
    /// If there is another number of them.
    pub fn set_lengths(&mut self, lengths: impl ExactSizeIterator<Item = u32>) {
        let samples = if self.spread { 1 } else { self.samples };
        assert!(lengths.len() == 0 || lengths.len() == samples, "a length for each sample, or none");
        self.lengths.clear();
        self.lengths.extend(lengths);
    }

    /// All rows, tile by tile.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// All rows, tile by tile, to write.
    pub fn rows_mut(&mut self) -> &mut [Row] {
        &mut self.rows
    }

    /// All rows in bf16, which `narrow` makes of them where they have changed since it last did.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
    pub(crate) fn narrowed(&self, narrow: impl FnOnce(&[Row], &mut [Row16])) -> &[Row16] {
        self.rows.narrowed(narrow)
    }

    /// All rows, and those that are to stand for them in bf16, for someone who writes both.
    pub(crate) fn rows_and_narrowed_mut(&mut self) -> (&mut [Row], &mut [Row16]) {
        self.rows.both_mut()
    }

    /// All numbers, to change; where only the nonzeros are kept, those.
    pub(crate) fn numbers_mut(&mut self) -> &mut [f32] {
        match &mut self.columns {
            Some(columns) => columns.values_mut(),
            None => bytemuck::cast_slice_mut(&mut self.rows[..]),
        }
    }

    /// Becomes a copy of other tiles, in its own memory.
    pub(crate) fn copy_from(&mut self, other: &Tiles) {
        let Tiles { features, samples, rows, lengths, folded, spread, columns } = other;
        (self.features, self.samples, self.folded, self.spread) = (*features, *samples, *folded, *spread);
        self.rows.copy_from(rows);
        self.lengths.clone_from(lengths);
        self.columns.clone_from(columns);
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

    #[test]
    #[should_panic(expected = "feature 7 of samples of 7 features")]
    fn sparse_samples_have_no_features_beyond_the_width() {
        let rows = [(&[0, 7][..], &[1.0, 2.0][..]), (&[3][..], &[1.0][..])];
        Tiles::sparse(7).fill_columns(2, |sample| rows[sample]);
    }

    #[test]
    fn steps_are_real_up_to_a_sample_s_length() {
        let mut tiles = Tiles::zeros(5, 66);
        assert_eq!(
            (tiles.real_steps(0, 5), tiles.real_steps(1, 5)[..3].to_vec()),
            ([5; LANES], vec![5, 5, 0])
        );
        tiles.set_lengths((0..66).map(|sample| sample % 5));
        assert_eq!((tiles.real_steps(0, 5)[3], tiles.real_steps(1, 5)[..3].to_vec()), (3, vec![4, 0, 0]));
    }

    #[test]
    fn lanes_that_die_become_zero() {
        let mut tiles = Tiles::zeros(2, 70);
        tiles.rows_mut().fill(Row([1.0; LANES]));
        tiles.resize(67);
        assert_eq!((tiles.tile(1)[1].0[2], tiles.tile(1)[1].0[3]), (1.0, 0.0));
        tiles.resize(10);
        assert_eq!((tiles.tile(0)[0].0[9], tiles.tile(0)[0].0[10]), (1.0, 0.0));
        assert!(tiles.is_half(0));
    }
}
