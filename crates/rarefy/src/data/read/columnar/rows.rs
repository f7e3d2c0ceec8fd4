//! Rows of cells of text from columns with types, a batch at a time, so that no more of a file is in memory.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::types::*;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{ArrowError, DataType, FieldRef, Schema, TimeUnit};
use csv::StringRecord;

use super::quiet::caught;
use super::{Column, Holds};
use crate::data::table::{TABLE, Table};
use crate::{Error, Result};

/// Batches that hold the columns that are wanted, in their order.
pub(super) type Batches = Box<dyn Iterator<Item = std::result::Result<RecordBatch, ArrowError>>>;

/// The rows of a table, one after the other.
pub(crate) struct Rows {
    path: PathBuf,
    batches: Batches,
    /// For each column of the table its place in a batch, if it is read.
    places: Vec<Option<usize>>,
    /// The columns of the batch that is being read, and its rows.
    batch: Vec<ArrayRef>,
    length: usize,
    /// The next row of it, and how many rows came before it.
    row: usize,
    before: usize,
    cell: String,
}

impl Rows {
    /// The rows of batches that hold the columns that are `wanted`, in the name of a file; cells of others are empty, and those of
    /// nulls and NaN.
    pub(super) fn new(path: &Path, batches: Batches, wanted: &[bool]) -> Rows {
        let mut places = vec![None; wanted.len()];
        (0..).zip(numbers_of(wanted)).for_each(|(place, column)| places[column] = Some(place));
        let (path, cell) = (path.to_path_buf(), String::new());
        Rows { path, batches, places, batch: Vec::new(), length: 0, row: 0, before: 0, cell }
    }

    /// The rows of a table in memory.
    pub(crate) fn of_table(table: &Table, wanted: &[bool]) -> Rows {
        let (table, read) = (table.clone(), numbers_of(wanted));
        let count = table.batches().len();
        let batches = (0..count).map(move |batch| table.batches()[batch].project(&read));
        Rows::new(Path::new(TABLE), Box::new(batches), wanted)
    }

    /// Writes the next row into `record`; none is left where the answer is no.
    ///
    /// # Errors
    /// If the file is damaged.
    pub(crate) fn next(&mut self, record: &mut StringRecord) -> Result<bool> {
        while self.row == self.length {
            self.before += self.length;
            let batches = &mut self.batches;
            let batch = guarded(&self.path, || {
                let Some(batch) = batches.next().transpose()? else { return Ok(None) };
                Ok(Some((batch.num_rows(), batch.columns().to_vec())))
            })?;
            let Some((length, columns)) = batch else { return Ok(false) };
            (self.length, self.batch, self.row) = (length, columns, 0);
        }
        record.clear();
        for (column, place) in self.places.iter().enumerate() {
            self.cell.clear();
            if let Some(array) = place.map(|place| &self.batch[place]) {
                write_cell(array, self.row, &mut self.cell).map_err(|problem| {
                    let at = format!("row {}, column {}", self.before + self.row + 1, column + 1);
                    Error::data_at(&self.path, at, problem)
                })?;
            }
            record.push_field(&self.cell);
        }
        self.row += 1;
        Ok(true)
    }
}

/// The columns that are wanted, by number.
pub(super) fn numbers_of(wanted: &[bool]) -> Vec<usize> {
    (0..wanted.len()).filter(|&column| wanted[column]).collect()
}

/// The columns of a table in memory.
pub(crate) fn columns_of_table(table: &Table) -> Vec<Column> {
    columns(table.schema())
}

/// The columns that a schema describes.
pub(super) fn columns(schema: &Schema) -> Vec<Column> {
    let column = |field: &FieldRef| Column { name: field.name().clone(), holds: holds(field.data_type()) };
    schema.fields().iter().map(column).collect()
}

/// What `read` gives. The crates that decode refuse most files that are damaged, but some make them panic; that is no end of
/// the program, for what they were decoding is not used again.
pub(super) fn guarded<T>(
    path: &Path,
    read: impl FnOnce() -> std::result::Result<T, ArrowError>,
) -> Result<T> {
    let broken = |why: String| Error::data(path, format!("cannot be decoded ({why}); get or save it again"));
    match caught(read) {
        Ok(read) => read.map_err(|error| broken(error.to_string())),
        Err(_) => Err(broken("its parts contradict each other".into())),
    }
}

/// What a column of a type holds.
fn holds(kind: &DataType) -> Holds {
    use DataType::*;
    match kind {
        Null | Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32 | UInt64 => Holds::Plain,
        Float16 | Float32 | Float64 | Decimal32(..) | Decimal64(..) | Decimal128(..) | Decimal256(..) => {
            Holds::Plain
        }
        Date32 | Date64 | Timestamp(..) => Holds::Plain,
        Boolean | Utf8 | LargeUtf8 | Utf8View => Holds::Words,
        Dictionary(_, values) => match holds(values) {
            Holds::Other(what) => Holds::Other(what),
            _ if matches!(**values, Dictionary(..)) => Holds::Other("dictionaries of dictionaries".into()),
            _ => Holds::Words,
        },
        List(_) | LargeList(_) | FixedSizeList(..) | ListView(_) | LargeListView(_) => {
            Holds::Other("lists".into())
        }
        Struct(_) => Holds::Other("structs".into()),
        Map(..) => Holds::Other("maps".into()),
        Binary | LargeBinary | BinaryView | FixedSizeBinary(_) => Holds::Other("bytes".into()),
        other => Holds::Other(format!("cells of the type {other}")),
    }
}

/// Writes a cell as a CSV file has it: nothing for a gap.
fn write_cell(array: &dyn Array, row: usize, out: &mut String) -> std::result::Result<(), &'static str> {
    use DataType::*;
    if array.is_null(row) {
        return Ok(());
    }
    macro_rules! shown {
        ($type:ty) => {
            write!(out, "{}", array.as_primitive::<$type>().value(row)).expect("memory is there")
        };
    }
    macro_rules! float {
        ($type:ty) => {{
            let number = array.as_primitive::<$type>().value(row);
            if number.is_nan() {
                return Ok(());
            }
            write!(out, "{number}").expect("memory is there")
        }};
    }
    macro_rules! decimal {
        ($type:ty) => {
            out.push_str(&array.as_primitive::<$type>().value_as_string(row))
        };
    }
    macro_rules! time {
        ($type:ty) => {{
            let time = array.as_primitive::<$type>().value_as_datetime(row);
            write!(out, "{}", time.ok_or(NO_DATE)?).expect("memory is there")
        }};
    }
    match array.data_type() {
        Int8 => shown!(Int8Type),
        Int16 => shown!(Int16Type),
        Int32 => shown!(Int32Type),
        Int64 => shown!(Int64Type),
        UInt8 => shown!(UInt8Type),
        UInt16 => shown!(UInt16Type),
        UInt32 => shown!(UInt32Type),
        UInt64 => shown!(UInt64Type),
        Float16 => float!(Float16Type),
        Float32 => float!(Float32Type),
        Float64 => float!(Float64Type),
        Decimal32(..) => decimal!(Decimal32Type),
        Decimal64(..) => decimal!(Decimal64Type),
        Decimal128(..) => decimal!(Decimal128Type),
        Decimal256(..) => decimal!(Decimal256Type),
        Boolean => out.push_str(if array.as_boolean().value(row) { "true" } else { "false" }),
        Utf8 => out.push_str(array.as_string::<i32>().value(row)),
        LargeUtf8 => out.push_str(array.as_string::<i64>().value(row)),
        Utf8View => out.push_str(array.as_string_view().value(row)),
        Date32 => {
            let date = array.as_primitive::<Date32Type>().value_as_date(row);
            write!(out, "{}", date.ok_or(NO_DATE)?).expect("memory is there");
        }
        Date64 => time!(Date64Type),
        Timestamp(unit, zone) => {
            match unit {
                TimeUnit::Second => time!(TimestampSecondType),
                TimeUnit::Millisecond => time!(TimestampMillisecondType),
                TimeUnit::Microsecond => time!(TimestampMicrosecondType),
                TimeUnit::Nanosecond => time!(TimestampNanosecondType),
            }
            // With a zone, what is stored is the time of Greenwich.
            if zone.is_some() {
                out.push_str("+00:00");
            }
        }
        Dictionary(..) => {
            let coded = array.as_any_dictionary();
            let place = code(coded.keys(), row).filter(|&place| place < coded.values().len());
            return write_cell(coded.values(), place.ok_or(NO_CODE)?, out);
        }
        // A column of nulls; others are not read.
        _ => {}
    }
    Ok(())
}

/// The place in a dictionary that a row names.
fn code(keys: &dyn Array, row: usize) -> Option<usize> {
    use DataType::*;
    macro_rules! place {
        ($type:ty) => {
            usize::try_from(keys.as_primitive::<$type>().value(row)).ok()
        };
    }
    match keys.data_type() {
        Int8 => place!(Int8Type),
        Int16 => place!(Int16Type),
        Int32 => place!(Int32Type),
        Int64 => place!(Int64Type),
        UInt8 => place!(UInt8Type),
        UInt16 => place!(UInt16Type),
        UInt32 => place!(UInt32Type),
        UInt64 => place!(UInt64Type),
        _ => None,
    }
}

const NO_CODE: &str = "names a value that its dictionary does not have; save the file again";
const NO_DATE: &str = "holds a date that no calendar has; mend it";
