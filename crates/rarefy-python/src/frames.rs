//! Tables from data frames, which come as Arrow streams.

use arrow_array::RecordBatchReader;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;
use rarefy::data::Table;
use rarefy::{Error, InputProblem};

use crate::arrays::stream;
use crate::errors::detached;

/// The table that an Arrow stream holds, which is used up, and the names of its columns.
pub fn table(py: Python<'_>, capsule: &Bound<'_, PyCapsule>) -> PyResult<(Table, Vec<String>)> {
    let reader = stream(capsule)?;
    let schema = reader.schema();
    let names = schema.fields().iter().map(|field| field.name().clone()).collect();
    let table = detached(py, || {
        let batches: Result<Vec<_>, _> = reader.collect();
        let batches = batches.map_err(|error| {
            let found = format!("a stream that breaks off ({error})");
            Error::Input(InputProblem::Mismatch { found, expected: "record batches".into() })
        })?;
        Table::new(schema, batches)
    })?;
    Ok((table, names))
}
