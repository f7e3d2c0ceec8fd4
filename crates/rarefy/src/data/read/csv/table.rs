//! The second pass over a CSV file: cells into numbers, categories into positions in a vocabulary.

use std::borrow::Cow;
use std::collections::HashMap;

use csv::StringRecord;

use super::faults::Faults;
use super::numbers::{Spelling, parse};
use super::origin::Origin;
use super::rows::Rows;
use super::survey::{is_missing, is_missing_in_any_case};
use crate::data::alike::{boolean, meaning};
use crate::data::dates::Moment;
use crate::data::raw::{Cells, KeptColumn, Labels, Places, Raw, RawColumn, Texts};
use crate::data::read::sink::{Sink, numbers, sink};
use crate::data::reading::{CellKind, CsvReading, Dialect, Reading};
use crate::data::settings::{Decimal, Missing};
use crate::data::shown::shown;
use crate::data::span::Shift;
use crate::data::stream::Streaming;
use crate::tiles::Shape;
use crate::{Error, Result};

/// What to do with a column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Role {
    Number,
    /// Text from a small set.
    Category,
    /// A day, perhaps with a time, which becomes several numbers.
    Date,
    /// Free text, the only feature.
    Text,
    NumberLabel,
    TextLabel,
    /// How much the sample counts.
    Weight,
    /// What the sample belongs to.
    Group,
    Ignore,
}

impl From<CellKind> for Role {
    fn from(cells: CellKind) -> Role {
        match cells {
            CellKind::Number => Role::Number,
            CellKind::Category => Role::Category,
            CellKind::Text => Role::Text,
            CellKind::Date(_) => Role::Date,
        }
    }
}

/// How to read a file.
pub(super) struct Plan<'a> {
    pub origin: Origin<'a>,
    /// The layout of this file.
    pub dialect: Dialect,
    /// Names and roles of all columns of the file.
    pub names: Vec<String>,
    pub roles: Vec<Role>,
    /// Columns of the file that become features, in the order of the features.
    pub features: Vec<usize>,
    /// Columns of the file that hold labels.
    pub labels: Vec<usize>,
    /// Columns of the file that are handed on as they are.
    pub keep: Vec<usize>,
    /// How the training file is read.
    pub reading: CsvReading,
    /// Whether this is a file to train on, of which words that mean the same become one. For a model they stay as they are, for it
    /// finds them by itself.
    pub to_train: bool,
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
        notes
    }
}

/// What the lines of a file hold, as far as they have been read.
struct Found<'a> {
    plan: &'a Plan<'a>,
    /// For each column of the file, its place among the features or labels; of dates that of their first part.
    places: Vec<usize>,
    /// For each feature, how it is shifted.
    shifts: Vec<Option<Shift>>,
    of_category: Meaning,
    of_class: Meaning,
    /// The cells of the line at hand, and of those before it in memory or in a scratch file.
    row: Vec<f32>,
    cells: Vec<f32>,
    sink: Option<Sink>,
    vocabularies: Vec<Vocabulary>,
    texts: Texts,
    values: Vec<f64>,
    codes: Vec<u32>,
    classes: Vocabulary,
    weights: Vec<f32>,
    kept: Vec<Vec<String>>,
    groups: Vec<u32>,
    group_names: Vocabulary,
    lines: Vec<u64>,
    faults: Faults,
}

impl<'a> Found<'a> {
    /// Nothing yet, with memory for so many lines.
    ///
    /// # Errors
    /// A scratch file that cannot be made.
    fn new(plan: &'a Plan, rows: usize, streaming: Option<&Streaming>) -> Result<Found<'a>> {
        let width = plan.features.len();
        let mut places = vec![0; plan.names.len()];
        for list in [&plan.features, &plan.labels] {
            list.iter().enumerate().rev().for_each(|(place, &column)| places[column] = place);
        }
        let mut shifts = vec![None; width];
        plan.reading.shifts.iter().for_each(|shift| shifts[shift.column] = Some(*shift));
        let as_written: Meaning = |word| Cow::Borrowed(word);
        let are_as_written = plan.reading.labels.iter().any(|label| label.text);
        let mut vocabularies = Vec::new();
        vocabularies.resize_with(width, Vocabulary::default);
        let sink = sink(streaming)?;
        let in_memory = if sink.is_some() { 0 } else { rows * width };
        Ok(Found {
            plan,
            places,
            shifts,
            of_category: if plan.to_train { meaning } else { as_written },
            of_class: if plan.to_train && !are_as_written { boolean } else { as_written },
            row: vec![f32::NAN; width],
            cells: Vec::with_capacity(in_memory),
            sink,
            vocabularies,
            texts: Texts::default(),
            values: Vec::with_capacity(rows * plan.labels.len()),
            codes: Vec::new(),
            classes: Vocabulary::default(),
            weights: Vec::new(),
            kept: vec![Vec::with_capacity(rows); plan.keep.len()],
            groups: Vec::new(),
            group_names: Vocabulary::default(),
            lines: Vec::with_capacity(rows),
            faults: Faults::default(),
        })
    }

    /// Adds a line, or its faults.
    ///
    /// # Errors
    /// A full disk.
    fn add(&mut self, line: u64, record: &StringRecord) -> Result<()> {
        self.lines.push(line);
        for (kept, &column) in self.kept.iter_mut().zip(&self.plan.keep) {
            kept.push(record[column].trim().to_string());
        }
        self.row.fill(f32::NAN);
        self.values.resize(self.values.len() + self.plan.labels.len(), f64::NAN);
        for (column, cell) in record.iter().map(str::trim).enumerate() {
            if let Err(problem) = self.add_cell(column, cell) {
                let Plan { dialect, names, .. } = self.plan;
                self.faults.add(at(dialect, names, line, column), problem);
            }
        }
        match &mut self.sink {
            Some(sink) => sink.put(&self.row),
            None => {
                self.cells.extend_from_slice(&self.row);
                Ok(())
            }
        }
    }

    fn add_cell(&mut self, column: usize, cell: &str) -> std::result::Result<(), String> {
        let (role, markers) = (self.plan.roles[column], &self.plan.reading.missing_markers);
        let is_first = self.lines.len() == 1;
        let is_gap = match role {
            Role::Ignore => return Ok(()),
            // Nothing is missing in a text, whatever it says.
            Role::Text => {
                self.texts.push(cell);
                return Ok(());
            }
            Role::Number | Role::Date | Role::NumberLabel | Role::Weight => {
                is_missing_in_any_case(cell, markers)
            }
            Role::Category | Role::TextLabel | Role::Group => is_missing(cell, markers),
        };
        if is_gap {
            return self.plan.check_missing(role);
        }
        let place = self.places[column];
        match role {
            Role::Number => {
                let number = self.plan.number(role, cell, is_first)?;
                self.row[place] = self.shifts[place].map_or(number as f32, |shift| shift.apply(number));
            }
            Role::Date => {
                let moment = self.plan.moment(cell)?;
                let parts = self.plan.reading.columns[place..].iter().zip(&self.plan.features[place..]);
                for (at, (feature, &of)) in parts.enumerate() {
                    let CellKind::Date(part) = feature.cells else { break };
                    if of != column {
                        break;
                    }
                    let number = part.value(&moment);
                    self.row[place + at] =
                        self.shifts[place + at].map_or(number as f32, |shift| shift.apply(number));
                }
            }
            Role::Category => {
                self.row[place] = self.vocabularies[place].code(cell, self.of_category) as f32;
            }
            Role::NumberLabel => {
                let start = self.values.len() - self.plan.labels.len();
                self.values[start + place] = self.plan.number(role, cell, is_first)?;
            }
            Role::TextLabel => self.codes.push(self.classes.code(cell, self.of_class)),
            Role::Weight => match self.plan.number(role, cell, is_first)? {
                weight if weight >= 0.0 => self.weights.push(weight as f32),
                _ => return Err(format!("the weight is {cell}; give 0 or more")),
            },
            Role::Group => self.groups.push(self.group_names.code(cell, |word| Cow::Borrowed(word))),
            Role::Text | Role::Ignore => unreachable!("passed over above"),
        }
        Ok(())
    }
}

impl Plan<'_> {
    /// Reads the file; `rows` says how many lines to expect, 0 if that is not known. The cells may stay on the disk.
    ///
    /// # Errors
    /// What is wrong with its lines, of several the first ten in one error.
    pub(super) fn read(mut self, rows: usize, streaming: Option<&Streaming>) -> Result<Raw> {
        let path = self.origin.path();
        if self.features.is_empty() {
            return Err(Error::data(
                path,
                "no column is left as a feature; check data.label and data.ignore",
            ));
        }
        let mut found = Found::new(&self, rows, streaming)?;
        let is_wanted = |column| self.roles[column] != Role::Ignore || self.keep.contains(&column);
        let wanted: Vec<bool> = (0..self.names.len()).map(is_wanted).collect();
        let mut table = Rows::open(self.origin, &self.dialect, &wanted)?;
        while let Some((line, record)) = table.next(self.names.len(), &mut found.faults)? {
            found.add(line, record)?;
        }
        let Found {
            cells,
            sink,
            vocabularies,
            texts,
            values,
            codes,
            classes,
            weights,
            kept,
            groups,
            lines,
            faults,
            ..
        } = found;
        faults.none(path, "places are faulty")?;
        if lines.is_empty() {
            return Err(Error::data(path, "holds no samples"));
        }
        let weights = self.roles.contains(&Role::Weight).then_some(weights);
        if weights.as_ref().is_some_and(|weights| weights.iter().all(|&weight| weight == 0.0)) {
            return Err(Error::data(path, "all weights are 0 (data.weight): nothing would be learned"));
        }
        for (&column, vocabulary) in self.features.iter().zip(&vocabularies) {
            self.notes.extend(vocabulary.notes(&self.names[column]));
        }
        self.labels.iter().for_each(|&label| self.notes.extend(classes.notes(&self.names[label])));
        let labels = match self.labels[..] {
            [] => None,
            [label] if self.roles[label] == Role::TextLabel => {
                Some(Labels::Text { codes, vocabulary: classes.words })
            }
            _ => Some(Labels::Numbers { values, outputs: self.labels.len() }),
        };
        let is_text = self.roles.contains(&Role::Text);
        let cells = match sink {
            _ if is_text => Cells::Texts(texts),
            Some(sink) => sink.into_cells(self.features.len(), false, numbers())?,
            None => Cells::Numbers(cells),
        };
        let columns = self.reading.columns.iter().zip(vocabularies).map(|(column, vocabulary)| RawColumn {
            name: column.feature_name(),
            vocabulary: (column.cells == CellKind::Category).then_some(vocabulary.words),
        });
        let (columns, shape) = (columns.collect(), Shape::flat(self.features.len()));
        let names = self.keep.iter().map(|&column| self.names[column].clone());
        let kept = names.zip(kept).map(|(name, cells)| KeptColumn { name, cells }).collect();
        Ok(Raw {
            columns,
            places: if self.dialect.typed { Places::InOrder } else { Places::Lines(lines) },
            notes: self.notes,
            weights,
            kept,
            groups: self.roles.contains(&Role::Group).then_some(groups),
            ..Raw::new(path, Reading::Csv(self.reading), cells, shape, labels)
        })
    }

    /// A cell as a date.
    fn moment(&self, cell: &str) -> std::result::Result<Moment, String> {
        let layout = self.reading.date_format.as_deref();
        Moment::read(cell, layout).ok_or_else(|| {
            let (cell, gap) = (shown(cell), self.gap_advice());
            match layout {
                Some(layout) => {
                    let years = if layout.contains("%Y") { "; %Y is a year of four digits, %y of two" } else { "" };
                    format!("{cell} is no date in the layout {layout:?} (data.date_format){years}; mend the cell, or {gap}")
                }
                None if self.to_train => format!("{cell} is no date such as 2024-01-31 or 2024-01-31 12:30; mend the cell, give the layout with data.date_format, as in \"%d.%m.%Y\", or {gap}"),
                None => format!("{cell} is no date such as 2024-01-31 or 2024-01-31 12:30, as in the training file; write it so, or {gap}"),
            }
        })
    }

    /// What to do about a cell that stands for nothing. For a model there are no settings.
    fn gap_advice(&self) -> &'static str {
        match self.reading.missing {
            _ if self.to_train => "add its text to data.missing_markers",
            Missing::Mean => "leave it empty if nothing is known",
            Missing::Error => "remove the line",
        }
    }

    /// A cell as a number that an `f32` can hold; labels are scaled before they are that.
    fn number(&self, role: Role, cell: &str, is_first: bool) -> std::result::Result<f64, String> {
        let is_label = role == Role::NumberLabel;
        match parse(cell, self.dialect.decimal) {
            Some(number) if (number as f32).is_finite() || (is_label && number.is_finite()) => Ok(number),
            Some(_) => Err(format!(
                "{} is not a finite f32 number; mend the cell, or {}",
                shown(cell),
                self.gap_advice()
            )),
            None => {
                let has_no_names = !self.dialect.header && !self.dialect.typed;
                let advice = match (Spelling::of(cell), role) {
                    (Some(Spelling::Marks), _) if !self.to_train => match self.dialect.decimal {
                        Decimal::Comma => "write it with a decimal comma, as the training file was read",
                        _ => "write it with a decimal point, as the training file was read",
                    },
                    (Some(spelling), _) => spelling.advice(),
                    _ if !self.to_train && is_first && has_no_names => {
                        "if this line names the columns remove it: the training file has no such line"
                    }
                    (None, Role::NumberLabel) if self.to_train => {
                        "if these are class names set data.task = \"classification\""
                    }
                    (None, Role::NumberLabel) => "the model was trained on numbers here",
                    (None, Role::Weight) => "a weight is a number from 0",
                    _ if self.to_train => "if a number is missing add the text to data.missing_markers",
                    _ => self.gap_advice(),
                };
                Err(format!("{} is text in a column of numbers; mend the cell; {advice}", shown(cell)))
            }
        }
    }

    /// What is done where a cell is missing.
    fn check_missing(&self, role: Role) -> std::result::Result<(), String> {
        let problem = match (role, self.reading.missing) {
            (Role::NumberLabel | Role::TextLabel, _) if self.to_train => {
                "the label is missing; remove the line, or take the text out of data.missing_markers if it is a class"
            }
            (Role::NumberLabel | Role::TextLabel, _) => {
                "the label is missing; fill it in, or remove the line"
            }
            (Role::Weight, _) => "the weight is missing; fill it in, or remove the line",
            (Role::Group, _) => "the group is missing; fill it in, or remove the line",
            (_, Missing::Error) => "the cell is missing; fill it, or train with data.missing = \"mean\"",
            (_, Missing::Mean) => return Ok(()),
        };
        Err(problem.into())
    }
}

/// Where a cell stands, for messages.
pub(super) fn at(dialect: &Dialect, names: &[String], line: u64, column: usize) -> String {
    let row = if dialect.typed { "row" } else { "line" };
    if dialect.header {
        format!("{row} {line}, column {}", shown(&names[column]))
    } else {
        format!("line {line}, column {}", column + 1)
    }
}
