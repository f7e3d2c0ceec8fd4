//! Recordings: WAV files, resampled to one rate, as a row of features for each frame.

mod augment;
mod features;
mod mel;
mod resample;
mod settings;
mod spectrum;
mod wav;
