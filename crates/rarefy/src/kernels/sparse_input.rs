//! The products of a linear map with a sparse input ([`Columns`]): work follows the nonzeros of the batch, not the width.
//!
//! ```text
//! forward            for each feature c of a tile, each weight (r, c), each lane that has c:   Y[r] += W[r, c] x
//! weight gradient    for each feature c of the batch, each weight (r, c):   dW[r, c] = sum over lanes that have c of dY[r] x
//! ```
//! The weights of features that no sample of the batch has are not looked at, and their gradients are known to be 0: the
//! slots that have one are listed, so that an optimizer need not go over the others either. Weights that stand in column
//! order have those of a feature side by side: a step then reads memory that follows the batch, too, and not the width.

use std::ops::Range;

use super::arch::{Epilogue, Isa, fetch_place};
use super::split::{par_chunks, split_tiles};
use super::tree;
use crate::sparse::{Blocks, Order, Pattern, Touched, Weights};
use crate::tiles::{Columns, Row, Tiles};

/// Output rows that one piece of work covers at least.
const ROWS: usize = 64;
/// How many features ahead memory is asked for.
const AHEAD: usize = 8;
/// Features whose gradients one piece of work adds up at most.
const FEATURES: usize = 256;

/// Where the weights of a feature are: rows in order, and the slot of each.
#[derive(Clone, Copy)]
struct Stored<'a> {
    rows: usize,
    /// The live connections; `None` if all are.
    pattern: Option<&'a Pattern>,
    slots: Slots<'a>,
}

#[derive(Clone, Copy)]
enum Slots<'a> {
    /// Of every cell: from one row to the next, and from one feature to the next.
    Cells([usize; 2]),
    /// Of live connections, one feature's after the other's.
    Columns,
    /// Of live connections, one row's after the other's: each named by where it stands among the columns.
    Rows(&'a [u32]),
    /// Of live blocks.
    Blocks(&'a Blocks),
}

impl<'a> Stored<'a> {
    fn of(weights: &'a Weights) -> Stored<'a> {
        let slots = match (weights, weights.order()) {
            (Weights::Dense(_), Order::Rows) => Slots::Cells([weights.cols(), 1]),
            (Weights::Dense(_), Order::Columns) => Slots::Cells([1, weights.rows()]),
            (Weights::Sparse(_), Order::Columns) => Slots::Columns,
            (Weights::Sparse(sparse), Order::Rows) => Slots::Rows(sparse.pattern().row_places()),
            (Weights::Blocks(blocks), _) => Slots::Blocks(blocks),
        };
        Stored { rows: weights.rows(), pattern: weights.pattern(), slots }
    }

    /// Calls `each(row, slot)` for the weights of a feature in some rows.
    #[inline(always)]
    fn for_each(self, feature: usize, rows: Range<usize>, mut each: impl FnMut(usize, usize)) {
        let slot_of = |row: usize, position: usize| match self.slots {
            Slots::Cells([of_row, of_feature]) => row * of_row + feature * of_feature,
            Slots::Columns => position,
            Slots::Rows(slots) => slots[position] as usize,
            Slots::Blocks(_) => unreachable!("told block by block"),
        };
        if let Slots::Blocks(blocks) = self.slots {
            return for_each_in_blocks(blocks, feature, rows, each);
        }
        let Some(pattern) = self.pattern else {
            return rows.for_each(|row| each(row, slot_of(row, 0)));
        };
        let index = pattern.transpose();
        let line = index.line(feature);
        let listed = &index.indices()[line.clone()];
        let from = listed.partition_point(|&row| (row as usize) < rows.start);
        for (position, &row) in (line.start + from..).zip(&listed[from..]) {
            if row as usize >= rows.end {
                break;
            }
            each(row as usize, slot_of(row as usize, position));
        }
    }

    /// Asks for where the weights of the feature after some others stand, so that nobody waits when it is its turn.
    #[inline(always)]
    fn fetch(self, values: &[f32], features: &[u32]) {
        let Slots::Columns = self.slots else { return };
        let Some(pattern) = self.pattern else { return };
        let index = pattern.transpose();
        if let Some(&feature) = features.get(2 * AHEAD) {
            fetch_place(index.offsets(), feature as usize);
        }
        if let Some(&feature) = features.get(AHEAD) {
            let line = index.line(feature as usize);
            fetch_place(index.indices(), line.start);
            fetch_place(values, line.start);
        }
    }

    /// The slots of a feature, where they are neighbours; those of absent connections too if they are stored.
    fn column(self, feature: usize) -> Option<Range<usize>> {
        match self.slots {
            Slots::Cells([1, rows]) => Some(feature * rows..(feature + 1) * rows),
            Slots::Columns => self.pattern.map(|pattern| pattern.transpose().line(feature)),
            Slots::Cells(_) | Slots::Rows(_) | Slots::Blocks(_) => None,
        }
    }

    /// Adds the slots of features, where those of one are neighbours.
    fn list(self, features: &[u32], out: &mut Touched) {
        out.extend(features.iter().filter_map(|&feature| self.column(feature as usize)));
        out.retain(|slots| !slots.is_empty());
    }
}

/// Calls `each(row, slot)` for the weights of a feature in some rows of a matrix in blocks.
#[inline(always)]
fn for_each_in_blocks(
    blocks: &Blocks,
    feature: usize,
    range: Range<usize>,
    mut each: impl FnMut(usize, usize),
) {
    let (by_column, places) = (blocks.pattern().transpose(), blocks.pattern().row_places());
    let entries = by_column.line(feature);
    let lines = &by_column.indices()[entries.clone()];
    let from = lines.partition_point(|&line| (line as usize + 1) * blocks.height() <= range.start);
    for (entry, &line) in (entries.start + from..).zip(&lines[from..]) {
        let first = line as usize * blocks.height();
        if first >= range.end {
            break;
        }
        let slot = places[entry] as usize * blocks.height();
        let rows = first.max(range.start)..(first + blocks.height()).min(range.end);
        rows.for_each(|row| each(row, slot + row - first));
    }
}

/// `output = epilogue(W input)`.
pub(super) fn multiply(
    isa: Isa,
    weights: &Weights,
    columns: &Columns,
    output: &mut Tiles,
    epilogue: Epilogue<'_>,
) {
    let (stored, values, rows) = (Stored::of(weights), weights.values(), weights.rows());
    let tiles = output.tiles();
    split_tiles(0..tiles, output.rows_mut(), rows, &|tile, output| {
        par_chunks(output, rows.div_ceil(2).max(ROWS), &|start, output| {
            for (row, sums) in (start..).zip(output.iter_mut()) {
                *sums = Row([epilogue.start(row); crate::tiles::LANES]);
            }
            for place in columns.tile(tile) {
                stored.fetch(values, &columns.features()[place..]);
                let (feature, lanes, inputs) = columns.at(place);
                stored.for_each(feature as usize, start..start + output.len(), |row, slot| {
                    let (weight, sums) = (values[slot], &mut output[row - start].0);
                    for (&lane, &input) in lanes.iter().zip(inputs) {
                        sums[lane as usize] += weight * input;
                    }
                });
            }
            for (row, sums) in (start..).zip(output.iter_mut()) {
                isa.end(&epilogue, tile * rows + row, &mut sums.0);
            }
        });
    });
}

/// The gradient of every connection that the batch touches, into `out`, whose slots in `touched` are cleared first; then
/// `touched` has those that may be other than 0.
pub(super) fn weight_gradient(
    weights: &Weights,
    gradient: &Tiles,
    columns: &Columns,
    out: &mut [f32],
    touched: &mut Touched,
) {
    touched.drain(..).for_each(|slots| out[slots].fill(0.0));
    let (stored, features) = (Stored::of(weights), distinct(columns));
    if weights.order() == Order::Columns {
        stored.list(&features, touched);
        return Sums { stored, gradient, columns }.split(&features, out, 0);
    }
    let mut places = vec![None; columns.tiles()];
    for feature in features {
        places.iter_mut().enumerate().for_each(|(tile, place)| *place = columns.find(tile, feature));
        stored.for_each(feature as usize, 0..weights.rows(), |row, slot| {
            out[slot] = cell(columns, &places, gradient, row);
            touched.push(slot..slot + 1);
        });
    }
    touched.sort_unstable_by_key(|slots| slots.start);
}

/// Lists the slots of the weights that a batch meets, where those of a feature are neighbours; whether they are.
pub(super) fn slots(weights: &Weights, columns: &Columns, out: &mut Touched) -> bool {
    out.clear();
    let are_neighbours = weights.order() == Order::Columns;
    if are_neighbours {
        Stored::of(weights).list(&distinct(columns), out);
    }
    are_neighbours
}

/// The features of a batch, in order.
fn distinct(columns: &Columns) -> Vec<u32> {
    let mut features = columns.features().to_vec();
    features.sort_unstable();
    features.dedup();
    features
}

/// A gradient being added up, where the slots of a feature are neighbours.
struct Sums<'a> {
    stored: Stored<'a>,
    gradient: &'a Tiles,
    columns: &'a Columns,
}

impl Sums<'_> {
    /// Halves features until they are few; `out` begins at slot `first`.
    fn split(&self, features: &[u32], out: &mut [f32], first: usize) {
        if features.len() <= FEATURES {
            return self.add(features, out, first);
        }
        let (left, right) = features.split_at(features.len() / 2);
        let border = self.stored.column(right[0] as usize).expect("a feature's slots are neighbours").start;
        let (left_out, right_out) = out.split_at_mut(border - first);
        rayon::join(|| self.split(left, left_out, first), || self.split(right, right_out, border));
    }

    fn add(&self, features: &[u32], out: &mut [f32], first: usize) {
        let mut places = vec![None; self.columns.tiles()];
        for (at, &feature) in features.iter().enumerate() {
            self.stored.fetch(&[], &features[at..]);
            places.iter_mut().enumerate().for_each(|(tile, at)| *at = self.columns.find(tile, feature));
            self.stored.for_each(feature as usize, 0..self.stored.rows, |row, slot| {
                out[slot - first] = cell(self.columns, &places, self.gradient, row);
            });
        }
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
    let mut places = vec![None; columns.tiles()];
    for feature in distinct(columns) {
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
