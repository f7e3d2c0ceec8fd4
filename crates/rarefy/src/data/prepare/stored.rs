//! The form in which a [`Preparation`] stands in a model file: one flat list of keys, whose names and order do not change, so
//! that models of earlier versions open.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::classes;
use super::preparation::{Coding, Column, Preparation};
use super::scale::Scaler;
use super::target_scaler::TargetScaler;
use crate::data::dataset::Task;
use crate::data::dates::DatePart;
use crate::data::reading::{
    ArrayReading, AudioReading, CellKind, CsvColumn, CsvReading, Dialect, Format, ImageReading, JsonlReading,
    LabelColumn, LibsvmReading, MemoryReading, Reading,
};
use crate::data::settings::{DataSettings, Missing, Units};
use crate::data::span::Shift;
use crate::tiles::Shape;

impl Serialize for Preparation {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        Stored::from(self.clone()).serialize(to)
    }
}

impl<'de> Deserialize<'de> for Preparation {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Preparation, D::Error> {
        Stored::deserialize(from)?.try_into().map_err(serde::de::Error::custom)
    }
}

#[derive(Serialize, Deserialize)]
struct Stored {
    format: Format,
    task: Task,
    inputs: Shape,
    outputs: usize,
    classes: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    units: Option<Units>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    columns: Vec<StoredColumn>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    labels: Vec<LabelColumn>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    weight: Option<Place>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    keep: Vec<Place>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dialect: Option<Dialect>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reading: Option<StoredReading>,
    missing: Missing,
    missing_markers: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    date_format: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    shifts: Vec<Shift>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    fill: Vec<f32>,
    scaler: Scaler,
    #[serde(default, skip_serializing_if = "TargetScaler::is_none")]
    target_scaler: TargetScaler,
    constant_inputs: usize,
}

#[derive(Serialize, Deserialize)]
struct StoredColumn {
    name: String,
    position: usize,
    /// Of a column of dates, the part that its numbers are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    date: Option<DatePart>,
    coding: Coding,
}

#[derive(Serialize, Deserialize)]
struct Place {
    name: String,
    position: usize,
}

impl From<CsvColumn> for Place {
    fn from(CsvColumn { name, position, .. }: CsvColumn) -> Place {
        Place { name, position }
    }
}

impl From<Place> for CsvColumn {
    /// A column that is no feature: what its cells are its use says.
    fn from(Place { name, position }: Place) -> CsvColumn {
        CsvColumn { name, position, cells: CellKind::Number }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum StoredReading {
    Images(ImageReading),
    Audio(AudioReading),
    Libsvm(LibsvmReading),
    Memory(MemoryReading),
}

impl From<Preparation> for Stored {
    fn from(preparation: Preparation) -> Stored {
        let Preparation { reading, columns, .. } = preparation;
        let column = |(at, Column { name, coding }): (usize, Column)| match &reading {
            Reading::Csv(csv) => {
                let CsvColumn { name, position, cells } = csv.columns[at].clone();
                let date = if let CellKind::Date(part) = cells { Some(part) } else { None };
                StoredColumn { name, position, date, coding }
            }
            _ => StoredColumn { name, position: 0, date: None, coding },
        };
        let columns = columns.into_iter().enumerate().map(column).collect();
        let (format, labels, shifts) = (reading.format(), reading.labels(), reading.shifts().to_vec());
        let DataSettings { missing, missing_markers, .. } = DataSettings::default();
        let mut stored = Stored {
            format,
            task: preparation.task,
            inputs: preparation.shape,
            outputs: preparation.outputs,
            classes: preparation.classes,
            units: preparation.units,
            columns,
            labels,
            weight: None,
            keep: Vec::new(),
            dialect: None,
            reading: None,
            missing,
            missing_markers,
            date_format: None,
            shifts,
            fill: preparation.fill,
            scaler: preparation.scaler,
            target_scaler: preparation.target_scaler,
            constant_inputs: preparation.constant_inputs,
        };
        match reading {
            Reading::Csv(csv) => {
                stored.weight = csv.weight.map(Place::from);
                stored.keep = csv.keep.into_iter().map(Place::from).collect();
                stored.dialect = Some(csv.dialect);
                stored.date_format = csv.date_format;
                (stored.missing, stored.missing_markers) = (csv.missing, csv.missing_markers);
            }
            Reading::Images(images) => stored.reading = Some(StoredReading::Images(images)),
            Reading::Audio(audio) => stored.reading = Some(StoredReading::Audio(audio)),
            Reading::Libsvm(libsvm) => stored.reading = Some(StoredReading::Libsvm(libsvm)),
            Reading::Memory(memory) => {
                // Its names stand in the reading.
                stored.labels = Vec::new();
                stored.reading = Some(StoredReading::Memory(memory));
            }
            Reading::Digits
            | Reading::Cifar
            | Reading::Idx
            | Reading::Npy(_)
            | Reading::Text
            | Reading::Jsonl(_) => {}
        }
        stored
    }
}

impl TryFrom<Stored> for Preparation {
    type Error = String;

    fn try_from(mut stored: Stored) -> Result<Preparation, String> {
        let reading = stored.take_reading()?;
        let column = |(at, StoredColumn { name, coding, .. }): (usize, StoredColumn)| match &reading {
            Reading::Csv(csv) => Column { name: csv.columns[at].feature_name(), coding },
            _ => Column { name, coding },
        };
        let columns = stored.columns.into_iter().enumerate().map(column).collect();
        Ok(Preparation {
            reading,
            task: stored.task,
            shape: stored.inputs,
            outputs: stored.outputs,
            classes: stored.classes,
            units: stored.units,
            columns,
            fill: stored.fill,
            scaler: stored.scaler,
            target_scaler: stored.target_scaler,
            constant_inputs: stored.constant_inputs,
        })
    }
}

impl Stored {
    /// How files were read, from the keys that say it and from those of inputs and outputs.
    fn take_reading(&mut self) -> Result<Reading, String> {
        let shifts = std::mem::take(&mut self.shifts);
        Ok(match (self.format, self.reading.take()) {
            (Format::Images, Some(StoredReading::Images(images))) => Reading::Images(images),
            (Format::Audio, Some(StoredReading::Audio(audio))) => {
                let frames = self.inputs.features() / audio.features.per_frame().max(1);
                Reading::Audio(AudioReading { frames, ..audio })
            }
            (Format::Libsvm, Some(StoredReading::Libsvm(libsvm))) => {
                let labels = if libsvm.multi_label { self.outputs } else { 1 };
                Reading::Libsvm(LibsvmReading { features: self.inputs.features(), labels, ..libsvm })
            }
            (Format::Memory, Some(StoredReading::Memory(memory))) => {
                Reading::Memory(MemoryReading { shifts, ..memory })
            }
            (format @ (Format::Images | Format::Audio | Format::Libsvm | Format::Memory), _)
            | (format, Some(_)) => {
                return Err(format!("{format:?} files are not read like that"));
            }
            (Format::Csv, None) => self.take_csv(shifts)?,
            (_, None) if self.dialect.is_some() || self.weight.is_some() || !self.keep.is_empty() => {
                return Err(format!("{:?} files have no columns", self.format));
            }
            (Format::Npy, None) => Reading::Npy(ArrayReading { shifts }),
            (_, None) if !shifts.is_empty() => {
                return Err(format!("{:?} files are read without shifts", self.format));
            }
            (Format::Digits, None) => Reading::Digits,
            (Format::Cifar, None) => Reading::Cifar,
            (Format::Idx, None) => Reading::Idx,
            (Format::Text, None) => Reading::Text,
            (Format::Jsonl, None) => {
                let text = self.columns.first().map_or("text", |column| &column.name).to_string();
                let label = self.labels.first().map_or("label", |label| &label.name).to_string();
                Reading::Jsonl(JsonlReading { text, label })
            }
        })
    }

    fn take_csv(&mut self, shifts: Vec<Shift>) -> Result<Reading, String> {
        let dialect = self.dialect.take().ok_or("nothing says how its CSV file is laid out")?;
        let column = |column: &StoredColumn| CsvColumn {
            name: column.name.clone(),
            position: column.position,
            cells: match (&column.coding, column.date) {
                (Coding::Number { .. }, Some(part)) => CellKind::Date(part),
                (Coding::Number { .. }, None) => CellKind::Number,
                (Coding::Category { .. }, _) => CellKind::Category,
                (Coding::Text(_), _) => CellKind::Text,
            },
        };
        let labels = std::mem::take(&mut self.labels);
        // Several columns are classes by their ones.
        let labels_are_words = match &labels[..] {
            [label] if self.task == Task::Classification => {
                label.text || !classes::are_numbers(&self.classes)
            }
            _ => false,
        };
        Ok(Reading::Csv(CsvReading {
            dialect,
            columns: self.columns.iter().map(column).collect(),
            labels,
            labels_are_words,
            weight: self.weight.take().map(CsvColumn::from),
            keep: std::mem::take(&mut self.keep).into_iter().map(CsvColumn::from).collect(),
            missing: self.missing,
            missing_markers: std::mem::take(&mut self.missing_markers),
            date_format: self.date_format.take(),
            shifts,
        }))
    }
}
