//! How raw samples become what a network sees. All of it is learned from the training part and stored with the model, so
//! that a new file is made ready in the way in which the training part was.

mod check;
pub(super) mod classes;
mod code;
mod fit;
mod groups;
mod loaded;
mod memory;
mod preparation;
mod scale;
pub(super) mod split;
mod stored;
mod target_scaler;
mod transcripts;
mod units;

pub use loaded::{Loaded, UnknownCategories};
pub use preparation::{Coding, Column, Preparation};
pub use scale::Scaler;
pub(super) use scale::{Moments, moments};
pub use target_scaler::{TargetFigures, TargetScaler};
pub use transcripts::fewest_steps;
