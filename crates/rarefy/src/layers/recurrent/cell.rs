//! What tells an LSTM from a GRU: how a step goes forward and backward for a piece of the units.

use std::ops::Range;

use crate::kernels::{Activation, Isa, Piecewise};
use crate::tiles::{LANES, Row};

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

    /// Makes gates, new states and outputs of a piece of the units.
    fn forward(&self, step: &Forward<'_>, piece: ForwardPiece<'_>);

    /// Makes the gradients of the gates' sums, in place of the gates, and hands on those of the states.
    fn backward(&self, step: &Backward<'_>, piece: BackwardPiece<'_>);
}

/// What all pieces of a step forward read.
pub struct Forward<'a> {
    pub(super) isa: Isa,
    pub(super) width: usize,
    /// The recurrent weight.
    pub(super) weights: Piecewise<'a>,
    /// The bias of its product, where that is kept apart.
    pub(super) bias: &'a [f32],
    /// All units' states before the step.
    pub(super) hidden: &'a [Row],
    pub(super) cells: &'a [Row],
    /// Samples that have this step.
    pub(super) live: Live,
}

/// What a piece of a step forward writes, a row for each of its units.
pub struct ForwardPiece<'a> {
    pub(super) units: Range<usize>,
    /// On entry the products with the inputs and their biases.
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
    pub(super) isa: Isa,
    /// The transposed recurrent weight, and the gradients of the sums at the step that came after, if one did.
    pub(super) weights: Piecewise<'a>,
    pub(super) after: Option<&'a [Row]>,
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
    /// The gradients of the states after the step but for what comes through the recurrent weight, then of those before it.
    pub(super) hidden: &'a mut [Row],
    pub(super) cells: &'a mut [Row],
}

impl Forward<'_> {
    /// The lines of a gate for some units.
    pub(super) fn lines(&self, gate: usize, units: &Range<usize>) -> Range<usize> {
        gate * self.width + units.start..gate * self.width + units.end
    }

    /// Adds the recurrent products to gates that hold those of the inputs.
    pub(super) fn add_products(&self, units: &Range<usize>, gates: &mut [&mut [Row]]) {
        for (gate, rows) in gates.iter_mut().enumerate() {
            self.weights.add(self.isa, self.hidden, self.lines(gate, units), rows);
        }
    }
}

impl Backward<'_> {
    /// Adds to the gradients of the states what comes through the recurrent weight.
    pub(super) fn add_products(&self, units: &Range<usize>, hidden: &mut [Row]) {
        if let Some(after) = self.after {
            self.weights.add(self.isa, after, units.clone(), hidden);
        }
    }
}

/// Which lanes have a step: 1 or 0 each.
#[derive(Clone, Copy)]
pub(super) struct Live([f32; LANES]);

impl Live {
    /// Those of the samples from `first` on that are longer than `step`; all if there are no lengths.
    pub(super) fn at(step: usize, first: usize, lengths: &[u32]) -> Live {
        let lengths = lengths.get(first..).unwrap_or_default();
        Live(std::array::from_fn(|lane| match lengths.get(lane) {
            Some(&length) if length as usize <= step => 0.0,
            _ => 1.0,
        }))
    }

    /// One of two numbers, never a product: nothing that stands beyond a sample's end matters, NaN included.
    #[inline(always)]
    pub(super) fn choose(&self, lane: usize, live: f32, ended: f32) -> f32 {
        if self.0[lane] > 0.0 { live } else { ended }
    }
}
