//! The products of a linear map with a sparse input ([`Columns`]): work follows the nonzeros of the batch, not the width.
//!
//! ```text
//! forward            for each feature c of a tile, each weight (r, c), each lane that has c:   Y[r] += W[r, c] x
//! weight gradient    for each feature c of the batch, each weight (r, c):   dW[r, c] = sum over lanes that have c of dY[r] x
//! ```
//! The weights of features that no sample of the batch has are not looked at, and their gradients are known to be 0: the
//! slots that have one are listed, so that an optimizer need not go over the others either.

use std::ops::Range;

use super::spmm::{Finish, split_tiles};
use super::{Isa, par_chunks, tree};
use crate::sparse::{Pattern, Weights};
use crate::tiles::{Columns, Row, Tiles};

/// Output rows that one piece of work covers at least.
const ROWS: usize = 64;

/// Where the weights of a feature are: rows in order, and the slot of each.
#[derive(Clone, Copy)]
enum Stored<'a> {
    /// Every row; so many columns apart.
    Full(usize),
    /// Those of a pattern, by its transposed index; in dense storage so many columns apart.
    Some(&'a Pattern, Option<usize>),
}

impl<'a> Stored<'a> {
    fn of(weights: &'a Weights) -> Stored<'a> {
        let cols = matches!(weights, Weights::Dense(_)).then_some(weights.cols());
        match weights.pattern() {
            Some(pattern) => Stored::Some(pattern, cols),
            None => Stored::Full(weights.cols()),
        }
    }

    /// Calls `each(row, slot)` for the weights of a feature in some rows.
    #[inline(always)]
    fn for_each(self, feature: usize, rows: Range<usize>, mut each: impl FnMut(usize, usize)) {
        match self {
            Stored::Full(cols) => rows.for_each(|row| each(row, row * cols + feature)),
            Stored::Some(pattern, cols) => {
                let transpose = pattern.transpose();
                let line = transpose.index.line(feature);
                let listed = &transpose.index.indices()[line.clone()];
                let slots = &transpose.positions[line];
                let from = listed.partition_point(|&row| (row as usize) < rows.start);
                for (&row, &slot) in listed[from..].iter().zip(&slots[from..]) {
                    if row as usize >= rows.end {
                        break;
                    }
                    each(row as usize, cols.map_or(slot as usize, |cols| row as usize * cols + feature));
                }
            }
        }
    }
}

/// `output = finish(W input)`.
pub(super) fn multiply(
    isa: Isa,
    weights: &Weights,
    columns: &Columns,
    output: &mut Tiles,
    finish: Finish<'_>,
) {
    let (stored, values, rows) = (Stored::of(weights), weights.values(), weights.rows());
    let tiles = output.tiles();
    split_tiles(0..tiles, output.rows_mut(), rows, &|tile, output| {
        par_chunks(output, rows.div_ceil(2).max(ROWS), &|start, output| {
            for (row, sums) in (start..).zip(output.iter_mut()) {
                *sums = Row([finish.start(row); crate::tiles::LANES]);
            }
            for place in columns.tile(tile) {
                let (feature, lanes, inputs) = columns.at(place);
                stored.for_each(feature as usize, start..start + output.len(), |row, slot| {
                    let (weight, sums) = (values[slot], &mut output[row - start].0);
                    for (&lane, &input) in lanes.iter().zip(inputs) {
                        sums[lane as usize] += weight * input;
                    }
                });
            }
            isa.vectorize(|| {
                for (row, sums) in (start..).zip(output.iter_mut()) {
                    finish.end(tile * rows + row, &mut sums.0);
                }
            });
        });
    });
}

/// The gradient of every connection that the batch touches, into `out`, whose slots that `touched` lists are cleared first;
/// then `touched` lists those that may be other than 0.
pub(super) fn weight_gradient(
    weights: &Weights,
    gradient: &Tiles,
    columns: &Columns,
    out: &mut [f32],
    touched: &mut Vec<u32>,
) {
    touched.iter().for_each(|&slot| out[slot as usize] = 0.0);
    touched.clear();
    let stored = Stored::of(weights);
    let mut features = columns.features().to_vec();
    features.sort_unstable();
    features.dedup();
    let mut places = vec![None; columns.tiles()];
    for feature in features {
        places.iter_mut().enumerate().for_each(|(tile, place)| *place = columns.find(tile, feature));
        stored.for_each(feature as usize, 0..weights.rows(), |row, slot| {
            out[slot] = cell(columns, &places, gradient, row);
            touched.push(slot as u32);
        });
    }
}

/// The gradient of a cell: `places` is where its feature stands in each tile.
fn cell(columns: &Columns, places: &[Option<usize>], gradient: &Tiles, row: usize) -> f32 {
    tree::sum_of(0..places.len(), &|tile| {
        let Some(place) = places[tile] else { return 0.0 };
        let (_, lanes, inputs) = columns.at(place);
        let gradients = &gradient.tile(tile)[row].0;
        lanes.iter().zip(inputs).map(|(&lane, input)| gradients[lane as usize] * input).sum()
    })
}

/// The gradients that rows `rows` of a full matrix would have, row-major.
pub(super) fn row_gradients(
    cols: usize,
    gradient: &Tiles,
    columns: &Columns,
    rows: Range<usize>,
    out: &mut [f32],
) {
    out.fill(0.0);
    let mut features = columns.features().to_vec();
    features.sort_unstable();
    features.dedup();
    let mut places = vec![None; columns.tiles()];
    for feature in features {
        places.iter_mut().enumerate().for_each(|(tile, place)| *place = columns.find(tile, feature));
        for (line, row) in rows.clone().enumerate() {
            out[line * cols + feature as usize] = cell(columns, &places, gradient, row);
        }
    }
}

/// The gradients that the cells of a pattern would have.
pub(super) fn cell_gradients(cells: &Pattern, gradient: &Tiles, columns: &Columns, out: &mut [f32]) {
    let mut places = vec![None; columns.tiles()];
    for (cell_at, out) in cells.cells().zip(out) {
        let (row, feature) = (cell_at / cells.cols(), cell_at % cells.cols());
        places.iter_mut().enumerate().for_each(|(tile, place)| *place = columns.find(tile, feature as u32));
        *out = cell(columns, &places, gradient, row);
    }
}
