//! What a run will take of the memory, told before it is taken: a run that does not fit is refused with the number.

use super::plan::Plan;
use super::reduce::most_sums;
use super::share::Share;
use super::team::is_large;
use super::{Settings, replay, sparse_start};
use crate::data::share_of;
use crate::distributed::{DistributedSettings, ExchangeMethod};
use crate::layers::{Network, NetworkSpec, Precision, WeightShape};
use crate::machine::{free_memory_bytes, rss_bytes};
use crate::optimizers::UpdateRule;
use crate::penalties::{ConstraintMethod, PenaltyMethod};
use crate::topology::{self, Topology};
use crate::{Error, Result};

/// Bytes a connection that an update of a topology works with, in the largest matrix: what stays, what comes, the map.
const UPDATE_BYTES: usize = 40;
/// Bytes a connection that choosing which zeros leave works with, in all matrices.
const ZEROS_BYTES: usize = 48;

/// What a run takes beside its data, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Needs {
    connections: usize,
    /// Weights, index, gradients and optimizer state.
    weights: usize,
    /// Activations of a batch and their gradients, and what gradients of convolutions are summed in.
    buffers: usize,
    /// What moving connections takes for a while.
    moves: usize,
    /// Samples of a file (`data.memory`).
    samples: usize,
}

/// Refuses a run that takes more than there is for one of so many ranks, before its network is drawn.
///
/// # Errors
/// [`Error::Setting`] with the numbers and what to lower.
pub(super) fn check(plan: &Plan<'_>, ranks: usize) -> Result<()> {
    let (counts, settings) = (plan.counts_at_start()?, plan.settings);
    refuse_too_much(settings, needs(settings, plan.spec, plan.topology, &counts, ranks)?)
}

/// Refuses a run that takes more than there is beside a network that is in memory already.
///
/// # Errors
/// [`Error::Setting`] with the numbers and what to lower.
pub(super) fn check_beside(
    settings: &Settings,
    network: &Network,
    topology: &Topology,
    ranks: usize,
) -> Result<()> {
    let counts: Vec<usize> = network.weights().map(|(_, it)| it.weights.nnz()).collect();
    let mut needs = needs(settings, network.spec(), topology, &counts, ranks)?;
    let held: usize = network.parameters().map(|it| it.weights.bytes()).sum();
    needs.weights = needs.weights.saturating_sub(held);
    refuse_too_much(settings, needs)
}

/// Bytes that a run may still take, and the setting that bounds them.
fn left(settings: &Settings) -> (&'static str, u64) {
    let free = free_memory_bytes().unwrap_or(u64::MAX);
    let left = settings.memory_limit.map(|limit| (limit as u64).saturating_sub(rss_bytes()));
    match left {
        Some(left) if left <= free => ("memory_limit", left),
        _ => ("network", free),
    }
}

/// Bytes that samples may take.
pub(super) fn room(settings: &Settings) -> u64 {
    left(settings).1
}

/// Refuses a run whose checkpoint takes more than there is, before it is read.
///
/// # Errors
/// [`Error::Setting`] with the numbers.
pub(super) fn check_saved(settings: &Settings, bytes: u64) -> Result<()> {
    let (key, left) = left(settings);
    if bytes <= left {
        return Ok(());
    }
    let problem = format!(
        "the run's checkpoint takes {}, and {} are left beside the {} that are held; go on with more memory, or a larger memory_limit",
        gb(bytes),
        gb(left),
        gb(rss_bytes())
    );
    Err(Error::setting(key, problem))
}

fn gb(bytes: u64) -> String {
    format!("{:.3} GB", bytes as f64 / 1e9)
}

fn refuse_too_much(settings: &Settings, needs: Needs) -> Result<()> {
    let (key, left) = left(settings);
    let Needs { connections, weights, buffers, moves, samples } = needs;
    let all = (weights + buffers + moves + samples) as u64;
    if all <= left {
        return Ok(());
    }
    let key = if samples as u64 > left { "data.memory" } else { key };
    let (read, lower) = match samples {
        0 => (String::new(), ""),
        samples => (format!(", {} for samples that are read", gb(samples as u64)), "data.memory, "),
    };
    let problem = format!(
        "the run needs {} ({} for {connections} connections with gradients and optimizer state, {} for activations, {} to \
         move connections{read}) and {} are left beside the {} that are held; lower {lower}sparsity.density, the network's \
         width (network.hidden) or train.batch_size",
        gb(all),
        gb(weights as u64),
        gb(buffers as u64),
        gb(moves as u64),
        gb(left),
        gb(rss_bytes())
    );
    Err(Error::setting(key, problem))
}

/// What a network takes that has so many connections in each of its weights, of one of so many ranks.
fn needs(
    settings: &Settings,
    spec: &NetworkSpec,
    topology: &Topology,
    counts: &[usize],
    ranks: usize,
) -> Result<Needs> {
    let (micro_batches, storage) = (settings.train.accumulate, settings.sparsity.storage);
    // What is not given is no more than for many samples; the first rank has the largest share.
    let whole = settings.train.batch_size_for(usize::MAX);
    let batch_size = Share::of(whole, whole, 0, ranks).samples;
    let shapes = spec.weight_shapes()?;
    let slots = shapes.iter().zip(counts).map(|(shape, &nnz)| storage.slots(shape.rows, shape.cols, nnz));
    let workers = if slots.max().is_some_and(is_large) { 1 } else { rayon::current_num_threads() };
    let shares = batch_size.div_ceil(share_of(batch_size, workers));
    let slots = settings.optimizer.build()?.slots();
    let rounded = usize::from(settings.train.precision == Precision::Bf16);
    // Values and what products read of them, gradients of each thread, the optimizer's state, and gradients that wait for others of
    // their step.
    let numbers =
        1 + rounded + shares + kept(&settings.distributed, slots, ranks)? + most_sums(micro_batches);
    let (mut weights, mut largest, mut past, mut sums) = (0, 0, 0, 0);
    for (shape, &nnz) in shapes.iter().zip(counts) {
        let (rows, cols) = (shape.rows, shape.cols);
        let (index, slots) = match settings.sparsity.block.in_layer(shape.alike) {
            height @ 2.. => (4 * (nnz + rows).div_ceil(height) + 8, nnz),
            _ => (storage.index_bytes(rows, cols, nnz), storage.slots(rows, cols, nnz)),
        };
        sums += shape.sum_bytes(batch_size, slots);
        let slots = slots + rows;
        weights += 4 * numbers * slots + index;
        past += 4 * 2 * slots + index;
        // A full matrix has nowhere to move a connection to.
        largest = largest.max(if nnz < rows * cols { nnz } else { 0 });
    }
    if micro_batches > 1 {
        let cells = shapes.iter().map(WeightShape::cells).max();
        past += replay::bytes(cells.unwrap_or_default(), micro_batches);
    } else {
        past = 0;
    }
    let connections = counts.iter().sum();
    let moves = match topology.when {
        topology::When::Never => 0,
        _ => UPDATE_BYTES * largest,
    };
    let makes_zeros = sparse_start::penalty(settings).method != PenaltyMethod::None
        || settings.constraint.method != ConstraintMethod::None;
    let zeros = if makes_zeros { ZEROS_BYTES * connections } else { 0 };
    let inputs = 4 * rounded * spec.inputs.features() * batch_size;
    let buffers = spec.buffer_bytes(batch_size, true)? + inputs;
    // At most as much again in 16 bits, which products read where the instruction set has such.
    let buffers = buffers + rounded * buffers / 2 + sums;
    let moves = moves.max(zeros);
    // Who moves none looks at nothing again.
    let moves = if moves > 0 { moves + past } else { 0 };
    let samples = settings.data.memory.unwrap_or(0);
    Ok(Needs { connections, weights, buffers, moves, samples })
}

/// Numbers that are kept for each connection where the optimizer has so many slots.
fn kept(settings: &DistributedSettings, slots: usize, ranks: usize) -> Result<usize> {
    Ok(match settings.exchange {
        ExchangeMethod::Exact => slots,
        ExchangeMethod::Stale => slots + 1,
        // Of rank 0 a worker's own values, gradients and index, and a message.
        ExchangeMethod::Server | ExchangeMethod::Wasap => slots + 4,
        // Of each thread its own values, gradients and index.
        ExchangeMethod::Hogwild => slots + 3 * rayon::current_num_threads(),
        // Values and state of each worker; how fast averages move, and what is told.
        ExchangeMethod::Local => settings.workers_of_rank(ranks)? * (slots + 1) + 2,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::Isa;
    use crate::layers::{NetworkSettings, Pass};
    use crate::tiles::{Shape, Tiles};
    use crate::train::plan::Floor;

    fn checked(text: &str) -> Result<()> {
        let settings: Settings = toml::from_str(text).unwrap();
        let spec = settings.network.spec(Shape::flat(64), 10).unwrap();
        let topology = settings.topology.build().unwrap();
        check(&Plan::new(&settings, &spec, &topology, Floor::Outputs)?, 1)
    }

    #[test]
    fn what_does_not_fit_is_refused_with_the_numbers() {
        let wide = "[network]\nhidden = [4000000, 4000000]\n";
        let error = checked(&format!("{wide}[sparsity]\ndensity = 1e-4")).unwrap_err().to_string();
        assert!(
            error.starts_with("network: the run needs ") && error.contains("lower sparsity.density"),
            "{error}"
        );
        let (dense, thin) = ("[sparsity]\ndensity = 1.0", "[sparsity]\ndensity = 1e-3");
        let limited = "memory_limit = 2000000000\n[network]\nhidden = [16384, 16384]\n";
        let error = checked(&format!("{limited}{dense}")).unwrap_err().to_string();
        // Values, gradients and Adam's two moments of all cells.
        assert!(
            error.starts_with("memory_limit: the run needs 4.") && error.contains("269647872"),
            "{error}"
        );
        checked(&format!("{limited}{thin}")).unwrap();
    }

    #[test]
    fn a_rank_takes_activations_of_its_share_alone() {
        let text = "[network]\nhidden = [1000]\n[train]\nbatch_size = 4096";
        let settings: Settings = toml::from_str(text).unwrap();
        let spec = settings.network.spec(Shape::flat(64), 10).unwrap();
        let topology = settings.topology.build().unwrap();
        let plan = Plan::new(&settings, &spec, &topology, Floor::Outputs).unwrap();
        let counts = plan.counts_at_start().unwrap();
        let buffers =
            |ranks: usize| needs(&settings, &spec, &topology, &counts, ranks).unwrap().buffers as f64;
        assert!((buffers(1) / buffers(4) - 4.0).abs() < 0.1, "{} {}", buffers(1), buffers(4));
    }

    #[test]
    fn what_gradients_of_convolutions_are_summed_in_is_counted() {
        let conv = toml::from_str("layer = 'conv2d'\nfilters = 8\nkernel = 3").unwrap();
        let spec = NetworkSpec { inputs: Shape { height: 9, width: 9, channels: 4 }, layers: vec![conv; 2] };
        for density in [0.2, 1.0] {
            let text = format!("[sparsity]\ndensity = {density}\n[train]\nbatch_size = 130");
            let settings: Settings = toml::from_str(&text).unwrap();
            let topology = settings.topology.build().unwrap();
            let network = Network::random(&spec, &settings.sparsity, 1).unwrap();
            let counts: Vec<usize> = network.weights().map(|(_, it)| it.weights.nnz()).collect();
            let mut buffers = network.buffers(130, true);
            let (pass, input) = (Pass::train(Isa::detect(), 1, 1), Tiles::zeros(spec.inputs.features(), 130));
            network.forward(&pass, &input, &mut buffers);
            network.backward(&pass, &input, &mut network.gradients(), &mut buffers);
            let told = needs(&settings, &spec, &topology, &counts, 1).unwrap().buffers;
            assert_eq!(told, buffers.bytes(), "{density}");
        }
    }

    #[test]
    fn a_network_that_is_there_leaves_room_for_the_rest() {
        let text = "memory_limit = 1\n[network]\nhidden = [16]\n[sparsity]\ndensity = 1.0";
        let settings: Settings = toml::from_str(text).unwrap();
        let spec = settings.network.spec(Shape::flat(64), 10).unwrap();
        let topology = settings.topology.build().unwrap();
        let network = Network::random(&spec, &settings.sparsity, 1).unwrap();
        let error = check_beside(&settings, &network, &topology, 1).unwrap_err().to_string();
        assert!(error.starts_with("memory_limit: the run needs 0.000 GB"), "{error}");
        check_beside(&Settings { memory_limit: None, ..settings }, &network, &topology, 1).unwrap();
    }

    #[test]
    fn a_connection_costs_what_is_stored_for_it() {
        // Adam's two moments, value, gradient, two indices; in small matrices the places too.
        for (hidden, bytes) in [(1000, 28.0), (100_000, 24.0)] {
            let settings = Settings {
                network: NetworkSettings { hidden: vec![hidden], ..NetworkSettings::default() },
                topology: toml::from_str("method = 'static'").unwrap(),
                ..Settings::default()
            };
            let spec = settings.network.spec(Shape::flat(1000), 10).unwrap();
            let topology = settings.topology.build().unwrap();
            let plan = Plan::new(&settings, &spec, &topology, Floor::Outputs).unwrap();
            let counts = plan.counts_at_start().unwrap();
            let found = needs(&settings, &spec, &topology, &counts, 1).unwrap();
            assert_eq!((found.connections, found.moves), (101 * hidden, 0));
            let each = found.weights as f64 / found.connections as f64;
            assert!((each - bytes).abs() < 1.0, "{hidden}: {each}");
        }
    }
}
