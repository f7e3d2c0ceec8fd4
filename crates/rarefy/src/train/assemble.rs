//! From settings and data to what a trainer trains with: its loss, its engine.

use super::exchange::Exchange;
use super::plan::Plan;
use super::ranks::Ranks;
use super::start::Start;
use super::{Engine, EngineParts, Settings, Sparsifier, Zeros, check_transcripts, sparse_start};
use crate::data::{Augmentation, Splits, Targets, Task};
use crate::distributed::ExchangeMethod;
use crate::losses::{self, Loss, LossSettings};
use crate::optimizers::{Optimizer, Schedule, UpdateRule};
use crate::penalties::Regularizer;
use crate::tiles::IGNORED;
use crate::topology::{Topology, When};
use crate::{Error, Result};

/// Parts that are given; those that are not are made as the settings say.
pub(super) struct Parts {
    pub(super) start: Start,
    pub(super) optimizer: Option<Optimizer>,
    pub(super) loss: Option<Loss>,
    pub(super) topology: Option<Topology>,
    pub(super) penalty: Option<Regularizer>,
    pub(super) ranks: Ranks,
}

/// What a trainer trains with.
pub(super) struct Assembled {
    pub(super) engine: Engine,
    pub(super) exchange: Exchange,
    pub(super) loss: Loss,
    /// What other parts are scored by.
    pub(super) evaluation_loss: Loss,
    pub(super) schedule: Schedule,
    /// What whoever trains should know.
    pub(super) note: Option<String>,
}

/// What trains on the data.
///
/// # Errors
/// Settings or a given network that do not fit the data; a network that does not fit into memory.
pub(super) fn assemble(settings: &Settings, splits: &Splits, parts: Parts) -> Result<Assembled> {
    let isa = settings.train.precision.isa(settings.isa.name())?;
    let loss = match parts.loss {
        Some(loss) => loss,
        None => build_loss(settings, splits)?,
    };
    let evaluation_loss = match splits.preparation.task {
        Task::LanguageModel => LossSettings::default().build(losses::Task::Classification { counts: &[] })?,
        _ => loss.clone(),
    };
    let topology = match parts.topology {
        Some(topology) => topology,
        None => settings.topology.build()?,
    };
    let spec = settings.network_for(&splits.train)?;
    let is_given = matches!(parts.start, Start::Given(_));
    let steps_alone = parts.start.steps_alone();
    let plan = Plan::new(settings, &spec, &topology, parts.start.floor())?;
    let note = if matches!(parts.start, Start::Random) { plan.note()? } else { None };
    let network = parts.start.network(&plan, splits.preparation.task, parts.ranks.place().1)?;
    let targets = if is_given && topology.when == When::Never {
        network.parameters().map(|parameter| parameter.weights.nnz()).collect()
    } else {
        plan.counts(&network)?
    };
    let optimizer = match parts.optimizer {
        Some(optimizer) => optimizer,
        None => settings.optimizer.build()?,
    };
    let penalty = match parts.penalty {
        Some(penalty) => Some(penalty),
        None => sparse_start::penalty(settings).build()?,
    };
    let penalty =
        if settings.sparsity.block.has_blocks() { penalty.map(Regularizer::of_blocks) } else { penalty };
    let mut sparsifier = Sparsifier::of(penalty, settings.constraint.build()?, plan.control);
    if optimizer.is_bregman() {
        sparsifier.zeros = Zeros::KeepUntilEnd;
    }
    let batch_size = settings.train.batch_size_for(splits.train.len());
    sparsifier.has_whole_batches = batch_size * settings.train.accumulate >= splits.train.len();
    let schedule = settings.schedule.build(optimizer.traits())?;
    let exchange = Exchange::new(settings, &optimizer, batch_size, &parts.ranks, steps_alone)?;
    // Connections may move by what a rank finds for its share of a batch, where its workers have others.
    let shares = exchange.cut(batch_size, &parts.ranks).shares(batch_size);
    let shares = shares.chain(parts.ranks.cut(batch_size).shares(batch_size));
    // A rank that idles has none, and room for one sample.
    let largest_share = shares.map(|share| share.samples).max().unwrap_or(0).max(1);
    let mut engine = Engine::new(EngineParts {
        network,
        loss: loss.clone(),
        optimizer: optimizer.with_epoch(settings.train.steps_for(splits.train.len())),
        clip_norm: settings.optimizer.clip_norm,
        clip_value: settings.optimizer.clip_value,
        topology,
        targets,
        sparsifier,
        isa,
        seed: settings.seed,
        batch_size: largest_share,
        has_sparse_inputs: splits.train.is_sparse(),
        threads: rayon::current_num_threads(),
    });
    engine.ranks = parts.ranks;
    check_layers(settings, splits, &engine)?;
    if let Exchange::Local(local) = &exchange {
        local.begin(&mut engine, batch_size);
    }
    Ok(Assembled { engine, exchange, loss, evaluation_loss, schedule, note })
}

/// Refuses what the network's layers do not go with.
fn check_layers(settings: &Settings, splits: &Splits, engine: &Engine) -> Result<()> {
    if engine.carries() && settings.train.accumulate > 1 {
        let problem =
            "does not go with layers that carry their states: each lane of a batch goes on with its own";
        return Err(Error::setting("train.accumulate", problem));
    }
    check_layers_for(settings.distributed.exchange, splits, engine)?;
    let lost = splits.augmentation.as_ref().map_or(0, Augmentation::most_steps_lost);
    check_transcripts(&engine.network, &splits.preparation, &splits.train, lost)?;
    for part in splits.validation.iter().chain(&splits.test) {
        check_transcripts(&engine.network, &splits.preparation, part, 0)?;
    }
    Ok(())
}

/// Refuses what workers do not go with that take no step together.
fn check_layers_for(exchange: ExchangeMethod, splits: &Splits, engine: &Engine) -> Result<()> {
    if matches!(exchange, ExchangeMethod::Exact | ExchangeMethod::Stale) {
        return Ok(());
    }
    let wrong = |problem: &str| {
        Err(Error::setting("distributed.exchange", format!("\"{exchange}\" does not go with {problem}")))
    };
    if engine.carries() {
        return wrong(
            "layers that carry their states: they would be those of the last worker; use \"exact\" or \"stale\"",
        );
    }
    if exchange.is_reproducible() {
        return Ok(());
    }
    if engine.network.parameters().any(|parameter| !parameter.is_trained()) {
        return wrong(
            "batch norms: each worker would have averages of its own; use group norms, or \"exact\", \"stale\" or \"local\"",
        );
    }
    if splits.train.in_file().is_some() {
        return wrong(
            "data.memory: which samples a worker needs next is not known before; leave data.memory out, or use \"exact\", \"stale\" or \
             \"local\"",
        );
    }
    Ok(())
}

fn build_loss(settings: &Settings, splits: &Splits) -> Result<Loss> {
    match (&splits.train.targets, splits.preparation.task) {
        (Targets::Classes { labels, classes } | Targets::Steps { labels, classes, .. }, _) => {
            let steps = labels.len() / splits.train.len().max(1);
            let mut counts = vec![0.0; *classes];
            for (at, &label) in labels.iter().enumerate().filter(|(_, label)| **label != IGNORED) {
                counts[label as usize] += f64::from(splits.train.weight(at / steps));
            }
            let loss = settings.loss.for_classes(&splits.preparation.classes, &counts)?;
            loss.build(losses::Task::Classification { counts: &vec![0; *classes] })
        }
        (Targets::Sequences { .. }, _) => settings.loss.build(losses::Task::Transcription),
        (_, Task::MultiLabel) => settings.loss.build(losses::Task::MultiLabel),
        _ => settings.loss.build(losses::Task::Regression),
    }
}
