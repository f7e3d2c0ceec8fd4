//! What a source holds, for a user who wants to know before training on it.

use serde::Serialize;

use super::dataset::{Features, Targets, Task};
use super::language;
use super::load::read_test;
use super::parts::Part;
use super::prepare::{Loaded, Moments, Preparation, classes, moments};
use super::raw::{Raw, SkippedFile};
use super::read::read;
use super::reading::{Dialect, Format, LabelColumn, Reading};
use super::settings::{DataSettings, TaskChoice};
use super::splits::Splits;
use super::text::TextCounts;
use crate::Result;
use crate::tiles::{IGNORED, Shape};

/// What a source holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Description {
    /// The path or name it was asked for by.
    pub path: String,
    /// The kind of file.
    pub format: Format,
    /// Samples, without those of a validation or test part of its own.
    pub samples: usize,
    /// Samples of its own validation part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation_samples: Option<usize>,
    /// Samples of its own test part.
    pub test_samples: Option<usize>,
    /// What would be predicted.
    pub task: Task,
    /// Numbers that a network would see, categories coded one-hot.
    pub inputs: usize,
    /// How they are laid out.
    pub shape: Shape,
    /// Numbers that a network would put out.
    pub outputs: usize,
    /// How a CSV file is laid out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dialect: Option<Dialect>,
    /// The label column(s) of a CSV file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<LabelColumn>,
    /// What was decided about a table without being asked for, and what looks odd in it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Samples of each class or, for multi-label, with each label; empty for regression and language models.
    pub classes: Vec<ClassCount>,
    /// The feature columns; empty for images, recordings, texts and sparse features.
    pub columns: Vec<ColumnDescription>,
    /// For sparse features, the numbers of all samples that are not zero.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nonzeros: Option<usize>,
    /// For text, what it became.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<TextCounts>,
    /// Files that could not be read and were left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<SkippedFile>,
    /// How many columns (or pixels, or features of a recording) never change.
    pub constant_columns: usize,
}

/// How often a class occurs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassCount {
    /// The class.
    pub name: String,
    /// Its samples.
    pub samples: usize,
}

/// What a feature column holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ColumnDescription {
    /// Its name, or its position from 1.
    pub name: String,
    /// Number or category.
    pub kind: ColumnKind,
    /// Cells without a value.
    pub missing: usize,
    /// Whether all its cells are the same, as they are read.
    pub constant: bool,
    /// For a category, how many there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub categories: Option<usize>,
    /// For numbers, the figures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub numbers: Option<NumberDescription>,
}

/// What kind of column it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ColumnKind {
    /// Numbers.
    Number,
    /// Words from a set.
    Category,
}

/// Figures of a column of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct NumberDescription {
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// The mean.
    pub mean: f64,
    /// The standard deviation.
    pub deviation: f64,
}

/// Reads a source and says what it holds.
///
/// # Errors
/// As for [`super::load`].
pub fn describe(settings: &DataSettings) -> Result<Description> {
    settings.check()?;
    if settings.task == TaskChoice::LanguageModel {
        return describe_language(settings);
    }
    let source = read(settings)?;
    let raw = &source.train;
    let task = classes::task(raw, settings.task)?;
    let names = if task == Task::Classification { classes::names(raw)? } else { Vec::new() };
    let all: Vec<usize> = (0..raw.samples()).collect();
    let (preparation, Loaded { dataset, text, .. }) = Preparation::fit(raw, task, names, settings, &all)?;
    let given = read_test(&preparation, settings)?;
    let test = given.as_ref().or(source.test.as_ref());
    let parts = [(Part::Validation, source.validation.as_ref()), (Part::Test, test)];
    let refused = parts.into_iter().filter_map(|(part, raw)| unknown_class(&preparation, part, raw?));
    let has_columns = !matches!(raw.reading, Reading::Images(_) | Reading::Audio(_));
    let (columns, constant_columns) = match &dataset.features {
        Features::Dense(_) | Features::Streamed(_) if has_columns => {
            let columns = columns(raw);
            let constant = columns.iter().filter(|column| column.constant).count();
            (columns, constant)
        }
        _ => (Vec::new(), preparation.constant_inputs),
    };
    let doubt = classes::doubt(raw, settings.task, task);
    raw.cells.check_read()?;
    let fallen = preparation.fallen_together(raw);
    let nonzeros = match &dataset.features {
        Features::Sparse(rows) => Some(rows.nnz()),
        Features::StreamedSparse(rows) => Some(rows.nnz()),
        _ => None,
    };
    Ok(Description {
        path: settings.path.clone(),
        format: raw.format(),
        samples: raw.samples(),
        validation_samples: source.validation.as_ref().map(Raw::samples),
        test_samples: test.map(Raw::samples),
        task,
        inputs: preparation.shape.features(),
        shape: preparation.shape,
        outputs: preparation.outputs,
        classes: class_counts(&preparation, &dataset.targets),
        dialect: preparation.dialect().cloned(),
        labels: preparation.labels(),
        notes: raw.notes.iter().cloned().chain(fallen).chain(doubt).chain(refused).collect(),
        constant_columns,
        columns,
        nonzeros,
        text,
        skipped: source.skipped(),
    })
}

/// That a part has a class that training lacks, so that training would refuse it.
fn unknown_class(preparation: &Preparation, part: Part, raw: &Raw) -> Option<String> {
    if preparation.task != Task::Classification {
        return None;
    }
    let error = classes::codes(raw, &preparation.classes).err()?;
    let error = if raw.label_path.is_none() { error.of_part(part.name()) } else { error };
    Some(format!("training would refuse the {} part: {error}", part.name()))
}

/// A text for a language model, as if all of it were to train on.
fn describe_language(settings: &DataSettings) -> Result<Description> {
    let whole = DataSettings { validation_fraction: 0.0, test_fraction: 0.0, fold: None, ..settings.clone() };
    let Splits { train, test, preparation, skipped, text, .. } = language::load(&whole)?;
    Ok(Description {
        path: settings.path.clone(),
        format: preparation.format(),
        samples: train.len(),
        validation_samples: None,
        test_samples: test.map(|test| test.len()),
        task: preparation.task,
        inputs: preparation.shape.features(),
        shape: preparation.shape,
        outputs: preparation.outputs,
        dialect: None,
        labels: Vec::new(),
        notes: Vec::new(),
        classes: Vec::new(),
        columns: Vec::new(),
        nonzeros: None,
        text: text.first().map(|(_, counts)| *counts),
        skipped,
        constant_columns: 0,
    })
}

fn class_counts(preparation: &Preparation, targets: &Targets) -> Vec<ClassCount> {
    let counts = match targets {
        Targets::Classes { labels, classes } => {
            let mut counts = vec![0; *classes];
            labels.iter().for_each(|&label| counts[label as usize] += 1);
            counts
        }
        Targets::Steps { labels, classes, .. } => {
            let mut counts = vec![0; *classes];
            labels.iter().filter(|&&label| label != IGNORED).for_each(|&label| counts[label as usize] += 1);
            counts
        }
        Targets::Values { values, outputs } if preparation.task == Task::MultiLabel => (0..*outputs)
            .map(|label| values.iter().skip(label).step_by(*outputs).filter(|&&x| x == 1.0).count())
            .collect(),
        Targets::Values { .. } => Vec::new(),
        Targets::Sequences { labels, .. } => {
            let mut counts = vec![0; preparation.classes.len()];
            labels.iter().for_each(|&label| counts[label as usize - 1] += 1);
            counts
        }
    };
    let labels = preparation.labels();
    let name = |at: usize| match (preparation.classes.get(at), labels.get(at)) {
        (Some(class), _) => class.clone(),
        (None, Some(label)) => label.name.clone(),
        (None, None) => (at + 1).to_string(),
    };
    counts.into_iter().enumerate().map(|(at, samples)| ClassCount { name: name(at), samples }).collect()
}

fn columns(raw: &Raw) -> Vec<ColumnDescription> {
    let found = moments(raw.samples(), raw.width, |_| 1.0, |sample, out| raw.copy_row(sample, out));
    let describe = |(column, about): (usize, Moments)| {
        let categories = raw.columns.get(column).and_then(|column| column.vocabulary.as_ref()).map(Vec::len);
        let shift = raw.reading.shifts().iter().find(|shift| shift.column == column);
        let [min, max, mean, deviation] = match shift {
            Some(shift) => [
                shift.undo(about.min.into()),
                shift.undo(about.max.into()),
                shift.undo(about.mean),
                about.deviation * shift.unit,
            ],
            None => [about.min, about.max, about.mean as f32, about.deviation as f32].map(plain),
        };
        let numbers = NumberDescription { min, max, mean, deviation };
        ColumnDescription {
            name: raw.column_name(column).into_owned(),
            kind: if categories.is_some() { ColumnKind::Category } else { ColumnKind::Number },
            missing: raw.samples() - about.count,
            constant: about.is_constant(),
            categories,
            numbers: (categories.is_none() && about.count > 0).then_some(numbers),
        }
    };
    found.into_iter().enumerate().map(describe).collect()
}

/// The number of the same few digits: 0.1 for the `f32` that is shown so.
fn plain(number: f32) -> f64 {
    number.to_string().parse().unwrap_or(number.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_csv_file_is_described_column_by_column() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("d.csv");
        std::fs::write(&path, "size,colour,same,kind\n1,red,5,a\n?,green,5,b\n3,red,5,a\n5,,5,a\n").unwrap();
        let settings = DataSettings { path: path.to_str().unwrap().into(), ..DataSettings::default() };
        let found = describe(&settings).unwrap();
        assert_eq!((found.samples, found.inputs, found.outputs, found.constant_columns), (4, 4, 2, 1));
        let class = |name: &str, samples| ClassCount { name: name.into(), samples };
        assert_eq!(found.classes, [class("a", 3), class("b", 1)]);
        let size = &found.columns[0];
        let numbers = size.numbers.unwrap();
        assert_eq!((size.missing, numbers.min, numbers.max, numbers.mean), (1, 1.0, 5.0, 3.0));
        let colour = &found.columns[1];
        assert_eq!((colour.kind, colour.missing, colour.categories), (ColumnKind::Category, 1, Some(2)));
        assert!(found.columns[2].constant);
        assert!(serde_json::to_string(&found).unwrap().contains("\"kind\":\"category\""));
    }

    #[test]
    fn a_class_of_the_test_part_that_training_lacks_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let (train, test) = (folder.path().join("d.csv"), folder.path().join("t.csv"));
        std::fs::write(&train, "size,kind\n1,a\n2,b\n3,a\n5,b\n").unwrap();
        std::fs::write(&test, "size,kind\n1,a\n2,c\n").unwrap();
        let [path, test_path] = [train, test].map(|path| path.to_str().unwrap().to_string());
        let settings = DataSettings { path, test_path: Some(test_path), ..DataSettings::default() };
        let found = describe(&settings).unwrap();
        assert_eq!(found.test_samples, Some(2));
        let note = found.notes.last().unwrap();
        assert!(note.starts_with("training would refuse the test part: "), "{note}");
        assert!(note.contains("t.csv, line 3: the label \"c\" is out of range"), "{note}");
    }

    #[test]
    fn the_digits_are_described() {
        let found = describe(&DataSettings::default()).unwrap();
        assert_eq!((found.samples, found.inputs, found.outputs), (1797, 64, 10));
        assert_eq!(found.classes[3].samples, 183);
        assert_eq!(found.constant_columns, 3);
    }
}
