//! Training: the conductor, the only module that sees all others.

mod engine;

pub use crate::topology::Progress;
pub use engine::{Churn, Engine, EngineParts, Score, predict, score};
