//! One training step: forward, loss, backward, clipping, optimizer; and now and then new connections.

use std::ops::Range;

use super::effective::{Effective, Map};
use super::score::score_in;
use super::{Progress, Score, Sparsifier, model_bytes};
use crate::Result;
use crate::control::Budget;
use crate::data::Batch;
use crate::kernels::{Isa, fetch_place};
use crate::layers::{Buffers, Network, Parameter, Pass, without_dead_neurons, without_zeros};
use crate::losses::{Lanes, Loss};
use crate::optimizers::{Memory, Optimizer, StepSize, Sums, UpdateRule, clip};
use crate::penalties::{Regularizer, Steps};
use crate::random::{Purpose, Stream};
use crate::sparse::{Pattern, Rewire};
use crate::topology::{CellGradients, Topology, View, When};

/// Numbers that one piece of an optimizer's work covers.
const CHUNK: usize = 8192;
/// Ranges of touched weights that one piece of its work covers.
const RANGES: usize = 256;

/// What a step computes with besides the network.
pub struct Engine {
    /// The network being trained.
    pub network: Network,
    /// The optimizer's state: for each parameter, its slots.
    pub state: Vec<Vec<Vec<f32>>>,
    /// What passes compute with instead of the stored values.
    pub(super) effective: Effective,
    /// What the optimizer remembers besides.
    pub memory: Memory,
    loss: Loss,
    pub(super) optimizer: Optimizer,
    clip_norm: Option<f32>,
    clip_value: Option<f32>,
    topology: Topology,
    /// Connections that each parameter is to end with.
    targets: Vec<usize>,
    /// The penalty, the constraint, and what steers them.
    pub sparsifier: Sparsifier,
    isa: Isa,
    seed: u64,
    pub(super) buffers: Buffers,
    /// Room for the loss.
    room: Vec<Lanes>,
    /// For an optimizer that looks at the loss after a step: the other buffers stay those of the gradients.
    trial: Option<Buffers>,
}

/// What is fixed for a run.
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
}

/// Connections that an update moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Churn {
    /// Dropped.
    pub dropped: usize,
    /// Grown.
    pub grown: usize,
}

impl std::ops::Add for Churn {
    type Output = Churn;

    fn add(self, other: Churn) -> Churn {
        Churn { dropped: self.dropped + other.dropped, grown: self.grown + other.grown }
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
        let map = Map::of(parts.topology.forward, parts.sparsifier.method());
        // A map looks at rows.
        if parts.has_sparse_inputs && map == Map::Same {
            network.store_by_input();
        }
        let mut state = Vec::new();
        for parameter in network.parameters_mut() {
            let length = if parameter.is_trained() { parameter.weights.values().len() } else { 0 };
            parameter.gradient = vec![0.0; length];
            let mut slots = vec![vec![0.0; length]; optimizer.slots()];
            if parameter.is_trained() {
                optimizer.begin(parameter.weights.values(), &mut views(&mut slots)[..optimizer.slots()]);
            }
            state.push(slots);
        }
        let buffers = network.buffers(parts.batch_size, true);
        let trial = optimizer.searches().then(|| network.buffers(parts.batch_size, false));
        let effective = Effective::new(map, &network, &parts.targets, &optimizer);
        Engine {
            network,
            state,
            effective,
            memory: optimizer.memory(),
            loss: parts.loss,
            optimizer,
            clip_norm: parts.clip_norm,
            clip_value: parts.clip_value,
            topology: parts.topology,
            targets: parts.targets,
            sparsifier: parts.sparsifier,
            isa: parts.isa,
            seed: parts.seed,
            buffers,
            room: Vec::new(),
            trial,
        }
    }

    /// Gives back the memory of what the next step makes anew: gradients, and indices by columns.
    pub(super) fn rest(&mut self) {
        for parameter in self.network.parameters_mut() {
            (parameter.gradient, parameter.touched) = (Vec::new(), None);
            parameter.weights.forget_columns();
        }
    }

    /// Makes room for gradients after a rest.
    fn wake(&mut self) {
        for parameter in self.network.parameters_mut().filter(|parameter| parameter.is_trained()) {
            parameter.gradient.resize(parameter.weights.values().len(), 0.0);
        }
    }

    /// One step on a batch; `step` counts from 1.
    pub fn step(&mut self, batch: &Batch, step: u64, learning_rate: f32) -> Score {
        self.wake();
        let pass = Pass { isa: self.isa, training: Some((self.seed, step)) };
        self.buffers.resize(batch.samples);
        self.effective.enter(&mut self.network, self.seed, step);
        self.network.forward(&pass, &batch.input, &mut self.buffers);
        let (output, gradient) = self.buffers.output_and_gradient();
        let targets = &batch.targets;
        let score = score_in(&mut self.room, &self.loss, self.isa, output, targets, Some(gradient));
        self.network.backward(&pass, &batch.input, &mut self.buffers);
        self.effective.leave(&mut self.network, self.sparsifier.lambda().unwrap_or(0.0));
        self.clip();
        self.update(&pass, batch, StepSize::new(learning_rate, step), score.loss());
        self.buffers.carry_on();
        score
    }

    /// Whether layers carry their states from batch to batch.
    pub fn carries(&self) -> bool {
        !self.buffers.carried().is_empty()
    }

    /// Lets the next batch begin with no states carried over.
    pub fn forget(&mut self) {
        self.buffers.forget();
    }

    fn clip(&mut self) {
        if let Some(limit) = self.clip_value {
            for parameter in self.network.parameters_mut() {
                parameter
                    .change_gradients(|gradient| clip::clip_values(std::slice::from_mut(gradient), limit));
            }
        }
        if let Some(limit) = self.clip_norm {
            let square_of = |parameter: &Parameter| match parameter.touched {
                None => clip::squared_norm(&parameter.gradient),
                Some(_) => parameter.gradients().map(|gradient| f64::from(gradient).powi(2)).sum(),
            };
            let square = self.network.parameters().map(square_of).sum();
            let scale = clip::norm_scale(square, limit);
            if scale != 1.0 {
                for parameter in self.network.parameters_mut() {
                    parameter.change_gradients(|gradient| *gradient *= scale);
                }
            }
        }
    }

    /// The optimizer's step, and what penalties and constraints make of it.
    fn update(&mut self, pass: &Pass, batch: &Batch, mut step: StepSize, loss: f64) {
        let bregman = self.optimizer.is_bregman();
        let regularizer = if bregman { None } else { self.sparsifier.regularizer() };
        step.lambda = self.sparsifier.lambda().filter(|_| bregman).unwrap_or(0.0);
        self.optimizer.prepare(&mut self.memory, &mut step);
        if self.optimizer.gathers() {
            let sums = self.work(Part::Gather, &step, regularizer);
            self.optimizer.decide(&mut self.memory, &mut step, sums, loss);
            self.work(Part::Move, &step, regularizer);
            while self.optimizer.searches() {
                let loss = self.loss_after(pass, batch);
                if self.optimizer.accepts(&mut self.memory, &mut step, loss) {
                    break;
                }
                self.work(Part::Move, &step, regularizer);
            }
            if matches!(regularizer, Some(Regularizer::Prox(_))) {
                self.work(Part::Shrink, &step, regularizer);
            }
        } else {
            self.work(Part::Whole, &step, regularizer);
        }
        let (optimizer, state) = (&self.optimizer, &self.state);
        self.sparsifier.shrink_groups(&mut self.network, &mut |index, out| {
            let mut views = state[index].iter().map(Vec::as_slice);
            let slots: [&[f32]; MAX_SLOTS] = std::array::from_fn(|_| views.next().unwrap_or_default());
            optimizer.step_size(&step, &slots[..optimizer.slots()], out);
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
            let may_leave = !is_idle || parameter.weights.pattern().is_some();
            let mut stored = parameter.weights.connections();
            may_leave && stored.any(|(_, slot)| parameter.weights.values()[slot] == 0.0)
        });
        let thin = if has_zeros { Some(without_zeros(network)) } else { predicting };
        if is_idle {
            return thin;
        }
        without_dead_neurons(thin.as_ref().unwrap_or(&self.network)).or(thin)
    }

    /// A part of the optimizer's work on all parameters.
    fn work(&mut self, part: Part, step: &StepSize, regularizer: Option<Regularizer>) -> Sums {
        let mut sums = Sums::default();
        let parameters = self.network.parameters_mut().zip(&mut self.state);
        for (parameter, slots) in parameters.filter(|(parameter, _)| parameter.is_trained()) {
            let step = if parameter.is_weight() { *step } else { step.of_bias() };
            let regularizer = regularizer.filter(|_| parameter.is_weight());
            let run = Update { optimizer: &self.optimizer, part, step: &step, isa: self.isa, regularizer };
            let Parameter { weights, gradient, touched, .. } = parameter;
            let (values, slots) = (weights.values_mut(), views(slots));
            match touched {
                Some(touched) if part == Part::Whole && regularizer.is_none() => {
                    run.split_touched(touched, 0, values, gradient, slots);
                }
                _ => sums = sums + run.split(values, gradient, slots),
            }
        }
        sums
    }

    /// The batch's mean loss with the weights as they are now.
    fn loss_after(&mut self, pass: &Pass, batch: &Batch) -> f64 {
        let buffers = self.trial.as_mut().expect("allocated for an optimizer that searches");
        buffers.resize(batch.samples);
        buffers.begin_as(&self.buffers);
        self.network.forward(pass, &batch.input, buffers);
        let room = &mut self.room;
        score_in(room, &self.loss, self.isa, buffers.output(), &batch.targets, None).loss()
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

    /// Takes exact zeros out of storage if it is time to, and lets connections that left come back; `progress` names the
    /// step that was just done, `batch` must be its batch. Without one nothing comes back.
    ///
    /// # Errors
    /// If a penalty or a constraint has left a layer without a weight.
    pub fn compact(&mut self, batch: Option<&Batch>, progress: &Progress) -> Result<Churn> {
        if !self.sparsifier.is_due(progress) {
            return Ok(Churn::default());
        }
        let mut churn = self.look(batch, progress)?;
        while self.sparsifier.reaches_target(progress) && self.exceeds_bytes() {
            let more = self.look(batch, progress)?;
            if more.dropped == 0 {
                break;
            }
            churn = churn + more;
        }
        Ok(churn)
    }

    fn look(&mut self, batch: Option<&Batch>, progress: &Progress) -> Result<Churn> {
        let open = self.effective.open_connections(&self.network);
        self.effective.deploy(&mut self.network);
        let kept = self.sparsifier.compact(&self.network, &self.effective.stored(), open, progress);
        // While the effective values are in place: they are what the network computes with.
        if let Ok(Some(kept)) = &kept {
            for index in self.weights() {
                if let Some(pattern) = &kept.patterns[index] {
                    self.move_into_bias(index, pattern, &kept.constants[index]);
                }
            }
        }
        if self.sparsifier.reaches_target(progress) {
            self.effective.fold();
        } else {
            self.effective.withdraw(&mut self.network);
        }
        let kept = kept?.map_or_else(Vec::new, |kept| kept.patterns);
        let returning = batch.map_or_else(Vec::new, |batch| self.returning(batch, progress));
        let mut churn = Churn::default();
        for index in self.weights() {
            let kept = kept.get(index).cloned().flatten();
            let grown = returning.get(index).filter(|cells| !cells.is_empty());
            let weights = &self.network.parameter(index).weights;
            let pattern = match grown {
                Some(grown) => {
                    let stays: Vec<usize> = match &kept {
                        Some(pattern) => pattern.cells().collect(),
                        None => weights.connections().map(|(cell, _)| cell).collect(),
                    };
                    let mut cells = [&stays[..], grown].concat();
                    // Two sorted runs: the stable sort merges them.
                    cells.sort();
                    Pattern::from_cells(weights.rows(), weights.cols(), cells.into_iter())
                }
                None => match kept {
                    Some(pattern) => pattern,
                    None => continue,
                },
            };
            churn = churn + self.rewire_parameter(index, pattern, None);
        }
        self.sparsifier.patterns_changed();
        Ok(churn)
    }

    /// Whether a model of now has more bytes than its budget; then the budget learns how much longer its file's header is than was
    /// thought, which depends on the digits in it.
    fn exceeds_bytes(&mut self) -> bool {
        let Some((_, Budget::Bytes { limit, .. })) = self.sparsifier.control else { return false };
        // Zeros counted: they may grow yet.
        let model = without_dead_neurons(&self.network);
        let bytes = model_bytes(model.as_ref().unwrap_or(&self.network)) as f64;
        if bytes > limit {
            self.sparsifier.correct_bytes(&self.network, bytes);
        }
        bytes > limit
    }

    /// For each parameter the connections that have left and may come back: only where training began with all of them, and
    /// no topology method moves them.
    fn returning(&self, batch: &Batch, progress: &Progress) -> Vec<Vec<usize>> {
        let mut returning = vec![Vec::new(); self.network.parameters().len()];
        if self.topology.when != When::Never {
            return returning;
        }
        let holds = self.sparsifier.holds(&self.network);
        for (index, parameter) in self.network.weights() {
            let cells = parameter.weights.rows() * parameter.weights.cols();
            let places = self.sparsifier.places(parameter, progress);
            if places > 0 && self.targets[index] == cells && parameter.weights.nnz() < cells {
                let mut view = self.view(index, batch, progress.step);
                returning[index] = holds[index].absent(&mut view, places);
            }
        }
        returning
    }

    /// Adds to the bias what the connections that leave for `pattern` have carried from neurons whose output is one
    /// number, so that the network computes what it did.
    fn move_into_bias(&mut self, index: usize, pattern: &Pattern, constants: &[bool]) {
        if !constants.contains(&true) {
            return;
        }
        let weights = &self.network.parameter(index).weights;
        let cols = weights.cols();
        let mut kept = pattern.cells().peekable();
        let mut moved = vec![0.0; weights.rows()];
        for (cell, slot) in weights.connections() {
            while kept.next_if(|&other| other < cell).is_some() {}
            let value = weights.values()[slot];
            if kept.peek() != Some(&cell) && constants[cell % cols] && value != 0.0 {
                moved[cell / cols] += value * self.network.constant_output(index, cell % cols);
            }
        }
        let bias = self.network.bias_of(index).expect("what is joined to neurons has a bias");
        for (bias, moved) in self.network.parameter_mut(bias).weights.values_mut().iter_mut().zip(moved) {
            *bias += moved;
        }
    }

    /// Moves connections if the topology method says so after the step that `progress` names. The batch must be the
    /// one of that step.
    pub fn rewire(&mut self, batch: &Batch, progress: &Progress) -> Option<Churn> {
        if !self.topology.when.is_due(progress) {
            return None;
        }
        let weights = self.weights();
        let mut views: Vec<View<'_>> =
            weights.iter().map(|&index| self.view(index, batch, progress.step)).collect();
        let patterns = self.topology.update(&mut views, progress);
        let streams: Vec<Stream> = views.into_iter().map(|view| view.stream).collect();
        let mut churn = Churn::default();
        for ((index, pattern), stream) in weights.into_iter().zip(patterns).zip(streams) {
            if let Some(pattern) = pattern {
                let drawn = self.topology.grow.draws_values().then_some(stream);
                churn = churn + self.rewire_parameter(index, pattern, drawn);
            }
        }
        self.effective.choose_largest(&self.network, &self.targets);
        self.sparsifier.patterns_changed();
        Some(churn)
    }

    /// The indices of the weight matrices.
    fn weights(&self) -> Vec<usize> {
        self.network.weights().map(|(index, _)| index).collect()
    }

    /// What an update sees of a weight matrix.
    fn view<'a>(&'a self, index: usize, batch: &'a Batch, step: u64) -> View<'a> {
        let parameter = self.network.parameter(index);
        let product = self.network.product(index, &batch.input, &self.buffers);
        let shape = (parameter.weights.rows(), parameter.weights.cols());
        let mut scratch = Vec::new();
        let absent = CellGradients {
            rows: Box::new(move |rows, out| product.row_gradients(self.isa, shape, rows, out, &mut scratch)),
            cells: Box::new(move |cells, out| product.cell_gradients(self.isa, cells, out)),
        };
        View {
            weights: &parameter.weights,
            gradients: &parameter.gradient,
            target: self.targets[index],
            is_joined: parameter.joint.is_some(),
            absent,
            stream: Stream::new(self.seed, Purpose::Topology, index as u64, step),
        }
    }

    /// Moves a parameter's connections; grown ones are 0 unless they are `drawn` from a stream.
    fn rewire_parameter(&mut self, index: usize, pattern: Pattern, drawn: Option<Stream>) -> Churn {
        let parameter = self.network.parameter_mut(index);
        let (mut new, rewire): (_, Rewire) = parameter.weights.rewire(pattern, parameter.storage);
        if let Some(mut stream) = drawn {
            parameter.init.fill_grown(&mut new, rewire.grown(), &mut stream);
        }
        let grown = rewire.grown().len();
        let churn = Churn { dropped: parameter.weights.nnz() + grown - new.nnz(), grown };
        let state = &mut self.state[index];
        for slot in state.iter_mut() {
            *slot = rewire.carry(slot, 0.0);
        }
        for &slot in rewire.grown() {
            let mut views =
                views(state).map(|view| if view.is_empty() { view } else { &mut view[slot..][..1] });
            self.optimizer.begin(&new.values()[slot..][..1], &mut views[..self.optimizer.slots()]);
        }
        parameter.gradient = vec![0.0; new.values().len()];
        parameter.touched = None;
        parameter.weights = new;
        churn
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

    /// Bytes of weights, index, gradients and optimizer state.
    pub fn bytes(&self) -> usize {
        let state: usize = self.state.iter().flatten().map(|slot| 4 * slot.len()).sum();
        state
            + self.effective.bytes()
            + self
                .network
                .parameters()
                .map(|parameter| parameter.weights.bytes() + 4 * parameter.gradient.len())
                .sum::<usize>()
    }
}

/// The most arrays of state that an optimizer keeps for a parameter.
const MAX_SLOTS: usize = 4;

/// A parameter's slots as slices; those that the optimizer does not keep are empty.
fn views(slots: &mut [Vec<f32>]) -> [&mut [f32]; MAX_SLOTS] {
    let mut views = slots.iter_mut().map(Vec::as_mut_slice);
    std::array::from_fn(|_| views.next().unwrap_or_default())
}

/// A part of an optimizer's step.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    /// All of it, for an optimizer that looks at each weight alone.
    Whole,
    /// State and sums.
    Gather,
    /// The step.
    Move,
    /// The penalty's proximal step.
    Shrink,
}

/// An optimizer's work on one parameter, halved between threads.
struct Update<'a> {
    optimizer: &'a Optimizer,
    part: Part,
    step: &'a StepSize,
    isa: Isa,
    /// What acts on these weights one by one.
    regularizer: Option<Regularizer>,
}

impl Update<'_> {
    #[inline(always)]
    fn chunk(&self, values: &mut [f32], gradients: &mut [f32], slots: &mut [&mut [f32]]) -> Sums {
        if matches!(self.part, Part::Whole | Part::Gather)
            && let Some(Regularizer::Subgradient(penalty)) = &self.regularizer
        {
            penalty.add_subgradient(values, gradients);
        }
        if self.part == Part::Gather {
            return self.optimizer.gather(self.step, values, gradients, slots);
        }
        if self.part != Part::Shrink {
            self.optimizer.update(self.step, values, gradients, slots);
        }
        if self.part != Part::Move
            && let Some(Regularizer::Prox(penalty)) = &self.regularizer
        {
            let mut steps = [0.0; CHUNK];
            let steps = &mut steps[..values.len()];
            let mut views = slots.iter().map(|slot| &**slot);
            let slots: [&[f32]; MAX_SLOTS] = std::array::from_fn(|_| views.next().unwrap_or_default());
            self.optimizer.step_size(self.step, &slots[..self.optimizer.slots()], steps);
            penalty.prox(values, Steps::Each(steps));
        }
        Sums::default()
    }

    /// The sums are added up in the order of the halves, so that threads do not change them.
    fn split(&self, values: &mut [f32], gradients: &mut [f32], mut slots: [&mut [f32]; MAX_SLOTS]) -> Sums {
        if values.len() <= CHUNK {
            let slots = &mut slots[..self.optimizer.slots()];
            return self.isa.vectorize(|| self.chunk(values, gradients, slots));
        }
        let middle = values.len().div_ceil(CHUNK).div_ceil(2) * CHUNK;
        let (left, right) = values.split_at_mut(middle);
        let (left_gradients, right_gradients) = gradients.split_at_mut(middle);
        let (left_slots, right_slots) = split_views(slots, middle);
        let (left, right) = rayon::join(
            || self.split(left, left_gradients, left_slots),
            || self.split(right, right_gradients, right_slots),
        );
        left + right
    }

    /// The work on the weights that a batch has touched, if it has touched few: their number, and not that of all, says
    /// how long it takes. The arrays begin at slot `first`.
    ///
    /// The other weights stay as they are: momentum does not move them on and decay does not shrink them until their
    /// feature is seen again (the "lazy" updates of torch's `SparseAdam`). Not so with a penalty, which acts on every
    /// weight: then all are updated.
    fn split_touched(
        &self,
        touched: &[Range<usize>],
        first: usize,
        values: &mut [f32],
        gradients: &mut [f32],
        mut slots: [&mut [f32]; MAX_SLOTS],
    ) {
        if touched.len() <= RANGES {
            return self.isa.vectorize(|| {
                for (at, range) in touched.iter().enumerate() {
                    if let Some(next) = touched.get(at + 8) {
                        fetch_place(values, next.start - first);
                        fetch_place(gradients, next.start - first);
                        slots.iter().for_each(|slot| fetch_place(slot, next.start - first));
                    }
                    let range = range.start - first..range.end - first;
                    let mut slots =
                        slots.each_mut().map(|slot| slot.get_mut(range.clone()).unwrap_or_default());
                    let slots = &mut slots[..self.optimizer.slots()];
                    self.chunk(&mut values[range.clone()], &mut gradients[range], slots);
                }
            });
        }
        let (left_touched, right_touched) = touched.split_at(touched.len() / 2);
        let border = right_touched[0].start;
        let (left, right) = values.split_at_mut(border - first);
        let (left_gradients, right_gradients) = gradients.split_at_mut(border - first);
        let (left_slots, right_slots) = split_views(slots, border - first);
        rayon::join(
            || self.split_touched(left_touched, first, left, left_gradients, left_slots),
            || self.split_touched(right_touched, border, right, right_gradients, right_slots),
        );
    }
}

/// Halves of slots; those that the optimizer does not keep stay empty.
fn split_views(
    slots: [&mut [f32]; MAX_SLOTS],
    middle: usize,
) -> ([&mut [f32]; MAX_SLOTS], [&mut [f32]; MAX_SLOTS]) {
    let mut rights: [&mut [f32]; MAX_SLOTS] = Default::default();
    let mut index = 0;
    let lefts = slots.map(|slot| {
        let (left, right) = slot.split_at_mut(middle.min(slot.len()));
        rights[index] = right;
        index += 1;
        left
    });
    (lefts, rights)
}
