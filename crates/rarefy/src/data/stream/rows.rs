//! Samples of a part that stay in a file until a batch takes them.

use std::sync::Arc;

use rayon::prelude::*;

use super::cells::FileCells;
use super::coding::RowCoding;
use super::in_file::InFile;

/// Rows that are given to one thread at least: less is sooner done than handed over.
const FEWEST: usize = 32;

/// Samples in a file (`data.memory`), each read, coded and scaled when a batch takes it.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamedRows {
    pub(super) cells: FileCells,
    /// Which records they are.
    pub(super) rows: Arc<[u32]>,
    coding: Arc<RowCoding>,
}

impl StreamedRows {
    pub(crate) fn new(cells: FileCells, rows: &[usize], coding: RowCoding) -> StreamedRows {
        let rows = rows.iter().map(|&row| row as u32).collect();
        StreamedRows { cells, rows, coding: Arc::new(coding) }
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Scales each number of a row so from now on.
    pub(crate) fn set_scales(&mut self, scales: Vec<(f64, f64)>) {
        Arc::make_mut(&mut self.coding).scales = scales;
    }

    /// Where they lie.
    pub(crate) fn in_file(&self) -> InFile<'_> {
        InFile { records: &self.cells.records, rows: &self.rows }
    }

    pub(crate) fn coding(&self) -> &RowCoding {
        &self.coding
    }

    /// Some of these samples.
    pub(crate) fn subset(&self, samples: &[usize]) -> StreamedRows {
        StreamedRows { rows: samples.iter().map(|&sample| self.rows[sample]).collect(), ..self.clone() }
    }

    /// Writes a sample, coded but not scaled.
    pub(crate) fn copy_unscaled(&self, sample: usize, out: &mut [f32]) {
        let mut cells = vec![0.0; self.cells.width];
        self.cells.copy_row(self.rows[sample] as usize, &mut cells);
        self.coding.code(&cells, out, |_, _| {});
    }

    /// Makes `out` some samples, one after the other; `lengths` are the steps of all samples that are there, or empty.
    pub(crate) fn copy(&self, samples: &[usize], lengths: &[u32], out: &mut Vec<f32>) {
        let (coding, records) = (&*self.coding, &*self.cells.records);
        out.resize(samples.len() * coding.inputs, 0.0);
        let held = records.held();
        let rows = out.par_chunks_exact_mut(coding.inputs).zip(samples).with_min_len(FEWEST);
        let room = || (Vec::new(), vec![0.0; self.cells.width]);
        rows.for_each_init(room, |(bytes, cells), (row, &sample)| {
            let record = self.rows[sample];
            match held.find(record) {
                Some(bytes) => (self.cells.decode)(bytes, cells),
                None => {
                    records.read(record, bytes);
                    (self.cells.decode)(bytes, cells);
                }
            }
            coding.code(cells, row, |_, _| {});
            coding.scale(row, lengths.get(sample).copied());
        });
    }

    /// All samples in memory.
    pub(crate) fn to_dense(&self, lengths: &[u32]) -> Vec<f32> {
        let mut all = Vec::new();
        self.copy(&(0..self.len()).collect::<Vec<_>>(), lengths, &mut all);
        all
    }
}
