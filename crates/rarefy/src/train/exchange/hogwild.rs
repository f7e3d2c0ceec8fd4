//! Threads that move the same weights without locks (Hogwild!: Niu et al. 2011).
//!
//! ```text
//! each thread   takes the next batch
//!               reads the weights that others have moved since it has read them
//!               finds its gradient, by weights of its own, as ever
//!               of each number: reads it, moves it as the optimizer says, writes it
//! ```
//! Nobody waits for anybody, and where two threads move the same number at once one of the moves is lost: that is seldom where a batch
//! meets few of the weights. The optimizer's state is shared in the same way. Numbers are atomics ([`Shared`]); what a thread has of its own
//! is a network, which passes read as they always do. All meet at the end of an epoch, where connections move, and where training stops
//! or is saved.
//!
//! One thread alone comes to the bits of `exact`.

use std::sync::Mutex;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use super::Segment;
use crate::data::Shares;
use crate::kernels::{Isa, Shared};
use crate::layers::{Gradient, Network, Pass};
use crate::losses::Loss;
use crate::optimizers::{Memory, Optimizer, StepSize, UpdateRule};
use crate::sparse::Touched;
use crate::train::clip::Clip;
use crate::train::engine::scale_of;
use crate::train::ranks::{Ranks, Wish};
use crate::train::team::Team;
use crate::train::update::{Part, SharedState, Update};
use crate::train::{Engine, Score};
use crate::{Error, Result};

/// Who has the samples of a segment's batches, counted from 0, and whom to tell.
pub(in crate::train) struct Batches<'a> {
    /// Samples of a full one.
    pub(in crate::train) most: usize,
    /// Memory for one.
    pub(in crate::train) room: &'a (dyn Fn() -> Shares + Sync),
    /// Takes the samples of one.
    pub(in crate::train) fill: &'a (dyn Fn(&mut Shares, usize) + Sync),
    /// Hears how many are done and the score of these, and says whether training is to stop and a checkpoint to be written.
    pub(in crate::train) tell: &'a mut (dyn FnMut(usize, Score) -> [bool; 2] + Send),
}

/// Checks that there is but one process.
///
/// # Errors
/// [`Error::Setting`] where there are other ranks.
pub(super) fn check(ranks: &Ranks) -> Result<()> {
    if ranks.is_alone() {
        return Ok(());
    }
    let problem = "\"hogwild\" is for the threads of one process, which share its memory: start it without mpirun, or use \"server\" or \
                   \"local\"";
    Err(Error::setting("distributed.exchange", problem))
}

/// Trains on the batches of a segment until all have met. The score of those that are done, and how many these are: fewer than asked for
/// where training is to stop or to be saved, or the loss is no number.
pub(in crate::train) fn train_without_locks(
    engine: &mut Engine,
    segment: &Segment,
    batches: Batches<'_>,
) -> (Score, usize) {
    let Batches { most, room, fill, tell } = batches;
    let lent = &*engine;
    let workers = Mutex::new(rayon::broadcast(|_| Worker::new(lent, room(), most)));
    let all = All::new(engine);
    let (next, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let told = Mutex::new((0, Score::default(), tell));
    let work = |mut worker: Worker| {
        while !is_over.load(Relaxed) {
            let at = next.fetch_add(1, Relaxed);
            let Some(&learning_rate) = segment.learning_rates.get(at) else { return };
            fill(&mut worker.batch, at);
            let score = worker.step(&all, segment.steps_before + at as u64 + 1, learning_rate);
            let mut told = told.lock().expect("whoever is told does not panic");
            let (done, so_far, tell) = &mut *told;
            *done += 1;
            so_far.add(score);
            let [stops, saves] = tell(*done, *so_far);
            if stops {
                all.ranks.wish(Wish::Stop, true);
            }
            if saves {
                all.ranks.wish(Wish::Save, true);
            }
            if stops || saves || !score.loss_sum.is_finite() {
                is_over.store(true, Relaxed);
            }
        }
    };
    rayon::broadcast(|_| {
        let worker = workers.lock().expect("nothing panics here").pop();
        work(worker.expect("a worker for each thread"));
    });
    // What was taken was done: these are the first batches.
    let (done, score, _) = told.into_inner().expect("whoever is told does not panic");
    engine.memory.learning_rate = segment.learning_rates[done - 1];
    (score, done)
}

/// What all threads see.
struct All<'a> {
    shared: Vec<SharedState<'a>>,
    optimizer: &'a Optimizer,
    clip: Clip,
    loss: &'a Loss,
    ranks: &'a Ranks,
    isa: Isa,
    seed: u64,
}

impl All<'_> {
    /// Nobody has the engine's values and state otherwise while they are shared.
    fn new(engine: &mut Engine) -> All<'_> {
        let Engine { network, state, optimizer, clip, loss, ranks, isa, seed, .. } = engine;
        let shared = network.parameters_mut().zip(state).map(|(parameter, slots)| SharedState {
            values: Shared::new(parameter.weights.values_mut()),
            slots: slots.iter_mut().map(|slot| Shared::new(slot)).collect(),
        });
        let shared = shared.collect();
        All { shared, optimizer, clip: *clip, loss, ranks, isa: *isa, seed: *seed }
    }
}

/// What a thread has of its own.
struct Worker {
    /// With the values that it has read, by which its passes compute.
    network: Network,
    gradients: Vec<Gradient>,
    team: Team,
    batch: Shares,
    memory: Memory,
    /// Slots of the weights that its batch meets.
    met: Touched,
    /// A piece of each of the optimizer's slots.
    room: Vec<Vec<f32>>,
}

impl Worker {
    fn new(engine: &Engine, batch: Shares, most: usize) -> Worker {
        let network = engine.network.clone();
        Worker {
            team: Team::new(&network, most, 1, false),
            network,
            gradients: Vec::new(),
            batch,
            memory: engine.memory.clone(),
            met: Vec::new(),
            room: vec![Vec::new(); engine.optimizer.slots()],
        }
    }

    /// A step on its batch, as [`Engine::step`] makes it.
    fn step(&mut self, all: &All<'_>, step: u64, learning_rate: f32) -> Score {
        self.read(&all.shared);
        let pass = Pass::train(all.isa, all.seed, step);
        let batch = self.batch.as_ref();
        let score = self.team.gradients(&self.network, &mut self.gradients, all.loss, &pass, batch);
        let scale = all.clip.apply(&mut self.gradients, scale_of(&score));
        let mut size = StepSize::new(learning_rate, step);
        all.optimizer.prepare(&mut self.memory, &mut size);
        let parameters = self.network.parameters_mut().zip(&mut self.gradients).zip(&all.shared);
        for ((parameter, gradient), shared) in parameters {
            let step = if parameter.is_weight() { size } else { size.of_bias() };
            let (optimizer, part) = (all.optimizer, Part::Whole { scale });
            let update = Update { optimizer, part, step: &step, isa: all.isa, regularizer: None };
            update.share(shared, gradient, parameter.weights.values_mut(), &mut self.room);
        }
        score
    }

    /// Reads the weights that its batch meets where others have not been read since its last step: that has read and written all
    /// but those of which it has [touched](Gradient::touched) few.
    fn read(&mut self, shared: &[SharedState<'_>]) {
        let input = &self.batch.as_ref()[0].input;
        let is_known = self.network.slots_met(input, &mut self.met);
        let parameters = self.network.parameters_mut().zip(&self.gradients).zip(shared).enumerate();
        for (index, ((parameter, _), shared)) in parameters.filter(|(_, ((_, it), _))| it.touched.is_some()) {
            let values = parameter.weights.values_mut();
            if index == 0 && is_known {
                shared.values.read_ranges(&self.met, values);
            } else {
                shared.values.read(0, values);
            }
        }
    }
}
