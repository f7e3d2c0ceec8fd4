//! How what workers find becomes one network.
//!
//! | exchange | what is told | when weights move | file |
//! |---|---|---|---|
//! | exact | gradients | after they are added up | here |
//! | stale | gradients | one step later, added up meanwhile | `stale` |
//! | server | gradients, one way, and values, the other | when a gradient comes, by whatever weights | `server` |
//! | hogwild | nothing: threads move the same weights | at each thread's step, without locks | `hogwild` |
//! | local | what has moved weights | each worker's at each of its steps, all together now and then | `local` |
//!
//! Whoever steps by an exchange hears a score only after steps at which all have the same network: then, and only then, connections may
//! move, a model be looked at, and a checkpoint be written. The score is that of the steps which have moved its weights since.

mod hogwild;
mod local;
mod replicas;
mod server;
mod stale;

pub(super) use hogwild::{Batches, train_without_locks};
pub(super) use local::Local;
pub(super) use replicas::Replicas;
pub(super) use server::{Hands, Lateness, Segment, Server};
pub(super) use stale::{Origin, Stale, Waiting};

use super::ranks::Ranks;
use super::record::Staleness;
use super::settings::Settings;
use super::share::Cut;
use super::{Engine, Progress, Score};
use crate::data::Shares;
use crate::distributed::{DistributedSettings, ExchangeMethod};
use crate::optimizers::Optimizer;
use crate::{Error, Result};

/// How what workers find becomes one network.
#[derive(Default)]
pub(super) enum Exchange {
    /// At each step.
    #[default]
    Exact,
    /// At each step, one step late.
    Stale(Stale),
    /// Now and then.
    Local(Local),
    /// Whenever a gradient comes: its epochs are trained in another way ([`unordered`](super::unordered)).
    Server(Server),
    /// Whenever a thread has a gradient: as there.
    Hogwild,
}

/// A step that is to be made.
pub(super) struct Step {
    pub(super) progress: Progress,
    pub(super) learning_rate: f32,
    /// Whether it is its epoch's last.
    pub(super) ends_epoch: bool,
}

impl Exchange {
    /// What the settings ask for, where `steps_alone` says whether the workers of [`Wasap`](ExchangeMethod::Wasap) have come to steps
    /// of their own.
    ///
    /// # Errors
    /// Batches and ranks that cannot share the work.
    pub(super) fn new(
        settings: &Settings,
        optimizer: &Optimizer,
        most: usize,
        ranks: &Ranks,
        steps_alone: bool,
    ) -> Result<Exchange> {
        let exchange = match settings.distributed.exchange {
            ExchangeMethod::Wasap if steps_alone => {
                let workers = Some(ranks.place().1);
                let distributed = DistributedSettings { workers, ..settings.distributed.clone() };
                Exchange::Local(Local::new(&distributed, optimizer, ranks)?)
            }
            ExchangeMethod::Server | ExchangeMethod::Wasap => {
                Exchange::Server(Server::new(&settings.distributed, ranks)?)
            }
            ExchangeMethod::Hogwild => {
                hogwild::check(ranks)?;
                Exchange::Hogwild
            }
            ExchangeMethod::Exact => Exchange::Exact,
            ExchangeMethod::Stale => Exchange::Stale(Stale::default()),
            ExchangeMethod::Local => Exchange::Local(Local::new(&settings.distributed, optimizer, ranks)?),
        };
        exchange.check_batches(most, ranks)?;
        Ok(exchange)
    }

    /// Checks that full batches of `most` samples can be shared out.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting) if they cannot.
    pub(super) fn check_batches(&self, most: usize, ranks: &Ranks) -> Result<()> {
        match self {
            Exchange::Exact | Exchange::Stale(_) | Exchange::Hogwild => ranks.check_batches(most),
            Exchange::Local(local) => check_alike(most, local.workers()),
            Exchange::Server(server) => check_alike(most, server.workers()),
        }
    }

    /// How batches are shared out where full ones have `most` samples, and which shares are this rank's.
    pub(super) fn cut(&self, most: usize, ranks: &Ranks) -> Cut {
        match self {
            Exchange::Exact | Exchange::Stale(_) | Exchange::Hogwild => ranks.cut(most),
            Exchange::Local(local) => local.cut(),
            Exchange::Server(server) => server.cut(),
        }
    }

    /// A step on this rank's shares of a batch. The score of all steps that have moved the network since one was told, if all ranks have
    /// the same one after this step.
    ///
    /// # Panics
    /// Where workers take no step together.
    pub(super) fn step(&mut self, engine: &mut Engine, shares: &[Shares], step: &Step) -> Option<Score> {
        match self {
            Exchange::Exact => Some(engine.step(&shares[0], step.progress.step, step.learning_rate)),
            Exchange::Stale(stale) => stale.step(engine, &shares[0], step),
            Exchange::Local(local) => local.step(engine, shares, step),
            Exchange::Server(_) | Exchange::Hogwild => panic!("such an epoch is no loop over steps"),
        }
    }

    /// Makes what waits the same on all ranks, as a checkpoint has it.
    pub(super) fn settle(&mut self, engine: &mut Engine) {
        if let Exchange::Stale(stale) = self {
            stale.settle(engine);
        }
    }

    /// Whether passes have been over other weights or samples than those of the network and the whole batch, so that they are made anew
    /// where connections move by gradients.
    pub(super) fn looks_again(&self) -> bool {
        matches!(self, Exchange::Local(_) | Exchange::Server(_) | Exchange::Hogwild)
    }

    /// Bytes of what it keeps beside the engine's.
    pub(super) fn bytes(&self) -> usize {
        match self {
            // What workers have beside the engine they give back where all meet.
            Exchange::Exact | Exchange::Server(_) | Exchange::Hogwild => 0,
            Exchange::Stale(stale) => stale.bytes(),
            Exchange::Local(local) => local.bytes(),
        }
    }

    /// How late gradients were since this was last asked, in steps, where they come as they like and this rank serves.
    pub(super) fn take_staleness(&mut self) -> Option<Staleness> {
        let Exchange::Server(server) = self else { return None };
        let Lateness { count, sum, most, waits } = server.take_seen();
        let step = server.workers() as f64;
        (count > 0).then(|| Staleness {
            mean: sum as f64 / count as f64 / step,
            most: most as f64 / step,
            waits,
        })
    }

    /// What waits to move weights.
    pub(super) fn waiting(&self) -> Option<&Waiting> {
        match self {
            Exchange::Stale(stale) => stale.waiting(),
            _ => None,
        }
    }
}

/// Checks that batches of `most` samples give each worker as many.
fn check_alike(most: usize, workers: usize) -> Result<()> {
    if most.is_multiple_of(workers) {
        return Ok(());
    }
    let below = (most / workers * workers).max(workers);
    let problem = format!(
        "{most} samples cannot be shared out alike over {workers} workers; use {below} or {}",
        below + workers
    );
    Err(Error::setting("train.batch_size", problem))
}
