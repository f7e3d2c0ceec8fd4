//! The mel filter bank: triangles that are evenly spaced in mel and overlap by half,
//!
//! ```text
//!  1  /\/\ /\  /\   /\        mel(f) = 2595 log10(1 + f / 700)
//!  0 /_/\_X__\/__\_/__\__ Hz
//! ```
//! each 1 at its centre and straight in Hz down to the centres beside it. This is the HTK scale without division by the
//! width: torchaudio's default, and librosa's `filters.mel(htk=True, norm=None)`. Young et al., "The HTK Book" (3.4),
//! section 5.4.

use crate::{Error, Result};

/// A filter bank for one FFT size.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct MelBank {
    /// For each band, the first bin that it hears and its weights from there on.
    bands: Vec<(usize, Vec<f32>)>,
}

impl MelBank {
    /// `mels` bands from `low` to `high` Hz over the `fft / 2 + 1` bins of the spectrum of a sound of `rate` Hz.
    ///
    /// # Errors
    /// If bands are so narrow that one falls between two bins, or `high` is above half of the rate.
    pub(super) fn new(mels: usize, low: f64, high: f64, fft: usize, rate: u32) -> Result<MelBank> {
        let half = f64::from(rate) / 2.0;
        if high > half {
            let problem =
                format!("{high} is above {half} Hz, half of the sample rate; lower it, or leave it out");
            return Err(Error::setting("data.audio.high_hz", problem));
        }
        if low >= high {
            let problem = format!("{low} must be below {high} Hz, the upper end of the filter bank");
            return Err(Error::setting("data.audio.low_hz", problem));
        }
        let step = (to_mel(high) - to_mel(low)) / (mels + 1) as f64;
        let edge = |index: usize| to_hz(to_mel(low) + step * index as f64);
        let hz = |bin: usize| bin as f64 * f64::from(rate) / fft as f64;
        let band = |band: usize| {
            let (left, centre, right) = (edge(band), edge(band + 1), edge(band + 2));
            let weight = |bin: usize| {
                let (rise, fall) = ((hz(bin) - left) / (centre - left), (right - hz(bin)) / (right - centre));
                rise.min(fall).max(0.0) as f32
            };
            let first = (0..=fft / 2).find(|&bin| weight(bin) > 0.0)?;
            Some((first, (first..=fft / 2).map(weight).take_while(|&weight| weight > 0.0).collect()))
        };
        let bands = (0..mels).map(band).collect::<Option<Vec<_>>>().ok_or_else(|| {
            let problem = format!(
                "{mels} bands are too narrow for the {fft} points of the Fourier transform at {rate} Hz: some hear nothing; give fewer, or raise data.audio.window_ms"
            );
            Error::setting("data.audio.mels", problem)
        })?;
        Ok(MelBank { bands })
    }

    /// The energy in each band of a power spectrum.
    pub(super) fn apply(&self, power: &[f32], out: &mut [f32]) {
        for ((first, weights), out) in self.bands.iter().zip(out) {
            *out = weights.iter().zip(&power[*first..]).map(|(weight, power)| weight * power).sum();
        }
    }
}

fn to_mel(hz: f64) -> f64 {
    2595.0 * (1.0 + hz / 700.0).log10()
}

fn to_hz(mel: f64) -> f64 {
    700.0 * (10f64.powf(mel / 2595.0) - 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_overlap_to_one_between_the_outer_centres() {
        let bank = MelBank::new(20, 0.0, 4000.0, 512, 8000).unwrap();
        let mut sums = vec![0.0; 257];
        for (first, weights) in &bank.bands {
            weights.iter().zip(&mut sums[*first..]).for_each(|(weight, sum)| *sum += weight);
        }
        let step = to_mel(4000.0) / 21.0;
        for (bin, sum) in sums.iter().enumerate() {
            let mel = to_mel(bin as f64 * 8000.0 / 512.0);
            if mel > step && mel < 20.0 * step {
                assert!((sum - 1.0).abs() < 1e-5, "bin {bin}: {sum}");
            }
        }
    }

    /// librosa 0.11.0: `filters.mel(sr=8000, n_fft=256, n_mels=40, fmin=20, fmax=4000, htk=True, norm=None)`.
    #[test]
    fn weights_are_those_of_librosa() {
        let bank = MelBank::new(40, 20.0, 4000.0, 256, 8000).unwrap();
        for (band, first, expected) in [
            (0, 1, &[0.3337, 0.7509][..]),
            (1, 2, &[0.2491, 0.8714, 0.0255]),
            (17, 28, &[0.1044, 0.5303, 0.9561, 0.6351, 0.2283]),
        ] {
            let (start, weights) = &bank.bands[band];
            assert_eq!((*start, weights.len()), (first, expected.len()), "band {band}");
            assert!(
                weights.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-4),
                "band {band}: {weights:?}"
            );
        }
    }

    #[test]
    fn banks_that_do_not_fit_the_spectrum_are_refused() {
        for (mels, low, high, fft, problem) in [
            (40, 20.0, 4001.0, 256, "data.audio.high_hz: 4001 is above 4000 Hz"),
            (40, 4000.0, 4000.0, 256, "data.audio.low_hz: 4000 must be below"),
            (200, 20.0, 4000.0, 256, "data.audio.mels: 200 bands are too narrow"),
        ] {
            let error = MelBank::new(mels, low, high, fft, 8000).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
    }
}
