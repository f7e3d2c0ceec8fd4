//! Samples in memory and what is to be predicted for them: what networks train on, wherever it came from.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::csr::Csr;
use super::lent::LentRows;
use super::stream::{InFile, StreamedCsr, StreamedRows};
use crate::Result;
use crate::tiles::Shape;

/// Samples and what is to be predicted for them.
///
/// ```
/// use rarefy::data::{self, DataSettings};
///
/// let train = data::load(&DataSettings::default(), 1)?.train; // the built-in digits
/// assert_eq!((train.len(), train.inputs(), train.targets.outputs()), (1258, 64, 10));
/// assert_eq!(train.subset(&[3, 1]).len(), 2);
/// # Ok::<(), rarefy::Error>(())
/// ```
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
    /// The same, lent by a caller and scaled when a batch is filled.
    Lent(LentRows),
    /// The same, in a file, and made ready when a batch is filled.
    Streamed(StreamedRows),
    /// The nonzeros of each sample, of plain features.
    Sparse(Csr),
    /// The same, in a file.
    StreamedSparse(StreamedCsr),
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
    /// `samples x outputs` numbers, row-major: for regression, as [`TargetScaler`](crate::data::TargetScaler) scales them, or 0 and 1 for multi-label.
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
            Features::Lent(rows) => rows.len(),
            Features::Streamed(rows) => rows.len(),
            Features::Sparse(rows) => rows.rows(),
            Features::StreamedSparse(rows) => rows.len(),
            Features::Tokens { ids, .. } => ids.len() / self.inputs().max(1),
        }
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All numbers, row-major; `None` where only nonzeros are kept, for tokens, for what is lent
    /// ([`LentRows::to_dense`] copies that) and for what stays in a file.
    pub fn dense(&self) -> Option<&[f32]> {
        match &self.features {
            Features::Dense(numbers) => Some(numbers),
            _ => None,
        }
    }

    /// How many tokens there are, if samples are tokens.
    pub fn vocabulary(&self) -> Option<usize> {
        match self.features {
            Features::Tokens { vocabulary, .. } => Some(vocabulary),
            _ => None,
        }
    }

    /// Whether only numbers other than zero are kept.
    pub fn is_sparse(&self) -> bool {
        matches!(self.features, Features::Sparse(_) | Features::StreamedSparse(_))
    }

    /// Where the samples lie, if they stay in a file.
    pub(crate) fn in_file(&self) -> Option<InFile<'_>> {
        match &self.features {
            Features::Streamed(rows) => Some(rows.in_file()),
            Features::StreamedSparse(rows) => Some(rows.in_file()),
            Features::Dense(_) | Features::Lent(_) | Features::Sparse(_) | Features::Tokens { .. } => None,
        }
    }

    /// These samples for who looks at numbers one by one: lent ones and those of a file are copied.
    pub(crate) fn with_own_numbers(&self) -> Cow<'_, Dataset> {
        let own = |features| Cow::Owned(Dataset { features, ..self.clone() });
        match &self.features {
            Features::Lent(rows) => own(Features::Dense(rows.to_dense())),
            Features::Streamed(rows) => own(Features::Dense(rows.to_dense(&self.lengths))),
            Features::StreamedSparse(rows) => own(Features::Sparse(rows.to_csr())),
            Features::Dense(_) | Features::Sparse(_) | Features::Tokens { .. } => Cow::Borrowed(self),
        }
    }

    /// That all samples of a file could be read so far; whoever fills batches asks before the outcome counts.
    ///
    /// # Errors
    /// What has failed: the disk, or a file that has changed meanwhile.
    pub fn check_read(&self) -> Result<()> {
        self.in_file().map_or(Ok(()), InFile::check)
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
                Features::Lent(rows) => Features::Lent(rows.subset(samples)),
                Features::Streamed(rows) => Features::Streamed(rows.subset(samples)),
                Features::Sparse(rows) => Features::Sparse(rows.subset(samples)),
                Features::StreamedSparse(rows) => Features::StreamedSparse(rows.subset(samples)),
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
