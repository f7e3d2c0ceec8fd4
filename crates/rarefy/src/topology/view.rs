//! What an update of connections sees.

use std::ops::Range;

use crate::random::Stream;
use crate::sparse::{Pattern, Weights};

/// How far a run has come.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// Steps done.
    pub step: u64,
    /// Steps of the whole run.
    pub total: u64,
    /// Steps of an epoch.
    pub epoch: u64,
}

impl Progress {
    /// From 0 at the start to 1 at the end.
    pub fn fraction(&self) -> f64 {
        self.step as f64 / self.total.max(1) as f64
    }

    /// Where the run stood one step before.
    pub(super) fn before(&self) -> Progress {
        Progress { step: self.step - 1, ..*self }
    }
}

/// One weight matrix as an update sees it. Where connections are in row blocks it is a matrix of the blocks: a row stands for all rows of
/// a block, a connection for a block, and a number for the norm of a block's numbers.
pub struct View<'a> {
    /// The weights.
    pub weights: &'a Weights,
    /// The gradients of the stored values, from the step just done.
    pub gradients: &'a [f32],
    /// How many connections it is to end the run with; in a global scope only the sum over all matrices counts.
    pub target: usize,
    /// The rows of a block, for which a row of the weights stands; 1 where they are not in blocks.
    pub block: usize,
    /// Whether its inputs are the neurons of the matrix before it, which lead nowhere else.
    pub is_joined: bool,
    /// What gradients absent connections would have.
    pub absent: CellGradients<'a>,
    /// Where random draws come from.
    pub stream: Stream,
}

/// Fills in some rows of a dense gradient.
type RowGradients<'a> = Box<dyn FnMut(Range<usize>, &mut [f32]) + 'a>;

/// Fills in the gradients of a pattern's cells.
type SampledGradients<'a> = Box<dyn FnMut(&Pattern, &mut [f32]) + 'a>;

/// Fills in those rows of a dense gradient that are this rank's, and says which.
type OwnRowGradients<'a> = Box<dyn FnMut(Range<usize>, &mut [f32]) -> Vec<Range<usize>> + 'a>;

/// Brings together scores and cells.
type GatherScores<'a> = Box<dyn FnMut(Vec<(f32, usize)>) -> Vec<(f32, usize)> + 'a>;

/// The gradients that the cells of a matrix would have if every connection were live.
pub struct CellGradients<'a> {
    /// Writes the gradients of all cells of some rows, row-major.
    pub rows: RowGradients<'a>,
    /// Writes the gradients of a pattern's cells, in order, at a cost that follows their number.
    pub cells: SampledGradients<'a>,
    /// The rows, each with one rank alone, where several train together: fewer bytes for whoever looks for the best cells.
    pub shared: Option<SharedRows<'a>>,
}

/// Rows of a gradient that ranks share.
pub struct SharedRows<'a> {
    /// Writes the gradients of all cells of some of these rows, and returns of which.
    pub rows: OwnRowGradients<'a>,
    /// Makes of the scores and cells that each rank has found those of all.
    pub gather: GatherScores<'a>,
}

impl CellGradients<'_> {
    /// Writes the gradients of all cells of some of these rows, and returns of which: of those that this rank is to look at.
    pub(super) fn own_rows(&mut self, rows: Range<usize>, out: &mut [f32]) -> Vec<Range<usize>> {
        match &mut self.shared {
            Some(shared) => (shared.rows)(rows, out),
            None => {
                (self.rows)(rows.clone(), out);
                vec![rows]
            }
        }
    }
}
