//! Methods whose passes compute with other values than the stored ones, which the optimizer trains: same connections,
//! other numbers.
//!
//! ```text
//! a step        stored -> effective, swapped into the network     forward, backward with effective values
//!               stored values swapped back                       gradients mapped to those of the stored values
//! the model     effective values as in a prediction, without what they leave out
//! ```
//! | map | effective value | file |
//! |---|---|---|
//! | largest | the stored one for the largest of a layer, else 0 (Top-KAST) | `largest` |
//! | thresholds | soft-thresholded, the threshold being trained (STR) | `thresholds` |
//! | gates | times its neuron's gate, which is trained (L0) | `gates` |
//!
//! What a map trains or remembers stands in `own`, one array for each weight; where that is empty, effective values
//! are the stored ones. Layers and kernels know nothing of this. Other methods skip it: no parts, no work.

mod gates;
mod largest;
#[cfg(test)]
mod suite;
mod thresholds;

use super::tensors::{Tensor, TensorFile};
use crate::Result;
use crate::layers::{Gradient, Network, Parameter, Role};
use crate::optimizers::{Optimizer, Slots, StepSize, UpdateRule};
use crate::penalties::Regularizer;
use crate::sparse::{Pattern, Storage, Weights};
use crate::topology::Forward;

/// Numbers that one piece of work covers.
const CHUNK: usize = 8192;

/// How effective values come from stored ones.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Map {
    /// They are the same.
    Same,
    /// The largest of each layer.
    Largest {
        /// The strength of the exploration penalty.
        exploration: f32,
    },
    /// A trained soft threshold for each layer.
    Thresholds,
    /// A trained gate for each hidden neuron.
    Gates,
}

impl Map {
    /// The map that a topology or a penalty asks for.
    pub fn of(forward: Forward, penalty: Option<&Regularizer>) -> Map {
        match (forward, penalty) {
            (Forward::Largest { exploration }, _) => Map::Largest { exploration },
            (Forward::All, Some(Regularizer::Thresholds { .. })) => Map::Thresholds,
            (Forward::All, Some(Regularizer::Gates { .. })) => Map::Gates,
            (Forward::All, _) => Map::Same,
        }
    }
}

/// The effective values of a network.
pub struct Effective {
    map: Map,
    /// One for each weight; none if the values are the same.
    parts: Vec<Part>,
}

/// What a map keeps for a weight and its bias.
#[derive(Default)]
struct Part {
    /// What it trains or remembers; empty where it changes nothing.
    own: Vec<f32>,
    /// The gradient of `own`, if it is trained.
    gradient: Vec<f32>,
    /// For a mask: the share of all cells that it leaves.
    density: f32,
    /// The optimizer's state for `own`.
    state: Vec<Vec<f32>>,
    /// Room for effective weights; the stored ones while the effective ones stand in the network.
    weights: Vec<f32>,
    /// Room for effective biases; the stored ones while the effective ones stand in the network.
    biases: Vec<f32>,
    /// The gates drawn for this step and their slopes.
    drawn: Vec<(f32, f32)>,
}

impl Part {
    /// The part of a mask.
    fn masked(mask: Vec<f32>, weights: &Weights) -> Part {
        let used = mask.iter().filter(|&&mask| mask != 0.0).count();
        let density = used as f32 / (weights.rows() * weights.cols()) as f32;
        Part { own: mask, density, ..Part::default() }
    }
}

/// Weights, each with its bias if it has one.
fn weights(network: &Network) -> impl Iterator<Item = (&Parameter, Option<&Parameter>)> {
    let mut parameters = network.parameters().peekable();
    std::iter::from_fn(move || {
        let weight = parameters.find(|parameter| parameter.is_weight())?;
        Some((weight, parameters.next_if(|next| next.role == Role::Bias)))
    })
}

fn weights_mut(network: &mut Network) -> impl Iterator<Item = (&mut Parameter, Option<&mut Parameter>)> {
    let mut parameters = network.parameters_mut().peekable();
    std::iter::from_fn(move || {
        let weight = parameters.find(|parameter| parameter.is_weight())?;
        Some((weight, parameters.next_if(|next| next.role == Role::Bias)))
    })
}

fn values_of(bias: Option<&Parameter>) -> &[f32] {
    bias.map_or(&[], |bias| bias.weights.values())
}

impl Effective {
    /// The map at the start of a run. `targets` has the connections that each parameter is to end with, biases included.
    pub fn new(map: Map, network: &Network, targets: &[usize], optimizer: &Optimizer) -> Effective {
        let mut effective = Effective { map, parts: Vec::new() };
        if map == Map::Same {
            return effective;
        }
        let last = weights(network).count() - 1;
        for (depth, (weight, _)) in weights(network).enumerate() {
            let own = match map {
                Map::Thresholds => vec![thresholds::START],
                Map::Gates if depth < last => vec![gates::START; weight.weights.rows()],
                _ => Vec::new(),
            };
            let state = vec![vec![0.0; own.len()]; optimizer.slots()];
            effective.parts.push(Part { gradient: vec![0.0; own.len()], state, own, ..Part::default() });
        }
        effective.choose_largest(network, targets);
        effective
    }

    /// Chooses anew which weights a forward pass uses, if the map is such.
    pub fn choose_largest(&mut self, network: &Network, targets: &[usize]) {
        if let Map::Largest { .. } = self.map {
            let weights = network.parameters().zip(targets).filter(|(parameter, _)| parameter.is_weight());
            for (part, (parameter, &target)) in self.parts.iter_mut().zip(weights) {
                *part = Part::masked(largest::mask(&parameter.weights, target), &parameter.weights);
            }
        }
    }

    /// Puts the effective values of a training step into the network.
    pub fn swap_in_training(&mut self, network: &mut Network, seed: u64, step: u64) {
        for (depth, ((weight, bias), part)) in weights_mut(network).zip(&mut self.parts).enumerate() {
            if part.own.is_empty() {
                continue;
            }
            let stored = weight.weights.values();
            part.weights.resize(stored.len(), 0.0);
            match self.map {
                Map::Same => {}
                Map::Largest { .. } => largest::apply(&part.own, stored, &mut part.weights),
                Map::Thresholds => thresholds::apply(part.own[0], stored, &mut part.weights),
                Map::Gates => {
                    gates::draw(&part.own, seed, depth as u64, step, &mut part.drawn);
                    gates::apply(&part.drawn, &weight.weights, stored, &mut part.weights);
                    if let Some(bias) = bias {
                        part.biases.resize(part.own.len(), 0.0);
                        gates::apply_to_biases(&part.drawn, bias.weights.values(), &mut part.biases);
                        bias.weights.swap_values(&mut part.biases);
                    }
                }
            }
            weight.weights.swap_values(&mut part.weights);
        }
    }

    /// Puts the stored values back.
    pub fn swap_out_training(&mut self, network: &mut Network) {
        for ((weight, bias), part) in weights_mut(network).zip(&mut self.parts) {
            if part.own.is_empty() {
                continue;
            }
            weight.weights.swap_values(&mut part.weights);
            if let (Map::Gates, Some(bias)) = (self.map, bias) {
                bias.weights.swap_values(&mut part.biases);
            }
        }
    }

    /// Turns the gradients of the effective values, summed over a batch, into those of the stored ones, penalties of strength
    /// `lambda` times the batch's `normaliser` included; and divides those of the map's own numbers by it.
    pub fn vjp(&mut self, network: &Network, gradients: &mut [Gradient], lambda: f32, normaliser: f32) {
        let indices = network.weights().map(|(index, _)| index);
        for (((weight, bias), part), index) in weights(network).zip(&mut self.parts).zip(indices) {
            if part.own.is_empty() {
                continue;
            }
            let (of_weight, others) =
                gradients[index..].split_first_mut().expect("a gradient of each parameter");
            let (stored, gradient) = (weight.weights.values(), &mut of_weight.values[..]);
            match self.map {
                Map::Same => {}
                Map::Largest { exploration } => {
                    let exploration = exploration * normaliser;
                    largest::add_exploration(exploration, part.density, &part.own, stored, gradient);
                }
                Map::Thresholds => part.gradient[0] = thresholds::vjp(part.own[0], stored, gradient),
                Map::Gates => {
                    let weights = &weight.weights;
                    gates::penalty(lambda * normaliser, &part.own, weights, &mut part.gradient);
                    gates::vjp(&part.drawn, weights, stored, gradient, &mut part.gradient);
                    if let Some(bias) = bias {
                        let biases = bias.weights.values();
                        let of_bias = &mut others[0].values;
                        gates::vjp_of_biases(&part.drawn, biases, of_bias, &mut part.gradient);
                    }
                }
            }
            part.gradient.iter_mut().for_each(|gradient| *gradient /= normaliser);
        }
    }

    /// The optimizer's step for what the map trains.
    pub fn update(&mut self, optimizer: &Optimizer, step: &StepSize, lambda: f32) {
        if !matches!(self.map, Map::Thresholds | Map::Gates) {
            return;
        }
        let rate = if self.map == Map::Gates { gates::RATE } else { 1.0 };
        let mut step = step.of_bias();
        step.learning_rate *= rate;
        for part in self.parts.iter_mut().filter(|part| !part.own.is_empty()) {
            optimizer.update(&step, &mut part.own, &part.gradient, &mut Slots::of(&mut part.state));
            if self.map == Map::Thresholds {
                thresholds::decay(&mut part.own[0], lambda * step.learning_rate);
            }
        }
    }

    /// The effective values of a prediction: of each weight and its bias.
    fn predicting(&self, network: &Network) -> Vec<[Vec<f32>; 2]> {
        // Neurons of the weight before, where those and nobody else are a weight's inputs, that put out 0 for sure.
        let mut closed: Vec<bool> = Vec::new();
        let indices = network.weights().map(|(index, _)| index);
        weights(network)
            .zip(&self.parts)
            .zip(indices)
            .map(|(((weight, bias), part), index)| {
                let stored = weight.weights.values();
                let (mut values, mut biases) = (stored.to_vec(), values_of(bias).to_vec());
                if weight.joint.is_some() && network.constant_output_at(index, 0.0) == 0.0 {
                    gates::close_inputs(&closed, &weight.weights, &mut values);
                }
                closed.clear();
                match self.map {
                    _ if part.own.is_empty() => {}
                    Map::Same => {}
                    Map::Largest { .. } => largest::apply(&part.own, stored, &mut values),
                    Map::Thresholds => thresholds::apply(part.own[0], stored, &mut values),
                    Map::Gates => {
                        let gates = gates::predicting(&part.own);
                        let stored = values.clone();
                        gates::apply(&gates, &weight.weights, &stored, &mut values);
                        gates::apply_to_biases(&gates, values_of(bias), &mut biases);
                        closed.extend(gates.iter().map(|gate| gate.0 == 0.0));
                    }
                }
                [values, biases]
            })
            .collect()
    }

    /// How many connections each weight matrix has, one from or to a gated neuron counting by how far its gate is open in a
    /// prediction; `None` without gates. All gates of a layer may be about to close: lambda is to feel that before they do.
    pub fn open_connections(&self, network: &Network) -> Option<Vec<f64>> {
        if self.map != Map::Gates {
            return None;
        }
        let mut before: Vec<(f32, f32)> = Vec::new();
        let indices = network.weights().map(|(index, _)| index);
        let counts = weights(network).zip(&self.parts).zip(indices).map(|(((weight, _), part), index)| {
            let gates = gates::predicting(&part.own);
            let (rows, cols) = (weight.weights.rows(), weight.weights.cols());
            let is_joined = weight.joint.is_some() && network.constant_output_at(index, 0.0) == 0.0;
            let inputs = if is_joined { std::mem::take(&mut before) } else { Vec::new() };
            let open = |gates: &[(f32, f32)], at: usize| gates.get(at).map_or(1.0, |gate| f64::from(gate.0));
            let mut count = 0.0;
            let cells = weight.weights.connections().map(|(cell, _)| cell);
            debug_assert!(inputs.is_empty() || inputs.len() == cols);
            debug_assert!(gates.is_empty() || gates.len() == rows);
            cells.for_each(|cell| count += open(&gates, cell / cols) * open(&inputs, cell % cols));
            before = gates;
            count
        });
        Some(counts.collect())
    }

    /// The network as it predicts, with the connections that count; `None` if it is the one that is trained.
    pub fn model(&self, network: &Network) -> Option<Network> {
        if self.is_same() {
            return None;
        }
        let values = self.predicting(network);
        let mut layers = weights(network).zip(&self.parts).zip(&values);
        // What was asked for, not what some layers have anyway.
        let storages = weights(network).map(|(weight, _)| weight.storage);
        let storage = storages.reduce(|a, b| if a == Storage::Sparse { b } else { a })?;
        let mut model = Network::load(network.spec(), storage, |_, rows, cols| {
            let (((weight, _), part), [values, _]) = layers.next().expect("one for each weight");
            // The largest may be zero and count all the same.
            let is_kept = |slot: usize| match self.map {
                _ if part.own.is_empty() => true,
                Map::Largest { .. } => part.own[slot] != 0.0,
                _ => values[slot] != 0.0,
            };
            let height = weight.weights.block_height();
            let lives = |place: usize| (height * place..height * (place + 1)).any(is_kept);
            let live = weight.weights.choices().filter(|&(_, place)| lives(place));
            let live: Vec<usize> = live.map(|(cell, _)| cell).collect();
            let pattern = Pattern::from_cells(rows / height, cols, live.into_iter());
            let (mut weights, rewire) = weight.weights.rewire(pattern, weight.storage);
            weights.values_mut().copy_from_slice(&rewire.carry(values, 0.0));
            Ok(weights)
        })
        .expect("nothing is read");
        model.set_precision(network.precision());
        let pairs = network.parameters().zip(model.parameters_mut());
        for (parameter, other) in pairs.filter(|(parameter, _)| !parameter.is_weight()) {
            other.weights.values_mut().copy_from_slice(parameter.weights.values());
        }
        for ((_, bias), [_, biases]) in weights_mut(&mut model).zip(&values) {
            if let Some(bias) = bias {
                bias.weights.values_mut().copy_from_slice(biases);
            }
        }
        Some(model)
    }

    /// Puts the effective values of a prediction into the network, zero where they leave a connection out.
    pub fn swap_in_predicting(&mut self, network: &mut Network) {
        if self.is_same() {
            return;
        }
        let values = self.predicting(network);
        for (part, [weights, biases]) in self.parts.iter_mut().zip(values) {
            (part.weights, part.biases) = (weights, biases);
        }
        self.swap_out_predicting(network);
    }

    /// Puts the stored values back after [`Effective::swap_in_predicting`].
    pub fn swap_out_predicting(&mut self, network: &mut Network) {
        if self.is_same() {
            return;
        }
        for ((weight, bias), part) in weights_mut(network).zip(&mut self.parts) {
            weight.weights.swap_values(&mut part.weights);
            if let Some(bias) = bias {
                bias.weights.swap_values(&mut part.biases);
            }
        }
    }

    /// Makes the effective values that stand in the network after [`Effective::swap_in_predicting`] the stored ones for good.
    pub fn materialise(&mut self) {
        self.parts.iter_mut().for_each(|part| *part = Part::default());
    }

    /// The stored values of each weight matrix while effective ones stand in the network; nothing if they are the same.
    pub fn stored(&self) -> Vec<&[f32]> {
        if self.is_same() { Vec::new() } else { self.parts.iter().map(|part| &part.weights[..]).collect() }
    }

    /// Whether effective values are the stored ones.
    fn is_same(&self) -> bool {
        self.parts.iter().all(|part| part.own.is_empty())
    }

    /// What a checkpoint keeps.
    pub(super) fn tensors(&self, network: &Network) -> Vec<Tensor<'_>> {
        let mut tensors = Vec::new();
        for ((weight, _), part) in weights(network).zip(&self.parts) {
            let name = format!("{}.effective", weight.name);
            for (index, slot) in part.state.iter().enumerate() {
                tensors.push(Tensor::floats(format!("{name}.state.{index}"), vec![slot.len()], || {
                    slot[..].into()
                }));
            }
            tensors.push(Tensor::floats(name, vec![part.own.len()], || part.own[..].into()));
        }
        tensors
    }

    /// Reads it back.
    pub(super) fn restore(&mut self, network: &Network, file: &TensorFile) -> Result<()> {
        for ((weight, _), part) in weights(network).zip(&mut self.parts) {
            let name = format!("{}.effective", weight.name);
            let length = match self.map {
                Map::Same => 0,
                Map::Largest { .. } => weight.weights.values().len(),
                Map::Thresholds => 1,
                Map::Gates => weight.weights.rows(),
            };
            part.own = file.floats_or_none(&name, length)?;
            if part.own.is_empty() {
                *part = Part::default();
            } else if let Map::Largest { .. } = self.map {
                *part = Part::masked(std::mem::take(&mut part.own), &weight.weights);
            }
            for (index, slot) in part.state.iter_mut().enumerate() {
                *slot = file.floats(&format!("{name}.state.{index}"), slot.len())?;
            }
        }
        Ok(())
    }

    /// Bytes of it all.
    pub fn bytes(&self) -> usize {
        let numbers = |part: &Part| {
            let state: usize = part.state.iter().map(Vec::len).sum();
            part.own.len() + part.gradient.len() + state + part.weights.len() + part.biases.len()
        };
        self.parts.iter().map(|part| 4 * numbers(part) + 8 * part.drawn.len()).sum()
    }
}
