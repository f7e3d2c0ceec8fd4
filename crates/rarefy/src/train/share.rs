//! Which part of a batch a rank has.
//!
//! ```text
//! a batch of 7 tiles, 4 ranks: each has runs of 2 tiles       0 1 | 2 3 | 4 5 | 6
//! ```
//! Runs of a power of two of tiles are subtrees of the tree that tiles are added up in (`kernels/tree.rs`): so what ranks found is
//! added up to the same bits, however many there are.

use std::ops::Range;

use crate::data::share_of;

/// Which part of a batch some samples are: a run of its tiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Share {
    /// Samples of the batch that come before, whole tiles.
    pub(super) first: usize,
    /// How many these are.
    pub(super) samples: usize,
    /// Samples of the whole batch.
    pub(super) whole: usize,
    /// Ranks that have samples of it: the first ones.
    pub(super) parts: usize,
}

impl Share {
    /// What one of some ranks has of a batch of `samples` samples where full batches have `most`.
    pub(super) fn of(samples: usize, most: usize, rank: usize, ranks: usize) -> Share {
        let each = share_of(most, ranks);
        let first = (rank * each).min(samples);
        let parts = samples.div_ceil(each).clamp(1, ranks);
        Share { first, samples: each.min(samples - first), whole: samples, parts }
    }

    /// What one of some workers has of a batch of `samples` samples that they share alike.
    fn even(samples: usize, worker: usize, workers: usize) -> Share {
        let first = samples * worker / workers;
        let end = samples * (worker + 1) / workers;
        Share { first, samples: end - first, whole: samples, parts: workers }
    }

    /// The places of these samples in the batch.
    pub(super) fn range(&self) -> Range<usize> {
        self.first..self.first + self.samples
    }
}

/// How batches are shared out, and which shares are this rank's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// In runs of whole tiles, one for each rank, where full batches have `most` samples.
    Tiles { most: usize, rank: usize, ranks: usize },
    /// Alike, one for each worker; this rank has some.
    Even { workers: usize, own: (usize, usize) },
}

impl Cut {
    /// The places in a batch of so many samples of all that this rank has.
    pub(super) fn range(self, samples: usize) -> Range<usize> {
        let ranges = self.shares(samples).map(|share| share.range());
        ranges.reduce(|first, last| first.start..last.end).unwrap_or_default()
    }

    /// This rank's shares of a batch of so many samples.
    pub(super) fn shares(self, samples: usize) -> impl Iterator<Item = Share> {
        let own = match self {
            Cut::Tiles { rank, .. } => rank..rank + 1,
            Cut::Even { own: (first, end), .. } => first..end,
        };
        own.map(move |index| match self {
            Cut::Tiles { most, ranks, .. } => Share::of(samples, most, index, ranks),
            Cut::Even { workers, .. } => Share::even(samples, index, workers),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tiles::LANES;

    #[test]
    fn shares_are_the_whole_batch_in_runs_of_a_power_of_two_of_tiles() {
        for most in [1, 32, 64, 65, 320, 448, 512, 1000] {
            for ranks in 1..10 {
                for samples in [0, 1, 64, 65, 300, most] {
                    let samples = samples.min(most);
                    let shares: Vec<Share> =
                        (0..ranks).map(|rank| Share::of(samples, most, rank, ranks)).collect();
                    let places: Vec<usize> = shares.iter().flat_map(Share::range).collect();
                    assert!(places.into_iter().eq(0..samples), "{samples} of {most}, {ranks} ranks");
                    let has_some = shares.iter().filter(|share| share.samples > 0).count();
                    assert_eq!(has_some.max(1), shares[0].parts);
                    for (rank, share) in shares.iter().enumerate().skip(1).filter(|(_, it)| it.samples > 0) {
                        let each = share.first / rank;
                        assert!(share.first == rank * each && (each / LANES).is_power_of_two());
                    }
                }
            }
        }
    }

    #[test]
    fn workers_share_alike_whatever_ranks_they_are_on() {
        for (workers, samples) in [(4, 512), (4, 10), (8, 3), (6, 90)] {
            let all: Vec<Share> = Cut::Even { workers, own: (0, workers) }.shares(samples).collect();
            let sizes = || all.iter().map(|share| share.samples);
            assert!(all.iter().flat_map(Share::range).eq(0..samples));
            assert!(sizes().max().unwrap() - sizes().min().unwrap() <= 1);
            let later = Cut::Even { workers, own: (workers / 2, workers) };
            assert!(later.shares(samples).eq(all[workers / 2..].iter().copied()));
        }
    }
}
