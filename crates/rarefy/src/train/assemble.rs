//! From settings and data to what a run trains with: the network that it starts from, its loss, its engine.

use super::plan::Plan;
use super::{Engine, EngineParts, Settings, Sparsifier, Zeros, memory, sparse_start};
use crate::Result;
use crate::data::{Features, Splits, Targets, Task};
use crate::kernels::Isa;
use crate::layers::{Network, NetworkSpec, SparsitySettings};
use crate::losses::{self, Loss};
use crate::tiles::IGNORED;
use crate::topology::Topology;

/// What trains the network that `network` makes.
pub(super) fn engine(
    settings: &Settings,
    splits: &Splits,
    isa: Isa,
    loss: &Loss,
    network: impl FnOnce(&Settings, &NetworkSpec, &Topology, &Plan) -> Result<Network>,
) -> Result<Engine> {
    let spec = settings.network_for(&splits.train)?;
    let topology = settings.topology.build()?;
    let plan = Plan::new(settings, &spec, &topology)?;
    let mut network = network(settings, &spec, &topology, &plan)?;
    for parameter in network.parameters_mut().filter(|parameter| parameter.is_weight()) {
        parameter.init = settings.sparsity.init(parameter.init);
    }
    let targets = plan.counts(settings, &spec, &network)?;
    let penalty = sparse_start::penalty(settings);
    let mut sparsifier = Sparsifier::new(&penalty, &settings.constraint, plan.control)?;
    if settings.optimizer.method().is_bregman() {
        sparsifier.zeros = Zeros::StayUntilEnd;
    }
    let batch_size = settings.train.batch_size_for(splits.train.len());
    sparsifier.has_whole_batches = batch_size >= splits.train.len();
    let steps = splits.train.len().div_ceil(batch_size) as u64;
    Ok(Engine::new(EngineParts {
        network,
        loss: loss.clone(),
        optimizer: settings.optimizer.build()?.with_epoch(steps),
        clip_norm: settings.optimizer.clip_norm,
        clip_value: settings.optimizer.clip_value,
        topology,
        targets,
        sparsifier,
        isa,
        seed: settings.seed,
        batch_size,
        has_sparse_inputs: matches!(splits.train.features, Features::Sparse(_)),
    }))
}

/// The network that a run starts from, if it fits into the memory.
pub(super) fn drawn(
    settings: &Settings,
    spec: &NetworkSpec,
    topology: &Topology,
    plan: &Plan,
) -> Result<Network> {
    memory::check(settings, spec, topology, plan)?;
    let sparsity = SparsitySettings { density: plan.start, ..settings.sparsity.clone() };
    let mut network = Network::drawn(spec, &sparsity, settings.seed, |rows, cols, nnz, stream| {
        topology.start_pattern(rows, cols, nnz, stream)
    })?;
    if let Some(filled) = plan.filled {
        sparse_start::empty(&mut network, filled, settings.seed);
    }
    Ok(network)
}

pub(super) fn build_loss(settings: &Settings, splits: &Splits) -> Result<Loss> {
    match (&splits.train.targets, splits.preparation.task) {
        (Targets::Classes { labels, classes } | Targets::Steps { labels, classes, .. }, _) => {
            let mut counts = vec![0; *classes];
            for &label in labels.iter().filter(|&&label| label != IGNORED) {
                counts[label as usize] += 1;
            }
            settings.loss.build(losses::Task::Classification { counts: &counts })
        }
        (Targets::Sequences { .. }, _) => settings.loss.build(losses::Task::Transcription),
        (_, Task::MultiLabel) => settings.loss.build(losses::Task::MultiLabel),
        _ => settings.loss.build(losses::Task::Regression),
    }
}
