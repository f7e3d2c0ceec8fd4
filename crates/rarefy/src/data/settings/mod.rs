//! What the user may say about data: the `data` section of the settings. Checked by [`DataSettings::check`] before
//! any file is opened.

mod audio;
mod augment;
mod fold;
mod images;
mod units;

use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize};

use super::dataset::Task;
use super::dates::is_layout;
use super::stream::Streaming;
use super::text::TextSettings;
use crate::control::bytes_setting;
use crate::tiles::Shape;
use crate::{Error, Result};
pub(super) use audio::RATES;
pub use audio::{AudioFeatures, AudioSettings};
pub use augment::AugmentSettings;
pub use fold::Fold;
pub use images::{ImageColor, ImageSize};
pub use units::Units;

/// What pandas takes for a missing cell, and the question mark of older files.
const MISSING: [&str; 20] = [
    "", "?", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>",
    "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
];

/// Where the samples come from and how to read, split and scale them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataSettings {
    /// `digits`, `fashion-mnist`, `mnist`, or a file or folder (CSV, IDX, NPY, NPZ; each but NPZ also gzipped); for images
    /// (PNG, JPEG), recordings (WAV) and texts (TXT) a folder with a folder for each class, perhaps below `train`, `val` and `test`, or a CSV
    /// list with the columns `path`, `label` and perhaps `split`; for texts a CSV file or JSON lines too (see `text`); for a
    /// language model a text file or a folder of TXT files; for sparse features a libsvm file, or an NPZ file of SciPy.
    pub path: String,
    /// A file or folder with the test part; without it the source's own test part is used, or one is split off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_path: Option<String>,
    /// How the numbers of a sample are laid out, as `[height, width, channels]` (`[1, steps, features]` for a sequence),
    /// position by position; told by the file unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shape: Option<Shape>,
    /// What to predict.
    pub task: TaskChoice,
    /// What the text of a transcription is a sequence of.
    pub units: Units,
    /// Label column(s) of a CSV file, by name or position from 1; if empty the column named `label`, `target`, `class` or `y`,
    /// else the last one. Several mean multi-label or several outputs. In JSON lines the key of the label, `label` if empty.
    #[serde(deserialize_with = "one_or_many")]
    pub label: Vec<String>,
    /// Column of a CSV file that says how much each sample counts, by name or position from 1: a number from 0, where 2 is as if
    /// the line stood twice and 0 as if it were not there. It counts in loss, metrics and scales, and is no feature.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "at_most_one")]
    pub weight: Option<String>,
    /// Column of a CSV file that says which samples belong together, such as those of one customer, by name or position from 1:
    /// no split cuts a group. It is no feature.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "at_most_one")]
    pub group: Option<String>,
    /// Whether the labels of a CSV file are texts though they may be numbers.
    pub label_type: LabelType,
    /// Whether the first line of a CSV file names the columns.
    pub header: Header,
    /// What separates the cells of a CSV file; found out (comma, semicolon or tab) if not given. Of blanks any number does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<char>,
    /// Whether quotes in a CSV file hold cells together.
    pub quote: Quote,
    /// What stands before the fraction of a number in a CSV file.
    pub decimal: Decimal,
    /// CSV columns to treat as categories though they hold numbers, all or some. Columns of text alone are categories
    /// anyway.
    #[serde(deserialize_with = "one_or_many")]
    pub categorical: Vec<String>,
    /// CSV columns of dates, with times or without, which become numbers: days, and places in the year, the week and the day.
    #[serde(deserialize_with = "one_or_many")]
    pub date: Vec<String>,
    /// How they are written, in the letters of `strftime` as in `%d.%m.%Y %H:%M`; as ISO 8601 says (`2024-01-31`, `2024-01-31 12:30`)
    /// if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date_format: Option<String>,
    /// CSV columns to leave out, such as row numbers.
    #[serde(deserialize_with = "one_or_many")]
    pub ignore: Vec<String>,
    /// CSV columns that are no features either, such as ids, and that `rarefy predict` hands on beside its predictions.
    #[serde(deserialize_with = "one_or_many")]
    pub keep: Vec<String>,
    /// What to do where a number is missing.
    pub missing: Missing,
    /// How a missing cell is written; in a column of numbers be it in upper or lower case.
    pub missing_markers: Vec<String>,
    /// How the numbers are scaled.
    pub scale: Scale,
    /// How numbers to predict are scaled for the network; predictions and errors are told in the target's own unit. For
    /// regression alone, `standard` unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_scale: Option<TargetScale>,
    /// Part of the samples kept apart to watch training, if the source has no validation part of its own; 0 for none.
    pub validation_fraction: f64,
    /// Part of the samples kept apart for the final test, if the source has no test part of its own; 0 for none.
    pub test_fraction: f64,
    /// The fold of a cross-validation to test on, as in `2/5`: the second of five. It takes the place of `test_fraction`, and a test
    /// part of the source's own is left alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fold: Option<Fold>,
    /// Bytes of memory that the samples of a file may take, a number or a text such as `"1GB"`: for data beyond memory. They stay on the
    /// disk and are read again in each epoch, a window ahead of training; only those of a window are shuffled together, so that results
    /// depend on it. Labels stay in memory. If not given, all samples are in memory.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "bytes_setting")]
    pub memory: Option<usize>,
    /// Folder on a disk for what `memory` keeps of other files than plain NPY and IDX: a copy that can be read in any order, which is gone
    /// when the program ends. If not given, the system's folder for temporary files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scratch: Option<String>,
    /// Whether images and recordings that cannot be read, and empty texts, are left out and reported, rather than refused.
    pub skip_bad: bool,
    /// Size that images are stretched or shrunk to, in pixels: `32`, or `[height, width]`. Without it all must be of one size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_size: Option<ImageSize>,
    /// Whether images are grey or in colour.
    pub image_color: ImageColor,
    /// Sample rate that recordings are brought to, in Hz. Without it all must have the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample_rate: Option<u32>,
    /// How recordings become features.
    pub audio: AudioSettings,
    /// How training samples are changed, anew in each epoch.
    pub augment: AugmentSettings,
    /// Where text stands and what it becomes; makes a CSV file one of texts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<TextSettings>,
    /// What the first feature of a libsvm file is called, 0 or 1; 0 if the training file holds a feature 0, else 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_index: Option<u32>,
    /// Features of a libsvm file, if there are more than the training file uses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub features: Option<u32>,
    /// An NPY file with the labels of `path`; without it they are looked for in and beside the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_path: Option<String>,
}

impl Default for DataSettings {
    fn default() -> DataSettings {
        DataSettings {
            path: "digits".into(),
            test_path: None,
            shape: None,
            task: TaskChoice::Auto,
            units: Units::Characters,
            label: Vec::new(),
            weight: None,
            group: None,
            label_type: LabelType::Auto,
            header: Header::Auto,
            delimiter: None,
            quote: Quote::Auto,
            decimal: Decimal::Auto,
            categorical: Vec::new(),
            date: Vec::new(),
            date_format: None,
            ignore: Vec::new(),
            keep: Vec::new(),
            missing: Missing::Mean,
            missing_markers: MISSING.map(String::from).to_vec(),
            scale: Scale::Auto,
            target_scale: None,
            validation_fraction: 0.1,
            test_fraction: 0.2,
            fold: None,
            memory: None,
            scratch: None,
            skip_bad: false,
            image_size: None,
            image_color: ImageColor::Auto,
            sample_rate: None,
            audio: AudioSettings::default(),
            augment: AugmentSettings::default(),
            text: None,
            first_index: None,
            features: None,
            label_path: None,
        }
    }
}

named! {
    /// What to predict, or `auto`: see [`Task`].
    #[derive(Default)]
    pub enum TaskChoice {
        /// Text, or whole numbers of at most 100 kinds, are classes; several columns of 0 and 1 are labels; other numbers
        /// are values.
        #[default]
        Auto = "auto",
        /// One class of several.
        Classification = "classification",
        /// Any number of labels, each 0 or 1.
        MultiLabel = "multi-label",
        /// Numbers.
        Regression = "regression",
        /// What is said in a recording: its label is a text.
        Transcription = "transcription",
        /// The next token at each step of a text.
        LanguageModel = "language-model",
    }
}

impl TaskChoice {
    /// The task that was asked for by name.
    pub(crate) fn named(self) -> Option<Task> {
        match self {
            TaskChoice::Auto => None,
            TaskChoice::Classification => Some(Task::Classification),
            TaskChoice::MultiLabel => Some(Task::MultiLabel),
            TaskChoice::Regression => Some(Task::Regression),
            TaskChoice::Transcription => Some(Task::Transcription),
            TaskChoice::LanguageModel => Some(Task::LanguageModel),
        }
    }
}

impl From<Task> for TaskChoice {
    fn from(task: Task) -> TaskChoice {
        match task {
            Task::Classification => TaskChoice::Classification,
            Task::MultiLabel => TaskChoice::MultiLabel,
            Task::Regression => TaskChoice::Regression,
            Task::Transcription => TaskChoice::Transcription,
            Task::LanguageModel => TaskChoice::LanguageModel,
        }
    }
}

/// Whether the first line of a CSV file names the columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Header {
    /// It does if it differs from the lines below: where it holds numbers they look like names, such as `0,1,2` or years.
    #[default]
    Auto,
    /// It does.
    Yes,
    /// It is a sample.
    No,
}

/// What stands before the fraction of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Decimal {
    /// A point; a comma where the first lines show that, and commas do not separate the cells.
    #[default]
    #[serde(rename = "auto")]
    Auto,
    /// A point; commas may group thousands.
    #[serde(rename = ".")]
    Point,
    /// A comma; points may group thousands.
    #[serde(rename = ",")]
    Comma,
}

/// Whether quotes hold cells together, as in `"a, b"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quote {
    /// They do, unless tabs separate the cells and a quote is not closed at the end of its cell.
    #[default]
    Auto,
    /// They do.
    Yes,
    /// They are characters like others.
    No,
}

/// What labels are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LabelType {
    /// Numbers where all are, else text.
    #[default]
    Auto,
    /// Text, so that `01` and `1` are two classes.
    Text,
}

/// What to do where a number is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Missing {
    /// Take the column's mean over the training part. A missing category is no category: all zeros.
    #[default]
    Mean,
    /// Refuse the file.
    Error,
}

/// How the numbers are scaled. All figures come from the training part alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// `global` for bytes (images), `channel` for recordings, `standard` for the rest.
    #[default]
    Auto,
    /// As they are.
    None,
    /// Each column from 0 to 1.
    MinMax,
    /// Each column to mean 0 and deviation 1.
    Standard,
    /// All columns together to mean 0 and deviation 1, right for pixels.
    Global,
    /// Each channel over all its positions to mean 0 and deviation 1: a colour of an image, a feature of a sequence.
    Channel,
}

/// How numbers to predict are scaled. All figures come from the training part alone, each output has its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TargetScale {
    /// To mean 0 and deviation 1.
    #[default]
    Standard,
    /// Their natural logarithms to mean 0 and deviation 1, for skewed numbers above 0, such as prices: errors count by their
    /// ratio. What is predicted is then nearer to the median than to the mean.
    Log,
    /// As they are.
    None,
}

impl TargetScale {
    /// That it is for numbers to predict.
    pub(crate) fn check(chosen: Option<TargetScale>, task: Task) -> Result<()> {
        match chosen {
            Some(TargetScale::Standard | TargetScale::Log) if task != Task::Regression => {
                let problem = "scales numbers to predict, and here there are none (data.task = \"regression\"); leave it out";
                Err(Error::setting("data.target_scale", problem))
            }
            _ => Ok(()),
        }
    }
}

impl DataSettings {
    /// Checks what can be checked without the files.
    ///
    /// # Errors
    /// Names the key that cannot be used and what it may be.
    pub fn check(&self) -> Result<()> {
        if self.path.is_empty() {
            return Err(Error::setting(
                "data.path",
                "is empty; give digits, fashion-mnist, or a file or folder",
            ));
        }
        self.check_kept_apart()?;
        self.check_task()?;
        self.check_streaming()?;
        self.check_table()?;
        if let Some(shape) = self.shape {
            shape.check().map_err(|problem| Error::setting("data.shape", problem))?;
        }
        if let Some(rate) = self.sample_rate.filter(|rate| !RATES.contains(rate)) {
            let problem = format!("{rate} is not a rate from {} to {} Hz", RATES.start(), RATES.end());
            return Err(Error::setting("data.sample_rate", problem));
        }
        if let Some(first) = self.first_index.filter(|&first| first > 1) {
            return Err(Error::setting("data.first_index", format!("{first} is neither 0 nor 1")));
        }
        if let Some(text) = &self.text {
            text.check()?;
        }
        self.audio.check()?;
        self.augment.check()
    }

    /// How samples stay on the disk, if they do.
    pub(crate) fn streaming(&self) -> Option<Streaming> {
        self.memory.map(|_| Streaming { scratch: self.scratch.as_ref().map(PathBuf::from) })
    }

    fn check_streaming(&self) -> Result<()> {
        if self.memory.is_none() && self.scratch.is_some() {
            return Err(Error::setting("data.scratch", "is for data.memory; set that, or leave it out"));
        }
        if self.memory.is_some() && (self.text.is_some() || self.task == TaskChoice::LanguageModel) {
            let problem = "is for numbers, tables without text, images and recordings; texts are all in memory, leave it out";
            return Err(Error::setting("data.memory", problem));
        }
        Ok(())
    }

    /// That keys which are for one task go with it.
    fn check_task(&self) -> Result<()> {
        if self.units != Units::Characters && self.task != TaskChoice::Transcription {
            return Err(Error::setting(
                "data.units",
                "is for data.task = \"transcription\"; set that, or leave it out",
            ));
        }
        let classes = matches!(self.task, TaskChoice::Auto | TaskChoice::Classification);
        if self.label_type == LabelType::Text && (!classes || self.label.len() > 1) {
            return Err(Error::setting(
                "data.label_type",
                "text is for data.task = \"classification\" with one label; leave it out",
            ));
        }
        Ok(())
    }

    /// That tables can be read so.
    fn check_table(&self) -> Result<()> {
        if self.delimiter.is_some_and(|delimiter| !delimiter.is_ascii() || "\"\r\n".contains(delimiter)) {
            return Err(Error::setting(
                "data.delimiter",
                "must be one plain character, such as \",\", \";\" or \"\\t\"",
            ));
        }
        if let Some(format) = &self.date_format {
            let problem = match self.date[..] {
                [] => "is for columns of dates, and data.date names none; name them, or leave it out",
                _ if !is_layout(format) => {
                    "is no layout of dates; write it as in \"%d.%m.%Y\" or \"%m/%d/%Y %H:%M\""
                }
                _ => "",
            };
            if !problem.is_empty() {
                return Err(Error::setting("data.date_format", problem));
            }
        }
        Ok(())
    }

    /// That samples are left to train on.
    fn check_kept_apart(&self) -> Result<()> {
        for (key, fraction) in [
            ("data.validation_fraction", self.validation_fraction),
            ("data.test_fraction", self.test_fraction),
        ] {
            if !(0.0..1.0).contains(&fraction) {
                let problem =
                    format!("{fraction} is not a fraction; give a number from 0 to below 1, such as 0.2");
                return Err(Error::setting(key, problem));
            }
        }
        if let Some(fold) = self.fold {
            fold.check()?;
        }
        let (key, test) = match self.fold {
            Some(fold) => ("data.validation_fraction", 1.0 / f64::from(fold.of)),
            None => ("data.test_fraction", self.test_fraction),
        };
        let kept_apart = self.validation_fraction + test;
        if kept_apart >= 1.0 {
            let other = if self.fold.is_some() { "data.fold" } else { "data.validation_fraction" };
            let problem = format!(
                "with {other} it keeps {kept_apart} of the samples apart, so none are left to train on; lower one of them"
            );
            return Err(Error::setting(key, problem));
        }
        Ok(())
    }
}

/// A name or a number.
fn at_most_one<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Option<String>, D::Error> {
    let mut given = one_or_many(from)?;
    if given.len() > 1 {
        return Err(serde::de::Error::custom("expected one column"));
    }
    Ok(given.pop())
}

/// A list, or a single name or number in its place.
fn one_or_many<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a column name, a position from 1, or a list of them")]
    enum Entry {
        Name(String),
        Position(u32),
    }
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a column name, a position from 1, or a list of them")]
    enum Entries {
        One(Entry),
        Many(Vec<Entry>),
    }
    let entries = match Entries::deserialize(from)? {
        Entries::One(entry) => vec![entry],
        Entries::Many(entries) => entries,
    };
    let name = |entry| match entry {
        Entry::Name(name) => name,
        Entry::Position(position) => position.to_string(),
    };
    Ok(entries.into_iter().map(name).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn toml_takes_one_name_or_several_and_writes_itself_back() {
        for (text, label) in [
            ("label = 'age'", &["age"][..]),
            ("label = 5", &["5"]),
            ("label = ['a', 2]", &["a", "2"]),
            ("", &[]),
        ] {
            let settings: DataSettings = toml::from_str(text).unwrap();
            assert_eq!(settings.label, label);
            let again: DataSettings = toml::from_str(&toml::to_string(&settings).unwrap()).unwrap();
            assert_eq!(again, settings);
        }
        let given = "task = 'multi-label'\nscale = 'min-max'\nheader = 'no'\ndelimiter = ';'";
        let settings: DataSettings = toml::from_str(given).unwrap();
        assert_eq!(settings.task, TaskChoice::MultiLabel);
        assert_eq!((settings.scale, settings.header), (Scale::MinMax, Header::No));
        for (bad, problem) in
            [("labell = 'x'", "unknown field"), ("label = 1.5", "a column name, a position")]
        {
            let error = toml::from_str::<DataSettings>(bad).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
    }

    #[test]
    fn values_out_of_range_are_refused_by_key() {
        let with = |change: fn(&mut DataSettings)| {
            let mut settings = DataSettings::default();
            change(&mut settings);
            settings.check()
        };
        assert!(with(|_| ()).is_ok());
        assert!(with(|s| (s.validation_fraction, s.test_fraction) = (0.0, 0.0)).is_ok());
        type Change = fn(&mut DataSettings);
        let cases: [(Change, &str); 10] = [
            (|s| s.test_fraction = 1.0, "data.test_fraction: 1 is not a fraction"),
            (|s| s.test_fraction = -0.1, "data.test_fraction: -0.1"),
            (|s| s.validation_fraction = f64::NAN, "data.validation_fraction: NaN"),
            (|s| s.validation_fraction = 20.0, "data.validation_fraction: 20"),
            (|s| (s.validation_fraction, s.test_fraction) = (0.5, 0.5), "none are left to train on"),
            (|s| s.delimiter = Some('→'), "data.delimiter"),
            (|s| s.path.clear(), "data.path"),
            (|s| s.sample_rate = Some(44), "data.sample_rate: 44 is not a rate"),
            (|s| s.audio.mels = 0, "data.audio.mels: 0"),
            (|s| s.augment.noise = -1.0, "data.augment.noise: -1"),
        ];
        for (change, problem) in cases {
            let error = with(change).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
    }
}
