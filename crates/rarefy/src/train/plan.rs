//! From settings to numbers: the density at the start, the connections of each layer at the end, and what is steered.

use serde::{Deserialize, Serialize};

use super::Settings;
use super::model::model_bytes;
use super::sparse_start;
use crate::control::{Budget, Controller, LayerCost};
use crate::layers::{Network, NetworkSpec, WeightShape};
use crate::sparse::{Pattern, Storage, Weights};
use crate::topology::Topology;
use crate::{Error, Result};

/// How few connections a layer may have at the start, and as topology methods count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Floor {
    /// One for each output.
    #[default]
    Outputs,
    /// As few as the density says, or a target; none is an error.
    Density,
}

impl Floor {
    /// That of runs whose files say nothing of it.
    pub(super) fn of_older_files() -> Floor {
        Floor::Density
    }

    fn least(self, shape: &WeightShape) -> usize {
        match self {
            Floor::Outputs => shape.least,
            Floor::Density => 0,
        }
    }
}

/// The numbers of a run.
pub(super) struct Plan {
    /// How few connections a layer may have.
    floor: Floor,
    /// The density that the network starts with.
    pub(super) start: f64,
    /// The density that the topology method ends with.
    end: f64,
    /// The share of weights that an optimizer which grows the network starts with away from zero; `None` for others,
    /// which start with all.
    pub(super) filled: Option<f64>,
    /// What steers lambda to the target.
    pub(super) control: Option<(Controller, Budget)>,
}

impl Plan {
    /// # Errors
    /// A target that cannot be reached.
    pub(super) fn new(
        settings: &Settings,
        spec: &NetworkSpec,
        topology: &Topology,
        floor: Floor,
    ) -> Result<Plan> {
        let whole: Vec<LayerCost> = spec
            .weight_shapes()?
            .iter()
            .map(|it| LayerCost {
                rows: it.rows,
                cols: it.cols,
                nnz: it.cells(),
                uses: it.uses,
                block: settings.sparsity.block.in_layer(it.alike),
            })
            .collect();
        let grows = settings.optimizer.method().is_bregman();
        let fixed = fixed_bytes(spec, &whole)?;
        let Some(mut budget) = Budget::new(&settings.target, &whole, fixed)? else {
            let end = settings.sparsity.density;
            let filled = grows.then(|| sparse_start::density(end));
            return Ok(Plan { floor, start: topology.start_density(end), end, filled, control: None });
        };
        // A target is met, whatever that leaves.
        let floor = Floor::Density;
        let cells: usize = whole.iter().map(LayerCost::cells).sum();
        let layers = |counts: Vec<usize>| -> Vec<LayerCost> {
            let whole_blocks = |nnz: usize, block: usize| (nnz / block).max(usize::from(nnz > 0)) * block;
            let layers = whole.iter().zip(counts);
            layers.map(|(layer, nnz)| LayerCost { nnz: whole_blocks(nnz, layer.block), ..*layer }).collect()
        };
        let mut at = |count: usize| match counts(settings, spec, count as f64 / cells as f64, floor) {
            Ok(counts) => layers(counts),
            // A layer would have none: as good as nothing.
            Err(_) => layers(vec![0; whole.len()]),
        };
        if settings.penalty.build()?.is_none() {
            let mut count = budget.most_within(1, cells, &mut at);
            while let Some(limit) = budget.bytes() {
                // The file's header has digits that depend on the count.
                let layers = at(count);
                let bytes = bytes_with(spec, &layers)? as f64;
                if bytes <= limit || count == 1 {
                    break;
                }
                budget.correct_bytes(&layers, bytes);
                count = budget.most_within(1, count - 1, &mut at);
            }
            let end = count as f64 / cells as f64;
            return Ok(Plan { floor, start: topology.start_density(end), end, filled: None, control: None });
        }
        let start = settings.sparsity.density;
        let at_start = layers(counts(settings, spec, start, floor)?);
        if budget.used(&at_start) <= 1.0 {
            let cure = if start < 1.0 { "start denser" } else { "ask for less, or leave the target out" };
            return Err(Error::setting(
                "target",
                format!(
                    "is {}, but at sparsity.density = {start} the network starts with {}; {cure}",
                    budget.text(),
                    budget.cost_text(&at_start)
                ),
            ));
        }
        let filled = grows.then(|| {
            let count = budget.most_within(1, cells, &mut at);
            sparse_start::density(count as f64 / cells as f64)
        });
        // Away from zero, which is what the controller looks at.
        let used = match filled {
            Some(share) => budget.used(&layers(share_of(&whole, share))),
            None => budget.used(&at_start),
        };
        let lambda = f64::from(sparse_start::penalty(settings).lambda()).max(1e-8);
        let controller = Controller::new(used, 1.0, lambda);
        Ok(Plan { floor, start, end: start, filled, control: Some((controller, budget)) })
    }

    /// Connections that each weight starts with.
    ///
    /// # Errors
    /// A density that leaves a layer without connections.
    pub(super) fn counts_at_start(&self, settings: &Settings, spec: &NetworkSpec) -> Result<Vec<usize>> {
        counts(settings, spec, self.start, self.floor)
    }

    /// What to say if outputs that would have no connection made the network denser than was asked for.
    ///
    /// # Errors
    /// As of [`counts_at_start`](Plan::counts_at_start).
    pub(super) fn note(&self, settings: &Settings, spec: &NetworkSpec) -> Result<Option<String>> {
        let found = counts(settings, spec, self.end, self.floor)?;
        if counts(settings, spec, self.end, Floor::Density).is_ok_and(|asked| asked == found) {
            return Ok(None);
        }
        let cells: usize = spec.weight_shapes()?.iter().map(WeightShape::cells).sum();
        let density = found.iter().sum::<usize>() as f64 / cells as f64;
        Ok(Some(format!(
            "a density of {density:.3} in place of {:.3}: each output starts with a connection",
            self.end
        )))
    }

    /// Connections that each parameter is to end with by the topology method's doing.
    pub(super) fn counts(
        &self,
        settings: &Settings,
        spec: &NetworkSpec,
        network: &Network,
    ) -> Result<Vec<usize>> {
        let mut counts = counts(settings, spec, self.end, self.floor)?.into_iter();
        let parameters = network.parameters();
        Ok(parameters
            .map(|parameter| {
                if parameter.is_weight() {
                    counts.next().expect("one per weight")
                } else {
                    parameter.weights.nnz()
                }
            })
            .collect())
    }
}

fn counts(settings: &Settings, spec: &NetworkSpec, density: f64, floor: Floor) -> Result<Vec<usize>> {
    spec.connections(settings.sparsity.allocation, density, |shape| floor.least(shape))
}

/// So many connections of each layer as a share of its cells is.
fn share_of(whole: &[LayerCost], share: f64) -> Vec<usize> {
    whole.iter().map(|layer| (share * layer.cells() as f64).ceil() as usize).collect()
}

/// Bytes of a model file with so many connections of each layer.
fn bytes_with(spec: &NetworkSpec, layers: &[LayerCost]) -> Result<usize> {
    let mut layers = layers.iter();
    let network = Network::load(spec, Storage::Sparse, |_, rows, cols| {
        let LayerCost { nnz, block, .. } = *layers.next().expect("one per weight");
        let pattern = Pattern::from_cells(rows / block, cols, 0..nnz / block);
        Ok(Weights::zeros_by(block, pattern, Storage::Auto))
    })?;
    Ok(model_bytes(&network))
}

/// Bytes of a model file that depend neither on connections nor on neurons: names, shapes.
fn fixed_bytes(spec: &NetworkSpec, whole: &[LayerCost]) -> Result<usize> {
    let (mut layers, mut saved) = (whole.iter(), 0);
    let thin = Network::load(spec, Storage::Sparse, |_, rows, cols| {
        let layer = layers.next().expect("one per weight");
        // What counts with the connections: the index and the bias, as a budget takes them.
        saved += LayerCost { nnz: rows, ..*layer }.bytes();
        let lines = rows / layer.block;
        let pattern = Pattern::from_cells(lines, cols, (0..lines).map(|line| line * cols));
        Ok(Weights::zeros_by(layer.block, pattern, Storage::Sparse))
    })?;
    Ok(model_bytes(&thin).saturating_sub(saved))
}
