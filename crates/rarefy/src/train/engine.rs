//! One training step: forward, loss, backward, clipping, optimizer.

use super::clip::Clip;
use super::effective::{Effective, Map};
use super::exchange::Replicas;
use super::live::Live;
use super::ranks::Ranks;
use super::reduce::Reduction;
use super::rounded::Rounded;
use super::team::{Team, samples_of, workers};
use super::update::{Part, Update};
use super::{Progress, Score, Sparsifier};
use crate::data::Batch;
use crate::kernels::Isa;
use crate::layers::{Buffers, Gradient, Network, Pass, without_dead_neurons, without_zeros};
use crate::losses::Loss;
use crate::optimizers::{Memory, Optimizer, Slots, StepSize, Sums, UpdateRule};
use crate::penalties::Regularizer;
use crate::tiles::LANES;
use crate::topology::{self, Topology, TopologySettings};

/// What a step computes with besides the network.
pub struct Engine {
    /// The network being trained.
    pub network: Network,
    /// The gradient of each parameter; none while the engine rests.
    pub gradients: Vec<Gradient>,
    /// The optimizer's state: for each parameter, its slots.
    pub state: Vec<Vec<Vec<f32>>>,
    /// What passes compute with instead of the stored values.
    pub(super) effective: Effective,
    /// Of these, what products read.
    pub(super) rounded: Rounded,
    /// What the optimizer remembers besides.
    pub memory: Memory,
    pub(super) loss: Loss,
    pub(super) optimizer: Optimizer,
    pub(super) clip: Clip,
    pub(super) topology: Topology,
    /// Connections that each parameter is to end with.
    pub(super) targets: Vec<usize>,
    /// The penalty, the constraint, and what steers them.
    pub sparsifier: Sparsifier,
    pub(super) isa: Isa,
    pub(super) seed: u64,
    pub(super) team: Team,
    /// What the last step's gradients were multiplied by to be those of the mean loss.
    pub(super) scale: f32,
    /// Where the gradients of a step's micro-batches are added up.
    reduction: Reduction,
    /// Who else trains this network, each on its share of every batch.
    pub(super) ranks: Ranks,
    /// What each of this rank's workers has for itself, where they take steps of their own.
    pub(super) replicas: Replicas,
    /// The states that all ranks carry from batch to batch, as they were last told.
    carried: Vec<Vec<f32>>,
    /// The network as the step under way has found it, where its micro-batches are to be looked at again.
    pub(super) past: Option<Network>,
    /// What batch norms saw.
    statistics: Vec<f32>,
}

/// What an [`Engine`] is made of. [`EngineParts::new`] fills in what most do without:
///
/// ```
/// use rarefy::kernels::Activation;
/// use rarefy::layers::{LayerSpec, Network, NetworkSpec, SparsitySettings};
/// use rarefy::losses::{LossSettings, Task};
/// use rarefy::optimizers::OptimizerSettings;
/// use rarefy::tiles::Shape;
/// use rarefy::train::{Engine, EngineParts};
///
/// let layers = vec![LayerSpec::linear(8, Activation::Relu), LayerSpec::linear(2, Activation::Identity)];
/// let spec = NetworkSpec { inputs: Shape::flat(4), layers };
/// let network = Network::random(&spec, &SparsitySettings::default(), 1)?;
/// let loss = LossSettings::default().build(Task::Regression)?;
/// let optimizer = OptimizerSettings::default().build()?;
/// let engine = Engine::new(EngineParts { clip_norm: Some(1.0), ..EngineParts::new(network, loss, optimizer, 32) });
/// # Ok::<(), rarefy::Error>(())
/// ```
pub struct EngineParts {
    /// The network at its start.
    pub network: Network,
    /// The loss.
    pub loss: Loss,
    /// The optimizer.
    pub optimizer: Optimizer,
    /// The largest joint norm of all gradients.
    pub clip_norm: Option<f32>,
    /// The largest magnitude of a gradient.
    pub clip_value: Option<f32>,
    /// The topology method.
    pub topology: Topology,
    /// Connections that each parameter is to end with, biases included (their length).
    pub targets: Vec<usize>,
    /// The penalty, the constraint, and what steers them.
    pub sparsifier: Sparsifier,
    /// The instruction set.
    pub isa: Isa,
    /// The seed of dropout and topology.
    pub seed: u64,
    /// The largest batch.
    pub batch_size: usize,
    /// Whether of the inputs only those are given that are not zero.
    pub has_sparse_inputs: bool,
    /// Threads that batches in [`Shares`](crate::data::Shares) are for.
    pub threads: usize,
}

impl EngineParts {
    /// Parts for batches of at most `batch_size` samples with dense inputs, without clipping, penalty or constraint, whose
    /// connections stay as they are; seed 0, the fastest instruction set and one thread.
    pub fn new(network: Network, loss: Loss, optimizer: Optimizer, batch_size: usize) -> EngineParts {
        let targets = network.parameters().map(|parameter| parameter.weights.nnz()).collect();
        let fixed = TopologySettings { method: topology::Method::Static, ..TopologySettings::default() };
        EngineParts {
            network,
            loss,
            optimizer,
            clip_norm: None,
            clip_value: None,
            topology: fixed.build().expect("these settings are right"),
            targets,
            sparsifier: Sparsifier::default(),
            isa: Isa::detect(),
            seed: 0,
            batch_size,
            has_sparse_inputs: false,
            threads: 1,
        }
    }
}

impl Engine {
    /// The instruction set that it computes with.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Allocates gradients, optimizer state and buffers.
    pub fn new(parts: EngineParts) -> Engine {
        let EngineParts { mut network, optimizer, .. } = parts;
        let map = Map::of(parts.topology.forward, parts.sparsifier.penalty());
        // A map looks at rows.
        if parts.has_sparse_inputs && map == Map::Same {
            network.store_by_input();
        }
        let mut state = Vec::new();
        for parameter in network.parameters() {
            let length = if parameter.is_trained() { parameter.weights.values().len() } else { 0 };
            let mut slots = vec![vec![0.0; length]; optimizer.slots()];
            if parameter.is_trained() {
                optimizer.begin(parameter.weights.values(), &mut Slots::of(&mut slots));
            }
            state.push(slots);
        }
        let team =
            Team::new(&network, parts.batch_size, workers(&network, parts.threads), optimizer.searches());
        let effective = Effective::new(map, &network, &parts.targets, &optimizer);
        Engine {
            gradients: network.gradients(),
            network,
            state,
            effective,
            rounded: Rounded::default(),
            memory: optimizer.memory(),
            loss: parts.loss,
            optimizer,
            clip: Clip { norm: parts.clip_norm, value: parts.clip_value },
            topology: parts.topology,
            targets: parts.targets,
            sparsifier: parts.sparsifier,
            isa: parts.isa,
            seed: parts.seed,
            team,
            scale: 1.0,
            reduction: Reduction::default(),
            ranks: Ranks::alone(),
            replicas: Replicas::default(),
            carried: Vec::new(),
            past: None,
            statistics: Vec::new(),
        }
    }

    /// Gives back the memory of what the next step makes anew: gradients, and indices by columns.
    pub(super) fn rest(&mut self) {
        self.reduction = Reduction::default();
        self.gradients = Vec::new();
        self.rounded = Rounded::default();
        self.team.rest();
        self.network.parameters_mut().for_each(|parameter| parameter.weights.forget_columns());
    }

    /// How many shares a full batch is to be cut into.
    pub fn workers(&self) -> usize {
        self.team.len()
    }

    /// One step on a batch, whole or in [`Shares`](crate::data::Shares); `step` counts from 1. Its two halves are
    /// [`Engine::gradients`](method@Engine::gradients) and [`Engine::apply`]; between them what micro-batches found is added up.
    pub fn step(&mut self, batch: &impl AsRef<[Batch]>, step: u64, learning_rate: f32) -> Score {
        let score = self.step_gradients(batch, step);
        self.apply(&score, batch, step, learning_rate);
        score
    }

    /// The gradients of a step whose last micro-batch this is.
    pub(super) fn step_gradients(&mut self, batch: &impl AsRef<[Batch]>, step: u64) -> Score {
        let score = self.passes(batch, step);
        self.sum_step(score)
    }

    /// Makes what the passes of a step's last micro-batch have found for this rank's share what is true of the whole step.
    pub(super) fn sum_step(&mut self, score: Score) -> Score {
        let score = self.ranks.sum_gradients(&mut self.gradients, score, &self.loss);
        self.reduction.finish(&mut self.gradients, score, &self.loss)
    }

    /// Whether what the last passes have found may be added up beside other passes: nothing else is told in them, and no other
    /// micro-batch waits for it.
    pub(super) fn may_sum_later(&self) -> bool {
        !self.ranks.is_alone() && self.statistics.is_empty() && self.reduction.samples() == 0
    }

    /// Computes the gradients of a micro-batch, which wait for the others of their step: [`Engine::step`] with the last one
    /// makes the step of all of them. It has the same bits as a step on one batch that has them in this order, if each but the
    /// last has a power of two of samples, 64 or more. Only a batch norm's statistics are those of a micro-batch.
    pub fn accumulate(&mut self, batch: &impl AsRef<[Batch]>, step: u64) {
        let score = self.gradients(batch, step);
        let samples = self.ranks.whole(samples_of(batch.as_ref()));
        self.reduction.hold(&mut self.gradients, score, samples, &self.loss);
    }

    /// The first half of a step: the loss of a batch and the gradient of its sum by each parameter, which the field of this name
    /// then holds; nothing is divided yet. `step` counts from 1. Of several ranks each has a share of the batch, and finds what is
    /// true of all of it.
    pub fn gradients(&mut self, batch: &impl AsRef<[Batch]>, step: u64) -> Score {
        let score = self.passes(batch, step);
        self.ranks.sum_gradients(&mut self.gradients, score, &self.loss)
    }

    /// The passes of a step, and what moves with them.
    pub(super) fn passes(&mut self, batch: &impl AsRef<[Batch]>, step: u64) -> Score {
        let score = self.pass(batch, step);
        self.network.move_averages(&self.statistics);
        score
    }

    /// The gradients of the mean loss of a batch as the network is now, without a step: connections may move by them.
    pub(super) fn mean_gradients(&mut self, batch: &impl AsRef<[Batch]>, step: u64) {
        let score = self.pass(batch, step);
        let score = self.ranks.sum_gradients(&mut self.gradients, score, &self.loss);
        let scale = scale_of(&score);
        self.gradients.iter_mut().for_each(|gradient| gradient.change(|number| *number *= scale));
        self.scale = scale;
    }

    /// The passes over this rank's share of a batch.
    fn pass(&mut self, batch: &impl AsRef<[Batch]>, step: u64) -> Score {
        let pass = Pass::train(self.isa, self.seed, step);
        let pass = self.ranks.pass(pass, self.reduction.samples());
        self.effective.swap_in_training(&mut self.network, self.seed, step);
        self.rounded.swap_in(&mut self.network, self.isa);
        let (network, gradients) = (&self.network, &mut self.gradients);
        let score = self.team.gradients(network, gradients, &self.loss, &pass, batch.as_ref());
        self.rounded.swap_out(&mut self.network);
        self.effective.swap_out_training(&mut self.network);
        self.statistics.clear();
        self.team.batch_statistics(&self.network, &mut self.statistics);
        score
    }

    /// The second half of a step: divides the gradients by the score's normaliser, which makes them those of the mean loss,
    /// clips them and lets the optimizer move the weights. A line search looks at `batch` again.
    pub fn apply(&mut self, score: &Score, batch: &impl AsRef<[Batch]>, step: u64, learning_rate: f32) {
        self.move_weights(score, batch, step, learning_rate);
        self.carry_on();
    }

    /// As [`Engine::apply`], with more steps of the same batch to come.
    pub(super) fn move_weights(
        &mut self,
        score: &Score,
        batch: &impl AsRef<[Batch]>,
        step: u64,
        learning_rate: f32,
    ) {
        let normaliser = normaliser_of(score);
        self.scale = scale_of(score);
        let lambda = self.sparsifier.lambda().unwrap_or(0.0);
        self.effective.vjp(&self.network, &mut self.gradients, lambda, normaliser as f32);
        let scale = self.clip.apply(&mut self.gradients, self.scale);
        self.update(scale, batch.as_ref(), StepSize::new(learning_rate, step), score.loss());
    }

    /// Lets the next batch go on where this one ended.
    pub(super) fn carry_on(&mut self) {
        self.team.for_each_buffers(Buffers::carry_on);
    }

    /// Whether connections may move after a step.
    pub(super) fn may_rewire(&self, progress: &Progress) -> bool {
        self.topology.when.is_due(progress) || self.sparsifier.is_due(progress)
    }

    /// Puts what a worker has in the place of what all have, and back.
    pub(super) fn swap_replica(&mut self, worker: usize) {
        self.replicas.swap(worker, &mut self.network, &mut self.state, &mut self.ranks);
    }

    /// Goes on with this rank's first worker alone.
    pub(super) fn go_on_alone(&mut self) {
        self.ranks = Ranks::alone();
        if let Some(state) = std::mem::take(&mut self.replicas).into_state() {
            self.state = state;
        }
    }

    /// Whether layers carry their states from batch to batch.
    pub fn carries(&self) -> bool {
        !self.team.carried().is_empty()
    }

    /// Lets whoever writes a checkpoint have what each rank alone has: the states of all lanes, and workers' optimizer states.
    pub(super) fn gather(&mut self) {
        if !self.ranks.is_alone() {
            self.carried =
                self.own_carried().iter().map(|numbers| self.ranks.gather_lists(numbers)).collect();
            self.replicas.gather(&self.ranks);
        }
    }

    /// The states of all lanes that are carried from batch to batch; of several ranks' as they were last
    /// [gathered](Engine::gather).
    pub(super) fn carried(&self) -> Vec<Vec<f32>> {
        if self.ranks.is_alone() { self.own_carried() } else { self.carried.clone() }
    }

    /// Those of this rank, dead lanes being 0: what else they hold depends on how it was computed.
    fn own_carried(&self) -> Vec<Vec<f32>> {
        let mut all = Vec::new();
        for shares in self.team.carried() {
            let mut numbers = Vec::new();
            for begin in shares.iter().map(|carried| &carried.begin) {
                for tile in 0..begin.tiles() {
                    let live = begin.live(tile);
                    for row in begin.tile(tile) {
                        numbers.extend_from_slice(&row.0[..live]);
                        numbers.resize(numbers.len() + LANES - live, 0.0);
                    }
                }
            }
            all.push(numbers);
        }
        all
    }

    /// Lets the next batch begin with no states carried over.
    pub fn forget(&mut self) {
        self.team.for_each_buffers(Buffers::forget);
    }

    /// The optimizer's step with gradients times `scale`, and what penalties and constraints make of it.
    fn update(&mut self, scale: f32, batch: &[Batch], mut step: StepSize, loss: f64) {
        let bregman = self.optimizer.is_bregman();
        let regularizer = if bregman { None } else { self.sparsifier.regularizer() };
        let regularizer = regularizer.as_ref();
        step.lambda = self.sparsifier.lambda().filter(|_| bregman).unwrap_or(0.0);
        self.optimizer.prepare(&mut self.memory, &mut step);
        if self.optimizer.gathers() {
            let sums = self.work(Part::Gather { scale }, &step, regularizer);
            self.optimizer.decide(&mut self.memory, &mut step, sums, loss);
            self.work(Part::Move, &step, regularizer);
            while self.optimizer.searches() {
                let loss = self.loss_after(batch, step.step);
                if self.optimizer.accepts(&mut self.memory, &mut step, loss) {
                    break;
                }
                self.work(Part::Move, &step, regularizer);
            }
            if matches!(regularizer, Some(Regularizer::Prox(_))) {
                self.work(Part::Shrink, &step, regularizer);
            }
        } else {
            self.work(Part::Whole { scale }, &step, regularizer);
        }
        let (optimizer, state) = (&self.optimizer, &mut self.state);
        self.sparsifier.shrink_groups(&mut self.network, &mut |index, out| {
            optimizer.step_size(&step, &Slots::of(&mut state[index]), out);
        });
        self.sparsifier.project(&mut self.network);
        self.effective.update(&self.optimizer, &step, self.sparsifier.lambda().unwrap_or(0.0));
    }

    /// The network as it predicts; `None` if it is the one that is trained. It stores no zeros but in a layer that has every
    /// connection and that nothing makes sparse.
    pub fn model(&self) -> Option<Network> {
        let predicting = self.effective.model(&self.network);
        let network = predicting.as_ref().unwrap_or(&self.network);
        let is_idle = self.sparsifier.is_idle();
        let has_zeros = network.weights().any(|(_, parameter)| {
            let weights = &parameter.weights;
            let may_leave = !is_idle || weights.has_pattern();
            let mut stored = weights.connections();
            may_leave && stored.any(|(_, slot)| weights.values()[slot] == 0.0)
        });
        let thin = if has_zeros { Some(without_zeros(network)) } else { predicting };
        if is_idle {
            return thin;
        }
        without_dead_neurons(thin.as_ref().unwrap_or(&self.network)).or(thin)
    }

    /// Whether each layer has a connection other than 0 that leads from inputs to outputs.
    pub(super) fn is_whole(&mut self) -> bool {
        self.effective.swap_in_predicting(&mut self.network);
        let layers =
            Live::of(&self.network, &[], &self.effective.stored(), &[]).costs(|entry| entry.value != 0.0);
        self.effective.swap_out_predicting(&mut self.network);
        layers.iter().all(|layer| layer.nnz > 0)
    }

    /// A part of the optimizer's work on all parameters.
    fn work(&mut self, part: Part, step: &StepSize, regularizer: Option<&Regularizer>) -> Sums {
        let mut sums = Sums::default();
        let parameters = self.network.parameters_mut().zip(&mut self.gradients).zip(&mut self.state);
        for ((parameter, gradient), slots) in parameters.filter(|((parameter, _), _)| parameter.is_trained())
        {
            let step = if parameter.is_weight() { *step } else { step.of_bias() };
            let regularizer = regularizer.filter(|_| parameter.is_weight());
            let run = Update { optimizer: &self.optimizer, part, step: &step, isa: self.isa, regularizer };
            let (values, slots) = (parameter.weights.values_mut(), Slots::of(slots));
            let Gradient { values: gradient, touched } = gradient;
            match touched {
                Some(touched) if matches!(part, Part::Whole { .. }) && regularizer.is_none() => {
                    run.split_touched(touched, 0, values, gradient, slots);
                }
                _ => sums = sums + run.split(values, gradient, slots),
            }
        }
        sums
    }

    /// The batch's mean loss with the weights as they are now.
    fn loss_after(&mut self, batch: &[Batch], step: u64) -> f64 {
        let pass = Pass::train(self.isa, self.seed, step);
        let pass = self.ranks.pass(pass, self.reduction.samples());
        self.rounded.swap_in(&mut self.network, self.isa);
        let score = self.team.look_again(&self.network, &self.loss, &pass, batch);
        self.rounded.swap_out(&mut self.network);
        self.ranks.sum_scores(score, &self.loss).loss()
    }

    /// Exchanges the trained values for the optimizer's average, if it keeps one, and back: what was exchanged twice has
    /// its bits again.
    pub fn swap_average(&mut self) {
        let Some(slot) = self.optimizer.average_slot() else { return };
        let parameters = self.network.parameters_mut().zip(&mut self.state);
        for (parameter, slots) in parameters.filter(|(parameter, _)| parameter.is_trained()) {
            parameter.weights.values_mut().swap_with_slice(&mut slots[slot]);
        }
    }

    /// Whether a model of now is as sparse as it is to be, when the share `t` of the run is done: earlier ones are not
    /// what was asked for, however good.
    pub fn is_settled(&self, model: &Network, t: f64) -> bool {
        // Of weights alone: a model may have lost biases with their neurons.
        let parameters =
            || model.parameters().zip(&self.targets).filter(|(parameter, _)| parameter.is_weight());
        let nnz: usize = parameters().map(|(parameter, _)| parameter.weights.nnz()).sum();
        self.sparsifier.is_settled(t) && nnz <= parameters().map(|(_, target)| target).sum()
    }

    /// Live connections and cells of all weight matrices. Under a penalty or a constraint a zero is none, stored or not.
    pub fn connections(&self) -> (usize, usize) {
        let (nnz, cells) = self.network.connections();
        if self.sparsifier.is_idle() {
            return (nnz, cells);
        }
        let weights = self.network.weights();
        (weights.flat_map(|(_, parameter)| parameter.weights.values()).filter(|&&w| w != 0.0).count(), cells)
    }

    /// Bytes of weights, index, gradients and optimizer state; what workers compute in does not count.
    pub fn bytes(&self) -> usize {
        let state: usize = self.state.iter().flatten().map(|slot| 4 * slot.len()).sum();
        state
            + self.effective.bytes()
            + self.rounded.bytes()
            + self.reduction.bytes()
            + self.ranks.bytes()
            + self.replicas.bytes()
            + self.gradients.iter().map(|gradient| 4 * gradient.values.len()).sum::<usize>()
            + self.network.parameters().map(|parameter| parameter.weights.bytes()).sum::<usize>()
    }
}

/// What divides the sums of a step.
fn normaliser_of(score: &Score) -> f64 {
    if score.normaliser > 0.0 { score.normaliser } else { 1.0 }
}

/// What makes the sums of a step those of the mean loss.
pub(super) fn scale_of(score: &Score) -> f32 {
    (1.0 / normaliser_of(score)) as f32
}
