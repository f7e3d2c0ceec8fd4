//! The way through the steps of a sequence. Tiles go their ways in parallel; within a tile the units of each step are cut into
//! pieces, by the cost of the weights alone, so that threads share a single tile too.

use super::cell::{Ahead, Back, Backward, BackwardPiece, Cell, Forward, ForwardPiece, Live, MOST_GATES};
use crate::kernels::{Isa, Piecewise, par_alike};
use crate::layers::Precision;
use crate::sparse::Weights;
use crate::tiles::{LANES, Row, Tiles};

/// What one direction works in: the places of its tiles.
pub(super) struct Room;

impl Room {
    /// At each step the gates, and after a backward pass the gradients of their sums.
    pub(super) const GATES: usize = 0;
    /// The states before each step.
    pub(super) const HIDDEN: usize = 1;
    pub(super) const CELLS: usize = 2;
    /// At each step what the recurrent product gave where it is kept apart, and after a backward pass its gradients.
    pub(super) const APART: usize = 3;
    /// The states after the last step; in a backward pass, the gradients of the states.
    pub(super) const EDGE: usize = 4;
    /// Tiles of a direction.
    pub(super) const COUNT: usize = 5;

    /// The features of each.
    pub(super) fn features<C: Cell>(steps: usize, hidden: usize) -> [usize; Room::COUNT] {
        let (gates, cells, apart) = (C::GATES, usize::from(C::HAS_CELLS), usize::from(C::KEEPS_APART));
        [
            steps * gates * hidden,
            steps * hidden,
            cells * steps * hidden,
            apart * steps * gates * hidden,
            (1 + cells) * hidden,
        ]
    }
}

/// One way through a sequence.
#[derive(Debug, Clone, Copy)]
pub(super) struct Direction {
    /// 0 from the first step, 1 from the last.
    pub(super) index: usize,
    /// Directions of the layer.
    pub(super) count: usize,
    pub(super) steps: usize,
    pub(super) hidden: usize,
    pub(super) gates: usize,
}

impl Direction {
    /// The step that is the `turn`th.
    fn step(self, turn: usize) -> usize {
        if self.index == 0 { turn } else { self.steps - 1 - turn }
    }

    /// Sets the states before the first step: those of `carried`, or 0.
    pub(super) fn begin(self, states: &mut Tiles, carried: Option<&Tiles>) {
        if states.features() == 0 {
            return;
        }
        for tile in 0..states.tiles() {
            let rows = &mut states.tile_mut(tile)[self.step(0) * self.hidden..][..self.hidden];
            match carried {
                Some(carried) => rows.copy_from_slice(carried.tile(tile)),
                None => rows.fill(Row::ZERO),
            }
        }
    }

    /// Copies a state after the last step.
    pub(super) fn copy_end(self, state: usize, edge: &Tiles, to: &mut Tiles) {
        for tile in 0..edge.tiles() {
            to.tile_mut(tile).copy_from_slice(&edge.tile(tile)[state * self.hidden..][..self.hidden]);
        }
    }

    /// The outputs of this direction at a step, of the rows of a tile.
    fn outputs(self, step: usize) -> std::ops::Range<usize> {
        let start = (step * self.count + self.index) * self.hidden;
        start..start + self.hidden
    }

    /// The rows of a step to read, and those of the next turn's step, or of the edge after the last, to write.
    fn now_and_next<'a>(
        self,
        states: &'a mut [Row],
        edge: &'a mut [Row],
        turn: usize,
    ) -> (&'a [Row], &'a mut [Row]) {
        if states.is_empty() {
            return (&[], &mut []);
        }
        let now = self.step(turn);
        if turn + 1 == self.steps {
            return (&states[now * self.hidden..][..self.hidden], edge);
        }
        two_blocks(states, self.hidden, now, self.step(turn + 1))
    }

    /// Units of a piece, which costs about [`GRAIN`]; there are as many pieces as threads share alike. No piece cuts a row block.
    fn piece(self, weights: &Piecewise<'_>) -> usize {
        let cost = weights.cost() + GATE * self.gates * self.hidden;
        let pieces = (cost / GRAIN).max(1).next_power_of_two();
        self.hidden.div_ceil(pieces).max(weights.fewest()).next_multiple_of(weights.height())
    }
}

/// Connections whose products with 64 samples are a piece of work: about ten microseconds.
const GRAIN: usize = 8192;

/// Connections that a gate of a unit costs as much as.
const GATE: usize = 25;

/// Block `read` to read and block `write` to write.
fn two_blocks(rows: &mut [Row], size: usize, read: usize, write: usize) -> (&[Row], &mut [Row]) {
    let (low, high) = rows.split_at_mut(read.max(write) * size);
    if read < write {
        (&low[read * size..][..size], &mut high[..size])
    } else {
        (&high[..size], &mut low[write * size..][..size])
    }
}

/// The gates of a step, each a block of rows; those that a cell does not have are empty.
fn gates_of(rows: &mut [Row], hidden: usize) -> [&mut [Row]; MOST_GATES] {
    let mut blocks = rows.chunks_exact_mut(hidden);
    std::array::from_fn(|_| blocks.next().unwrap_or_default())
}

/// A way through the steps of a sequence, and what it is gone with.
pub(super) struct Sweep<'a, C> {
    pub(super) isa: Isa,
    pub(super) precision: Precision,
    pub(super) cell: &'a C,
    pub(super) direction: Direction,
}

impl<C: Cell> Sweep<'_, C> {
    /// All steps forward: `room` holds the products with the inputs and the states before the first step.
    pub(super) fn forward(
        &self,
        weights: &Weights,
        bias: &[f32],
        room: &mut [Tiles],
        input: &Tiles,
        output: &mut Tiles,
    ) {
        let Sweep { isa, precision, cell, direction } = *self;
        let weights = Piecewise::new(weights);
        let piece = direction.piece(&weights);
        let tiles = 0..input.tiles();
        let [gates, hidden, cells, apart, edge] = room else {
            panic!("a direction has {} tiles", Room::COUNT)
        };
        let arrays = [gates, hidden, cells, apart, edge, output].map(Tiles::rows_mut);
        par_alike(arrays, tiles, 1, &|tile, [gates, hidden, cells, apart, edge, output]| {
            let width = direction.hidden;
            for turn in 0..direction.steps {
                let step = direction.step(turn);
                let (hidden_edge, cells_edge) = edge.split_at_mut(width);
                let (hidden, next_hidden) = direction.now_and_next(hidden, hidden_edge, turn);
                let (cells, next_cells) = direction.now_and_next(cells, cells_edge, turn);
                let live = Live::at(step, tile.start, input);
                let at = Forward { width, weights, bias, hidden, cells, live };
                let size = C::GATES * width;
                let [a, b, c, d] = gates_of(&mut gates[step * size..][..size], width);
                let apart =
                    if C::KEEPS_APART { &mut apart[step * size..][size - width..size] } else { &mut [] };
                let output = &mut output[direction.outputs(step)];
                let arrays = [a, b, c, d, apart, next_hidden, next_cells, output];
                par_alike(arrays, 0..width, piece, &|units, [a, b, c, d, apart, hidden, cells, output]| {
                    let gates = [a, b, c, d];
                    let states = &mut *hidden;
                    let mut piece = ForwardPiece { units, gates, apart, hidden: states, cells, output };
                    cell.add_products(isa, &at, &mut piece);
                    isa.vectorize(Ahead(cell, &at, piece));
                    // The next step's products read them.
                    precision.round(isa, bytemuck::cast_slice_mut(hidden));
                });
            }
        });
    }

    /// All steps backward, after [`Sweep::forward`]: `room` then holds the gradients of the gates' sums. `values` is room for those of
    /// the weights.
    pub(super) fn backward(
        &self,
        weights: &Weights,
        values: &mut Vec<f32>,
        room: &mut [Tiles],
        input: &Tiles,
        gradient: &Tiles,
    ) {
        let Sweep { isa, precision, cell, direction } = *self;
        let weights = Piecewise::transposed(weights, values);
        let piece = direction.piece(&weights);
        let [gates, hidden, cells, apart, edge] = room else {
            panic!("a direction has {} tiles", Room::COUNT)
        };
        let (hidden, cells) = (&*hidden, &*cells);
        let arrays = [gates, apart, edge].map(Tiles::rows_mut);
        par_alike(arrays, 0..input.tiles(), 1, &|tile, [gates, apart, edge]| {
            let width = direction.hidden;
            let size = C::GATES * width;
            let block = |states: &Tiles, step: usize| -> std::ops::Range<usize> {
                if states.features() == 0 { 0..0 } else { step * width..(step + 1) * width }
            };
            edge.fill(Row::ZERO);
            for turn in (0..direction.steps).rev() {
                let step = direction.step(turn);
                // The step that came after is where gradients come from through the recurrent weight.
                let (through, beside) =
                    if C::KEEPS_APART { (&mut *apart, &mut *gates) } else { (&mut *gates, &mut *apart) };
                let (after, through) = if turn + 1 < direction.steps {
                    let (after, now) = two_blocks(through, size, direction.step(turn + 1), step);
                    (Some(after), now)
                } else {
                    (None, &mut through[step * size..][..size])
                };
                let beside = if C::KEEPS_APART { &mut beside[step * size..][..size] } else { &mut [] };
                let (gates, apart) = if C::KEEPS_APART { (beside, through) } else { (through, beside) };
                let at = Backward {
                    hidden: &hidden.tile(tile.start)[block(hidden, step)],
                    cells: &cells.tile(tile.start)[block(cells, step)],
                    outputs: &gradient.tile(tile.start)[direction.outputs(step)],
                    live: Live::at(step, tile.start, input),
                };
                let ([a, b, c, d], [e, f, g, h]) = (gates_of(gates, width), gates_of(apart, width));
                let (hidden, cells) = edge.split_at_mut(width);
                let arrays = [a, b, c, d, e, f, g, h, hidden, cells];
                par_alike(arrays, 0..width, piece, &|units, [a, b, c, d, e, f, g, h, hidden, cells]| {
                    if let Some(after) = after {
                        weights.add(isa, (after, LANES), units.clone(), hidden);
                    }
                    let (mut gates, mut apart) = ([a, b, c, d], [e, f, g, h]);
                    let piece = BackwardPiece {
                        units,
                        gates: gates.each_mut().map(|rows| &mut **rows),
                        apart: apart.each_mut().map(|rows| &mut **rows),
                        hidden,
                        cells,
                    };
                    isa.vectorize(Back(cell, &at, piece));
                    for rows in gates.iter_mut().chain(&mut apart) {
                        precision.round(isa, bytemuck::cast_slice_mut(rows));
                    }
                });
            }
        });
    }
}
