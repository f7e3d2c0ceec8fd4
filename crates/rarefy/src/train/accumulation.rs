//! What accumulating gradients over micro-batches goes with: all that needs no more of a batch than its summed gradient.

use super::Settings;
use crate::tiles::LANES;
use crate::{Error, Result};

/// The most micro-batches of a step.
const MOST: usize = 1 << 16;

impl Settings {
    /// Checks `train.accumulate`, which promises the bits of one large batch.
    ///
    /// # Errors
    /// A number out of range, and settings with which the promise cannot be kept.
    pub(super) fn check_accumulation(&self) -> Result<()> {
        let count = self.train.accumulate;
        if !(1..=MOST).contains(&count) {
            return Err(Error::setting("train.accumulate", format!("{count} is not between 1 and {MOST}")));
        }
        if count == 1 {
            return Ok(());
        }
        // Sums over tiles are a binary tree.
        let is_whole = |size: usize| size >= LANES && size.is_power_of_two();
        if !self.train.batch_size.is_some_and(is_whole) {
            let problem = format!(
                "must be 64, 128, 256 or another power of two with train.accumulate = {count}: micro-batches of such sizes add \
                 up to the same bits as one large batch"
            );
            return Err(Error::setting("train.batch_size", problem));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_the_whole_batch_is_refused() {
        let cases = [
            ("train.accumulate = 0", "train.accumulate: 0 is not between 1 and 65536"),
            (
                "train.batch_size = 32\ntrain.accumulate = 2",
                "train.batch_size: must be 64, 128, 256 or another power of two",
            ),
            ("train.batch_size = 192\ntrain.accumulate = 2", "train.batch_size: must be 64"),
        ];
        for (text, message) in cases {
            let given =
                if text.contains("accumulate") { "" } else { "train = {batch_size = 128, accumulate = 2}\n" };
            let settings: Settings = toml::from_str(&format!("{given}{text}")).unwrap();
            let error = settings.check_accumulation().unwrap_err().to_string();
            assert!(error.starts_with(message), "{text}: {error}");
        }
        let fine = "train = {batch_size = 128, accumulate = 3}\ntopology.method = 'set'";
        toml::from_str::<Settings>(fine).unwrap().check_accumulation().unwrap();
    }
}
