//! Resampling by any rational ratio: a polyphase filter of windowed sinc pulses.
//!
//! With `L / M` the ratio of the rates in lowest terms, output `n` stands at `t = n M / L` input samples and is
//! ```text
//! y[n] = sum_k x[k] c sinc(c (t - k)) w((t - k) c / ZEROS),   c = ROLLOFF min(1, L / M),   w(u) = cos^2(pi u / 2)
//! ```
//! over `|t - k| c < ZEROS`: a low-pass filter just below half of the lower rate, under a Hann window. `t` has only `L`
//! different fractions, so `L` filters are computed once. Smith, "Digital Audio Resampling", ccrma.stanford.edu/~jos/resample;
//! the same definition as torchaudio's `resample(lowpass_filter_width=ZEROS, rolloff=ROLLOFF)`.

use std::f64::consts::PI;

use crate::data::settings::RATES;

/// Zero crossings of the sinc on each side. More make the filter steeper.
const ZEROS: f64 = 24.0;
/// Where the filter lets half through, as a part of half of the lower rate.
const ROLLOFF: f64 = 0.95;
/// Turns recordings of one rate into another.
#[derive(Debug, Clone)]
pub(crate) struct Resampler {
    /// `L` and `M`.
    up: usize,
    down: usize,
    /// Input samples that a filter reaches to the left of `floor(t)`.
    reach: usize,
    /// `up` filters of `taps` numbers each.
    filters: Vec<f32>,
    taps: usize,
}

impl Resampler {
    /// Prepares to turn `from` samples a second into `to`; none if either is no rate that sound comes in ([`RATES`]).
    pub(crate) fn new(from: u32, to: u32) -> Option<Resampler> {
        if !RATES.contains(&from) || !RATES.contains(&to) {
            return None;
        }
        let divisor = greatest_common_divisor(from, to);
        let (up, down) = ((to / divisor) as usize, (from / divisor) as usize);
        let cutoff = ROLLOFF * (to as f64 / from as f64).min(1.0);
        let reach = (ZEROS / cutoff).ceil() as usize;
        let taps = 2 * reach + 1;
        let mut filters = Vec::with_capacity(up * taps);
        for phase in 0..up {
            let fraction = phase as f64 / up as f64;
            let pulse = |tap: usize| pulse(fraction + reach as f64 - tap as f64, cutoff) as f32;
            filters.extend((0..taps).map(pulse));
        }
        Some(Resampler { up, down, reach, filters, taps })
    }

    /// Resamples a recording. `n` samples become `ceil(n L / M)`; beyond its ends it is silent.
    pub(crate) fn resample(&self, samples: &[f32]) -> Vec<f32> {
        let count = (samples.len() * self.up).div_ceil(self.down);
        let output = |n: usize| {
            let (at, phase) = (n * self.down / self.up, n * self.down % self.up);
            let filter = &self.filters[phase * self.taps..][..self.taps];
            // Tap `i` meets sample `at - reach + i`.
            let first = self.reach.saturating_sub(at);
            let start = (at + first) - self.reach;
            let pairs = filter[first..].iter().zip(&samples[start..]);
            pairs.map(|(&tap, &sample)| f64::from(tap) * f64::from(sample)).sum::<f64>() as f32
        };
        (0..count).map(output).collect()
    }
}

/// `c sinc(c x) w(c x / ZEROS)`.
fn pulse(x: f64, cutoff: f64) -> f64 {
    let x = x * cutoff;
    if x.abs() >= ZEROS {
        return 0.0;
    }
    let window = (PI * x / ZEROS / 2.0).cos().powi(2);
    let sinc = if x == 0.0 { 1.0 } else { (PI * x).sin() / (PI * x) };
    cutoff * sinc * window
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(rate: u32, frequency: f64, seconds: f64) -> Vec<f32> {
        let step = 2.0 * PI * frequency / f64::from(rate);
        (0..(seconds * f64::from(rate)) as usize).map(|n| (step * n as f64).sin() as f32).collect()
    }

    /// The largest difference, the ends left out.
    fn difference(found: &[f32], expected: &[f32]) -> f32 {
        let apart = |n: usize| (found[n] - expected[n]).abs();
        (400..found.len().min(expected.len()) - 400).map(apart).fold(0.0, f32::max)
    }

    #[test]
    fn a_tone_below_half_of_the_lower_rate_stays_and_one_above_goes() {
        for (from, to) in [
            (16_000, 8_000),
            (8_000, 16_000),
            (44_100, 8_000),
            (48_000, 16_000),
            (8_001, 8_000),
            (22_050, 16_000),
        ] {
            let resampler = Resampler::new(from, to).unwrap();
            let half = f64::from(from.min(to)) / 2.0;
            // The filter falls from 87 to 103 % of half of the lower rate, and ripples a little beside that.
            for (part, most) in [(0.01, 1e-3), (0.5, 1e-3), (0.8, 2e-3), (0.86, 1e-2)] {
                let found = resampler.resample(&sine(from, part * half, 0.5));
                let off = difference(&found, &sine(to, part * half, 0.5));
                assert!(off < most, "{from} to {to}, {part} of half the rate: {off}");
            }
            if half * 1.3 < f64::from(from) / 2.0 {
                for (part, most) in [(1.04, 1e-2), (1.3, 1e-3)] {
                    let found = resampler.resample(&sine(from, part * half, 0.5));
                    let off = difference(&found, &vec![0.0; found.len()]);
                    assert!(off < most, "{from} to {to}, {part} of half the rate: an alias of {off}");
                }
            }
        }
    }

    #[test]
    fn the_count_is_rounded_up_and_no_recording_is_too_short() {
        let resampler = Resampler::new(44_100, 8_000).unwrap();
        for (count, expected) in [(44_100, 8_000), (1, 1), (0, 0), (6, 2), (441, 80), (442, 81)] {
            assert_eq!(resampler.resample(&vec![0.5; count]).len(), expected);
        }
    }

    #[test]
    fn rates_that_are_none_are_refused() {
        for (from, to) in [(0, 8_000), (8_000, 0), (8_000, 999), (u32::MAX, 8_000)] {
            assert!(Resampler::new(from, to).is_none(), "{from} to {to}");
        }
    }
}
