//! In place of `spectrum` where the library is built without the feature `audio`: no spectrum can be made.

use crate::{Error, Result};

/// None.
#[derive(Clone)]
pub(super) enum Spectrum {}

/// None.
pub(super) struct Scratch {
    pub power: Vec<f32>,
}

impl Spectrum {
    /// Refuses.
    pub(super) fn new(_: usize, _: usize) -> Result<Spectrum> {
        let problem =
            "recordings need the feature `audio`, which rarefy was built without; build it with that";
        Err(Error::setting("data.path", problem))
    }

    pub(super) fn frames(&self, _: usize) -> usize {
        match *self {}
    }

    pub(super) fn scratch(&self) -> Scratch {
        match *self {}
    }

    pub(super) fn power(&self, _: &[f32], _: usize, _: &mut Scratch) {
        match *self {}
    }
}

/// Points of the Fourier transform of a window.
pub(super) fn fft_size(window: usize) -> usize {
    window.next_power_of_two().max(2)
}
