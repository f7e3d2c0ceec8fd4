//! Predictions as JSON lines: an object for each row, by the names of the columns; what is not there is null, and a label is 0 or
//! 1. Cells of a table that are kept stay text, as they are written there.

use std::io::{Result, Write};

use serde_json::{Map, Value as Json, json};

use super::table::{Table, Value};

/// Writes all rows.
pub fn write(table: &Table, mut out: impl Write) -> Result<()> {
    for row in table.rows() {
        let mut object = Map::new();
        for column in table.columns() {
            let value = match table.value(column, row) {
                None => Json::Null,
                Some(Value::Text(text)) => Json::String(text.into_owned()),
                Some(Value::Number(number)) => json!(number),
                Some(Value::Share(share)) => json!(share),
                Some(Value::Label(is_there)) => json!(u8::from(is_there)),
            };
            object.insert(column.name.clone(), value);
        }
        serde_json::to_writer(&mut out, &object)?;
        out.write_all(b"\n")?;
    }
    out.flush()
}
