//! Whether data is still what a run began with: a checkpoint goes on with nothing else, and runs on other data are not
//! compared.

use super::dataset::{Dataset, Features, Targets};
use super::splits::Splits;

impl Splits {
    /// A hash that tells whether all parts, as split and made ready, are still the same.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
        for part in [Some(&self.train), self.validation.as_ref(), self.test.as_ref()] {
            hasher.write(part.map_or(0, |part| part.len() as u64));
            part.into_iter().for_each(|part| add(&mut hasher, part));
        }
        // Scaled, other targets may look the same.
        if !self.preparation.target_scaler.is_none() {
            for output in 0..self.preparation.outputs {
                let (mean, deviation) = self.preparation.target_scaler.mean_and_deviation(output);
                hasher.write(mean.to_bits());
                hasher.write(deviation.to_bits());
            }
        }
        hasher.0
    }
}

fn add(hasher: &mut Fnv, part: &Dataset) {
    hasher.write(part.inputs() as u64);
    match &part.features {
        Features::Dense(values) => hasher.write_numbers(values),
        Features::Lent(rows) => hasher.write_numbers(&rows.to_dense()),
        // What was read of them to learn how they are made ready; they are not read again.
        Features::Streamed(rows) => {
            hasher.write(rows.in_file().content());
            hasher.write_codes(rows.in_file().rows());
            for (offset, multiplier) in &rows.coding().scales {
                hasher.write(offset.to_bits());
                hasher.write(multiplier.to_bits());
            }
        }
        Features::StreamedSparse(rows) => {
            hasher.write(rows.in_file().content());
            hasher.write_codes(rows.in_file().rows());
        }
        Features::Sparse(rows) => {
            hasher.write_numbers(rows.values());
            hasher.write_codes(rows.indices());
            hasher.write_offsets(rows.offsets());
        }
        Features::Tokens { ids, .. } => hasher.write_codes(ids),
    }
    hasher.write_codes(&part.lengths);
    hasher.write_numbers(part.weights.as_deref().unwrap_or_default());
    match &part.targets {
        Targets::Classes { labels, .. } | Targets::Steps { labels, .. } => hasher.write_codes(labels),
        Targets::Values { values, .. } => hasher.write_numbers(values),
        Targets::Sequences { labels, offsets, .. } => {
            hasher.write_codes(labels);
            hasher.write_offsets(offsets);
        }
    }
}

/// FNV-1a over whole words: fixed for the life of the checkpoint format, which the standard hasher is not.
struct Fnv(u64);

impl Fnv {
    fn write(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x0000_0100_0000_01b3);
    }

    fn write_numbers(&mut self, numbers: &[f32]) {
        numbers.iter().for_each(|number| self.write(u64::from(number.to_bits())));
    }

    fn write_codes(&mut self, codes: &[u32]) {
        codes.iter().for_each(|&code| self.write(u64::from(code)));
    }

    fn write_offsets(&mut self, offsets: &[usize]) {
        offsets.iter().for_each(|&offset| self.write(offset as u64));
    }
}
