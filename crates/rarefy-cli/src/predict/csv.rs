//! Predictions as CSV: a line of names, then a line for each row; what is not there is an empty cell, and a label is 0 or 1.

use std::io::{Error, Result, Write};

use super::table::{Table, Value};

/// Writes all rows.
pub fn write(table: &Table, out: impl Write) -> Result<()> {
    let mut csv = csv::Writer::from_writer(out);
    csv.write_record(table.columns().iter().map(|column| &column.name)).map_err(cause)?;
    for row in table.rows() {
        let cells = table.columns().iter().map(|column| match table.value(column, row) {
            None => String::new(),
            Some(Value::Text(text)) => text.into_owned(),
            Some(Value::Number(number)) => number.to_string(),
            Some(Value::Share(share)) => share.to_string(),
            Some(Value::Label(is_there)) => u8::from(is_there).to_string(),
        });
        csv.write_record(cells).map_err(cause)?;
    }
    csv.flush()
}

/// The system's own error, so that a reader that has gone away is known as such.
fn cause(error: csv::Error) -> Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => Error::other(format!("{other:?}")),
    }
}
