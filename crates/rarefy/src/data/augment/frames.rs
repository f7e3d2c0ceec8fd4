//! Changes to the features of a training recording, in place. They are `[time][feature]`, scaled, so that 0 is the mean,
//! and zero after the recording's end. The waveform itself is not changed: its features are computed once.
//!
//! Masks are SpecAugment's (Park et al. 2019, section 2), without its warping of time, which that paper found to matter
//! least. Each function draws what it needs from the stream that it is handed.

use crate::random::Stream;

/// The features of a recording.
pub(crate) struct Frames<'a> {
    /// `frames x width` numbers.
    pub features: &'a mut [f32],
    /// Features of a frame: mel bands or coefficients, or these and their changes.
    pub width: usize,
    /// Mel bands or coefficients.
    pub bands: usize,
    /// Frames of the recording; those after are filled up.
    pub length: usize,
}

impl Frames<'_> {
    /// Moves the recording by up to `most` frames, earlier or later, each distance equally likely; what leaves the
    /// sample is lost, what comes in is 0. The length follows, and a frame at least is kept.
    pub(crate) fn shift(&mut self, most: usize, stream: &mut Stream) {
        let later = stream.below(2 * most + 1) as isize - most as isize;
        let (frames, length, width) = (self.features.len() / self.width, self.length, self.width);
        let by = later.unsigned_abs();
        if later >= 0 {
            let by = by.min(frames - 1);
            let kept = length.min(frames - by);
            self.features.copy_within(..kept * width, by * width);
            self.features[..by * width].fill(0.0);
            self.length = kept + by;
        } else {
            let by = by.min(length - 1);
            self.features.copy_within(by * width..length * width, 0);
            self.features[(length - by) * width..length * width].fill(0.0);
            self.length = length - by;
        }
    }

    /// Sets up to `most` frames in a row to 0, each number and then each place equally likely.
    pub(crate) fn mask_time(&mut self, most: usize, stream: &mut Stream) {
        let (first, count) = run(most, self.length, stream);
        self.features[first * self.width..][..count * self.width].fill(0.0);
    }

    /// Sets up to `most` neighbouring bands to 0 in all frames, and their changes with them.
    pub(crate) fn mask_bands(&mut self, most: usize, stream: &mut Stream) {
        let (first, count) = run(most, self.bands, stream);
        for bands in self.features.chunks_exact_mut(self.bands) {
            bands[first..first + count].fill(0.0);
        }
    }

    /// Adds noise from a normal distribution to the frames of the recording.
    pub(crate) fn add_noise(&mut self, deviation: f32, stream: &mut Stream) {
        for feature in &mut self.features[..self.length * self.width] {
            *feature += deviation * stream.normal();
        }
    }
}

/// A run of up to `most` of `all` places: the first, and how many.
fn run(most: usize, all: usize, stream: &mut Stream) -> (usize, usize) {
    let count = stream.below(most.min(all) + 1);
    (stream.below(all - count + 1), count)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::random::Purpose;

    fn stream(number: u64) -> Stream {
        Stream::new(1, Purpose::Bench, 0, number)
    }

    /// Applies a change to a recording of 5 frames, filled up to 8, of the numbers from 1 in 2 bands and their changes.
    fn changed(change: impl Fn(&mut Frames)) -> (Vec<f32>, usize) {
        let mut features: Vec<f32> =
            (1..=32).map(|number| if number <= 20 { number as f32 } else { 0.0 }).collect();
        let mut frames = Frames { features: &mut features, width: 4, bands: 2, length: 5 };
        change(&mut frames);
        let length = frames.length;
        (features, length)
    }

    #[test]
    fn a_shifted_recording_keeps_its_order_and_its_length_follows() {
        let mut seen = BTreeSet::new();
        for number in 0..300 {
            let (features, length) = changed(|frames| frames.shift(6, &mut stream(number)));
            let firsts: Vec<usize> = features.chunks(4).map(|frame| frame[0] as usize / 4).collect();
            let shown: Vec<bool> = features.chunks(4).map(|frame| frame[0] != 0.0).collect();
            seen.insert((shown, firsts, length));
        }
        let frames = |from: usize, numbers: std::ops::Range<usize>| {
            let mut all = (vec![false; 8], vec![0; 8], from + numbers.len());
            for (at, number) in (from..8).zip(numbers) {
                (all.0[at], all.1[at]) = (true, number);
            }
            all.2 = all.2.min(8);
            all
        };
        let mut expected = BTreeSet::new();
        expected.extend((0..=6).map(|later| frames(later, 0..5)));
        expected.extend((0..=4).map(|earlier| frames(0, earlier..5)));
        assert_eq!(seen, expected);
    }

    #[test]
    fn masks_are_runs_of_every_width_and_place() {
        let (mut times, mut bands) = (BTreeSet::new(), BTreeSet::new());
        for number in 0..500 {
            let (features, _) = changed(|frames| frames.mask_time(3, &mut stream(number)));
            let masked: Vec<usize> = (0..5).filter(|&t| features[t * 4..][..4] == [0.0; 4]).collect();
            assert_eq!(features[..20].iter().filter(|&&feature| feature == 0.0).count(), masked.len() * 4);
            assert!(masked.windows(2).all(|pair| pair[1] == pair[0] + 1));
            times.insert(masked);
            let (features, _) = changed(|frames| frames.mask_bands(1, &mut stream(number)));
            let masked: Vec<usize> = (0..4).filter(|&band| features[band] == 0.0).collect();
            assert!((0..20).all(|at| (features[at] == 0.0) == masked.contains(&(at % 4))));
            bands.insert(masked);
        }
        // None, 5 of one, 4 of two, 3 of three.
        assert_eq!(times.len(), 13);
        assert_eq!(bands.into_iter().collect::<Vec<_>>(), [vec![], vec![0, 2], vec![1, 3]]);
        // A mask wider than the recording may hide all of it, and no more.
        assert!((0..200).any(|n| changed(|frames| frames.mask_time(99, &mut stream(n))).0 == [0.0; 32]));
    }

    #[test]
    fn noise_has_its_deviation_and_stays_inside_the_recording() {
        let mut features = vec![0.0; 40 * 1000];
        Frames { features: &mut features, width: 40, bands: 40, length: 900 }.add_noise(0.5, &mut stream(0));
        let variance = features[..36_000].iter().map(|x| x * x).sum::<f32>() / 36_000.0;
        assert!((variance - 0.25).abs() < 0.01, "{variance}");
        assert!(features[36_000..].iter().all(|&x| x == 0.0));
    }
}
