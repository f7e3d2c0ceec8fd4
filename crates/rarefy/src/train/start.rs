//! The network that training starts from: drawn, given, or that of a checkpoint.

use super::plan::{Floor, Plan};
use super::position::Position;
use super::{memory, sparse_start};
use crate::data::Task;
use crate::layers::{BlockHeight, Network, NetworkSpec, Parameter};
use crate::random::Stream;
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

impl Start {
    /// How few connections a layer may have.
    pub(super) fn floor(&self) -> Floor {
        match self {
            Start::Saved(_, position) => position.floor,
            Start::Random | Start::Given(_) => Floor::default(),
        }
    }

    /// Whether workers have come to steps of their own.
    pub(super) fn steps_alone(&self) -> bool {
        matches!(self, Start::Saved(_, position) if position.steps_alone)
    }

    /// The network of one of so many ranks, ready to be trained.
    ///
    /// # Errors
    /// A given network that does not fit the plan; one that does not fit into the memory.
    pub(super) fn network(self, plan: &Plan<'_>, task: Task, ranks: usize) -> Result<Network> {
        let Plan { settings, spec, topology, .. } = *plan;
        let with_room_beside = |network: Network| {
            memory::check_beside(settings, &network, topology, ranks)?;
            Ok(network)
        };
        let mut network = match self {
            Start::Random => drawn(plan, task, ranks),
            Start::Given(network) => with_room_beside(fitting(network, spec, settings.sparsity.block)?),
            Start::Saved(network, _) => with_room_beside(network),
        }?;
        network.set_precision(settings.train.precision);
        for parameter in network.parameters_mut().filter(|parameter| parameter.is_weight()) {
            parameter.init = settings.sparsity.init(parameter.init);
        }
        Ok(network)
    }
}

/// A random network, if it fits into the memory.
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

/// What the last layer of a regression starts with, of what it would start with elsewhere. Any between 0.3 and 0.01 did: validation R2 of a
/// table of 442 rows 0.515 to 0.521, and 0.443 without.
const HEAD_SHARE: f32 = 0.1;

/// Makes numbers that are predicted begin near their mean: as large as the targets themselves they would be noise that training does not
/// take out again. A model of one layer has no hidden units to make noise of.
fn shrink_head(network: &mut Network) {
    let weights = network.parameters_mut().filter(|parameter| parameter.is_weight());
    if let Some(head) = weights.skip(1).last() {
        head.weights.values_mut().iter_mut().for_each(|value| *value *= HEAD_SHARE);
    }
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
