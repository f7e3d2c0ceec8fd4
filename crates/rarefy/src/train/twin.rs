//! The dense twin of a run: the same network with every connection, in dense storage. What it costs is counted from
//! shapes, however wide; it is built where somebody asks for it, and timed by steps taken in turn with the run's own.

use std::time::Instant;

use super::run::median;
use super::tensors::{Tensor, file_bytes};
use super::{Run, Settings};
use crate::Result;
use crate::control::TargetSettings;
use crate::data::{Batch, epoch_order};
use crate::layers::{Network, SparsitySettings};
use crate::optimizers::UpdateRule;
use crate::penalties::{ConstraintSettings, PenaltySettings};
use crate::sparse::Storage;
use crate::topology::{self, TopologySettings};

/// Turns that a timing takes at least; the first two touch their memory for the first time and do not count.
pub(super) const TURNS: usize = 5;

/// What a dense twin costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TwinCosts {
    /// Connections.
    pub nnz: usize,
    /// Connections, biases, scales and statistics.
    pub parameters: usize,
    /// Floating-point operations of a prediction.
    pub flops: usize,
    /// Bytes of its model file.
    pub model_bytes: usize,
    /// Bytes of weights, gradients and optimizer state.
    pub training_bytes: usize,
    /// Bytes of the activations of a batch and of their gradients.
    pub buffer_bytes: usize,
}

impl Run {
    /// What the dense twin costs, none of it being built.
    ///
    /// # Errors
    /// If its layers cannot be described; in practice none.
    pub fn twin_costs(&self) -> Result<TwinCosts> {
        let network = self.network();
        let numbers = 2 + self.settings().optimizer.build()?.slots();
        let shapes = network.spec().weight_shapes()?;
        let mut costs = TwinCosts {
            nnz: 0,
            parameters: 0,
            flops: 0,
            model_bytes: 0,
            training_bytes: 0,
            buffer_bytes: network.spec().buffer_bytes(self.batch_size(), true)?,
        };
        let (mut shapes, mut tensors) = (shapes.iter(), Vec::new());
        // Only to be counted.
        let mut tensor = |name: String, shape: Vec<usize>| {
            tensors.push(Tensor::floats(name, shape, || unreachable!("nobody writes them")));
        };
        for parameter in network.parameters() {
            let (rows, cols) = (parameter.weights.rows(), parameter.weights.cols());
            let cells = rows * cols;
            let stored = if parameter.is_trained() { numbers } else { 1 };
            costs.parameters += cells;
            costs.training_bytes += 4 * stored * cells;
            if !parameter.is_weight() {
                tensor(parameter.name.clone(), vec![rows]);
                continue;
            }
            costs.nnz += cells;
            costs.flops += 2 * cells * parameter.uses;
            if shapes.next().expect("one for each weight").is_compressed {
                costs.training_bytes += Storage::Sparse.index_bytes(rows, cols, cells);
                tensor(format!("{}.crow_indices", parameter.name), vec![rows + 1]);
                tensor(format!("{}.col_indices", parameter.name), vec![cells]);
                tensor(format!("{}.values", parameter.name), vec![cells]);
            } else {
                tensor(parameter.name.clone(), vec![rows, cols]);
            }
        }
        costs.model_bytes = file_bytes(tensors);
        Ok(costs)
    }

    /// The dense twin, in memory.
    ///
    /// # Errors
    /// If its memory cannot be described; in practice none.
    pub fn dense_twin(&self) -> Result<Run> {
        let settings = Settings {
            sparsity: SparsitySettings::dense(),
            topology: TopologySettings { method: topology::Method::Static, ..TopologySettings::default() },
            penalty: PenaltySettings::default(),
            constraint: ConstraintSettings::default(),
            target: TargetSettings::default(),
            ..self.settings().clone()
        };
        Run::new(settings, self.splits.clone(), None, self.pool.clone(), |settings, spec, _, _| {
            Network::random(spec, &settings.sparsity, settings.seed)
        })
    }

    /// Milliseconds of a training step of this run and of another on the same data: medians of steps taken in turn, so
    /// that what else the machine does slows both alike, within about `seconds`. Both train on by these steps.
    pub fn time_in_turn(&mut self, other: &mut Run, seconds: f64) -> [f64; 2] {
        let order = epoch_order(self.splits.train.len(), self.settings().seed, 0);
        let chunks: Vec<&[usize]> = order.chunks_exact(self.batch_size()).collect();
        let mut timers = [Timer::new(self, chunks[0]), Timer::new(other, chunks[0])];
        let start = Instant::now();
        for step in 1.. {
            let samples = chunks[step % chunks.len()];
            timers.iter_mut().for_each(|timer| timer.step(step as u64, samples));
            if step >= TURNS && start.elapsed().as_secs_f64() > seconds {
                break;
            }
        }
        timers.map(|timer| 1e3 * median(timer.times[2..].to_vec()).expect("more turns than two"))
    }
}

/// A run whose steps are timed.
struct Timer<'a> {
    run: &'a mut Run,
    batch: Batch,
    next: Batch,
    times: Vec<f64>,
}

impl Timer<'_> {
    fn new<'a>(run: &'a mut Run, samples: &[usize]) -> Timer<'a> {
        let (train, augmentation) = (&run.splits.train, run.splits.augmentation.as_ref());
        let mut batch = Batch::new(train, run.batch_size());
        batch.fill_for_training(train, samples, augmentation, 0);
        Timer { next: batch.clone(), run, batch, times: Vec::new() }
    }

    /// A step as training does it: `samples` are gathered meanwhile, for the next one.
    fn step(&mut self, step: u64, samples: &[usize]) {
        let rate = self.run.first_learning_rate();
        let Run { pool, engine, splits, .. } = &mut *self.run;
        let (batch, next) = (&self.batch, &mut self.next);
        let seconds = pool.install(|| {
            let start = Instant::now();
            rayon::join(
                || engine.step(batch, step, rate),
                || next.fill_for_training(&splits.train, samples, splits.augmentation.as_ref(), 0),
            );
            start.elapsed().as_secs_f64()
        });
        std::mem::swap(&mut self.batch, &mut self.next);
        self.times.push(seconds);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::NetworkSettings;
    use crate::sparse::Weights;
    use crate::train::model_bytes;

    /// What is counted is what would be built.
    #[test]
    fn costs_are_those_of_the_twin() {
        let layers = "layers = [{layer = 'conv2d', filters = 3, kernel = 2}, {layer = 'batch-norm'}, {layer = 'flatten'}, {layer = 'linear'}]";
        for network in ["hidden = [30, 20]", layers] {
            let network: NetworkSettings = toml::from_str(network).unwrap();
            let run = Run::start(Settings { network, threads: 1, ..Settings::default() }, None).unwrap();
            let (costs, twin) = (run.twin_costs().unwrap(), run.dense_twin().unwrap());
            let network = twin.network();
            assert_eq!((costs.nnz, costs.nnz), network.connections());
            let parameters = network.parameters().map(|parameter| parameter.weights.nnz()).sum::<usize>();
            assert_eq!((costs.parameters, costs.flops), (parameters, network.flops()));
            let compressed = network.parameters().any(|it| matches!(it.weights, Weights::Sparse(_)));
            // The compressed ones have no index by columns as long as nobody asks.
            assert!(costs.training_bytes == twin.training_bytes() || compressed);
            assert!(costs.training_bytes >= twin.training_bytes());
            // The header's own length follows the digits of the numbers in it.
            assert!(costs.model_bytes.abs_diff(model_bytes(network)) <= if compressed { 16 } else { 0 });
        }
    }

    #[test]
    fn two_runs_are_timed_in_turn() {
        let settings = Settings { threads: 1, ..Settings::default() };
        let mut run = Run::start(settings, None).unwrap();
        let mut twin = run.dense_twin().unwrap();
        assert!(run.twin_seconds(&run.twin_costs().unwrap()) > 0.0);
        assert!(run.time_in_turn(&mut twin, 0.0).into_iter().all(|milliseconds| milliseconds > 0.0));
    }
}
