//! Samples that stay in a file, for data beyond memory: `data.memory` says how much of it is held at once.
//!
//! ```text
//! an array on the disk -----------------------------------+
//! any other source -> scratch file, a record a sample ----+-> Records -> decode -> RowCoding -> a batch
//!                                                                +-> entries, of nonzeros ---------^
//!                                                                ^
//!                       Ahead: what the next window of batches takes, read in the background
//! ```
//! Training goes through windows: what memory holds at once is shuffled together (`windowed_order`). Labels, weights and lengths are
//! in memory. What is not read ahead, as the samples of an evaluation in their order, is read one by one.

mod ahead;
mod cells;
mod coding;
mod csr;
mod in_file;
mod records;
mod rows;
mod scratch;

pub(crate) use ahead::Ahead;
pub(crate) use cells::{Decode, FileCells};
pub(crate) use coding::{CellCoding, RowCoding};
pub(crate) use csr::FileCsr;
pub use csr::StreamedCsr;
pub(crate) use in_file::InFile;
pub(crate) use records::{Places, Records, Unchanged};
pub use rows::StreamedRows;
pub(crate) use scratch::{Scratch, hash};

/// What streaming needs to know of the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Streaming {
    /// The folder of scratch files; the system's if not given.
    pub scratch: Option<std::path::PathBuf>,
}

#[cfg(test)]
mod tests;
