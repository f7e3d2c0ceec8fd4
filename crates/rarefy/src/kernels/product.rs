//! The three products of a linear map `y = W x`, for either storage. Shapes: `input` has `W.cols()` features, `output`
//! and its gradient `W.rows()`; or so many at each of several positions, to which the map is applied one by one. Both
//! hold the same samples.

use std::ops::Range;

use super::dense::{self, Matrix};
use super::lookup::{self, Padding};
use super::{
    Finish, Isa, Windows, conv, conv_dense, fetch::fetch, par_chunks, sddmm, spmm, tree, wide_input,
};
use crate::sparse::{Index, KEPT_PLACES, Order, Pattern, Sparse, Touched, Weights};
use crate::tiles::{HALF, LANES, Tiles};

/// `output = activation(W input + bias)` (or another [`Finish`]).
///
/// # Panics
/// If shapes do not fit.
pub fn multiply(isa: Isa, weights: &Weights, input: &Tiles, output: &mut Tiles, finish: Finish<'_>) {
    let panels = Panels::new(input, positions(weights, input, output));
    if let Some(columns) = input.columns() {
        return wide_input::multiply(isa, weights, columns, output, finish);
    }
    if weights.order() == Order::Columns {
        // Trained on sparse inputs, asked about a dense one.
        let mut rows = weights.clone();
        rows.set_order(Order::Rows);
        return multiply(isa, &rows, input, output, finish);
    }
    match weights {
        Weights::Dense(_) => {
            let matrix = Matrix::new(weights.values(), weights.rows(), weights.cols());
            dense::multiply(isa, matrix, input.rows(), output.rows_mut(), panels, finish);
        }
        Weights::Sparse(sparse) => {
            spmm::spmm(
                isa,
                sparse.pattern().index(),
                weights.values(),
                input.rows(),
                output.rows_mut(),
                panels,
                finish,
            );
        }
    }
}

/// `gradient_input = finish(W^T gradient)`. `room` grows to what the values of compressed storage need: that of a gradient
/// which is still to be computed will do.
///
/// # Panics
/// If shapes do not fit, or the weights do not stand in row order.
pub fn multiply_transposed(
    isa: Isa,
    weights: &mut Weights,
    gradient: &Tiles,
    gradient_input: &mut Tiles,
    finish: Finish<'_>,
    room: &mut Vec<f32>,
) {
    let panels = Panels::new(gradient, positions(weights, gradient_input, gradient));
    assert_eq!(weights.order(), Order::Rows, "the gradient of a dense input");
    let (rows, cols) = (weights.rows(), weights.cols());
    match weights {
        Weights::Dense(_) => {
            let matrix = Matrix::new(weights.values(), rows, cols).transposed();
            dense::multiply(isa, matrix, gradient.rows(), gradient_input.rows_mut(), panels, finish);
        }
        Weights::Sparse(sparse) => {
            let (index, values) = gather_columns(sparse, room);
            let output = gradient_input.rows_mut();
            spmm::spmm(isa, index, values, gradient.rows(), output, panels, finish);
        }
    }
}

/// The index by columns and the values in its order, which are put into `room` once a pass: one random read or write per
/// weight here, instead of one random read per weight and tile in the loop.
pub(super) fn gather_columns<'a>(sparse: &'a mut Sparse, room: &'a mut Vec<f32>) -> (&'a Index, &'a [f32]) {
    room.resize(sparse.values().len(), 0.0);
    if room.len() > KEPT_PLACES {
        count_columns(sparse, room, rayon::current_num_threads());
    } else {
        let (places, values) = (sparse.pattern().row_places(), sparse.values());
        par_chunks(room, 8192, &|start, chunk| {
            for (value, &place) in chunk.iter_mut().zip(&places[start..]) {
                *value = values[place as usize];
            }
        });
    }
    (sparse.pattern().transpose(), room)
}

/// Puts the values into column order without a list of their places. Each piece goes through all rows, so there are to be no
/// more than threads to do it.
fn count_columns(sparse: &mut Sparse, out: &mut [f32], pieces: usize) {
    let (pattern, values, next) = sparse.begin_columns();
    put_columns(pattern, values, 0..pattern.cols(), next, out, pieces);
}

/// Puts the values of some columns into column order: `next` has the place where each begins, `out` those of all of them.
fn put_columns(
    pattern: &Pattern,
    values: &[f32],
    columns: Range<usize>,
    next: &mut [u32],
    out: &mut [f32],
    pieces: usize,
) {
    let offsets = pattern.transpose().offsets();
    let first = offsets[columns.start];
    if pieces > 1 && columns.len() > 1 {
        // So many connections on either side.
        let half = first + (offsets[columns.end] - first) / 2;
        let middle = columns.start + offsets[columns.clone()].partition_point(|&offset| offset < half);
        let middle = middle.clamp(columns.start + 1, columns.end - 1);
        let (left_next, right_next) = next.split_at_mut(middle - columns.start);
        let (left, right) = out.split_at_mut((offsets[middle] - first) as usize);
        rayon::join(
            || put_columns(pattern, values, columns.start..middle, left_next, left, pieces / 2),
            || put_columns(pattern, values, middle..columns.end, right_next, right, pieces - pieces / 2),
        );
        return;
    }
    let is_whole = columns == (0..pattern.cols());
    for row in 0..pattern.rows() {
        let line = pattern.index().line(row);
        let (mut cols, mut values) = (&pattern.index().indices()[line.clone()], &values[line]);
        if !is_whole {
            let before = |end: usize| cols.partition_point(|&col| (col as usize) < end);
            let part = before(columns.start)..before(columns.end);
            (cols, values) = (&cols[part.clone()], &values[part]);
        }
        for (&col, &value) in cols.iter().zip(values) {
            let place = &mut next[col as usize - columns.start];
            out[(*place - first) as usize] = value;
            *place += 1;
        }
    }
}

/// The gradient of every live connection, summed over the batch, into `out`; zero for absent ones in dense storage. `scratch` grows to what dense storage
/// needs to sum more than two tiles in a tree.
///
/// # Panics
/// If shapes do not fit, or the weights do not stand in row order.
pub fn weight_gradient(
    isa: Isa,
    weights: &Weights,
    gradient: &Tiles,
    input: &Tiles,
    out: &mut [f32],
    scratch: &mut Vec<f32>,
) {
    let panels = Panels::new(input, positions(weights, input, gradient));
    assert_eq!(weights.order(), Order::Rows, "the gradient for a dense input");
    match weights {
        Weights::Dense(_) => {
            scratch.resize(out.len() * tree::scratch_levels(panels.tiles), 0.0);
            dense::weight_gradient(gradient.rows(), input.rows(), panels, 0..weights.rows(), out, scratch);
            weights.clear_absent(out);
        }
        Weights::Sparse(sparse) => {
            sddmm::sddmm(isa, sparse.pattern().index(), gradient.rows(), input.rows(), panels, out);
        }
    }
}

/// The gradient of every live connection for a sparse input, whose nonzeros the work follows. Gradients are 0 but for the
/// slots in `touched`; `out` must hold what the last call with these left, or zeros.
///
/// # Panics
/// If shapes do not fit, or the input is not sparse.
pub fn sparse_input_gradient(
    weights: &Weights,
    gradient: &Tiles,
    input: &Tiles,
    out: &mut [f32],
    touched: &mut Touched,
) {
    positions(weights, input, gradient);
    let columns = input.columns().expect("a sparse input");
    wide_input::weight_gradient(weights, gradient, columns, out, touched);
}

/// Rows that one piece of work on biases covers, and the most biases that its sums on the stack are made for.
const ROWS: usize = 2048;
const BIASES: usize = 256;

/// The gradient of a bias: each row of `gradient` summed over the positions and the batch.
///
/// # Panics
/// If there is not a bias for each feature of a position.
pub fn bias_gradient(isa: Isa, gradient: &Tiles, out: &mut [f32]) {
    assert!(gradient.features().is_multiple_of(out.len()), "one bias per feature of a position");
    let (features, tiles) = (out.len(), gradient.tiles());
    let rows = tiles * gradient.features() / features;
    assert!(tree::scratch_levels(tiles) <= 12, "a batch has at most {} samples", (1 << 13) * LANES);
    par_chunks(out, (ROWS / rows.max(1)).clamp(32, BIASES), &|start, out| {
        tree::sum(0..tiles, out, &mut [0.0; 12 * BIASES], &mut |tile, out, accumulate| {
            let blocks = if gradient.is_half(tile) { 2 } else { 4 };
            isa.vectorize(|| {
                // Sixteen running sums of each and then halves: the order is the same whatever the instruction set.
                let mut sums = [[0.0f32; 16]; BIASES];
                let sums = &mut sums[..out.len()];
                let rows = gradient.tile(tile);
                for first in (start..rows.len()).step_by(features) {
                    for (index, sums) in (first..).zip(sums.iter_mut()) {
                        let row = &rows[index];
                        if let Some(next) = rows.get(index + features) {
                            fetch(&next.0[..HALF]);
                        }
                        for block in &row.0.as_chunks::<16>().0[..blocks] {
                            for (sum, value) in sums.iter_mut().zip(block) {
                                *sum += value;
                            }
                        }
                    }
                }
                for (out, sums) in out.iter_mut().zip(sums) {
                    let sum = tree::halves(*sums);
                    *out = if accumulate { *out + sum } else { sum };
                }
            });
        });
    });
}

/// A product that a weight matrix is part of: what the last passes put in, by which growth rules tell the gradients of
/// absent connections.
#[derive(Clone, Copy)]
pub struct Product<'a> {
    input: &'a Tiles,
    gradient: &'a Tiles,
    map: Map<'a>,
}

/// What makes outputs of inputs.
#[derive(Clone, Copy)]
enum Map<'a> {
    Linear,
    Convolution(&'a Windows),
    LookUp(Padding),
}

impl<'a> Product<'a> {
    /// That of a linear map of `input`, at each position; `gradient` is that of its outputs before any activation.
    pub fn new(input: &'a Tiles, gradient: &'a Tiles) -> Product<'a> {
        Product { input, gradient, map: Map::Linear }
    }

    /// That of a convolution.
    pub fn convolution(input: &'a Tiles, gradient: &'a Tiles, windows: &'a Windows) -> Product<'a> {
        Product { input, gradient, map: Map::Convolution(windows) }
    }

    /// That of rows looked up by the tokens of `input`.
    pub fn look_up(input: &'a Tiles, gradient: &'a Tiles, padding: Padding) -> Product<'a> {
        Product { input, gradient, map: Map::LookUp(padding) }
    }

    /// The gradients that rows `rows` of a full `rows x cols` matrix would have, row-major, into `out`. `scratch` grows as
    /// in [`weight_gradient`].
    ///
    /// # Panics
    /// If shapes do not fit.
    pub fn row_gradients(
        &self,
        isa: Isa,
        shape: (usize, usize),
        rows: Range<usize>,
        out: &mut [f32],
        scratch: &mut Vec<f32>,
    ) {
        assert_eq!(out.len(), rows.len() * shape.1);
        if let Some(columns) = self.input.columns() {
            return wide_input::row_gradients(shape.1, self.gradient, columns, rows, out);
        }
        match self.map {
            Map::Linear => {}
            Map::Convolution(windows) if windows.geometry().groups == 1 => {
                return conv_dense::weight_gradient(windows, self.gradient, self.input, rows, out, scratch);
            }
            // Here there are few cells that are not 0: those of the rows, and none in the others.
            Map::Convolution(_) | Map::LookUp(_) => {
                let cells = rows.start * shape.1..rows.end * shape.1;
                let cells = Pattern::from_cells(shape.0, shape.1, cells);
                return self.cell_gradients(isa, &cells, out);
            }
        }
        let panels = self.panels(shape);
        scratch.resize(out.len() * tree::scratch_levels(panels.tiles), 0.0);
        dense::weight_gradient(self.gradient.rows(), self.input.rows(), panels, rows, out, scratch);
    }

    /// The gradients that the cells of a pattern would have, in its order, whatever the weights are stored as: the work
    /// follows their number.
    ///
    /// # Panics
    /// If shapes do not fit.
    pub fn cell_gradients(&self, isa: Isa, cells: &Pattern, out: &mut [f32]) {
        if let Some(columns) = self.input.columns() {
            return wide_input::cell_gradients(cells, self.gradient, columns, out);
        }
        let (gradient, input, index) = (self.gradient, self.input, cells.index());
        match self.map {
            Map::Linear => {
                let panels = self.panels((cells.rows(), cells.cols()));
                sddmm::sddmm(isa, index, gradient.rows(), input.rows(), panels, out);
            }
            Map::Convolution(windows) => {
                conv::weight_gradient(isa, index, windows, gradient, input, out, &mut Vec::new());
            }
            Map::LookUp(padding) => lookup::cell_gradients(cells, gradient, input, padding, out),
        }
    }

    fn panels(&self, shape: (usize, usize)) -> Panels {
        Panels::new(self.input, positions_of(shape, self.input, self.gradient))
    }
}

/// How rows of activations are cut: so many tiles, each of so many positions. A gradient is summed over the positions of a
/// tile in order, and over tiles in a tree.
#[derive(Debug, Clone, Copy)]
pub(super) struct Panels {
    pub(super) tiles: usize,
    pub(super) positions: usize,
    /// Whether the second half of the last tile's lanes is dead.
    pub(super) ends_half: bool,
}

impl Panels {
    pub(super) fn new(of: &Tiles, positions: usize) -> Panels {
        let ends_half = of.tiles().checked_sub(1).is_some_and(|last| of.is_half(last));
        Panels { tiles: of.tiles(), positions, ends_half }
    }

    /// Whether only half of a tile's lanes are to be computed.
    pub(super) fn is_half(self, tile: usize) -> bool {
        self.ends_half && tile + 1 == self.tiles
    }

    /// The panels before those of a last tile of which only half is alive and which has several positions: those are worth
    /// computing side by side.
    pub(super) fn whole(self) -> usize {
        match self.ends_half && self.positions > 1 {
            true => (self.tiles - 1) * self.positions,
            false => self.count(),
        }
    }

    /// The panels of a tile.
    pub(super) fn of(self, tile: usize) -> Range<usize> {
        tile * self.positions..(tile + 1) * self.positions
    }

    pub(super) fn count(self) -> usize {
        self.tiles * self.positions
    }
}

/// At how many positions the map is applied.
fn positions(weights: &Weights, input: &Tiles, output: &Tiles) -> usize {
    positions_of((weights.rows(), weights.cols()), input, output)
}

fn positions_of((rows, cols): (usize, usize), input: &Tiles, output: &Tiles) -> usize {
    let positions = input.features() / cols.max(1);
    assert!(
        input.features() == positions * cols
            && output.features() == positions * rows
            && input.samples() == output.samples(),
        "weights of {rows} x {cols} do not fit an input of {} features and {} samples and an output of {} and {}",
        input.features(),
        input.samples(),
        output.features(),
        output.samples()
    );
    positions
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, Stream};
    use crate::sparse::Storage;

    #[test]
    fn values_by_column_are_the_same_counted_or_looked_up() {
        let mut stream = Stream::new(5, Purpose::Bench, 0, 0);
        for (rows, cols, nnz) in [(1, 1, 1), (7, 5, 20), (40, 90, 700), (3, 200, 0)] {
            let pattern = Pattern::random(rows, cols, nnz, &mut stream);
            let mut weights = Weights::zeros(pattern, Storage::Sparse);
            weights.values_mut().iter_mut().zip(1u16..).for_each(|(value, at)| *value = f32::from(at));
            let Weights::Sparse(sparse) = &mut weights else { panic!("compressed storage was asked for") };
            let looked_up = gather_columns(sparse, &mut Vec::new()).1.to_vec();
            for pieces in 1..5 {
                let mut counted = vec![0.0; nnz];
                count_columns(sparse, &mut counted, pieces);
                assert_eq!(counted, looked_up, "{rows} x {cols}, {nnz} in {pieces} pieces");
            }
        }
    }
}
