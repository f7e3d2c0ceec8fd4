//! Tables whose columns have names and types: Parquet files, Arrow IPC files (Feather of version 2) and streams, and record
//! batches in memory. They are read as the CSV files that they could be saved as, a row after the other, so that each column becomes
//! what it would in a CSV file; only is a text or a category never taken for a number, and an empty cell, a null or NaN, is always a gap.

#[cfg_attr(not(feature = "parquet"), path = "no_files.rs")]
pub(super) mod files;
#[cfg(feature = "parquet")]
mod messages;
#[cfg(feature = "parquet")]
mod pages;
#[cfg(feature = "arrow")]
mod quiet;
#[cfg_attr(not(feature = "arrow"), path = "no_rows.rs")]
mod rows;

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::gzip;
use crate::{Error, Result};
pub(super) use rows::{Rows, columns_of_table};

/// The kinds of such files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Parquet,
    ArrowFile,
    ArrowStream,
}

impl Kind {
    /// The kind of a file that begins with these bytes.
    pub(crate) fn of(start: &[u8]) -> Option<Kind> {
        match start {
            [b'P', b'A', b'R', b'1', ..] => Some(Kind::Parquet),
            [b'A', b'R', b'R', b'O', b'W', b'1', ..] => Some(Kind::ArrowFile),
            [0xff, 0xff, 0xff, 0xff, ..] => Some(Kind::ArrowStream),
            _ => None,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Parquet => "Parquet",
            Kind::ArrowFile => "Arrow",
            Kind::ArrowStream => "Arrow stream",
        }
    }
}

/// The kind of a file, if it is such.
///
/// # Errors
/// If it cannot be read, or is packed with gzip.
pub(super) fn kind(path: &Path) -> Result<Option<Kind>> {
    let mut start = Vec::new();
    gzip::open(path)?.reader.take(8).read_to_end(&mut start).map_err(gzip::read_error(path))?;
    let Some(kind) = Kind::of(&start) else { return Ok(None) };
    let mut raw = [0; 8];
    let is_plain =
        File::open(path).and_then(|mut file| file.read_exact(&mut raw)).is_ok() && Kind::of(&raw).is_some();
    if is_plain {
        return Ok(Some(kind));
    }
    let problem =
        format!("is a file of the kind {} that is packed with gzip; unpack it with gunzip", kind.name());
    Err(Error::data(path, problem))
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    pub name: String,
    pub holds: Holds,
}

/// What a column holds, by its type.
#[cfg_attr(not(feature = "arrow"), allow(dead_code))]
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Holds {
    /// Numbers, dates or times, each written as in a CSV file.
    Plain,
    /// Texts, categories or booleans, be their letters digits.
    Words,
    /// What is not one value in each cell, by its name.
    Other(String),
}

#[cfg(all(test, feature = "parquet"))]
mod tests;
