//! Parquet and Arrow IPC files, opened.

use std::fs::File;
use std::path::Path;

use arrow_schema::ArrowError;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::rows::{self, Batches, Rows, guarded, numbers_of};
use super::{Column, Kind, messages, pages};
use crate::{Error, Result};

/// Rows that are decoded together.
const BATCH: usize = 1024;

/// The columns of a file.
///
/// # Errors
/// If it cannot be opened or is damaged.
pub(crate) fn columns(path: &Path, kind: Kind) -> Result<Vec<Column>> {
    let file = open(path)?;
    let schema = guarded(path, || {
        Ok(match kind {
            Kind::Parquet => ParquetRecordBatchReaderBuilder::try_new(file)?.schema().clone(),
            Kind::ArrowFile | Kind::ArrowStream => messages::open(file, kind, None)?.schema(),
        })
    })?;
    Ok(rows::columns(&schema))
}

/// Opens a file for the columns that are `wanted`.
///
/// # Errors
/// If it cannot be opened or is damaged.
pub(crate) fn rows(path: &Path, kind: Kind, wanted: &[bool]) -> Result<Rows> {
    let (file, again) = (open(path)?, open(path)?);
    let projection = numbers_of(wanted);
    let batches = guarded(path, move || {
        let batches: Batches = match kind {
            Kind::Parquet => {
                let file = ParquetRecordBatchReaderBuilder::try_new(file)?.with_batch_size(BATCH);
                let mask = ProjectionMask::roots(file.parquet_schema(), projection);
                pages::check(again, file.metadata(), |leaf| mask.leaf_included(leaf))
                    .map_err(ArrowError::ParquetError)?;
                Box::new(file.with_projection(mask).build()?)
            }
            Kind::ArrowFile | Kind::ArrowStream => Box::new(messages::open(file, kind, Some(projection))?),
        };
        Ok(batches)
    })?;
    Ok(Rows::new(path, batches, wanted))
}

fn open(path: &Path) -> Result<File> {
    File::open(path).map_err(Error::io(path, "cannot open"))
}
