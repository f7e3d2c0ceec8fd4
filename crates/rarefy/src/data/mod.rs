//! Data: files in, samples as flat numbers out, split, scaled and cut into mini-batches.
//!
//! ```text
//! settings -> source (idx, npy, csv, libsvm, images, audio, text, builtin) -> split
//!          -> preparation (categories, gaps, scale, words) -> Dataset -> Batch
//! ```
//!
//! Samples are split before anything is learned from them: means, categories and scale come from the training part.

mod alike;
mod array;
mod audio;
mod augment;
mod batches;
mod builtin;
mod check;
mod classes;
mod csr;
mod csv;
mod describe;
mod files;
mod fingerprint;
mod gzip;
mod idx;
mod images;
mod libsvm;
mod npy;
mod parts;
mod preparation;
mod scale;
mod scipy;
mod settings;
mod shown;
mod sniff;
mod source;
mod span;
mod split;
mod target_scaler;
pub mod text;
mod transcripts;
mod weights;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use audio::{AudioFeatures, AudioReading, AudioSettings};
pub use augment::{AugmentSettings, Augmentation};
pub use batches::{Batch, BatchTargets, epoch_order, run_order};
pub use csr::Csr;
pub use describe::{ClassCount, ColumnDescription, ColumnKind, Description, NumberDescription, describe};
pub use files::SkippedFile;
pub use images::{ImageColor, ImageReading, ImageSize};
pub use libsvm::LibsvmReading;
pub use preparation::{Coding, Column, Preparation, UnknownCategories};
pub use scale::Scaler;
pub use settings::{
    DataSettings, Decimal, Header, LabelType, Missing, Quote, Scale, TargetScale, TaskChoice,
};
pub use source::{Dialect, FileReading, Format, LabelColumn, has_test_part};
pub use span::Shift;
pub use target_scaler::{TargetFigures, TargetScaler};
pub use transcripts::{Units, fewest_steps};

use crate::tiles::Shape;
use crate::{Error, Result};
use files::Bad;
use shown::shown;
use text::TextCounts;

/// The parts of a source, ready for training, and how they were made ready.
#[derive(Debug, Clone, PartialEq)]
pub struct Splits {
    /// To train on.
    pub train: Dataset,
    /// To watch training; absent if `data.validation_fraction` is 0 or there are too few samples.
    pub validation: Option<Dataset>,
    /// For the final test; absent if `data.test_fraction` is 0 or there are too few samples.
    pub test: Option<Dataset>,
    /// How a new file is made ready in the same way; to be stored with the model.
    pub preparation: Preparation,
    /// How training samples are changed as they are gathered, if at all.
    pub augmentation: Option<Augmentation>,
    /// Files that could not be read, and texts that are empty, which were left out, of all parts.
    pub skipped: Vec<SkippedFile>,
    /// For text, how many tokens are unknown in each part, in the order of the parts above.
    pub text: Vec<(&'static str, TextCounts)>,
    /// For tables, the categories in each other part that training has not.
    pub unknown: Vec<(&'static str, UnknownCategories)>,
    /// What was decided about a table without being asked for, and what looks odd in it.
    pub notes: Vec<String>,
}

/// Reads, splits and scales what the settings name. The same seed gives the same parts.
///
/// # Errors
/// Settings that contradict each other; files that are missing, damaged, empty or ragged; labels that do not fit the
/// task. Each error names the key, or the file and the place in it, and says what to do.
///
/// # Example
/// ```
/// let splits = rarefy::data::load(&rarefy::data::DataSettings::default(), 1)?;
/// assert_eq!((splits.train.inputs(), splits.train.targets.outputs()), (64, 10));
/// # Ok::<(), rarefy::Error>(())
/// ```
pub fn load(settings: &DataSettings, seed: u64) -> Result<Splits> {
    settings.check()?;
    if settings.task == TaskChoice::LanguageModel {
        return text::load_language(settings);
    }
    let source = source::read(settings)?;
    let raw = &source.train;
    if raw.samples() < 2 {
        return Err(Error::data(&raw.path, "holds a single sample; give at least two to learn from"));
    }
    let task = classes::task(raw, settings.task)?;
    let (names, codes) = match task {
        Task::Classification => {
            let names = classes::names(raw)?;
            let codes = classes::codes(raw, &names)?;
            (names, Some(codes))
        }
        _ => (Vec::new(), None),
    };
    let has_test = settings.test_path.is_some() || source.test.is_some();
    let fraction = |is_there: bool, fraction| if is_there { 0.0 } else { fraction };
    let parts = split::split(
        raw.samples(),
        codes.as_deref(),
        fraction(source.validation.is_some(), settings.validation_fraction),
        fraction(has_test, settings.test_fraction),
        seed,
    );
    let (preparation, train) = Preparation::fit(raw, task, names, settings, &parts.train)?;
    let mut text: Vec<(&str, TextCounts)> =
        train.text.map(|counts| ("training", counts)).into_iter().collect();
    let train = train.dataset;
    let mut unknown = Vec::new();
    let mut part = |name, own: Option<&source::Raw>, split_off: &[usize]| {
        let all: Vec<usize>;
        let (raw, samples) = match own {
            Some(own) => {
                all = (0..own.samples()).collect();
                (own, &all[..])
            }
            None if split_off.is_empty() => return Ok(None),
            None => (raw, split_off),
        };
        let Loaded { dataset, text: counts, unknown: categories, .. } =
            preparation.encode(raw, samples, true).map_err(|error| match own {
                Some(own) if own.label_path.is_none() => error.of_part(name),
                _ => error,
            })?;
        text.extend(counts.map(|counts| (name, counts)));
        unknown.extend(categories.into_iter().map(|found| (name, found)));
        Ok::<_, Error>(Some(dataset))
    };
    let validation = part("validation", source.validation.as_ref(), &parts.validation)?;
    let mut skipped = source.skipped();
    let given = match &settings.test_path {
        Some(path) => {
            let bad = Bad::in_training(settings.skip_bad);
            Some(source::read_for_model(&preparation, path, true, bad)?)
        }
        None => None,
    };
    skipped.extend(given.iter().flat_map(|given| given.skipped.iter().cloned()));
    let test = part("test", given.as_ref().or(source.test.as_ref()), &parts.test)?;
    let bands = match &preparation.reading {
        Some(FileReading::Audio(reading)) => reading.features.bands(),
        _ => train.shape.channels,
    };
    let augmentation = Augmentation::new(&settings.augment, train.shape, bands, seed)?;
    if augmentation.is_some() && train.dense().is_none() {
        let problem = "is for dense data: it would fill the zeros of these sparse samples; leave it out";
        return Err(Error::setting("data.augment", problem));
    }
    let mut notes = preparation.fallen_together(raw);
    notes.extend(classes::doubt(raw, settings.task, task));
    notes.splice(0..0, source.train.notes);
    Ok(Splits { train, validation, test, preparation, augmentation, skipped, text, unknown, notes })
}

/// Reads a new file for a trained model, coded and scaled as its training part was. A path with a test part of its own
/// (see [`has_test_part`]) gives that part. Without `targets` the labels are not read (the file need not have any), and
/// the targets are all zero: class 0 or value 0. A language model's targets are the text itself and always read.
///
/// # Errors
/// As for [`load`]; and columns that the model needs and the file lacks, or classes that the model does not know.
pub fn load_with(preparation: &Preparation, path: &str, targets: bool) -> Result<Loaded> {
    load_new(preparation, path, targets, Bad::for_model(false))
}

/// As [`load_with`], but leaves out images and recordings that cannot be read or that the model cannot take, and empty texts,
/// and reports them.
///
/// # Errors
/// As for [`load_with`]; a model of other data; and if nothing is left.
pub fn load_readable(preparation: &Preparation, path: &str, targets: bool) -> Result<Loaded> {
    let is_skippable = preparation.text().is_some()
        || matches!(preparation.reading, Some(FileReading::Images(_) | FileReading::Audio(_)));
    if !is_skippable {
        let problem = "is for images, WAV files and texts, and the model was trained on none; leave it out";
        return Err(Error::setting("--skip-bad", problem));
    }
    load_new(preparation, path, targets, Bad::for_model(true))
}

fn load_new(preparation: &Preparation, path: &str, targets: bool, bad: Bad) -> Result<Loaded> {
    if preparation.task == Task::LanguageModel {
        return text::load_language_with(preparation, path, bad);
    }
    let raw = source::read_for_model(preparation, path, targets, bad)?;
    let all: Vec<usize> = (0..raw.samples()).collect();
    let loaded = preparation.encode(&raw, &all, targets)?;
    Ok(Loaded { files: raw.files, skipped: raw.skipped, ..loaded })
}

impl Splits {
    /// The characters of a part of a language model's text, by which its bits are divided.
    pub fn characters(&self, part: &str) -> Option<usize> {
        let is_language = self.preparation.task == Task::LanguageModel;
        let found = self.text.iter().find(|(name, _)| is_language && *name == part);
        found.map(|(_, counts)| counts.characters)
    }
}

/// Samples ready for a network.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The samples.
    pub dataset: Dataset,
    /// For text, how many tokens are unknown.
    pub text: Option<TextCounts>,
    /// For tables, the columns with categories that training has not.
    pub unknown: Vec<UnknownCategories>,
    /// For images, recordings and text files, the file of each sample.
    pub files: Vec<PathBuf>,
    /// What could not be read and was left out.
    pub skipped: Vec<SkippedFile>,
}

impl Loaded {
    /// Samples of which there is nothing to tell.
    pub fn new(dataset: Dataset) -> Loaded {
        Loaded { dataset, text: None, unknown: Vec::new(), files: Vec::new(), skipped: Vec::new() }
    }
}

/// Samples and what is to be predicted for them.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// How the numbers of a sample are laid out.
    pub shape: Shape,
    /// The numbers.
    pub features: Features,
    /// How many steps of each sample's sequence are there, the others being zero; empty if all are.
    pub lengths: Vec<u32>,
    /// One target per sample.
    pub targets: Targets,
    /// How much each sample counts in loss, gradients and metrics: 2 as if it stood twice, 0 as if it were not there; `None`
    /// if all count once.
    pub weights: Option<Vec<f32>>,
}

/// The numbers of all samples.
#[derive(Debug, Clone, PartialEq)]
pub enum Features {
    /// `samples x inputs`, row-major; a sample's position by position.
    Dense(Vec<f32>),
    /// The nonzeros of each sample, of plain features.
    Sparse(Csr),
    /// Tokens; in a batch their ids are numbers of one channel.
    Tokens {
        /// `samples x steps` ids, 0 being padding.
        ids: Vec<u32>,
        /// How many ids there are: each is below it.
        vocabulary: usize,
    },
}

/// What is to be predicted.
#[derive(Debug, Clone, PartialEq)]
pub enum Targets {
    /// One class per sample, each below `classes`.
    Classes {
        /// A class per sample.
        labels: Vec<u32>,
        /// How many classes there are.
        classes: usize,
    },
    /// A class at each step of each sample, each below `classes` or [`IGNORED`](crate::tiles::IGNORED): what comes next, for
    /// a language model.
    Steps {
        /// `samples x steps`, row-major.
        labels: Vec<u32>,
        /// Steps of a sample.
        steps: usize,
        /// How many classes there are.
        classes: usize,
    },
    /// `samples x outputs` numbers, row-major: for regression, as [`TargetScaler`] scales them, or 0 and 1 for multi-label.
    Values {
        /// All numbers.
        values: Vec<f32>,
        /// Numbers per sample.
        outputs: usize,
    },
    /// A sequence of labels per sample, each from 1 and below `classes`: 0 is the blank, which stands between them.
    Sequences {
        /// Those of all samples, one sample after the other.
        labels: Vec<u32>,
        /// Where those of each sample begin, and then where the last one's end.
        offsets: Vec<usize>,
        /// How many labels there are, the blank included.
        classes: usize,
    },
}

/// What kind of prediction is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// One class of several.
    Classification,
    /// Any number of labels, each there or not.
    MultiLabel,
    /// Numbers.
    Regression,
    /// What is said: a text, of whose characters or words nobody knows when they are said.
    Transcription,
    /// The next token at each step of a text.
    LanguageModel,
}

impl Targets {
    /// What a network has to put out, at each step or once: classes, labels or numbers.
    pub fn outputs(&self) -> usize {
        match self {
            Targets::Classes { classes, .. }
            | Targets::Steps { classes, .. }
            | Targets::Sequences { classes, .. } => *classes,
            Targets::Values { outputs, .. } => *outputs,
        }
    }

    /// How these are laid out: at each step, or once.
    pub fn shape(&self) -> Shape {
        match self {
            Targets::Steps { steps, classes, .. } => Shape::sequence(*steps, *classes),
            _ => Shape::flat(self.outputs()),
        }
    }

    /// The targets of some samples.
    pub fn subset(&self, samples: &[usize]) -> Targets {
        match self {
            Targets::Classes { labels, classes } => {
                Targets::Classes { labels: samples.iter().map(|&i| labels[i]).collect(), classes: *classes }
            }
            Targets::Steps { labels, steps, classes } => Targets::Steps {
                labels: samples.iter().flat_map(|&i| &labels[i * steps..][..*steps]).copied().collect(),
                steps: *steps,
                classes: *classes,
            },
            Targets::Values { values, outputs } => Targets::Values {
                values: samples.iter().flat_map(|&i| &values[i * outputs..][..*outputs]).copied().collect(),
                outputs: *outputs,
            },
            Targets::Sequences { labels, offsets, classes } => {
                let of = |i: usize| &labels[offsets[i]..offsets[i + 1]];
                let sequences = samples.iter().map(|&i| of(i));
                let ends = sequences.clone().scan(0, |end, labels| {
                    *end += labels.len();
                    Some(*end)
                });
                Targets::Sequences {
                    offsets: std::iter::once(0).chain(ends).collect(),
                    labels: sequences.flatten().copied().collect(),
                    classes: *classes,
                }
            }
        }
    }
}

impl Dataset {
    /// Numbers per sample.
    pub fn inputs(&self) -> usize {
        self.shape.features()
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        match &self.features {
            Features::Dense(numbers) => numbers.len() / self.inputs().max(1),
            Features::Sparse(rows) => rows.rows(),
            Features::Tokens { ids, .. } => ids.len() / self.inputs().max(1),
        }
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All numbers, row-major; `None` where only nonzeros are kept, and for tokens.
    pub fn dense(&self) -> Option<&[f32]> {
        match &self.features {
            Features::Dense(numbers) => Some(numbers),
            Features::Sparse(_) | Features::Tokens { .. } => None,
        }
    }

    /// How many tokens there are, if samples are tokens.
    pub fn vocabulary(&self) -> Option<usize> {
        match self.features {
            Features::Tokens { vocabulary, .. } => Some(vocabulary),
            Features::Dense(_) | Features::Sparse(_) => None,
        }
    }

    /// A copy of some samples.
    pub fn subset(&self, samples: &[usize]) -> Dataset {
        Dataset {
            shape: self.shape,
            features: match &self.features {
                Features::Dense(numbers) => {
                    let rows =
                        samples.iter().map(|&index| &numbers[index * self.inputs()..][..self.inputs()]);
                    Features::Dense(rows.flatten().copied().collect())
                }
                Features::Sparse(rows) => Features::Sparse(rows.subset(samples)),
                Features::Tokens { ids, vocabulary } => {
                    let rows = samples.iter().map(|&index| &ids[index * self.inputs()..][..self.inputs()]);
                    Features::Tokens { ids: rows.flatten().copied().collect(), vocabulary: *vocabulary }
                }
            },
            lengths: samples.iter().filter_map(|&index| self.lengths.get(index).copied()).collect(),
            targets: self.targets.subset(samples),
            weights: self.weights.as_ref().map(|all| samples.iter().map(|&index| all[index]).collect()),
        }
    }
}

#[cfg(test)]
mod file_tests;
#[cfg(test)]
mod tests;
