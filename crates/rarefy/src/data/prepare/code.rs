//! Samples as read into what a network sees, by what was learned from a training part.

use std::borrow::Cow;
use std::collections::HashMap;

use super::loaded::{Loaded, UnknownCategories};
use super::preparation::{Coding, Column, Preparation};
use super::scale::Scaler;
use super::{classes, transcripts};
use crate::data::alike::meaning;
use crate::data::dataset::{Dataset, Features, Targets, Task};
use crate::data::lent::LentRows;
use crate::data::raw::{Cells, Labels, Places, Raw, RawColumn};
use crate::data::stream::{CellCoding, RowCoding, StreamedCsr, StreamedRows};
use crate::data::text::TooLong;
use crate::tiles::Shape;
use crate::{Error, Result};

impl Preparation {
    /// Codes some samples of a source. Without `targets`, these are all zero.
    pub(crate) fn encode(&self, raw: &Raw, samples: &[usize], targets: bool) -> Result<Loaded> {
        let mut loaded = self.code(raw, samples, targets)?;
        if let Features::Streamed(_) = loaded.dataset.features {
            loaded.unknown = self.unknown_categories(raw, samples);
        }
        self.scale(&mut loaded.dataset);
        Ok(loaded)
    }

    /// Scales, and makes the steps zero that fill samples up: until then they are NaN, which counts for no mean.
    pub(super) fn scale(&self, dataset: &mut Dataset) {
        let Dataset { shape, features, lengths, .. } = dataset;
        let numbers = match features {
            Features::Dense(numbers) => numbers,
            Features::Lent(rows) => {
                if self.scaler != Scaler::None {
                    rows.scales = (0..rows.inputs).map(|input| self.scaler.of(input)).collect();
                }
                return;
            }
            Features::Streamed(rows) => {
                if self.scaler != Scaler::None {
                    rows.set_scales((0..shape.features()).map(|input| self.scaler.of(input)).collect());
                }
                return;
            }
            // What is mostly zero keeps its zeros, and ids are no numbers.
            Features::Sparse(_) | Features::StreamedSparse(_) | Features::Tokens { .. } => return,
        };
        self.scaler.apply(numbers);
        for (sample, &length) in numbers.chunks_exact_mut(shape.features()).zip(&*lengths) {
            sample[length as usize * shape.channels..].fill(0.0);
        }
    }

    /// That the first line of a table whose training file had no names is a sample: where all is words, names read as one.
    ///
    /// # Errors
    /// A first line of unknown words alone above lines of known ones.
    pub(crate) fn refuse_names(&self, raw: &Raw) -> Result<()> {
        let is_word = |column: &Column| matches!(column.coding, Coding::Category { .. });
        let (Some(dialect), Places::Lines(lines)) = (raw.reading.dialect(), &raw.places) else {
            return Ok(());
        };
        // A single word may well be new.
        if dialect.header || self.columns.len() < 2 || lines.len() < 2 || !self.columns.iter().all(is_word) {
            return Ok(());
        }
        let coding = self.row_coding(raw);
        let (mut cells, mut row) = (vec![0.0; raw.width], vec![0.0; coding.inputs]);
        // Cells of a line that are filled, and those that are known.
        let mut look = |sample: usize| {
            let mut found = (0, 0);
            raw.copy_row(sample, &mut cells);
            coding
                .code(&cells, &mut row, |_, is_known| found = (found.0 + 1, found.1 + usize::from(is_known)));
            found
        };
        let are_known = |(filled, known): (usize, usize)| filled == known;
        if look(0) != (self.columns.len(), 0) || !(1..lines.len()).all(|sample| are_known(look(sample))) {
            return Ok(());
        }
        let problem = "none of its words is one that training had, and all those below are: if it names the columns remove it, for the training file has no such line; if it is a sample put it below another one";
        Err(Error::data_at(&raw.path, raw.place(0), problem))
    }

    /// Codes without scaling the features.
    pub(super) fn code(&self, raw: &Raw, samples: &[usize], targets: bool) -> Result<Loaded> {
        let expected = if self.columns.is_empty() { self.shape.features() } else { self.columns.len() };
        if raw.width != expected {
            let problem = format!(
                "has {} columns of features, the model was trained on {expected}; give the same columns",
                raw.width
            );
            return Err(Error::data(&raw.path, problem));
        }
        let Shape { height, width, channels } = self.shape;
        let first = Shape { height: channels, width: height, channels: width };
        if raw.shape == first && first != self.shape && channels > 1 && height * width > 1 {
            let problem = format!(
                "its samples are {first}, as with channels first, and the model takes {}; save x.transpose(0, 2, 3, 1)",
                self.shape
            );
            return Err(Error::data(&raw.path, problem));
        }
        let targets = if targets { self.targets(raw, samples)? } else { self.no_targets(samples.len()) };
        let weights = raw.weights.as_ref().map(|all| samples.iter().map(|&sample| all[sample]).collect());
        let lengths = || samples.iter().filter_map(|&sample| raw.lengths.get(sample).copied()).collect();
        let dataset = |features, lengths| Dataset { shape: self.shape, features, lengths, targets, weights };
        match (&raw.cells, self.text()) {
            (Cells::Sparse(rows), _) => {
                Ok(Loaded::new(dataset(Features::Sparse(rows.subset(samples)), Vec::new())))
            }
            (Cells::StreamedSparse(rows), _) => {
                let features = Features::StreamedSparse(StreamedCsr::new(rows, samples));
                Ok(Loaded::new(dataset(features, Vec::new())))
            }
            (Cells::Texts(texts), Some(text)) => {
                let coded = text.code(&texts.of(samples)).map_err(|long| too_long(raw, samples, long))?;
                let counts = Some(coded.counts);
                Ok(Loaded { text: counts, ..Loaded::new(dataset(coded.features, coded.lengths)) })
            }
            (Cells::Tokens { ids, vocabulary }, _) => {
                let rows = samples.iter().flat_map(|&sample| &ids[sample * raw.width..][..raw.width]);
                let features = Features::Tokens { ids: rows.copied().collect(), vocabulary: *vocabulary };
                Ok(Loaded::new(dataset(features, lengths())))
            }
            (Cells::Lent(matrix), _) => {
                let (matrix, rows) = (matrix.clone(), samples.to_vec());
                let rows = LentRows { matrix, rows, inputs: raw.width, scales: Vec::new() };
                Ok(Loaded::new(dataset(Features::Lent(rows), Vec::new())))
            }
            (Cells::Streamed(cells), _) => {
                if let (true, Some(sample)) = (self.columns.is_empty() && raw.lengths.is_empty(), cells.gap) {
                    let mut row = vec![0.0; raw.width];
                    raw.copy_row(sample, &mut row);
                    self.fill_gaps(raw, sample, &mut row)?;
                }
                let rows = StreamedRows::new(cells.clone(), samples, self.row_coding(raw));
                Ok(Loaded::new(dataset(Features::Streamed(rows), lengths())))
            }
            _ if self.columns.is_empty() => {
                let mut features = vec![0.0; samples.len() * self.shape.features()];
                for (row, &sample) in features.chunks_exact_mut(self.shape.features()).zip(samples) {
                    raw.copy_row(sample, row);
                    // What fills short sequences up is NaN too.
                    if raw.lengths.is_empty() {
                        self.fill_gaps(raw, sample, row)?;
                    }
                }
                Ok(Loaded::new(dataset(Features::Dense(features), lengths())))
            }
            _ => {
                let (features, unknown) = self.code_columns(raw, samples);
                Ok(Loaded { unknown, ..Loaded::new(dataset(Features::Dense(features), Vec::new())) })
            }
        }
    }

    /// Puts means where numbers of an array are missing.
    fn fill_gaps(&self, raw: &Raw, sample: usize, row: &mut [f32]) -> Result<()> {
        let gaps: Vec<usize> = (0..row.len()).filter(|&column| row[column].is_nan()).collect();
        for column in gaps {
            row[column] = *self.fill.get(column).ok_or_else(|| {
                let problem = "NaN is a missing number, and no mean is known to put there (they are learned from NPY and NPZ files of floats, with data.missing = \"mean\"); fill it before saving the array";
                let at = format!("{}, column {}", raw.place(sample), column + 1);
                Error::data_at(&raw.path, at, problem)
            })?;
        }
        Ok(())
    }

    /// What is to be predicted for some samples.
    fn targets(&self, raw: &Raw, samples: &[usize]) -> Result<Targets> {
        match self.task {
            Task::Transcription => {
                transcripts::targets(raw, self.units.unwrap_or_default(), &self.classes, samples)
            }
            Task::Classification => classes::targets(raw, &self.classes, samples),
            Task::MultiLabel | Task::Regression | Task::LanguageModel => self.numbers(raw, samples),
        }
    }

    /// Targets of so many samples of which nothing is known.
    fn no_targets(&self, samples: usize) -> Targets {
        match self.task {
            Task::Transcription => Targets::Sequences {
                labels: Vec::new(),
                offsets: vec![0; samples + 1],
                classes: self.outputs,
            },
            Task::Classification => {
                Targets::Classes { labels: vec![0; samples], classes: self.classes.len() }
            }
            Task::MultiLabel | Task::Regression | Task::LanguageModel => {
                Targets::Values { values: vec![0.0; samples * self.outputs], outputs: self.outputs }
            }
        }
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

    /// How the cells of a sample become what a network sees, not scaled yet.
    fn row_coding(&self, raw: &Raw) -> RowCoding {
        let coding = |(column, found): (&Column, &RawColumn)| match &column.coding {
            Coding::Number { mean } => CellCoding::Number { mean: *mean },
            Coding::Category { values } => {
                CellCoding::Category { places: places(values, found), count: values.len() }
            }
            Coding::Text(_) => unreachable!("text stands alone"),
        };
        RowCoding {
            columns: self.columns.iter().zip(&raw.columns).map(coding).collect(),
            fill: self.fill.clone(),
            scales: Vec::new(),
            inputs: self.shape.features(),
            channels: self.shape.channels,
        }
    }

    /// The columns of a table as numbers, and the categories that training has not.
    fn code_columns(&self, raw: &Raw, samples: &[usize]) -> (Vec<f32>, Vec<UnknownCategories>) {
        let mut features = Vec::with_capacity(samples.len() * self.shape.features());
        let unknown = self.code_each(raw, samples, |row| features.extend_from_slice(row));
        (features, unknown)
    }

    /// The categories of samples in a file that training has not.
    fn unknown_categories(&self, raw: &Raw, samples: &[usize]) -> Vec<UnknownCategories> {
        let is_category = |column: &Column| matches!(column.coding, Coding::Category { .. });
        let has_any = self.columns.iter().any(is_category);
        self.code_each(raw, if has_any { samples } else { &[] }, |_| {})
    }

    /// Codes some samples of a table, one after the other.
    fn code_each(
        &self,
        raw: &Raw,
        samples: &[usize],
        mut take: impl FnMut(&[f32]),
    ) -> Vec<UnknownCategories> {
        let coding = self.row_coding(raw);
        // For each column the cells with a category that training has not, and those with any.
        let mut filled = vec![(0, 0); raw.width];
        let (mut cells, mut row) = (vec![0.0; raw.width], vec![0.0; coding.inputs]);
        for &sample in samples {
            raw.copy_row(sample, &mut cells);
            coding.code(&cells, &mut row, |column, is_known| {
                filled[column].0 += usize::from(!is_known);
                filled[column].1 += 1;
            });
            take(&row);
        }
        let unknown = self.columns.iter().zip(filled).filter(|(_, (unknown, _))| *unknown > 0);
        let unknown = unknown.map(|(column, (unknown, cells))| UnknownCategories {
            column: column.name.clone(),
            unknown,
            cells,
        });
        unknown.collect()
    }
}

/// The place of each word of a column among the categories of the training part.
fn places(values: &[String], found: &RawColumn) -> Vec<Option<usize>> {
    // Exact texts win: a model may have been trained on 1 and 01 as two.
    let mut known: HashMap<Cow<str>, usize> = values.iter().map(|value| meaning(value)).zip(0..).collect();
    known.extend(values.iter().map(|value| Cow::Borrowed(value.as_str())).zip(0..));
    let place = |word: &String| known.get(word.as_str()).or_else(|| known.get(&meaning(word))).copied();
    found.vocabulary.iter().flatten().map(place).collect()
}

fn too_long(raw: &Raw, samples: &[usize], found: TooLong) -> Error {
    let TooLong { document, tokens, context } = found;
    let problem = format!(
        "the document has {tokens} tokens and the context is {context}; shorten it, or train with a larger data.text.tokens.context or with data.text.tokens.truncate = true, which cuts such documents"
    );
    Error::data_at(&raw.path, raw.place(samples[document]), problem)
}
