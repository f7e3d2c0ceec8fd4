//! The way through the steps of a sequence. Tiles go their ways in parallel; within a tile the units of each step are cut into
//! pieces, by the cost of the weights alone, so that threads share a single tile too.

use super::cell::{Ahead, Back, Backward, BackwardPiece, Cell, Forward, ForwardPiece, Live, MOST_GATES};
use crate::kernels::{Isa, Panel, Piecewise, par_alike};
use crate::layers::Precision;
use crate::sparse::Weights;
use crate::tiles::{Row, Tiles};

/// What one direction works in: the places of its tiles. Of the steps of a pass that no backward pass follows, the last few are there.
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
    pub(super) fn features<C: Cell>(steps: usize, hidden: usize, training: bool) -> [usize; Room::COUNT] {
        let (gates, cells, apart) = (C::GATES, usize::from(C::HAS_CELLS), usize::from(C::KEEPS_APART));
        // A step's states are made from those before it.
        let (steps, states) = if training { (steps, steps) } else { (1, steps.min(2)) };
        [
            steps * gates * hidden,
            states * hidden,
            cells * states * hidden,
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

    /// Where the `turn`th step stands among rows of so many steps.
    fn place(self, turn: usize, kept: usize) -> usize {
        if kept == self.steps { self.step(turn) } else { turn % kept }
    }

    /// Sets the states before the first step: those of `carried`, or 0.
    pub(super) fn begin(self, states: &mut Tiles, carried: Option<&Tiles>) {
        if states.features() == 0 {
            return;
        }
        let place = self.place(0, states.features() / self.hidden);
        for tile in 0..states.tiles() {
            let rows = &mut states.tile_mut(tile)[place * self.hidden..][..self.hidden];
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
    fn now_and_next<'a, T>(
        self,
        states: &'a mut [T],
        edge: &'a mut [T],
        turn: usize,
    ) -> (&'a [T], &'a mut [T]) {
        if states.is_empty() {
            return (&[], &mut []);
        }
        let kept = states.len() / self.hidden;
        let now = self.place(turn, kept);
        if turn + 1 == self.steps {
            return (&states[now * self.hidden..][..self.hidden], edge);
        }
        two_blocks(states, self.hidden, now, self.place(turn + 1, kept))
    }

    /// Units of a piece, which costs about [`GRAIN`]; there are as many pieces as threads share alike. No piece cuts a row block.
    fn piece(self, weights: &[Piecewise<'_>], tiles: usize) -> usize {
        let cost: usize = weights.iter().map(Piecewise::cost).sum();
        let pieces = ((cost + GATE * self.gates * self.hidden) / GRAIN).max(1).next_power_of_two();
        let fewest = weights.iter().map(|weights| weights.fewest(tiles)).fold(1, usize::max);
        // Heights of blocks are powers of two.
        let height = weights.iter().map(Piecewise::height).fold(1, usize::max);
        self.hidden.div_ceil(pieces).max(fewest).next_multiple_of(height)
    }
}

/// Connections whose products with 64 samples are a piece of work: about ten microseconds.
const GRAIN: usize = 8192;

/// Connections that a gate of a unit costs as much as.
const GATE: usize = 25;

/// Block `read` to read and block `write` to write.
fn two_blocks<T>(rows: &mut [T], size: usize, read: usize, write: usize) -> (&[T], &mut [T]) {
    let (low, high) = rows.split_at_mut(read.max(write) * size);
    if read < write {
        (&low[read * size..][..size], &mut high[..size])
    } else {
        (&high[..size], &mut low[write * size..][..size])
    }
}

/// Block `after`, if there is one, to read and block `now` to write. Of no rows both are empty.
fn after_and_now<T>(rows: &mut [T], size: usize, after: Option<usize>, now: usize) -> (&[T], &mut [T]) {
    match after {
        _ if rows.is_empty() => (&[], &mut []),
        Some(after) => two_blocks(rows, size, after, now),
        None => (&[], &mut rows[now * size..][..size]),
    }
}

/// The gates of a step, each a block of rows; those that a cell does not have are empty.
fn gates_of<T>(rows: &mut [T], hidden: usize) -> [&mut [T]; MOST_GATES] {
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

/// The parameters of a direction, as a forward pass reads them.
pub(super) struct Parameters<'a> {
    pub(super) input: &'a Weights,
    /// What is added to the products with the inputs.
    pub(super) bias: &'a [f32],
    pub(super) recurrent: &'a Weights,
    /// What is added to the recurrent product that is kept apart.
    pub(super) recurrent_bias: &'a [f32],
}

impl<C: Cell> Sweep<'_, C> {
    /// All steps forward: `room` holds the states before the first step.
    pub(super) fn forward(
        &self,
        parameters: &Parameters<'_>,
        room: &mut [Tiles],
        input: &Tiles,
        output: &mut Tiles,
    ) {
        let Sweep { isa, precision, cell, direction } = *self;
        let Parameters { bias, recurrent_bias, .. } = *parameters;
        let inputs = Piecewise::new(isa, parameters.input);
        let weights = Piecewise::new(isa, parameters.recurrent);
        let (width, channels) = (direction.hidden, input.features() / direction.steps);
        let (size, tiles) = (C::GATES * width, 0..input.tiles());
        let piece = direction.piece(&[inputs, weights], tiles.len());
        let [gates, hidden, cells, apart, edge] = room else {
            panic!("a direction has {} tiles", Room::COUNT)
        };
        let narrowed_input = inputs.narrowed(input);
        let (hidden, narrowed) = weights.rows_mut(hidden);
        let [gates, cells, apart, edge, output] = [gates, cells, apart, edge, output].map(Tiles::rows_mut);
        let arrays = ([gates, hidden, cells, apart, edge, output], narrowed);
        par_alike(arrays, tiles, 1, &|tile, ([gates, hidden, cells, apart, edge, output], narrowed)| {
            let tile = tile.start;
            let first = direction.place(0, hidden.len() / width) * width;
            if let Some(narrowed) = narrowed.get_mut(first..first + width) {
                weights.narrow(&hidden[first..][..width], narrowed);
            }
            for turn in 0..direction.steps {
                let step = direction.step(turn);
                let (hidden_edge, cells_edge) = edge.split_at_mut(width);
                let (hidden, next_hidden) = direction.now_and_next(hidden, hidden_edge, turn);
                let (cells, next_cells) = direction.now_and_next(cells, cells_edge, turn);
                let (narrowed, next_narrowed) = direction.now_and_next(narrowed, &mut [], turn);
                let live = Live::at(step, tile, input);
                let states = Panel { rows: hidden, narrowed, live: live.samples() };
                let at = Forward { width, weights, bias: recurrent_bias, states, cells, live };
                let read = input.features() * tile + channels * step;
                let read = Panel {
                    rows: &input.rows()[read..][..channels],
                    narrowed: narrowed_input.get(read..read + channels).unwrap_or_default(),
                    live: live.samples(),
                };
                let start = size * direction.place(turn, gates.len() / size);
                let [a, b, c, d] = gates_of(&mut gates[start..][..size], width);
                let apart = if C::KEEPS_APART { &mut apart[start..][size - width..size] } else { &mut [] };
                let output = &mut output[direction.outputs(step)];
                let arrays = ([a, b, c, d, apart, next_hidden, next_cells, output], next_narrowed);
                par_alike(arrays, 0..width, piece, &|units, (arrays, narrowed)| {
                    let [a, b, c, d, apart, hidden, cells, output] = arrays;
                    let mut gates = [a, b, c, d];
                    for (gate, rows) in gates.iter_mut().take(C::GATES).enumerate() {
                        inputs.assign(read, at.lines(gate, &units), bias, rows);
                    }
                    let states = &mut *hidden;
                    let mut piece = ForwardPiece { units, gates, apart, hidden: states, cells, output };
                    cell.add_products(&at, &mut piece);
                    isa.vectorize(Ahead(cell, &at, piece));
                    // The next step's products read them.
                    precision.round(isa, bytemuck::cast_slice_mut(hidden));
                    weights.narrow(hidden, narrowed);
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
        let weights = Piecewise::transposed(isa, weights, values);
        let (width, tiles) = (direction.hidden, 0..input.tiles());
        let (size, piece) = (C::GATES * width, direction.piece(&[weights], tiles.len()));
        let [gates, hidden, cells, apart, edge] = room else {
            panic!("a direction has {} tiles", Room::COUNT)
        };
        let (hidden, cells) = (&*hidden, &*cells);
        // Gradients come through the recurrent weight from the ones, and from the others beside it.
        let (through, beside) = if C::KEEPS_APART { (apart, gates) } else { (gates, apart) };
        let (through, narrowed) = weights.rows_mut(through);
        let arrays = ([through, beside.rows_mut(), edge.rows_mut()], narrowed);
        par_alike(arrays, tiles, 1, &|tile, ([through, beside, edge], narrowed)| {
            let tile = tile.start;
            let block = |states: &Tiles, step: usize| -> std::ops::Range<usize> {
                if states.features() == 0 { 0..0 } else { step * width..(step + 1) * width }
            };
            edge.fill(Row::ZERO);
            for turn in (0..direction.steps).rev() {
                let step = direction.step(turn);
                let after = (turn + 1 < direction.steps).then(|| direction.step(turn + 1));
                let (rows, through) = after_and_now(through, size, after, step);
                let (after_narrowed, narrowed) = after_and_now(narrowed, size, after, step);
                let beside = if C::KEEPS_APART { &mut beside[step * size..][..size] } else { &mut [] };
                let (gates, apart) = if C::KEEPS_APART { (beside, through) } else { (through, beside) };
                let at = Backward {
                    hidden: &hidden.tile(tile)[block(hidden, step)],
                    cells: &cells.tile(tile)[block(cells, step)],
                    outputs: &gradient.tile(tile)[direction.outputs(step)],
                    live: Live::at(step, tile, input),
                };
                let after = Panel { rows, narrowed: after_narrowed, live: at.live.samples() };
                let ([a, b, c, d], [e, f, g, h]) = (gates_of(gates, width), gates_of(apart, width));
                let (hidden, cells) = edge.split_at_mut(width);
                let arrays = ([a, b, c, d, e, f, g, h, hidden, cells], gates_of(narrowed, width));
                par_alike(arrays, 0..width, piece, &|units, (arrays, narrowed)| {
                    let [a, b, c, d, e, f, g, h, hidden, cells] = arrays;
                    if !after.rows.is_empty() {
                        weights.add(after, units.clone(), hidden);
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
                    let through = if C::KEEPS_APART { apart } else { gates };
                    for (rows, narrowed) in through.iter().zip(narrowed) {
                        weights.narrow(rows, narrowed);
                    }
                });
            }
        });
    }
}
