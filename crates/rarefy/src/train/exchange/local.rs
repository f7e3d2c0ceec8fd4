//! Workers that take steps of their own, and meet now and then (DiLoCo: Douillard et al. 2023, arXiv 2311.08105, algorithm 1).
//!
//! ```text
//! a step     each of V workers, by its own values and optimizer state, on its V-th of the batch
//! a meeting  d = mean over workers of (its values - w)      the only thing that is told
//!            v <- momentum * v + d
//!            w <- w + outer_learning_rate * (d + momentum * v)      Nesterov's; all workers go on from w
//! ```
//! A rank computes its workers one after the other, so that the number of workers, and not that of ranks, changes bits. They meet every
//! `period` steps, at the end of an epoch, and where connections move; running averages are averaged as they are.

use std::ops::Range;

use super::{Replicas, Step};
use crate::Result;
use crate::data::Shares;
use crate::distributed::DistributedSettings;
use crate::layers::Role;
use crate::optimizers::Optimizer;
use crate::tiles::LANES;
use crate::train::ranks::Ranks;
use crate::train::share::Cut;
use crate::train::team::samples_of;
use crate::train::{Engine, Score};

/// Steps from one meeting to the next, unless it is given.
const PERIOD: u64 = 16;

/// Workers that take steps of their own.
pub(in crate::train) struct Local {
    workers: usize,
    /// Those of this rank.
    own: Range<usize>,
    period: u64,
    learning_rate: f32,
    momentum: f32,
    /// Memory for what is told.
    moves: Vec<f32>,
}

impl Local {
    pub(super) fn new(settings: &DistributedSettings, optimizer: &Optimizer, ranks: &Ranks) -> Result<Local> {
        let (rank, count) = ranks.place();
        let each = settings.workers_of_rank(count)?;
        // With steps of Adam, which are as long for small gradients as for large ones, averages alone are slower than one large batch.
        let (learning_rate, momentum) = match optimizer {
            Optimizer::Sgd(_) => (1.0, 0.0),
            _ => (0.7, 0.9),
        };
        Ok(Local {
            workers: each * count,
            own: rank * each..(rank + 1) * each,
            period: settings.period.unwrap_or(PERIOD),
            learning_rate: settings.outer_learning_rate.unwrap_or(learning_rate),
            momentum: settings.outer_momentum.unwrap_or(momentum),
            moves: Vec::new(),
        })
    }

    pub(super) fn workers(&self) -> usize {
        self.workers
    }

    pub(super) fn cut(&self) -> Cut {
        Cut::Even { workers: self.workers, own: (self.own.start, self.own.end) }
    }

    /// What the workers of this rank have at the start, where full batches have `most` samples.
    pub(in crate::train) fn begin(&self, engine: &mut Engine, most: usize) {
        // Draws are named by whole tiles.
        let each = (most / self.workers).next_multiple_of(LANES);
        let Engine { network, state, replicas, .. } = engine;
        *replicas = Replicas::new(self.workers, self.own.clone(), each, network, state);
        state.iter_mut().for_each(Vec::clear);
    }

    pub(super) fn bytes(&self) -> usize {
        4 * self.moves.len()
    }

    pub(super) fn step(&mut self, engine: &mut Engine, shares: &[Shares], step: &Step) -> Option<Score> {
        let Step { progress, learning_rate, ends_epoch } = *step;
        for (worker, share) in shares.iter().enumerate().filter(|(_, share)| samples_of(share.as_ref()) > 0) {
            engine.swap_replica(worker);
            let score = engine.step(share, progress.step, learning_rate);
            engine.swap_replica(worker);
            engine.replicas.add_score(worker, score);
        }
        // As a step would leave it, also where a small batch had nothing for this rank's workers.
        engine.memory.learning_rate = learning_rate;
        let meets = ends_epoch || progress.step.is_multiple_of(self.period) || engine.may_rewire(&progress);
        meets.then(|| self.meet(engine))
    }

    fn meet(&mut self, engine: &mut Engine) -> Score {
        let Engine { network, replicas, ranks, loss, .. } = engine;
        let score = replicas.sum_moves(network, loss, &mut self.moves);
        ranks.begin_together();
        let score = ranks.sum_with_wishes(&mut self.moves, score, loss);
        let share = 1.0 / self.workers as f32;
        let mut rest = &self.moves[..];
        for (parameter, velocity) in network.parameters_mut().zip(&mut replicas.velocity) {
            let (is_trained, role) = (parameter.is_trained(), parameter.role);
            let values = parameter.weights.values_mut();
            let (moves, others) = rest.split_at(values.len());
            rest = others;
            for ((value, velocity), moved) in values.iter_mut().zip(velocity).zip(moves) {
                let moved = moved * share;
                if is_trained {
                    *velocity = self.momentum * *velocity + moved;
                    if velocity.is_subnormal() {
                        *velocity = 0.0;
                    }
                    *value += self.learning_rate * (moved + self.momentum * *velocity);
                } else {
                    *value += moved;
                }
                if role == Role::Variance {
                    // A move that was rounded may lead below.
                    *value = value.max(0.0);
                }
            }
        }
        replicas.begin(network);
        score
    }
}
