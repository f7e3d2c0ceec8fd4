//! What a path leads to, as far as its name and its first bytes tell.

use std::cell::OnceCell;
use std::io::Read;
use std::path::PathBuf;

use super::files::{self, Kind};
use super::{columnar, gzip, pipes, sniff};
use crate::{Error, Result};

/// A path or name, and what is seen of it without reading it.
pub(super) struct Place {
    /// The file or folder; for built-in data and samples in memory the name.
    pub path: PathBuf,
    /// What it is the name of, if it is no path.
    pub name: Option<&'static str>,
    pub is_folder: bool,
    /// Its last part in lower case, without `.gz`.
    file_name: String,
    /// The first bytes of a file, unpacked.
    pub start: Vec<u8>,
    /// Whether what could be a list of files is a table.
    as_table: bool,
    kind: OnceCell<Option<Kind>>,
}

impl Place {
    /// What a name stands for that is no path.
    pub(super) fn named(name: &'static str) -> Place {
        Place { name: Some(name), ..Place::new(PathBuf::from(name), false, Vec::new(), false) }
    }

    /// Looks at a path.
    ///
    /// # Errors
    /// If it leads nowhere, or is a file that is known not to be readable here.
    pub(super) fn at(path: PathBuf, as_table: bool) -> Result<Place> {
        if pipes::is_pipe(&path) {
            return Place::of_file(path, as_table);
        }
        let about = std::fs::metadata(&path).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => Error::data(
                &path,
                "there is no such file or folder; give the path of one, or digits, fashion-mnist or mnist",
            ),
            _ => Error::io(&path, "cannot read")(source),
        })?;
        if about.is_dir() {
            return Ok(Place::new(path, true, Vec::new(), as_table));
        }
        Place::of_file(path, as_table)
    }

    fn of_file(path: PathBuf, as_table: bool) -> Result<Place> {
        let mut start = Vec::new();
        let from = &mut gzip::open(&path)?.reader.take(sniff::START as u64);
        from.read_to_end(&mut start).map_err(gzip::read_error(&path))?;
        match sniff::foreign(&start) {
            Some(what) => Err(Error::data(&path, what)),
            None => Ok(Place::new(path, false, start, as_table)),
        }
    }

    fn new(path: PathBuf, is_folder: bool, start: Vec<u8>, as_table: bool) -> Place {
        let file_name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let file_name = file_name.strip_suffix(".gz").unwrap_or(&file_name).to_string();
        Place { path, name: None, is_folder, file_name, start, as_table, kind: OnceCell::new() }
    }

    /// Whether it is a file, and not a name or a folder.
    pub(super) fn is_file(&self) -> bool {
        self.name.is_none() && !self.is_folder
    }

    /// The kind of files that a folder or a list holds, or that a single file is.
    ///
    /// # Errors
    /// If a folder or list cannot be read.
    pub(super) fn kind(&self) -> Result<Option<Kind>> {
        if let Some(kind) = self.kind.get() {
            return Ok(*kind);
        }
        let is_table = self.is_file() && self.as_table && !files::is_sample(&self.path);
        let kind = if self.name.is_some() || is_table { None } else { files::kind(&self.path)? };
        Ok(*self.kind.get_or_init(|| kind))
    }

    /// Whether its name ends in one of these ways.
    pub(super) fn ends(&self, ends: &[&str]) -> bool {
        ends.iter().any(|end| self.file_name.ends_with(end))
    }

    /// Whether it is a table whose columns have types: Parquet or Arrow.
    pub(super) fn is_typed(&self) -> bool {
        columnar::Kind::of(&self.start).is_some()
    }

    /// Whether it is a pipe, whose name says nothing of what it holds.
    pub(super) fn is_pipe(&self) -> bool {
        pipes::is_pipe(&self.path)
    }

    /// Whether its name says that it holds text.
    pub(super) fn is_text(&self) -> bool {
        self.ends(&[".csv", ".tsv", ".txt", ".data", ".dat"])
    }

    /// Whether its name holds this.
    pub(super) fn contains(&self, part: &str) -> bool {
        self.file_name.contains(part)
    }
}
