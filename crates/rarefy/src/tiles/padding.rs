//! What stands beyond the ends of samples that are shorter than the network's sequences.

use rayon::prelude::*;

use super::{LANES, Row, Tiles};

impl Tiles {
    /// Zeroes all channels of the steps that a sample does not have; how long each is `samples` says, whose sequences have as many
    /// steps.
    pub fn clear_beyond(&mut self, samples: &Tiles, steps: usize) {
        let channels = self.features / steps;
        self.rows.par_chunks_mut(self.features).enumerate().for_each(|(tile, rows)| {
            let real = samples.real_steps(tile, steps);
            let shortest = real.into_iter().min().unwrap_or(0) as usize;
            for (step, rows) in rows.chunks_exact_mut(channels).enumerate().skip(shortest) {
                let kept: [bool; LANES] = std::array::from_fn(|lane| step < real[lane] as usize);
                for Row(lanes) in rows {
                    for lane in 0..LANES {
                        lanes[lane] = if kept[lane] { lanes[lane] } else { 0.0 };
                    }
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_that_are_not_there_become_zero() {
        let mut tiles = Tiles::zeros(4, 66);
        tiles.rows_mut().fill(Row([1.0; LANES]));
        let mut samples = Tiles::zeros(2, 66);
        samples.set_lengths((0..66).map(|sample| sample % 3));
        tiles.clear_beyond(&samples, 2);
        assert_eq!([0, 1, 2, 64, 65].map(|sample| tiles.sample(sample)[1]), [0.0, 1.0, 1.0, 1.0, 1.0]);
        assert_eq!([0, 1, 2, 64, 65].map(|sample| tiles.sample(sample)[2]), [0.0, 0.0, 1.0, 0.0, 1.0]);
    }
}
