//! Penalties and constraints on weights, the pressure that empties connections: pure functions on slices. They know
//! nothing of layers, optimizers or threads; the caller says what a slice is and hands over step sizes.
//!
//! A penalty acts after the optimizer's step, through its proximal operator with one step size `s` per weight
//! (ProxGen: Yun, Lozano and Yang 2021, algorithm 1), which makes exact zeros under adaptive optimizers too:
//! ```text
//! prox(w) = argmin over x of  sum_i (x_i - w_i)^2 / (2 s_i) + P(x)
//! ```
//! `s` is the learning rate under plain gradient descent, `learning_rate / (sqrt(v) + epsilon)` under Adam. A
//! constraint projects onto its set instead, `argmin |x - w|` over the x allowed, whatever the step size.
//!
//! | penalty | `P(x)` | file |
//! |---|---|---|
//! | L1 | `lambda sum_i abs(x_i)` | `l1` |
//! | elastic net | L1 and half a squared norm | `elastic_net` |
//! | MCP | L1 that levels off | `mcp` |
//! | l-half | `lambda sum_i sqrt(abs(x_i))` | `l_half` |
//! | group L1 | `lambda sum_g sqrt(size_g) norm(x_g)` | `group_l1` |
//!
//! Constraints are `l1_ball`, `top_k` and `bounds`. Gates on neurons, which need no proximal step, are `hard_concrete`; they
//! and STR's thresholds change what a network computes with, see `train::effective`.
//!
//! ```
//! use rarefy::penalties::{PenaltyMethod, PenaltySettings, Regularizer, Steps};
//!
//! let settings = PenaltySettings { method: PenaltyMethod::L1, lambda: Some(0.5), ..Default::default() };
//! let Some(Regularizer::Prox(penalty)) = settings.build()? else { unreachable!() };
//! let mut weights = [3.0, -0.25, 1.0];
//! penalty.prox(&mut weights, Steps::Each(&[2.0, 1.0, 0.5]));
//! assert_eq!(weights, [2.0, 0.0, 0.75]);
//! # Ok::<(), rarefy::Error>(())
//! ```

mod bounds;
mod constraint;
mod elastic_net;
mod group_l1;
pub mod hard_concrete;
mod l1;
mod l1_ball;
mod l_half;
mod mcp;
mod settings;
#[cfg(test)]
mod suite;
mod top_k;

pub use bounds::Bounds;
pub use constraint::{Constraint, ConstraintMethod, ConstraintSettings, Projection, Scope};
pub use elastic_net::ElasticNet;
pub use group_l1::{GroupL1, Groups, Shrinkage};
pub use l_half::LHalf;
pub use l1::L1;
pub use l1_ball::L1Ball;
pub use mcp::Mcp;
pub use settings::{GroupBy, PenaltyMethod, PenaltySettings, Regularizer};
pub use top_k::{TopK, TopKCut};

/// Step sizes of a proximal step, at least 0.
#[derive(Debug, Clone, Copy)]
pub enum Steps<'a> {
    /// One for all weights.
    Same(f32),
    /// One for each weight.
    Each(&'a [f32]),
}

/// A penalty that looks at each weight alone. Every operation but [`Penalty::value`] may be cut into sub-slices, in any
/// order and in parallel, and gives the same bits. NaN stays NaN.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Penalty {
    /// `lambda |w|`.
    L1(L1),
    /// L1 and half a square.
    ElasticNet(ElasticNet),
    /// L1 that levels off.
    Mcp(Mcp),
    /// `lambda sqrt(|w|)`.
    LHalf(LHalf),
}

impl Penalty {
    /// The penalty of these weights, summed in a fixed order.
    pub fn value(&self, values: &[f32]) -> f64 {
        match self {
            Penalty::L1(penalty) => sum(values, |w| penalty.value(w)),
            Penalty::ElasticNet(penalty) => sum(values, |w| penalty.value(w)),
            Penalty::Mcp(penalty) => sum(values, |w| penalty.value(w)),
            Penalty::LHalf(penalty) => sum(values, |w| penalty.value(w)),
        }
    }

    /// Adds a subgradient to `gradients`: the derivative, and 0 at a weight of 0.
    ///
    /// # Panics
    /// If the lengths differ.
    #[inline(always)]
    pub fn add_subgradient(&self, values: &[f32], gradients: &mut [f32]) {
        match self {
            Penalty::L1(penalty) => add(values, gradients, |w| penalty.slope(w)),
            Penalty::ElasticNet(penalty) => add(values, gradients, |w| penalty.slope(w)),
            Penalty::Mcp(penalty) => add(values, gradients, |w| penalty.slope(w)),
            Penalty::LHalf(penalty) => add(values, gradients, |w| penalty.slope(w)),
        }
    }

    /// How strong a gradient must be to move a weight off 0: the slope of the penalty there.
    pub fn slope_at_zero(&self) -> f32 {
        match self {
            Penalty::L1(penalty) => penalty.slope(f32::MIN_POSITIVE),
            Penalty::ElasticNet(penalty) => penalty.slope(f32::MIN_POSITIVE),
            Penalty::Mcp(penalty) => penalty.slope(f32::MIN_POSITIVE),
            // Of a root: no gradient is as steep.
            Penalty::LHalf(_) => f32::INFINITY,
        }
    }

    /// The proximal step, in place: the global minimiser, the one nearer to 0 if there are two.
    ///
    /// # Panics
    /// If there are steps for each weight and their number differs.
    #[inline(always)]
    pub fn prox(&self, values: &mut [f32], steps: Steps<'_>) {
        match self {
            Penalty::L1(penalty) => each(values, steps, |w, step| penalty.prox(w, step)),
            Penalty::ElasticNet(penalty) => each(values, steps, |w, step| penalty.prox(w, step)),
            Penalty::Mcp(penalty) => each(values, steps, |w, step| penalty.prox(w, step)),
            Penalty::LHalf(penalty) => each(values, steps, |w, step| penalty.prox(w, step)),
        }
    }
}

#[inline(always)]
fn each(values: &mut [f32], steps: Steps<'_>, prox: impl Fn(f32, f32) -> f32) {
    match steps {
        Steps::Same(step) => {
            for w in values {
                *w = prox(*w, step);
            }
        }
        Steps::Each(steps) => {
            assert_eq!(steps.len(), values.len(), "there must be as many steps as values");
            for (w, &step) in values.iter_mut().zip(steps) {
                *w = prox(*w, step);
            }
        }
    }
}

#[inline(always)]
fn add(values: &[f32], gradients: &mut [f32], slope: impl Fn(f32) -> f32) {
    assert_eq!(gradients.len(), values.len(), "there must be as many gradients as values");
    for (gradient, &w) in gradients.iter_mut().zip(values) {
        *gradient += slope(w);
    }
}

/// The sum over the values in 16 interleaved parts, so that it vectorises.
#[inline(always)]
fn sum(values: &[f32], value: impl Fn(f32) -> f64) -> f64 {
    let mut sums = [0.0; 16];
    let (chunks, rest) = values.as_chunks::<16>();
    for chunk in chunks {
        for (sum, &w) in sums.iter_mut().zip(chunk) {
            *sum += value(w);
        }
    }
    for (sum, &w) in sums.iter_mut().zip(rest) {
        *sum += value(w);
    }
    sums.iter().sum()
}

/// -1, 0 or 1; NaN for NaN.
#[inline(always)]
fn sign(w: f32) -> f32 {
    if w > 0.0 {
        1.0
    } else if w < 0.0 {
        -1.0
    } else {
        w
    }
}
