//! How what workers find becomes one network.
//!
//! | exchange | what is told | when weights move | file |
//! |---|---|---|---|
//! | exact | gradients | after they are added up | here |
//! | stale | gradients | one step later, added up meanwhile | `stale` |
//! | local | what has moved weights | each worker's at each of its steps, all together now and then | `local` |
//!
//! Whoever steps by an exchange hears a score only after steps at which all have the same network: then, and only then, connections may
//! move, a model be looked at, and a checkpoint be written. The score is that of the steps which have moved its weights since.

mod local;
mod replicas;
mod stale;

pub(super) use local::Local;
pub(super) use replicas::Replicas;
pub(super) use stale::{Origin, Stale, Waiting};

use super::ranks::Ranks;
use super::settings::Settings;
use super::share::Cut;
use super::{Engine, Progress, Score};
use crate::Result;
use crate::data::Shares;
use crate::distributed::ExchangeMethod;
use crate::optimizers::Optimizer;

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
}

/// A step that is to be made.
pub(super) struct Step {
    pub(super) progress: Progress,
    pub(super) learning_rate: f32,
    /// Whether it is its epoch's last.
    pub(super) ends_epoch: bool,
}

impl Exchange {
    /// What the settings ask for.
    ///
    /// # Errors
    /// Batches and ranks that cannot share the work.
    pub(super) fn new(
        settings: &Settings,
        optimizer: &Optimizer,
        most: usize,
        ranks: &Ranks,
    ) -> Result<Exchange> {
        let exchange = match settings.distributed.exchange {
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
            Exchange::Exact | Exchange::Stale(_) => ranks.check_batches(most),
            Exchange::Local(local) => local.check_batches(most),
        }
    }

    /// How batches are shared out where full ones have `most` samples, and which shares are this rank's.
    pub(super) fn cut(&self, most: usize, ranks: &Ranks) -> Cut {
        match self {
            Exchange::Exact | Exchange::Stale(_) => ranks.cut(most),
            Exchange::Local(local) => local.cut(),
        }
    }

    /// A step on this rank's shares of a batch. The score of all steps that have moved the network since one was told, if all ranks have
    /// the same one after this step.
    pub(super) fn step(&mut self, engine: &mut Engine, shares: &[Shares], step: &Step) -> Option<Score> {
        match self {
            Exchange::Exact => Some(engine.step(&shares[0], step.progress.step, step.learning_rate)),
            Exchange::Stale(stale) => stale.step(engine, &shares[0], step),
            Exchange::Local(local) => local.step(engine, shares, step),
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
        matches!(self, Exchange::Local(_))
    }

    /// Bytes of what it keeps beside the engine's.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Exchange::Exact => 0,
            Exchange::Stale(stale) => stale.bytes(),
            Exchange::Local(local) => local.bytes(),
        }
    }

    /// What waits to move weights.
    pub(super) fn waiting(&self) -> Option<&Waiting> {
        match self {
            Exchange::Stale(stale) => stale.waiting(),
            _ => None,
        }
    }
}
