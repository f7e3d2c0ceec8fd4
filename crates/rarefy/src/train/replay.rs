//! Passes over a step's micro-batches that are made again when connections move. What absent connections would have for gradients
//! is a sum over the whole step, and once a micro-batch is through, only the gradients of what is stored are kept. So the
//! network as it was before the step sees the micro-batches once more, for a part of a weight's cells at a time.

use std::ops::Range;

use super::ranks::Ranks;
use super::reduce::{Counter, add, most_sums};
use super::share::Share;
use super::team::{Team, samples_of};
use crate::data::Batch;
use crate::kernels::{Isa, Product};
use crate::layers::{Gradient, Network, Pass};
use crate::losses::Loss;
use crate::sparse::Pattern;

/// Cells whose gradients are summed at a time: 16 MiB, and as much for each sum that waits. A layer of no more takes one replay.
const CELLS: usize = 4 << 20;

/// Calls what it is given with what this rank has of each micro-batch of a step, in the shares of workers, in order.
pub(super) type MicroBatches<'a> = Box<dyn FnMut(&mut dyn FnMut(&[Batch], Share)) + 'a>;

/// The micro-batches of a step, to be looked at again.
pub(super) struct Replay<'a> {
    /// As it was before the step.
    pub(super) network: Network,
    /// Room for what passes find; nobody asks for it.
    pub(super) gradients: Vec<Gradient>,
    /// The engine's, meanwhile.
    pub(super) team: Team,
    pub(super) ranks: Ranks,
    pub(super) loss: Loss,
    pub(super) isa: Isa,
    pub(super) seed: u64,
    pub(super) step: u64,
    pub(super) batches: MicroBatches<'a>,
    /// What was computed last.
    pub(super) block: Block,
}

/// The gradients of all cells of some rows of a weight.
#[derive(Default)]
pub(super) struct Block {
    /// The parameter.
    index: usize,
    rows: Range<usize>,
    gradients: Vec<f32>,
}

impl Replay<'_> {
    /// Writes the sums of the gradients of all cells of some rows of weight `index`, row-major.
    pub(super) fn rows(&mut self, index: usize, rows: Range<usize>, out: &mut [f32]) {
        let weights = &self.network.parameter(index).weights;
        let (shape, cols) = ((weights.rows(), weights.cols()), weights.cols());
        let has = &self.block.rows;
        if self.block.index != index || rows.start < has.start || has.end < rows.end {
            // Rows are asked for in order: the next ones too.
            let end = rows.end.max((rows.start + CELLS / cols.max(1)).min(shape.0));
            let (wanted, mut scratch) = (rows.start..end, Vec::new());
            // Its memory first.
            self.block = Block::default();
            let gradients = self.summed(index, wanted.len() * cols, |isa, product, out| {
                product.row_gradients(isa, shape, wanted.clone(), out, &mut scratch);
            });
            self.block = Block { index, rows: wanted, gradients };
        }
        out.copy_from_slice(
            &self.block.gradients[(rows.start - self.block.rows.start) * cols..][..out.len()],
        );
    }

    /// Writes the sums of the gradients of a pattern's cells of weight `index`, in order.
    pub(super) fn cells(&mut self, index: usize, cells: &Pattern, out: &mut [f32]) {
        let sums = self.summed(index, out.len(), |isa, product, out| product.cell_gradients(isa, cells, out));
        out.copy_from_slice(&sums);
    }

    /// The sum over the step of `length` numbers, which `find` makes of each micro-batch's product.
    fn summed(
        &mut self,
        index: usize,
        length: usize,
        mut find: impl FnMut(Isa, Product<'_>, &mut [f32]),
    ) -> Vec<f32> {
        let Replay { network, gradients, team, ranks, loss, isa, seed, step, batches, .. } = self;
        let mut sums = Counter::<Vec<f32>>::default();
        let mut earlier = 0;
        batches(&mut |shares, of_rank| {
            ranks.begin(of_rank);
            let pass = ranks.pass(Pass::train(*isa, *seed, *step), earlier);
            team.gradients(network, gradients, loss, &pass, shares);
            let mut numbers = sums.memory();
            numbers.resize(length, 0.0);
            let find = &mut |product: Product<'_>, out: &mut [f32]| find(*isa, product, out);
            team.sum_products(network, index, shares, &mut numbers, find);
            ranks.sum_numbers(&mut numbers);
            let samples = ranks.whole(samples_of(shares));
            sums.push(samples, numbers, |before, sum| add(sum, before));
            earlier += samples;
        });
        let mut total = Vec::new();
        sums.empty(|sum| {
            if total.is_empty() {
                total.extend_from_slice(sum);
            } else {
                add(&mut total, sum);
            }
        });
        total
    }
}

/// Bytes that looking at a weight of so many cells again takes, where `count` micro-batches make a step.
pub(super) fn bytes(cells: usize, count: usize) -> usize {
    // The sums that wait, the one at hand, and what a kernel adds up in.
    4 * cells.min(CELLS) * (most_sums(count) + 2)
}
