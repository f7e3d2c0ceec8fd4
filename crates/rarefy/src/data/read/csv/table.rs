//! The second pass over a CSV file: cells into numbers, categories into positions in a vocabulary.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use super::numbers::{Spelling, parse};
use super::records::Records;
use super::survey::{is_missing, is_missing_in_any_case};
use crate::data::alike::{boolean, is_date, meaning};
use crate::data::raw::Texts;
use crate::data::raw::{Cells, Format, Labels, Raw, RawColumn};
use crate::data::reading::{Dialect, LabelColumn};
use crate::data::settings::Missing;
use crate::data::shown::shown;
use crate::data::span::Shift;
use crate::tiles::Shape;
use crate::{Error, Result};

/// What to do with a column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Role {
    Number,
    /// Text from a small set.
    Category,
    /// Free text, the only feature.
    Text,
    NumberLabel,
    TextLabel,
    Ignore,
}

/// How to read a file.
pub(super) struct Plan<'a> {
    pub path: &'a Path,
    pub dialect: Dialect,
    /// Names and roles of all columns of the file.
    pub names: Vec<String>,
    pub roles: Vec<Role>,
    /// Columns of the file that become features, in the order of the features.
    pub features: Vec<usize>,
    /// Columns of the file that hold labels.
    pub labels: Vec<usize>,
    /// Features that are read shifted.
    pub shifts: Vec<Shift>,
    pub missing: Missing,
    pub markers: &'a [String],
    /// Whether the settings want labels as they are written.
    pub text_labels: bool,
    /// Whether words that mean the same become one. For a model they stay as they are, for it finds them by itself.
    pub merge: bool,
    /// What the user should know.
    pub notes: Vec<String>,
}

/// What a word means, the same for words that mean the same.
type Meaning = fn(&str) -> Cow<str>;

/// Words in order of appearance.
#[derive(Default)]
struct Vocabulary {
    words: Vec<String>,
    known: HashMap<String, u32>,
}

impl Vocabulary {
    /// The code of a word, the same for words that mean the same.
    fn code(&mut self, word: &str, meaning: Meaning) -> u32 {
        if let Some(&code) = self.known.get(word) {
            return code;
        }
        let next = self.words.len() as u32;
        let code = *self.known.entry(meaning(word).into_owned()).or_insert(next);
        if code == next {
            self.words.push(word.to_string());
        }
        self.known.insert(word.to_string(), code);
        code
    }

    /// What is odd about the words of a column.
    fn notes(&self, column: &str) -> Vec<String> {
        let mut notes = Vec::new();
        let mut folded: HashMap<String, &str> = HashMap::new();
        for word in &self.words {
            if let Some(other) = folded.insert(word.to_lowercase(), word) {
                let (other, word) = (shown(other), shown(word));
                notes.push(format!("column {column:?}: {other} and {word} differ in case alone"));
            }
        }
        notes.truncate(3);
        if !self.words.is_empty() && self.words.iter().all(|word| is_date(word)) {
            let kinds = self.words.len();
            notes.push(format!(
                "column {column:?} holds dates, read as {kinds} categories; a new date will be none of them, numbers (year, month, days since a date) would say more"
            ));
        }
        notes
    }
}

impl Plan<'_> {
    /// Reads the file; `rows` says how many lines to expect, 0 if that is not known.
    #[expect(clippy::too_many_lines)]
    pub(super) fn read(mut self, rows: usize) -> Result<Raw> {
        let (width, outputs) = (self.features.len(), self.labels.len());
        if width == 0 {
            return Err(Error::data(
                self.path,
                "no column is left as a feature; check data.label and data.ignore",
            ));
        }
        // For each column of the file, its place among the features or labels.
        let mut places = vec![0; self.names.len()];
        for list in [&self.features, &self.labels] {
            for (place, &column) in list.iter().enumerate() {
                places[column] = place;
            }
        }
        let as_written: Meaning = |word| Cow::Borrowed(word);
        let of_category = if self.merge { meaning } else { as_written };
        let of_class = if self.merge && !self.text_labels { boolean } else { as_written };
        let mut shifts = vec![None; width];
        self.shifts.iter().for_each(|shift| shifts[shift.column] = Some(*shift));
        let mut cells = Vec::with_capacity(rows * width);
        let mut values = Vec::with_capacity(rows * outputs);
        let mut classes = Vocabulary::default();
        let mut codes = Vec::new();
        let mut lines = Vec::with_capacity(rows);
        let mut texts = Texts::default();
        let mut vocabularies: Vec<Vocabulary> = Vec::new();
        vocabularies.resize_with(width, Vocabulary::default);
        let mut records = Records::open_as(self.path, &self.dialect)?;
        if self.dialect.header {
            records.next()?;
        }
        while let Some((line, record)) = records.next_of(self.names.len())? {
            lines.push(line);
            let (cell_start, value_start) = (cells.len(), values.len());
            cells.resize(cell_start + width, f32::NAN);
            values.resize(value_start + outputs, f64::NAN);
            for (column, cell) in record.iter().map(str::trim).enumerate() {
                let role = self.roles[column];
                match role {
                    Role::Ignore => continue,
                    // Nothing is missing in a text, whatever it says.
                    Role::Text => {
                        texts.push(cell);
                        continue;
                    }
                    _ => {}
                }
                let place = places[column];
                let is_gap = match role {
                    Role::Number | Role::NumberLabel => is_missing_in_any_case(cell, self.markers),
                    _ => is_missing(cell, self.markers),
                };
                if is_gap {
                    self.check_missing(line, column, role)?;
                    continue;
                }
                match role {
                    Role::Number => {
                        let number = self.number(line, column, cell)?;
                        cells[cell_start + place] =
                            shifts[place].map_or(number as f32, |shift| shift.apply(number));
                    }
                    Role::Category => {
                        cells[cell_start + place] = vocabularies[place].code(cell, of_category) as f32
                    }
                    Role::NumberLabel => values[value_start + place] = self.number(line, column, cell)?,
                    Role::TextLabel => codes.push(classes.code(cell, of_class)),
                    Role::Ignore | Role::Text => unreachable!("passed over above"),
                }
            }
        }
        if lines.is_empty() {
            return Err(Error::data(self.path, "holds no samples"));
        }
        for (place, &column) in self.features.iter().enumerate() {
            self.notes.extend(vocabularies[place].notes(&self.names[column]));
        }
        self.labels.iter().for_each(|&label| self.notes.extend(classes.notes(&self.names[label])));
        let labels = match self.labels[..] {
            [] => None,
            [label] if self.roles[label] == Role::TextLabel => {
                Some(Labels::Text { codes, vocabulary: classes.words })
            }
            _ => Some(Labels::Numbers { values, outputs }),
        };
        let is_text = self.features.iter().any(|&column| self.roles[column] == Role::Text);
        let cells = if is_text { Cells::Texts(texts) } else { Cells::Numbers(cells) };
        self.finish(cells, vocabularies, lines, labels)
    }

    fn finish(
        self,
        cells: Cells,
        vocabularies: Vec<Vocabulary>,
        lines: Vec<u64>,
        labels: Option<Labels>,
    ) -> Result<Raw> {
        let column = |(&position, vocabulary): (&usize, Vocabulary)| RawColumn {
            name: self.names[position].clone(),
            position,
            vocabulary: (self.roles[position] == Role::Category).then_some(vocabulary.words),
        };
        let columns: Vec<RawColumn> = self.features.iter().zip(vocabularies).map(column).collect();
        let label_columns = self
            .labels
            .iter()
            .map(|&position| LabelColumn {
                name: self.names[position].clone(),
                position,
                text: self.text_labels,
            })
            .collect();
        let shape = Shape::flat(columns.len());
        Ok(Raw {
            columns,
            label_columns,
            dialect: Some(self.dialect),
            lines,
            shifts: self.shifts,
            notes: self.notes,
            ..Raw::arrays(self.path, Format::Csv, cells, shape, labels)
        })
    }

    /// A cell as a number that an `f32` can hold; labels are scaled before they are that.
    fn number(&self, line: u64, column: usize, cell: &str) -> Result<f64> {
        let is_label = self.roles[column] == Role::NumberLabel;
        let problem = match parse(cell, self.dialect.decimal) {
            Some(number) if (number as f32).is_finite() || (is_label && number.is_finite()) => {
                return Ok(number);
            }
            Some(_) => format!(
                "{} is not a finite f32 number; mend the cell, or add its text to data.missing_markers",
                shown(cell)
            ),
            None => {
                let advice = match (Spelling::of(cell), self.roles[column]) {
                    (Some(spelling), _) => spelling.advice(),
                    (None, Role::NumberLabel) => {
                        "if these are class names set data.task = \"classification\""
                    }
                    _ => "if a number is missing add the text to data.missing_markers",
                };
                format!("{} is text in a column of numbers; mend the cell; {advice}", shown(cell))
            }
        };
        Err(Error::data_at(self.path, at(&self.dialect, &self.names, line, column), problem))
    }

    fn check_missing(&self, line: u64, column: usize, role: Role) -> Result<()> {
        let problem = match (role, self.missing) {
            (Role::NumberLabel | Role::TextLabel, _) => {
                "the label is missing; remove the line, or take the text out of data.missing_markers if it is a class"
            }
            (_, Missing::Error) => "the cell is missing; fill it, or set data.missing = \"mean\"",
            (_, Missing::Mean) => return Ok(()),
        };
        Err(Error::data_at(self.path, at(&self.dialect, &self.names, line, column), problem))
    }
}

/// Where a cell stands, for messages.
pub(super) fn at(dialect: &Dialect, names: &[String], line: u64, column: usize) -> String {
    match dialect.header {
        true => format!("line {line}, column {}", shown(&names[column])),
        false => format!("line {line}, column {}", column + 1),
    }
}
