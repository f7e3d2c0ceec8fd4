//! The one place between a step's gradients and what is made of them: those of micro-batches are summed here, and those of
//! several workers will be.

use super::Score;
use crate::kernels::par_chunks;
use crate::layers::{Network, Parameter};
use crate::losses::Loss;
use crate::sparse::Touched;

/// Gradients that are added at a time.
const CHUNK: usize = 8192;

/// The sums of a step: scores and gradients that are not divided yet ([`Engine::apply`](super::Engine::apply) does it).
///
/// What micro-batches find is added up as a binary counter counts: two sums of as many micro-batches become one. That is the
/// tree of `kernels/tree.rs`, whose splits are at powers of two of the tiles, so micro-batches of a power of two of tiles give
/// the bits of one batch that has all of them, and wait in as many arrays as the counter has digits. Workers will find what
/// others found here too: they are micro-batches that are computed elsewhere.
#[derive(Default)]
pub(super) struct Reduction {
    /// Sums of ever fewer micro-batches, all from before the one at hand.
    waiting: Vec<Sum>,
    /// Memory for sums.
    spare: Vec<Sum>,
}

/// The sum of some micro-batches.
#[derive(Default)]
struct Sum {
    /// Their samples.
    samples: usize,
    score: Score,
    /// For each parameter that is trained its gradient, and which slots of it may be other than 0.
    gradients: Vec<(Vec<f32>, Option<Touched>)>,
}

impl Reduction {
    /// Samples of the step before the micro-batch at hand.
    pub(super) fn samples(&self) -> usize {
        self.waiting.iter().map(|sum| sum.samples).sum()
    }

    /// Takes the gradients of a micro-batch out of the network, whose next ones are then to be computed.
    pub(super) fn hold(&mut self, network: &mut Network, score: Score, samples: usize, loss: &Loss) {
        let mut sum = self.spare.pop().unwrap_or_default();
        (sum.samples, sum.score) = (samples, score);
        sum.gradients.resize_with(trained(network).count(), Default::default);
        for (parameter, (gradient, touched)) in trained(network).zip(&mut sum.gradients) {
            gradient.resize(parameter.gradient.len(), 0.0);
            if parameter.touched.is_some() {
                // Its next gradient is written where a batch touches it, and nowhere else.
                gradient.fill(0.0);
            }
            std::mem::swap(&mut parameter.gradient, gradient);
            touched.clone_from(&parameter.touched);
        }
        while let Some(before) = self.waiting.pop_if(|before| before.samples == sum.samples) {
            sum.samples += before.samples;
            sum.score = both(before.score, sum.score, loss);
            for ((gradient, touched), (other, also)) in sum.gradients.iter_mut().zip(&before.gradients) {
                add(gradient, other);
                unite(touched, also);
            }
            self.spare.push(before);
        }
        self.waiting.push(sum);
    }

    /// Adds all that waits to the gradients of the step's last micro-batch, which the network holds; returns the step's score.
    pub(super) fn finish(&mut self, network: &mut Network, mut score: Score, loss: &Loss) -> Score {
        while let Some(before) = self.waiting.pop() {
            score = both(before.score, score, loss);
            for (parameter, (gradient, touched)) in trained(network).zip(&before.gradients) {
                add(&mut parameter.gradient, gradient);
                unite(&mut parameter.touched, touched);
            }
            self.spare.push(before);
        }
        score
    }

    /// Bytes of gradients.
    pub(super) fn bytes(&self) -> usize {
        let sums = self.waiting.iter().chain(&self.spare);
        sums.flat_map(|sum| &sum.gradients).map(|(gradient, _)| 4 * gradient.len()).sum()
    }
}

fn trained(network: &mut Network) -> impl Iterator<Item = &mut Parameter> {
    network.parameters_mut().filter(|parameter| parameter.is_trained())
}

/// The score of two parts of a batch; a loss that is no mean is not divided, however many they are.
fn both(left: Score, right: Score, loss: &Loss) -> Score {
    let sum = left.with(right);
    Score { normaliser: if loss.is_mean() { sum.normaliser } else { right.normaliser }, ..sum }
}

fn add(gradient: &mut [f32], other: &[f32]) {
    par_chunks(gradient, CHUNK, &|start, gradient: &mut [f32]| {
        gradient.iter_mut().zip(&other[start..]).for_each(|(sum, other)| *sum += other);
    });
}

/// Adds the slots of `other`, of which each range is one of `touched` or apart from all of them.
fn unite(touched: &mut Option<Touched>, other: &Option<Touched>) {
    if let (Some(touched), Some(other)) = (touched, other) {
        touched.extend(other.iter().cloned());
        touched.sort_unstable_by_key(|slots| slots.start);
        touched.dedup();
    }
}
