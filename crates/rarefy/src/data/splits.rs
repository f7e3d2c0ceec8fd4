//! The parts that a network is trained, watched and tested on.

use super::augment::Augmentation;
use super::dataset::{Dataset, Task};
use super::memory::Samples;
use super::prepare::{Preparation, UnknownCategories};
use super::raw::SkippedFile;
use super::text::TextCounts;
use crate::Result;

/// The parts of a source, ready for training, and how they were made ready.
#[derive(Debug, Clone, PartialEq)]
pub struct Splits {
    /// To train on.
    pub train: Dataset,
    /// To watch training; absent if `data.validation_fraction` is 0 or there are too few samples.
    pub validation: Option<Dataset>,
    /// For the final test; absent if `data.test_fraction` is 0 or there are too few samples.
    pub test: Option<Dataset>,
    /// Samples of the test part for each that is left to train and validate on, if it was drawn from them by seed or fold; 0 if
    /// it is the same for all seeds. By this much scores of several draws depend on each other (`report::paired_t_test`).
    pub test_over_rest: f64,
    /// How many training samples are shuffled together, if not all are: those of a file that are in memory at once (`data.memory`).
    pub window: Option<usize>,
    /// How a new file is made ready in the same way; to be stored with the model.
    pub preparation: Preparation,
    /// How training samples are changed as they are gathered, if at all.
    pub augmentation: Option<Augmentation>,
    /// Files that could not be read, and texts that are empty, which were left out, of all parts.
    pub skipped: Vec<SkippedFile>,
    /// For text, how many tokens are unknown in each part, in the order of the parts above.
    pub text: Vec<(&'static str, TextCounts)>,
    /// For tables, the categories in each other part that training has not.
    pub unknown: Vec<(&'static str, UnknownCategories)>,
    /// What was decided about a table without being asked for, and what looks odd in it.
    pub notes: Vec<String>,
}

impl Splits {
    /// Other samples to go on training with, made ready as these were; without other parts.
    ///
    /// # Errors
    /// As for [`Preparation::prepare`].
    pub fn continued(&self, samples: &Samples) -> Result<Splits> {
        Ok(Splits {
            train: self.preparation.prepare(samples, true)?,
            validation: None,
            test: None,
            test_over_rest: 0.0,
            window: None,
            preparation: self.preparation.clone(),
            augmentation: self.augmentation.clone(),
            skipped: Vec::new(),
            text: Vec::new(),
            unknown: Vec::new(),
            notes: Vec::new(),
        })
    }

    /// The characters of a part of a language model's text, by which its bits are divided.
    pub fn characters(&self, part: &str) -> Option<usize> {
        let is_language = self.preparation.task == Task::LanguageModel;
        let found = self.text.iter().find(|(name, _)| is_language && *name == part);
        found.map(|(_, counts)| counts.characters)
    }
}
