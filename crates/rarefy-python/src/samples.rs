//! Samples from arrays.

use std::sync::Arc;

use numpy::{PyReadonlyArray1, PyReadonlyArray2, PyReadonlyArrayDyn};
use pyo3::prelude::*;
use pyo3::types::PyCapsule;
use rarefy::tiles::Shape;

use crate::arrays::{Shared, Strided, list, slice};
use crate::errors::{internal, raised};
use crate::frames;

/// Samples in memory. A trainer takes them, and leaves none behind.
#[pyclass(module = "rarefy._rarefy")]
pub struct Samples {
    held: Option<rarefy::Samples>,
}

impl Samples {
    fn made(samples: rarefy::Result<rarefy::Samples>) -> PyResult<Samples> {
        Ok(Samples { held: Some(samples.map_err(raised)?) })
    }

    fn with(
        &mut self,
        change: impl FnOnce(rarefy::Samples) -> rarefy::Result<rarefy::Samples>,
    ) -> PyResult<()> {
        self.held = Some(change(self.take()?).map_err(raised)?);
        Ok(())
    }

    /// The samples, to be used up.
    pub fn take(&mut self) -> PyResult<rarefy::Samples> {
        self.held.take().ok_or_else(|| internal("these samples have been used"))
    }

    /// The samples, to be looked at.
    pub fn get(&self) -> PyResult<&rarefy::Samples> {
        self.held.as_ref().ok_or_else(|| internal("these samples have been used"))
    }
}

#[pymethods]
impl Samples {
    /// Rows of `inputs` numbers, read where they lie.
    #[staticmethod]
    fn dense(rows: PyReadonlyArrayDyn<'_, f32>, inputs: usize) -> PyResult<Samples> {
        let shared = Arc::new(Shared::new(&rows)?);
        Samples::made(rarefy::Samples::lent(shared, inputs))
    }

    /// Rows of numbers in any layout, of which one copy is made, as float32.
    #[staticmethod]
    fn wide(rows: PyReadonlyArray2<'_, f64>) -> PyResult<Samples> {
        let strided = Strided::new(&rows);
        let [samples, inputs] = strided.shape();
        Samples::made(rarefy::Samples::lent_wide(samples, inputs, move |row, out| strided.read(row, out)))
    }

    /// Compressed sparse rows.
    #[staticmethod]
    fn csr(
        inputs: usize,
        indptr: PyReadonlyArray1<'_, u64>,
        indices: PyReadonlyArray1<'_, u32>,
        data: PyReadonlyArray1<'_, f32>,
    ) -> PyResult<Samples> {
        let offsets = list(&indptr)?.iter().map(|&offset| offset as usize).collect();
        let (columns, values) = (list(&indices)?.to_vec(), list(&data)?.to_vec());
        Samples::made(rarefy::Samples::csr(inputs, offsets, columns, values))
    }

    /// Rows of `steps` tokens.
    #[staticmethod]
    fn tokens(ids: PyReadonlyArrayDyn<'_, u32>, steps: usize, vocabulary: usize) -> PyResult<Samples> {
        let ids = slice(ids.as_slice())?;
        Samples::made(rarefy::Samples::tokens(ids, steps, vocabulary))
    }

    /// The rows of an Arrow stream, which is used up, and the names of its columns.
    #[staticmethod]
    fn table(py: Python<'_>, stream: &Bound<'_, PyCapsule>) -> PyResult<(Samples, Vec<String>)> {
        let (table, names) = frames::table(py, stream)?;
        Ok((Samples::made(Ok(rarefy::Samples::table(table)))?, names))
    }

    #[staticmethod]
    fn texts(texts: Vec<String>) -> PyResult<Samples> {
        Samples::made(rarefy::Samples::texts(&texts))
    }

    /// Lays them out as images of `height` x `width` positions with `channels` numbers each; a sequence has a height of 1.
    fn with_shape(&mut self, height: usize, width: usize, channels: usize) -> PyResult<()> {
        self.with(|samples| samples.with_shape(Shape { height, width, channels }))
    }

    fn with_lengths(&mut self, lengths: PyReadonlyArray1<'_, u32>) -> PyResult<()> {
        let lengths = list(&lengths)?.to_vec();
        self.with(|samples| samples.with_lengths(lengths))
    }

    /// Classes, counted from 0, and the names of all of them.
    fn with_classes(&mut self, classes: PyReadonlyArray1<'_, u32>, names: Vec<String>) -> PyResult<()> {
        let classes = list(&classes)?;
        self.with(|samples| samples.with_target_names(&names)?.with_classes(classes))
    }

    fn with_numbers(&mut self, numbers: PyReadonlyArray1<'_, f64>, outputs: usize) -> PyResult<()> {
        let numbers = list(&numbers)?;
        self.with(|samples| samples.with_numbers(numbers, outputs))
    }

    fn with_labels(&mut self, values: PyReadonlyArray1<'_, f64>, labels: usize) -> PyResult<()> {
        let values = list(&values)?;
        self.with(|samples| samples.with_labels(values, labels))
    }

    fn with_weights(&mut self, weights: PyReadonlyArray1<'_, f32>) -> PyResult<()> {
        let weights = list(&weights)?.to_vec();
        self.with(|samples| samples.with_weights(weights))
    }

    fn with_groups(&mut self, groups: PyReadonlyArray1<'_, u32>) -> PyResult<()> {
        let groups = list(&groups)?;
        self.with(|samples| samples.with_groups(groups))
    }

    fn with_feature_names(&mut self, names: Vec<String>) -> PyResult<()> {
        self.with(|samples| samples.with_feature_names(&names))
    }

    fn with_target_names(&mut self, names: Vec<String>) -> PyResult<()> {
        self.with(|samples| samples.with_target_names(&names))
    }

    fn __len__(&self) -> PyResult<usize> {
        Ok(self.get()?.len())
    }
}
