//! The parts of a source that comes divided: one to train on, and perhaps one to watch training and one for the final
//! test, as folders or a column of a list name them.

use crate::Result;

/// What belongs to each part; all of it to `train` where a source is not divided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parts<T> {
    pub train: T,
    pub validation: Option<T>,
    pub test: Option<T>,
}

impl<T> Parts<T> {
    /// A source that is not divided.
    pub(crate) fn whole(train: T) -> Parts<T> {
        Parts { train, validation: None, test: None }
    }

    /// The part that a model is applied to: the test part if there is one, else the validation part; `None` for a source that is not
    /// divided.
    pub(crate) fn part_for_model(&self) -> Option<Part> {
        let validation = self.validation.as_ref().map(|_| Part::Validation);
        self.test.as_ref().map(|_| Part::Test).or(validation)
    }

    /// Those that there are.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        std::iter::once(&self.train).chain(&self.validation).chain(&self.test)
    }

    /// Each part through `change`.
    pub(crate) fn map<U>(self, mut change: impl FnMut(T) -> U) -> Parts<U> {
        Parts {
            train: change(self.train),
            validation: self.validation.map(&mut change),
            test: self.test.map(&mut change),
        }
    }

    /// Each part through `change`, up to the first error.
    pub(crate) fn try_map<U>(self, mut change: impl FnMut(T) -> Result<U>) -> Result<Parts<U>> {
        Ok(Parts {
            train: change(self.train)?,
            validation: self.validation.map(&mut change).transpose()?,
            test: self.test.map(&mut change).transpose()?,
        })
    }
}

impl<T> Parts<Vec<T>> {
    /// What a model is applied to: [`Parts::part_for_model`], or all there is.
    pub(crate) fn for_model(self) -> Vec<T> {
        self.test.or(self.validation).unwrap_or(self.train)
    }
}

/// A part of a source that comes divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// To train on.
    Train,
    /// To watch training.
    Validation,
    /// For the final test.
    Test,
}

impl Part {
    /// The part that a folder or a cell means by its name, in any case.
    pub(crate) fn named(name: &str) -> Option<Part> {
        match name.to_ascii_lowercase().as_str() {
            "train" | "training" | "seg_train" => Some(Part::Train),
            "val" | "valid" | "validation" | "dev" => Some(Part::Validation),
            "test" | "testing" | "seg_test" => Some(Part::Test),
            _ => None,
        }
    }

    /// What it is called in messages, as in "its test part".
    pub fn name(self) -> &'static str {
        match self {
            Part::Train => "training",
            Part::Validation => "validation",
            Part::Test => "test",
        }
    }
}
