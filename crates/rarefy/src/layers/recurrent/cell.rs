//! What tells an LSTM from a GRU: how a step goes forward and backward for a piece of the units.

use std::ops::Range;

use crate::kernels::{Activation, Panel, Piecewise, Vectorized};
use crate::tiles::{LANES, Row, Tiles};

/// Gates that a cell has at most.
pub(super) const MOST_GATES: usize = 4;

/// A kind of recurrent unit. Gates are blocks of `hidden` rows of both weights, in torch's order.
pub trait Cell: Send + Sync {
    /// Blocks of rows of either weight.
    const GATES: usize;
    /// Whether there is a second state, which is no output.
    const HAS_CELLS: bool;
    /// Whether the recurrent product of the last gate is not simply added to that of the inputs.
    const KEEPS_APART: bool;

    /// The function that is nearest to those of the gates: initial weights are drawn for it.
    fn activation(&self) -> Activation {
        Activation::Tanh
    }

    /// What a gate's bias begins as.
    fn start_of_bias(&self, gate: usize) -> f32 {
        let _ = gate;
        0.0
    }

    /// Adds the recurrent products to the gates, which hold those of the inputs.
    fn add_products(&self, step: &Forward<'_>, piece: &mut ForwardPiece<'_>) {
        for (gate, rows) in piece.gates.iter_mut().take(Self::GATES).enumerate() {
            step.weights.add(step.states, step.lines(gate, &piece.units), rows);
        }
    }

    /// Makes gates, new states and outputs of a piece of the units from the sums. It is `#[inline(always)]`, as is the next: both
    /// are compiled for each instruction set.
    fn forward(&self, step: &Forward<'_>, piece: ForwardPiece<'_>);

    /// Makes the gradients of the gates' sums, in place of the gates, and hands on those of the states.
    fn backward(&self, step: &Backward<'_>, piece: BackwardPiece<'_>);
}

/// A piece of a step forward, its products done.
pub(super) struct Ahead<'a, C>(pub(super) &'a C, pub(super) &'a Forward<'a>, pub(super) ForwardPiece<'a>);

impl<C: Cell> Vectorized for Ahead<'_, C> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        self.0.forward(self.1, self.2);
    }
}

/// A piece of a step backward, its products done.
pub(super) struct Back<'a, C>(pub(super) &'a C, pub(super) &'a Backward<'a>, pub(super) BackwardPiece<'a>);

impl<C: Cell> Vectorized for Back<'_, C> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        self.0.backward(self.1, self.2);
    }
}

/// What all pieces of a step forward read.
pub struct Forward<'a> {
    pub(super) width: usize,
    /// The recurrent weight.
    pub(super) weights: Piecewise<'a>,
    /// The bias of its product, where that is kept apart.
    pub(super) bias: &'a [f32],
    /// All units' states before the step.
    pub(super) states: Panel<'a>,
    pub(super) cells: &'a [Row],
    /// Samples that have this step.
    pub(super) live: Live,
}

/// What a piece of a step forward writes, a row for each of its units.
pub struct ForwardPiece<'a> {
    pub(super) units: Range<usize>,
    /// Once the sums are made, those.
    pub(super) gates: [&'a mut [Row]; MOST_GATES],
    /// Room for the product that is kept apart.
    pub(super) apart: &'a mut [Row],
    /// The states after the step.
    pub(super) hidden: &'a mut [Row],
    pub(super) cells: &'a mut [Row],
    pub(super) output: &'a mut [Row],
}

/// What all pieces of a step backward read.
pub struct Backward<'a> {
    /// All units' states before the step.
    pub(super) hidden: &'a [Row],
    pub(super) cells: &'a [Row],
    /// The gradients of the outputs.
    pub(super) outputs: &'a [Row],
    /// Samples that have this step.
    pub(super) live: Live,
}

/// What a piece of a step backward changes.
pub struct BackwardPiece<'a> {
    pub(super) units: Range<usize>,
    /// On entry what forward left, then the gradients.
    pub(super) gates: [&'a mut [Row]; MOST_GATES],
    /// Where the recurrent products are kept apart: on entry, in the last, what forward left; then the gradients of all.
    pub(super) apart: [&'a mut [Row]; MOST_GATES],
    /// The gradients of the states after the step, then of those before it but for what comes through the recurrent weight.
    pub(super) hidden: &'a mut [Row],
    pub(super) cells: &'a mut [Row],
}

impl Forward<'_> {
    /// The lines of a gate for some units.
    pub(super) fn lines(&self, gate: usize, units: &Range<usize>) -> Range<usize> {
        gate * self.width + units.start..gate * self.width + units.end
    }
}

/// Lanes that a cell is computed for at a time: what registers hold. They are copied to arrays of their own, which cannot overlap
/// with others, so that loops over them become straight vector code.
pub(super) const WIDTH: usize = 16;

/// Parts of a row.
pub(super) const PARTS: usize = LANES / WIDTH;

/// Some lanes of a row.
#[inline(always)]
pub(super) fn lanes(row: &Row, part: usize) -> [f32; WIDTH] {
    row.0.as_chunks().0[part]
}

/// Writes some lanes of a row.
#[inline(always)]
pub(super) fn put(row: &mut Row, part: usize, lanes: [f32; WIDTH]) {
    row.0.as_chunks_mut().0[part] = lanes;
}

/// Which lanes have a step: 1 or 0 each, and how many lanes have a sample. By them numbers are selected, and never multiplied: what
/// stands beyond a sample's end does not matter, NaN included.
#[derive(Clone, Copy)]
pub(super) struct Live {
    lanes: Row,
    samples: usize,
}

impl Live {
    /// The lanes of a tile whose samples are longer than `step`; all that have a sample if there are no lengths. A lane without one
    /// keeps its first state: one that goes on may grow without end, and gradients are sums over all lanes.
    pub(super) fn at(step: usize, tile: usize, input: &Tiles) -> Live {
        let lanes =
            input.real_steps(tile, step + 1).map(|steps| if steps as usize > step { 1.0 } else { 0.0 });
        Live { lanes: Row(lanes), samples: input.live(tile) }
    }

    /// How many lanes have a sample.
    pub(super) fn samples(&self) -> usize {
        self.samples
    }

    /// How many parts of a row have a lane with a sample.
    #[inline(always)]
    pub(super) fn parts(&self) -> usize {
        self.samples.div_ceil(WIDTH)
    }

    #[inline(always)]
    pub(super) fn all(&self) -> [f32; LANES] {
        self.lanes.0
    }

    #[inline(always)]
    pub(super) fn part(&self, part: usize) -> [f32; WIDTH] {
        lanes(&self.lanes, part)
    }
}
