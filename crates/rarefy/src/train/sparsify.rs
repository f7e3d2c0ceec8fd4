//! What penalties, constraints and the closed loop do to the weights after an optimizer's step, and when exact zeros
//! leave storage.
//!
//! ```text
//! each step      optimizer -> proximal step or projection          zeros appear, still stored
//! every EVERY    controller looks at the cost, moves lambda
//!                compaction: zeros leave by a Rewire               time and memory fall
//! at END         under a target: the smallest leave until the budget holds, lambda = 0, the rest trains on
//! ```
//! Under a target zeros leave storage only as far as the wanted curve says; the others, those of the largest gradients,
//! stay and may come back. So lambda may be too strong for a while and nothing is lost.

use std::cmp::Ordering;

use crate::control::{Budget, Controller, END, LayerCost};
use crate::layers::{Network, Parameter};
use crate::penalties::{
    Constraint, ConstraintSettings, GroupBy, Groups, PenaltyMethod, PenaltySettings, Regularizer, Scope,
    Steps,
};
use crate::sparse::{Pattern, Weights};
use crate::topology::Progress;
use crate::{Error, Result};

/// Steps from one compaction, and one look of the controller, to the next.
const EVERY: u64 = 50;

/// A penalty, a constraint, and what steers them. The default does nothing.
#[derive(Default)]
pub struct Sparsifier {
    penalty: PenaltySettings,
    constraint: Option<Constraint>,
    /// The controller of lambda and the budget that it steers to.
    pub control: Option<(Controller, Budget)>,
    /// Whether zeros stay stored until END: the optimizer may still revive them, and lambda holds them back.
    pub keeps_zeros: bool,
    /// For each parameter the groups of its weights, as long as its pattern stands; empty for what has none.
    groups: Vec<GroupSlots>,
    steps: Vec<f32>,
}

#[derive(Default)]
struct GroupSlots {
    offsets: Vec<u32>,
    slots: Option<Vec<u32>>,
}

impl Sparsifier {
    /// What the settings ask for, with a controller of lambda if there is a target.
    ///
    /// # Errors
    /// [`Error::Setting`] for a number out of range.
    pub fn new(
        penalty: &PenaltySettings,
        constraint: &ConstraintSettings,
        control: Option<(Controller, Budget)>,
    ) -> Result<Sparsifier> {
        penalty.build()?;
        let constraint = constraint.build()?;
        Ok(Sparsifier {
            penalty: penalty.clone(),
            constraint,
            control,
            keeps_zeros: false,
            groups: Vec::new(),
            steps: Vec::new(),
        })
    }

    /// The penalty's lambda as it stands; `None` without a penalty.
    pub fn lambda(&self) -> Option<f32> {
        (self.penalty.method != PenaltyMethod::None).then(|| match &self.control {
            Some((controller, _)) => controller.state.lambda as f32,
            None => self.penalty.lambda(),
        })
    }

    /// The penalty as it stands, its lambda steered; `None` if there is none or lambda is 0.
    pub fn regularizer(&self) -> Option<Regularizer> {
        let lambda = self.lambda().filter(|&lambda| lambda > 0.0)?;
        PenaltySettings { lambda: Some(lambda), ..self.penalty.clone() }
            .build()
            .expect("checked at the start")
    }

    /// The proximal step of a penalty on groups; `step_size` writes how far a unit of gradient moves each weight of
    /// the parameter of that index.
    pub fn shrink_groups(&mut self, network: &mut Network, step_size: &mut dyn FnMut(usize, &mut [f32])) {
        let Some(Regularizer::Groups(penalty, by)) = self.regularizer() else { return };
        self.groups.resize_with(network.parameters().count(), GroupSlots::default);
        let parameters = network.parameters_mut().zip(&mut self.groups).enumerate();
        for (index, (parameter, groups)) in parameters.filter(|(_, (parameter, _))| parameter.is_weight) {
            if groups.offsets.is_empty() {
                *groups = GroupSlots::of(&parameter.weights, by);
            }
            let values = parameter.weights.values_mut();
            self.steps.resize(values.len().max(self.steps.len()), 0.0);
            let steps = &mut self.steps[..values.len()];
            step_size(index, steps);
            penalty.prox(values, Steps::Each(steps), groups.view());
        }
    }

    /// Projects the weights onto the constraint's set.
    pub fn project(&mut self, network: &mut Network) {
        let Some(constraint) = self.constraint else { return };
        let cells = |parameter: &Parameter| parameter.weights.rows() * parameter.weights.cols();
        match constraint.scope() {
            Scope::Layer => {
                for parameter in network.parameters_mut().filter(|parameter| parameter.is_weight) {
                    let slices = std::iter::once(parameter.weights.values());
                    let projection = constraint.projection(slices, cells(parameter), &mut self.steps);
                    projection.apply(parameter.weights.values_mut(), 0);
                }
            }
            Scope::Global => {
                let weights = network.parameters().filter(|parameter| parameter.is_weight);
                let total = weights.clone().map(cells).sum();
                let slices = weights.map(|parameter| parameter.weights.values());
                let projection = constraint.projection(slices, total, &mut self.steps);
                let mut first = 0;
                for parameter in network.parameters_mut().filter(|parameter| parameter.is_weight) {
                    let values = parameter.weights.values_mut();
                    projection.apply(values, first);
                    first += values.len();
                }
            }
        }
    }

    /// Looks at the cost, moves lambda, and says how many connections each parameter keeps and which: `None` where all
    /// stay.
    ///
    /// # Errors
    /// If a penalty without a target has left a layer without a weight.
    pub fn compact(
        &mut self,
        network: &Network,
        progress: &Progress,
    ) -> Result<Option<Vec<Option<Pattern>>>> {
        if self.lambda().is_none() && self.constraint.is_none() {
            return Ok(None);
        }
        let t = progress.fraction();
        let at_end = t >= END && (progress.step - 1) as f64 / (progress.total as f64) < END;
        let last = progress.step == progress.total;
        if !(progress.step.is_multiple_of(EVERY) || at_end || last) {
            return Ok(None);
        }
        let mut live = Live::of(network);
        let nonzeros = live.costs(|entry| entry.value != 0.0);
        let count = nonzeros.iter().map(|layer| layer.nnz).sum();
        let Some((controller, budget)) = &mut self.control else {
            if self.keeps_zeros && t < END {
                return Ok(None);
            }
            check_layers(network, &nonzeros, progress.step)?;
            return Ok(live.keep(network, count));
        };
        let cost = budget.cost(&nonzeros);
        controller.observe(cost, t);
        if (t > END || self.keeps_zeros) && !at_end {
            return Ok(None);
        }
        let count = if at_end {
            live.rank();
            let costs = &mut |count| live.costs_of_first(count);
            budget.most_within(budget.limit(), live.floor(), live.entries.len(), costs)
        } else {
            // The count that the wanted cost stands for, at the mean cost of a weight.
            let wanted = (count as f64 * controller.wanted(t) / cost).ceil() as usize;
            wanted.max(count).max(live.floor())
        };
        Ok(live.keep(network, count))
    }

    /// Whether penalty and constraint have had their time, when the share `t` of the run is done.
    pub fn is_settled(&self, t: f64) -> bool {
        t >= END || (self.lambda().is_none() && self.constraint.is_none())
    }

    /// Forgets what depends on patterns, because they changed.
    pub fn patterns_changed(&mut self) {
        self.groups.clear();
    }
}

impl GroupSlots {
    /// The rows of a matrix (its neurons) or its columns (its inputs).
    fn of(weights: &Weights, by: GroupBy) -> GroupSlots {
        let (rows, cols) = (weights.rows() as u32, weights.cols() as u32);
        match (weights, by) {
            (Weights::Sparse(sparse), GroupBy::Neurons) => {
                GroupSlots { offsets: sparse.pattern().index().offsets().to_vec(), slots: None }
            }
            (Weights::Sparse(sparse), GroupBy::Inputs) => {
                let transpose = sparse.pattern().transpose();
                GroupSlots {
                    offsets: transpose.index.offsets().to_vec(),
                    slots: Some(transpose.positions.clone()),
                }
            }
            (Weights::Dense(_), GroupBy::Neurons) => {
                GroupSlots { offsets: (0..=rows).map(|row| row * cols).collect(), slots: None }
            }
            (Weights::Dense(_), GroupBy::Inputs) => GroupSlots {
                offsets: (0..=cols).map(|col| col * rows).collect(),
                slots: Some((0..cols).flat_map(|col| (0..rows).map(move |row| row * cols + col)).collect()),
            },
        }
    }

    fn view(&self) -> Groups<'_> {
        Groups { offsets: &self.offsets, slots: self.slots.as_deref() }
    }
}

/// A stored connection.
#[derive(Clone, Copy)]
struct Entry {
    parameter: u32,
    /// One of the largest of its layer, as many as the layer has outputs: kept come what may.
    is_safe: bool,
    value: f32,
    gradient: f32,
    cell: u64,
}

impl Entry {
    /// Larger ones stay: the safe, then by magnitude, then (among zeros) by gradient, then the first.
    fn rank(&self, other: &Entry) -> Ordering {
        other
            .is_safe
            .cmp(&self.is_safe)
            .then(other.value.abs().total_cmp(&self.value.abs()))
            .then(other.gradient.abs().total_cmp(&self.gradient.abs()))
            .then((self.parameter, self.cell).cmp(&(other.parameter, other.cell)))
    }
}

/// All stored connections of all weight matrices.
struct Live {
    entries: Vec<Entry>,
    /// For each parameter its shape; `None` for a bias.
    shapes: Vec<Option<(usize, usize)>>,
}

impl Live {
    fn of(network: &Network) -> Live {
        let (mut entries, mut shapes) = (Vec::new(), Vec::new());
        for (index, parameter) in network.parameters().enumerate() {
            shapes.push(parameter.is_weight.then(|| (parameter.weights.rows(), parameter.weights.cols())));
            if !parameter.is_weight {
                continue;
            }
            let first = entries.len();
            let values = parameter.weights.values();
            entries.extend(parameter.weights.connections().map(|(cell, slot)| Entry {
                parameter: index as u32,
                is_safe: false,
                value: values[slot],
                gradient: parameter.gradient[slot],
                cell: cell as u64,
            }));
            let layer = &mut entries[first..];
            let safe = parameter.weights.rows().min(layer.len());
            if safe < layer.len() {
                layer.select_nth_unstable_by(safe, Entry::rank);
            }
            layer[..safe].iter_mut().for_each(|entry| entry.is_safe = true);
        }
        Live { entries, shapes }
    }

    /// The layers with the connections that `is_counted` says.
    fn costs(&self, is_counted: impl Fn(&Entry) -> bool) -> Vec<LayerCost> {
        let mut counts = vec![0; self.shapes.len()];
        self.entries
            .iter()
            .filter(|entry| is_counted(entry))
            .for_each(|entry| counts[entry.parameter as usize] += 1);
        let layers = self.shapes.iter().zip(counts);
        layers.filter_map(|(shape, nnz)| shape.map(|(rows, cols)| LayerCost { rows, cols, nnz })).collect()
    }

    /// Orders the connections, those that stay first.
    fn rank(&mut self) {
        self.entries.sort_unstable_by(Entry::rank);
    }

    /// The layers with the first `count` connections in rank.
    fn costs_of_first(&self, count: usize) -> Vec<LayerCost> {
        let first = Live { entries: self.entries[..count].to_vec(), shapes: self.shapes.clone() };
        first.costs(|_| true)
    }

    /// Connections that are kept come what may.
    fn floor(&self) -> usize {
        self.entries.iter().filter(|entry| entry.is_safe).count()
    }

    /// The patterns of the `count` connections that stay; `None` for a parameter that loses none.
    fn keep(mut self, network: &Network, count: usize) -> Option<Vec<Option<Pattern>>> {
        if count >= self.entries.len() {
            return None;
        }
        self.entries.select_nth_unstable_by(count, Entry::rank);
        self.entries.truncate(count);
        let mut cells = vec![Vec::new(); self.shapes.len()];
        self.entries.iter().for_each(|entry| cells[entry.parameter as usize].push(entry.cell as usize));
        let parameters = network.parameters().zip(cells);
        let patterns = parameters.map(|(parameter, mut cells)| {
            let weights = &parameter.weights;
            (parameter.is_weight && cells.len() < weights.nnz()).then(|| {
                cells.sort_unstable();
                Pattern::from_cells(weights.rows(), weights.cols(), cells.into_iter())
            })
        });
        Some(patterns.collect())
    }
}

fn check_layers(network: &Network, nonzeros: &[LayerCost], step: u64) -> Result<()> {
    let names = network.parameters().filter(|parameter| parameter.is_weight).map(|parameter| &parameter.name);
    match names.zip(nonzeros).find(|(_, layer)| layer.nnz == 0) {
        Some((name, _)) => Err(Error::setting(
            "penalty.lambda",
            format!(
                "has driven every weight of {name} to zero by step {step}; lower it, or ask for a target instead"
            ),
        )),
        None => Ok(()),
    }
}
