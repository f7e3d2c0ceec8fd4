//! The one place between a step's gradients and what is made of them: those of micro-batches are summed here.

use super::Score;
use crate::kernels::par_chunks;
use crate::layers::Gradient;
use crate::losses::Loss;
use crate::sparse::Touched;

/// Gradients that are added at a time.
const CHUNK: usize = 8192;

/// Adds up what micro-batches find as a binary counter counts: two sums of as many samples become one. That is the tree of
/// `kernels/tree.rs`, whose splits are at powers of two of the tiles, so micro-batches of a power of two of tiles give the
/// bits of one batch that has all of them, and as many sums wait as the counter has digits.
#[derive(Default)]
pub(super) struct Counter<T> {
    /// Sums of ever fewer samples, and their samples.
    waiting: Vec<(usize, T)>,
    /// Memory for sums.
    spare: Vec<T>,
}

impl<T: Default> Counter<T> {
    /// Memory that a sum is no longer in, or new memory.
    pub(super) fn memory(&mut self) -> T {
        self.spare.pop().unwrap_or_default()
    }

    /// Samples of all that waits.
    fn samples(&self) -> usize {
        self.waiting.iter().map(|(samples, _)| samples).sum()
    }

    /// Takes what a micro-batch found; `add` adds a sum of earlier ones to one of later ones.
    pub(super) fn push(&mut self, mut samples: usize, mut sum: T, add: impl Fn(&T, &mut T)) {
        while let Some((_, before)) = self.waiting.pop_if(|(before, _)| *before == samples) {
            samples *= 2;
            add(&before, &mut sum);
            self.spare.push(before);
        }
        self.waiting.push((samples, sum));
    }

    /// Hands over all that waits, the latest first.
    pub(super) fn empty(&mut self, mut add: impl FnMut(&T)) {
        while let Some((_, before)) = self.waiting.pop() {
            add(&before);
            self.spare.push(before);
        }
    }
}

/// The most sums that a [`Counter`] has memory for while `count` micro-batches are added up, but for the last one.
pub(super) fn most_sums(count: usize) -> usize {
    (usize::BITS - (count.max(1) - 1).leading_zeros()) as usize
}

/// The sums of a step: scores and gradients that are not divided yet ([`Engine::apply`](super::Engine::apply) does it).
#[derive(Default)]
pub(super) struct Reduction(Counter<Sum>);

/// The sum of some micro-batches.
#[derive(Default)]
struct Sum {
    score: Score,
    gradients: Vec<Gradient>,
}

impl Reduction {
    /// Samples of the step before the micro-batch at hand.
    pub(super) fn samples(&self) -> usize {
        self.0.samples()
    }

    /// Takes the gradients of a micro-batch, in whose place the next ones are then to be computed.
    pub(super) fn hold(&mut self, gradients: &mut [Gradient], score: Score, samples: usize, loss: &Loss) {
        let mut sum = self.0.memory();
        sum.score = score;
        sum.gradients.resize_with(gradients.len(), Default::default);
        for (gradient, held) in gradients.iter_mut().zip(&mut sum.gradients) {
            held.values.resize(gradient.values.len(), 0.0);
            if gradient.touched.is_some() {
                // Its next gradient is written where a batch touches it, and nowhere else.
                held.values.fill(0.0);
            }
            std::mem::swap(&mut gradient.values, &mut held.values);
            held.touched.clone_from(&gradient.touched);
        }
        self.0.push(samples, sum, |before, sum| {
            sum.score = both(before.score, sum.score, loss);
            add_all(&mut sum.gradients, &before.gradients);
        });
    }

    /// Adds all that waits to the gradients of the step's last micro-batch; returns the step's score.
    pub(super) fn finish(&mut self, gradients: &mut [Gradient], mut score: Score, loss: &Loss) -> Score {
        self.0.empty(|before| {
            score = both(before.score, score, loss);
            add_all(gradients, &before.gradients);
        });
        score
    }

    /// Bytes of gradients.
    pub(super) fn bytes(&self) -> usize {
        let sums = self.0.waiting.iter().map(|(_, sum)| sum).chain(&self.0.spare);
        sums.flat_map(|sum| &sum.gradients).map(|gradient| 4 * gradient.values.len()).sum()
    }
}

/// The score of two parts of a batch; a loss that is no mean is not divided, however many they are.
pub(super) fn both(left: Score, right: Score, loss: &Loss) -> Score {
    let sum = left.with(right);
    Score { normaliser: if loss.is_mean() { sum.normaliser } else { right.normaliser }, ..sum }
}

/// Adds to each gradient another of the same parameter.
pub(super) fn add_all(gradients: &mut [Gradient], others: &[Gradient]) {
    for (gradient, other) in gradients.iter_mut().zip(others) {
        unite(&mut gradient.touched, &other.touched);
        match &gradient.touched {
            None => add(&mut gradient.values, &other.values),
            Some(touched) => {
                for slots in touched {
                    let others = &other.values[slots.clone()];
                    gradient.values[slots.clone()]
                        .iter_mut()
                        .zip(others)
                        .for_each(|(sum, other)| *sum += other);
                }
            }
        }
    }
}

/// `gradient += other`.
pub(super) fn add(gradient: &mut [f32], other: &[f32]) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_the_tree_and_its_memory_is_told() {
        for count in 1..40_usize {
            let mut counter = Counter::<String>::default();
            let join = |before: &String, sum: &mut String| *sum = format!("({before}+{sum})");
            let mut most = 0;
            for number in 0..count - 1 {
                counter.memory();
                counter.push(128, number.to_string(), join);
                most = most.max(counter.waiting.len() + counter.spare.len());
            }
            let mut last = (count - 1).to_string();
            counter.empty(|before| join(before, &mut last));
            let of = |number: usize| number.to_string();
            let tree = crate::kernels::join_in_tree(0..count, &of, &|a, b| format!("({a}+{b})"));
            assert_eq!(last, tree);
            assert_eq!(most, most_sums(count), "{count}");
        }
    }
}
