//! The closed loop: the user names the result (98 % sparse, 60 kB, 2 MFLOP), not a lambda.
//!
//! [`TargetSettings`] says what is asked for, [`Budget`] what a network costs in the same unit, and [`Controller`] steers
//! the lambda of a penalty so that the cost follows a falling curve to the target. Knows numbers only, no networks.

mod budget;
mod controller;
mod lambdas;
mod target;

pub use budget::{Budget, LayerCost};
pub use controller::{Controller, ControllerState, END};
pub use lambdas::{PathStart, lambda_grid};
pub(crate) use target::bytes_setting;
pub use target::{TargetSettings, parse_bytes, parse_target};
