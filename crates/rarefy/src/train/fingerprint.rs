//! Whether data is still what a run began with: a checkpoint goes on with nothing else.

use std::hash::Hasher;

use crate::data::{Dataset, Features, Targets};

/// A hash that tells whether the training part is still the same.
pub(super) fn fingerprint(dataset: &Dataset) -> u64 {
    let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
    hasher.write_u64(dataset.inputs() as u64);
    let mut numbers = |numbers: &[f32]| {
        numbers.iter().for_each(|value| hasher.write_u64(u64::from(value.to_bits())));
    };
    match &dataset.features {
        Features::Dense(values) => numbers(values),
        Features::Sparse(rows) => {
            numbers(rows.values());
            rows.indices().iter().for_each(|&index| hasher.write_u64(u64::from(index)));
            rows.offsets().iter().for_each(|&offset| hasher.write_u64(offset as u64));
        }
        Features::Tokens { ids, .. } => ids.iter().for_each(|&id| hasher.write_u64(u64::from(id))),
    }
    dataset.lengths.iter().for_each(|&length| hasher.write_u64(u64::from(length)));
    match &dataset.targets {
        Targets::Classes { labels, .. } | Targets::Steps { labels, .. } => {
            labels.iter().for_each(|&label| hasher.write_u64(u64::from(label)))
        }
        Targets::Values { values, .. } => {
            values.iter().for_each(|value| hasher.write_u64(u64::from(value.to_bits())))
        }
        Targets::Sequences { labels, offsets, .. } => {
            labels.iter().for_each(|&label| hasher.write_u64(u64::from(label)));
            offsets.iter().for_each(|&offset| hasher.write_u64(offset as u64));
        }
    }
    hasher.finish()
}

/// FNV-1a over whole words: fixed for the life of the checkpoint format, which the standard hasher is not.
struct Fnv(u64);

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(u64::from(byte)));
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x0000_0100_0000_01b3);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
