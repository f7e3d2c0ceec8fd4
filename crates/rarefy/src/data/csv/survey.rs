//! The first pass over a CSV file: what each column holds.

use std::path::Path;

use super::super::source::Dialect;
use super::records::Records;
use crate::{Error, Result};

/// What a column holds. All its filled cells are numbers, or all are text and so categories; a mix is for the user to
/// sort out, because a typing error in a column of numbers must not turn it into categories.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// Lines of the file, the same for each column.
    pub rows: usize,
    /// Cells that are not missing.
    pub filled: usize,
    /// Cells that are numbers, be they infinite.
    pub numbers: usize,
    /// The first cell that is text, and its line.
    pub first_text: Option<(u64, String)>,
}

impl Seen {
    /// Whether every filled cell is text.
    pub(super) fn is_text(&self) -> bool {
        self.numbers == 0 && self.filled > 0
    }
}

/// Whether a cell is one of the ways to write nothing.
pub(super) fn is_missing(cell: &str, markers: &[String]) -> bool {
    markers.iter().any(|marker| marker.eq_ignore_ascii_case(cell))
}

/// Whether a cell is a number; `inf` and `nan` are, though no file may hold them.
pub(super) fn is_number(cell: &str) -> bool {
    cell.parse::<f64>().is_ok()
}

/// Reads all lines and counts.
pub(super) fn survey(
    path: &Path,
    dialect: &Dialect,
    markers: &[String],
    names: &[String],
) -> Result<Vec<Seen>> {
    let mut seen = vec![Seen::default(); names.len()];
    let mut records = Records::open(path, dialect.delimiter)?;
    if dialect.header {
        records.next()?;
    }
    let mut rows = 0;
    while let Some((line, record)) = records.next_of(names.len())? {
        rows += 1;
        for (seen, cell) in seen.iter_mut().zip(record) {
            let cell = cell.trim();
            if is_missing(cell, markers) {
                continue;
            }
            seen.filled += 1;
            if is_number(cell) {
                seen.numbers += 1;
            } else if seen.first_text.is_none() {
                seen.first_text = Some((line, cell.to_string()));
            }
        }
    }
    if rows == 0 {
        return Err(Error::data(
            path,
            "holds no samples, only a header; set data.header = \"no\" if that line is a sample",
        ));
    }
    seen.iter_mut().for_each(|seen| seen.rows = rows);
    Ok(seen)
}
