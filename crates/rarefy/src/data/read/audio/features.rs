//! Features of speech: log-mel energies or MFCC, perhaps with their changes over time.
//!
//! ```text
//! log-mel  e[b] = ln(max(energy of band b, 1e-10))
//! MFCC     c[k] = s_k sum_b e[b] cos(pi k (b + 1/2) / mels),  s_0 = sqrt(1 / mels), s_k = sqrt(2 / mels)   (DCT-II, orthonormal)
//! deltas   d[t] = sum_{i=1,2} i (c[t+i] - c[t-i]) / 10, the ends repeated; once for the change, twice for its change
//! ```
//! Davis and Mermelstein 1980; deltas: "The HTK Book" (3.4), equation 5.16. No pre-emphasis, no liftering.

use std::f64::consts::PI;

use super::mel::MelBank;
use super::spectrum::{Spectrum, fft_size};
use crate::data::settings::{AudioFeatures, AudioSettings};
use crate::{Error, Result};

/// Energies below this, that of a 16-bit sound far below its last bit, count as silence.
const FLOOR: f32 = 1e-10;
/// Frames to each side that a change is measured over.
const REACH: usize = 2;

/// Turns recordings of one sample rate into features.
pub(crate) struct Extractor {
    spectrum: Spectrum,
    bank: MelBank,
    /// `coefficients x mels`, or empty for log-mel.
    cosines: Vec<f32>,
    mels: usize,
    bands: usize,
    deltas: bool,
}

impl Extractor {
    /// Prepares to read sounds of `rate` samples a second.
    ///
    /// # Errors
    /// Settings that do not fit the rate, by key.
    pub(crate) fn new(settings: &AudioSettings, rate: u32) -> Result<Extractor> {
        let samples = |key: &str, ms: f64| match (ms * f64::from(rate) / 1000.0).round() as usize {
            0 => Err(Error::setting(key, format!("{ms} ms hold no sample at {rate} Hz; raise it"))),
            count => Ok(count),
        };
        let window = samples("data.audio.window_ms", settings.window_ms)?;
        let hop = samples("data.audio.hop_ms", settings.hop_ms)?;
        let high = settings.high_hz.unwrap_or(f64::from(rate) / 2.0);
        let mels = settings.mels;
        let bank = MelBank::new(mels, settings.low_hz, high, fft_size(window), rate)?;
        let cosines = match settings.features {
            AudioFeatures::LogMel => Vec::new(),
            AudioFeatures::Mfcc => cosines(settings.coefficients, mels),
        };
        let (bands, deltas) = (settings.bands(), settings.deltas);
        Ok(Extractor { spectrum: Spectrum::new(window, hop), bank, cosines, mels, bands, deltas })
    }

    /// Frames in a recording of so many samples.
    pub(crate) fn frames(&self, samples: usize) -> usize {
        self.spectrum.frames(samples)
    }

    /// The features of a recording, `frames x per_frame`, row-major: all bands or coefficients of a frame, then their
    /// first changes, then their second ones.
    pub(crate) fn features(&self, samples: &[f32]) -> Vec<f32> {
        let frames = self.spectrum.frames(samples.len());
        let width = self.bands * if self.deltas { 3 } else { 1 };
        let mut all = vec![0.0; frames * width];
        let mut scratch = self.spectrum.scratch();
        let mut energies = vec![0.0; self.mels];
        for (frame, row) in all.chunks_exact_mut(width).enumerate() {
            self.spectrum.power(samples, frame, &mut scratch);
            self.bank.apply(&scratch.power, &mut energies);
            energies.iter_mut().for_each(|energy| *energy = energy.max(FLOOR).ln());
            if self.cosines.is_empty() {
                row[..self.bands].copy_from_slice(&energies)
            } else {
                for (out, cosines) in row.iter_mut().zip(self.cosines.chunks_exact(self.mels)) {
                    *out = cosines.iter().zip(&energies).map(|(cosine, energy)| cosine * energy).sum();
                }
            }
        }
        if self.deltas {
            add_changes(&mut all, frames, width, 0, self.bands);
            add_changes(&mut all, frames, width, self.bands, self.bands);
        }
        all
    }
}

/// The orthonormal DCT-II, its first rows.
fn cosines(coefficients: usize, mels: usize) -> Vec<f32> {
    let count = mels as f64;
    let cosine = |k: usize, band: usize| {
        let scale = (if k == 0 { 1.0 } else { 2.0 } / count).sqrt();
        (scale * (PI * k as f64 * (band as f64 + 0.5) / count).cos()) as f32
    };
    (0..coefficients).flat_map(|k| (0..mels).map(move |band| cosine(k, band))).collect()
}

/// Writes the changes of columns `from..from + bands` of each row into the columns after them.
fn add_changes(all: &mut [f32], frames: usize, width: usize, from: usize, bands: usize) {
    for frame in 0..frames {
        for column in from..from + bands {
            let at = |frame: usize| all[frame.min(frames - 1) * width + column];
            let difference = |i: usize| i as f32 * (at(frame + i) - at(frame.saturating_sub(i)));
            let squares: usize = (1..=REACH).map(|i| i * i).sum();
            all[frame * width + column + bands] =
                (1..=REACH).map(difference).sum::<f32>() / (2 * squares) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sound whose samples are easy to make anywhere: two tones that swell, and pseudo-random noise.
    fn sound(samples: usize) -> Vec<f32> {
        let mut state = 1u32;
        let sample = |n: usize| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = f64::from(state >> 8) / f64::from(1 << 24) - 0.5;
            let t = n as f64 / 8000.0;
            let tones = (2.0 * PI * 440.0 * t).sin() + 0.5 * (2.0 * PI * 1900.0 * t).sin();
            (0.3 * tones * (PI * n as f64 / samples as f64).sin() + 0.02 * noise) as f32
        };
        (0..samples).map(sample).collect()
    }

    fn close(found: &[f32], expected: &[f32], what: &str) {
        assert_eq!(found.len(), expected.len(), "{what}");
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-3, "{what}: {found}, expected {expected}");
        }
    }

    /// librosa 0.11.0 in double precision: `melspectrogram(sr=8000, n_fft=256, hop_length=80, win_length=200,
    /// center=False, power=2, n_mels=40, fmin=20, fmax=4000, htk=True, norm=None)` of `sound(2000)` between 28 zeros on each
    /// side (librosa centres the window in the points of the transform), `log(maximum(., 1e-10))`,
    /// `mfcc(S=., n_mfcc=13, norm="ortho")` and `feature.delta(., width=5, order=1, mode="nearest")`, once and twice.
    #[test]
    fn features_are_those_of_librosa() {
        let sound = sound(2000);
        let log_mel = Extractor::new(&AudioSettings::default(), 8000).unwrap().features(&sound);
        assert_eq!(log_mel.len(), 23 * 40);
        for (frame, expected) in [
            (0, [-7.8787, -5.7603, -5.8254, -5.0699, -4.4178]),
            (11, [-6.1358, -5.5913, -4.4198, -5.2945, -3.5181]),
            (22, [-5.4332, -4.6543, -6.0297, -4.2484, -3.8929]),
        ] {
            let found = [0, 5, 12, 25, 39].map(|band| log_mel[frame * 40 + band]);
            close(&found, &expected, &format!("log-mel, frame {frame}"));
        }
        let settings =
            AudioSettings { features: AudioFeatures::Mfcc, deltas: true, ..AudioSettings::default() };
        let mfcc = Extractor::new(&settings, 8000).unwrap().features(&sound);
        assert_eq!(mfcc.len(), 23 * 39);
        for (frame, expected) in [
            (
                0,
                [
                    -27.4529, -1.5877, -1.0121, -1.0984, -9.2307, -6.2012, 0.1827, -0.0238, 2.9063, 3.6831,
                    -0.4249, -0.6059, -1.9081,
                ],
            ),
            (
                11,
                [
                    -21.1626, 1.9555, -1.3753, -1.9783, -11.6542, -7.7033, 4.4049, -1.4003, 6.3482, 8.2459,
                    -1.5723, -0.6674, -1.2291,
                ],
            ),
        ] {
            close(&mfcc[frame * 39..][..13], &expected, &format!("MFCC, frame {frame}"));
        }
        for (frame, first, second) in [
            (0, [0.3629, 0.3876, 0.1637], [0.1034, -0.0753, -0.0916]),
            (11, [-0.1692, -0.3436, -0.2310], [-0.2141, -0.2111, -0.0579]),
            (22, [-0.0571, 0.1281, -0.0433], [0.1270, 0.1226, -0.0891]),
        ] {
            let row = &mfcc[frame * 39..][..39];
            close(&row[13..16], &first, &format!("deltas, frame {frame}"));
            close(&row[26..29], &second, &format!("deltas of deltas, frame {frame}"));
        }
    }

    #[test]
    fn silence_and_the_shortest_recordings_have_finite_features() {
        for text in ["", "features = 'mfcc'\ndeltas = true"] {
            let settings: AudioSettings = toml::from_str(text).unwrap();
            let extractor = Extractor::new(&settings, 16_000).unwrap();
            for samples in [0, 1, 399, 400, 16_000] {
                let found = extractor.features(&vec![0.0; samples]);
                assert_eq!(found.len() % settings.per_frame(), 0);
                assert!(!found.is_empty() && found.iter().all(|number| number.is_finite()));
            }
        }
    }

    #[test]
    fn settings_that_do_not_fit_the_rate_are_refused() {
        for (text, problem) in [
            ("window_ms = 0.1", "data.audio.window_ms: 0.1 ms hold no sample at 4000 Hz"),
            ("high_hz = 3000", "data.audio.high_hz: 3000 is above 2000 Hz"),
            ("mels = 128", "data.audio.mels: 128 bands are too narrow"),
        ] {
            let settings: AudioSettings = toml::from_str(text).unwrap();
            let error = Extractor::new(&settings, 4000).err().unwrap().to_string();
            assert!(error.contains(problem), "{error}");
        }
    }
}
