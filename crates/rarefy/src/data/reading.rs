//! How files were read that do not say it themselves: kept with the model, so that new files are read alike.

use serde::{Deserialize, Serialize};

use super::settings::{AudioSettings, Decimal, ImageColor, ImageSize, RATES};

/// A label column of a CSV file.
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

/// How the text of a CSV file is laid out.
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
}

fn yes() -> bool {
    true
}

/// How files were read that do not say it themselves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileReading {
    /// Images.
    Images(ImageReading),
    /// Recordings.
    Audio(AudioReading),
    /// libsvm files.
    Libsvm(LibsvmReading),
    /// No files: samples in memory.
    Memory(MemoryReading),
}

/// How the samples in memory that a model was trained on were taken, so that new ones are taken alike.
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
}

/// What is kept of a row in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kept {
    /// All its numbers.
    All,
    /// Those that are not 0.
    Nonzeros,
    /// Tokens, ids below this number.
    Tokens(usize),
}

/// How the images that a model was trained on were read, so that new ones are read alike.
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

/// How the recordings that a model was trained on were read, so that new ones are read alike.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AudioReading {
    /// Their sample rate, in Hz.
    pub sample_rate: u32,
    /// Whether others are brought to it; else they are refused.
    pub resample: bool,
    /// How frames become features.
    pub features: AudioSettings,
}

impl AudioReading {
    /// Checks what came from a file.
    ///
    /// # Errors
    /// What cannot be.
    pub(super) fn check(&self) -> std::result::Result<(), String> {
        self.features.check().map_err(|error| error.to_string())?;
        match RATES.contains(&self.sample_rate) {
            true => Ok(()),
            false => Err(format!("{} samples a second are no rate", self.sample_rate)),
        }
    }
}

/// How the file that a model was trained on was read, so that new ones are read alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LibsvmReading {
    /// What the first feature is called, 0 or 1.
    pub first_index: u32,
    /// Whether a sample has any number of labels.
    pub multi_label: bool,
}
