//! In place of `rows` where the library is built without the feature `parquet`.

use std::path::Path;

use csv::StringRecord;

use super::{Column, Kind};
use crate::{Error, Result};

/// Rows that cannot be.
pub(crate) enum Rows {}

/// Refuses.
pub(crate) fn columns(path: &Path, kind: Kind) -> Result<Vec<Column>> {
    let problem = format!(
        "is a file of the kind {}, and rarefy was built without its feature `parquet`; build it with that, or save the file as CSV",
        kind.name()
    );
    Err(Error::data(path, problem))
}

impl Rows {
    pub(crate) fn open(path: &Path, kind: Kind, _: &[bool]) -> Result<Rows> {
        columns(path, kind)?;
        unreachable!("refused above")
    }

    pub(crate) fn next(&mut self, _: &mut StringRecord) -> Result<bool> {
        match *self {}
    }
}
