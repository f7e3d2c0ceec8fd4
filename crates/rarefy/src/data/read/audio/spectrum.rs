//! Power spectra of the frames of a recording.
//!
//! Frame `t` holds the samples from `t hop` on, `window` of them, times a Hann window `sin^2(pi n / window)` (the periodic
//! kind), and zeros up to the next power of two; its spectrum is `|FFT|^2`. Frames start inside the recording (Kaldi's
//! `snip_edges`, librosa's `center=False`): less than a hop of samples at the end is in no frame. A recording
//! shorter than a window is one frame, filled up with silence.

use std::f64::consts::PI;

use super::fourier::{Fourier, Room};

/// Cuts recordings into frames and transforms them.
#[derive(Clone)]
pub(super) struct Spectrum {
    hop: usize,
    window: Vec<f32>,
    transform: Fourier,
}

/// Memory for one frame.
pub(super) struct Scratch {
    frame: Vec<f32>,
    room: Room,
    pub power: Vec<f32>,
}

impl Spectrum {
    /// For frames of `window` samples, every `hop` samples; both at least 1.
    pub(super) fn new(window: usize, hop: usize) -> Spectrum {
        let hann = |n: usize| (PI * n as f64 / window as f64).sin().powi(2) as f32;
        // A window of a single sample must not be zero.
        let window: Vec<f32> = if window == 1 { vec![1.0] } else { (0..window).map(hann).collect() };
        let transform = Fourier::new(fft_size(window.len()));
        Spectrum { hop, window, transform }
    }

    /// Frames in a recording of so many samples.
    pub(super) fn frames(&self, samples: usize) -> usize {
        1 + samples.saturating_sub(self.window.len()) / self.hop
    }

    /// Memory to work in.
    pub(super) fn scratch(&self) -> Scratch {
        Scratch {
            frame: vec![0.0; self.transform.points()],
            room: self.transform.room(),
            power: vec![0.0; self.transform.points() / 2 + 1],
        }
    }

    /// Leaves the power spectrum of a frame in `scratch.power`.
    pub(super) fn power(&self, samples: &[f32], frame: usize, scratch: &mut Scratch) {
        let Scratch { frame: windowed, room, power } = scratch;
        windowed.fill(0.0);
        let from = &samples[frame * self.hop..];
        for ((out, sample), weight) in windowed.iter_mut().zip(from).zip(&self.window) {
            *out = sample * weight;
        }
        self.transform.power(windowed, room, power);
    }
}

/// Points of the Fourier transform of a window.
pub(super) fn fft_size(window: usize) -> usize {
    window.next_power_of_two().max(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_lie_inside_the_recording_and_there_is_one_at_least() {
        let spectrum = Spectrum::new(200, 80);
        for (samples, frames) in [(0, 1), (1, 1), (200, 1), (279, 1), (280, 2), (8000, 98)] {
            assert_eq!(spectrum.frames(samples), frames, "{samples} samples");
        }
    }

    #[test]
    fn a_tone_stands_in_its_bin_and_a_short_recording_is_filled_up() {
        let spectrum = Spectrum::new(256, 64);
        let tone: Vec<f32> = (0..1024).map(|n| (2.0 * PI * 10.0 * n as f64 / 256.0).sin() as f32).collect();
        let mut scratch = spectrum.scratch();
        for frame in [0, 5, 12] {
            spectrum.power(&tone, frame, &mut scratch);
            // Half of the sum of the window, squared; a Hann window leaks a quarter of it to each side.
            assert!((scratch.power[10] - 64.0 * 64.0).abs() < 0.5, "{}", scratch.power[10]);
            assert!((scratch.power[9] - 32.0 * 32.0).abs() < 0.5);
            assert!(scratch.power[12] < 1e-3 && scratch.power[100] < 1e-3);
        }
        spectrum.power(&tone[..3], 0, &mut scratch);
        assert!(scratch.power.iter().all(|power| power.is_finite()));
    }
}
