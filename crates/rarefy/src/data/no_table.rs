//! In place of `table` where the library is built without the feature `arrow`.

/// What messages call it.
pub(crate) const TABLE: &str = "the table";

/// A table that cannot be.
#[derive(Debug, Clone, PartialEq)]
pub enum Table {}

impl Table {
    pub(super) fn rows(&self) -> usize {
        match *self {}
    }
}
