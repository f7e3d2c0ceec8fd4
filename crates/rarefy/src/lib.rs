//! rarefy trains neural networks that are sparse from the first step to the last: weights, gradients, optimizer state
//! and checkpoints exist only for the connections that the network keeps.
#![deny(unsafe_code)]

#[macro_use]
pub mod names;

pub mod control;
pub mod convex;
pub mod data;
pub mod error;
pub mod kernels;
pub mod layers;
pub mod losses;
pub mod math;
pub mod metrics;
pub mod optimizers;
pub mod penalties;
pub mod random;
#[cfg(feature = "report")]
pub mod report;
pub mod sparse;
pub mod tiles;
pub mod topology;
pub mod train;

pub use data::{DataSettings, Dataset, Samples, Splits};
pub use error::{Error, InputProblem, Result};
pub use layers::{LayerSpec, Network, NetworkSpec};
pub use train::{Control, Event, Model, Outcome, Prediction, Predictions, Run, Settings};
