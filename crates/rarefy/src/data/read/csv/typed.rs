//! The layout of tables whose columns have names and types: there is nothing to guess.

use std::path::Path;

use super::faults::Faults;
use super::origin::Origin;
use crate::data::read::columnar::{self, Column, Holds};
use crate::data::reading::Dialect;
use crate::data::settings::{DataSettings, Decimal, Header, Quote};
use crate::data::shown::shown;
use crate::{Error, Result};

/// The columns of a table, if they have types.
///
/// # Errors
/// If its file is damaged, or two columns have one name.
pub(super) fn columns(origin: Origin) -> Result<Option<Vec<Column>>> {
    let columns = match origin {
        Origin::Memory(table) => columnar::columns_of_table(table),
        Origin::File(path) => {
            let Some(kind) = columnar::kind(path)? else { return Ok(None) };
            columnar::files::columns(path, kind)?
        }
    };
    let path = origin.path();
    let mut names: Vec<&String> = columns.iter().map(|column| &column.name).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Error::data(path, format!("two columns are named {}; rename one", shown(pair[0])))),
        None => Ok(Some(columns)),
    }
}

/// The layout of such a file and the names of its columns: that of a CSV file in which numbers are written plainly.
pub(super) fn layout(columns: &[Column]) -> (Dialect, Vec<String>) {
    let dialect = Dialect {
        delimiter: ',',
        header: true,
        columns: columns.len(),
        decimal: Decimal::Auto,
        quote: true,
        typed: true,
    };
    (dialect, columns.iter().map(|column| column.name.clone()).collect())
}

/// As [`layout`], for a file to train on: refuses settings that say how text is laid out.
pub(super) fn layout_to_train(
    path: &Path,
    columns: &[Column],
    settings: &DataSettings,
) -> Result<(Dialect, Vec<String>)> {
    for (key, is_given) in [
        ("data.delimiter", settings.delimiter.is_some()),
        ("data.quote", settings.quote != Quote::Auto),
        ("data.decimal", settings.decimal != Decimal::Auto),
        ("data.header", settings.header != Header::Auto),
    ] {
        if is_given {
            let problem = format!(
                "says how text is laid out, and the columns of {} have names and types; leave it out",
                path.display()
            );
            return Err(Error::setting(key, problem));
        }
    }
    Ok(layout(columns))
}

/// How gaps are written: an empty cell is one in such files, be it a null, NaN or a text of nothing.
pub(super) fn markers(dialect: &Dialect, given: &[String]) -> Vec<String> {
    let adds = dialect.typed && !given.iter().any(String::is_empty);
    given.iter().cloned().chain(adds.then(String::new)).collect()
}

/// Which columns can be read: those of one value in each cell.
pub(super) fn readable(columns: &[Column]) -> Vec<bool> {
    columns.iter().map(|column| !matches!(column.holds, Holds::Other(_))).collect()
}

/// Refuses columns that are needed and cannot be read.
pub(super) fn refuse_nested(
    path: &Path,
    columns: &[Column],
    is_needed: impl Fn(usize) -> bool,
) -> Result<()> {
    let mut faults = Faults::default();
    for (place, column) in columns.iter().enumerate() {
        if let (Holds::Other(what), true) = (&column.holds, is_needed(place)) {
            let problem = format!(
                "holds {what}, and a table has one number or text in a cell; make columns of such, or train without it (data.ignore)"
            );
            faults.add(format!("column {}", shown(&column.name)), problem);
        }
    }
    faults.none(path, "columns cannot be read")
}
