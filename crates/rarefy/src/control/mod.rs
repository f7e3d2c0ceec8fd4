//! The closed loop: the user names the result (98 % sparse, 60 kB, 2 MFLOP), not a lambda.
//!
//! [`TargetSettings`] says what is asked for, [`Budget`] what a network costs in the same unit, and [`Controller`] steers
//! the lambda of a penalty so that the cost follows a falling curve to the target. Of a path of lambdas, [`best`] and [`knee`] say
//! which model to take. Knows numbers only, no networks.

mod budget;
mod choice;
mod controller;
mod lambdas;
mod target;

pub use budget::{Budget, LayerCost};
pub use choice::{Candidate, best, knee};
pub use controller::{Controller, ControllerState, END};
pub use lambdas::{PathStart, lambda_grid};
pub(crate) use target::bytes_setting;
pub use target::{TargetSettings, parse_bytes, parse_target};
