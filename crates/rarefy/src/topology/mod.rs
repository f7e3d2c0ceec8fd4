//! Which connections exist, changing while the network trains. A method is a preset of seven small values:
//!
//! | value | question | file |
//! |---|---|---|
//! | [`When`] | at which steps? | `when` |
//! | [`Amount`] | how many connections stay, how many are there then? | `amount` |
//! | [`Scope`] | of each layer, or of all together? | `scope` |
//! | [`Drop`] | which stay? | `drop` |
//! | [`Grow`] | which come? | `grow` |
//! | [`Shape`] | what must hold besides? | `chains`, `fan_in` |
//! | [`Forward`] | which of them does a forward pass use? | here |
//!
//! An update sees all weight matrices of the network ([`View`]), because a connection may be dead for what its neighbouring
//! layers are. It names new [`Pattern`]s and nothing else: `sparse::Weights::rewire` derives what values and optimizer
//! state do. Of a matrix in row blocks it sees a matrix of the blocks ([`Blocked`]). A new method is a new preset, at most a new variant of one of the seven.

mod amount;
mod blocked;
mod chains;
mod drop;
mod fan_in;
mod grow;
mod paths;
mod phases;
mod preset;
mod scope;
mod select;
mod view;
mod when;

#[cfg(test)]
mod suite;
#[cfg(test)]
mod testing;

pub use amount::{Amount, Counts};
pub use blocked::Blocked;
pub use drop::{Drop, DropRule};
pub use grow::{Grow, GrowRule, Value, for_each_row, strongest_absent};
pub use phases::Phases;
pub use preset::{DropName, Method, TopologySettings};
pub use scope::Scope;
pub(crate) use select::merged;
pub use view::{CellGradients, Progress, SharedRows, View};
pub use when::When;

use crate::random::Stream;
use crate::sparse::Pattern;

/// What must hold besides the number of connections.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Shape {
    /// Nothing.
    Free,
    /// No connection leads into a hidden unit that leads nowhere, or out of one into which nothing leads (dead chains, which CHT
    /// removes: Zhang et al. 2024).
    LiveChains,
    /// All live units of a layer have the same fan-in, to within one (SRigL: Lasby et al. 2024, section 3). A connection is
    /// salient if it stays at an update, or is among the as many absent ones as are dropped whose gradients are largest; a
    /// unit with too few salient ones loses all it has.
    ConstantFanIn {
        /// The share of its fan-in that must be salient for a hidden unit to live on.
        min_salient: f64,
    },
}

/// Which connections a forward pass uses.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Forward {
    /// All of them.
    All,
    /// In each layer the largest, as many as the run is to end with, chosen anew at each update; all have gradients
    /// (Top-KAST).
    Largest {
        /// The strength of the exploration penalty: `exploration / 2` times the sum of the squares of the weights in
        /// use, and of those not in use over the layer's density.
        exploration: f32,
    },
}

/// A method: when, how many, which stay, which come, and what must hold besides.
///
/// A method by name is what [`TopologySettings::build`] makes; parts may be exchanged:
/// ```
/// use rarefy::topology::{Drop, Grow, Method, Topology, TopologySettings, Value};
///
/// let rigl = TopologySettings { method: Method::Rigl, ..TopologySettings::default() }.build()?;
/// let random = Topology { grow: Grow::Random(Value::Zero), ..rigl };
/// assert!(matches!(random.drop, Drop::Magnitude));
/// # Ok::<(), rarefy::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Topology {
    /// At which steps.
    pub when: When,
    /// How many connections stay and come.
    pub amount: Amount,
    /// Whether of each layer or of all together.
    pub scope: Scope,
    /// Which stay.
    pub drop: Drop,
    /// Which come.
    pub grow: Grow,
    /// What must hold besides.
    pub shape: Shape,
    /// Which of them a forward pass uses.
    pub forward: Forward,
    /// The least density that a run starts with.
    pub start: f64,
}

impl Topology {
    /// The density that a run starts with, given the one it is to end with.
    pub fn start_density(&self, density: f64) -> f64 {
        let bound = match self.amount {
            Amount::Overshoot { overshoot, .. } | Amount::Superset { overshoot, .. } => {
                density * (1.0 + overshoot)
            }
            _ => density,
        };
        bound.max(self.start).min(1.0)
    }

    /// Whether an update may ask for the gradients of absent connections; rules of a user's own may.
    pub fn looks_beyond(&self) -> bool {
        matches!(self.grow, Grow::Gradient | Grow::SampledGradient { .. } | Grow::Custom(_))
            || matches!(self.drop, Drop::Custom(_))
            || matches!(self.shape, Shape::ConstantFanIn { .. })
    }

    /// The connections that a matrix starts with: `nnz` random ones.
    pub fn start_pattern(&self, rows: usize, cols: usize, nnz: usize, stream: &mut Stream) -> Pattern {
        match self.shape {
            Shape::ConstantFanIn { .. } => Pattern::constant_fan_in(rows, cols, nnz, stream),
            _ => Pattern::random(rows, cols, nnz, stream),
        }
    }

    /// The connections of each weight matrix after an update, or `None` where they stay. The matrices come in the
    /// network's order, from its inputs to its outputs.
    pub fn update(&self, views: &mut [View<'_>], progress: &Progress) -> Vec<Option<Pattern>> {
        let counts = self.counts(views, progress);
        let mut kept: Vec<Option<Vec<usize>>> = views
            .iter_mut()
            .zip(&counts)
            .map(|(view, counts)| {
                let stays = counts.kept == view.weights.nnz() && counts.total == counts.kept;
                (!stays).then(|| self.drop.keep(view, counts.kept, progress))
            })
            .collect();
        if self.shape == Shape::LiveChains {
            chains::remove(views, &mut kept);
        }
        let last = views.len().saturating_sub(1);
        let matrices = views.iter_mut().zip(kept).zip(counts).enumerate();
        matrices
            .map(|(index, ((view, kept), counts))| {
                let (kept, total) = (kept?, counts.total);
                let cells = match self.shape {
                    Shape::ConstantFanIn { min_salient } => {
                        fan_in::cells(view, kept, total, min_salient, index < last)
                    }
                    Shape::Free | Shape::LiveChains => {
                        let grown = self.grow.cells(view, &kept, total - kept.len());
                        merged(kept, &grown)
                    }
                };
                Some(Pattern::from_cells(view.weights.rows(), view.weights.cols(), cells.into_iter()))
            })
            .collect()
    }

    /// How many connections of each matrix stay and come.
    fn counts(&self, views: &[View<'_>], progress: &Progress) -> Vec<Counts> {
        let counts = |live, cells, target| self.amount.counts(live, cells, target, &self.when, progress);
        let sizes = views
            .iter()
            .map(|View { weights, target, .. }| (weights.nnz(), weights.rows() * weights.cols(), *target));
        if self.scope == Scope::Global {
            let sum = |a: (usize, usize, usize), b: (usize, usize, usize)| (a.0 + b.0, a.1 + b.1, a.2 + b.2);
            let single = sizes.clone().zip(views);
            let single = single.map(|((live, cells, target), View { block, .. })| {
                (block * live, block * cells, block * target)
            });
            let (live, cells, target) = single.fold((0, 0, 0), sum);
            let whole = counts(live, cells, target);
            if whole.total <= live {
                return scope::share_out(views, whole);
            }
        }
        sizes.map(|(live, cells, target)| counts(live, cells, target)).collect()
    }
}
