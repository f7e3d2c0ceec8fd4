//! Learning a [`Preparation`] from a training part. Samples of weight 0 are as if they were not there, and means and
//! deviations count each sample by its weight.

use rayon::prelude::*;

use super::loaded::Loaded;
use super::preparation::{Coding, Column, Preparation};
use super::scale::{Moments, Scaler, moments};
use super::target_scaler::TargetScaler;
use super::transcripts;
use crate::data::dataset::{Dataset, Features, Task};
use crate::data::raw::{Cells, Labels, Raw, RawColumn};
use crate::data::reading::Format;
use crate::data::settings::{DataSettings, Missing, Scale};
use crate::data::span::Close;
use crate::data::text::TextCoding;
use crate::tiles::Shape;
use crate::{Error, Result};

impl Preparation {
    /// Learns from the training part `train` of `raw`, and codes it.
    pub(crate) fn fit(
        raw: &Raw,
        task: Task,
        classes: Vec<String>,
        settings: &DataSettings,
        train: &[usize],
    ) -> Result<(Preparation, Loaded)> {
        let counted: Vec<usize> = train.iter().copied().filter(|&sample| raw.weight(sample) > 0.0).collect();
        if counted.is_empty() {
            let problem = "all weights of the training part are 0 (data.weight): nothing would be learned";
            return Err(Error::data(&raw.path, problem));
        }
        let found = if knows_means(raw, settings.missing) { of_cells(raw, &counted) } else { Vec::new() };
        let columns = columns(raw, settings, &counted, &found)?;
        let shape = shape(raw, settings, &columns)?;
        let units = (task == Task::Transcription).then_some(settings.units);
        let classes = match units {
            Some(units) => transcripts::units(raw, units, &counted)?,
            None => classes,
        };
        let outputs = match &raw.labels {
            _ if task == Task::Classification => classes.len(),
            _ if task == Task::Transcription => classes.len() + 1,
            Some(Labels::Numbers { outputs, .. }) => *outputs,
            _ => 1,
        };
        let mut preparation = Preparation {
            reading: raw.reading.clone(),
            task,
            shape,
            outputs,
            classes,
            units,
            columns,
            fill: fill(raw, settings.missing, &found),
            scaler: Scaler::None,
            target_scaler: TargetScaler::fit(settings.target_scale, raw, task, &counted)?,
            constant_inputs: 0,
        };
        let mut loaded = preparation.code(raw, train, true)?;
        // What has no gaps and is no table is coded as it is.
        let is_whole = counted.len() == train.len() && found.iter().all(|about| about.count == train.len());
        let same = is_whole && !preparation.fill.is_empty();
        preparation.fit_scaler(raw, settings.scale, &loaded.dataset, same.then_some(found))?;
        preparation.scale(&mut loaded.dataset);
        Ok((preparation, loaded))
    }

    /// Learns how numbers are scaled, and counts inputs that never change. What each input holds may be known.
    fn fit_scaler(
        &mut self,
        raw: &Raw,
        scale: Scale,
        dataset: &Dataset,
        known: Option<Vec<Moments>>,
    ) -> Result<()> {
        let inputs = self.shape.features();
        match &dataset.features {
            Features::Dense(_) | Features::Lent(_) | Features::Streamed(_) => {}
            _ if !matches!(scale, Scale::Auto | Scale::None) => {
                let problem = "would make numbers of zeros and ids; sparse features and texts are not scaled, leave it out";
                return Err(Error::setting("data.scale", problem));
            }
            Features::Sparse(rows) => {
                // There may be far more inputs than nonzeros.
                let mut used = rows.indices().to_vec();
                used.par_sort_unstable();
                used.dedup();
                self.constant_inputs = inputs - used.len();
                return Ok(());
            }
            Features::StreamedSparse(rows) => {
                self.constant_inputs = inputs - rows.used_features();
                return Ok(());
            }
            Features::Tokens { .. } => return Ok(()),
        }
        let weight = |sample| dataset.weight(sample);
        let numbers = dataset.dense().unwrap_or_default();
        let found = known.unwrap_or_else(|| {
            moments(dataset.len(), inputs, weight, |sample, out| match &dataset.features {
                Features::Lent(rows) => rows.read_unscaled(sample, out),
                Features::Streamed(rows) => rows.copy_unscaled(sample, out),
                _ => out.copy_from_slice(&numbers[sample * inputs..][..inputs]),
            })
        });
        let one_hot: Vec<bool> = self
            .columns
            .iter()
            .flat_map(|column| vec![matches!(column.coding, Coding::Category { .. }); column.inputs()])
            .collect();
        let scale = match scale {
            Scale::Auto if raw.cells.are_bytes() => Scale::Global,
            Scale::Auto if raw.format() == Format::Audio => Scale::Channel,
            Scale::Auto => Scale::Standard,
            chosen => chosen,
        };
        let found = match scale {
            Scale::Channel => {
                let channels = self.shape.channels;
                let channel = |channel| Moments::pooled(found.iter().skip(channel).step_by(channels));
                (0..channels).map(channel).collect()
            }
            _ => found,
        };
        self.scaler = Scaler::fit(scale, &found, |input| one_hot.get(input).copied().unwrap_or(false));
        self.constant_inputs = found.iter().filter(|about| about.is_constant()).count();
        Ok(())
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
                let shift = self.reading.shifts().iter().find(|shift| shift.column == close.column);
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
}

/// Whether missing numbers of an array become the mean of their column.
fn may_have_gaps(raw: &Raw, missing: Missing) -> bool {
    raw.format() == Format::Npy && raw.cells.are_numbers() && missing != Missing::Error
}

/// Whether the means of cells are to be known.
fn knows_means(raw: &Raw, missing: Missing) -> bool {
    let is_table = !raw.columns.is_empty() && !matches!(raw.cells, Cells::Texts(_));
    is_table || may_have_gaps(raw, missing)
}

/// What each column holds in the training part.
fn of_cells(raw: &Raw, train: &[usize]) -> Vec<Moments> {
    let weight = |place: usize| raw.weight(train[place]);
    moments(train.len(), raw.width, weight, |place, out| raw.copy_row(train[place], out))
}

/// The mean of each column of NumPy arrays over the training part, where missing numbers are to become that.
fn fill(raw: &Raw, missing: Missing, found: &[Moments]) -> Vec<f32> {
    if !may_have_gaps(raw, missing) {
        return Vec::new();
    }
    found.iter().map(|about| about.mean as f32).collect()
}

/// What the columns of a table, or the texts, hold in the training part; nothing for arrays.
fn columns(raw: &Raw, settings: &DataSettings, train: &[usize], found: &[Moments]) -> Result<Vec<Column>> {
    if let Cells::Texts(texts) = &raw.cells {
        let text = TextCoding::fit(&settings.text.clone().unwrap_or_default(), &texts.of(train))?;
        return Ok(vec![Column { name: raw.columns[0].name.clone(), coding: Coding::Text(text) }]);
    }
    if raw.columns.is_empty() {
        return Ok(Vec::new());
    }
    let mut used: Vec<Vec<bool>> = raw
        .columns
        .iter()
        .map(|column| vec![false; column.vocabulary.as_ref().map_or(0, Vec::len)])
        .collect();
    let mut cells = vec![0.0; raw.width];
    let has_words = used.iter().any(|used| !used.is_empty());
    for &sample in train.iter().filter(|_| has_words) {
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
    let column = |(column, (used, about)): (&RawColumn, (&Vec<bool>, &Moments))| Column {
        name: column.name.clone(),
        coding: coding(&column.vocabulary, used, about),
    };
    Ok(raw.columns.iter().zip(used.iter().zip(found)).map(column).collect())
}

/// How a sample is laid out, as the settings say or as it comes.
fn shape(raw: &Raw, settings: &DataSettings, columns: &[Column]) -> Result<Shape> {
    let found = match columns {
        [] => raw.shape,
        [Column { coding: Coding::Text(text), .. }] => text.shape(),
        columns => Shape::flat(columns.iter().map(Column::inputs).sum()),
    };
    let inputs = found.features();
    let has_own = !(raw.cells.are_bytes() || raw.cells.are_numbers() || matches!(raw.cells, Cells::Lent(_)));
    let shape = match settings.shape {
        Some(wanted) if wanted.features() != inputs => {
            let problem = format!("{wanted} is {} numbers, a sample has {inputs}", wanted.features());
            return Err(Error::setting("data.shape", problem));
        }
        Some(wanted) if wanted != found && has_own => {
            let problem = "is for numbers without gaps; sparse features and texts have a shape of their own, leave it out";
            return Err(Error::setting("data.shape", problem));
        }
        Some(wanted) => wanted,
        None => found,
    };
    if inputs == 0 {
        return Err(Error::data(
            &raw.path,
            "no column holds anything in the training part; check the file, and data.missing_markers",
        ));
    }
    shape.check().map_err(|problem| Error::data(&raw.path, problem))?;
    Ok(shape)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::data::dataset::Targets;
    use crate::data::reading::{CellKind, CsvColumn, CsvReading, Dialect, LabelColumn, Reading};
    use crate::data::settings::Decimal;

    /// size: 1 3 ? 100 | colour: red green ? blue | label: 0 1 0 1
    fn table() -> Raw {
        let words = ["red", "green", "blue"].map(String::from).to_vec();
        let cells = Cells::Numbers(vec![1.0, 0.0, 3.0, 1.0, f32::NAN, f32::NAN, 100.0, 2.0]);
        let labels = Labels::Numbers { values: vec![0.0, 1.0, 0.0, 1.0], outputs: 1 };
        let column = |name: &str, position, cells| CsvColumn { name: name.into(), position, cells };
        let decimal = Decimal::Auto;
        let reading = Reading::Csv(CsvReading {
            dialect: Dialect { delimiter: ',', header: true, columns: 3, decimal, quote: true, typed: false },
            columns: vec![column("size", 0, CellKind::Number), column("colour", 1, CellKind::Category)],
            labels: vec![LabelColumn { name: "label".into(), position: 2, text: false }],
            labels_are_words: false,
            weight: None,
            keep: Vec::new(),
            missing: Missing::Mean,
            missing_markers: Vec::new(),
            date_format: None,
            shifts: Vec::new(),
        });
        let mut raw = Raw::new(Path::new("t.csv"), reading, cells, Shape::flat(2), Some(labels));
        raw.columns = vec![
            RawColumn { name: "size".into(), vocabulary: None },
            RawColumn { name: "colour".into(), vocabulary: Some(words) },
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
