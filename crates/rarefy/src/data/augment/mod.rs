//! Changes to training samples.

mod frames;
mod images;

use super::settings::AugmentSettings;
use crate::random::{Purpose, Stream};
use crate::tiles::Shape;
use crate::{Error, Result};
use frames::Frames;
use images::{Border, Image};

/// How the samples of a training part are changed, anew in each epoch: mirrored, moved, partly hidden, with noise.
///
/// The draws are named by seed, sample and epoch, so a run gives the same bits in any number of threads and when it is resumed.
/// Samples are changed as they are gathered into a batch, after scaling, so what is hidden or moves in is 0: the mean. Masks in time and
/// frequency are SpecAugment's (Park et al. 2019, section 2), without its warping of time; moved images are the random crop of
/// He et al. 2016, section 4.2.
#[derive(Debug, Clone, PartialEq)]
pub struct Augmentation {
    settings: AugmentSettings,
    shape: Shape,
    /// Neighbouring features that frequency masks go over; the others of a step are their changes over time.
    bands: usize,
    seed: u64,
}

impl Augmentation {
    /// For samples of a shape; none if the settings ask for nothing. `bands` are the features of a step before their
    /// changes over time were added.
    pub(crate) fn new(
        settings: &AugmentSettings,
        shape: Shape,
        bands: usize,
        seed: u64,
    ) -> Result<Option<Augmentation>> {
        settings.check()?;
        let is_image = shape.height > 1;
        let is_sequence = shape.height == 1 && shape.width > 1;
        let images = [
            ("data.augment.flip", usize::from(settings.flip)),
            ("data.augment.crop", settings.crop),
            ("data.augment.shift", settings.shift),
            ("data.augment.cutout", settings.cutout),
        ];
        let sequences = [
            ("data.augment.time_shift", settings.time_shift),
            ("data.augment.time_masks", settings.time_masks),
            ("data.augment.frequency_masks", settings.frequency_masks),
        ];
        for (keys, fits, what) in [(&images[..], is_image, "images"), (&sequences, is_sequence, "sequences")]
        {
            if let Some((key, _)) = keys.iter().find(|(_, asked)| *asked > 0 && !fits) {
                let problem =
                    format!("is for {what}, a sample here is {shape}; leave it out, or set data.shape");
                return Err(Error::setting(*key, problem));
            }
        }
        let smallest = shape.height.min(shape.width);
        // A square of `2 n - 1` covers `n` pixels on each side of its centre, the centre counted twice.
        let covered = 2 * shape.height.max(shape.width) - 1;
        for (key, most, below, what) in [
            ("data.augment.crop", settings.crop, smallest, "an image"),
            ("data.augment.shift", settings.shift, smallest, "an image"),
            ("data.augment.cutout", settings.cutout, covered, "an image"),
            ("data.augment.time_shift", settings.time_shift, shape.width, "a sequence"),
        ] {
            if most > 0 && most >= below {
                let problem = format!("{most} leaves nothing of {what} of {shape}; give less than {below}");
                return Err(Error::setting(key, problem));
            }
        }
        for (kind, masks, width, most, what) in [
            ("time", settings.time_masks, settings.time_mask_width, shape.width, "steps"),
            ("frequency", settings.frequency_masks, settings.frequency_mask_width, bands, "features"),
        ] {
            if masks > most {
                let problem =
                    format!("{masks} is more than the {most} {what} of a sample; give at most {most}");
                return Err(Error::setting(format!("data.augment.{kind}_masks"), problem));
            }
            if masks > 0 && width == 0 {
                let problem = "0 hides nothing; give 1 or more, or leave the masks out";
                return Err(Error::setting(format!("data.augment.{kind}_mask_width"), problem));
            }
        }
        let nothing = settings.noise == 0.0 && images.iter().chain(&sequences).all(|(_, asked)| *asked == 0);
        Ok((!nothing).then(|| Augmentation { settings: settings.clone(), shape, bands, seed }))
    }

    /// Changes a sample in place; `length` of its steps are there. Returns how many are there then.
    ///
    /// # Panics
    /// If the sample has not the shape that this was made for.
    pub fn apply(&self, sample: &mut [f32], length: usize, index: usize, epoch: u64) -> usize {
        let (settings, shape) = (&self.settings, self.shape);
        assert_eq!(sample.len(), shape.features(), "a sample of the shape {shape}");
        let stream = &mut Stream::new(self.seed, Purpose::Augment, index as u64, epoch);
        if shape.height > 1 {
            let Shape { height, width, channels } = shape;
            let mut image = Image { pixels: sample, height, width, channels };
            if settings.flip {
                image.flip(stream);
            }
            for (most, border) in [(settings.crop, Border::Zero), (settings.shift, Border::Repeat)] {
                if most > 0 {
                    image.shift(most, border, stream);
                }
            }
            if settings.cutout > 0 {
                image.cutout(settings.cutout, stream);
            }
        }
        let mut frames = Frames { features: sample, width: shape.channels, bands: self.bands, length };
        if shape.height > 1 {
            // To noise an image is a row of pixels.
            frames.length = shape.positions();
        } else {
            if settings.time_shift > 0 {
                frames.shift(settings.time_shift, stream);
            }
            for _ in 0..settings.time_masks {
                frames.mask_time(settings.time_mask_width, stream);
            }
            for _ in 0..settings.frequency_masks {
                frames.mask_bands(settings.frequency_mask_width, stream);
            }
        }
        if settings.noise > 0.0 {
            frames.add_noise(settings.noise, stream);
        }
        frames.length
    }

    /// Whether it changes how many steps of a sample are there.
    pub(crate) fn changes_lengths(&self) -> bool {
        self.settings.time_shift > 0
    }

    /// How many steps of a sample it takes away at most.
    pub(crate) fn most_steps_lost(&self) -> usize {
        self.settings.time_shift
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGE: Shape = Shape { height: 6, width: 5, channels: 3 };

    fn made(text: &str, shape: Shape) -> Result<Option<Augmentation>> {
        Augmentation::new(&toml::from_str(text).unwrap(), shape, shape.channels, 1)
    }

    #[test]
    fn a_change_is_named_by_seed_sample_and_epoch() {
        let sequence = Shape::sequence(20, 8);
        for (text, shape) in [
            ("flip = true\ncrop = 2\nshift = 1\ncutout = 2\nnoise = 0.1", IMAGE),
            ("time_shift = 3\ntime_masks = 2\nfrequency_masks = 1\nnoise = 0.1", sequence),
            ("noise = 1", Shape::flat(12)),
        ] {
            let settings = toml::from_str(text).unwrap();
            let changed = |seed, index, epoch| {
                let augmentation =
                    Augmentation::new(&settings, shape, shape.channels, seed).unwrap().unwrap();
                let mut sample: Vec<f32> = (0..shape.features()).map(|number| number as f32).collect();
                let length = augmentation.apply(&mut sample, shape.width, index, epoch);
                (sample, length)
            };
            assert_eq!(changed(1, 2, 3), changed(1, 2, 3), "{text}");
            for (seed, index, epoch) in [(2, 2, 3), (1, 3, 3), (1, 2, 4)] {
                assert_ne!(changed(1, 2, 3).0, changed(seed, index, epoch).0, "{text}");
            }
        }
    }

    #[test]
    fn each_setting_alone_changes_some_samples() {
        let sequence = Shape::sequence(20, 8);
        for (text, shape) in [
            ("flip = true", IMAGE),
            ("crop = 2", IMAGE),
            ("shift = 2", IMAGE),
            ("cutout = 2", IMAGE),
            ("noise = 0.5", IMAGE),
            ("time_shift = 2", sequence),
            ("time_masks = 1", sequence),
            ("frequency_masks = 1", sequence),
            ("noise = 0.5", sequence),
        ] {
            let augmentation = made(text, shape).unwrap().unwrap();
            let original: Vec<f32> = (1..=shape.features()).map(|number| number as f32).collect();
            let changed = (0..20).filter(|&index| {
                let mut sample = original.clone();
                augmentation.apply(&mut sample, shape.width, index, 0);
                sample != original
            });
            assert!(changed.count() > 5, "{text}");
        }
        assert_eq!(made("", IMAGE).unwrap(), None);
        assert_eq!(made("time_mask_width = 3", IMAGE).unwrap(), None);
    }

    #[test]
    fn changes_that_do_not_fit_the_samples_are_refused() {
        for (text, shape, problem) in [
            ("flip = true", Shape::flat(64), "data.augment.flip: is for images, a sample here is 64"),
            ("crop = 2", Shape::sequence(9, 9), "data.augment.crop: is for images"),
            ("time_masks = 1", IMAGE, "data.augment.time_masks: is for sequences"),
            ("time_shift = 1", Shape::flat(64), "data.augment.time_shift: is for sequences"),
            ("crop = 5", IMAGE, "data.augment.crop: 5 leaves nothing"),
            (
                "time_shift = 9",
                Shape::sequence(9, 8),
                "time_shift: 9 leaves nothing of a sequence of 9 steps x 8",
            ),
            ("shift = 7", IMAGE, "data.augment.shift: 7 leaves nothing"),
            (
                "cutout = 11",
                IMAGE,
                "data.augment.cutout: 11 leaves nothing of an image of 6 x 5 x 3; give less than 11",
            ),
            ("time_masks = 10", Shape::sequence(9, 8), "time_masks: 10 is more than the 9 steps of a sample"),
            ("frequency_masks = 9", Shape::sequence(9, 8), "frequency_masks: 9 is more than the 8 features"),
            (
                "time_masks = 1\ntime_mask_width = 0",
                Shape::sequence(9, 8),
                "time_mask_width: 0 hides nothing",
            ),
            (
                "frequency_masks = 1\nfrequency_mask_width = 0",
                Shape::sequence(9, 8),
                "frequency_mask_width: 0 hides",
            ),
            ("noise = -1", IMAGE, "data.augment.noise: -1 is not a deviation"),
            ("noise = nan", IMAGE, "data.augment.noise: NaN is not a deviation"),
        ] {
            let error = made(text, shape).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
    }
}
