//! In place of `files` where the library is built without the feature `parquet`.

use std::path::Path;

use super::{Column, Kind, Rows};
use crate::{Error, Result};

/// Refuses.
pub(crate) fn columns(path: &Path, kind: Kind) -> Result<Vec<Column>> {
    let problem = format!(
        "is a file of the kind {}, and rarefy was built without its feature `parquet`; build it with that, or save the file as CSV",
        kind.name()
    );
    Err(Error::data(path, problem))
}

/// Refuses.
pub(crate) fn rows(path: &Path, kind: Kind, _: &[bool]) -> Result<Rows> {
    columns(path, kind)?;
    unreachable!("refused above")
}
