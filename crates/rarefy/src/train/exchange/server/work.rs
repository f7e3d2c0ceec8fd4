//! A worker: it computes one share of a batch after the other, each by the values that it was given for it.

use super::Segment;
use super::message::{Answer, Report};
use crate::Result;
use crate::data::Shares;
use crate::kernels::Isa;
use crate::layers::{Gradient, Network, Pass};
use crate::losses::Loss;
use crate::train::Score;
use crate::train::ranks::{Ranks, Wish};
use crate::train::team::{Team, samples_of};

/// What a worker computes with.
pub(super) struct Worker<'a> {
    /// By the values that it was given.
    pub(super) network: &'a mut Network,
    pub(super) gradients: &'a mut Vec<Gradient>,
    pub(super) team: &'a mut Team,
    pub(super) loss: &'a Loss,
    pub(super) isa: Isa,
    pub(super) seed: u64,
}

/// Who has the samples of shares, and whom to tell. A segment's shares are counted from 0: as many of each batch as there are workers.
pub(in crate::train) struct Hands<'a> {
    /// Memory for a share.
    pub(in crate::train) batch: &'a mut Shares,
    /// Takes the samples of a share, and says how many samples of its batch come before, in whole tiles.
    pub(in crate::train) fill: &'a mut dyn FnMut(&mut Shares, usize) -> usize,
    /// Hears of a share that is done and of the score of all so far, and says whether training is to stop and a checkpoint to be
    /// written.
    pub(in crate::train) tell: &'a mut dyn FnMut(usize, Score) -> [bool; 2],
    /// How many workers there are.
    pub(in crate::train) workers: usize,
}

impl Worker<'_> {
    /// Computes shares until all are to meet; `ask` brings a report to the server and its answer back. The first share that nobody has
    /// had.
    pub(super) fn work(
        mut self,
        segment: &Segment,
        hands: &mut Hands<'_>,
        ranks: &Ranks,
        ask: &mut dyn FnMut(&mut Worker<'_>, Report) -> Result<Answer>,
    ) -> Result<usize> {
        let mut report = Report { wishes: [false; 2], score: None };
        loop {
            let (share, mut so_far) = match ask(&mut self, report)? {
                Answer::Meet { end } => return Ok(end),
                Answer::Next { share, so_far } => (share, so_far),
            };
            let earlier = (hands.fill)(hands.batch, share);
            let step = segment.steps_before + (share / hands.workers) as u64 + 1;
            let score = self.find(hands.batch, step, earlier);
            so_far.add(score.unwrap_or_default());
            let wishes = (hands.tell)(share, so_far);
            if wishes[0] {
                ranks.wish(Wish::Stop, true);
            }
            ranks.wish(Wish::Save, wishes[1]);
            report = Report { wishes, score };
        }
    }

    /// The gradients of a share of a step's batch, before which are so many other samples; no score of no samples.
    fn find(&mut self, share: &Shares, step: u64, earlier: usize) -> Option<Score> {
        let share = share.as_ref();
        if samples_of(share) == 0 {
            return None;
        }
        let pass = Pass::train(self.isa, self.seed, step).after(earlier);
        Some(self.team.gradients(self.network, self.gradients, self.loss, &pass, share))
    }
}
