//! Which connections exist, changing while the network trains. A method is a preset of four small values:
//!
//! | value | question | file |
//! |---|---|---|
//! | [`When`] | at which steps? | `when` |
//! | [`Amount`] | how many connections go? | `amount` |
//! | [`Drop`] | which go? | `drop` |
//! | [`Grow`] | which come in their place? | `grow` |
//!
//! An update names a new [`Pattern`] and nothing else: `sparse::Weights::rewire` derives what values and optimizer
//! state do. A new method is a new preset, at most a new variant of one of the four.

mod amount;
mod drop;
mod grow;
mod preset;
mod when;

use std::ops::Range;

pub use amount::Amount;
pub use drop::Drop;
pub use grow::Grow;
pub use preset::{Method, TopologySettings};
pub use when::When;

use crate::random::Stream;
use crate::sparse::{Pattern, Weights};

/// How far a run has come.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// Steps done.
    pub step: u64,
    /// Steps of the whole run.
    pub total: u64,
    /// Steps of an epoch.
    pub epoch: u64,
}

impl Progress {
    /// From 0 at the start to 1 at the end.
    pub fn fraction(&self) -> f64 {
        self.step as f64 / self.total.max(1) as f64
    }
}

/// Fills in the gradients that the cells of some rows would have if every connection were live, row-major.
pub type CellGradients<'a> = &'a mut dyn FnMut(Range<usize>, &mut [f32]);

/// A method: when, how many, which go, which come.
#[derive(Debug, Clone, PartialEq)]
pub struct Topology {
    /// At which steps.
    pub when: When,
    /// How many connections go.
    pub amount: Amount,
    /// Which go.
    pub drop: Drop,
    /// Which come.
    pub grow: Grow,
}

impl Topology {
    /// The density that a run starts with, given the one it is to end with.
    pub fn start_density(&self, density: f64) -> f64 {
        match self.amount {
            Amount::Share { .. } => density,
            Amount::Prune { .. } => 1.0,
        }
    }

    /// The connections of one weight matrix after an update, or `None` if they stay. `target` is how many it is to end
    /// the run with.
    pub fn update(
        &self,
        weights: &Weights,
        target: usize,
        progress: &Progress,
        cell_gradients: CellGradients<'_>,
        stream: &mut Stream,
    ) -> Option<Pattern> {
        let (rows, cols) = (weights.rows(), weights.cols());
        let live: Vec<(usize, f32)> =
            weights.connections().map(|(cell, slot)| (cell, weights.values()[slot])).collect();
        let dropped = self.amount.dropped(live.len(), rows * cols, target, progress);
        if dropped == 0 {
            return None;
        }
        let kept = self.drop.keep(&live, dropped);
        let grown = match self.grow {
            Grow::Nothing => Vec::new(),
            _ => self.grow.cells(&kept, rows, cols, live.len() - kept.len(), cell_gradients, stream),
        };
        let mut cells = kept;
        cells.extend(grown);
        cells.sort_unstable();
        Some(Pattern::from_cells(rows, cols, cells.into_iter()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;
    use crate::sparse::{Init, Storage};

    fn progress(step: u64) -> Progress {
        Progress { step, total: 1000, epoch: 100 }
    }

    #[test]
    fn every_preset_hits_its_count_exactly() {
        for method in [Method::Set, Method::Rigl, Method::Gmp] {
            let topology = TopologySettings { method, ..TopologySettings::default() }.build().unwrap();
            let mut stream = Stream::new(3, Purpose::Bench, 0, 0);
            let start = (topology.start_density(0.1) * 1200.0) as usize;
            let mut weights = Weights::zeros(Pattern::random(30, 40, start, &mut stream), Storage::Auto);
            Init::He.fill(&mut weights, &mut stream);
            for step in (1..=1000).filter(|&step| topology.when.is_due(&progress(step))) {
                let mut gradients = |rows: Range<usize>, out: &mut [f32]| {
                    for (offset, value) in out.iter_mut().enumerate() {
                        *value = (rows.start * 40 + offset) as f32;
                    }
                };
                let new = topology.update(&weights, 120, &progress(step), &mut gradients, &mut stream);
                if let Some(pattern) = new {
                    weights = weights.rewire(pattern, Storage::Auto).0;
                }
            }
            assert_eq!(weights.nnz(), 120, "{method:?}");
        }
    }
}
