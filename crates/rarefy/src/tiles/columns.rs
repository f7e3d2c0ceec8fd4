//! A mini-batch of sparse samples, tile by tile and feature by feature: what of a wide input is not zero.
//!
//! ```text
//! tile 0: feature 3: lane 0 = 1, lane 5 = 2     feature 90,000: lane 63 = 1
//! tile 1: ...
//! ```
//! So a product goes over the features that a tile has, and work follows the nonzeros and not the width.

use std::ops::Range;

use crate::tiles::LANES;

/// The nonzeros of a mini-batch.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Columns {
    /// For each tile its first place in `features`, and the end.
    tiles: Vec<usize>,
    /// The features of each tile, sorted.
    features: Vec<u32>,
    /// For each of these its first entry, and the end.
    starts: Vec<usize>,
    lanes: Vec<u8>,
    values: Vec<f32>,
    /// Room to sort in.
    entries: Vec<(u32, u8, f32)>,
}

impl Columns {
    /// Takes `samples` samples; `row` has the features and numbers of each.
    pub(super) fn fill<'a>(&mut self, samples: usize, row: impl Fn(usize) -> (&'a [u32], &'a [f32])) {
        self.tiles.clear();
        self.features.clear();
        self.starts.clear();
        self.lanes.clear();
        self.values.clear();
        self.tiles.push(0);
        for first in (0..samples).step_by(LANES) {
            self.entries.clear();
            for sample in first..samples.min(first + LANES) {
                let (features, values) = row(sample);
                let lane = (sample - first) as u8;
                let entries = features.iter().zip(values).filter(|(_, value)| **value != 0.0);
                self.entries.extend(entries.map(|(&feature, &value)| (feature, lane, value)));
            }
            self.entries.sort_unstable_by_key(|&(feature, lane, _)| (feature, lane));
            for &(feature, lane, value) in &self.entries {
                if self.features.len() == self.tiles[self.tiles.len() - 1]
                    || self.features.last() != Some(&feature)
                {
                    self.features.push(feature);
                    self.starts.push(self.lanes.len());
                }
                self.lanes.push(lane);
                self.values.push(value);
            }
            self.tiles.push(self.features.len());
        }
        self.starts.push(self.lanes.len());
    }

    /// The places of a tile's features.
    pub fn tile(&self, tile: usize) -> Range<usize> {
        self.tiles[tile]..self.tiles[tile + 1]
    }

    /// The feature at a place, the lanes that have it and their numbers.
    pub fn at(&self, place: usize) -> (u32, &[u8], &[f32]) {
        let entries = self.starts[place]..self.starts[place + 1];
        (self.features[place], &self.lanes[entries.clone()], &self.values[entries])
    }

    /// The place of a feature in a tile, if the tile has it.
    pub fn find(&self, tile: usize, feature: u32) -> Option<usize> {
        let range = self.tile(tile);
        self.features[range.clone()].binary_search(&feature).ok().map(|place| range.start + place)
    }

    /// The largest feature of all.
    pub(super) fn last_feature(&self) -> Option<u32> {
        (0..self.tiles()).filter_map(|tile| self.features[self.tile(tile)].last().copied()).max()
    }

    /// Tiles.
    pub fn tiles(&self) -> usize {
        self.tiles.len().saturating_sub(1)
    }

    /// The features of all tiles, tile by tile.
    pub fn features(&self) -> &[u32] {
        &self.features
    }

    /// The numbers of all nonzeros, to change.
    pub(super) fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }

    /// Nonzeros.
    pub fn nnz(&self) -> usize {
        self.lanes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tile_lists_its_features_and_who_has_them() {
        let rows = [(vec![3, 90], vec![1.0, 4.0]), (vec![], vec![]), (vec![3], vec![2.0])];
        let mut columns = Columns::default();
        for _ in 0..2 {
            columns.fill(66, |sample| match rows.get(sample % 64) {
                Some((features, values)) => (features, values),
                None => (&[], &[]),
            });
            assert_eq!((columns.tiles(), columns.nnz()), (2, 5));
            assert_eq!((columns.tile(0), columns.tile(1)), (0..2, 2..4));
            assert_eq!(columns.at(0), (3, &[0, 2][..], &[1.0, 2.0][..]));
            assert_eq!(columns.at(3), (90, &[0][..], &[4.0][..]));
            assert_eq!((columns.find(1, 90), columns.find(1, 4)), (Some(3), None));
        }
    }
}
