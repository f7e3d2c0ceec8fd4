//! A server of weights: rank 0 holds values and optimizer state, and every rank's worker, rank 0's too, takes the next share of a batch
//! when it has done one. A gradient moves weights when it comes; how late it may be is bounded (`bound`).
//!
//! ```text
//! worker   -> report: gradients, score      server   moves weights by them
//!          <- answer: all values, the next share     ... or: wait, while somebody's gradient could come too late; or: all meet
//! ```
//! All meet at the end of an epoch, where connections may move, and where a rank wishes to stop or to save: the queue ends with a whole
//! batch, what is under way comes in, and everyone gets the values. The order in which gradients come is no function of the seed.
//!
//! Rank 0 answers in a thread of its own, while its worker computes in the others. One thread at a time has the desk, and whoever has it
//! answers all who wait.

mod bound;
mod desk;
mod message;
mod work;

pub(in crate::train) use bound::Lateness;
pub(in crate::train) use work::Hands;

use desk::{Counter, Desk};
use message::{Answer, read_answer, read_values, write_report, write_values};
use work::Worker;

use crate::distributed::DistributedSettings;
use crate::train::ranks::Ranks;
use crate::train::share::Cut;
use crate::train::threads::thread_pool;
use crate::train::{Engine, Score};
use crate::{Error, Result};

/// Steps that a gradient may be late, unless it is given.
const STALENESS: u64 = 4;

/// A server and its workers, one for each rank.
pub(in crate::train) struct Server {
    workers: usize,
    rank: usize,
    /// Gradients that one may be late.
    most: u64,
    /// How late they were since this was last asked; of the first rank.
    seen: Lateness,
}

/// Steps after which all meet.
pub(in crate::train) struct Segment {
    /// Steps of training before it.
    pub(in crate::train) steps_before: u64,
    /// The learning rate of each of its steps.
    pub(in crate::train) learning_rates: Vec<f32>,
}

impl Server {
    pub(super) fn new(settings: &DistributedSettings, ranks: &Ranks) -> Result<Server> {
        let (rank, workers) = ranks.place();
        if workers == 1 {
            let problem = format!(
                "\"{}\" needs two ranks or more: start them by mpirun -n 4, or use \"exact\"",
                settings.exchange
            );
            return Err(Error::setting("distributed.exchange", problem));
        }
        let most = settings.staleness.unwrap_or(STALENESS) * workers as u64;
        Ok(Server { workers, rank, most, seen: Lateness::default() })
    }

    /// How many workers there are.
    pub(in crate::train) fn workers(&self) -> usize {
        self.workers
    }

    pub(super) fn cut(&self) -> Cut {
        Cut::Even { workers: self.workers, own: (self.rank, self.rank + 1) }
    }

    /// How late gradients were since this was last asked.
    pub(super) fn take_seen(&mut self) -> Lateness {
        std::mem::take(&mut self.seen)
    }

    /// Trains until all have met. The score of all steps since, and how many these were: fewer than asked for where a rank wishes to
    /// stop or to save, or the loss is no number.
    ///
    /// # Errors
    /// A rank that is gone, does not answer in time, or tells what is no message.
    pub(in crate::train) fn train(
        &mut self,
        engine: &mut Engine,
        segment: &Segment,
        hands: &mut Hands<'_>,
    ) -> Result<(Score, usize)> {
        // The engine is the server's meanwhile, and moves weights as one that is alone.
        let mut ranks = std::mem::replace(&mut engine.ranks, Ranks::alone());
        let trained = self.train_with(engine, &mut ranks, segment, hands);
        engine.ranks = ranks;
        let (score, steps) = trained?;
        // As the last step would leave it, also where others have moved weights.
        engine.memory.learning_rate = segment.learning_rates[steps - 1];
        Ok((score, steps))
    }

    fn train_with(
        &mut self,
        engine: &mut Engine,
        ranks: &mut Ranks,
        segment: &Segment,
        hands: &mut Hands<'_>,
    ) -> Result<(Score, usize)> {
        let mut told = Vec::new();
        let end = if self.rank == 0 {
            let before = ranks.waited();
            let (score, end) = self.serve(engine, ranks, segment, hands)?;
            // It has listened while its worker has computed.
            ranks.hide(ranks.waited() - before);
            told.extend_from_slice(bytemuck::bytes_of(&score.numbers()));
            write_values(&engine.network, &mut told);
            end
        } else {
            work_for_first(engine, ranks, segment, hands)?
        };
        ranks.comm().broadcast(&mut told, 0)?;
        let damaged = || Error::rank(0, &ranks.comm().host(), "has told other values than this network has");
        let (score, values) = told.split_first_chunk::<48>().ok_or_else(damaged)?;
        read_values(values, &mut engine.network).ok_or_else(damaged)?;
        let score = Score::of_numbers(bytemuck::pod_read_unaligned::<[f64; 6]>(score));
        ranks.begin_together();
        ranks.sum_with_wishes(&mut [], Score::default(), &engine.loss);
        ranks.check()?;
        Ok((score, end / self.workers))
    }

    /// What rank 0 does: it serves, and works.
    fn serve(
        &mut self,
        engine: &mut Engine,
        ranks: &Ranks,
        segment: &Segment,
        hands: &mut Hands<'_>,
    ) -> Result<(Score, usize)> {
        let (mut network, mut gradients) = (engine.network.clone(), engine.network.gradients());
        let (mut team, loss) = (std::mem::take(&mut engine.team), engine.loss.clone());
        let (isa, seed) = (engine.isa, engine.seed);
        let worker = Worker {
            network: &mut network,
            gradients: &mut gradients,
            team: &mut team,
            loss: &loss,
            isa,
            seed,
        };
        // What others have found comes here.
        engine.gradients = worker.network.gradients();
        // Of one thread, so that moving weights takes none of those that compute.
        let pool = thread_pool(1)?;
        let desk = Desk::new(engine, ranks.comm(), (self.workers, self.most), segment);
        let counter = Counter::new(desk, ranks);
        let worked = pool.in_place_scope(|scope| {
            scope.spawn(|_| counter.serve());
            let ended = counter.end_if_panicking();
            let worked =
                worker.work(segment, hands, ranks, &mut |worker, report| Ok(counter.ask(worker, report)));
            drop(ended);
            worked
        });
        let (mut score, seen, failure) = counter.close();
        engine.team = team;
        failure.map_or(Ok(()), Err)?;
        let end = worked?;
        if !engine.loss.is_mean() {
            score.normaliser *= (end / self.workers) as f64;
        }
        self.seen.add(seen);
        Ok((score, end))
    }
}

/// What another rank does.
fn work_for_first(
    engine: &mut Engine,
    ranks: &Ranks,
    segment: &Segment,
    hands: &mut Hands<'_>,
) -> Result<usize> {
    let Engine { network, gradients, team, loss, isa, seed, .. } = engine;
    let worker = Worker { network, gradients, team, loss, isa: *isa, seed: *seed };
    let (comm, mut message) = (ranks.comm(), Vec::new());
    worker.work(segment, hands, ranks, &mut |worker, report| {
        write_report(&report, worker.gradients, ranks.packing(), &mut message);
        comm.send(0, &message)?;
        let (_, answer) = comm.receive(Some(0))?;
        let found: Option<Answer> = read_answer(&answer, worker.network);
        found.ok_or_else(|| Error::rank(0, &comm.host(), "has told what is no answer to a worker"))
    })
}
