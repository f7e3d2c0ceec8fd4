//! The sparse substrate: which connections exist, how arrays aligned with them follow when they change, how many each
//! layer gets, and what they are worth at the start.

mod allocate;
mod blocks;
mod init;
mod moved;
mod pattern;
mod rewire;
mod storage;
mod weights;

pub use allocate::{Allocation, allocate, check_density};
pub use blocks::{BLOCK_HEIGHTS, BlockLine, Blocks, block_height};
pub use init::Init;

pub(crate) use pattern::KEPT_PLACES;
pub use pattern::{Index, Pattern};
pub use rewire::Rewire;
pub use storage::{BREAK_EVEN_DENSITY, Order, Storage};
pub use weights::{Dense, Sparse, Touched, Weights};
