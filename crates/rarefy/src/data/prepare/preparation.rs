//! What is learned from a training part and kept with the model.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::scale::Scaler;
use super::target_scaler::TargetScaler;
use crate::data::dataset::Task;
use crate::data::reading::{Dialect, Format, LabelColumn, Reading};
use crate::data::settings::Units;
use crate::data::text::TextCoding;
use crate::tiles::Shape;

/// How a file becomes what a network sees, as its training part did: how it is read, missing numbers filled with the mean,
/// categories one-hot, texts as bags of words or tokens, then `(x - offset) * multiplier`. All figures come from the training
/// part alone. It is stored in a model's `config.json`.
#[derive(Debug, Clone, PartialEq)]
pub struct Preparation {
    /// How the training file was read, and so a new one is.
    pub reading: Reading,
    /// What is predicted.
    pub task: Task,
    /// Numbers that the network sees, and how they are laid out.
    pub shape: Shape,
    /// Numbers that the network puts out, at each step or once: classes, labels or values; for transcription the blank and
    /// the units.
    pub outputs: usize,
    /// The classes by number, or the units of a transcription, whose numbers begin at 1; else empty.
    pub classes: Vec<String>,
    /// What a transcription is a sequence of.
    pub units: Option<Units>,
    /// The feature columns of a table, or the text of a sample; empty for arrays.
    pub columns: Vec<Column>,
    /// What a missing number of an array (NaN) becomes, for each input: the mean of the training part, as it is read. Empty
    /// where arrays have no gaps: of bytes, of files other than NPY and NPZ, and where gaps are refused.
    pub fill: Vec<f32>,
    /// How the numbers are scaled.
    pub scaler: Scaler,
    /// How numbers to predict are scaled, and what undoes it.
    pub target_scaler: TargetScaler,
    /// Inputs that never changed in the training part; worth a warning, for they teach nothing.
    pub constant_inputs: usize,
}

/// A feature column of a CSV file, or the text of a sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Its name, or its position from 1 in a file without names.
    pub name: String,
    /// What its cells become.
    pub coding: Coding,
}

/// What the cells of a column become.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Coding {
    /// A number each.
    Number {
        /// What a missing cell becomes: the mean of the training part, as it is read.
        mean: f32,
    },
    /// One-hot: a 1 at the category's place, else 0. A missing or unknown category is all zeros.
    Category {
        /// The categories of the training part, sorted.
        values: Vec<String>,
    },
    /// A bag of words, or tokens; such a column stands alone.
    Text(TextCoding),
}

impl Column {
    /// How many inputs it becomes.
    pub(super) fn inputs(&self) -> usize {
        match &self.coding {
            Coding::Number { .. } => 1,
            Coding::Category { values } => values.len(),
            Coding::Text(text) => text.shape().features(),
        }
    }
}

impl Preparation {
    /// The kind of file that the model was trained on.
    pub fn format(&self) -> Format {
        self.reading.format()
    }

    /// How the training file was laid out, if it was a table.
    pub fn dialect(&self) -> Option<&Dialect> {
        self.reading.dialect()
    }

    /// What the labels are called in the training file; empty where nothing says it.
    pub fn labels(&self) -> Vec<LabelColumn> {
        self.reading.labels()
    }

    /// How text is coded, if the model was trained on text.
    pub fn text(&self) -> Option<&TextCoding> {
        match &self.columns[..] {
            [Column { coding: Coding::Text(text), .. }] => Some(text),
            _ => None,
        }
    }

    /// The text that labels of a transcription mean.
    ///
    /// # Panics
    /// If there is no such label.
    pub fn text_of(&self, labels: impl Iterator<Item = u32>) -> String {
        self.units.unwrap_or_default().join(labels, &self.classes)
    }

    /// A name per input, as in `age`, `colour=red`, or `17` for the 17th column of an array; of a bag of words the words.
    pub fn input_names(&self) -> Vec<String> {
        if let Reading::Memory(reading) = &self.reading
            && !reading.features.is_empty()
        {
            return reading.features.clone();
        }
        let positions = || (1..=self.shape.features()).map(|position| position.to_string()).collect();
        if self.columns.is_empty() {
            return positions();
        }
        let names = |column: &Column| match &column.coding {
            Coding::Number { .. } => vec![column.name.clone()],
            Coding::Text(text) => text.words().map_or_else(positions, <[String]>::to_vec),
            Coding::Category { values } => {
                values.iter().map(|value| format!("{}={value}", column.name)).collect()
            }
        };
        self.columns.iter().flat_map(names).collect()
    }

    /// The features as a table names them, each with the inputs that it became: several for a category, one for a number, a word
    /// of a bag of words or a column of an array.
    pub fn features(&self) -> Vec<(String, Range<usize>)> {
        if self.columns.is_empty() || self.text().is_some() {
            let names = self.input_names().into_iter().enumerate();
            return names.map(|(input, name)| (name, input..input + 1)).collect();
        }
        let mut end = 0;
        let inputs = self.columns.iter().map(|column| {
            let start = end;
            end += column.inputs();
            (column.name.clone(), start..end)
        });
        inputs.collect()
    }

    /// The columns of the table that the model was trained on, each with the inputs that came of it; those that were left out are
    /// not among them. A date's parts stand under its column, unlike in [`Preparation::features`].
    pub fn table_columns(&self) -> Vec<(String, Range<usize>)> {
        let Reading::Csv(reading) = &self.reading else { return self.features() };
        let mut columns: Vec<(String, Range<usize>)> = Vec::new();
        let mut end = 0;
        for (column, source) in self.columns.iter().zip(&reading.columns) {
            let start = end;
            end += column.inputs();
            match columns.last_mut() {
                Some((name, inputs)) if *name == source.name => inputs.end = end,
                _ => columns.push((source.name.clone(), start..end)),
            }
        }
        columns
    }

    /// How an input follows from the number in the file: `(number - offset) * multiplier`, what a table's column was shifted by
    /// included. Of a category's input the number is 1 or 0.
    pub fn scale_of(&self, input: usize) -> (f64, f64) {
        let (offset, multiplier) = self.scaler.of(input);
        let first_input = |column: usize| match self.columns.get(..column) {
            Some(before) if !self.columns.is_empty() => before.iter().map(Column::inputs).sum(),
            _ => column,
        };
        match self.reading.shifts().iter().find(|shift| first_input(shift.column) == input) {
            Some(shift) => (shift.origin + shift.unit * offset, multiplier / shift.unit),
            None => (offset, multiplier),
        }
    }

    /// A name for each output: the class, the label column, or `output_2`; of a transcription the units.
    pub fn output_names(&self) -> Vec<String> {
        if self.task == Task::Transcription {
            return self.classes.clone();
        }
        let labels = self.labels();
        let name = |output: usize| {
            let label = match self.task {
                Task::Classification => self.classes.get(output).cloned(),
                _ => labels.get(output).map(|label| label.name.clone()),
            };
            label.unwrap_or_else(|| match self.task {
                Task::MultiLabel => format!("label_{}", output + 1),
                _ => format!("output_{}", output + 1),
            })
        };
        (0..self.outputs).map(name).collect()
    }
}
