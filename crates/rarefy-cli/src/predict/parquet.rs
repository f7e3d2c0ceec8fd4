//! Predictions as a Parquet file: a column for each, with its type; what is not there is null, and a label is true or false.
//! Cells of a table that are kept stay text, as they are written there.

use std::io::{Error, Result, Write};
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Float32Array, Float64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use super::table::{Table, Value};

/// Writes all rows.
pub fn write(table: &Table, mut out: impl Write) -> Result<()> {
    let rows: Vec<_> = table.rows().collect();
    let columns = table.columns().iter().map(|column| {
        let values = rows.iter().map(|&row| table.value(column, row)).collect();
        (column.name.clone(), array(values), true)
    });
    let batch = RecordBatch::try_from_iter_with_nullable(columns).map_err(Error::other)?;
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    // The writer asks for what may go to another thread, and standard output may not.
    let mut file = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), Some(properties))?;
    writer.write(&batch)?;
    writer.close()?;
    out.write_all(&file)?;
    out.flush()
}

/// The cells of a column, which are all of one kind.
fn array(values: Vec<Option<Value>>) -> ArrayRef {
    macro_rules! cells {
        ($array:ty, $kind:ident, $read:expr) => {{
            let cell = |value: &Option<Value>| match value {
                Some(Value::$kind(value)) => Some($read(value)),
                _ => None,
            };
            Arc::new(values.iter().map(cell).collect::<$array>())
        }};
    }
    match values.iter().flatten().next() {
        Some(Value::Number(_)) => cells!(Float64Array, Number, |value: &f64| *value),
        Some(Value::Share(_)) => cells!(Float32Array, Share, |value: &f32| *value),
        Some(Value::Label(_)) => cells!(BooleanArray, Label, |value: &bool| *value),
        // Nothing but gaps may stand there too.
        Some(Value::Text(_)) | None => {
            cells!(StringArray, Text, |value: &std::borrow::Cow<str>| value.to_string())
        }
    }
}
