//! What happens when connections change: a topology method moves them, zeros leave storage, and some come back.

use std::cell::RefCell;
use std::ops::Range;

use super::ranks::Ranks;
use super::replay::{Block, MicroBatches, Replay};
use super::{Engine, Progress, model_bytes};
use crate::Result;
use crate::control::Budget;
use crate::data::Batch;
use crate::layers::{Gradient, Parameter, without_dead_neurons};
use crate::optimizers::{Slots, UpdateRule};
use crate::random::{Purpose, Stream};
use crate::sparse::Pattern;
use crate::topology::{Blocked, CellGradients, SharedRows, View, When, merged};

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

/// Where the gradients of absent connections are found.
pub(super) enum Source<'a> {
    /// In what the last passes left, which were over this batch, a whole step.
    Passes(&'a [Batch]),
    /// In passes that are made again.
    Replay(Box<RefCell<Replay<'a>>>),
}

impl Engine {
    /// Keeps the network that the passes of the step under way compute with, if after that step gradients of absent connections
    /// may be asked for: all its micro-batches are then looked at again. To be called before [`Engine::step`].
    pub(super) fn keep_past(&mut self, progress: &Progress) {
        if self.may_look_beyond(progress) {
            self.effective.swap_in_training(&mut self.network, self.seed, progress.step);
            self.past = Some(self.network.with_rounded_weights(self.isa).into_owned());
            self.effective.swap_out_training(&mut self.network);
        }
    }

    /// Whether the micro-batches of the step just done are to be looked at again.
    pub(super) fn has_past(&self) -> bool {
        self.past.is_some()
    }

    /// Changes connections by passes over the micro-batches of the step just done that are made again.
    ///
    /// # Panics
    /// If no network was kept from before the step.
    pub(super) fn with_replay<'a, T>(
        &mut self,
        step: u64,
        batches: MicroBatches<'a>,
        change: impl FnOnce(&mut Engine, &Source<'a>) -> T,
    ) -> T {
        let network = self.past.take().expect("kept before the step");
        let (isa, seed, loss) = (self.isa, self.seed, self.loss.clone());
        let (team, block) = (std::mem::take(&mut self.team), Block::default());
        let ranks = std::mem::replace(&mut self.ranks, Ranks::alone());
        let gradients = network.gradients();
        let replay = Replay { network, gradients, team, ranks, loss, isa, seed, step, batches, block };
        let source = Source::Replay(Box::new(RefCell::new(replay)));
        let changed = change(self, &source);
        if let Source::Replay(replay) = source {
            let Replay { team, ranks, .. } = (*replay).into_inner();
            (self.team, self.ranks) = (team, ranks);
            self.team.rest();
        }
        changed
    }

    /// Whether gradients of absent connections may be asked for after the step that `progress` names.
    fn may_look_beyond(&self, progress: &Progress) -> bool {
        let grows = self.topology.when.is_due(progress) && self.topology.looks_beyond();
        grows
            || self.sparsifier.is_due(progress)
                && self.network.weights().any(|(index, _)| self.may_return(index))
    }

    /// Whether connections of a weight that have left may come back by their gradients: only where training began with all of
    /// them, and no topology method moves them.
    fn may_return(&self, index: usize) -> bool {
        let weights = &self.network.parameter(index).weights;
        let cells = weights.rows() * weights.cols();
        self.topology.when == When::Never && self.targets[index] == cells && weights.nnz() < cells
    }

    /// Takes exact zeros out of storage if it is time to, and lets connections that left come back; `progress` names the
    /// step that was just done, `batch` must be its batch. Without one nothing comes back.
    ///
    /// # Errors
    /// [`Error::Emptied`](crate::Error::Emptied) if a penalty or a constraint has left a layer without a weight.
    pub fn compact(&mut self, batch: Option<&[Batch]>, progress: &Progress) -> Result<Churn> {
        self.compact_by(batch.map(Source::Passes).as_ref(), progress)
    }

    pub(super) fn compact_by(&mut self, source: Option<&Source<'_>>, progress: &Progress) -> Result<Churn> {
        if !self.sparsifier.is_due(progress) {
            return Ok(Churn::default());
        }
        let mut churn = self.look(source, progress)?;
        while self.sparsifier.reaches_target(progress) && self.exceeds_bytes() {
            let more = self.look(source, progress)?;
            if more.dropped == 0 {
                break;
            }
            churn = churn + more;
        }
        Ok(churn)
    }

    fn look(&mut self, source: Option<&Source<'_>>, progress: &Progress) -> Result<Churn> {
        let open = self.effective.open_connections(&self.network);
        self.effective.swap_in_predicting(&mut self.network);
        let kept = {
            let (network, gradients) = (&self.network, &self.gradients[..]);
            self.sparsifier.compact((network, gradients), &self.effective.stored(), open, progress)
        };
        // While the effective values are in place: they are what the network computes with.
        if let Ok(Some(kept)) = &kept {
            for index in self.weights() {
                if let Some(pattern) = &kept.patterns[index] {
                    self.move_into_bias(index, pattern, &kept.constants[index]);
                }
            }
        }
        if self.sparsifier.reaches_target(progress) {
            self.effective.materialise();
        } else {
            self.effective.swap_out_predicting(&mut self.network);
        }
        let kept = kept?.map_or_else(Vec::new, |kept| kept.patterns);
        let returning = source.map_or_else(Vec::new, |source| self.returning(source, progress));
        let mut churn = Churn::default();
        for index in self.weights() {
            let kept = kept.get(index).cloned().flatten();
            let grown = returning.get(index).filter(|cells| !cells.is_empty());
            let weights = &self.network.parameter(index).weights;
            let pattern = match grown {
                Some(grown) => {
                    let stays: Vec<usize> = match &kept {
                        Some(pattern) => pattern.cells().collect(),
                        None => weights.choices().map(|(cell, _)| cell).collect(),
                    };
                    let lines = weights.rows() / weights.block_height();
                    Pattern::from_cells(lines, weights.cols(), merged(stays, grown).into_iter())
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
        let budget = self.sparsifier.control.as_ref().map(|(_, budget)| budget);
        let Some(limit) = budget.and_then(Budget::bytes) else { return false };
        // Zeros counted: they may grow yet.
        let model = without_dead_neurons(&self.network);
        let bytes = model_bytes(model.as_ref().unwrap_or(&self.network)) as f64;
        if bytes > limit {
            self.sparsifier.correct_bytes(&self.network, bytes);
        }
        bytes > limit
    }

    /// For each parameter the connections, or the blocks, that have left and come back.
    fn returning(&self, source: &Source<'_>, progress: &Progress) -> Vec<Vec<usize>> {
        let mut returning = vec![Vec::new(); self.network.parameters().len()];
        if self.topology.when != When::Never {
            return returning;
        }
        let holds = self.sparsifier.holds(&self.network, &self.gradients);
        for (index, parameter) in self.network.weights() {
            let places = self.sparsifier.places(parameter, progress);
            if places > 0 && self.may_return(index) {
                let blocked = self.blocked(index);
                let mut view = self.view(index, blocked.as_ref(), source, progress.step);
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
        let Parameter { weights, storage, .. } = self.network.parameter(index);
        let cols = weights.cols();
        let mut leaves = vec![true; weights.values().len()];
        let (_, rewire) = weights.rewire(pattern.clone(), *storage);
        rewire.sources().flatten().for_each(|slot| leaves[slot] = false);
        let mut moved = vec![0.0; weights.rows()];
        for (cell, slot) in weights.connections() {
            let value = weights.values()[slot];
            if leaves[slot] && constants[cell % cols] && value != 0.0 {
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
    pub fn rewire(&mut self, batch: &impl AsRef<[Batch]>, progress: &Progress) -> Option<Churn> {
        self.rewire_by(&Source::Passes(batch.as_ref()), progress)
    }

    pub(super) fn rewire_by(&mut self, source: &Source<'_>, progress: &Progress) -> Option<Churn> {
        if !self.topology.when.is_due(progress) {
            return None;
        }
        let weights = self.weights();
        let blocked: Vec<Option<Blocked>> = weights.iter().map(|&index| self.blocked(index)).collect();
        let views = weights.iter().zip(&blocked);
        let views = views.map(|(&index, blocked)| self.view(index, blocked.as_ref(), source, progress.step));
        let mut views: Vec<View<'_>> = views.collect();
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

    /// A weight matrix as an update sees it, if its connections are in blocks.
    fn blocked(&self, index: usize) -> Option<Blocked> {
        let (weights, gradients) = (&self.network.parameter(index).weights, &self.gradients[index].values);
        (weights.block_height() > 1).then(|| Blocked::of(weights, gradients))
    }

    /// What an update sees of a weight matrix.
    fn view<'a>(
        &'a self,
        index: usize,
        blocked: Option<&'a Blocked>,
        source: &'a Source<'_>,
        step: u64,
    ) -> View<'a> {
        let view = self.view_of_connections(index, source, step);
        match blocked {
            Some(blocked) => blocked.view(view),
            None => view,
        }
    }

    /// What an update sees of a weight matrix whose connections are moved one by one.
    fn view_of_connections<'a>(&'a self, index: usize, source: &'a Source<'_>, step: u64) -> View<'a> {
        let parameter = self.network.parameter(index);
        let shape = (parameter.weights.rows(), parameter.weights.cols());
        let mut scratch = Vec::new();
        // Of the mean loss, as those of stored weights are by now.
        let divide = |out: &mut [f32]| out.iter_mut().for_each(|gradient| *gradient *= self.scale);
        let join = move |out: &mut [f32]| {
            self.ranks.sum_numbers(out);
            divide(out);
        };
        let absent = match source {
            Source::Passes(shares) => {
                let rows_of_share = move |rows: Range<usize>, out: &mut [f32], scratch: &mut Vec<f32>| {
                    self.team.sum_products(&self.network, index, shares, out, &mut |product, out| {
                        product.row_gradients(self.isa, shape, rows.clone(), out, scratch);
                    });
                };
                CellGradients {
                    rows: Box::new(move |rows, out| {
                        rows_of_share(rows, out, &mut scratch);
                        join(out);
                    }),
                    cells: Box::new(move |cells, out| {
                        self.team.sum_products(&self.network, index, shares, out, &mut |product, out| {
                            product.cell_gradients(self.isa, cells, out);
                        });
                        join(out);
                    }),
                    shared: (!self.ranks.is_alone()).then(|| {
                        let (height, mut scratch) = (parameter.weights.block_height(), Vec::new());
                        let rows_of_rank = move |rows: Range<usize>, out: &mut [f32]| {
                            rows_of_share(rows.clone(), out, &mut scratch);
                            let lines = self.ranks.sum_lines(out, height * shape.1);
                            divide(out);
                            let place = |line: usize| rows.start + line * height;
                            lines.into_iter().map(|lines| place(lines.start)..place(lines.end)).collect()
                        };
                        let gather = |found: Vec<(f32, usize)>| self.ranks.gather_scores(&found);
                        SharedRows { rows: Box::new(rows_of_rank), gather: Box::new(gather) }
                    }),
                }
            }
            Source::Replay(replay) => CellGradients {
                rows: Box::new(move |rows, out| {
                    replay.borrow_mut().rows(index, rows, out);
                    divide(out);
                }),
                cells: Box::new(move |cells, out| {
                    replay.borrow_mut().cells(index, cells, out);
                    divide(out);
                }),
                shared: None,
            },
        };
        View {
            weights: &parameter.weights,
            gradients: &self.gradients[index].values,
            target: self.targets[index],
            block: 1,
            is_joined: parameter.joint.is_some(),
            absent,
            stream: Stream::new(self.seed, Purpose::Topology, index as u64, step),
        }
    }

    /// Moves a parameter's connections to a pattern, of blocks where they are in blocks; grown ones are 0 unless they are `drawn` from a stream.
    fn rewire_parameter(&mut self, index: usize, pattern: Pattern, drawn: Option<Stream>) -> Churn {
        let parameter = self.network.parameter_mut(index);
        let (mut new, rewire) = parameter.weights.rewire(pattern, parameter.storage);
        if let Some(mut stream) = drawn {
            parameter.init.fill_grown(&mut new, rewire.grown(), &mut stream);
        }
        let grown = rewire.grown().len();
        let churn = Churn { dropped: parameter.weights.nnz() + grown - new.nnz(), grown };
        parameter.weights = new;
        self.gradients[index] = Gradient::zeros(parameter);
        self.team.rest();
        let values = parameter.weights.values();
        // Where workers have states of their own, this one is empty.
        for state in std::iter::once(&mut self.state[index]).chain(self.replicas.states(index)) {
            for numbers in state.iter_mut() {
                *numbers = rewire.carry(numbers, 0.0);
            }
            if state.is_empty() {
                continue;
            }
            for &slot in rewire.grown() {
                let mut slots = Slots::of(state);
                self.optimizer.begin(&values[slot..][..1], &mut slots.range(slot..slot + 1));
            }
        }
        self.replicas.follow(index, &rewire, values);
        churn
    }
}
