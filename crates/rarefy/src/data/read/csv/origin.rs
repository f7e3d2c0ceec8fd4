//! Where a table is: in a file, or in memory, where it has types and its labels come apart from it.

use std::path::Path;

use crate::data::table::{TABLE, Table};

/// Where a table is.
#[derive(Clone, Copy)]
pub(super) enum Origin<'a> {
    File(&'a Path),
    Memory(&'a Table),
}

impl<'a> Origin<'a> {
    /// What messages call it.
    pub(super) fn path(self) -> &'a Path {
        match self {
            Origin::File(path) => path,
            Origin::Memory(_) => Path::new(TABLE),
        }
    }
}
