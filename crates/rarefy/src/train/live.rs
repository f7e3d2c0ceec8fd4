//! Which connections stay when zeros leave: all stored ones in rank, without dead chains, cut at a count or at a budget. Where they are
//! in row blocks an entry is a block, worth the norm of its numbers, and a neuron lives as long as one of its block does.

use std::cmp::Ordering;
use std::collections::HashSet;

use super::returning::Hold;
use crate::control::{Budget, LayerCost};
use crate::layers::{Gradient, Network};
use crate::sparse::Pattern;

/// What stays when zeros leave.
pub struct Kept {
    /// For each parameter its connections, or its blocks; `None` where all stay.
    pub patterns: Vec<Option<Pattern>>,
    /// For each parameter which of its inputs are neurons without inputs of their own, whose output is one number: a
    /// connection that leaves from there was part of the bias.
    pub constants: Vec<Vec<bool>>,
}

/// A stored connection, or block of them.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    parameter: u32,
    /// Kept come what may: one of the largest nonzeros of its layer, as many as the layer has outputs, or a zero that may
    /// come back.
    is_safe: bool,
    /// The weight; 0 if it is part of a dead chain.
    pub(super) value: f32,
    /// What tells zeros apart: the gradient, or the stored value where the effective one is zero.
    pub(super) promise: f32,
    /// Part of a chain that dies by a cut.
    is_removed: bool,
    /// The row, or the line of blocks.
    line: u32,
    col: u32,
}

impl Entry {
    /// Whether it is more than a zero that could as well go.
    pub(super) fn counts(&self) -> bool {
        self.value != 0.0 || self.is_safe
    }

    fn place(&self) -> (u32, u32, u32) {
        (self.parameter, self.line, self.col)
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

/// A weight matrix's shape and place.
#[derive(Clone, Copy)]
struct Matrix {
    rows: usize,
    cols: usize,
    uses: usize,
    /// Rows of a block.
    height: usize,
    /// The matrix whose neurons are its inputs.
    joint: Option<usize>,
}

impl Matrix {
    fn lines(&self) -> usize {
        self.rows / self.height
    }
}

/// All stored connections of all weight matrices.
#[derive(Clone)]
pub(super) struct Live {
    pub(super) entries: Vec<Entry>,
    /// For each parameter its shape; `None` for what is no weight.
    shapes: Vec<Option<Matrix>>,
    /// As in [`Kept`].
    constants: Vec<Vec<bool>>,
}

impl Live {
    /// All stored connections, layer by layer; those of dead chains become zero. Zeros that the `holds` of their parameters
    /// let go are kept, and lead like others; without any all zeros may leave. Without gradients no zero promises more than another.
    pub(super) fn of(network: &Network, gradients: &[Gradient], stored: &[&[f32]], holds: &[Hold]) -> Live {
        let mut stored = stored.iter();
        let (mut entries, mut shapes) = (Vec::new(), Vec::new());
        for (index, parameter) in network.parameters().enumerate() {
            shapes.push(parameter.is_weight().then(|| Matrix {
                rows: parameter.weights.rows(),
                cols: parameter.weights.cols(),
                uses: parameter.uses,
                height: parameter.weights.block_height(),
                joint: parameter.joint.as_ref().map(|joint| joint.weight),
            }));
            if !parameter.is_weight() {
                continue;
            }
            let weights = &parameter.weights;
            let values = weights.worth(weights.values());
            let gradient = gradients.get(index).map(|gradient| &gradient.values[..]);
            let promises = stored.next().copied().or(gradient).map(|promises| weights.worth(promises));
            let cols = weights.cols();
            let hold = holds.get(index).unwrap_or(&Hold::Firm);
            entries.extend(weights.choices().map(|(cell, place)| {
                let mut entry = Entry {
                    parameter: index as u32,
                    is_safe: false,
                    value: values[place],
                    promise: promises.as_ref().map_or(0.0, |promises| promises[place]),
                    is_removed: false,
                    line: (cell / cols) as u32,
                    col: (cell % cols) as u32,
                };
                entry.is_safe = entry.value == 0.0 && hold.lets_go((cell / cols, cell % cols), entry.promise);
                entry
            }));
        }
        let mut live = Live { entries, constants: vec![Vec::new(); shapes.len()], shapes };
        live.remove_dead_chains(Entry::counts, |entry| (entry.value, entry.is_safe) = (0.0, false));
        live
    }

    /// Makes each layer keep as many connections as it has outputs. Where only zeros may leave, that is for layers which
    /// hold nothing else.
    pub(super) fn protect(&mut self, only_zeros_leave: bool) {
        for layer in self.entries.chunk_by_mut(|a, b| a.parameter == b.parameter) {
            let lines = self.shapes[layer[0].parameter as usize].expect("a weight").lines();
            // Zeros are not worth a place elsewhere, unless a layer has nothing else.
            let living = layer.iter().filter(|entry| entry.value != 0.0).count();
            if living > 0 && only_zeros_leave {
                continue;
            }
            let safe = lines.min(if living > 0 { living } else { layer.len() });
            if safe < layer.len() {
                layer.select_nth_unstable_by(safe, Entry::rank);
            }
            layer[..safe].iter_mut().for_each(|entry| entry.is_safe = true);
        }
    }

    /// Takes away what leads into neurons from which nothing leads on, then what leads out of neurons into which nothing
    /// leads: `is_present` tells a connection that leads, `remove` makes it one that does not.
    fn remove_dead_chains(&mut self, is_present: fn(&Entry) -> bool, remove: fn(&mut Entry)) {
        let matrix = |index: usize| self.shapes[index].expect("a weight");
        let joints: Vec<(usize, usize)> = joints(&self.shapes).collect();
        // Where the entries of each parameter stand, in whatever order they are.
        let mut places: Vec<Vec<u32>> = vec![Vec::new(); self.shapes.len()];
        for (place, entry) in self.entries.iter().enumerate() {
            places[entry.parameter as usize].push(place as u32);
        }
        let reached = |entries: &[Entry], index: usize, units: usize, unit: fn(&Entry) -> u32| {
            let mut reached = vec![false; units];
            let live = places[index].iter().map(|&place| &entries[place as usize]);
            live.filter(|entry| is_present(entry)).for_each(|entry| reached[unit(entry) as usize] = true);
            reached
        };
        let clear = |entries: &mut [Entry], index: usize, unit: fn(&Entry) -> u32, is_live: &[bool]| {
            for &place in &places[index] {
                let entry = &mut entries[place as usize];
                if !is_live[unit(entry) as usize] {
                    remove(entry);
                }
            }
        };
        for &(before, after) in joints.iter().rev() {
            let has_outputs = reached(&self.entries, after, matrix(after).cols, |entry| entry.col);
            let of_blocks = has_outputs.chunks(matrix(before).height).map(|units| units.contains(&true));
            let has_outputs: Vec<bool> = of_blocks.collect();
            clear(&mut self.entries, before, |entry| entry.line, &has_outputs);
        }
        for &(before, after) in &joints {
            let has_inputs = reached(&self.entries, before, matrix(before).lines(), |entry| entry.line);
            let height = matrix(before).height;
            let has_inputs: Vec<bool> = has_inputs.into_iter().flat_map(|has| vec![has; height]).collect();
            clear(&mut self.entries, after, |entry| entry.col, &has_inputs);
            self.constants[after] = has_inputs.iter().map(|has| !has).collect();
        }
    }

    /// The layers with the connections that `is_counted` says.
    pub(super) fn costs(&self, is_counted: impl Fn(&Entry) -> bool) -> Vec<LayerCost> {
        costs(&self.shapes, self.entries.iter().filter(|entry| is_counted(entry)))
    }

    /// What the budget allows: the first in rank, and what can be added or exchanged so that it is used up.
    pub(super) fn at_budget(mut self, budget: &Budget) -> Live {
        self.entries.sort_unstable_by(Entry::rank);
        let all = self.entries.len();
        let count = budget.most_within(self.floor(), all, &mut |count| self.living(count).costs(|_| true));
        let narrow = self.living(count);
        let mut filled = narrow.clone();
        filled.fill(self.entries[count..].to_vec(), budget);
        let used = |live: &Live| budget.used(&live.costs(|_| true));
        if count == all || used(&filled) > 0.99 {
            return filled;
        }
        // One more connection means a whole chain: take it, and let the smallest of the others go instead.
        let before: HashSet<(u32, u32, u32)> = narrow.entries.iter().map(Entry::place).collect();
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
        let kept = budget.most_within(0, most, &mut |kept| without(most - kept).costs(|_| true));
        let exchanged = without(most - kept);
        if used(&exchanged) <= 1.0 && used(&exchanged) > used(&filled) { exchanged } else { filled }
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
        for entry in &self.entries {
            let (lines, cols) = &mut cells[entry.parameter as usize];
            lines.insert(entry.line);
            cols.insert(entry.col);
        }
        spare.retain(|entry| {
            let (lines, cols) = &cells[entry.parameter as usize];
            lines.contains(&entry.line) && cols.contains(&entry.col)
        });
        let count = budget.most_within(0, spare.len(), &mut |count| {
            costs(&self.shapes, self.entries.iter().chain(&spare[..count]))
        });
        self.entries.extend_from_slice(&spare[..count]);
    }

    /// Leaves the first `count` connections in rank, in any order.
    pub(super) fn cut(&mut self, count: usize) {
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
    pub(super) fn kept(self, network: &Network) -> Option<Kept> {
        let mut cells = vec![Vec::new(); self.shapes.len()];
        for entry in &self.entries {
            let cols = self.shapes[entry.parameter as usize].expect("a weight").cols;
            cells[entry.parameter as usize].push(entry.line as usize * cols + entry.col as usize);
        }
        let parameters = network.parameters().zip(cells);
        let patterns = parameters.map(|(parameter, mut cells)| {
            let weights = &parameter.weights;
            let height = weights.block_height();
            (parameter.is_weight() && height * cells.len() < weights.nnz()).then(|| {
                cells.sort_unstable();
                Pattern::from_cells(weights.rows() / height, weights.cols(), cells.into_iter())
            })
        });
        let patterns: Vec<Option<Pattern>> = patterns.collect();
        patterns.iter().any(Option::is_some).then_some(Kept { patterns, constants: self.constants })
    }
}

/// Each matrix whose inputs are the neurons of one before: `(before, after)`, in order.
fn joints(shapes: &[Option<Matrix>]) -> impl Iterator<Item = (usize, usize)> + '_ {
    let matrices = shapes.iter().enumerate();
    matrices.filter_map(|(after, matrix)| Some((matrix.as_ref()?.joint?, after)))
}

/// What layers of these connections cost: a hidden neuron between joined layers counts if a connection leads to it and one
/// leads on.
fn costs<'a>(shapes: &[Option<Matrix>], entries: impl Iterator<Item = &'a Entry>) -> Vec<LayerCost> {
    let mut counts = vec![0; shapes.len()];
    let units = |units: fn(&Matrix) -> usize| -> Vec<Vec<bool>> {
        shapes.iter().map(|shape| vec![false; shape.as_ref().map_or(0, units)]).collect()
    };
    let height = |index: usize| shapes[index].as_ref().map_or(1, |matrix| matrix.height);
    let (mut reached, mut read) = (units(Matrix::lines), units(|matrix| matrix.cols));
    for entry in entries {
        let index = entry.parameter as usize;
        counts[index] += height(index);
        reached[index][entry.line as usize] = true;
        read[index][entry.col as usize] = true;
    }
    let mut sizes: Vec<(usize, usize)> =
        shapes.iter().map(|shape| shape.map_or((0, 0), |matrix| (matrix.rows, matrix.cols))).collect();
    for (before, after) in joints(shapes) {
        let height = height(before);
        let lines = reached[before].iter().zip(read[after].chunks(height));
        let live = height * lines.filter(|(reached, read)| **reached && read.contains(&true)).count();
        (sizes[before].0, sizes[after].1) = (live, live);
    }
    let layers = shapes.iter().zip(sizes).zip(counts);
    layers
        .filter_map(|((matrix, (rows, cols)), nnz)| {
            let Matrix { uses, height, .. } = *matrix.as_ref()?;
            Some(LayerCost { rows, cols, nnz, uses, block: height })
        })
        .collect()
}
