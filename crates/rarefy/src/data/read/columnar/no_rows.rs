//! In place of `rows` where the library is built without the feature `arrow`.

use csv::StringRecord;

use super::Column;
use crate::Result;
use crate::data::table::Table;

/// Rows that cannot be.
pub(crate) enum Rows {}

/// None, for there is no table.
pub(crate) fn columns_of_table(table: &Table) -> Vec<Column> {
    match *table {}
}

impl Rows {
    pub(crate) fn of_table(table: &Table, _: &[bool]) -> Rows {
        match *table {}
    }

    pub(crate) fn next(&mut self, _: &mut StringRecord) -> Result<bool> {
        match *self {}
    }
}
