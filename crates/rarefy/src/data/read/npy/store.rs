//! Where named arrays lie: a folder, an archive, or a file of one array.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use zip::ZipArchive;

use super::file::{LONGEST_HEADER, numbers, read_array, read_features, read_labels};
use crate::data::raw::Raw;
use crate::data::read::array::{Array, Numbers, Samples};
use crate::data::read::gzip::{self, Opened};
use crate::data::read::scipy;
use crate::data::settings::TaskChoice;
use crate::data::span::{Shifting, SparseSpans};
use crate::data::stream::Streaming;
use crate::tiles::Shape;
use crate::{Error, Result};

pub(super) const FEATURES: [&str; 6] = ["x", "X", "features", "x_train", "X_train", "train_x"];
pub(super) const LABELS: [&str; 6] = ["y", "Y", "labels", "y_train", "Y_train", "train_y"];
pub(super) const TEST_FEATURES: [&str; 4] = ["x_test", "X_test", "features_test", "test_x"];
pub(super) const TEST_LABELS: [&str; 4] = ["y_test", "Y_test", "labels_test", "test_y"];
pub(super) const VALIDATION_FEATURES: [&str; 5] = ["x_val", "X_val", "x_valid", "X_valid", "val_x"];
pub(super) const VALIDATION_LABELS: [&str; 5] = ["y_val", "Y_val", "y_valid", "Y_valid", "val_y"];

/// The entry of the first name that there is.
fn entry(archive: &ZipArchive<BufReader<File>>, names: &[&str]) -> Option<String> {
    names.iter().map(|name| format!("{name}.npy")).find(|name| archive.index_for_name(name).is_some())
}

/// The file of the first name that there is.
fn find(folder: &Path, names: &[&str]) -> Option<PathBuf> {
    names
        .iter()
        .flat_map(|name| [".npy", ".npy.gz"].map(|end| folder.join(format!("{name}{end}"))))
        .find(|file| file.is_file())
}

/// Whether a folder holds features of one of these names.
pub(super) fn folder_has(folder: &Path, names: &[&str]) -> bool {
    find(folder, names).or(find_sparse(folder, names)).is_some()
}

/// The file of a sparse matrix of the first name that there is.
fn find_sparse(folder: &Path, names: &[&str]) -> Option<PathBuf> {
    names.iter().map(|name| folder.join(format!("{name}.npz"))).find(|file| file.is_file())
}

/// Where named arrays lie.
pub(super) enum Store {
    Folder,
    Archive(ZipArchive<BufReader<File>>, u64),
    /// One file of features.
    Single,
}

impl Store {
    pub(super) fn open(path: &Path) -> Result<Store> {
        if path.is_dir() {
            return Ok(Store::Folder);
        }
        let file = File::open(path).map_err(Error::io(path, "cannot open"))?;
        let length = file.metadata().map_err(Error::io(path, "cannot read"))?.len();
        let mut file = BufReader::new(file);
        let mut start = [0; 2];
        let is_zip = file.read_exact(&mut start).is_ok() && start == *b"PK";
        if !is_zip && path.to_string_lossy().ends_with(".npz.gz") {
            return Err(Error::data(path, "is an NPZ file packed with gzip; unpack it with gunzip"));
        }
        if !is_zip && path.extension().is_none_or(|end| end != "npz") {
            return Ok(Store::Single);
        }
        file.rewind().map_err(Error::io(path, "cannot read"))?;
        let archive = ZipArchive::new(file).map_err(|error| {
            Error::data(path, format!("is not a sound NPZ file ({error}); get or save it again"))
        })?;
        Ok(Store::Archive(archive, length))
    }

    /// Whether it holds features of one of these names; a single file goes by none.
    pub(super) fn has(&self, path: &Path, names: &[&str]) -> bool {
        match self {
            Store::Single => false,
            Store::Folder => folder_has(path, names),
            Store::Archive(archive, _) => entry(archive, names).is_some(),
        }
    }

    /// Bytes of the array of the first name that there is in an archive.
    pub(super) fn unpacked_bytes(&mut self, names: &[&str]) -> Option<u64> {
        let Store::Archive(archive, _) = self else { return None };
        let name = entry(archive, names)?;
        Some(archive.by_name(&name).ok()?.size())
    }

    /// The array of the first name that there is, to be read, and its place for messages.
    fn opened(&mut self, path: &Path, names: &[&str]) -> Result<Option<(PathBuf, Opened<'_>)>> {
        match self {
            Store::Single => Ok(Some((path.to_path_buf(), gzip::open(path)?))),
            Store::Folder => match find(path, names) {
                Some(file) => gzip::open(&file).map(|opened| Some((file, opened))),
                None => Ok(None),
            },
            Store::Archive(archive, length) => {
                let Some(name) = entry(archive, names) else { return Ok(None) };
                let at = path.join(&name);
                let entry = archive.by_name(&name).map_err(|error| {
                    Error::data(&at, format!("cannot be unpacked ({error}); save the file again"))
                })?;
                let at_most = length.saturating_mul(gzip::MOST_SHRUNK);
                Ok(Some((at, Opened { reader: Box::new(entry), at_most, is_plain: false })))
            }
        }
    }

    /// The array of the first name that there is.
    fn first(&mut self, path: &Path, names: &[&str]) -> Result<Option<Array>> {
        self.opened(path, names)?.map(|(at, from)| read_array(&at, from)).transpose()
    }

    /// The numbers of an array, one after the other.
    fn numbers(&mut self, path: &Path, name: &str) -> Result<Option<Numbers<'_>>> {
        self.opened(path, &[name])?.map(|(at, from)| numbers(at, from)).transpose()
    }

    /// Whether this is one matrix and so has no parts.
    pub(super) fn holds_one_matrix(&self) -> bool {
        matches!(self, Store::Single) || self.is_sparse()
    }

    /// Whether this is an archive that holds a sparse matrix.
    fn is_sparse(&self) -> bool {
        match self {
            Store::Archive(archive, _) => {
                let has = |name| entry(archive, &[name]).is_some();
                has(scipy::MARK) || (has("format") && has("shape") && has("data"))
            }
            Store::Folder | Store::Single => false,
        }
    }

    /// The features of the first name that there is; a sparse matrix in an archive goes by no name.
    pub(super) fn features(
        &mut self,
        path: &Path,
        names: &[&str],
        shifting: &Shifting,
        streaming: Option<&Streaming>,
    ) -> Result<Option<Samples>> {
        if self.is_sparse() {
            return self.sparse(path, streaming).map(Some);
        }
        if let Some((at, from)) = self.opened(path, names)? {
            return read_features(path, (&at, from), shifting, streaming).map(Some);
        }
        match self {
            Store::Folder => {
                find_sparse(path, names).map(|file| Store::open(&file)?.sparse(&file, streaming)).transpose()
            }
            Store::Archive(..) | Store::Single => Ok(None),
        }
    }

    /// The sparse matrix in an archive.
    fn sparse(&mut self, path: &Path, streaming: Option<&Streaming>) -> Result<Samples> {
        let mut format = "csr".to_string();
        if let Store::Archive(archive, _) = self
            && let Ok(entry) = archive.by_name("format.npy")
        {
            let mut bytes = Vec::new();
            entry.take(LONGEST_HEADER as u64).read_to_end(&mut bytes).map_err(gzip::read_error(path))?;
            format = scipy::format(&bytes);
        }
        // Columns and values of compressed rows are read side by side.
        let mut beside = [Store::open(path)?, Store::open(path)?];
        let [columns, values] = &mut beside;
        let entries = [columns.numbers(path, "indices")?, values.numbers(path, "data")?];
        let array = |name: &str| self.first(path, &[name]);
        let mut spans = SparseSpans::default();
        let (cells, features) = scipy::read(path, &format, array, entries, streaming, &mut spans)?;
        let notes = spans.note(|column| format!("column {}", column + 1)).into_iter().collect();
        Ok(Samples { notes, ..Samples::plain(cells, Shape::flat(features)) })
    }

    pub(super) fn no_features(&self, path: &Path) -> Error {
        let found: Vec<String> = match self {
            Store::Archive(archive, _) => {
                let names = archive.file_names().filter_map(|name| name.ok());
                names.take(10).map(|name| name.trim_end_matches(".npy").to_string()).collect()
            }
            Store::Folder | Store::Single => Vec::new(),
        };
        let only = if found.is_empty() { String::new() } else { format!(", only {}", found.join(", ")) };
        let names = FEATURES.join(", ");
        Error::data(
            path,
            format!("holds no array named {names}{only}; rename the features x and the labels y"),
        )
    }

    /// The features with their labels.
    pub(super) fn labelled(
        &mut self,
        path: &Path,
        features: Samples,
        names: &[&str],
        label_path: Option<&str>,
        task: TaskChoice,
    ) -> Result<Raw> {
        let raw = features.into_raw(path, None);
        let beside = [(&FEATURES[..], &LABELS[..]), (&TEST_FEATURES, &TEST_LABELS)];
        let file = match label_path {
            Some(file) => Some(PathBuf::from(file)),
            None if matches!(self, Store::Single) => {
                let problem = "holds features alone; put x.npy and y.npy into a folder, or both into an .npz file, and give its path, or name the labels' file with data.label_path";
                return Err(Error::data(path, problem));
            }
            None => {
                if let Some((at, from)) = self.opened(path, names)? {
                    let labels = Some(read_labels(&at, from, raw.samples(), task)?);
                    return Ok(Raw { labels, ..raw });
                }
                let mut beside = beside.iter().filter(|_| self.is_sparse());
                beside.find_map(|(features, labels)| scipy::beside(path, features, labels))
            }
        };
        let Some(file) = file else {
            let names = names.join(", ");
            let problem = format!(
                "holds features, but no labels; name them one of {names}, or name their file with data.label_path"
            );
            return Err(Error::data(path, problem));
        };
        let labels = Some(read_labels(&file, gzip::open(&file)?, raw.samples(), task)?);
        Ok(Raw { labels, label_path: Some(file), ..raw })
    }
}
