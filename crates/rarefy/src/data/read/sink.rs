//! Where readers put the cells of samples, one sample after the other: in memory, or in a scratch file (`data.memory`).

use std::path::Path;
use std::sync::Arc;

use crate::data::csr::Csr;
use crate::data::raw::Cells;
use crate::data::stream::{Decode, FileCells, FileCsr, Places, Records, Scratch, Streaming};
use crate::{Error, Result};

/// The scratch file, with the end of each sample that was put there.
pub(super) struct Sink {
    scratch: Scratch,
    ends: Vec<u64>,
}

/// A sink where samples stay on the disk, else none.
pub(super) fn sink(streaming: Option<&Streaming>) -> Result<Option<Sink>> {
    streaming.map(|streaming| Ok(Sink { scratch: Scratch::new(streaming)?, ends: Vec::new() })).transpose()
}

impl Sink {
    /// Adds the bytes or the numbers of a sample.
    ///
    /// # Errors
    /// A full disk.
    pub(super) fn put<T: bytemuck::Pod>(&mut self, cells: &[T]) -> Result<()> {
        self.ends.push(self.scratch.write(bytemuck::cast_slice(cells))?);
        Ok(())
    }

    /// All samples, of which each has `width` cells; `decode` makes them of its bytes.
    ///
    /// # Errors
    /// A full disk.
    pub(super) fn into_cells(self, width: usize, are_bytes: bool, decode: Decode) -> Result<Cells> {
        let records = self.into_records()?;
        Ok(Cells::Streamed(FileCells { records, decode, width, are_bytes, gap: None }))
    }

    /// All samples, a record each.
    ///
    /// # Errors
    /// A full disk.
    fn into_records(self) -> Result<Arc<Records>> {
        Ok(Arc::new(self.scratch.into_records(Places::Ends(self.ends))?))
    }
}

/// Makes numbers of bytes that numbers were put as; those that are not there are NaN.
pub(super) fn numbers() -> Decode {
    Arc::new(|bytes, out| {
        let (numbers, _) = bytes.as_chunks::<4>();
        let (there, rest) = out.split_at_mut(numbers.len());
        there.iter_mut().zip(numbers).for_each(|(out, &number)| *out = f32::from_ne_bytes(number));
        rest.fill(f32::NAN);
    })
}

/// Samples of which only the numbers other than zero are kept.
pub(super) enum Rows {
    InMemory { offsets: Vec<usize>, indices: Vec<u32>, values: Vec<f32> },
    InFile(Sink),
}

impl Rows {
    pub(super) fn new(streaming: Option<&Streaming>) -> Result<Rows> {
        let in_memory = Rows::InMemory { offsets: vec![0], indices: Vec::new(), values: Vec::new() };
        Ok(sink(streaming)?.map_or(in_memory, Rows::InFile))
    }

    /// Adds a sample, whose entries are sorted; zeros are left out.
    pub(super) fn push(&mut self, row: &[(u32, f32)]) -> Result<()> {
        let entries = row.iter().copied().filter(|&(_, value)| value != 0.0);
        match self {
            Rows::InMemory { offsets, indices, values } => {
                for (index, value) in entries {
                    indices.push(index);
                    values.push(value);
                }
                offsets.push(indices.len());
                Ok(())
            }
            Rows::InFile(sink) => sink.put(&entries.map(FileCsr::entry).collect::<Vec<_>>()),
        }
    }

    /// All samples, features being counted from `first`.
    pub(super) fn into_cells(self, path: &Path, features: usize, first: u32) -> Result<Cells> {
        match self {
            Rows::InMemory { offsets, mut indices, values } => {
                indices.iter_mut().for_each(|index| *index -= first);
                let rows = Csr::new(features, offsets, indices, values);
                Ok(Cells::Sparse(rows.map_err(|problem| Error::data(path, problem.to_string()))?))
            }
            Rows::InFile(sink) => {
                Ok(Cells::StreamedSparse(FileCsr { records: sink.into_records()?, features, first }))
            }
        }
    }
}
