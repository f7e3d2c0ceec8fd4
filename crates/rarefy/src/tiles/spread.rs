//! One sample whose positions are lanes: what would be one live lane of a tile for each position is a few whole tiles.
//!
//! ```text
//! as it is   position 0: channel 0 [sample, dead ...]      spread   tile 0: channel 0 [position 0 .. position 63]
//!                        channel 1 [sample, dead ...]                       channel 1 [position 0 .. position 63]
//!            position 1: channel 0 [sample, dead ...]               tile 1: channel 0 [position 64 ..]
//! ```
//! To a layer that looks at each position alone these are many samples of one position: it need not know. A layer that looks
//! at several asks [`Tiles::is_spread`].

use super::{LANES, Shape, Tiles};

impl Tiles {
    /// Zeros for one sample, its positions as lanes: features are the channels, samples the positions.
    pub fn spread(shape: Shape) -> Tiles {
        Tiles { spread: true, ..Tiles::zeros(shape.channels, shape.positions()) }
    }

    /// Whether lanes are the positions of one sample.
    pub fn is_spread(&self) -> bool {
        self.spread
    }

    /// How many positions of a spread sample are there, the others being padding.
    pub fn real_positions(&self) -> usize {
        self.lengths.first().map_or(self.samples, |&length| length as usize)
    }

    /// Fills spread tiles with one sample of others.
    ///
    /// # Panics
    /// If these are not spread, or the others have another shape.
    pub fn spread_sample(&mut self, from: &Tiles, sample: usize) {
        assert!(
            self.spread && !from.spread && from.features == self.features * self.samples,
            "a sample, spread"
        );
        let (rows, lane) = (from.tile(sample / LANES), sample % LANES);
        for (position, channels) in rows.chunks_exact(self.features).enumerate() {
            let to = &mut self.rows[position / LANES * self.features..][..self.features];
            for (to, channel) in to.iter_mut().zip(channels) {
                to.0[position % LANES] = channel.0[lane];
            }
        }
        self.lengths.clear();
        self.lengths.extend(from.lengths.get(sample));
    }

    /// Makes one sample what a spread one holds; lengths are not looked at.
    ///
    /// # Panics
    /// If that is not spread, or has another shape.
    pub fn gather_sample(&mut self, sample: usize, from: &Tiles) {
        assert!(from.spread && self.features == from.features * from.samples, "the same sample, spread");
        let lane = sample % LANES;
        let rows = self.tile_mut(sample / LANES);
        for (position, channels) in rows.chunks_exact_mut(from.features).enumerate() {
            let from = &from.rows[position / LANES * from.features..][..from.features];
            for (channel, from) in channels.iter_mut().zip(from) {
                channel.0[lane] = from.0[position % LANES];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spread_is_gathered_as_it_was() {
        let shape = Shape { height: 7, width: 10, channels: 3 };
        let mut tiles = Tiles::zeros(shape.features(), 66);
        let sample: Vec<f32> = (0..shape.features()).map(|at| at as f32).collect();
        tiles.set_sample(65, &sample);
        tiles.set_lengths((0..66).map(|sample| sample / 13));
        let mut spread = Tiles::spread(shape);
        spread.spread_sample(&tiles, 65);
        assert_eq!((spread.features(), spread.samples(), spread.tiles()), (3, 70, 2));
        assert_eq!((spread.at(1, 2), spread.at(69, 0), spread.real_positions()), (5.0, 207.0, 5));
        let mut back = Tiles::zeros(shape.features(), 3);
        back.gather_sample(2, &spread);
        assert_eq!((back.sample(2), back.at(1, 7)), (sample, 0.0));
    }
}
