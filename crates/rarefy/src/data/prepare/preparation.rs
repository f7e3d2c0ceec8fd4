//! How raw samples become the numbers that a network sees: missing numbers filled, categories coded one-hot, all scaled.
//! Everything is learned from the training part and stored with the model, so a new file is coded the same way.

use std::borrow::Cow;
use std::collections::HashMap;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::classes;
use super::loaded::{Loaded, UnknownCategories};
use super::scale::{Moments, Scaler, moments};
use super::target_scaler::TargetScaler;
use super::transcripts;
use crate::data::alike::meaning;
use crate::data::dataset::{Dataset, Features, Targets, Task};
use crate::data::memory::Samples;
use crate::data::raw::{Cells, Format, Labels, Raw, RawColumn};
use crate::data::reading::{Dialect, FileReading, Kept, LabelColumn, MemoryReading};
use crate::data::settings::Units;
use crate::data::settings::{DataSettings, Missing, Scale};
use crate::data::span::{Close, Shift, Shifting};
use crate::data::text::{TextCoding, TooLong};
use crate::tiles::Shape;
use crate::{Error, InputProblem, Result};

/// How to code a file as the training part was coded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Preparation {
    /// The kind of file that the model was trained on.
    pub format: Format,
    /// What is predicted.
    pub task: Task,
    /// Numbers that the network sees, and how they are laid out.
    #[serde(rename = "inputs")]
    pub shape: Shape,
    /// Numbers that the network puts out, at each step or once: classes, labels or values; for transcription the blank and
    /// the units.
    pub outputs: usize,
    /// The classes by number, or the units of a transcription, whose numbers begin at 1; else empty.
    pub classes: Vec<String>,
    /// What a transcription is a sequence of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub units: Option<Units>,
    /// The feature columns of a CSV file, or the text of a sample; empty for arrays, which are numbers without gaps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<Column>,
    /// The label columns of a CSV file, or the key of JSON lines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<LabelColumn>,
    /// The layout of a CSV file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dialect: Option<Dialect>,
    /// How images, recordings and libsvm files are read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reading: Option<FileReading>,
    /// What is done where a number is missing.
    pub missing: Missing,
    /// How a missing cell is written; in a column of numbers be it in upper or lower case.
    pub missing_markers: Vec<String>,
    /// Columns that are read as `(x - origin) / unit`, because `f32` could not tell their numbers apart.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shifts: Vec<Shift>,
    /// How the numbers are scaled.
    pub scaler: Scaler,
    /// How numbers to predict are scaled, and what undoes it.
    #[serde(default, skip_serializing_if = "TargetScaler::is_none")]
    pub target_scaler: TargetScaler,
    /// Inputs that never changed in the training part; worth a warning, for they teach nothing.
    pub constant_inputs: usize,
}

/// A feature column of a CSV file, or the text of a sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Its name, or its position from 1 in a file without names.
    pub name: String,
    /// Where it stands in the file, from 0.
    pub position: usize,
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
    /// Learns from the training part `train` of `raw`, and codes it.
    #[expect(clippy::too_many_lines)]
    pub(crate) fn fit(
        raw: &Raw,
        task: Task,
        classes: Vec<String>,
        settings: &DataSettings,
        train: &[usize],
    ) -> Result<(Preparation, Loaded)> {
        let columns = match &raw.cells {
            Cells::Texts(texts) => {
                let RawColumn { name, position, .. } = &raw.columns[0];
                let text = TextCoding::fit(&settings.text.clone().unwrap_or_default(), &texts.of(train))?;
                vec![Column { name: name.clone(), position: *position, coding: Coding::Text(text) }]
            }
            _ => columns(raw, train),
        };
        let shape = match &columns[..] {
            [] => raw.shape,
            [Column { coding: Coding::Text(text), .. }] => text.shape(),
            columns => Shape::flat(columns.iter().map(Column::inputs).sum()),
        };
        let inputs = shape.features();
        let shape = match settings.shape {
            Some(wanted) if wanted.features() != inputs => {
                let problem = format!("{wanted} is {} numbers, a sample has {inputs}", wanted.features());
                return Err(Error::setting("data.shape", problem));
            }
            Some(wanted) if wanted != shape && !matches!(raw.cells, Cells::Bytes(_) | Cells::Numbers(_)) => {
                let problem = "is for numbers without gaps; sparse features and texts have a shape of their own, leave it out";
                return Err(Error::setting("data.shape", problem));
            }
            Some(wanted) => wanted,
            None => shape,
        };
        if inputs == 0 {
            return Err(Error::data(
                &raw.path,
                "no column holds anything in the training part; check the file, and data.missing_markers",
            ));
        }
        shape.check().map_err(|problem| Error::data(&raw.path, problem))?;
        let units = (task == Task::Transcription).then_some(settings.units);
        let classes = match units {
            Some(units) => transcripts::units(raw, units, train)?,
            None => classes,
        };
        let outputs = match &raw.labels {
            _ if task == Task::Classification => classes.len(),
            _ if task == Task::Transcription => classes.len() + 1,
            Some(Labels::Numbers { outputs, .. }) => *outputs,
            _ => 1,
        };
        let mut preparation = Preparation {
            format: raw.format,
            task,
            shape,
            outputs,
            classes,
            units,
            columns,
            labels: raw.label_columns.clone(),
            dialect: raw.dialect.clone(),
            reading: raw.reading.clone(),
            missing: settings.missing,
            missing_markers: settings.missing_markers.clone(),
            shifts: raw.shifts.clone(),
            scaler: Scaler::None,
            target_scaler: TargetScaler::fit(settings.target_scale, raw, task, train)?,
            constant_inputs: 0,
        };
        let mut loaded = preparation.code(raw, train, true)?;
        let samples = loaded.dataset.len();
        let numbers = match &mut loaded.dataset.features {
            Features::Dense(numbers) => numbers,
            Features::Sparse(_) | Features::Tokens { .. }
                if !matches!(settings.scale, Scale::Auto | Scale::None) =>
            {
                let problem = "would make numbers of zeros and ids; sparse features and texts are not scaled, leave it out";
                return Err(Error::setting("data.scale", problem));
            }
            Features::Sparse(rows) => {
                // There may be far more inputs than nonzeros.
                let mut used = rows.indices().to_vec();
                used.par_sort_unstable();
                used.dedup();
                preparation.constant_inputs = inputs - used.len();
                return Ok((preparation, loaded));
            }
            Features::Tokens { .. } => return Ok((preparation, loaded)),
        };
        let found: Vec<Moments> = moments(samples, inputs, |sample, out| {
            out.copy_from_slice(&numbers[sample * inputs..][..inputs])
        });
        let one_hot: Vec<bool> = preparation
            .columns
            .iter()
            .flat_map(|column| vec![matches!(column.coding, Coding::Category { .. }); column.inputs()])
            .collect();
        let scale = match (settings.scale, &raw.cells) {
            (Scale::Auto, Cells::Bytes(_)) => Scale::Global,
            (Scale::Auto, Cells::Numbers(_)) if raw.format == Format::Audio => Scale::Channel,
            (Scale::Auto, _) => Scale::Standard,
            (chosen, _) => chosen,
        };
        let found = match scale {
            Scale::Channel => {
                let channel = |channel| Moments::pooled(found.iter().skip(channel).step_by(shape.channels));
                (0..shape.channels).map(channel).collect()
            }
            _ => found,
        };
        preparation.scaler = Scaler::fit(scale, &found, |input| one_hot.get(input).copied().unwrap_or(false));
        preparation.constant_inputs = found.iter().filter(|about| about.is_constant()).count();
        preparation.scale(&mut loaded.dataset);
        Ok((preparation, loaded))
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

    /// Codes some samples of a source. Without `targets`, these are all zero.
    pub(crate) fn encode(&self, raw: &Raw, samples: &[usize], targets: bool) -> Result<Loaded> {
        let mut loaded = self.code(raw, samples, targets)?;
        self.scale(&mut loaded.dataset);
        Ok(loaded)
    }

    /// A note for each column of which numbers fall together in `f32` once they are scaled.
    pub(crate) fn fallen_together(&self, raw: &Raw) -> Vec<String> {
        if raw.close.is_empty() {
            return Vec::new();
        }
        let mut starts = vec![0];
        starts.extend(self.columns.iter().scan(0, |start, column| {
            *start += column.inputs();
            Some(*start)
        }));
        let input = |column: usize| if self.columns.is_empty() { column } else { starts[column] };
        let scaled = |which: usize| {
            let mut row = vec![0.0; self.shape.features()];
            for close in &raw.close {
                let shift = self.shifts.iter().find(|shift| shift.column == close.column);
                let number = close.numbers[which];
                row[input(close.column)] = shift.map_or(number as f32, |shift| shift.apply(number));
            }
            self.scaler.apply(&mut row);
            row
        };
        let (first, second) = (scaled(0), scaled(1));
        let fall = |close: &&Close| first[input(close.column)] == second[input(close.column)];
        let note = |close: &Close| {
            let advice = match self.scaler {
                Scaler::Columns { .. } => "check the column for numbers that are far off",
                Scaler::None | Scaler::Global { .. } => "set data.scale = \"standard\"",
            };
            let [a, b] = close.numbers;
            let name = raw.column_name(close.column);
            format!("column {name:?} holds {a} and {b}, which fall together in 32 bits; {advice}")
        };
        raw.close.iter().filter(fall).map(note).collect()
    }

    /// Scales, and makes the steps zero that fill samples up: until then they are NaN, which counts for no mean.
    fn scale(&self, dataset: &mut Dataset) {
        let Dataset { shape, features, lengths, .. } = dataset;
        // What is mostly zero keeps its zeros, and ids are no numbers.
        let Features::Dense(numbers) = features else { return };
        self.scaler.apply(numbers);
        for (sample, &length) in numbers.chunks_exact_mut(shape.features()).zip(&*lengths) {
            sample[length as usize * shape.channels..].fill(0.0);
        }
    }

    /// Samples in memory, made ready as the training part was; with their own targets, or, without `targets`, such that are
    /// all zero.
    ///
    /// # Errors
    /// [`Error::Input`]: another number of inputs, another kind of rows, classes that the model does not know; a model
    /// of texts or of categories, which numbers cannot be.
    pub fn prepare(&self, samples: &Samples, targets: bool) -> Result<Dataset> {
        let samples = if targets { samples.clone().named(&self.classes)? } else { samples.without_targets() };
        let mut raw = samples.into_raw(&self.memory_reading()?, &Shifting::As(self.shifts.clone()))?;
        if raw.width != self.shape.features() {
            let found = format!("rows of {} inputs", raw.width);
            return Err(Error::Input(InputProblem::Mismatch { found, expected: self.shape.to_string() }));
        }
        let number = |Column { name, position, .. }: &Column| RawColumn {
            name: name.clone(),
            position: *position,
            vocabulary: None,
        };
        raw.columns = self.columns.iter().map(number).collect();
        let all: Vec<usize> = (0..raw.samples()).collect();
        Ok(self.encode(&raw, &all, targets)?.dataset)
    }

    /// How samples in memory are to be taken for a model of this preparation.
    fn memory_reading(&self) -> Result<MemoryReading> {
        let is_number = |column: &Column| matches!(column.coding, Coding::Number { .. });
        let kept = match &self.reading {
            Some(FileReading::Memory(reading)) => reading.kept,
            Some(FileReading::Libsvm(_)) => Kept::Nonzeros,
            _ if self.columns.iter().all(is_number) => Kept::All,
            _ => {
                let found = "rows of numbers".into();
                let expected = "texts or categories, as in the file that the model was trained on,".into();
                return Err(Error::Input(InputProblem::Mismatch { found, expected }));
            }
        };
        Ok(MemoryReading { kept, features: Vec::new(), targets: Vec::new() })
    }

    /// A name per input, as in `age`, `colour=red`, or `17` for the 17th column of an array; of a bag of words the words.
    pub fn input_names(&self) -> Vec<String> {
        if let Some(FileReading::Memory(reading)) = &self.reading
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

    /// A name for each output: the class, the label column, or `output_2`; of a transcription the units.
    pub fn output_names(&self) -> Vec<String> {
        if self.task == Task::Transcription {
            return self.classes.clone();
        }
        let name = |output: usize| {
            let label = match self.task {
                Task::Classification => self.classes.get(output).cloned(),
                _ => match &self.reading {
                    Some(FileReading::Memory(reading)) => reading.targets.get(output).cloned(),
                    _ => self.labels.get(output).map(|label| label.name.clone()),
                },
            };
            label.unwrap_or_else(|| match self.task {
                Task::MultiLabel => format!("label_{}", output + 1),
                _ => format!("output_{}", output + 1),
            })
        };
        (0..self.outputs).map(name).collect()
    }

    /// The numbers to predict for some samples, scaled.
    fn numbers(&self, raw: &Raw, samples: &[usize]) -> Result<Targets> {
        let (values, outputs) = match &raw.labels {
            Some(Labels::Numbers { values, outputs }) if *outputs == self.outputs => (values, *outputs),
            _ => {
                let problem = format!("needs {} numbers per sample to predict, as in training", self.outputs);
                return Err(Error::data(&raw.path, problem));
            }
        };
        let places = samples.iter().flat_map(|&sample| (0..outputs).map(move |output| (sample, output)));
        let scaled = places.map(|(sample, output)| {
            self.target_scaler.scale(raw, sample, output, values[sample * outputs + output])
        });
        Ok(Targets::Values { values: scaled.collect::<Result<_>>()?, outputs })
    }

    /// Codes without scaling the features.
    #[expect(clippy::too_many_lines)]
    fn code(&self, raw: &Raw, samples: &[usize], targets: bool) -> Result<Loaded> {
        let expected = if self.columns.is_empty() { self.shape.features() } else { self.columns.len() };
        if raw.width != expected {
            let problem = format!(
                "has {} columns of features, the model was trained on {expected}; give the same columns",
                raw.width
            );
            return Err(Error::data(&raw.path, problem));
        }
        let targets = match (targets, self.task) {
            (true, Task::Transcription) => {
                transcripts::targets(raw, self.units.unwrap_or_default(), &self.classes, samples)?
            }
            (false, Task::Transcription) => Targets::Sequences {
                labels: Vec::new(),
                offsets: vec![0; samples.len() + 1],
                classes: self.outputs,
            },
            (true, Task::Classification) => classes::targets(raw, &self.classes, samples)?,
            (true, _) => self.numbers(raw, samples)?,
            (false, Task::Classification) => {
                Targets::Classes { labels: vec![0; samples.len()], classes: self.classes.len() }
            }
            (false, _) => {
                Targets::Values { values: vec![0.0; samples.len() * self.outputs], outputs: self.outputs }
            }
        };
        let shape = self.shape;
        let lengths = || samples.iter().filter_map(|&sample| raw.lengths.get(sample).copied()).collect();
        let weights = raw.weights.as_ref().map(|all| samples.iter().map(|&sample| all[sample]).collect());
        match (&raw.cells, self.text()) {
            (Cells::Sparse(rows), _) => {
                let features = Features::Sparse(rows.subset(samples));
                let dataset = Dataset { shape, features, lengths: Vec::new(), targets, weights };
                return Ok(Loaded::new(dataset));
            }
            (Cells::Texts(texts), Some(text)) => {
                let coded = text.code(&texts.of(samples)).map_err(|long| too_long(raw, samples, long))?;
                let (features, lengths) = (coded.features, coded.lengths);
                let dataset = Dataset { shape, features, lengths, targets, weights };
                return Ok(Loaded { text: Some(coded.counts), ..Loaded::new(dataset) });
            }
            (Cells::Tokens { ids, vocabulary }, _) => {
                let rows = samples.iter().flat_map(|&sample| &ids[sample * raw.width..][..raw.width]);
                let features = Features::Tokens { ids: rows.copied().collect(), vocabulary: *vocabulary };
                let lengths = lengths();
                let dataset = Dataset { shape, features, lengths, targets, weights };
                return Ok(Loaded::new(dataset));
            }
            _ => {}
        }
        let mut features = vec![0.0; samples.len() * self.shape.features()];
        let rows = features.chunks_exact_mut(self.shape.features()).zip(samples);
        if self.columns.is_empty() {
            rows.for_each(|(row, &sample)| raw.copy_row(sample, row));
            let lengths = lengths();
            let features = Features::Dense(features);
            let dataset = Dataset { shape, features, targets, lengths, weights };
            return Ok(Loaded::new(dataset));
        }
        // For each column, the place of each word of this file among the categories of the training part.
        let places: Vec<Vec<Option<usize>>> = self
            .columns
            .iter()
            .zip(&raw.columns)
            .map(|(column, found)| {
                let values = match &column.coding {
                    Coding::Category { values } => &values[..],
                    Coding::Number { .. } | Coding::Text(_) => &[],
                };
                // Exact texts win: a model may have been trained on 1 and 01 as two.
                let mut known: HashMap<Cow<str>, usize> =
                    values.iter().map(|value| meaning(value)).zip(0..).collect();
                known.extend(values.iter().map(|value| Cow::Borrowed(value.as_str())).zip(0..));
                let place =
                    |word: &String| known.get(word.as_str()).or_else(|| known.get(&meaning(word))).copied();
                found.vocabulary.iter().flatten().map(place).collect()
            })
            .collect();
        let mut filled = vec![(0, 0); raw.width];
        let mut cells = vec![0.0; raw.width];
        for (row, &sample) in rows {
            raw.copy_row(sample, &mut cells);
            let mut start = 0;
            for (((column, places), filled), &cell) in
                self.columns.iter().zip(&places).zip(&mut filled).zip(&cells)
            {
                match column.coding {
                    Coding::Number { mean } => row[start] = if cell.is_nan() { mean } else { cell },
                    Coding::Category { .. } if cell.is_nan() => {}
                    Coding::Category { .. } => {
                        filled.1 += 1;
                        match places[cell as usize] {
                            Some(place) => row[start + place] = 1.0,
                            None => filled.0 += 1,
                        }
                    }
                    Coding::Text(_) => unreachable!("text stands alone"),
                }
                start += column.inputs();
            }
        }
        let features = Features::Dense(features);
        let dataset = Dataset { shape, features, lengths: Vec::new(), targets, weights };
        let unknown = self.columns.iter().zip(filled).filter(|(_, (unknown, _))| *unknown > 0);
        let unknown = unknown.map(|(column, (unknown, cells))| UnknownCategories {
            column: column.name.clone(),
            unknown,
            cells,
        });
        Ok(Loaded { unknown: unknown.collect(), ..Loaded::new(dataset) })
    }
}

fn too_long(raw: &Raw, samples: &[usize], found: TooLong) -> Error {
    let TooLong { document, tokens, context } = found;
    let problem = format!(
        "the document has {tokens} tokens and the context is {context}; raise data.text.tokens.context, or cut such documents with data.text.tokens.truncate = true"
    );
    Error::data_at(&raw.path, raw.place(samples[document]), problem)
}

/// What the columns of a CSV file hold in the training part.
fn columns(raw: &Raw, train: &[usize]) -> Vec<Column> {
    if raw.columns.is_empty() {
        return Vec::new();
    }
    let found = moments(train.len(), raw.width, |sample, out| raw.copy_row(train[sample], out));
    let mut used: Vec<Vec<bool>> = raw
        .columns
        .iter()
        .map(|column| vec![false; column.vocabulary.as_ref().map_or(0, Vec::len)])
        .collect();
    let mut cells = vec![0.0; raw.width];
    for &sample in train {
        raw.copy_row(sample, &mut cells);
        for (used, &cell) in used.iter_mut().zip(&cells) {
            if !used.is_empty() && !cell.is_nan() {
                used[cell as usize] = true;
            }
        }
    }
    let coding = |vocabulary: &Option<Vec<String>>, used: &[bool], about: &Moments| match vocabulary {
        None => Coding::Number { mean: about.mean as f32 },
        Some(words) => {
            let mut values: Vec<String> =
                words.iter().zip(used).filter(|(_, used)| **used).map(|(word, _)| word.clone()).collect();
            values.sort_unstable();
            Coding::Category { values }
        }
    };
    raw.columns
        .iter()
        .zip(used.iter().zip(&found))
        .map(|(column, (used, about))| Column {
            name: column.name.clone(),
            position: column.position,
            coding: coding(&column.vocabulary, used, about),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// size: 1 3 ? 100 | colour: red green ? blue | label: 0 1 0 1
    fn table() -> Raw {
        let words = ["red", "green", "blue"].map(String::from).to_vec();
        let cells = Cells::Numbers(vec![1.0, 0.0, 3.0, 1.0, f32::NAN, f32::NAN, 100.0, 2.0]);
        let labels = Labels::Numbers { values: vec![0.0, 1.0, 0.0, 1.0], outputs: 1 };
        let mut raw = Raw::arrays(Path::new("t.csv"), Format::Csv, cells, Shape::flat(2), Some(labels));
        raw.columns = vec![
            RawColumn { name: "size".into(), position: 0, vocabulary: None },
            RawColumn { name: "colour".into(), position: 1, vocabulary: Some(words) },
        ];
        raw
    }

    fn fit(raw: &Raw, scale: Scale, train: &[usize]) -> (Preparation, Dataset) {
        let settings = DataSettings { scale, ..DataSettings::default() };
        let classes = ["0", "1"].map(String::from).to_vec();
        let (preparation, train) =
            Preparation::fit(raw, Task::Classification, classes, &settings, train).unwrap();
        (preparation, train.dataset)
    }

    #[test]
    fn what_is_learned_comes_from_the_training_part_alone() {
        let raw = table();
        // Sample 3, with its size of 100 and its blue, is not in training.
        let (preparation, train) = fit(&raw, Scale::None, &[0, 1, 2]);
        assert_eq!(preparation.input_names(), ["size", "colour=green", "colour=red"]);
        assert_eq!(train.dense().unwrap(), [1.0, 0.0, 1.0, 3.0, 1.0, 0.0, 2.0, 0.0, 0.0]);
        let test = preparation.encode(&raw, &[3], true).unwrap().dataset;
        assert_eq!(test.dense().unwrap(), [100.0, 0.0, 0.0]);
        assert_eq!(test.targets, Targets::Classes { labels: vec![1], classes: 2 });
        let unlabelled = preparation.encode(&raw, &[3], false).unwrap().dataset;
        assert_eq!(unlabelled.targets, Targets::Classes { labels: vec![0], classes: 2 });
    }

    #[test]
    fn categories_stay_zero_and_one_and_constant_inputs_are_counted() {
        let raw = table();
        let (preparation, train) = fit(&raw, Scale::Standard, &[0, 1]);
        assert_eq!(train.dense().unwrap(), [-1.0, 0.0, 1.0, 1.0, 1.0, 0.0]);
        assert_eq!(preparation.constant_inputs, 0);
        let (preparation, train) = fit(&raw, Scale::Standard, &[0]);
        assert_eq!((preparation.constant_inputs, train.dense().unwrap()), (2, &[0.0, 0.0][..]));
    }

    #[test]
    fn a_preparation_survives_json() {
        let (preparation, _) = fit(&table(), Scale::Standard, &[0, 1, 2]);
        let text = serde_json::to_string(&preparation).unwrap();
        assert_eq!(serde_json::from_str::<Preparation>(&text).unwrap(), preparation);
    }

    #[test]
    fn another_number_of_columns_is_refused() {
        let (mut preparation, _) = fit(&table(), Scale::None, &[0, 1]);
        preparation.columns.pop();
        let error = preparation.encode(&table(), &[0], true).unwrap_err().to_string();
        assert!(error.contains("has 2 columns of features, the model was trained on 1"), "{error}");
    }
}
