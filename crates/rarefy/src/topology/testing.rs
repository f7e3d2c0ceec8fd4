//! Small views for the tests of this folder.

use std::ops::Range;

use super::{CellGradients, View};
use crate::random::{Purpose, Stream};
use crate::sparse::{Pattern, Storage, Weights};

/// A compressed matrix with the given `(cell, value)` pairs, sorted by cell.
pub(super) fn weights(rows: usize, cols: usize, live: &[(usize, f32)]) -> Weights {
    let pattern = Pattern::from_cells(rows, cols, live.iter().map(|live| live.0));
    let mut weights = Weights::zeros(pattern, Storage::Sparse);
    for (value, live) in weights.values_mut().iter_mut().zip(live) {
        *value = live.1;
    }
    weights
}

/// A view of it in which no absent connection has a gradient.
pub(super) fn view<'a>(weights: &'a Weights, gradients: &'a [f32], target: usize, seed: u64) -> View<'a> {
    let absent = CellGradients {
        rows: Box::new(|_, out| out.fill(0.0)),
        cells: Box::new(|_, out| out.fill(0.0)),
        shared: None,
    };
    let stream = Stream::new(seed, Purpose::Bench, 0, 0);
    View { weights, gradients, target, block: 1, is_joined: true, absent, stream }
}

/// The gradients of a matrix that has all of them at hand.
pub(super) fn cell_gradients(gradients: &[f32], cols: usize) -> CellGradients<'_> {
    CellGradients {
        rows: Box::new(move |rows: Range<usize>, out: &mut [f32]| {
            out.copy_from_slice(&gradients[rows.start * cols..rows.end * cols]);
        }),
        cells: Box::new(move |cells, out| {
            for (out, cell) in out.iter_mut().zip(cells.cells()) {
                *out = gradients[cell];
            }
        }),
        shared: None,
    }
}
