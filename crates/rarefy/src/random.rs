//! Seeded random streams. Each use of randomness draws from its own stream, named by `(seed, purpose, layer, epoch)`
//! and passed by hand, so adding a layer or an epoch does not shift any other draw and a resumed run needs no saved
//! generator state. The generator is xoshiro256++ (Blackman and Vigna 2019), fixed for the life of the file formats.

use rand_core::{Rng, SeedableRng};
use rand_distr::{Distribution, StandardNormal};
use rand_xoshiro::Xoshiro256PlusPlus;

/// What a stream is for. The number is part of the file formats: never reuse one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    /// Which connections exist at the start.
    Pattern = 1,
    /// The values of the weights at the start.
    Weights = 2,
    /// The order of the samples in an epoch.
    Shuffle = 3,
    /// Train, validation and test parts.
    Split = 4,
    /// Dropout masks.
    Dropout = 5,
    /// Growth and drop of connections, and the values of grown ones.
    Topology = 6,
    /// Benchmarks and tests.
    Bench = 7,
    /// Gates on neurons.
    Gates = 8,
    /// Changes to training samples.
    Augment = 9,
    /// Tokens of a text that a model writes.
    Generate = 10,
    /// The order in which a feature's values are shuffled to see what it is worth.
    Importance = 11,
}

/// A stream of random numbers.
///
/// ```
/// use rarefy::random::{Purpose, Stream};
///
/// let draw = |epoch| Stream::new(7, Purpose::Shuffle, 0, epoch).below(1000);
/// assert_eq!(draw(1), draw(1));
/// assert_ne!(draw(1), draw(2));
/// ```
#[derive(Debug, Clone)]
pub struct Stream(Xoshiro256PlusPlus);

impl Stream {
    /// The stream for one purpose, layer and epoch (or step) under a seed.
    pub fn new(seed: u64, purpose: Purpose, layer: u64, epoch: u64) -> Stream {
        let key =
            [purpose as u64, layer, epoch].into_iter().fold(mix(seed), |key, part| mix(key ^ mix(part)));
        Stream(Xoshiro256PlusPlus::seed_from_u64(key))
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A whole number below `bound`, each equally likely (Lemire 2019).
    ///
    /// # Panics
    /// If `bound` is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        assert!(bound > 0, "no number is below 0");
        let bound = bound as u64;
        let threshold = bound.wrapping_neg() % bound;
        loop {
            let product = u128::from(self.bits()) * u128::from(bound);
            if product as u64 >= threshold {
                return (product >> 64) as usize;
            }
        }
    }

    /// A number in `[0, 1)` with 24 random bits.
    pub fn uniform(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1u32 << 24) as f32
    }

    /// A draw from the normal distribution with mean 0 and variance 1.
    pub fn normal(&mut self) -> f32 {
        StandardNormal.sample(&mut self.0)
    }

    /// Puts `items` in random order (Fisher-Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }

    /// `count` different numbers below `bound`, sorted; each set of that size is equally likely.
    ///
    /// # Panics
    /// If `count > bound`.
    pub fn choose(&mut self, bound: usize, count: usize) -> Vec<usize> {
        assert!(count <= bound, "cannot choose {count} different numbers below {bound}");
        if count > bound / 2 {
            let left_out = self.choose(bound, bound - count);
            let mut left_out = left_out.into_iter().peekable();
            return (0..bound).filter(|item| left_out.next_if_eq(item).is_none()).collect();
        }
        let mut chosen = Vec::with_capacity(count);
        while chosen.len() < count {
            let before = chosen.len();
            chosen.extend((before..count).map(|_| self.below(bound)));
            chosen[before..].sort_unstable();
            merge(&mut chosen, before);
            chosen.dedup();
        }
        chosen
    }
}

/// Makes one sorted list of two, the second of which, short but for the first time, begins at `middle`.
fn merge(list: &mut [usize], middle: usize) {
    if middle == 0 {
        return;
    }
    let (mut left, mut tail) = (middle, list[middle..].to_vec());
    for place in (0..list.len()).rev() {
        let Some(&last) = tail.last() else { return };
        if left > 0 && list[left - 1] > last {
            left -= 1;
            list[place] = list[left];
        } else {
            list[place] = last;
            tail.pop();
        }
    }
}

/// The finaliser of splitmix64: every input bit reaches every output bit.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_named_by_all_four_parts() {
        let first = |seed, purpose, layer, epoch| Stream::new(seed, purpose, layer, epoch).bits();
        let base = first(1, Purpose::Shuffle, 2, 3);
        assert_eq!(base, first(1, Purpose::Shuffle, 2, 3));
        assert_ne!(base, first(2, Purpose::Shuffle, 2, 3));
        assert_ne!(base, first(1, Purpose::Split, 2, 3));
        assert_ne!(base, first(1, Purpose::Shuffle, 3, 2));
    }

    #[test]
    fn below_is_even_and_choose_is_sorted_and_distinct() {
        let mut stream = Stream::new(0, Purpose::Bench, 0, 0);
        let mut counts = [0; 7];
        for _ in 0..70_000 {
            counts[stream.below(7)] += 1;
        }
        assert!(counts.iter().all(|&count| (9_500..10_500).contains(&count)), "{counts:?}");
        for (bound, count) in [(0, 0), (5, 5), (1000, 1), (1000, 500), (1000, 900), (1 << 40, 5000)] {
            let chosen = stream.choose(bound, count);
            assert_eq!(chosen.len(), count);
            assert!(
                chosen.windows(2).all(|pair| pair[0] < pair[1]) && chosen.iter().all(|&item| item < bound)
            );
        }
    }
}
