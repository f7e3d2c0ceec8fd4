//! The server itself: it takes reports, moves weights, and says who has which share next.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::Segment;
use super::bound::{Bound, Lateness};
use super::message::{Answer, Report, read_report, write_answer};
use super::work::Worker;
use crate::data::Batch;
use crate::distributed::{Comm, Packing};
use crate::train::ranks::Ranks;
use crate::train::{Engine, Score};
use crate::{Error, Result};

/// What the server knows. One thread at a time has it.
pub(super) struct Desk<'a> {
    /// With the values that all workers ask for.
    engine: &'a mut Engine,
    comm: &'a dyn Comm,
    segment: &'a Segment,
    bound: Bound,
    /// The share that is handed out next, and the first that is not.
    next: usize,
    end: usize,
    /// For each worker the share that it has.
    at: Vec<Option<usize>>,
    /// For each rank whether a report is to come from it.
    owes: Vec<bool>,
    /// Other ranks that have reported and wait for an answer, in this order.
    waiting: Vec<usize>,
    /// Other ranks that know that all meet.
    met: usize,
    score: Score,
    message: Vec<u8>,
    failure: Option<Error>,
}

impl<'a> Desk<'a> {
    /// For so many workers, whose gradients may be so many late.
    pub(super) fn new(
        engine: &'a mut Engine,
        comm: &'a dyn Comm,
        (workers, most): (usize, u64),
        segment: &'a Segment,
    ) -> Desk<'a> {
        Desk {
            engine,
            comm,
            segment,
            bound: Bound::new(workers, most),
            next: 0,
            end: segment.learning_rates.len() * workers,
            at: vec![None; workers],
            owes: (0..workers).map(|rank| rank > 0).collect(),
            waiting: Vec::new(),
            met: 0,
            score: Score::default(),
            message: Vec::new(),
            failure: None,
        }
    }

    /// Takes the report of a worker, whose gradients are the engine's.
    fn take(&mut self, worker: usize, report: &Report) {
        let Some(share) = self.at[worker].take() else { return };
        self.bound.end(worker, report.score.is_some());
        let mut is_last = report.wishes.contains(&true);
        if let Some(score) = report.score {
            self.score.add(score);
            if !self.engine.loss.is_mean() {
                self.score.normaliser = score.normaliser;
            }
            is_last |= !score.loss_sum.is_finite();
            let (workers, step) = (self.at.len(), share / self.at.len());
            // For an optimizer each gradient is a step.
            let update = self.segment.steps_before * workers as u64 + self.bound.seen().count;
            let nothing: [Batch; 0] = [];
            self.engine.move_weights(&score, &nothing, update, self.segment.learning_rates[step]);
        }
        if is_last {
            // With a whole batch.
            self.end = self.end.min(self.next.next_multiple_of(self.at.len()));
        }
    }

    /// What a worker is told; `None` if it has to wait.
    fn answer(&mut self, worker: usize) -> Option<Answer> {
        if self.next == self.end {
            return Some(Answer::Meet { end: self.end });
        }
        if !self.bound.lets_begin() {
            return None;
        }
        self.bound.begin(worker);
        let share = self.next;
        self.next += 1;
        self.at[worker] = Some(share);
        Some(Answer::Next { share, so_far: self.score })
    }

    /// Answers other ranks that wait, as far as they need not wait any longer.
    fn answer_all(&mut self) -> Result<()> {
        for rank in std::mem::take(&mut self.waiting) {
            let Some(answer) = self.answer(rank) else {
                self.waiting.push(rank);
                continue;
            };
            write_answer(answer, &self.engine.network, &mut self.message);
            self.comm.send(rank, &self.message)?;
            match answer {
                Answer::Next { .. } => self.owes[rank] = true,
                Answer::Meet { .. } => self.met += 1,
            }
        }
        Ok(())
    }

    /// Hears the report of another rank.
    fn hear(&mut self, rank: usize, bytes: &[u8], packing: Packing) -> Result<()> {
        self.owes[rank] = false;
        let report = read_report(bytes, &mut self.engine.gradients, packing);
        let report = report
            .ok_or_else(|| Error::rank(rank, &self.comm.host(), "has told what is no report of a worker"))?;
        self.take(rank, &report);
        self.waiting.push(rank);
        self.answer_all()?;
        if self.waiting.contains(&rank) {
            self.bound.wait();
        }
        Ok(())
    }

    /// Whether reports of other ranks are still to come, now or later.
    fn is_open(&self) -> bool {
        self.failure.is_none() && self.met + 1 < self.at.len()
    }

    /// The rank whose report comes next, where it can be but one.
    fn only_one(&self) -> Option<usize> {
        let mut owing = (0..self.owes.len()).filter(|&rank| self.owes[rank]);
        owing.next().filter(|_| owing.next().is_none())
    }
}

/// The desk, and those who come to it: a thread that hears other ranks, and rank 0's worker.
pub(super) struct Counter<'a> {
    desk: Mutex<Desk<'a>>,
    changed: Condvar,
    comm: &'a dyn Comm,
    packing: Packing,
}

impl<'a> Counter<'a> {
    pub(super) fn new(desk: Desk<'a>, ranks: &'a Ranks) -> Counter<'a> {
        let (comm, packing) = (ranks.comm(), ranks.packing());
        Counter { desk: Mutex::new(desk), changed: Condvar::new(), comm, packing }
    }

    /// Hears other ranks until all know that they meet, or one fails. It listens only while a report is to come: so there is nothing
    /// that it would wait for without an end.
    pub(super) fn serve(&self) {
        loop {
            let idles = |desk: &mut Desk<'_>| desk.is_open() && !desk.owes.contains(&true);
            let desk = self.changed.wait_while(self.lock(), idles).unwrap_or_else(PoisonError::into_inner);
            if !desk.is_open() {
                return;
            }
            // Named, so that it is blamed if it does not come.
            let from = desk.only_one();
            drop(desk);
            let received = self.comm.receive(from);
            let mut desk = self.lock();
            let heard = received.and_then(|(rank, bytes)| desk.hear(rank, &bytes, self.packing));
            if let Err(error) = heard {
                desk.failure = Some(error);
            }
            self.changed.notify_all();
        }
    }

    /// Takes the report of rank 0's worker, and answers when it need not wait any longer; its network then has the values.
    pub(super) fn ask(&self, worker: &mut Worker<'_>, report: Report) -> Answer {
        let mut desk = self.lock();
        if report.score.is_some() {
            std::mem::swap(&mut desk.engine.gradients, worker.gradients);
        }
        desk.take(0, &report);
        if let Err(error) = desk.answer_all() {
            desk.failure = Some(error);
        }
        self.changed.notify_all();
        let mut has_waited = false;
        loop {
            if desk.failure.is_some() {
                return Answer::Meet { end: 0 };
            }
            if let Some(answer) = desk.answer(0) {
                if matches!(answer, Answer::Next { .. }) {
                    copy_values(desk.engine, worker);
                }
                return answer;
            }
            if !std::mem::replace(&mut has_waited, true) {
                desk.bound.wait();
            }
            desk = self.changed.wait(desk).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// What has come of it: the score of all, how late gradients were, and what has failed.
    pub(super) fn close(self) -> (Score, Lateness, Option<Error>) {
        let desk = self.desk.into_inner().unwrap_or_else(PoisonError::into_inner);
        (desk.score, desk.bound.seen(), desk.failure)
    }

    /// Lets [`serve`](Counter::serve) end should whoever holds this panic: it waits for rank 0's worker.
    pub(super) fn end_if_panicking(&self) -> EndIfPanicking<'_, 'a> {
        EndIfPanicking(self)
    }

    fn lock(&self) -> MutexGuard<'_, Desk<'a>> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) struct EndIfPanicking<'c, 'a>(&'c Counter<'a>);

impl Drop for EndIfPanicking<'_, '_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.lock().failure = Some(Error::rank(0, &self.0.comm.host(), "has panicked"));
            self.0.changed.notify_all();
        }
    }
}

/// Gives rank 0's worker the server's values.
fn copy_values(engine: &Engine, worker: &mut Worker<'_>) {
    for (own, parameter) in worker.network.parameters_mut().zip(engine.network.parameters()) {
        own.weights.values_mut().copy_from_slice(parameter.weights.values());
    }
}
