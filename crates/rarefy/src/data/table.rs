//! Tables in memory, as Arrow's record batches.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};

use crate::{Error, InputProblem, Result};

/// What messages call it.
pub(crate) const TABLE: &str = "the table";

/// A table in memory, whose columns have names and types: numbers, texts, categories (dictionaries), booleans, dates and times, with
/// gaps (nulls and NaN). [`Samples::table`](super::Samples::table) makes samples of it, which become what the rows of the same table
/// in a Parquet file do.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    schema: SchemaRef,
    batches: Arc<[RecordBatch]>,
}

impl Table {
    /// The table of record batches of this schema; nothing is copied.
    ///
    /// # Errors
    /// [`Error::Input`]: no rows or no columns; a batch of another schema.
    ///
    /// # Example
    /// ```
    /// use std::sync::Arc;
    ///
    /// use arrow_array::{ArrayRef, Float64Array, RecordBatch, StringArray};
    /// use rarefy::Samples;
    /// use rarefy::data::{DataSettings, Table, from_memory};
    ///
    /// let size: ArrayRef = Arc::new(Float64Array::from(vec![Some(1.0), None, Some(2.0), Some(4.0)]));
    /// let town: ArrayRef = Arc::new(StringArray::from(vec!["Ulm", "Bonn", "Ulm", "Bonn"]));
    /// let batch = RecordBatch::try_from_iter([("size", size), ("town", town)]).unwrap();
    /// let homes = Samples::table(Table::new(batch.schema(), vec![batch])?).with_classes(&[0, 1, 0, 1])?;
    /// let alone = DataSettings { validation_fraction: 0.0, test_fraction: 0.0, ..DataSettings::default() };
    /// let splits = from_memory(homes, &alone, 1)?;
    /// assert_eq!(splits.preparation.input_names(), ["size", "town=Bonn", "town=Ulm"]);
    /// # Ok::<(), rarefy::Error>(())
    /// ```
    pub fn new(schema: SchemaRef, batches: Vec<RecordBatch>) -> Result<Table> {
        let table = Table { schema, batches: batches.into() };
        if table.rows() == 0 || table.columns() == 0 {
            let (samples, inputs) = (table.rows(), table.columns());
            return Err(Error::Input(InputProblem::Empty { samples, inputs }));
        }
        let fields = table.schema.fields();
        if let Some(other) = table.batches.iter().find(|batch| batch.schema_ref().fields() != fields) {
            let found = format!("a batch of the columns {:?}", other.schema_ref().fields());
            let expected = format!("a table of the columns {fields:?}");
            return Err(Error::Input(InputProblem::Mismatch { found, expected }));
        }
        Ok(table)
    }

    /// Rows, each a sample.
    pub fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// Columns.
    pub fn columns(&self) -> usize {
        self.schema.fields().len()
    }

    pub(super) fn schema(&self) -> &Schema {
        &self.schema
    }

    pub(super) fn batches(&self) -> &[RecordBatch] {
        &self.batches
    }
}
