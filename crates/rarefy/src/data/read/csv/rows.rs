//! The rows of a table, be it lines of text or columns with types: cells of text either way.

use csv::StringRecord;

use super::faults::Faults;
use super::origin::Origin;
use super::records::Records;
use crate::data::read::columnar;
use crate::data::reading::Dialect;
use crate::{Error, Result};

/// Gives row after row.
pub(super) enum Rows<'a> {
    Lines(Records<'a>),
    Typed { rows: columnar::Rows, record: StringRecord, number: u64 },
}

impl<'a> Rows<'a> {
    /// Opens a table of this layout, behind its header. Where columns have types only those that are `wanted` are read.
    pub(super) fn open(origin: Origin<'a>, dialect: &Dialect, wanted: &[bool]) -> Result<Rows<'a>> {
        let typed = |rows| Rows::Typed { rows, record: StringRecord::new(), number: 0 };
        let path = match origin {
            #[cfg_attr(not(feature = "arrow"), expect(unreachable_code, reason = "there are no tables then"))]
            Origin::Memory(table) => return Ok(typed(columnar::Rows::of_table(table, wanted))),
            Origin::File(path) => path,
        };
        if !dialect.typed {
            let mut records = Records::open_as(path, dialect)?;
            if dialect.header {
                records.next()?;
            }
            return Ok(Rows::Lines(records));
        }
        let changed = || Error::data(path, "has changed while it was read; try again");
        let kind = columnar::kind(path)?.ok_or_else(changed)?;
        columnar::files::rows(path, kind, wanted).map(typed)
    }

    /// The next row and its number, from 1, or that of its line. Lines of another number of cells are faults.
    pub(super) fn next(
        &mut self,
        columns: usize,
        faults: &mut Faults,
    ) -> Result<Option<(u64, &StringRecord)>> {
        match self {
            Rows::Lines(records) => records.next_fitting(columns, faults),
            Rows::Typed { rows, record, number } => {
                *number += 1;
                Ok(rows.next(record)?.then_some((*number, &*record)))
            }
        }
    }
}
