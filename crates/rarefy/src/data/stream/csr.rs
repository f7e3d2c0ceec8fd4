//! The nonzeros of samples, in a file until a batch takes them.

use std::sync::Arc;

use super::in_file::InFile;
use super::records::Records;
use crate::data::csr::Csr;

/// A feature as the file counts them, and the bits of its number.
pub(crate) type Entry = [u32; 2];

/// Sparse rows as read, in a file: a record is the entries of a sample, sorted.
#[derive(Debug, Clone)]
pub(crate) struct FileCsr {
    pub records: Arc<Records>,
    /// Features of a sample.
    pub features: usize,
    /// The number of the first.
    pub first: u32,
}

impl FileCsr {
    /// The entry of a record.
    pub(crate) fn entry((feature, value): (u32, f32)) -> Entry {
        [feature, value.to_bits()]
    }

    /// Copies a sample, its zeros too.
    pub(crate) fn copy_row(&self, sample: usize, out: &mut [f32]) {
        out.fill(0.0);
        let mut bytes = Vec::new();
        self.records.read(sample as u32, &mut bytes);
        self.entries(&bytes).for_each(|(feature, value)| out[feature as usize] = value);
    }

    /// The features and the numbers of a record.
    fn entries<'a>(&self, bytes: &'a [u8]) -> impl Iterator<Item = (u32, f32)> + use<'a> {
        let first = self.first;
        let entries = bytes.as_chunks::<{ size_of::<Entry>() }>().0.iter();
        // A record that cannot be read is zeros: a sample of none.
        entries
            .map(|entry| bytemuck::pod_read_unaligned(entry))
            .filter(|entry| *entry != [0, 0])
            .map(move |[feature, value]: Entry| (feature - first, f32::from_bits(value)))
    }
}

/// Sparse samples in a file (`data.memory`), each read when a batch takes it.
#[derive(Debug, Clone)]
pub struct StreamedCsr {
    cells: FileCsr,
    rows: Arc<[u32]>,
}

impl PartialEq for StreamedCsr {
    fn eq(&self, other: &StreamedCsr) -> bool {
        let told = |it: &StreamedCsr| (it.cells.records.content(), it.cells.features, it.cells.first);
        told(self) == told(other) && self.rows == other.rows
    }
}

impl StreamedCsr {
    pub(crate) fn new(cells: &FileCsr, rows: &[usize]) -> StreamedCsr {
        StreamedCsr { cells: cells.clone(), rows: rows.iter().map(|&row| row as u32).collect() }
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Numbers other than zero in all of them.
    pub fn nnz(&self) -> usize {
        self.rows.iter().map(|&row| self.cells.records.length(row) / size_of::<Entry>()).sum()
    }

    /// Where they lie.
    pub(crate) fn in_file(&self) -> InFile<'_> {
        InFile { records: &self.cells.records, rows: &self.rows }
    }

    /// Some of these samples.
    pub(crate) fn subset(&self, samples: &[usize]) -> StreamedCsr {
        let rows = samples.iter().map(|&sample| self.rows[sample]).collect();
        StreamedCsr { rows, cells: self.cells.clone() }
    }

    /// Makes `out` some samples.
    pub(crate) fn copy(&self, samples: &[usize], out: &mut Csr) {
        out.clear(self.cells.features);
        let (held, mut bytes) = (self.cells.records.held(), Vec::new());
        for &sample in samples {
            let record = self.rows[sample];
            match held.find(record) {
                Some(bytes) => out.push_sound(self.cells.entries(bytes)),
                None => {
                    self.cells.records.read(record, &mut bytes);
                    out.push_sound(self.cells.entries(&bytes));
                }
            }
        }
    }

    /// All samples in memory.
    pub(crate) fn to_csr(&self) -> Csr {
        let mut all = Csr::default();
        self.copy(&(0..self.len()).collect::<Vec<_>>(), &mut all);
        all
    }

    /// How many features some sample has other than zero. Samples are read in the order of the file.
    pub(crate) fn used_features(&self) -> usize {
        let mut used = vec![false; self.cells.features];
        let mut bytes = Vec::new();
        for &row in &*self.rows {
            self.cells.records.read(row, &mut bytes);
            self.cells.entries(&bytes).for_each(|(feature, _)| used[feature as usize] = true);
        }
        used.into_iter().filter(|&used| used).count()
    }
}
