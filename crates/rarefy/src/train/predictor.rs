//! Predicting: batch after batch through a network, on any number of threads at once.

use std::borrow::Cow;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::data::{Batch, Dataset};
use crate::kernels::Isa;
use crate::layers::{Buffers, Network, Pass};
use crate::tiles::{LANES, Tiles};

/// Samples of a batch. Predictions do not depend on it.
const BATCH: usize = 256;

/// Bytes of activations up to which samples are predicted many at once: beyond, more than a tile gains nothing.
const MOST_BUFFER_BYTES: usize = 64 << 20;

/// What the network of one model predicts on and in: an instruction set, perhaps threads of its own, and room that calls leave for the
/// next ones. As many calls as like may be under way at once.
#[derive(Default)]
pub(super) struct Predictor {
    isa: Option<Isa>,
    pool: Option<Arc<rayon::ThreadPool>>,
    /// The network with the weights that products read; nothing if these are its own.
    rounded: OnceLock<Option<Network>>,
    spare: Mutex<Vec<Room>>,
}

/// What one call computes in.
struct Room {
    batch: Batch,
    buffers: Buffers,
}

impl Room {
    fn new(network: &Network, dataset: &Dataset, capacity: usize) -> Room {
        Room { batch: Batch::new(dataset, capacity), buffers: network.buffers(capacity, false) }
    }

    /// The same for samples of a data set.
    fn made_for(self, dataset: &Dataset, capacity: usize) -> Room {
        if self.batch.is_for(dataset) { self } else { Room { batch: Batch::new(dataset, capacity), ..self } }
    }
}

impl Predictor {
    pub(super) fn set_isa(&mut self, isa: Isa) {
        self.isa = Some(isa);
    }

    pub(super) fn set_pool(&mut self, pool: Arc<rayon::ThreadPool>) {
        self.pool = Some(pool);
    }

    pub(super) fn isa(&self, network: &Network) -> Isa {
        self.isa.unwrap_or_else(|| network.precision().detect_isa())
    }

    /// The network with the weights that products read. The first call makes a copy for all: copying and rounding 180,000 weights took
    /// 0.45 of the 1.8 ms that one sample waited.
    fn rounded<'a>(&'a self, network: &'a Network) -> &'a Network {
        if self.rounded.get().is_none() {
            let rounded = match network.with_rounded_weights(self.isa(network)) {
                Cow::Borrowed(_) => None,
                Cow::Owned(rounded) => Some(rounded),
            };
            // Made without a lock: while it waits, a thread of rayon's may take another prediction, which would wait for this one.
            _ = self.rounded.set(rounded);
        }
        self.rounded.get().and_then(Option::as_ref).unwrap_or(network)
    }

    /// Calls `work` with each batch and the network's outputs for it.
    pub(super) fn run(
        &self,
        network: &Network,
        dataset: &Dataset,
        work: impl FnMut(&Batch, &mut Tiles) + Send,
    ) {
        let capacity = capacity(network, dataset, BATCH);
        let spare = || self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        let left = spare().pop();
        let mut room = match left {
            Some(room) => room.made_for(dataset, capacity),
            None => Room::new(network, dataset, capacity),
        };
        let pass = || {
            let network = self.rounded(network);
            pass(network, self.isa(network), dataset, (capacity, (0, 1)), &mut room, all(work))
        };
        match &self.pool {
            Some(pool) => pool.install(pass),
            None => pass(),
        }
        .continue_value();
        spare().push(room);
    }
}

/// The outputs of a network for a whole data set, `work` being called batch by batch.
pub fn predict(
    network: &Network,
    isa: Isa,
    dataset: &Dataset,
    batch_size: usize,
    work: impl FnMut(&Batch, &mut Tiles),
) {
    predict_some(network, isa, dataset, batch_size, (0, 1), all(work)).continue_value();
}

/// The same for the batches that worker `place.0` of `place.1` has, which take turns, until `work` asks to stop: then the answer is
/// that.
pub(super) fn predict_some(
    network: &Network,
    isa: Isa,
    dataset: &Dataset,
    batch_size: usize,
    place: (usize, usize),
    work: impl FnMut(&Batch, &mut Tiles) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let capacity = capacity(network, dataset, batch_size);
    let mut room = Room::new(network, dataset, capacity);
    let network = &*network.with_rounded_weights(isa);
    pass(network, isa, dataset, (capacity, place), &mut room, work)
}

/// Work that is done for all batches.
fn all(mut work: impl FnMut(&Batch, &mut Tiles)) -> impl FnMut(&Batch, &mut Tiles) -> ControlFlow<()> {
    move |batch, outputs| {
        work(batch, outputs);
        ControlFlow::Continue(())
    }
}

/// How many samples to predict at once.
pub(super) fn capacity(network: &Network, dataset: &Dataset, batch_size: usize) -> usize {
    let samples = batch_size.min(dataset.len()).max(1);
    let bytes = network.spec().buffer_bytes(samples, false).expect("the layers of a network fit");
    if bytes > MOST_BUFFER_BYTES { samples.min(LANES) } else { samples }
}

fn pass(
    network: &Network,
    isa: Isa,
    dataset: &Dataset,
    (capacity, (worker, workers)): (usize, (usize, usize)),
    Room { batch, buffers }: &mut Room,
    mut work: impl FnMut(&Batch, &mut Tiles) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let mut by_output;
    let network = if network.is_stored_by_input() && !dataset.is_sparse() {
        // Still in training on nonzeros, asked about whole rows: once for all batches.
        by_output = network.clone();
        by_output.store_by_output();
        &by_output
    } else {
        network
    };
    let order: Vec<usize> = (0..dataset.len()).collect();
    for samples in order.chunks(capacity).skip(worker).step_by(workers) {
        batch.fill(dataset, samples);
        buffers.resize(samples.len());
        network.forward(&Pass::predict(isa), &batch.input, buffers);
        work(batch, buffers.output_mut())?;
    }
    ControlFlow::Continue(())
}
