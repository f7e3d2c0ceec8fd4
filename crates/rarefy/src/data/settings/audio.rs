//! What the user may say about the features of recordings: `data.audio`.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Rates that sound comes in, Hz. They also bound the filters to 80 MB.
pub(crate) const RATES: std::ops::RangeInclusive<u32> = 1_000..=384_000;

/// How a recording becomes numbers: frames of a few milliseconds, each a row of features.
///
/// ```text
/// log-mel  e[b] = ln(max(energy of band b, 1e-10))              bands evenly spaced in mel(f) = 2595 log10(1 + f / 700)
/// MFCC     c[k] = s_k sum_b e[b] cos(pi k (b + 1/2) / mels),    s_0 = sqrt(1 / mels), s_k = sqrt(2 / mels)
/// deltas   d[t] = sum_{i=1,2} i (c[t+i] - c[t-i]) / 10, the ends repeated; once for the change, twice for its change
/// ```
///
/// Davis and Mermelstein 1980; mel and deltas: Young et al., "The HTK Book" (3.4), section 5.4 and equation 5.16. No pre-emphasis, no
/// liftering.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AudioSettings {
    /// What each frame becomes.
    pub features: AudioFeatures,
    /// Length of a frame, in milliseconds.
    pub window_ms: f64,
    /// From one frame to the next, in milliseconds.
    pub hop_ms: f64,
    /// Mel bands of the filter bank.
    pub mels: usize,
    /// Cepstral coefficients that `mfcc` keeps, the zeroth (loudness) included.
    pub coefficients: usize,
    /// Whether each feature comes with its first and second change over time.
    pub deltas: bool,
    /// Lowest frequency of the filter bank, in Hz.
    pub low_hz: f64,
    /// Length of every sample, in seconds: of a longer recording the start is taken, a shorter one is filled up. If not
    /// given, the longest recording decides, and nothing is cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// Highest frequency of the filter bank, in Hz; half of the sample rate if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high_hz: Option<f64>,
}

/// What each frame of a recording becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AudioFeatures {
    /// The logarithm of the energy in each mel band.
    #[default]
    LogMel,
    /// Mel-frequency cepstral coefficients: the cosine transform of those logarithms, its first coefficients.
    Mfcc,
}

impl Default for AudioSettings {
    fn default() -> AudioSettings {
        AudioSettings {
            features: AudioFeatures::LogMel,
            window_ms: 25.0,
            hop_ms: 10.0,
            mels: 40,
            coefficients: 13,
            deltas: false,
            low_hz: 20.0,
            seconds: None,
            high_hz: None,
        }
    }
}

impl AudioSettings {
    /// Features of a frame before their changes are added: mel bands or coefficients.
    pub(crate) fn bands(&self) -> usize {
        match self.features {
            AudioFeatures::LogMel => self.mels,
            AudioFeatures::Mfcc => self.coefficients,
        }
    }

    /// Features of a frame.
    pub fn per_frame(&self) -> usize {
        self.bands() * if self.deltas { 3 } else { 1 }
    }

    /// Checks what can be checked without knowing the sample rate.
    ///
    /// # Errors
    /// Names the key that cannot be used and what it may be.
    pub fn check(&self) -> Result<()> {
        for (key, ms) in [("data.audio.window_ms", self.window_ms), ("data.audio.hop_ms", self.hop_ms)] {
            if !(0.1..=10_000.0).contains(&ms) {
                let problem =
                    format!("{ms} is not a length in milliseconds; give a number from 0.1 to 10000");
                return Err(Error::setting(key, problem));
            }
        }
        if let Some(seconds) = self.seconds.filter(|seconds| !(1e-3..=3600.0).contains(seconds)) {
            let problem = format!("{seconds} is not a length in seconds; give a number from 0.001 to 3600");
            return Err(Error::setting("data.audio.seconds", problem));
        }
        if !(1..=1024).contains(&self.mels) {
            let problem = format!("{} is not a number of mel bands; give one from 1 to 1024", self.mels);
            return Err(Error::setting("data.audio.mels", problem));
        }
        if self.features == AudioFeatures::Mfcc && !(1..=self.mels).contains(&self.coefficients) {
            let problem =
                format!("must be from 1 to data.audio.mels = {}, not {}", self.mels, self.coefficients);
            return Err(Error::setting("data.audio.coefficients", problem));
        }
        if !(self.low_hz >= 0.0 && self.low_hz.is_finite()) {
            let problem = format!("{} is not a frequency; give 0 or more", self.low_hz);
            return Err(Error::setting("data.audio.low_hz", problem));
        }
        if let Some(high) = self.high_hz.filter(|&high| !(high > self.low_hz && high.is_finite())) {
            let problem = format!("{high} must be above data.audio.low_hz = {}", self.low_hz);
            return Err(Error::setting("data.audio.high_hz", problem));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_out_of_range_are_refused_by_key() {
        assert!(AudioSettings::default().check().is_ok());
        for (text, problem) in [
            ("window_ms = 0", "data.audio.window_ms: 0 is not a length"),
            ("hop_ms = nan", "data.audio.hop_ms: NaN is not a length"),
            ("seconds = 0", "data.audio.seconds: 0 is not a length"),
            ("mels = 0", "data.audio.mels: 0 is not a number"),
            (
                "features = 'mfcc'\nmels = 10",
                "data.audio.coefficients: must be from 1 to data.audio.mels = 10, not 13",
            ),
            ("low_hz = -1", "data.audio.low_hz: -1"),
            ("low_hz = 300\nhigh_hz = 300", "data.audio.high_hz: 300 must be above"),
        ] {
            let error = toml::from_str::<AudioSettings>(text).unwrap().check().unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
        // The coefficients do not matter where none are made.
        assert!(toml::from_str::<AudioSettings>("mels = 10").unwrap().check().is_ok());
    }

    #[test]
    fn the_width_of_a_frame_follows_the_features() {
        for (text, width) in [
            ("", 40),
            ("deltas = true", 120),
            ("features = 'mfcc'", 13),
            ("features = 'mfcc'\ncoefficients = 20\ndeltas = true", 60),
        ] {
            assert_eq!(toml::from_str::<AudioSettings>(text).unwrap().per_frame(), width);
        }
    }
}
