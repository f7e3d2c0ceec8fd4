//! What an optimizer remembers of the run as a whole, besides the slots of each weight: a few numbers, saved in
//! checkpoints.

use serde::{Deserialize, Serialize};

use super::armijo::Reach;
use super::barzilai_borwein::Secant;
use super::prodigy::Distance;
use super::schedule_free::Average;

/// What is remembered from step to step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// The learning rate that the last step took, the method's own estimate included.
    pub learning_rate: f32,
    pub(super) estimate: Estimate,
}

/// What each kind of method estimates.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) enum Estimate {
    /// Nothing: the learning rate is given.
    Nothing,
    /// Prodigy's.
    Distance(Distance),
    /// The schedule-free methods'.
    Average(Average),
    /// Armijo's.
    Reach(Reach),
    /// Barzilai and Borwein's.
    Secant(Secant),
    /// The Bregman methods': the last step's lambda.
    Threshold(Option<f32>),
}
