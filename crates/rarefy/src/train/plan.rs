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
pub(super) struct Plan<'a> {
    pub(super) settings: &'a Settings,
    pub(super) spec: &'a NetworkSpec,
    pub(super) topology: &'a Topology,
    /// How few connections a layer may have.
    floor: Floor,
    /// The density that the network starts with.
    start: f64,
    /// The density that the topology method ends with.
    end: f64,
    /// The share of weights that an optimizer which grows the network starts with away from zero; `None` for others,
    /// which start with all.
    pub(super) filled: Option<f64>,
    /// What steers lambda to the target.
    pub(super) control: Option<(Controller, Budget)>,
}

impl<'a> Plan<'a> {
    /// # Errors
    /// A target that cannot be reached.
    pub(super) fn new(
        settings: &'a Settings,
        spec: &'a NetworkSpec,
        topology: &'a Topology,
        floor: Floor,
    ) -> Result<Plan<'a>> {
        let plan = |floor: Floor, start: f64, end: f64| {
            let (filled, control) = (None, None);
            Plan { settings, spec, topology, floor, start, end, filled, control }
        };
        let grows = settings.optimizer.method().is_bregman();
        let Some(mut aim) = Aim::new(settings, spec)? else {
            let end = settings.sparsity.density;
            let filled = grows.then(|| sparse_start::density(end));
            return Ok(Plan { filled, ..plan(floor, topology.start_density(end), end) });
        };
        // A target is met, whatever that leaves.
        let floor = Floor::Density;
        if settings.penalty.build()?.is_none() {
            let most = aim.most_in_a_file()?;
            let end = aim.density(most);
            return Ok(plan(floor, topology.start_density(end), end));
        }
        let start = settings.sparsity.density;
        let filled = grows.then(|| sparse_start::density(aim.density(aim.most(aim.cells))));
        let controller = aim.controller(start, filled)?;
        Ok(Plan { filled, control: Some((controller, aim.budget)), ..plan(floor, start, start) })
    }

    /// Connections that each weight starts with.
    ///
    /// # Errors
    /// A density that leaves a layer without connections.
    pub(super) fn counts_at_start(&self) -> Result<Vec<usize>> {
        counts(self.settings, self.spec, self.start, self.floor)
    }

    /// What to say if outputs that would have no connection made the network denser than was asked for.
    ///
    /// # Errors
    /// As of [`counts_at_start`](Plan::counts_at_start).
    pub(super) fn note(&self) -> Result<Option<String>> {
        let found = counts(self.settings, self.spec, self.end, self.floor)?;
        if counts(self.settings, self.spec, self.end, Floor::Density).is_ok_and(|asked| asked == found) {
            return Ok(None);
        }
        let cells: usize = self.spec.weight_shapes()?.iter().map(WeightShape::cells).sum();
        let density = found.iter().sum::<usize>() as f64 / cells as f64;
        Ok(Some(format!(
            "a density of {density:.3} in place of {:.3}: each output starts with a connection",
            self.end
        )))
    }

    /// Connections that each parameter is to end with by the topology method's doing.
    pub(super) fn counts(&self, network: &Network) -> Result<Vec<usize>> {
        let mut counts = counts(self.settings, self.spec, self.end, self.floor)?.into_iter();
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

/// A target, and the layers that are to meet it.
struct Aim<'a> {
    settings: &'a Settings,
    spec: &'a NetworkSpec,
    budget: Budget,
    /// The layers with all connections.
    whole: Vec<LayerCost>,
    /// Cells of all layers.
    cells: usize,
}

impl<'a> Aim<'a> {
    fn new(settings: &'a Settings, spec: &'a NetworkSpec) -> Result<Option<Aim<'a>>> {
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
        let budget = Budget::new(&settings.target, &whole, fixed_bytes(spec, &whole)?)?;
        let cells = whole.iter().map(LayerCost::cells).sum();
        Ok(budget.map(|budget| Aim { settings, spec, budget, whole, cells }))
    }

    fn density(&self, count: usize) -> f64 {
        count as f64 / self.cells as f64
    }

    /// The layers with so many connections each, in whole blocks.
    fn layers(&self, counts: Vec<usize>) -> Vec<LayerCost> {
        let whole_blocks = |nnz: usize, block: usize| (nnz / block).max(usize::from(nnz > 0)) * block;
        let layers = self.whole.iter().zip(counts);
        layers.map(|(layer, nnz)| LayerCost { nnz: whole_blocks(nnz, layer.block), ..*layer }).collect()
    }

    /// The layers with so many connections in all.
    fn layers_of(&self, count: usize) -> Vec<LayerCost> {
        let counts = counts(self.settings, self.spec, self.density(count), Floor::Density);
        // A layer would have none: as good as nothing.
        self.layers(counts.unwrap_or_else(|_| vec![0; self.whole.len()]))
    }

    /// The most connections up to `high` that meet the target; 1 if none do.
    fn most(&self, high: usize) -> usize {
        self.budget.most_within(1, high, &mut |count| self.layers_of(count))
    }

    /// The most connections that meet the target in a file too, whose header has digits that depend on the count.
    fn most_in_a_file(&mut self) -> Result<usize> {
        let mut count = self.most(self.cells);
        while let Some(limit) = self.budget.bytes() {
            let layers = self.layers_of(count);
            let bytes = bytes_with(self.spec, &layers)? as f64;
            if bytes <= limit || count == 1 {
                break;
            }
            self.budget.correct_bytes(&layers, bytes);
            count = self.most(count - 1);
        }
        Ok(count)
    }

    /// What steers lambda to the target, from a density at which, if `filled` says so, only that share of the weights is away from
    /// zero.
    fn controller(&self, start: f64, filled: Option<f64>) -> Result<Controller> {
        let at_start = self.layers(counts(self.settings, self.spec, start, Floor::Density)?);
        if self.budget.used(&at_start) <= 1.0 {
            let cure = if start < 1.0 { "start denser" } else { "ask for less, or leave the target out" };
            return Err(Error::setting(
                "target",
                format!(
                    "is {}, but at sparsity.density = {start} the network starts with {}; {cure}",
                    self.budget.text(),
                    self.budget.cost_text(&at_start)
                ),
            ));
        }
        // Away from zero, which is what the controller looks at.
        let used = match filled {
            Some(share) => self.budget.used(&self.layers(share_of(&self.whole, share))),
            None => self.budget.used(&at_start),
        };
        let lambda = f64::from(sparse_start::penalty(self.settings).lambda()).max(1e-8);
        Ok(Controller::new(used, 1.0, lambda))
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
