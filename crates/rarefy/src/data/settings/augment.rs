//! What the user may say about changes to training samples: `data.augment`.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// How training samples are changed; nothing is unless asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AugmentSettings {
    /// Images: mirror left and right, every other time.
    pub flip: bool,
    /// Images: surround with so many zeros on each side and crop to the old size at a random place.
    pub crop: usize,
    /// Images: move by up to so many pixels up or down and left or right; the pixels at the edge are repeated.
    pub shift: usize,
    /// Images: set a square of so many pixels a side to 0 at a random place.
    pub cutout: usize,
    /// Sequences: move by up to so many steps, earlier or later.
    pub time_shift: usize,
    /// Sequences: how many times to hide a run of steps.
    pub time_masks: usize,
    /// The longest such run, in steps.
    pub time_mask_width: usize,
    /// Sequences: how many times to hide a run of neighbouring features (mel bands) in all steps.
    pub frequency_masks: usize,
    /// The longest such run, in features.
    pub frequency_mask_width: usize,
    /// Any data: deviation of the noise that is added to each number, which has been scaled.
    pub noise: f32,
}

impl Default for AugmentSettings {
    fn default() -> AugmentSettings {
        AugmentSettings {
            flip: false,
            crop: 0,
            shift: 0,
            cutout: 0,
            time_shift: 0,
            time_masks: 0,
            time_mask_width: 10,
            frequency_masks: 0,
            frequency_mask_width: 8,
            noise: 0.0,
        }
    }
}

impl AugmentSettings {
    /// Checks what can be checked without the data.
    ///
    /// # Errors
    /// Names the key that cannot be used and what it may be.
    pub fn check(&self) -> Result<()> {
        if !(self.noise >= 0.0 && self.noise.is_finite()) {
            let problem = format!("{} is not a deviation; give 0 or more, such as 0.1", self.noise);
            return Err(Error::setting("data.augment.noise", problem));
        }
        Ok(())
    }
}
