//! The one place between a step's gradients and what is made of them: what several workers found is summed here.

use super::Score;
use crate::layers::Network;

/// The score and the gradients of all workers, summed: those of this process, as long as there is no other.
///
/// Gradients and scores are sums over samples until [`Engine::apply`](super::Engine::apply) divides, so adding up is all that
/// is needed: in the tree of `kernels/tree.rs`, whose splits are at powers of two of the tiles, it gives the bits of one
/// process that had all tiles.
pub(super) fn over_workers(network: &mut Network, score: Score) -> Score {
    let _ = network;
    score
}
