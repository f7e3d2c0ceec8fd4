//! Data: files in, samples as flat numbers out, split, scaled and cut into mini-batches.
//!
//! ```text
//! settings -> read (a file or folder a format) -> Raw -> split -> prepare -> Dataset -> Batch        (`load` is the whole flow)
//! ```
//!
//! Samples are split before anything is learned from them: means, categories and scale come from the training part.

mod alike;
mod augment;
mod batches;
mod csr;
mod dataset;
mod dates;
mod describe;
mod fingerprint;
mod language;
mod lent;
mod load;
mod memory;
mod parts;
mod prepare;
mod raw;
mod read;
mod reading;
mod settings;
mod shares;
mod shown;
mod span;
mod splits;
mod stream;
#[cfg_attr(not(feature = "arrow"), path = "no_table.rs")]
mod table;
pub mod text;
mod weights;
mod wide;

pub use augment::Augmentation;
pub use batches::{Batch, BatchTargets, epoch_order, run_order, windowed_order};
pub use csr::Csr;
pub use dataset::{Dataset, Features, Targets, Task};
pub use dates::DatePart;
pub use describe::{ClassCount, ColumnDescription, ColumnKind, Description, NumberDescription, describe};
pub use lent::LentRows;
pub(crate) use load::load_within;
pub use load::{
    CrossValidation, from_memory, from_memory_as, from_memory_parts, load, load_readable, load_streamed,
    load_to_predict, load_with,
};
pub use memory::Samples;
pub use parts::Part;
pub use prepare::{
    Coding, Column, Loaded, Preparation, Scaler, TargetFigures, TargetScaler, UnknownCategories, fewest_steps,
};
pub use raw::{KeptColumn, SkippedFile};
pub use read::{digits, part_for_model, what_can_be_read};
pub use reading::{
    ArrayReading, AudioReading, CellKind, CsvColumn, CsvReading, Dialect, Format, ImageReading, JsonlReading,
    Kept, LabelColumn, LibsvmReading, MemoryReading, Reading,
};
pub use settings::{
    AudioFeatures, AudioSettings, AugmentSettings, DataSettings, Decimal, Fold, Header, ImageColor,
    ImageSize, LabelType, Missing, Quote, Scale, TargetScale, TaskChoice, Units,
};
pub use shares::{Shares, share_of};
pub use span::Shift;
pub use splits::Splits;
pub(crate) use stream::Ahead;
pub use stream::{StreamedCsr, StreamedRows};
#[cfg(feature = "arrow")]
pub use table::Table;

#[cfg(test)]
mod file_tests;
#[cfg(test)]
mod table_tests;
#[cfg(test)]
mod tests;
