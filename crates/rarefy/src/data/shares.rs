//! A batch in shares: runs of whole tiles that follow each other, for workers that go through the network side by side.

use rayon::prelude::*;

use super::augment::Augmentation;
use super::batches::Batch;
use super::dataset::Dataset;
use crate::tiles::LANES;

/// Samples of a worker's share of a batch: a power of two of tiles, so that shares are subtrees of the tree that tiles are added
/// up in.
///
/// ```
/// use rarefy::data::share_of;
///
/// assert_eq!([1, 2, 3, 8].map(|workers| share_of(500, workers)), [512, 256, 256, 64]);
/// ```
pub fn share_of(batch_size: usize, workers: usize) -> usize {
    let tiles = batch_size.div_ceil(LANES);
    tiles.div_ceil(workers).next_power_of_two() * LANES
}

/// A batch in shares.
#[derive(Debug, Clone)]
pub struct Shares {
    batches: Vec<Batch>,
    /// Shares of the batch at hand: a small one has fewer.
    count: usize,
    /// Samples of a share.
    samples: usize,
}

impl AsRef<[Batch]> for Shares {
    fn as_ref(&self) -> &[Batch] {
        &self.batches[..self.count]
    }
}

impl AsRef<[Batch]> for Batch {
    /// It is the only share.
    fn as_ref(&self) -> &[Batch] {
        std::slice::from_ref(self)
    }
}

impl Shares {
    /// Memory for batches of up to `batch_size` samples, for so many workers at most.
    pub fn new(dataset: &Dataset, batch_size: usize, workers: usize) -> Shares {
        let samples = share_of(batch_size, workers);
        let firsts = (0..batch_size).step_by(samples);
        let batches = firsts.map(|first| Batch::new(dataset, samples.min(batch_size - first))).collect();
        Shares { batches, count: 0, samples }
    }

    /// As [`Batch::fill_for_training`].
    ///
    /// # Panics
    /// As there, and for more samples than there is memory for.
    pub fn fill_for_training(
        &mut self,
        dataset: &Dataset,
        order: &[usize],
        augmentation: Option<&Augmentation>,
        epoch: u64,
    ) {
        // Of no samples there is one share, too: a batch of several ranks may leave one without any.
        self.count = order.len().div_ceil(self.samples).max(1);
        if order.is_empty() {
            return self.batches[0].fill_for_training(dataset, order, augmentation, epoch);
        }
        let batches = self.batches[..self.count].par_iter_mut().zip(order.par_chunks(self.samples));
        batches.for_each(|(batch, order)| batch.fill_for_training(dataset, order, augmentation, epoch));
    }
}
