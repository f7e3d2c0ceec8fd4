//! The workers of a batch: each has a share of it, a run of whole tiles.

use std::fmt::Debug;

/// What a worker asks those who have the other shares of its batch.
pub trait Peers: Send + Sync + Debug {
    /// Which share this worker has, from 0.
    fn index(&self) -> usize;

    /// Makes `numbers`, as many for each share, those of the whole batch: `join(left, right)` makes those of both of `left`, and
    /// shares are joined in the tree of tiles. All call it in the same order; what one without samples gives is left out.
    fn join(&self, numbers: &mut [f32], join: &dyn Fn(&mut [f32], &[f32]));
}
