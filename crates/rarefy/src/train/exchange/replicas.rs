//! What the workers of a rank have that take steps of their own, each for itself: values and optimizer state. The network's connections,
//! and what passes compute in, are the engine's, for one worker after the other.

use std::ops::Range;

use crate::Result;
use crate::layers::Network;
use crate::losses::Loss;
use crate::sparse::Rewire;
use crate::train::Score;
use crate::train::ranks::Ranks;
use crate::train::reduce::both;
use crate::train::tensors::{Tensor, TensorFile};

/// An optimizer's state: for each parameter, its slots.
type State = Vec<Vec<Vec<f32>>>;

/// The workers of a rank; none where all take each step together.
#[derive(Default)]
pub(in crate::train) struct Replicas {
    /// Workers of all ranks.
    workers: usize,
    own: Range<usize>,
    replicas: Vec<Replica>,
    /// For each parameter how fast averages move.
    pub(super) velocity: Vec<Vec<f32>>,
    /// On the first rank the states of the workers of other ranks as they were last told, each as one list.
    others: Vec<Vec<f32>>,
}

/// A worker's own.
struct Replica {
    /// That it works alone, and which samples are its own.
    ranks: Ranks,
    values: Vec<Vec<f32>>,
    state: State,
    /// Of its steps since all have met.
    score: Score,
}

impl Replicas {
    /// Some of so many workers, each of which begins with these values and this state and has `most` samples of a full batch.
    pub(super) fn new(
        workers: usize,
        own: Range<usize>,
        most: usize,
        network: &Network,
        state: &State,
    ) -> Replicas {
        let values: Vec<Vec<f32>> = network.parameters().map(|it| it.weights.values().to_vec()).collect();
        let replica = |worker: usize| Replica {
            ranks: Ranks::alone_after(worker * most),
            values: values.clone(),
            state: state.clone(),
            score: Score::default(),
        };
        let velocity = values.iter().map(|values| vec![0.0; values.len()]).collect();
        Replicas { workers, replicas: own.clone().map(replica).collect(), own, velocity, others: Vec::new() }
    }

    pub(in crate::train) fn is_empty(&self) -> bool {
        self.replicas.is_empty()
    }

    /// Puts what a worker has in the place of what is in an engine, and back.
    pub(in crate::train) fn swap(
        &mut self,
        worker: usize,
        network: &mut Network,
        state: &mut State,
        ranks: &mut Ranks,
    ) {
        let replica = &mut self.replicas[worker];
        for (parameter, values) in network.parameters_mut().zip(&mut replica.values) {
            parameter.weights.swap_values(values);
        }
        std::mem::swap(state, &mut replica.state);
        std::mem::swap(ranks, &mut replica.ranks);
    }

    /// Adds the score of a worker's step.
    pub(super) fn add_score(&mut self, worker: usize, score: Score) {
        self.replicas[worker].score.add(score);
    }

    /// Writes the sum over workers of how far each has moved the network's values, in a tree, and returns the score of their steps. What
    /// they have is then no longer theirs: they [begin](Replicas::begin) anew.
    pub(super) fn sum_moves(&mut self, network: &Network, loss: &Loss, moves: &mut Vec<f32>) -> Score {
        for replica in &mut self.replicas {
            for (parameter, values) in network.parameters().zip(&mut replica.values) {
                let before = parameter.weights.values();
                values.iter_mut().zip(before).for_each(|(value, before)| *value -= before);
            }
        }
        let mut distance = 1;
        while distance < self.replicas.len() {
            for left in (0..self.replicas.len() - distance).step_by(2 * distance) {
                let (left, right) = self.replicas[left..].split_at_mut(distance);
                let (left, right) = (&mut left[0], &right[0]);
                left.score = both(left.score, right.score, loss);
                for (sum, values) in left.values.iter_mut().zip(&right.values) {
                    sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
                }
            }
            distance *= 2;
        }
        moves.clear();
        self.replicas[0].values.iter().for_each(|values| moves.extend_from_slice(values));
        self.replicas[0].score
    }

    /// Lets all go on from the network's values.
    pub(super) fn begin(&mut self, network: &Network) {
        for replica in &mut self.replicas {
            for (parameter, values) in network.parameters().zip(&mut replica.values) {
                values.copy_from_slice(parameter.weights.values());
            }
            replica.score = Score::default();
        }
    }

    /// The optimizer's state of a parameter, of each worker.
    pub(in crate::train) fn states(&mut self, index: usize) -> impl Iterator<Item = &mut Vec<Vec<f32>>> {
        self.replicas.iter_mut().map(move |replica| &mut replica.state[index])
    }

    /// Lets follow what is aligned with the connections of a parameter, besides the optimizer's state, where they have moved; its values
    /// are now `values`.
    pub(in crate::train) fn follow(&mut self, index: usize, rewire: &Rewire, values: &[f32]) {
        if let Some(velocity) = self.velocity.get_mut(index) {
            *velocity = rewire.carry(velocity, 0.0);
        }
        self.replicas.iter_mut().for_each(|replica| replica.values[index] = values.to_vec());
    }

    /// The state of the first worker, for somebody who goes on alone.
    pub(in crate::train) fn into_state(self) -> Option<State> {
        self.replicas.into_iter().next().map(|replica| replica.state)
    }

    /// Lets the first rank have the states of all workers.
    pub(in crate::train) fn gather(&mut self, ranks: &Ranks) {
        if !self.is_empty() {
            let own: Vec<f32> =
                self.replicas.iter().flat_map(|it| it.state.iter().flatten().flatten().copied()).collect();
            let others = ranks.bring_to_first(&own);
            let each = own.len() / self.replicas.len();
            self.others =
                others.iter().flat_map(|numbers| numbers.chunks(each.max(1))).map(<[f32]>::to_vec).collect();
        }
    }

    /// What a checkpoint has of all workers.
    pub(in crate::train) fn tensors<'a>(&'a self, network: &'a Network) -> Vec<Tensor<'a>> {
        let mut tensors = Vec::new();
        for (parameter, velocity) in network.parameters().zip(&self.velocity) {
            let name = format!("{}.velocity", parameter.name);
            tensors.push(Tensor::floats(name, vec![velocity.len()], || {
                parameter.weights.in_row_order(velocity)
            }));
        }
        let mut starts = vec![0; self.workers];
        for (index, parameter) in network.parameters().enumerate().filter(|_| !self.is_empty()) {
            let lengths: Vec<usize> = self.replicas[0].state[index].iter().map(Vec::len).collect();
            for (worker, start) in starts.iter_mut().enumerate() {
                for (slot, &length) in lengths.iter().enumerate() {
                    let numbers = match worker.checked_sub(self.own.end) {
                        None => &self.replicas[worker].state[index][slot][..],
                        Some(other) => &self.others[other][*start..*start + length],
                    };
                    *start += length;
                    let name = state_name(&parameter.name, worker, slot);
                    tensors
                        .push(Tensor::floats(name, vec![length], || parameter.weights.in_row_order(numbers)));
                }
            }
        }
        tensors
    }

    /// Goes on as a checkpoint says.
    pub(in crate::train) fn restore(&mut self, network: &Network, file: &TensorFile<'_>) -> Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        for (index, parameter) in network.parameters().enumerate() {
            let velocity = &mut self.velocity[index];
            let found = file.floats(&format!("{}.velocity", parameter.name), velocity.len())?;
            *velocity = parameter.weights.from_row_order(found);
            let lengths: Vec<usize> = self.replicas[0].state[index].iter().map(Vec::len).collect();
            for worker in 0..self.workers {
                for (slot, &length) in lengths.iter().enumerate() {
                    let found = file.floats(&state_name(&parameter.name, worker, slot), length)?;
                    if self.own.contains(&worker) {
                        let state = &mut self.replicas[worker - self.own.start].state[index];
                        state[slot] = parameter.weights.from_row_order(found);
                    }
                }
            }
        }
        Ok(())
    }

    /// Bytes of it all.
    pub(in crate::train) fn bytes(&self) -> usize {
        let of_replica = |replica: &Replica| {
            let values = replica.values.iter().map(Vec::len).sum::<usize>();
            values + replica.state.iter().flatten().map(Vec::len).sum::<usize>()
        };
        let velocity: usize = self.velocity.iter().map(Vec::len).sum();
        4 * (velocity + self.replicas.iter().map(of_replica).sum::<usize>())
    }
}

fn state_name(parameter: &str, worker: usize, slot: usize) -> String {
    format!("{parameter}.worker.{worker}.state.{slot}")
}
