//! Checks a [`Preparation`] that came from a file: every number that is used as an index, a size or a divisor, and that its
//! parts agree.

use std::collections::{BTreeSet, HashSet};

use super::preparation::{Coding, Column, Preparation};
use super::scale::Scaler;
use super::target_scaler::TargetScaler;
use crate::data::dataset::Task;
use crate::data::reading::{CellKind, CsvColumn, CsvReading, Format, Kept, MemoryReading, Reading};
use crate::data::text::TextCoding;

type Checked = Result<(), String>;

impl Preparation {
    /// Checks what came from a file.
    ///
    /// # Errors
    /// What cannot be, or contradicts something else.
    pub fn check(&self) -> Checked {
        self.shape.check()?;
        self.check_columns()?;
        self.check_outputs()?;
        self.check_positions()?;
        self.check_reading()?;
        self.check_shifts()?;
        self.check_fill()?;
        self.check_scaler()?;
        self.check_target_scaler()?;
        let inputs = self.shape.features();
        ensure(self.constant_inputs <= inputs, || {
            format!("{} of {inputs} inputs are constant", self.constant_inputs)
        })
    }

    /// How many tokens there are, if samples are tokens.
    pub(crate) fn vocabulary(&self) -> Option<usize> {
        if let Reading::Memory(MemoryReading { kept: Kept::Tokens(vocabulary), .. }) = self.reading {
            return Some(vocabulary);
        }
        match self.text()? {
            TextCoding::Bag(_) => None,
            TextCoding::Tokens { tokenizer, .. } => Some(tokenizer.size()),
        }
    }

    /// That the columns make the inputs.
    fn check_columns(&self) -> Checked {
        if let Some(text) = self.text() {
            text.check()?;
            let (made, inputs) = (text.shape(), self.shape);
            return ensure(made == inputs, || format!("the text makes {made}, and the inputs are {inputs}"));
        }
        for column in &self.columns {
            column.check().map_err(|problem| format!("the column {:?} {problem}", column.name))?;
        }
        let made: usize = self.columns.iter().map(Column::inputs).sum();
        let fits = self.columns.is_empty() || self.shape.features() == made;
        ensure(fits, || format!("the columns make {made} inputs, and there are {}", self.shape))
    }

    /// That the classes, units or values are as many as the outputs.
    fn check_outputs(&self) -> Checked {
        let wanted = match self.task {
            Task::Classification => self.classes.len(),
            Task::Transcription => self.classes.len() + 1,
            Task::LanguageModel => self.vocabulary().ok_or("a language model has no tokens")?,
            Task::MultiLabel | Task::Regression => self.outputs.max(1),
        };
        ensure(self.outputs == wanted && wanted > 0, || {
            format!("there are {} outputs for {wanted} of the task {:?}", self.outputs, self.task)
        })?;
        let has_classes = matches!(self.task, Task::Classification | Task::Transcription);
        ensure(has_classes || self.classes.is_empty(), || format!("{:?} has no classes", self.task))?;
        ensure(all_differ(self.classes.iter()), || "a class is there twice".into())?;
        ensure(self.units.is_some() == (self.task == Task::Transcription), || {
            "units are what a transcription, and only that, is a sequence of".into()
        })
    }

    /// That columns and labels stand in the file, each at its own place.
    fn check_positions(&self) -> Checked {
        let Reading::Csv(CsvReading { dialect, columns, labels, weight, keep, .. }) = &self.reading else {
            return Ok(());
        };
        // A column of dates stands there for each of their parts.
        let is_date = |column: &&CsvColumn| matches!(column.cells, CellKind::Date(_));
        let dates: BTreeSet<usize> = columns.iter().filter(is_date).map(|column| column.position).collect();
        let positions = || {
            let labels = labels.iter().map(|label| label.position);
            let others = columns.iter().filter(|column| !is_date(column)).chain(weight);
            others.map(|column| column.position).chain(labels).chain(dates.iter().copied())
        };
        ensure(dialect.delimiter.is_ascii() && !"\"\r\n".contains(dialect.delimiter), || {
            format!("{:?} cannot separate cells", dialect.delimiter)
        })?;
        ensure(all_differ(positions()), || "two columns stand at the same place".into())?;
        let kept = keep.iter().map(|column| column.position);
        ensure(positions().chain(kept).all(|position| position < dialect.columns), || {
            format!("a column stands beyond the {} of the file", dialect.columns)
        })
    }

    /// That files are read as such samples.
    fn check_reading(&self) -> Checked {
        let read = match &self.reading {
            Reading::Images(reading) => {
                ensure([1, 3].contains(&reading.channels), || {
                    format!("images have 1 channel or 3, not {}", reading.channels)
                })?;
                let (height, width) = (reading.size.height as usize, reading.size.width as usize);
                Some(height * width * reading.channels)
            }
            Reading::Audio(reading) => {
                reading.check()?;
                Some(reading.frames * reading.features.per_frame())
            }
            Reading::Libsvm(reading) => {
                ensure(reading.first_index <= 1, || format!("the first feature is {}", reading.first_index))?;
                None
            }
            Reading::Memory(reading) => {
                self.check_memory(reading)?;
                None
            }
            _ => None,
        };
        // `data.shape` may lay the same numbers out in another way.
        ensure(read.is_none_or(|read| read == self.shape.features()), || {
            format!("the inputs are {}, and files are read as others", self.shape)
        })
    }

    /// That names of inputs and outputs are as many as these.
    fn check_memory(&self, reading: &MemoryReading) -> Checked {
        let fits = |names: &[String], count: usize| names.is_empty() || names.len() == count;
        ensure(fits(&reading.features, self.shape.features()), || {
            format!("{} inputs have names, and there are {}", reading.features.len(), self.shape)
        })?;
        ensure(fits(&reading.targets, self.outputs), || {
            format!("{} outputs have names, and there are {}", reading.targets.len(), self.outputs)
        })
    }

    /// That only numbers are shifted, each column once.
    fn check_shifts(&self) -> Checked {
        let shifts = self.reading.shifts();
        let count = if self.columns.is_empty() { self.shape.features() } else { self.columns.len() };
        let is_number = |column: usize| {
            column < count
                && self
                    .columns
                    .get(column)
                    .is_none_or(|column| matches!(column.coding, Coding::Number { .. }))
        };
        ensure(shifts.iter().all(|shift| is_number(shift.column)), || {
            "what is shifted is no column of numbers".into()
        })?;
        ensure(all_differ(shifts.iter().map(|shift| shift.column)), || "a column is shifted twice".into())?;
        ensure(shifts.iter().all(|shift| shift.unit > 0.0), || {
            "the unit of a shifted column is not above 0".into()
        })
    }

    /// That gaps of arrays, and of nothing else, have what fills them.
    fn check_fill(&self) -> Checked {
        let fits = self.fill.len() == self.shape.features() && self.format() == Format::Npy;
        ensure(self.fill.is_empty() || fits, || {
            format!("{} numbers fill gaps, and the inputs are {}", self.fill.len(), self.shape)
        })
    }

    /// That each number has its scale.
    fn check_scaler(&self) -> Checked {
        // JSON has no other numbers than finite ones.
        let count = match &self.scaler {
            Scaler::None => return Ok(()),
            Scaler::Global { .. } => 1,
            Scaler::Columns { offsets, multipliers } => {
                ensure(offsets.len() == multipliers.len(), || {
                    format!("the scaler has {} offsets and {} multipliers", offsets.len(), multipliers.len())
                })?;
                offsets.len()
            }
        };
        let keeps_all = match &self.reading {
            Reading::Memory(reading) => reading.kept == Kept::All,
            reading => reading.format() != Format::Libsvm,
        };
        ensure(self.text().is_none() && keeps_all, || "sparse features and texts are not scaled".into())?;
        let fits = [1, self.shape.channels, self.shape.features()].contains(&count);
        ensure(fits, || format!("the scaler has {count} columns for inputs of {}", self.shape))
    }

    /// That each output has its figures, if it is scaled.
    fn check_target_scaler(&self) -> Checked {
        let (TargetScaler::Standard(figures) | TargetScaler::Log(figures)) = &self.target_scaler else {
            return Ok(());
        };
        ensure(self.task == Task::Regression, || format!("{:?} predicts no numbers to scale", self.task))?;
        let counts = [figures.means.len(), figures.deviations.len()];
        ensure(counts == [self.outputs; 2], || {
            format!("the target scaler has {counts:?} means and deviations for {} outputs", self.outputs)
        })?;
        ensure(figures.deviations.iter().all(|&deviation| deviation > 0.0), || {
            "a deviation of the target scaler is not above 0".into()
        })
    }
}

impl Column {
    fn check(&self) -> Checked {
        match &self.coding {
            Coding::Number { .. } => Ok(()),
            Coding::Category { values } => {
                ensure(all_differ(values.iter()), || "has a category twice".into())
            }
            Coding::Text(_) => Err("is text, which stands alone".into()),
        }
    }
}

fn all_differ<T: Eq + std::hash::Hash>(mut items: impl Iterator<Item = T>) -> bool {
    let mut seen = HashSet::new();
    items.all(|item| seen.insert(item))
}

/// The problem unless something is right.
pub(super) fn ensure(is_right: bool, problem: impl FnOnce() -> String) -> Checked {
    if is_right { Ok(()) } else { Err(problem()) }
}
