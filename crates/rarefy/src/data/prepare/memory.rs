//! Samples in memory for a trained model.

use super::preparation::{Coding, Column, Preparation};
use crate::data::dataset::Dataset;
use crate::data::memory::Samples;
use crate::data::raw::{Raw, RawColumn};
use crate::data::reading::{Kept, MemoryReading, Reading};
use crate::data::span::Shifting;
use crate::{Error, InputProblem, Result};

impl Preparation {
    /// Samples in memory, made ready as the training part was; with their own targets, or, without `targets`, such that are
    /// all zero.
    ///
    /// # Errors
    /// [`Error::Input`]: another number of inputs, another kind of rows, classes that the model does not know; a model
    /// of texts or of categories, which numbers cannot be.
    pub fn prepare(&self, samples: &Samples, targets: bool) -> Result<Dataset> {
        let samples = if targets { samples.clone() } else { samples.without_targets() };
        let raw = self.raw(samples, targets)?;
        let all: Vec<usize> = (0..raw.samples()).collect();
        Ok(self.encode(&raw, &all, targets)?.dataset)
    }

    /// Samples in memory as a source, their rows and, with `targets`, their classes as those of the training part.
    pub(crate) fn raw(&self, samples: Samples, targets: bool) -> Result<Raw> {
        let samples = if targets { samples.named(&self.classes)? } else { samples };
        let shifting = Shifting::As(self.reading.shifts().to_vec());
        let mut raw = samples.into_raw(&self.memory_reading()?, &shifting)?;
        if raw.width != self.shape.features() {
            let found = format!("rows of {} inputs", raw.width);
            return Err(Error::Input(InputProblem::Mismatch { found, expected: self.shape.to_string() }));
        }
        let number = |column: &Column| RawColumn { name: column.name.clone(), vocabulary: None };
        raw.columns = self.columns.iter().map(number).collect();
        Ok(raw)
    }

    /// How samples in memory are to be taken for a model of this preparation.
    fn memory_reading(&self) -> Result<MemoryReading> {
        let is_number = |column: &Column| matches!(column.coding, Coding::Number { .. });
        let kept = match &self.reading {
            Reading::Memory(reading) => reading.kept,
            Reading::Libsvm(_) => Kept::Nonzeros,
            _ if self.columns.iter().all(is_number) => Kept::All,
            _ => {
                let found = "rows of numbers".into();
                let expected = "texts or categories, as in the file that the model was trained on,".into();
                return Err(Error::Input(InputProblem::Mismatch { found, expected }));
            }
        };
        Ok(MemoryReading { kept, features: Vec::new(), targets: Vec::new(), shifts: Vec::new() })
    }
}
