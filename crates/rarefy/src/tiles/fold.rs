//! Small batches of sequences: where half of the lanes would be dead they hold the later half of the positions.
//!
//! ```text
//! as it is   position 0 [samples 0 .. 32, dead]      folded   position 0 [samples 0 .. 32, position 2 of the same]
//!            position 1 [samples 0 .. 32, dead]               position 1 [samples 0 .. 32, position 3 of the same]
//!            position 2 [samples 0 .. 32, dead]
//!            position 3 [samples 0 .. 32, dead]
//! ```
//! To a layer that looks at each position alone these are more samples of fewer positions: it need not know. Half as many
//! rows are read and written, and all lanes compute something.

use rayon::prelude::*;

use super::{HALF, Tiles};

/// Rows that one piece of copying covers.
const ROWS: usize = 256;

impl Tiles {
    /// Sets the number of live samples as [`Tiles::resize`] does, folded or not. Folding and unfolding makes all zeros.
    ///
    /// # Panics
    /// If there are more samples than fit, or the features cannot be halved.
    pub fn resize_as(&mut self, samples: usize, folded: bool) {
        if folded != self.folded {
            self.folded = folded;
            self.rows.resize(0);
            assert!(
                !folded || self.features.is_multiple_of(2),
                "{} features cannot be folded",
                self.features
            );
            self.features = if folded { self.features / 2 } else { 2 * self.features };
            self.samples = 0;
        }
        assert!(!folded || samples <= HALF, "{samples} samples cannot be folded");
        self.resize(if folded { HALF + samples } else { samples });
    }

    /// Fills folded tiles with what others hold.
    ///
    /// # Panics
    /// If they are not folded, or hold others than those.
    pub fn fold(&mut self, from: &Tiles) {
        assert!(
            self.folded && !from.folded && from.samples == self.samples - HALF,
            "the same samples, folded"
        );
        let (count, rows) = (self.features, from.rows());
        self.rows.par_chunks_mut(ROWS).enumerate().for_each(|(piece, folded)| {
            for (index, row) in (piece * ROWS..).zip(folded) {
                let (early, late) = row.0.split_at_mut(HALF);
                early.copy_from_slice(&rows[index].0[..HALF]);
                late.copy_from_slice(&rows[index + count].0[..HALF]);
            }
        });
        // Only the samples have lengths, not the lanes that their later positions have.
        let lengths = from.lengths.iter().copied();
        self.lengths.clear();
        self.lengths.extend(lengths);
        if !self.lengths.is_empty() {
            self.lengths.resize(self.samples, 0);
        }
    }

    /// Fills tiles with what folded ones hold.
    ///
    /// # Panics
    /// If those are not folded, or hold others.
    pub fn unfold(&mut self, from: &Tiles) {
        assert!(
            from.folded && !self.folded && self.samples == from.samples - HALF,
            "the same samples, not folded"
        );
        let (count, rows) = (from.features, from.rows());
        self.rows.par_chunks_mut(ROWS).enumerate().for_each(|(piece, unfolded)| {
            for (index, row) in (piece * ROWS..).zip(unfolded) {
                let (early, late) = rows[index % count].0.split_at(HALF);
                row.0[..HALF].copy_from_slice(if index < count { early } else { late });
            }
        });
        self.lengths.clear();
        self.lengths.extend(from.lengths.iter().take(self.samples));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tiles::Row;

    #[test]
    fn what_is_folded_unfolds_to_what_it_was() {
        let mut tiles = Tiles::zeros(4, 3);
        (0..3).for_each(|sample| tiles.set_sample(sample, &[1, 2, 3, 4].map(|at| (10 * sample + at) as f32)));
        tiles.set_lengths([2, 1, 2].into_iter());
        let mut folded = Tiles::zeros(4, 3);
        folded.resize_as(3, true);
        folded.fold(&tiles);
        assert_eq!((folded.features(), folded.tiles(), folded.is_half(0)), (2, 1, false));
        assert_eq!((folded.at(1, 0), folded.at(HALF + 1, 0), folded.at(HALF + 1, 1)), (11.0, 13.0, 14.0));
        let mut back = Tiles::zeros(4, 3);
        back.unfold(&folded);
        assert_eq!((back.rows(), back.lengths()), (tiles.rows(), tiles.lengths()));
        folded.resize_as(70, false);
        assert_eq!((folded.features(), folded.rows().len()), (4, 8));
        assert!(folded.rows().iter().all(|row| *row == Row::ZERO));
    }
}
