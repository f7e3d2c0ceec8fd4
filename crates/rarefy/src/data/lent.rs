//! Numbers of a caller's that are read where they lie: no copy of them is made, and scaling waits until a batch takes them.

use std::fmt;
use std::sync::Arc;

use rayon::prelude::*;

use crate::tiles::{LANES, Tiles};

/// Numbers in a caller's memory, for as long as this lives. They must not change meanwhile: what is trained on would.
#[derive(Clone)]
pub(crate) struct Lent(Arc<dyn AsRef<[f32]> + Send + Sync>);

impl Lent {
    pub(super) fn new(owner: Arc<dyn AsRef<[f32]> + Send + Sync>) -> Lent {
        Lent(owner)
    }

    pub(super) fn numbers(&self) -> &[f32] {
        (*self.0).as_ref()
    }
}

impl fmt::Debug for Lent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lent").field(&self.numbers()).finish()
    }
}

impl PartialEq for Lent {
    fn eq(&self, other: &Lent) -> bool {
        self.numbers() == other.numbers()
    }
}

/// Some rows of a matrix that a caller lends ([`Samples::lent`](super::Samples::lent)), each scaled when it is read.
#[derive(Debug, Clone, PartialEq)]
pub struct LentRows {
    pub(super) matrix: Lent,
    /// Which rows.
    pub(super) rows: Vec<usize>,
    /// Numbers of a row.
    pub(super) inputs: usize,
    /// What is taken from each of them and what the rest is multiplied by ([`Scaler::of`](super::Scaler::of)); empty where nothing is
    /// scaled.
    pub(super) scales: Vec<(f64, f64)>,
}

impl LentRows {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Writes a row as it was lent.
    pub(super) fn read_unscaled(&self, row: usize, out: &mut [f32]) {
        out.copy_from_slice(&self.matrix.numbers()[self.rows[row] * self.inputs..][..self.inputs]);
    }

    /// All numbers, row-major and scaled: a copy.
    pub fn to_dense(&self) -> Vec<f32> {
        let mut all = vec![0.0; self.len() * self.inputs];
        for (row, out) in all.chunks_exact_mut(self.inputs.max(1)).enumerate() {
            self.read_unscaled(row, out);
            out.iter_mut().zip(&self.scales).for_each(|(number, &scale)| *number = scaled(*number, scale));
        }
        all
    }

    /// Some of these rows.
    pub(super) fn subset(&self, rows: &[usize]) -> LentRows {
        LentRows { rows: rows.iter().map(|&row| self.rows[row]).collect(), ..self.clone() }
    }

    /// Scales a batch of these rows, a sample per lane.
    pub(super) fn scale(&self, tiles: &mut Tiles) {
        if self.scales.is_empty() {
            return;
        }
        let samples = tiles.samples();
        tiles.rows_mut().par_chunks_mut(self.inputs).enumerate().for_each(|(tile, rows)| {
            // Dead lanes stay 0.
            let live = LANES.min(samples - tile * LANES);
            for (row, &scale) in rows.iter_mut().zip(&self.scales) {
                row.0[..live].iter_mut().for_each(|number| *number = scaled(*number, scale));
            }
        });
    }
}

/// As `Scaler` does it.
pub(super) fn scaled(number: f32, (offset, multiplier): (f64, f64)) -> f32 {
    ((f64::from(number) - offset) * multiplier) as f32
}
