//! The dense twin of a training: the same network with every connection, in dense storage. What it costs is counted from
//! shapes, however wide; it is built where somebody asks for it.

use super::tensors::{Tensor, file_bytes};
use super::{Settings, Trainer};
use crate::Result;
use crate::control::TargetSettings;
use crate::layers::{Network, SparsitySettings};
use crate::optimizers::UpdateRule;
use crate::penalties::{ConstraintSettings, PenaltySettings};
use crate::sparse::Storage;
use crate::topology::{self, TopologySettings};

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
    /// Bytes of the activations of a batch and of their gradients, and of what gradients of convolutions are summed in.
    pub buffer_bytes: usize,
}

impl Trainer {
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
            let shape = shapes.next().expect("one for each weight");
            costs.buffer_bytes += shape.sum_bytes(self.batch_size(), cells);
            if shape.is_compressed {
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
    pub fn dense_twin(&self) -> Result<Trainer> {
        let settings = Settings {
            sparsity: SparsitySettings::dense(),
            topology: TopologySettings { method: topology::Method::Static, ..TopologySettings::default() },
            penalty: PenaltySettings::default(),
            constraint: ConstraintSettings::default(),
            target: TargetSettings::default(),
            distributed: self.settings().distributed.alone(),
            // Who builds it has seen to that: the limit is the run's own.
            memory_limit: None,
            ..self.settings().clone()
        };
        let spec = settings.network_for(&self.splits.train)?;
        let network = Network::random(&spec, &settings.sparsity, settings.seed)?;
        let twin = Trainer::builder(settings, self.splits.clone()).pool(self.pool.clone()).network(network);
        // An optimizer that needs a penalty steps without one too.
        twin.build_unchecked()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::NetworkSettings;
    use crate::train::model_bytes;

    /// What is counted is what would be built.
    #[test]
    fn costs_are_those_of_the_twin() {
        let layers = "layers = [{layer = 'conv2d', filters = 3, kernel = 2}, {layer = 'batch-norm'}, {layer = 'flatten'}, {layer = 'linear'}]";
        for network in ["hidden = [30, 20]", layers] {
            let network: NetworkSettings = toml::from_str(network).unwrap();
            let run = Trainer::load(Settings { network, threads: 1, ..Settings::default() }).unwrap();
            let (costs, twin) = (run.twin_costs().unwrap(), run.dense_twin().unwrap());
            let network = twin.network();
            assert_eq!((costs.nnz, costs.nnz), network.connections());
            let parameters = network.parameters().map(|parameter| parameter.weights.nnz()).sum::<usize>();
            assert_eq!((costs.parameters, costs.flops), (parameters, network.flops()));
            let compressed = network.parameters().any(|it| it.weights.is_compressed());
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
        let mut run = Trainer::load(settings).unwrap();
        let mut twin = run.dense_twin().unwrap();
        assert!(run.twin_seconds(&run.twin_costs().unwrap()) > 0.0);
        assert!(run.time_in_turn(&mut twin, 0.0).into_iter().all(|milliseconds| milliseconds > 0.0));
    }
}
