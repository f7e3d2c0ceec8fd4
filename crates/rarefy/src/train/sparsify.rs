//! What penalties, constraints and the closed loop do to the weights after an optimizer's step, when exact zeros leave
//! storage and when they come back.
//!
//! ```text
//! each step      optimizer -> proximal step or projection          zeros appear, still stored
//! each look      controller looks at the cost, moves lambda
//!                compaction: zeros leave by a Rewire               time and memory fall
//! each 10th      absent connections whose gradient is strong enough come back (`returning`)
//! at END         under a target: the smallest leave until the budget holds, lambda = 0, the rest trains on
//! ```
//! Where each batch is the whole training part its gradient is that of the loss, and zeros which that may bring back stay
//! stored: so a convex problem reaches its optimum. The gradient of a smaller batch is mostly noise, which moves nearly
//! every weight off 0 again: all zeros leave, without which a network would never get sparse, and at each tenth look a few
//! come back. What never was a connection, because training began with less than all, does not come.
//!
//! Under a target zeros leave storage only as far as the wanted curve says; the others, those of the largest gradients,
//! stay and may come back. So lambda may be too strong for a while and nothing is lost.

use super::live::{Entry, Kept, Live};
use super::returning::{Hold, holds, nonzeros, room};
use crate::control::{Budget, Controller, END, LayerCost};
use crate::layers::{Gradient, Network, Parameter};
use crate::penalties::{
    Constraint, ConstraintSettings, GroupBy, Groups, PenaltySettings, Regularizer, Scope, Steps,
};
use crate::sparse::Weights;
use crate::topology::Progress;
use crate::{Error, Result};

/// Times in a run that the controller looks and zeros leave storage. With 40 times lambda could not rise by the three
/// decades that MCP needs, and half of the weights left at once at END.
const LOOKS: u64 = 200;

/// Steps between two looks at gates, at least. An adaptive optimizer moves a gate by 0.01 a step and from open to closed it has
/// 4.4 to go: looked at every step, lambda overshoots; after hundreds of steps all gates of a layer have closed unseen.
const STEPS_OF_GATES: u64 = 25;

/// Looks from one at absent connections to the next.
const LOOKS_BEYOND: u64 = 10;

/// The share of a layer's weights that come back at once where gradients are noise.
const NOISY_RETURN: f64 = 0.01;

/// How long zeros that a penalty or a constraint made stay stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Zeros {
    /// Until a look at which nothing pulls them off 0.
    #[default]
    Prune,
    /// Until END: the optimizer may still revive them, and lambda holds them back.
    KeepUntilEnd,
    /// For good: whoever trains the network sees to them.
    Keep,
}

/// A penalty, a constraint, and what steers them. The default does nothing.
#[derive(Default)]
pub struct Sparsifier {
    penalty: Option<Regularizer>,
    constraint: Option<Constraint>,
    /// The controller of lambda and the budget that it steers to.
    pub control: Option<(Controller, Budget)>,
    /// How long zeros stay stored.
    pub zeros: Zeros,
    /// Whether each batch is the whole training part.
    pub has_whole_batches: bool,
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
        Ok(Sparsifier::of(penalty.build()?, constraint.build()?, control))
    }

    /// A sparsifier of this penalty and this constraint, with a controller of lambda if there is a target: for a penalty of
    /// one's own, which no settings name.
    pub fn of(
        penalty: Option<Regularizer>,
        constraint: Option<Constraint>,
        control: Option<(Controller, Budget)>,
    ) -> Sparsifier {
        Sparsifier { penalty, constraint, control, ..Sparsifier::default() }
    }

    /// The penalty, its lambda that of the settings.
    pub fn penalty(&self) -> Option<&Regularizer> {
        self.penalty.as_ref()
    }

    /// The penalty's lambda as it stands; `None` without a penalty.
    pub fn lambda(&self) -> Option<f32> {
        let penalty = self.penalty.as_ref()?;
        Some(match &self.control {
            Some((controller, _)) => controller.state.lambda as f32,
            None => penalty.lambda(),
        })
    }

    /// Sets the penalty's lambda, which nothing steers.
    pub fn set_lambda(&mut self, lambda: f32) {
        self.penalty = self.penalty.as_ref().map(|penalty| penalty.with_lambda(lambda));
    }

    /// The penalty as it stands, its lambda steered; `None` if there is none or lambda is 0.
    pub fn regularizer(&self) -> Option<Regularizer> {
        let lambda = self.lambda().filter(|&lambda| lambda > 0.0)?;
        self.penalty.as_ref().map(|penalty| penalty.with_lambda(lambda))
    }

    /// The proximal step of a penalty on groups; `step_size` writes how far a unit of gradient moves each weight of
    /// the parameter of that index.
    pub fn shrink_groups(&mut self, network: &mut Network, step_size: &mut dyn FnMut(usize, &mut [f32])) {
        let Some(Regularizer::Groups(penalty, by)) = self.regularizer() else { return };
        self.groups.resize_with(network.parameters().count(), GroupSlots::default);
        let parameters = network.parameters_mut().zip(&mut self.groups).enumerate();
        for (index, (parameter, groups)) in parameters.filter(|(_, (parameter, _))| parameter.is_weight()) {
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
                for parameter in network.parameters_mut().filter(|parameter| parameter.is_weight()) {
                    project_matrix(constraint, &mut parameter.weights, &mut self.steps);
                }
            }
            Scope::Global => {
                let weights = network.parameters().filter(|parameter| parameter.is_weight());
                let total = weights.clone().map(cells).sum();
                let slices = weights.map(|parameter| parameter.weights.values());
                let projection = constraint.projection(slices, total, &mut self.steps);
                let mut first = 0;
                for parameter in network.parameters_mut().filter(|parameter| parameter.is_weight()) {
                    let values = parameter.weights.values_mut();
                    projection.apply(values, first);
                    first += values.len();
                }
            }
        }
    }

    /// Whether zeros may leave after the step that was just done.
    pub fn is_due(&self, progress: &Progress) -> bool {
        let gates = matches!(self.penalty, Some(Regularizer::Gates { .. }));
        let every = every(progress).max(if gates { STEPS_OF_GATES } else { 1 });
        let may_leave = !self.is_idle() && self.zeros != Zeros::Keep;
        may_leave && (progress.step.is_multiple_of(every) || is_at_end(progress) || is_last(progress))
    }

    /// How many connections may come back to a parameter after the step that was just done.
    pub fn places(&self, parameter: &Parameter, progress: &Progress) -> usize {
        let is_time = progress.step.is_multiple_of(LOOKS_BEYOND * every(progress)) && !is_last(progress);
        let groups = matches!(self.regularizer(), Some(Regularizer::Groups(_, by)) if by != GroupBy::Blocks);
        if !is_time || self.control.is_some() || self.zeros != Zeros::Prune {
            0
        } else if self.has_whole_batches {
            room(parameter)
        } else if groups {
            0
        } else {
            (NOISY_RETURN * nonzeros(parameter) as f64).ceil() as usize
        }
    }

    /// What holds the zeros of each parameter, at its place.
    pub(super) fn holds(&self, network: &Network, gradients: &[Gradient]) -> Vec<Hold> {
        holds((network, gradients), self.regularizer().as_ref(), self.constraint)
    }

    /// Whether the budget must hold after the step that was just done.
    pub fn reaches_target(&self, progress: &Progress) -> bool {
        self.control.is_some() && is_at_end(progress)
    }

    /// Looks at the cost, moves lambda, and says how many connections each parameter keeps and which: `None` where all
    /// stay. The network holds effective values; `stored` has the stored ones of each weight matrix where they differ, and
    /// `open` how many connections of each count, where that is told otherwise than by their zeros.
    ///
    /// # Errors
    /// [`Error::Emptied`] if a penalty without a target has left a layer without a weight.
    pub fn compact(
        &mut self,
        (network, gradients): (&Network, &[Gradient]),
        stored: &[&[f32]],
        open: Option<Vec<f64>>,
        progress: &Progress,
    ) -> Result<Option<Kept>> {
        let keeps = self.has_whole_batches && self.control.is_none() && !is_last(progress);
        let holds = if keeps { self.holds(network, gradients) } else { Vec::new() };
        let live = Live::of(network, gradients, stored, &holds);
        if self.control.is_some() {
            Ok(self.prune_to_curve(network, live, open, progress))
        } else {
            self.prune_zeros(network, live, progress)
        }
    }

    /// Without a target: all zeros go that nothing brings back.
    fn prune_zeros(&self, network: &Network, mut live: Live, progress: &Progress) -> Result<Option<Kept>> {
        if self.zeros == Zeros::KeepUntilEnd && progress.fraction() < END {
            return Ok(None);
        }
        self.check_layers(network, &live.costs(Entry::counts), progress.step)?;
        let count = live.entries.iter().filter(|entry| entry.counts()).count();
        live.cut(count);
        Ok(live.kept(network))
    }

    /// Under a target: lambda moves, and zeros go as far as the curve of the cost says.
    fn prune_to_curve(
        &mut self,
        network: &Network,
        mut live: Live,
        open: Option<Vec<f64>>,
        progress: &Progress,
    ) -> Option<Kept> {
        let (t, at_end) = (progress.fraction(), is_at_end(progress));
        let (controller, budget) = self.control.as_mut()?;
        let mut counted = live.costs(|entry| entry.value != 0.0);
        live.protect(!at_end);
        let count = live.entries.iter().filter(|entry| entry.counts()).count();
        for (layer, open) in counted.iter_mut().zip(open.into_iter().flatten()) {
            layer.nnz = open.round() as usize;
        }
        let used = budget.used(&counted);
        controller.observe(used, t);
        if (t > END || self.zeros == Zeros::KeepUntilEnd) && !at_end {
            return None;
        }
        if at_end {
            live = live.at_budget(budget);
        } else {
            // The count that the wanted cost stands for, at the mean cost of a weight; and half as many again, because
            // some of the zeros hang on dead neurons and could not fill the budget at END.
            let wanted = (1.5 * count as f64 * controller.wanted(t) / used).ceil() as usize;
            live.cut(wanted.max(count));
        }
        live.kept(network)
    }

    /// Lets a budget of bytes know that a model of what is stored has so many.
    pub fn correct_bytes(&mut self, network: &Network, bytes: f64) {
        if let Some((_, budget)) = &mut self.control {
            budget.correct_bytes(&Live::of(network, &[], &[], &[]).costs(|_| true), bytes);
        }
    }

    /// # Errors
    /// If a layer has nothing left, with the setting that made it so.
    fn check_layers(&self, network: &Network, layers: &[LayerCost], step: u64) -> Result<()> {
        let names = network.weights().map(|(_, parameter)| &parameter.name);
        let Some((name, _)) = names.zip(layers).find(|(_, layer)| layer.nnz == 0) else { return Ok(()) };
        let penalty = ("penalty.lambda", "lower it, or ask for a target instead");
        let (key, cure) = match &self.constraint {
            None => penalty,
            _ if self.lambda().is_some_and(|lambda| lambda > 0.0) => {
                ("penalty.lambda", "with the constraint; lower it, or loosen the constraint")
            }
            Some(Constraint::L1Ball(..)) => ("constraint.radius", "raise it"),
            Some(Constraint::TopK(..)) => {
                ("constraint.keep", "raise it, or set constraint.scope = \"layer\"")
            }
            Some(Constraint::Bounds(_)) => ("constraint.method", "use wider bounds, or none"),
        };
        Err(Error::Emptied { key: key.into(), layer: name.clone(), step, cure: cure.into() })
    }

    /// Whether zeros may leave with nothing that sees to it that each layer keeps some.
    pub fn may_empty(&self) -> bool {
        !self.is_idle() && self.zeros != Zeros::Keep && self.control.is_none()
    }

    /// Whether there is neither penalty nor constraint.
    pub fn is_idle(&self) -> bool {
        self.lambda().is_none() && self.constraint.is_none()
    }

    /// Whether penalty and constraint have had their time, when the share `t` of the run is done.
    pub fn is_settled(&self, t: f64) -> bool {
        self.zeros != Zeros::Keep && (t >= END || self.is_idle())
    }

    /// Forgets what depends on patterns, because they changed.
    pub fn patterns_changed(&mut self) {
        self.groups.clear();
    }
}

/// Projects a matrix onto a constraint's set; of weights in row blocks the norms are, and each block goes with its norm.
fn project_matrix(constraint: Constraint, weights: &mut Weights, scratch: &mut Vec<f32>) {
    let (height, cells) = (weights.block_height(), weights.rows() * weights.cols());
    if height == 1 || matches!(constraint, Constraint::Bounds(_)) {
        let projection = constraint.projection(std::iter::once(weights.values()), cells, scratch);
        return projection.apply(weights.values_mut(), 0);
    }
    let before = weights.worth(weights.values()).into_owned();
    let projection = constraint.projection(std::iter::once(&before[..]), cells / height, scratch);
    let mut after = before.clone();
    projection.apply(&mut after, 0);
    let norms = before.into_iter().zip(after);
    for (block, (before, after)) in weights.values_mut().chunks_exact_mut(height).zip(norms) {
        if after == 0.0 {
            block.fill(0.0);
        } else if after != before {
            block.iter_mut().for_each(|value| *value *= after / before);
        }
    }
}

impl GroupSlots {
    /// The live connections of the rows of a matrix (its neurons), of its columns (its inputs) or of its blocks.
    fn of(weights: &Weights, by: GroupBy) -> GroupSlots {
        let cols = weights.cols();
        let (groups, group_of): (_, fn(usize, usize) -> usize) = match by {
            GroupBy::Blocks => {
                let offsets = (0..=weights.values().len() as u32).step_by(weights.block_height());
                return GroupSlots { offsets: offsets.collect(), slots: None };
            }
            GroupBy::Neurons => (weights.rows(), |cell, cols| cell / cols),
            GroupBy::Inputs => (cols, |cell, cols| cell % cols),
        };
        let mut offsets = vec![0; groups + 1];
        weights.connections().for_each(|(cell, _)| offsets[group_of(cell, cols) + 1] += 1);
        (0..groups).for_each(|group| offsets[group + 1] += offsets[group]);
        let (mut next, mut slots) = (offsets.clone(), vec![0; weights.nnz()]);
        for (cell, slot) in weights.connections() {
            let next = &mut next[group_of(cell, cols)];
            slots[*next as usize] = slot as u32;
            *next += 1;
        }
        let is_in_order = slots.iter().enumerate().all(|(place, &slot)| place == slot as usize);
        GroupSlots { offsets, slots: (!is_in_order).then_some(slots) }
    }

    fn view(&self) -> Groups<'_> {
        Groups { offsets: &self.offsets, slots: self.slots.as_deref() }
    }
}

/// Whether the step that was just done is the first at or after END.
fn is_at_end(progress: &Progress) -> bool {
    let before = (progress.step - 1) as f64 / progress.total as f64;
    progress.fraction() >= END && before < END
}

/// Steps from one look to the next.
fn every(progress: &Progress) -> u64 {
    (progress.total / LOOKS).max(1)
}

fn is_last(progress: &Progress) -> bool {
    progress.step == progress.total
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::{NetworkSettings, SparsitySettings};
    use crate::penalties::PenaltyMethod;
    use crate::tiles::Shape;

    /// A layer with fewer nonzeros than outputs keeps those, and no other layer loses a weight for it that leads on.
    #[test]
    fn zeros_leave_and_nothing_else() {
        let settings = NetworkSettings { hidden: vec![8], ..NetworkSettings::default() };
        let mut network =
            Network::random(&settings.spec(Shape::flat(4), 3).unwrap(), &SparsitySettings::dense(), 1)
                .unwrap();
        let first = network.parameters_mut().next().unwrap();
        first.weights.values_mut().fill(0.0);
        (first.weights.values_mut()[5], first.weights.values_mut()[30]) = (0.1, -0.2);
        let penalty = PenaltySettings { method: PenaltyMethod::L1, ..PenaltySettings::default() };
        let mut sparsifier = Sparsifier::new(&penalty, &ConstraintSettings::default(), None).unwrap();
        let progress = Progress { step: 50, total: 500, epoch: 50 };
        assert!(sparsifier.is_due(&progress));
        let kept =
            sparsifier.compact((&network, &network.gradients()), &[], None, &progress).unwrap().unwrap();
        assert_eq!(kept.patterns[0].as_ref().unwrap().cells().collect::<Vec<_>>(), [5, 30]);
        // Row 1 and row 7 are left, so of the next layer what leads on from there.
        let next: Vec<usize> = kept.patterns[2].as_ref().unwrap().cells().collect();
        assert_eq!(next, [1, 7, 9, 15, 17, 23]);
    }

    #[test]
    fn what_has_emptied_a_layer_is_named() {
        let settings = NetworkSettings { hidden: vec![8], ..NetworkSettings::default() };
        let spec = settings.spec(Shape::flat(4), 3).unwrap();
        let mut network = Network::random(&spec, &SparsitySettings::dense(), 1).unwrap();
        network.parameters_mut().next().unwrap().weights.values_mut().fill(0.0);
        let (l1, none) = ("method = 'l1'", "");
        for (penalty, constraint, key) in [
            (
                l1,
                "",
                "penalty.lambda: has driven every weight of layers.0.weight to zero by step 50; lower it",
            ),
            (none, "method = 'l1-ball'\nradius = 1.0", "constraint.radius"),
            (none, "method = 'top-k'\nkeep = 0.1", "constraint.keep"),
            (none, "method = 'non-negative'", "constraint.method"),
            (l1, "method = 'non-negative'", "penalty.lambda"),
        ] {
            let (penalty, constraint) =
                (toml::from_str(penalty).unwrap(), toml::from_str(constraint).unwrap());
            let mut sparsifier = Sparsifier::new(&penalty, &constraint, None).unwrap();
            let progress = Progress { step: 50, total: 500, epoch: 50 };
            let error = sparsifier
                .compact((&network, &network.gradients()), &[], None, &progress)
                .err()
                .unwrap()
                .to_string();
            assert!(error.starts_with(key), "{error}");
        }
    }
}
