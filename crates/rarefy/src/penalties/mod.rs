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
//! | penalty | `P(x)` |
//! |---|---|
//! | [`L1`] | `lambda sum_i abs(x_i)` |
//! | [`ElasticNet`] | L1 and half a squared norm |
//! | [`Mcp`] | L1 that levels off |
//! | [`LHalf`] | `lambda sum_i sqrt(abs(x_i))` |
//! | [`GroupL1`] | `lambda sum_g sqrt(size_g) norm(x_g)` |
//!
//! A penalty of your own is a [`PenaltyRule`]. Constraints are [`L1Ball`], [`TopK`] and [`Bounds`]. Gates on neurons, which need
//! no proximal step, are [`hard_concrete`]; they and STR's thresholds change what a network computes with.
//!
//! ```
//! use rarefy::penalties::{L1, Penalty, PenaltyForm, Steps};
//!
//! let penalty = Penalty { form: PenaltyForm::L1(L1), lambda: 0.5 };
//! let mut weights = [3.0, -0.25, 1.0];
//! penalty.prox(&mut weights, Steps::Each(&[2.0, 1.0, 0.5]));
//! assert_eq!(weights, [2.0, 0.0, 0.75]);
//! ```

mod bounds;
mod constraint;
mod elastic_net;
mod form;
mod group_l1;
pub mod hard_concrete;
mod l1;
mod l1_ball;
mod l_half;
mod mcp;
mod rule;
mod settings;
#[cfg(test)]
mod suite;
mod top_k;

pub use bounds::Bounds;
pub use constraint::{Constraint, ConstraintMethod, ConstraintSettings, Projection, Scope};
pub use elastic_net::ElasticNet;
pub use form::{Penalty, PenaltyForm};
pub use group_l1::{GroupL1, Groups, Shrinkage};
pub use l_half::LHalf;
pub use l1::L1;
pub use l1_ball::L1Ball;
pub use mcp::Mcp;
pub use rule::{PenaltyRule, Steps};
pub use settings::{GroupBy, PenaltyMethod, PenaltySettings, Regularizer};
pub use top_k::{TopK, TopKCut};
