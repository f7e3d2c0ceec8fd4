//! Samples made ready, and what became of them on the way.

use std::path::PathBuf;

use serde::Serialize;

use crate::data::dataset::Dataset;
use crate::data::raw::{KeptColumn, SkippedFile};
use crate::data::text::TextCounts;

/// Samples ready for a network.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The samples.
    pub dataset: Dataset,
    /// For text, how many tokens are unknown.
    pub text: Option<TextCounts>,
    /// For tables, the columns with categories that training has not.
    pub unknown: Vec<UnknownCategories>,
    /// For images, recordings and text files, the file of each sample.
    pub files: Vec<PathBuf>,
    /// What could not be read and was left out.
    pub skipped: Vec<SkippedFile>,
    /// The columns that were asked for as they are.
    pub kept: Vec<KeptColumn>,
    /// What was decided without being asked, and what looks wrong: numbers that seem to be in other units than training's.
    pub notes: Vec<String>,
}

impl Loaded {
    /// Samples of which there is nothing to tell.
    pub fn new(dataset: Dataset) -> Loaded {
        Loaded {
            dataset,
            text: None,
            unknown: Vec::new(),
            files: Vec::new(),
            skipped: Vec::new(),
            kept: Vec::new(),
            notes: Vec::new(),
        }
    }
}

/// Categories of a column that training has not: all inputs of such a cell are zero.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UnknownCategories {
    /// The column.
    pub column: String,
    /// Cells with such a category.
    pub unknown: usize,
    /// Cells with any.
    pub cells: usize,
}

impl std::fmt::Display for UnknownCategories {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let UnknownCategories { column, unknown, cells } = self;
        let hold = if *unknown == 1 { "holds" } else { "hold" };
        write!(f, "column {column}: {unknown} of {cells} cells {hold} a category that training had not")
    }
}
