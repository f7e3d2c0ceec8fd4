//! Samples in memory for a trained model.

use super::loaded::Loaded;
use super::preparation::{Coding, Column, Preparation};
use crate::data::dataset::Dataset;
use crate::data::memory::Samples;
use crate::data::raw::{Raw, RawColumn};
use crate::data::read::texts::without_empty;
use crate::data::reading::{Broken, Format, Kept, MemoryReading, Reading};
use crate::{Error, InputProblem, Result};

impl Preparation {
    /// Samples in memory, made ready as the training part was; with their own targets, or, without `targets`, such that are
    /// all zero.
    ///
    /// # Errors
    /// As for [`Preparation::load`].
    pub fn prepare(&self, samples: &Samples, targets: bool) -> Result<Dataset> {
        Ok(self.load(samples, targets)?.dataset)
    }

    /// As [`Preparation::prepare`], with what became of the samples on the way: categories and words that training has not.
    ///
    /// # Errors
    /// [`Error::Input`]: another number of inputs, another kind of rows, classes that the model does not know; numbers for a model
    /// of texts or of categories. [`Error::Data`]: a table that lacks columns, an empty text.
    pub fn load(&self, samples: &Samples, targets: bool) -> Result<Loaded> {
        let samples = if targets { samples.clone() } else { samples.without_targets() };
        let raw = self.raw(samples, targets, Broken::Refuse)?;
        let all: Vec<usize> = (0..raw.samples()).collect();
        self.encode(&raw, &all, targets)
    }

    /// Samples in memory as a source, their rows and, with `targets`, their classes as those of the training part.
    pub(crate) fn raw(&self, samples: Samples, targets: bool, broken: Broken) -> Result<Raw> {
        let samples = if targets { samples.named(&self.classes)? } else { samples };
        match (samples.format(), self.text()) {
            (Format::Memory, _) => self.numbers_as_trained(samples),
            (Format::Csv, None) => samples.into_new(&self.reading),
            (_, Some(text)) => without_empty(samples.into_new(&self.reading)?, text.kind(), broken),
            _ => {
                let expected = "what the model was trained on".into();
                Err(Error::Input(InputProblem::Mismatch { found: "texts".into(), expected }))
            }
        }
    }

    /// Rows of numbers as a source.
    fn numbers_as_trained(&self, samples: Samples) -> Result<Raw> {
        let mut raw = samples.into_new(&Reading::Memory(self.memory_reading()?))?;
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
        let shifts = self.reading.shifts().to_vec();
        Ok(MemoryReading { kept, features: Vec::new(), targets: Vec::new(), shifts })
    }
}
