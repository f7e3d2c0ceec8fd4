//! What penalties, constraints and the closed loop do to the weights after an optimizer's step, and when exact zeros
//! leave storage.
//!
//! ```text
//! each step      optimizer -> proximal step or projection          zeros appear, still stored
//! now and then   controller looks at the cost, moves lambda
//!                compaction: zeros leave by a Rewire               time and memory fall
//! at END         under a target: the smallest leave until the budget holds, lambda = 0, the rest trains on
//! ```
//! Under a target zeros leave storage only as far as the wanted curve says; the others, those of the largest gradients,
//! stay and may come back. So lambda may be too strong for a while and nothing is lost.

use std::cmp::Ordering;
use std::collections::HashSet;

use crate::control::{Budget, Controller, END, LayerCost};
use crate::layers::{Network, Parameter};
use crate::penalties::{
    Constraint, ConstraintSettings, GroupBy, Groups, PenaltyMethod, PenaltySettings, Regularizer, Scope,
    Steps,
};
use crate::sparse::{Pattern, Weights};
use crate::topology::Progress;
use crate::{Error, Result};

/// Times in a run that the controller looks and zeros leave storage. With 40 times lambda could not rise by the three
/// decades that MCP needs, and half of the weights left at once at END.
const LOOKS: u64 = 200;

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

    /// The penalty's name.
    pub fn method(&self) -> PenaltyMethod {
        self.penalty.method
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

    /// Whether zeros may leave after the step that was just done.
    pub fn is_due(&self, progress: &Progress) -> bool {
        // Gates learn slowly: looked at more often, lambda overshoots and closes too many.
        let looks = if self.penalty.method == PenaltyMethod::L0Gates { LOOKS / 10 } else { LOOKS };
        let every = (progress.total / looks).max(1);
        let last = progress.step == progress.total;
        !self.is_idle() && (progress.step.is_multiple_of(every) || is_at_end(progress) || last)
    }

    /// Whether the budget must hold after the step that was just done.
    pub fn reaches_target(&self, progress: &Progress) -> bool {
        self.control.is_some() && is_at_end(progress)
    }

    /// Looks at the cost, moves lambda, and says how many connections each parameter keeps and which: `None` where all
    /// stay. The network holds effective values; `stored` has the stored ones of each weight matrix where they differ.
    ///
    /// # Errors
    /// If a penalty without a target has left a layer without a weight.
    pub fn compact(
        &mut self,
        network: &Network,
        stored: &[&[f32]],
        progress: &Progress,
    ) -> Result<Option<Kept>> {
        let (t, at_end) = (progress.fraction(), is_at_end(progress));
        let mut live = Live::of(network, stored, self.control.is_some());
        let nonzeros = live.costs(|entry| entry.value != 0.0);
        let count = live.entries.iter().filter(|entry| entry.counts()).count();
        let Some((controller, budget)) = &mut self.control else {
            if self.keeps_zeros && t < END {
                return Ok(None);
            }
            check_layers(network, &nonzeros, progress.step)?;
            live.cut(count);
            return Ok(live.kept(network));
        };
        let cost = budget.cost(&nonzeros);
        controller.observe(cost, t);
        if (t > END || self.keeps_zeros) && !at_end {
            return Ok(None);
        }
        if at_end {
            live = live.at_budget(budget);
        } else {
            // The count that the wanted cost stands for, at the mean cost of a weight; and half as many again, because
            // some of the zeros hang on dead neurons and could not fill the budget at END.
            let wanted = (1.5 * count as f64 * controller.wanted(t) / cost).ceil() as usize;
            live.cut(wanted.max(count));
        }
        Ok(live.kept(network))
    }

    /// Whether there is neither penalty nor constraint.
    pub fn is_idle(&self) -> bool {
        self.lambda().is_none() && self.constraint.is_none()
    }

    /// Whether penalty and constraint have had their time, when the share `t` of the run is done.
    pub fn is_settled(&self, t: f64) -> bool {
        t >= END || self.is_idle()
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

/// What stays when zeros leave.
pub struct Kept {
    /// For each parameter its connections; `None` where all stay.
    pub patterns: Vec<Option<Pattern>>,
    /// For each parameter which of its inputs are neurons without inputs of their own, whose output is one number: a
    /// connection that leaves from there was part of the bias.
    pub constants: Vec<Vec<bool>>,
}

/// A stored connection.
#[derive(Clone, Copy)]
struct Entry {
    parameter: u32,
    /// One of the largest nonzeros of its layer, as many as the layer has outputs: kept come what may.
    is_safe: bool,
    /// The weight; 0 if it is part of a dead chain.
    value: f32,
    /// What tells zeros apart: the gradient, or the stored value where the effective one is zero.
    promise: f32,
    /// Part of a chain that dies by a cut.
    is_removed: bool,
    cell: u64,
}

impl Entry {
    /// Whether it is more than a zero that could as well go.
    fn counts(&self) -> bool {
        self.value != 0.0 || self.is_safe
    }

    fn place(&self) -> (u32, u64) {
        (self.parameter, self.cell)
    }

    /// Larger ones stay: the safe, then by magnitude, then (among zeros) by promise, then the first.
    fn rank(&self, other: &Entry) -> Ordering {
        other
            .is_safe
            .cmp(&self.is_safe)
            .then(other.value.abs().total_cmp(&self.value.abs()))
            .then(other.promise.abs().total_cmp(&self.promise.abs()))
            .then(self.place().cmp(&other.place()))
    }
}

/// All stored connections of all weight matrices.
#[derive(Clone)]
struct Live {
    entries: Vec<Entry>,
    /// For each parameter its shape; `None` for a bias.
    shapes: Vec<Option<(usize, usize)>>,
    /// As in [`Kept`].
    constants: Vec<Vec<bool>>,
}

impl Live {
    /// With `has_floor` each layer keeps as many connections as it has outputs.
    fn of(network: &Network, stored: &[&[f32]], has_floor: bool) -> Live {
        let mut stored = stored.iter();
        let (mut entries, mut shapes, mut ranges) = (Vec::new(), Vec::new(), Vec::new());
        for (index, parameter) in network.parameters().enumerate() {
            shapes.push(parameter.is_weight.then(|| (parameter.weights.rows(), parameter.weights.cols())));
            if !parameter.is_weight {
                continue;
            }
            let first = entries.len();
            let values = parameter.weights.values();
            let promises = stored.next().map_or(&parameter.gradient[..], |stored| stored);
            entries.extend(parameter.weights.connections().map(|(cell, slot)| Entry {
                parameter: index as u32,
                is_safe: false,
                value: values[slot],
                promise: promises[slot],
                is_removed: false,
                cell: cell as u64,
            }));
            ranges.push((index, first..entries.len()));
        }
        let mut live = Live { entries, constants: vec![Vec::new(); shapes.len()], shapes };
        live.remove_dead_chains(|entry| entry.value != 0.0, |entry| entry.value = 0.0);
        for (index, range) in ranges.into_iter().filter(|_| has_floor) {
            let (rows, _) = live.shapes[index].expect("a weight");
            let layer = &mut live.entries[range];
            // Zeros are not worth a place elsewhere, unless a layer has nothing else.
            let living = layer.iter().filter(|entry| entry.value != 0.0).count();
            let safe = rows.min(if living > 0 { living } else { layer.len() });
            if safe < layer.len() {
                layer.select_nth_unstable_by(safe, Entry::rank);
            }
            layer[..safe].iter_mut().for_each(|entry| entry.is_safe = true);
        }
        live
    }

    /// Takes away what leads into neurons from which nothing leads on, then what leads out of neurons into which nothing
    /// leads: `is_present` tells a connection that leads, `remove` makes it one that does not.
    fn remove_dead_chains(&mut self, is_present: fn(&Entry) -> bool, remove: fn(&mut Entry)) {
        let shape = |index: usize| self.shapes[index].unwrap_or_default();
        let weights: Vec<usize> =
            (0..self.shapes.len()).filter(|&index| self.shapes[index].is_some()).collect();
        let pairs = weights.iter().zip(weights.iter().skip(1)).map(|(&before, &after)| (before, after));
        let joints: Vec<(usize, usize)> =
            pairs.filter(|&(before, after)| shape(before).0 == shape(after).1).collect();
        let reached = |entries: &[Entry], index: usize, units: usize, unit: &dyn Fn(usize) -> usize| {
            let mut reached = vec![false; units];
            let live = entries.iter().filter(|entry| entry.parameter as usize == index && is_present(entry));
            live.for_each(|entry| reached[unit(entry.cell as usize)] = true);
            reached
        };
        let clear = |entries: &mut [Entry], index: usize, is_live: &dyn Fn(usize) -> bool| {
            let entries = entries.iter_mut().filter(|entry| entry.parameter as usize == index);
            entries.filter(|entry| !is_live(entry.cell as usize)).for_each(remove);
        };
        for &(before, after) in joints.iter().rev() {
            let (cols_before, cols) = (shape(before).1, shape(after).1);
            let has_outputs = reached(&self.entries, after, cols, &|cell| cell % cols);
            clear(&mut self.entries, before, &|cell| has_outputs[cell / cols_before]);
        }
        for &(before, after) in &joints {
            let (cols_before, cols) = (shape(before).1, shape(after).1);
            let has_inputs = reached(&self.entries, before, cols, &|cell| cell / cols_before);
            clear(&mut self.entries, after, &|cell| has_inputs[cell % cols]);
            self.constants[after] = has_inputs.iter().map(|has| !has).collect();
        }
    }

    /// The layers with the connections that `is_counted` says.
    fn costs(&self, is_counted: impl Fn(&Entry) -> bool) -> Vec<LayerCost> {
        costs(&self.shapes, self.entries.iter().filter(|entry| is_counted(entry)))
    }

    /// What the budget allows: the first in rank, and what can be added or exchanged so that it is used up.
    fn at_budget(mut self, budget: &Budget) -> Live {
        self.entries.sort_unstable_by(Entry::rank);
        let (limit, floor) = (budget.limit(), self.floor());
        let count = budget
            .most_within(limit, floor, self.entries.len(), &mut |count| self.living(count).costs(|_| true));
        let narrow = self.living(count);
        let mut filled = narrow.clone();
        filled.fill(self.entries[count..].to_vec(), budget);
        if count == self.entries.len() || budget.cost(&filled.costs(|_| true)) > 0.99 * limit {
            return filled;
        }
        // One more connection means a whole chain: take it, and let the smallest of the others go instead.
        let before: HashSet<(u32, u64)> = narrow.entries.iter().map(Entry::place).collect();
        let wide = self.living(count + 1);
        let without = |gone: usize| {
            let mut left = gone;
            let mut exchanged = wide.clone();
            exchanged.entries.reverse();
            exchanged.entries.retain(|entry| {
                let goes = left > 0 && !entry.is_safe && before.contains(&entry.place());
                left -= usize::from(goes);
                !goes
            });
            exchanged.entries.reverse();
            exchanged.living(exchanged.entries.len())
        };
        let most = narrow.entries.len();
        let kept = budget.most_within(limit, 0, most, &mut |kept| without(most - kept).costs(|_| true));
        let exchanged = without(most - kept);
        let cost = |live: &Live| budget.cost(&live.costs(|_| true));
        if cost(&exchanged) <= limit && cost(&exchanged) > cost(&filled) { exchanged } else { filled }
    }

    /// The first `count` connections in rank, without the chains that die by the cut.
    fn living(&self, count: usize) -> Live {
        let (shapes, constants) = (self.shapes.clone(), self.constants.clone());
        let mut living = Live { entries: self.entries[..count].to_vec(), shapes, constants };
        living.remove_dead_chains(|entry| !entry.is_removed, |entry| entry.is_removed = true);
        living.entries.retain(|entry| !entry.is_removed);
        living
    }

    /// Adds as many of `spare` as the budget allows, of those between neurons that live: one more in rank may have meant
    /// a whole chain.
    fn fill(&mut self, mut spare: Vec<Entry>, budget: &Budget) {
        let mut cells = vec![(HashSet::new(), HashSet::new()); self.shapes.len()];
        let place = |entry: &Entry| {
            let (_, cols) = self.shapes[entry.parameter as usize].expect("a connection of a weight matrix");
            (entry.cell as usize / cols, entry.cell as usize % cols)
        };
        for entry in &self.entries {
            let (rows, cols) = &mut cells[entry.parameter as usize];
            rows.insert(place(entry).0);
            cols.insert(place(entry).1);
        }
        spare.retain(|entry| {
            let (rows, cols) = &cells[entry.parameter as usize];
            rows.contains(&place(entry).0) && cols.contains(&place(entry).1)
        });
        let count = budget.most_within(budget.limit(), 0, spare.len(), &mut |count| {
            costs(&self.shapes, self.entries.iter().chain(&spare[..count]))
        });
        self.entries.extend_from_slice(&spare[..count]);
    }

    /// Leaves the first `count` connections in rank, in any order.
    fn cut(&mut self, count: usize) {
        if count < self.entries.len() {
            self.entries.select_nth_unstable_by(count, Entry::rank);
            self.entries.truncate(count);
        }
    }

    /// Connections that are kept come what may.
    fn floor(&self) -> usize {
        self.entries.iter().filter(|entry| entry.is_safe).count()
    }

    /// The patterns of these connections; `None` if all that were stored are among them.
    fn kept(self, network: &Network) -> Option<Kept> {
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
        let patterns: Vec<Option<Pattern>> = patterns.collect();
        patterns.iter().any(Option::is_some).then_some(Kept { patterns, constants: self.constants })
    }
}

/// What layers of these connections cost: a hidden neuron counts if a connection leads to it and one leads on.
fn costs<'a>(shapes: &[Option<(usize, usize)>], entries: impl Iterator<Item = &'a Entry>) -> Vec<LayerCost> {
    let mut counts = vec![0; shapes.len()];
    let units = |units: fn(&(usize, usize)) -> usize| -> Vec<Vec<bool>> {
        shapes.iter().map(|shape| vec![false; shape.as_ref().map_or(0, units)]).collect()
    };
    let (mut reached, mut read) = (units(|shape| shape.0), units(|shape| shape.1));
    for entry in entries {
        let index = entry.parameter as usize;
        let (_, cols) = shapes[index].expect("a connection of a weight matrix");
        counts[index] += 1;
        reached[index][entry.cell as usize / cols] = true;
        read[index][entry.cell as usize % cols] = true;
    }
    let weights: Vec<usize> = (0..shapes.len()).filter(|&index| shapes[index].is_some()).collect();
    let live: Vec<usize> = weights
        .iter()
        .enumerate()
        .map(|(place, &index)| match weights.get(place + 1).map(|&next| &read[next]) {
            Some(read) if read.len() == reached[index].len() => {
                reached[index].iter().zip(read).filter(|(reached, read)| **reached && **read).count()
            }
            _ => reached[index].len(),
        })
        .collect();
    let cols = |place: usize| if place == 0 { read[weights[0]].len() } else { live[place - 1] };
    let layers = weights.iter().enumerate();
    layers
        .map(|(place, &index)| LayerCost { rows: live[place], cols: cols(place), nnz: counts[index] })
        .collect()
}

/// Whether the step that was just done is the first at or after END.
fn is_at_end(progress: &Progress) -> bool {
    let before = (progress.step - 1) as f64 / progress.total as f64;
    progress.fraction() >= END && before < END
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::{NetworkSettings, SparsitySettings};

    /// A layer with fewer nonzeros than outputs keeps those, and no other layer loses a weight for it that leads on.
    #[test]
    fn zeros_leave_and_nothing_else() {
        let settings = NetworkSettings { hidden: vec![8], ..NetworkSettings::default() };
        let mut network =
            Network::random(&settings.spec(4, 3).unwrap(), &SparsitySettings::dense(), 1).unwrap();
        for parameter in network.parameters_mut() {
            parameter.gradient = vec![0.0; parameter.weights.values().len()];
        }
        let first = network.parameters_mut().next().unwrap();
        first.weights.values_mut().fill(0.0);
        (first.weights.values_mut()[5], first.weights.values_mut()[30]) = (0.1, -0.2);
        let penalty = PenaltySettings { method: PenaltyMethod::L1, ..PenaltySettings::default() };
        let mut sparsifier = Sparsifier::new(&penalty, &ConstraintSettings::default(), None).unwrap();
        let progress = Progress { step: 50, total: 500, epoch: 50 };
        assert!(sparsifier.is_due(&progress));
        let kept = sparsifier.compact(&network, &[], &progress).unwrap().unwrap();
        assert_eq!(kept.patterns[0].as_ref().unwrap().cells().collect::<Vec<_>>(), [5, 30]);
        // Row 1 and row 7 are left, so of the next layer what leads on from there.
        let next: Vec<usize> = kept.patterns[2].as_ref().unwrap().cells().collect();
        assert_eq!(next, [1, 7, 9, 15, 17, 23]);
    }
}
