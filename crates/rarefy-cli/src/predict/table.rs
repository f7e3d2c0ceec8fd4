//! Predictions as a table, the same for each format that it is written in: a row for each sample, and one without a prediction
//! for what could not be read; columns that are kept, the file, what is predicted, probabilities.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use rarefy::data::{KeptColumn, SkippedFile, Task};
use rarefy::train::{Prediction, Predictions};

/// A column: its name, and what stands in it.
pub struct Column<'a> {
    pub name: String,
    holds: Holds<'a>,
}

enum Holds<'a> {
    Kept(&'a KeptColumn),
    File,
    /// The class, the text or the only number.
    Prediction,
    /// One of several numbers.
    Number(usize),
    Label(usize),
    Probability(usize),
}

/// What stands in a row of a column.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    Text(Cow<'a, str>),
    /// A predicted number.
    Number(f64),
    /// A probability, from 0 to 1.
    Share(f32),
    /// Whether a label applies.
    Label(bool),
}

/// A row: its position in the data, and the sample that stands there or what could not be read.
#[derive(Clone, Copy)]
pub struct Row<'a> {
    position: usize,
    of: std::result::Result<usize, &'a SkippedFile>,
}

/// Predictions and what stands beside them.
pub struct Table<'a> {
    predictions: &'a Predictions<'a>,
    /// Where there are several for each sample, all numbers or labels.
    numbers: Vec<Vec<f64>>,
    labels: Vec<bool>,
    /// The file of each sample, for images, recordings and text files.
    files: &'a [PathBuf],
    skipped: &'a [SkippedFile],
    columns: Vec<Column<'a>>,
}

impl<'a> Table<'a> {
    /// Predictions for a task, whose outputs have `names`, with their probabilities if these are asked for.
    pub fn new(
        predictions: &'a Predictions<'a>,
        task: Task,
        names: &[String],
        probabilities: bool,
    ) -> Table<'a> {
        let each = |prefix: &str, holds: fn(usize) -> Holds<'a>| -> Vec<Column<'a>> {
            let column = |(output, name)| Column { name: format!("{prefix}{name}"), holds: holds(output) };
            names.iter().enumerate().map(column).collect()
        };
        let (mut numbers, mut labels) = (Vec::new(), Vec::new());
        let mut columns = match task {
            Task::MultiLabel => {
                labels = predictions.labels();
                each("", Holds::Label)
            }
            Task::Regression if names.len() > 1 => {
                let all = predictions.iter().map(|prediction| match prediction {
                    Prediction::Numbers(numbers) => numbers,
                    other => unreachable!("{other:?} is not one of several numbers"),
                });
                numbers = all.collect();
                each("", Holds::Number)
            }
            _ => vec![Column { name: "prediction".into(), holds: Holds::Prediction }],
        };
        if probabilities {
            columns.extend(each("probability_", Holds::Probability));
        }
        Table { predictions, numbers, labels, files: &[], skipped: &[], columns }
    }

    /// With the file of each sample, if samples have files, and rows for what could not be read.
    pub fn beside_files(mut self, files: &'a [PathBuf], skipped: &'a [SkippedFile]) -> Table<'a> {
        (self.files, self.skipped) = (files, skipped);
        if !files.is_empty() {
            self.columns.insert(0, Column { name: "file".into(), holds: Holds::File });
        }
        self
    }

    /// With columns of the data before all others.
    ///
    /// # Errors
    /// If two columns have one name.
    pub fn beside_columns(mut self, kept: &'a [KeptColumn]) -> Result<Table<'a>> {
        for column in kept {
            ensure!(
                self.columns.iter().all(|other| other.name != column.name),
                "--keep {0}: the predictions have a column {0} too; rename it in the data, or leave it out",
                column.name
            );
        }
        let column = |kept: &'a KeptColumn| Column { name: kept.name.clone(), holds: Holds::Kept(kept) };
        self.columns.splice(0..0, kept.iter().map(column));
        Ok(self)
    }

    /// The columns in their order.
    pub fn columns(&self) -> &[Column<'a>] {
        &self.columns
    }

    /// The rows in the order of the data.
    pub fn rows(&self) -> impl Iterator<Item = Row<'a>> + use<'a> {
        let skipped: HashMap<usize, &SkippedFile> =
            self.skipped.iter().map(|file| (file.position, file)).collect();
        let mut samples = 0..self.predictions.len();
        (0..self.predictions.len() + skipped.len()).map(move |position| Row {
            position,
            of: match skipped.get(&position) {
                Some(file) => Err(*file),
                None => Ok(samples.next().expect("a position is of a sample or of a file that was left out")),
            },
        })
    }

    /// What stands in a row of a column; nothing where there is no prediction.
    pub fn value(&self, column: &Column<'a>, row: Row<'a>) -> Option<Value<'a>> {
        Some(match column.holds {
            Holds::Kept(kept) => Value::Text(Cow::Borrowed(&kept.cells[row.position])),
            Holds::File => Value::Text(self.file(row).to_string_lossy()),
            Holds::Prediction => match self.predictions.get(row.of.ok()?) {
                Prediction::Class(name) => Value::Text(Cow::Borrowed(name)),
                Prediction::Text(said) => Value::Text(Cow::Owned(said)),
                Prediction::Number(number) => Value::Number(number),
                several => unreachable!("{several:?} stands in columns of its own"),
            },
            Holds::Number(output) => Value::Number(self.numbers[row.of.ok()?][output]),
            Holds::Label(label) => {
                let labels = self.labels.len() / self.predictions.len();
                Value::Label(self.labels[row.of.ok()? * labels + label])
            }
            Holds::Probability(output) => Value::Share(self.predictions.scores_of(row.of.ok()?)[output]),
        })
    }

    fn file(&self, row: Row<'a>) -> &'a Path {
        row.of.map_or_else(|skipped| &skipped.path, |sample| &self.files[sample])
    }

    /// The file of each row, if samples have files.
    pub fn files(&self) -> Vec<&'a Path> {
        self.rows().filter(|_| !self.files.is_empty()).map(|row| self.file(row)).collect()
    }

    /// The probabilities of each row.
    pub fn probabilities(&self) -> Vec<Option<&'a [f32]>> {
        self.rows().map(|row| row.of.ok().map(|sample| self.predictions.scores_of(sample))).collect()
    }

    /// The prediction of each row.
    pub fn predictions(&self) -> Vec<Option<Prediction<'a>>> {
        self.rows().map(|row| row.of.ok().map(|sample| self.predictions.get(sample))).collect()
    }
}
