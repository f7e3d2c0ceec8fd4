//! From settings to numbers: the density at the start, the connections of each layer at the end, and what is steered.

use super::Settings;
use super::model::model_bytes;
use crate::control::{Budget, Controller, LayerCost};
use crate::layers::{Network, NetworkSpec};
use crate::sparse::{self, Pattern, Storage, Weights};
use crate::topology::Topology;
use crate::{Error, Result};

/// A model file holds an index for every matrix that lacks a connection, however it is stored while training.
const FULL: f64 = 1.0;

/// The numbers of a run.
pub(super) struct Plan {
    /// The density that the network starts with.
    pub(super) start: f64,
    /// The density that the topology method ends with.
    end: f64,
    /// What steers lambda to the target.
    pub(super) control: Option<(Controller, Budget)>,
}

impl Plan {
    /// # Errors
    /// A target that cannot be reached.
    pub(super) fn new(settings: &Settings, spec: &NetworkSpec, topology: &Topology) -> Result<Plan> {
        let shapes = spec.linear_shapes();
        let fixed = fixed_bytes(spec)?;
        let Some(budget) = Budget::new(&settings.target, &shapes, fixed, FULL)? else {
            let end = settings.sparsity.density;
            return Ok(Plan { start: topology.start_density(end), end, control: None });
        };
        let cells: usize = shapes.iter().map(|(rows, cols)| rows * cols).sum();
        let layers = |counts: Vec<usize>| -> Vec<LayerCost> {
            shapes.iter().zip(counts).map(|(&(rows, cols), nnz)| LayerCost { rows, cols, nnz }).collect()
        };
        let mut at = |count: usize| match counts(settings, spec, count as f64 / cells as f64) {
            Ok(counts) => layers(counts),
            // A layer would have none: as good as nothing.
            Err(_) => layers(vec![0; shapes.len()]),
        };
        if settings.penalty.build()?.is_none() {
            let count = budget.most_within(budget.limit(), 1, cells, &mut at);
            let end = count as f64 / cells as f64;
            return Ok(Plan { start: topology.start_density(end), end, control: None });
        }
        let start = settings.sparsity.density;
        let cost = budget.cost(&layers(counts(settings, spec, start)?));
        if cost <= budget.limit() {
            return Err(Error::setting(
                "target",
                format!(
                    "is {}, but at sparsity.density = {start} the network starts with {}; start denser",
                    budget.describe(budget.limit()),
                    budget.describe(cost)
                ),
            ));
        }
        let controller =
            Controller::new(cost, budget.limit(), f64::from(settings.penalty.lambda()).max(1e-8));
        Ok(Plan { start, end: start, control: Some((controller, budget)) })
    }

    /// Connections that each parameter is to end with by the topology method's doing.
    pub(super) fn counts(
        &self,
        settings: &Settings,
        spec: &NetworkSpec,
        network: &Network,
    ) -> Result<Vec<usize>> {
        let mut counts = counts(settings, spec, self.end)?.into_iter();
        let parameters = network.parameters();
        Ok(parameters
            .map(|parameter| {
                if parameter.is_weight {
                    counts.next().expect("one per weight")
                } else {
                    parameter.weights.nnz()
                }
            })
            .collect())
    }
}

fn counts(settings: &Settings, spec: &NetworkSpec, density: f64) -> Result<Vec<usize>> {
    let shapes: Vec<Vec<usize>> =
        spec.linear_shapes().into_iter().map(|(rows, cols)| vec![rows, cols]).collect();
    sparse::allocate(settings.sparsity.allocation, density, &shapes)
}

/// Bytes of a model file that do not depend on the number of connections: biases, names, shapes.
fn fixed_bytes(spec: &NetworkSpec) -> Result<usize> {
    let mut saved = 0;
    let thin = Network::load(spec, Storage::Sparse, |_, rows, cols| {
        saved += 8 * rows + 4 * (rows + 1);
        Ok(Weights::zeros(Pattern::from_cells(rows, cols, (0..rows).map(|row| row * cols)), Storage::Sparse))
    })?;
    Ok(model_bytes(&thin).saturating_sub(saved))
}
