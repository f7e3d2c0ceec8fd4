//! A source as read, before anything is learned from it: what IDX, NPY, CSV and the built-in data all become. Samples
//! are split by row first and coded after, so that nothing of the test part reaches the training part.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::audio::{AudioReading, AudioSettings};
use super::files::{self, Kind, LabelledFile, SkippedFile};
use super::images::{ImageColor, ImageReading};
use super::preparation::Preparation;
use super::settings::{DataSettings, Header};
use super::{audio, builtin, csv, idx, images, npy};
use crate::tiles::Shape;
use crate::{Error, Result};

/// The kind of file that data comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// The built-in handwritten digits.
    Digits,
    /// IDX, the format of MNIST.
    Idx,
    /// NumPy's NPY and NPZ.
    Npy,
    /// Text with one sample per line.
    Csv,
    /// PNG and JPEG files.
    Images,
    /// WAV files.
    Audio,
}

/// Numbers as read. Images stay bytes until they are coded: a quarter of the memory.
pub(crate) enum Cells {
    Bytes(Vec<u8>),
    Numbers(Vec<f32>),
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
    /// Where it stands in the file, from 0.
    pub position: usize,
    /// For a column of categories, their names; its cells hold positions in this list.
    pub vocabulary: Option<Vec<String>>,
}

/// A label column of a CSV file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabelColumn {
    /// Its name, or its position from 1 in a file without names.
    pub name: String,
    /// Where it stands in the file, from 0.
    pub position: usize,
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
}

/// How files that are a sample each were read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileReading {
    /// Images.
    Images(ImageReading),
    /// Recordings.
    Audio(AudioReading),
}

/// Samples of one file, of many, or of a pair of files with features and labels.
pub(crate) struct Raw {
    pub path: PathBuf,
    pub format: Format,
    /// `samples x width`, row-major; NaN is a missing number or category.
    pub cells: Cells,
    pub width: usize,
    /// How the numbers of a sample are laid out; plain in a CSV file, whose columns may become several numbers.
    pub shape: Shape,
    /// CSV only: the columns that `cells` holds, the label columns and the layout.
    pub columns: Vec<RawColumn>,
    pub label_columns: Vec<LabelColumn>,
    pub dialect: Option<Dialect>,
    /// CSV only: the line of each sample.
    pub lines: Vec<u64>,
    pub labels: Option<Labels>,
    /// Where the labels were read from, if that is a file of its own.
    pub label_path: Option<PathBuf>,
    /// Steps of each sample's sequence, the others being NaN; empty if all are there.
    pub lengths: Vec<u32>,
    /// Images and recordings only: the file of each sample, those that were left out, and how they were read.
    pub files: Vec<PathBuf>,
    pub skipped: Vec<SkippedFile>,
    pub reading: Option<FileReading>,
}

/// What a path leads to.
pub(crate) struct Source {
    pub train: Raw,
    /// The source's own test part.
    pub test: Option<Raw>,
}

impl Source {
    /// The files of all parts that could not be read and were left out.
    pub(crate) fn skipped(&self) -> Vec<SkippedFile> {
        let test = self.test.iter().flat_map(|test| &test.skipped);
        self.train.skipped.iter().chain(test).cloned().collect()
    }
}

impl Cells {
    /// How many numbers there are.
    pub(crate) fn len(&self) -> usize {
        match self {
            Cells::Bytes(bytes) => bytes.len(),
            Cells::Numbers(numbers) => numbers.len(),
        }
    }

    /// Copies row `index` of a matrix of this `width`.
    pub(crate) fn copy_row(&self, index: usize, width: usize, out: &mut [f32]) {
        match self {
            Cells::Bytes(bytes) => {
                for (out, &byte) in out.iter_mut().zip(&bytes[index * width..][..width]) {
                    *out = f32::from(byte);
                }
            }
            Cells::Numbers(numbers) => out.copy_from_slice(&numbers[index * width..][..width]),
        }
    }
}

impl Labels {
    /// The classes of files.
    pub(crate) fn of_files(files: &[LabelledFile], classes: &[String]) -> Labels {
        Labels::Text { codes: files.iter().map(|file| file.class).collect(), vocabulary: classes.to_vec() }
    }
}

impl Raw {
    /// Features and labels that are plain arrays: without names, categories or missing numbers.
    pub(crate) fn arrays(
        path: &Path,
        format: Format,
        cells: Cells,
        shape: Shape,
        labels: Option<Labels>,
    ) -> Raw {
        Raw {
            path: path.to_path_buf(),
            format,
            cells,
            width: shape.features(),
            shape,
            columns: Vec::new(),
            label_columns: Vec::new(),
            dialect: None,
            lines: Vec::new(),
            labels,
            label_path: None,
            lengths: Vec::new(),
            files: Vec::new(),
            skipped: Vec::new(),
            reading: None,
        }
    }

    /// An error about the label of a sample.
    pub(crate) fn label_error(&self, sample: usize, problem: impl Into<String>) -> Error {
        Error::data_at(self.label_path.as_ref().unwrap_or(&self.path), self.place(sample), problem)
    }

    /// Number of samples.
    pub(crate) fn samples(&self) -> usize {
        self.cells.len() / self.width.max(1)
    }

    /// Copies the numbers of one sample.
    pub(crate) fn copy_row(&self, sample: usize, out: &mut [f32]) {
        self.cells.copy_row(sample, self.width, out);
    }

    /// Where a sample stands, for messages.
    pub(crate) fn place(&self, sample: usize) -> String {
        match (self.lines.get(sample), self.files.get(sample)) {
            (Some(line), _) => format!("line {line}"),
            (_, Some(file)) => file.display().to_string(),
            _ => format!("sample {}", sample + 1),
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
        match &self.label_columns[..] {
            [] => "the labels".into(),
            [column] => format!("the label column {:?}", column.name),
            _ => "the label columns".into(),
        }
    }
}

/// Reads what the settings name.
pub(crate) fn read(settings: &DataSettings) -> Result<Source> {
    let source = match place(&settings.path)? {
        Place::Digits => Source { train: builtin::digits(), test: None },
        Place::Idx(path) => idx::read(&path)?,
        Place::Npy(path) => npy::read(&path)?,
        Place::Csv(path) => Source { train: csv::read(&path, settings)?, test: None },
        Place::Files(path, Kind::Images) => images::read(&path, settings)?,
        Place::Files(path, Kind::Audio) => audio::read(&path, settings)?,
    };
    refuse_settings_of_others(settings, source.train.format)?;
    Ok(source)
}

/// Refuses settings that say something about another kind of file.
fn refuse_settings_of_others(settings: &DataSettings, format: Format) -> Result<()> {
    let (csv, images, audio) = (&[Format::Csv][..], &[Format::Images][..], &[Format::Audio][..]);
    let both = &[Format::Images, Format::Audio][..];
    for (key, given, formats, what) in [
        ("data.label", !settings.label.is_empty(), csv, "CSV files"),
        ("data.categorical", !settings.categorical.is_empty(), csv, "CSV files"),
        ("data.ignore", !settings.ignore.is_empty(), csv, "CSV files"),
        ("data.delimiter", settings.delimiter.is_some(), csv, "CSV files"),
        ("data.header", settings.header != Header::Auto, csv, "CSV files"),
        ("data.image_size", settings.image_size.is_some(), images, "PNG and JPEG files"),
        ("data.image_color", settings.image_color != ImageColor::Auto, images, "PNG and JPEG files"),
        ("data.sample_rate", settings.sample_rate.is_some(), audio, "WAV files"),
        ("data.audio", settings.audio != AudioSettings::default(), audio, "WAV files"),
        ("data.skip_bad", settings.skip_bad, both, "images and WAV files"),
    ] {
        if given && !formats.contains(&format) {
            let problem = format!("is for {what}, and {} holds none; leave it out", settings.path);
            return Err(Error::setting(key, problem));
        }
    }
    Ok(())
}

/// Reads a new file for a model: the test part where the path has one of its own. Of many files those that are broken
/// may be left out.
pub(crate) fn read_for_model(
    preparation: &Preparation,
    path: &str,
    targets: bool,
    skip_bad: bool,
) -> Result<Raw> {
    let place = place(path)?;
    let table = preparation.format == Format::Csv;
    let refuse = |what: &str| {
        let problem = format!("is not what the model was trained on; give {what}");
        Err(Error::data(Path::new(path), problem))
    };
    match (&preparation.reading, &place) {
        (Some(FileReading::Images(reading)), Place::Files(path, Kind::Images)) => {
            return images::read_for_model(path, reading, targets, skip_bad);
        }
        (Some(FileReading::Audio(reading)), Place::Files(path, Kind::Audio)) => {
            return audio::read_for_model(path, reading, preparation.shape.width, targets, skip_bad);
        }
        (Some(FileReading::Images(_)), _) => return refuse("a folder or a CSV list of PNG or JPEG files"),
        (Some(FileReading::Audio(_)), _) => return refuse("a folder or a CSV list of WAV files"),
        (None, Place::Files(..)) if table => return refuse("a CSV file with the same columns"),
        (None, Place::Files(..)) => return refuse("an IDX, NPY or NPZ file"),
        (None, _) => {}
    }
    let own_test = |source: Source| source.test.unwrap_or(source.train);
    match place {
        Place::Csv(path) if table => csv::read_for_model(&path, preparation, targets),
        Place::Csv(path) => Err(Error::data(
            &path,
            "is text, but the model was trained on arrays; give an IDX, NPY or NPZ file",
        )),
        Place::Digits | Place::Idx(_) | Place::Npy(_) if table => Err(Error::data(
            Path::new(path),
            "is an array, but the model was trained on a CSV file; give one with the same columns",
        )),
        Place::Digits => Ok(builtin::digits()),
        Place::Idx(path) if targets => idx::read(&path).map(own_test),
        Place::Idx(path) => idx::read_unlabelled(&path),
        Place::Npy(path) if targets => npy::read(&path).map(own_test),
        Place::Npy(path) => npy::read_unlabelled(&path),
        Place::Files(..) => unreachable!("read above"),
    }
}

/// The files that the samples of a path come from, in their order, if these are images or recordings; read for a model
/// without targets.
///
/// # Errors
/// If there is no such path, or it cannot be listed.
pub fn sample_files(path: &str) -> Result<Option<Vec<PathBuf>>> {
    match place(path)? {
        Place::Files(path, kind) => {
            let (files, _) = files::list_for_model(&path, kind, false)?;
            Ok(Some(files.into_iter().map(|file| file.path).collect()))
        }
        _ => Ok(None),
    }
}

/// Whether a path or name leads to samples with a test part of its own; nothing but names is looked at.
///
/// # Errors
/// If there is no such path, or it is not data that could be read.
pub fn has_test_part(path: &str) -> Result<bool> {
    match place(path)? {
        Place::Digits | Place::Csv(_) => Ok(false),
        Place::Idx(path) => Ok(idx::has_test_part(&path)),
        Place::Npy(path) => npy::has_test_part(&path),
        Place::Files(path, kind) => files::has_test_part(&path, kind),
    }
}

/// A path, and what reads it.
enum Place {
    Digits,
    Idx(PathBuf),
    Npy(PathBuf),
    Csv(PathBuf),
    /// Images or recordings: a folder, a list, or (for a model) one of them.
    Files(PathBuf, Kind),
}

/// Finds what a path or name stands for, by name and then by the first bytes.
fn place(path: &str) -> Result<Place> {
    if path == "digits" {
        return Ok(Place::Digits);
    }
    if builtin::KNOWN.contains(&path) {
        return builtin::find(path).map(Place::Idx);
    }
    let path = PathBuf::from(path);
    let about = std::fs::metadata(&path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => Error::data(
            &path,
            "there is no such file or folder; give the path of one, or digits, fashion-mnist or mnist",
        ),
        _ => Error::io(&path, "cannot read")(source),
    })?;
    if about.is_dir() {
        if idx::has_parts(&path) {
            return Ok(Place::Idx(path));
        }
        if npy::has_parts(&path) {
            return Ok(Place::Npy(path));
        }
        return match files::kind(&path)? {
            Some(kind) => Ok(Place::Files(path, kind)),
            None => Err(Error::data(
                &path,
                "this folder holds neither folders of PNG, JPEG or WAV files, one for each class, nor train-images-idx3-ubyte and train-labels-idx1-ubyte, nor x.npy and y.npy; give the path of a file",
            )),
        };
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    let mut start = Vec::new();
    {
        use std::io::Read;
        let opened = super::gzip::open(&path)?;
        opened.reader.take(6).read_to_end(&mut start).map_err(super::gzip::read_error(&path))?;
    }
    if let Some(kind) = files::kind(&path)? {
        return Ok(Place::Files(path, kind));
    }
    let is_text = [".csv", ".tsv", ".txt", ".data", ".dat"].iter().any(|end| name.ends_with(end));
    Ok(match &start[..] {
        _ if is_text => Place::Csv(path),
        _ if name.contains("-ubyte") || name.contains("idx") || idx::is_magic(&start) => Place::Idx(path),
        _ if name.ends_with(".npy") || name.ends_with(".npz") => Place::Npy(path),
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] | [b'P', b'K', 3, 4, ..] => Place::Npy(path),
        _ => Place::Csv(path),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_leads_nowhere_says_what_could_be_given() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().to_str().unwrap().to_string();
        for (path, problem) in
            [("/no/such/file", "no such file or folder"), (empty.as_str(), "this folder holds neither")]
        {
            let error = place(path).err().unwrap().to_string();
            assert!(error.contains(problem) && error.contains(path), "{error}");
        }
    }

    #[test]
    fn settings_for_text_are_refused_for_arrays() {
        let settings = DataSettings { label: vec!["y".into()], ..DataSettings::default() };
        let error = read(&settings).err().unwrap().to_string();
        assert!(error.starts_with("data.label: is for CSV files"), "{error}");
    }
}
