//! The first pass over a CSV file: what each column holds.

use std::path::Path;

use super::super::source::Dialect;
use super::records::Records;
use crate::{Error, Result};

/// What a column holds.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// Lines of the file, the same for each column.
    pub rows: usize,
    /// Cells that are not missing.
    pub filled: usize,
    /// Cells that are numbers, be they infinite.
    pub numbers: usize,
}

impl Seen {
    /// Whether most cells are text: then the column holds categories, else numbers and perhaps a mistake.
    pub(super) fn is_text(&self) -> bool {
        self.numbers * 2 < self.filled
    }
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
    while let Some((_, record)) = records.next_of(names.len())? {
        rows += 1;
        for (seen, cell) in seen.iter_mut().zip(record) {
            let cell = cell.trim();
            if !markers.iter().any(|marker| marker == cell) {
                seen.filled += 1;
                seen.numbers += usize::from(is_number(cell));
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
