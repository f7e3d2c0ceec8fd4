//! What work that is as large as a dense network will take, told from its operations and the rate of a short product.

use std::time::Instant;

use super::timing::{TURNS, median};
use super::twin::TwinCosts;
use super::{Progress, Trainer};
use crate::kernels::{self, Activation, Epilogue};
use crate::sparse::Weights;
use crate::tiles::{LANES, Tiles};
use crate::topology::{Grow, Shape};

/// Weights drawn in a second.
const DRAWN_A_SECOND: f64 = 1e8;
/// Bytes of weights, gradients and state that a dense step goes through in a second.
const BYTES_A_SECOND: f64 = 4e9;
/// The share of the rate of a square product that gradients of a few rows at a time reach.
const ROWS_RATE: f64 = 0.5;

/// The updates of a method that looks at the gradients of all absent connections.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DenseUpdates {
    /// Cells that an update looks at.
    pub cells: usize,
    /// Updates in a run.
    pub updates: u64,
    /// Seconds that each takes, about.
    pub seconds: f64,
}

impl Trainer {
    /// Seconds that it will take about to build the dense twin and to time its steps.
    pub fn twin_seconds(&self, costs: &TwinCosts) -> f64 {
        // Forward, and backward to the inputs and to the weights.
        let products = 3.0 * self.product_seconds(costs.flops);
        let step = products + costs.training_bytes as f64 / BYTES_A_SECOND;
        costs.nnz as f64 / DRAWN_A_SECOND + TURNS as f64 * step
    }

    /// What the updates of the topology method will take, if they look at all absent connections; the work is streamed, so
    /// it takes time and no memory.
    ///
    /// # Panics
    /// If the settings were not checked.
    pub fn dense_updates(&self) -> Option<DenseUpdates> {
        let topology = self.settings().topology.build().expect("checked at the start");
        let looks =
            matches!(topology.grow, Grow::Gradient) || matches!(topology.shape, Shape::ConstantFanIn { .. });
        let epoch = self.steps_per_epoch();
        let total = epoch * self.settings().train.epochs;
        let updates =
            (1..=total).filter(|&step| topology.when.is_due(&Progress { step, total, epoch })).count() as u64;
        let network = self.network();
        let flops =
            network.weights().map(|(_, it)| 2 * it.weights.rows() * it.weights.cols() * it.uses).sum();
        let seconds = self.product_seconds(flops) / ROWS_RATE;
        (looks && updates > 0).then_some(DenseUpdates { cells: network.connections().1, updates, seconds })
    }

    /// Seconds of dense products of so many operations a sample, for a batch.
    fn product_seconds(&self, flops: usize) -> f64 {
        let samples = self.batch_size().next_multiple_of(LANES);
        flops as f64 * samples as f64 / self.dense_flops_a_second()
    }

    /// How fast this machine multiplies dense matrices as it is busy now.
    fn dense_flops_a_second(&self) -> f64 {
        const SIZE: usize = 1024;
        let weights = Weights::dense(SIZE, SIZE);
        let (input, mut output) = (Tiles::zeros(SIZE, LANES), Tiles::zeros(SIZE, LANES));
        let epilogue = Epilogue::Activate { bias: &[0.0; SIZE], activation: Activation::Identity };
        let times = self.in_pool(|| {
            let mut product = || {
                let start = Instant::now();
                kernels::multiply(self.isa(), &weights, &input, &mut output, epilogue);
                start.elapsed().as_secs_f64()
            };
            (0..5).map(|_| product()).collect()
        });
        (2 * SIZE * SIZE * LANES) as f64 / median(times).expect("five products")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::Method;
    use crate::train::Settings;

    #[test]
    fn only_methods_that_look_at_all_cells_are_told() {
        for (method, looks) in [(Method::Rigl, true), (Method::Srigl, true), (Method::Gse, false)] {
            let mut settings = Settings { threads: 1, ..Settings::default() };
            settings.topology.method = method;
            let found = Trainer::load(settings).unwrap().dense_updates();
            assert_eq!(found.is_some(), looks, "{method:?}");
            if let Some(DenseUpdates { cells, updates, seconds }) = found {
                assert!(cells == 84_480 && updates > 0 && seconds > 0.0);
            }
        }
    }
}
