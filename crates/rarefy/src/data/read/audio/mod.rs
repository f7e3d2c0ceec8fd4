//! Recordings: WAV files, brought to one sample rate, as a row of features for each frame.
//!
//! ```text
//! WAV -> one channel -> cut -> resample -> frames -> log-mel or MFCC -> filled up to the longest
//! ```
//! The frames that fill a sample up are NaN until it has been scaled, so that they count for no mean.

mod features;
mod fourier;
mod mel;
mod resample;
mod spectrum;
mod wav;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::files::{self, Kept, Kind, Listing};
use super::sink::{Sink, numbers, sink};
use crate::data::parts::Parts;
use crate::data::raw::{Cells, LabelledFile, Labels, Places, Raw, Source};
use crate::data::reading::{AudioReading, Broken, Reading, Wanted};
use crate::data::settings::{AudioSettings, DataSettings, RATES, TaskChoice};
use crate::data::stream::Streaming;
use crate::tiles::Shape;
use crate::{Error, Result};
use features::Extractor;
use resample::Resampler;

/// The features of a recording.
struct Clip {
    /// The sample rate of the file.
    rate: u32,
    frames: usize,
    /// `frames x width`; empty once they are in a scratch file.
    features: Vec<f32>,
}

/// Turns sounds of one sample rate into features.
struct Converter {
    resampler: Option<Resampler>,
    extractor: Extractor,
    /// Samples to take of a file, and then of its resampled sound.
    most: (usize, usize),
}

/// Reads files; what it needs for each of their sample rates is made once.
struct Reader<'a> {
    settings: &'a AudioSettings,
    /// The rate to bring all files to; their own if none.
    rate: Option<u32>,
    converters: Mutex<HashMap<u32, Arc<Converter>>>,
}

impl Converter {
    fn new(settings: &AudioSettings, from: u32, to: u32) -> Option<Result<Converter>> {
        let resampler = Resampler::new(from, to)?;
        let extractor = match Extractor::new(settings, to) {
            Ok(extractor) => extractor,
            Err(error) => return Some(Err(error)),
        };
        let most = |rate: u32| match settings.seconds {
            Some(seconds) => ((seconds * f64::from(rate)).round() as usize).max(1),
            None => usize::MAX,
        };
        let most = (most(from), most(to));
        Some(Ok(Converter { resampler: (from != to).then_some(resampler), extractor, most }))
    }

    fn convert(&self, samples: &[f32]) -> Vec<f32> {
        let samples = &samples[..samples.len().min(self.most.0)];
        match &self.resampler {
            None => self.extractor.features(samples),
            Some(resampler) => {
                let mut samples = resampler.resample(samples);
                samples.truncate(self.most.1);
                self.extractor.features(&samples)
            }
        }
    }
}

impl<'a> Reader<'a> {
    fn new(settings: &'a AudioSettings, rate: Option<u32>) -> Reader<'a> {
        Reader { settings, rate, converters: Mutex::new(HashMap::new()) }
    }

    fn read(&self, path: &Path) -> Result<Clip> {
        let recording = wav::read(path)?;
        let ms = 1000.0 * recording.samples.len() as f64 / f64::from(recording.rate.max(1));
        if ms < self.settings.window_ms {
            let problem = format!(
                "lasts {ms:.3} ms, less than a frame of {} ms (data.audio.window_ms); remove it",
                self.settings.window_ms
            );
            return Err(Error::data(path, problem));
        }
        let features = self.converter(path, recording.rate)?.convert(&recording.samples);
        let frames = features.len() / self.settings.per_frame();
        Ok(Clip { rate: recording.rate, frames, features })
    }

    fn converter(&self, path: &Path, from: u32) -> Result<Arc<Converter>> {
        let mut converters = self.converters.lock().expect("no thread panics while it holds the lock");
        if let Some(converter) = converters.get(&from) {
            return Ok(converter.clone());
        }
        let converter = Converter::new(self.settings, from, self.rate.unwrap_or(from)).ok_or_else(|| {
            let problem = format!(
                "says it has {from} samples a second, which cannot be resampled: a rate is from {} to {}; mend or remove the file",
                RATES.start(),
                RATES.end()
            );
            Error::data(path, problem)
        })??;
        let converter = Arc::new(converter);
        converters.insert(from, converter.clone());
        Ok(converter)
    }

    /// Frames that every sample has: those of `data.audio.seconds`, or those of the longest.
    fn frames<'b>(&self, rate: u32, clips: impl Iterator<Item = &'b Clip>) -> Result<usize> {
        let longest = clips.map(|clip| clip.frames).max().unwrap_or(0);
        match self.settings.seconds {
            None => Ok(longest),
            Some(seconds) => {
                let samples = ((seconds * f64::from(rate)).round() as usize).max(1);
                Ok(Extractor::new(self.settings, rate)?.frames(samples))
            }
        }
    }
}

/// Reads the recordings of a folder or list to train on.
pub(super) fn read(path: &Path, settings: &DataSettings) -> Result<Source> {
    let listing = files::list(path, Kind::Audio)?;
    // What is said in the other parts need not have been said before.
    let Listing { classes, parts, .. } = match settings.task {
        TaskChoice::Transcription => listing,
        _ => listing.with_known_classes()?,
    };
    let reader = Reader::new(&settings.audio, settings.sample_rate);
    let streaming = settings.streaming();
    let parts = parts.try_map(|part| {
        let broken = Broken::of(settings.skip_bad);
        Clips::read(part, broken, streaming.as_ref(), |file| reader.read(&file.path))
    })?;
    let sample_rate = match settings.sample_rate {
        Some(rate) => rate,
        None => common_rate(&parts)?,
    };
    let frames = reader.frames(sample_rate, parts.iter().flat_map(|part| &part.kept.contents))?;
    let reading = AudioReading {
        sample_rate,
        resample: settings.sample_rate.is_some(),
        features: settings.audio.clone(),
        frames,
    };
    parts.try_map(|part| part.into_raw(path, Some(&classes), reading.clone()))
}

/// Reads recordings for a model.
pub(super) fn reread(path: &Path, reading: &Reading, wanted: Wanted) -> Result<Raw> {
    let Reading::Audio(reading) = reading else { unreachable!("recordings are read again as recordings") };
    let frames = reading.frames;
    let (files, classes) = files::list_for_model(path, Kind::Audio, wanted.labels.is_some())?;
    let reader = Reader::new(&reading.features, Some(reading.sample_rate));
    let part = Clips::read(files, wanted.broken, wanted.streaming, |file| {
        let clip = reader.read(&file.path)?;
        if clip.rate != reading.sample_rate && !reading.resample {
            let problem = format!(
                "has {} samples a second, the model was trained on {}; convert it, or train with data.sample_rate",
                clip.rate, reading.sample_rate
            );
            return Err(Error::data(&file.path, problem));
        }
        let found = clip.frames;
        if found > frames {
            let problem = format!(
                "has {found} frames of {} ms, the model takes {frames}; cut it, or train with data.audio.seconds",
                reading.features.hop_ms
            );
            return Err(Error::data(&file.path, problem));
        }
        Ok(clip)
    })?;
    part.into_raw(path, classes.as_deref(), reading.clone())
}

/// The sample rate that all files have.
fn common_rate(parts: &Parts<Clips>) -> Result<u32> {
    let mut all = parts.iter().flat_map(|part| part.kept.files.iter().zip(&part.kept.contents));
    let (first, Clip { rate, .. }) = all.next().expect("a part has a file");
    match all.find(|(_, clip)| clip.rate != *rate) {
        None => Ok(*rate),
        Some((file, Clip { rate: other, .. })) => {
            let problem = format!(
                "has {other} samples a second, but {} has {rate}; set data.sample_rate to bring all to one",
                first.path.display()
            );
            Err(Error::data(&file.path, problem))
        }
    }
}

/// Recordings as read, their features in memory or in a scratch file.
struct Clips {
    kept: Kept<Clip>,
    sink: Option<Sink>,
}

impl Clips {
    fn read(
        files: Vec<LabelledFile>,
        broken: Broken,
        streaming: Option<&Streaming>,
        read: impl Fn(&LabelledFile) -> Result<Clip> + Sync,
    ) -> Result<Clips> {
        let mut sink = sink(streaming)?;
        let kept = files::read_all(files, Kind::Audio, broken, read, |clip| match &mut sink {
            Some(sink) => sink.put(&std::mem::take(&mut clip.features)),
            None => Ok(()),
        })?;
        Ok(Clips { kept, sink })
    }

    /// Lays clips out side by side, each filled up with NaN. Without `classes` there are no labels.
    fn into_raw(self, path: &Path, classes: Option<&[String]>, reading: AudioReading) -> Result<Raw> {
        let Clips { kept: part, sink } = self;
        let shape = Shape::sequence(reading.frames, reading.features.per_frame());
        let lengths = part.contents.iter().map(|clip| clip.frames as u32).collect();
        let cells = match sink {
            Some(sink) => sink.into_cells(shape.features(), false, numbers())?,
            None => {
                let mut cells = vec![f32::NAN; part.contents.len() * shape.features()];
                for (row, clip) in cells.chunks_exact_mut(shape.features().max(1)).zip(part.contents) {
                    row[..clip.features.len()].copy_from_slice(&clip.features);
                }
                Cells::Numbers(cells)
            }
        };
        let labels = classes.map(|classes| Labels::of_files(&part.files, classes));
        Ok(Raw {
            lengths,
            places: Places::Files(part.files.into_iter().map(|file| file.path).collect()),
            skipped: part.skipped,
            ..Raw::new(path, Reading::Audio(reading), cells, shape, labels)
        })
    }
}

/// Writes a WAV file of 16 bits and a single channel.
#[cfg(test)]
pub(crate) fn wav_file(path: &Path, rate: u32, samples: &[i32]) {
    wav::tests::integers(path, rate, 1, 16, samples);
}
