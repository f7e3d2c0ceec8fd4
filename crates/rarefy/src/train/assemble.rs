//! From settings and data to what a trainer trains with: the network that it starts from, its loss, its engine.

use super::exchange::Exchange;
use super::plan::{Floor, Plan};
use super::position::Position;
use super::ranks::Ranks;
use super::settings::{DEFAULT_BATCH, TABLE_PATIENCE, Watched};
use super::{Engine, EngineParts, Settings, Sparsifier, TrainSettings, Zeros};
use super::{check_transcripts, memory, sparse_start};
use crate::data::{Augmentation, Format, Splits, Targets, Task};
use crate::distributed::ExchangeMethod;
use crate::layers::{BlockHeight, Network, NetworkSpec, Parameter};
use crate::losses::{self, Loss, LossSettings};
use crate::optimizers::{Optimizer, Schedule, UpdateRule};
use crate::penalties::Regularizer;
use crate::random::Stream;
use crate::tiles::IGNORED;
use crate::topology::{Topology, When};
use crate::{Error, Result};

/// The network that training starts from.
pub(super) enum Start {
    /// A random one, as the settings say.
    Random,
    /// The caller's.
    Given(Network),
    /// That of a checkpoint, which began as a random one, and where training stood.
    Saved(Network, Box<Position>),
}

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

/// Settles what depends on the number of samples, and says what was settled.
///
/// # Errors
/// Settings that do not fit the data.
pub(super) fn fit_to_data(settings: &mut Settings, splits: &Splits) -> Result<Vec<String>> {
    splits.train.check_weights("training")?;
    for (part, name) in [(&splits.validation, "validation"), (&splits.test, "test")] {
        part.as_ref().map_or(Ok(()), |part| part.check_weights(name))?;
    }
    let samples = splits.train.len();
    let batch_size = settings.train.batch_size_for(samples);
    if batch_size > samples {
        let problem = format!("{batch_size} is more than the {samples} training samples; lower it");
        return Err(Error::setting("train.batch_size", problem));
    }
    if let Some(window) = splits.window.filter(|&window| window < batch_size.min(samples)) {
        let problem = format!(
            "is enough for {window} samples while as many are read ahead, and a batch has {batch_size}; raise it, or lower train.batch_size"
        );
        return Err(Error::setting("data.memory", problem));
    }
    let method = settings.optimizer.method();
    if method.traits().needs_full_batch && batch_size < samples {
        let problem = format!("{method} needs the whole training part in a batch: set it to {samples}");
        return Err(Error::setting("train.batch_size", problem));
    }
    let mut notes = Vec::new();
    let TrainSettings { patience, watch, epochs, .. } = settings.train;
    let is_table = splits.preparation.format() == Format::Csv && splits.preparation.text().is_none();
    let patience = match patience {
        Some(given) => given,
        None if is_table && watch == Watched::Validation && splits.validation.is_some() => {
            if epochs > TABLE_PATIENCE {
                notes.push(format!(
                    "stops early where nothing beats the best epoch on validation for {TABLE_PATIENCE} epochs (train.patience)"
                ));
            }
            TABLE_PATIENCE
        }
        None => 0,
    };
    settings.train.patience = Some(patience);
    if patience > 0 && watch == Watched::Validation && splits.validation.is_none() {
        let problem =
            "needs a validation part; set data.validation_fraction above 0, or train.watch = \"training\"";
        return Err(Error::setting("train.patience", problem));
    }
    if settings.train.batch_size.is_none() && batch_size < DEFAULT_BATCH {
        notes.push(format!("batches of {batch_size} samples, for there are but {samples} to train on"));
    }
    settings.train.batch_size = Some(batch_size);
    Ok(notes)
}

/// What the last layer of a regression starts with, of what it would start with elsewhere. Any between 0.3 and 0.01 did: validation R2 of a
/// table of 442 rows 0.515 to 0.521, and 0.443 without.
const HEAD_SHARE: f32 = 0.1;

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
    let floor = if let Start::Saved(_, position) = &parts.start { position.floor } else { Floor::default() };
    let steps_alone = matches!(&parts.start, Start::Saved(_, position) if position.steps_alone);
    let plan = Plan::new(settings, &spec, &topology, floor)?;
    let (_, ranks) = parts.ranks.place();
    let is_given = matches!(parts.start, Start::Given(_));
    let is_random = matches!(parts.start, Start::Random);
    let note = if is_random { plan.note()? } else { None };
    let mut network = match parts.start {
        Start::Random => drawn(&plan, splits.preparation.task, ranks)?,
        Start::Given(network) => fitting(network, &spec, settings.sparsity.block)?,
        Start::Saved(network, _) => network,
    };
    if !is_random {
        memory::check_beside(settings, &network, &topology, ranks)?;
    }
    network.set_precision(settings.train.precision);
    for parameter in network.parameters_mut().filter(|parameter| parameter.is_weight()) {
        parameter.init = settings.sparsity.init(parameter.init);
    }
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

/// A given network, if it fits the data and its connections are in blocks as the settings say; of those that are all there blocks
/// are made.
fn fitting(mut network: Network, spec: &NetworkSpec, block: BlockHeight) -> Result<Network> {
    let shapes = network.spec().weight_shapes()?;
    let weights = network.parameters_mut().filter(|parameter| parameter.is_weight());
    for (Parameter { name, weights, .. }, shape) in weights.zip(shapes) {
        let (asked, found) = (block.in_layer(shape.alike), weights.block_height());
        if asked > found && weights.nnz() == shape.cells() {
            *weights = weights.in_blocks(asked);
        } else if asked != found {
            let problem = format!(
                "asks for blocks of {asked} in \"{name}\", which has blocks of {found} in the given network"
            );
            return Err(Error::setting("sparsity.block", problem));
        }
    }
    let ends = |spec: &NetworkSpec| Some((spec.inputs, *spec.shapes().ok()?.last()?));
    if ends(network.spec()) == ends(spec) {
        return Ok(network);
    }
    let problem = format!(
        "the one that was given makes {} of {}, and the data needs one that makes {} of {}",
        network.output(),
        network.spec().inputs,
        spec.shapes().expect("checked").last().expect("a network has layers"),
        spec.inputs
    );
    Err(Error::setting("network", problem))
}

/// Checks that data can take the place of other data that was prepared alike.
///
/// # Errors
/// Features that are stored in another way; samples of which an optimizer can make no step.
pub(super) fn check_exchange(settings: &Settings, old: &Splits, new: &Splits) -> Result<()> {
    let kind = |splits: &Splits| std::mem::discriminant(&splits.train.features);
    if kind(old) != kind(new) {
        return Err(Error::setting(
            "data",
            "has dense features where the data before had sparse ones, or the other way about",
        ));
    }
    let mut settings = settings.clone();
    // A chunk may be smaller than the batches of the one before: the last one of a stream is.
    settings.train.batch_size = settings.train.batch_size.map(|most| most.min(new.train.len()));
    fit_to_data(&mut settings, new).map(drop)
}

/// The network that training starts from, if it fits into the memory.
fn drawn(plan: &Plan<'_>, task: Task, ranks: usize) -> Result<Network> {
    memory::check(plan, ranks)?;
    let Plan { settings, spec, topology, filled, .. } = *plan;
    let counts = plan.counts_at_start()?;
    let draw = |rows, cols, nnz, stream: &mut Stream| topology.start_pattern(rows, cols, nnz, stream);
    let mut network = Network::drawn(spec, &settings.sparsity, &counts, settings.seed, draw)?;
    if task == Task::Regression && settings.sparsity.deviation.is_none() {
        shrink_head(&mut network);
    }
    if let Some(filled) = filled {
        sparse_start::empty(&mut network, filled, settings.seed);
    }
    Ok(network)
}

/// Makes numbers that are predicted begin near their mean: as large as the targets themselves they would be noise that training does not
/// take out again. A model of one layer has no hidden units to make noise of.
fn shrink_head(network: &mut Network) {
    let weights = network.parameters_mut().filter(|parameter| parameter.is_weight());
    if let Some(head) = weights.skip(1).last() {
        head.weights.values_mut().iter_mut().for_each(|value| *value *= HEAD_SHARE);
    }
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
