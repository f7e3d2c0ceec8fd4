//! A source as read, before anything is learned from it: what files of all formats become. Samples are split by row first
//! and coded after, so that nothing of the test part reaches the training part.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::csr::Csr;
use super::lent::Lent;
use super::parts::Parts;
use super::reading::{Format, Reading};
use super::shown::shown;
use super::span::Close;
use super::stream::{FileCells, FileCsr};
use super::wide::WideCells;
use crate::tiles::Shape;
use crate::{Error, Result};

/// Samples as read. Images stay bytes until they are coded: a quarter of the memory.
pub(crate) enum Cells {
    Bytes(Vec<u8>),
    Numbers(Vec<f32>),
    /// Numbers of a caller's, without gaps.
    Lent(Lent),
    /// The same, where `f32` would round some.
    Wide(WideCells),
    /// Numbers in a file.
    Streamed(FileCells),
    /// The nonzeros of each sample.
    Sparse(Csr),
    /// The same, in a file.
    StreamedSparse(FileCsr),
    /// The text of each sample, which is its only column.
    Texts(Texts),
    /// `samples x width` ids below `vocabulary`.
    Tokens {
        ids: Vec<u32>,
        vocabulary: usize,
    },
}

/// Labels as read.
pub(crate) enum Labels {
    /// `samples x outputs`, row-major. In `f64`, so that large whole numbers stay apart.
    Numbers { values: Vec<f64>, outputs: usize },
    /// One text per sample, as its position in `vocabulary`.
    Text { codes: Vec<u32>, vocabulary: Vec<String> },
}

/// A column of a CSV file as read.
pub(crate) struct RawColumn {
    pub name: String,
    /// For a column of categories, their names; its cells hold positions in this list.
    pub vocabulary: Option<Vec<String>>,
}

/// A file and what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LabelledFile {
    pub path: PathBuf,
    /// Its class, as a position in [`Listing::classes`].
    pub class: u32,
}

/// A file that could not be read, or a text in it that is empty, which was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SkippedFile {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: String,
    /// Where it stood among the samples of its part, from 0.
    #[serde(skip)]
    pub position: usize,
}

/// A column of a file that is handed on beside predictions, such as the ids of samples.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeptColumn {
    /// Its name, or its position from 1 in a file without names.
    pub name: String,
    /// Its cells without blanks around them, for each sample of the file in order, be it one that was left out.
    pub cells: Vec<String>,
}

/// The text of each sample.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Texts {
    all: String,
    ends: Vec<usize>,
}

impl Texts {
    /// Adds the text of a sample.
    pub(crate) fn push(&mut self, text: &str) {
        self.all.push_str(text);
        self.ends.push(self.all.len());
    }

    /// Number of samples.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The text of one.
    pub(crate) fn text(&self, sample: usize) -> &str {
        let start = sample.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.all[start..self.ends[sample]]
    }

    /// The texts of some.
    pub(crate) fn of(&self, samples: &[usize]) -> Vec<&str> {
        samples.iter().map(|&sample| self.text(sample)).collect()
    }
}

impl<T: AsRef<str>> FromIterator<T> for Texts {
    fn from_iter<I: IntoIterator<Item = T>>(texts: I) -> Texts {
        let mut all = Texts::default();
        texts.into_iter().for_each(|text| all.push(text.as_ref()));
        all
    }
}

/// Samples of one file, of many, or of a pair of files with features and labels.
pub(crate) struct Raw {
    pub path: PathBuf,
    /// How it was read; a new file is read so for a model.
    pub reading: Reading,
    /// `samples x width`, row-major; NaN is a missing number or category.
    pub cells: Cells,
    pub width: usize,
    /// How the numbers of a sample are laid out; plain in a CSV file, whose columns may become several numbers.
    pub shape: Shape,
    /// The columns that `cells` holds, for a table and for texts.
    pub columns: Vec<RawColumn>,
    /// Where each sample stands.
    pub places: Places,
    /// Numbers that may fall together when scaled.
    pub close: Vec<Close>,
    /// What the user should know about how it was read.
    pub notes: Vec<String>,
    pub labels: Option<Labels>,
    /// The classes in their order, where the source tells it.
    pub classes: Vec<String>,
    /// How much each sample counts; `None` if all count once.
    pub weights: Option<Vec<f32>>,
    /// Which group each sample belongs to, in any numbers; `None` if each stands for itself.
    pub groups: Option<Vec<u32>>,
    /// Where the labels were read from, if that is a file of its own.
    pub label_path: Option<PathBuf>,
    /// Steps of each sample's sequence, the others being NaN; empty if all are there.
    pub lengths: Vec<u32>,
    /// What was left out because it could not be read.
    pub skipped: Vec<SkippedFile>,
    /// Columns that are handed on beside predictions.
    pub kept: Vec<KeptColumn>,
}

/// Where samples stand, for messages.
pub(crate) enum Places {
    /// One after the other, with nothing more to say.
    InOrder,
    /// The line of each.
    Lines(Vec<u64>),
    /// The file of each.
    Files(Vec<PathBuf>),
}

/// What a path leads to.
pub(crate) type Source = Parts<Raw>;

impl Source {
    /// The files of all parts that could not be read and were left out.
    pub(crate) fn skipped(&self) -> Vec<SkippedFile> {
        self.iter().flat_map(|part| &part.skipped).cloned().collect()
    }
}

impl Cells {
    /// How many samples of this `width` there are.
    fn samples(&self, width: usize) -> usize {
        match self {
            Cells::Bytes(bytes) => bytes.len() / width.max(1),
            Cells::Numbers(numbers) => numbers.len() / width.max(1),
            Cells::Lent(lent) => lent.numbers().len() / width.max(1),
            Cells::Wide(cells) => cells.rows.rows,
            Cells::Streamed(cells) => cells.records.len(),
            Cells::Sparse(rows) => rows.rows(),
            Cells::StreamedSparse(rows) => rows.records.len(),
            Cells::Texts(texts) => texts.len(),
            Cells::Tokens { ids, .. } => ids.len() / width.max(1),
        }
    }

    /// Whether all numbers are bytes.
    pub(crate) fn are_bytes(&self) -> bool {
        match self {
            Cells::Bytes(_) => true,
            Cells::Streamed(cells) => cells.are_bytes,
            _ => false,
        }
    }

    /// Whether they are numbers that may be missing.
    pub(crate) fn are_numbers(&self) -> bool {
        matches!(self, Cells::Numbers(_) | Cells::Wide(_) | Cells::Streamed(_)) && !self.are_bytes()
    }

    /// That all that was asked for could be read.
    ///
    /// # Errors
    /// What has failed.
    pub(crate) fn check_read(&self) -> Result<()> {
        match self {
            Cells::Streamed(cells) => cells.records.check(),
            Cells::StreamedSparse(rows) => rows.records.check(),
            _ => Ok(()),
        }
    }

    /// Copies row `index` of a matrix of this `width`.
    ///
    /// # Panics
    /// For texts and tokens, which are no numbers.
    pub(crate) fn copy_row(&self, index: usize, width: usize, out: &mut [f32]) {
        match self {
            Cells::Bytes(bytes) => {
                for (out, &byte) in out.iter_mut().zip(&bytes[index * width..][..width]) {
                    *out = f32::from(byte);
                }
            }
            Cells::Numbers(numbers) => out.copy_from_slice(&numbers[index * width..][..width]),
            Cells::Lent(lent) => out.copy_from_slice(&lent.numbers()[index * width..][..width]),
            Cells::Wide(cells) => cells.copy_row(index, out),
            Cells::Streamed(cells) => cells.copy_row(index, out),
            Cells::Sparse(rows) => {
                out.fill(0.0);
                let (indices, values) = rows.row(index);
                indices.iter().zip(values).for_each(|(&index, &value)| out[index as usize] = value);
            }
            Cells::StreamedSparse(rows) => rows.copy_row(index, out),
            Cells::Texts(_) | Cells::Tokens { .. } => panic!("texts and tokens are no numbers"),
        }
    }
}

impl Labels {
    /// The classes of files.
    pub(crate) fn of_files(files: &[LabelledFile], classes: &[String]) -> Labels {
        Labels::Text { codes: files.iter().map(|file| file.class).collect(), vocabulary: classes.to_vec() }
    }

    /// The classes of samples, a word each.
    pub(crate) fn of_words(words: Vec<String>) -> Labels {
        let mut known: HashMap<String, u32> = HashMap::new();
        let mut vocabulary = Vec::new();
        let code = |word: String| {
            *known.entry(word).or_insert_with_key(|word| {
                vocabulary.push(word.clone());
                vocabulary.len() as u32 - 1
            })
        };
        Labels::Text { codes: words.into_iter().map(code).collect(), vocabulary }
    }
}

impl Raw {
    /// Features and labels without names, categories or missing numbers.
    pub(crate) fn new(
        path: &Path,
        reading: Reading,
        cells: Cells,
        shape: Shape,
        labels: Option<Labels>,
    ) -> Raw {
        Raw {
            path: path.to_path_buf(),
            reading,
            cells,
            width: shape.features(),
            shape,
            columns: Vec::new(),
            places: Places::InOrder,
            close: Vec::new(),
            notes: Vec::new(),
            labels,
            classes: Vec::new(),
            weights: None,
            groups: None,
            label_path: None,
            lengths: Vec::new(),
            skipped: Vec::new(),
            kept: Vec::new(),
        }
    }

    /// The kind of file.
    pub(crate) fn format(&self) -> Format {
        self.reading.format()
    }

    /// The file of a sample, where each has one of its own.
    pub(crate) fn file(&self, sample: usize) -> Option<&PathBuf> {
        match &self.places {
            Places::Files(files) => files.get(sample),
            Places::InOrder | Places::Lines(_) => None,
        }
    }

    /// An error about the label of a sample.
    pub(crate) fn label_error(&self, sample: usize, problem: impl Into<String>) -> Error {
        Error::data_at(self.label_path.as_ref().unwrap_or(&self.path), self.place(sample), problem)
    }

    /// How much a sample counts.
    pub(crate) fn weight(&self, sample: usize) -> f32 {
        self.weights.as_ref().map_or(1.0, |weights| weights[sample])
    }

    /// Number of samples.
    pub(crate) fn samples(&self) -> usize {
        self.cells.samples(self.width)
    }

    /// Copies the numbers of one sample.
    pub(crate) fn copy_row(&self, sample: usize, out: &mut [f32]) {
        self.cells.copy_row(sample, self.width, out);
    }

    /// Where a sample stands, for messages.
    pub(crate) fn place(&self, sample: usize) -> String {
        match &self.places {
            Places::InOrder => format!("sample {}", sample + 1),
            Places::Lines(lines) => format!("line {}", lines[sample]),
            Places::Files(files) => files[sample].display().to_string(),
        }
    }

    /// The name of a column.
    pub(crate) fn column_name(&self, column: usize) -> Cow<'_, str> {
        match self.columns.get(column) {
            Some(column) => Cow::Borrowed(&column.name),
            None => Cow::Owned((column + 1).to_string()),
        }
    }

    /// The label column(s), for messages.
    pub(crate) fn label_name(&self) -> String {
        match &self.reading.labels()[..] {
            [] => "the label".into(),
            [column] => format!("the label column {}", shown(&column.name)),
            _ => "the label columns".into(),
        }
    }
}
