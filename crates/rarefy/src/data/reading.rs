//! How samples were read: kept with the model, so that a new file is read in the way in which the training file was.

use serde::{Deserialize, Serialize};

use super::dataset::Task;
use super::dates::DatePart;
use super::settings::{AudioSettings, Decimal, ImageColor, ImageSize, Missing, RATES};
use super::span::Shift;
use super::stream::Streaming;

/// The kind of file that data comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Format {
    /// The built-in handwritten digits.
    Digits,
    /// CIFAR-10 and CIFAR-100, as binary records or Python pickles.
    Cifar,
    /// IDX, the format of MNIST.
    Idx,
    /// NumPy's NPY and NPZ.
    Npy,
    /// A table: text with one sample per line, or a Parquet or Arrow file.
    Csv,
    /// PNG and JPEG files.
    Images,
    /// WAV files.
    Audio,
    /// Text files.
    Text,
    /// JSON lines that hold texts.
    Jsonl,
    /// libsvm: sparse rows.
    Libsvm,
    /// No file: the program that trained had the samples in memory.
    Memory,
}

/// What stands for a path where the samples are in memory.
pub(crate) const MEMORY: &str = "memory";

/// How the samples of a model were read, by the format of its training file.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Reading {
    /// The built-in digits.
    Digits,
    /// Batches of CIFAR.
    Cifar,
    /// IDX files.
    Idx,
    /// NumPy arrays.
    Npy(ArrayReading),
    /// A table.
    Csv(CsvReading),
    /// Images.
    Images(ImageReading),
    /// Recordings.
    Audio(AudioReading),
    /// Text files.
    Text,
    /// JSON lines.
    Jsonl(JsonlReading),
    /// A libsvm file.
    Libsvm(LibsvmReading),
    /// Samples in memory.
    Memory(MemoryReading),
}

/// How the arrays that a model was trained on were read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ArrayReading {
    /// Columns that are read as `(x - origin) / unit`, because `f32` could not tell their numbers apart.
    pub shifts: Vec<Shift>,
}

/// How the table that a model was trained on was read.
#[derive(Debug, Clone, PartialEq)]
pub struct CsvReading {
    /// The layout.
    pub dialect: Dialect,
    /// The columns of features, in the order of the features; one of dates for each of their parts.
    pub columns: Vec<CsvColumn>,
    /// The label columns.
    pub labels: Vec<LabelColumn>,
    /// Whether the labels are words, the class of each sample, rather than numbers.
    pub labels_are_words: bool,
    /// The column that says how much each sample counts.
    pub weight: Option<CsvColumn>,
    /// Columns that are handed on beside predictions.
    pub keep: Vec<CsvColumn>,
    /// What is done where a number is missing.
    pub missing: Missing,
    /// How a missing cell is written; in a column of numbers be it in upper or lower case.
    pub missing_markers: Vec<String>,
    /// How dates are written; as ISO 8601 says if not given.
    pub date_format: Option<String>,
    /// Columns that are read as `(x - origin) / unit`, because `f32` could not tell their numbers apart.
    pub shifts: Vec<Shift>,
}

/// A column of a table that is no label.
#[derive(Debug, Clone, PartialEq)]
pub struct CsvColumn {
    /// Its name, or its position from 1 in a file without names.
    pub name: String,
    /// Where it stands in the file, from 0.
    pub position: usize,
    /// What its cells are read as.
    pub cells: CellKind,
}

/// What the cells of a column of a table are read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CellKind {
    /// A number each.
    Number,
    /// A word from a set.
    Category,
    /// Free text, the only feature of a sample.
    Text,
    /// A date, of which a feature is this part.
    Date(DatePart),
}

impl CsvColumn {
    /// The name of the feature that it becomes, or that a part of its dates does.
    pub(crate) fn feature_name(&self) -> String {
        match self.cells {
            CellKind::Date(part) => format!("{} {part}", self.name),
            CellKind::Number | CellKind::Category | CellKind::Text => self.name.clone(),
        }
    }
}

/// A label column of a CSV file, or the key of the label in JSON lines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabelColumn {
    /// Its name, or its position from 1 in a file without names.
    pub name: String,
    /// Where it stands in the file, from 0.
    pub position: usize,
    /// Whether its cells are classes as they are written, be they numbers.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub text: bool,
}

/// Names of label columns that need not be last.
pub(crate) const LABEL_NAMES: [&str; 4] = ["label", "target", "class", "y"];

impl LabelColumn {
    /// Whether its name says that it is one.
    pub fn is_named_so(&self) -> bool {
        LABEL_NAMES.iter().any(|name| self.name.eq_ignore_ascii_case(name))
    }
}

/// How a table is laid out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dialect {
    /// What separates the cells.
    pub delimiter: char,
    /// Whether the first line names the columns.
    pub header: bool,
    /// Columns of the file.
    pub columns: usize,
    /// How numbers are written.
    #[serde(default)]
    pub decimal: Decimal,
    /// Whether quotes hold cells together; else they are characters like others.
    #[serde(default = "yes")]
    pub quote: bool,
    /// Whether this is no text but a file whose columns have names and types, Parquet or Arrow.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub typed: bool,
}

fn yes() -> bool {
    true
}

/// How the images that a model was trained on were read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageReading {
    /// Rows and columns.
    pub size: ImageSize,
    /// 1 for grey, 3 for colour.
    pub channels: usize,
    /// Whether others are brought to that size; else they are refused.
    pub resize: bool,
    /// Whether colours become grey; else a model trained on grey refuses them.
    pub color: ImageColor,
}

/// How the recordings that a model was trained on were read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AudioReading {
    /// Their sample rate, in Hz.
    pub sample_rate: u32,
    /// Whether others are brought to it; else they are refused.
    pub resample: bool,
    /// How frames become features.
    pub features: AudioSettings,
    /// Frames of each sample; told by the inputs of the model, so not stored again.
    #[serde(skip)]
    pub frames: usize,
}

impl AudioReading {
    /// Checks what came from a file.
    ///
    /// # Errors
    /// What cannot be.
    pub(super) fn check(&self) -> std::result::Result<(), String> {
        self.features.check().map_err(|error| error.to_string())?;
        if RATES.contains(&self.sample_rate) {
            Ok(())
        } else {
            Err(format!("{} samples a second are no rate", self.sample_rate))
        }
    }
}

/// How the JSON lines that a model was trained on were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonlReading {
    /// The key of the text.
    pub text: String,
    /// The key of the label.
    pub label: String,
}

/// How the libsvm file that a model was trained on was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LibsvmReading {
    /// What the first feature is called, 0 or 1.
    pub first_index: u32,
    /// Whether a sample has any number of labels.
    pub multi_label: bool,
    /// Features of each sample; told by the inputs of the model, so not stored again.
    #[serde(skip)]
    pub features: usize,
    /// How many labels there are if a sample has any number of them, else 1; told by the outputs of the model.
    #[serde(skip)]
    pub labels: usize,
}

/// How the samples in memory that a model was trained on were taken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MemoryReading {
    /// What is kept of a row.
    pub kept: Kept,
    /// A name for each input; may be empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<String>,
    /// A name for each label or number to predict; may be empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<String>,
    /// Columns that are read as `(x - origin) / unit`, because `f32` could not tell their numbers apart; stored with the
    /// preparation.
    #[serde(skip)]
    pub shifts: Vec<Shift>,
}

/// What is kept of a row in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Kept {
    /// All its numbers.
    All,
    /// Those that are not 0.
    Nonzeros,
    /// Tokens, ids below this number.
    Tokens(usize),
}

/// What is asked of a new file that is read for a model.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// The task whose labels are wanted; without, the file need not have any and they are not read.
    pub labels: Option<Task>,
    /// What is done about samples that cannot be read.
    pub broken: Broken,
    /// Columns to hand on as they are.
    pub keep: Keep<'a>,
    /// How samples stay on the disk, if they do.
    pub streaming: Option<&'a Streaming>,
}

/// Columns of a new file that are handed on beside predictions.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Keep<'a> {
    Nothing,
    /// Those that training was told to keep, as far as the file has them.
    AsTrained,
    /// These, by name or position from 1.
    Columns(&'a [String]),
}

/// What is done about files that cannot be read, and about texts that are empty.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Broken {
    /// They are left out and reported.
    LeaveOut,
    /// The first ends it, with the advice to leave them out.
    Refuse,
}

impl Broken {
    /// As `data.skip_bad` says, or whoever applies a model.
    pub(crate) fn of(skip_bad: bool) -> Broken {
        if skip_bad { Broken::LeaveOut } else { Broken::Refuse }
    }
}

impl Reading {
    /// The format that is read so.
    pub fn format(&self) -> Format {
        match self {
            Reading::Digits => Format::Digits,
            Reading::Cifar => Format::Cifar,
            Reading::Idx => Format::Idx,
            Reading::Npy(_) => Format::Npy,
            Reading::Csv(_) => Format::Csv,
            Reading::Images(_) => Format::Images,
            Reading::Audio(_) => Format::Audio,
            Reading::Text => Format::Text,
            Reading::Jsonl(_) => Format::Jsonl,
            Reading::Libsvm(_) => Format::Libsvm,
            Reading::Memory(_) => Format::Memory,
        }
    }

    /// The layout of a table.
    pub fn dialect(&self) -> Option<&Dialect> {
        match self {
            Reading::Csv(csv) => Some(&csv.dialect),
            _ => None,
        }
    }

    /// What the labels are called in the file: the label columns of a table, the key of JSON lines, the numbers of a libsvm
    /// file's labels where a sample has any number of them, the names given in memory; else nothing.
    pub fn labels(&self) -> Vec<LabelColumn> {
        let column = |name: String, position| LabelColumn { name, position, text: false };
        match self {
            Reading::Csv(csv) => csv.labels.clone(),
            Reading::Jsonl(jsonl) => vec![column(jsonl.label.clone(), 1)],
            Reading::Libsvm(libsvm) if libsvm.multi_label => {
                (0..libsvm.labels).map(|label| column(label.to_string(), label)).collect()
            }
            Reading::Memory(memory) => {
                memory.targets.iter().zip(0..).map(|(name, at)| column(name.clone(), at)).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Columns that are read as `(x - origin) / unit`.
    pub fn shifts(&self) -> &[Shift] {
        match self {
            Reading::Csv(csv) => &csv.shifts,
            Reading::Npy(arrays) => &arrays.shifts,
            Reading::Memory(memory) => &memory.shifts,
            _ => &[],
        }
    }
}
