//! The workers of a step: each takes its share of the batch through the whole network, forward and back, and they meet once, when
//! their gradients are added up.
//!
//! ```text
//! worker 0: tiles 0 1   forward, loss, backward --+
//! worker 1: tiles 2 3   forward, loss, backward --+--+        the tree of `kernels/tree.rs`: the number of workers
//! worker 2: tiles 4     forward, loss, backward -----+        changes no bit
//! ```
//! They share the network and what a step moves; what a pass computes is each one's own. A thread that has nothing to do takes
//! pieces of the others' products.

use std::ops::Range;

use super::Score;
use super::reduce::{add, add_all};
use super::score::{normalised, sums_in};
use crate::data::{Batch, share_of};
use crate::kernels::Product;
use crate::layers::{Buffers, Carried, Gradient, Network, Parameter, Pass};
use crate::losses::{Lanes, Loss};
use crate::sparse::KEPT_PLACES;

/// How many workers a network is to have where there are so many threads. What looks at a whole batch is not cut; and a large
/// matrix has one gradient, and all threads together put its values into column order.
pub(super) fn workers(network: &Network, threads: usize) -> usize {
    let is_alone =
        |parameter: &Parameter| !parameter.is_trained() || is_large(parameter.weights.values().len());
    if network.parameters().any(is_alone) { 1 } else { threads }
}

/// Whether a matrix that stores so many numbers is large.
pub(super) fn is_large(slots: usize) -> bool {
    slots > KEPT_PLACES
}

/// What a worker computes in.
struct Worker {
    buffers: Buffers,
    /// The gradient of each parameter, over its share and all that were added to it.
    gradients: Vec<Gradient>,
    /// Memory for the loss.
    workspace: Vec<Lanes>,
    /// For an optimizer that looks at the loss after a step: the other buffers stay those of the gradients.
    trial: Option<Buffers>,
}

/// The workers, each with a share of a full batch.
#[derive(Default)]
pub(super) struct Team(Vec<Worker>);

impl Team {
    /// Workers for batches of up to `batch_size` samples, with buffers for a second look at the loss where the optimizer
    /// `searches`.
    pub(super) fn new(network: &Network, batch_size: usize, workers: usize, searches: bool) -> Team {
        let share = share_of(batch_size, workers);
        let worker = |first: usize| {
            let samples = share.min(batch_size - first);
            Worker {
                buffers: network.buffers(samples, true),
                gradients: Vec::new(),
                workspace: Vec::new(),
                trial: searches.then(|| network.buffers(samples, false)),
            }
        };
        Team((0..batch_size).step_by(share).map(worker).collect())
    }

    /// How many they are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Gives back the memory of gradients, which fit the network's connections no longer or are not needed for a while.
    pub(super) fn rest(&mut self) {
        self.0.iter_mut().for_each(|worker| worker.gradients = Vec::new());
    }

    /// The passes of a step over a batch: the loss and the gradient of its sum by each parameter, in place of what `gradients` held.
    ///
    /// # Panics
    /// If there are more shares than workers.
    pub(super) fn gradients(
        &mut self,
        network: &Network,
        gradients: &mut Vec<Gradient>,
        loss: &Loss,
        pass: &Pass<'_>,
        shares: &[Batch],
    ) -> Score {
        assert!(shares.len() <= self.0.len(), "{} shares for {} workers", shares.len(), self.0.len());
        std::mem::swap(&mut self.0[0].gradients, gradients);
        let (at_work, idle) = self.0.split_at_mut(shares.len());
        idle.iter_mut().for_each(|worker| worker.buffers.resize(0));
        for worker in &mut *at_work {
            worker.gradients.resize_with(network.parameters().len(), Gradient::default);
            worker
                .gradients
                .iter_mut()
                .zip(network.parameters())
                .for_each(|(it, parameter)| it.fit(parameter));
        }
        let of = |worker: &mut Worker, share: &Batch, pass: &Pass<'_>| {
            let Worker { buffers, gradients, workspace, .. } = worker;
            buffers.resize_after(pass.earlier(), share.samples);
            network.forward(pass, &share.input, buffers);
            let (output, gradient) = buffers.output_and_gradient();
            let score = sums_in(workspace, loss, pass.isa, output, share, Some(gradient));
            network.backward(pass, &share.input, gradients, buffers);
            score
        };
        let join = |left: &mut Worker, right: &Worker| add_all(&mut left.gradients, &right.gradients);
        let sums = in_tree(at_work, shares, *pass, &of, &join);
        std::mem::swap(&mut self.0[0].gradients, gradients);
        normalised(sums, loss, self.0[0].buffers.output(), &shares[0])
    }

    /// The loss of a batch with the weights as they are now; the buffers of the gradients stay as they are.
    pub(super) fn look_again(
        &mut self,
        network: &Network,
        loss: &Loss,
        pass: &Pass<'_>,
        shares: &[Batch],
    ) -> Score {
        let of = |worker: &mut Worker, share: &Batch, pass: &Pass<'_>| {
            let buffers = worker.trial.as_mut().expect("allocated for an optimizer that searches");
            buffers.resize_after(pass.earlier(), share.samples);
            buffers.begin_as(&worker.buffers);
            network.forward(pass, &share.input, buffers);
            sums_in(&mut worker.workspace, loss, pass.isa, buffers.output(), share, None)
        };
        let sums = in_tree(&mut self.0, shares, *pass, &of, &|_, _| ());
        normalised(sums, loss, self.0[0].buffers.output(), &shares[0])
    }

    /// Adds up over the batch of the last passes what `find` makes of the product that weight `index` is part of.
    pub(super) fn sum_products(
        &self,
        network: &Network,
        index: usize,
        shares: &[Batch],
        out: &mut [f32],
        find: &mut dyn FnMut(Product<'_>, &mut [f32]),
    ) {
        let mut of_share = |share: usize, out: &mut [f32]| {
            find(network.product(index, &shares[share].input, &self.0[share].buffers), out);
        };
        sum_in_tree(0..shares.len(), out, &mut of_share);
    }

    /// Adds to `found` what batch norms saw of the last batch, which was one share.
    pub(super) fn batch_statistics(&self, network: &Network, found: &mut Vec<f32>) {
        network.batch_statistics(&self.0[0].buffers, found);
    }

    /// The states that go on from batch to batch, in order, each over all shares.
    pub(super) fn carried(&self) -> Vec<Vec<&Carried>> {
        let of_workers: Vec<Vec<&Carried>> = self.0.iter().map(|worker| worker.buffers.carried()).collect();
        let count = of_workers.first().map_or(0, Vec::len);
        (0..count).map(|index| of_workers.iter().map(|carried| carried[index]).collect()).collect()
    }

    /// Calls `change` with the buffers of each worker, in the order of shares.
    pub(super) fn for_each_buffers(&mut self, change: impl FnMut(&mut Buffers)) {
        self.0.iter_mut().map(|worker| &mut worker.buffers).for_each(change);
    }
}

/// Samples of a batch.
pub(super) fn samples_of(shares: &[Batch]) -> usize {
    shares.iter().map(|share| share.samples).sum()
}

/// Lets each worker do `of` with its share of a batch, side by side, and adds up the scores; `join` adds to a worker what another
/// one, of later shares, has.
fn in_tree(
    workers: &mut [Worker],
    shares: &[Batch],
    pass: Pass<'_>,
    of: &(impl Fn(&mut Worker, &Batch, &Pass<'_>) -> Score + Sync),
    join: &(impl Fn(&mut Worker, &Worker) + Sync),
) -> Score {
    if let [share] = shares {
        return of(&mut workers[0], share, &pass);
    }
    let middle = shares.len().next_power_of_two() / 2;
    let (left, right) = workers.split_at_mut(middle);
    let (first, second) = shares.split_at(middle);
    let later = pass.after(pass.earlier() + samples_of(first));
    let (score, other) =
        rayon::join(|| in_tree(left, first, pass, of, join), || in_tree(right, second, later, of, join));
    join(&mut left[0], &right[0]);
    score.with(other)
}

/// Adds up what `write` writes for each share, in the same tree.
fn sum_in_tree(shares: Range<usize>, out: &mut [f32], write: &mut dyn FnMut(usize, &mut [f32])) {
    if shares.len() == 1 {
        return write(shares.start, out);
    }
    let middle = shares.start + shares.len().next_power_of_two() / 2;
    sum_in_tree(shares.start..middle, out, write);
    let mut others = vec![0.0; out.len()];
    sum_in_tree(middle..shares.end, &mut others, write);
    add(out, &others);
}
