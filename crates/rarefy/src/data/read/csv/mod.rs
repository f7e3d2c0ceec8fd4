//! Tables: CSV, text with one sample per line, plain or gzipped; and files whose columns have types (`typed`), which are
//! read as if they had been saved as that, be it in memory (`origin`). A CSV file is read three times: its start, to find the delimiter
//! and the names (`dialect`, `header`); all of it, to find what each column holds (`survey`) and what becomes of it
//! (`decide`); all of it again, into numbers (`table`). So the text itself is never kept, and an error can name its line.

mod columns;
mod decide;
mod dialect;
mod faults;
mod header;
mod lines;
mod numbers;
mod origin;
mod quotes;
mod records;
mod rows;
mod survey;
mod table;
mod typed;

pub(super) use records::Records;

use std::collections::BTreeSet;
use std::path::Path;

use crate::data::dataset::Task;
use crate::data::dates::DatePart;
use crate::data::raw::{Raw, Source};
use crate::data::reading::{Broken, CellKind, CsvColumn, CsvReading, Keep, LabelColumn, Reading, Wanted};
use crate::data::settings::{DataSettings, LabelType};
use crate::data::shown::shown;
use crate::data::span::{Span, may_shift};
use crate::data::table::Table as TableInMemory;
use crate::data::text::TextSettings;
use crate::{Error, Result};
use columns::{find, resolve};
use decide::Table;
use dialect::{detect, of_new};
use origin::Origin;
use survey::Seen;
use table::{Plan, Role};

/// Reads a file to train on.
pub(super) fn read(path: &Path, settings: &DataSettings) -> Result<Source> {
    read_from(Origin::File(path), settings).map(Source::whole)
}

/// Takes a table in memory to train on, without labels.
pub(in crate::data) fn read_table(table: &TableInMemory, settings: &DataSettings) -> Result<Raw> {
    read_from(Origin::Memory(table), settings)
}

fn read_from(origin: Origin, settings: &DataSettings) -> Result<Raw> {
    let path = origin.path();
    let ((dialect, names), typed) = match typed::columns(origin)? {
        Some(columns) => (typed::layout_to_train(path, &columns, settings)?, columns),
        None => (detect(path, settings)?, Vec::new()),
    };
    let (text, labels) = text_and_labels(origin, settings, &names)?;
    let categorical = resolve(path, "data.categorical", &settings.categorical, &names)?;
    let dates = resolve(path, "data.date", &settings.date, &names)?;
    let ignored = resolve(path, "data.ignore", &settings.ignore, &names)?;
    let keep = resolve(path, "data.keep", &settings.keep, &names)?;
    let weight = resolve(path, "data.weight", settings.weight.as_slice(), &names)?.first().copied();
    let group = resolve(path, "data.group", settings.group.as_slice(), &names)?.first().copied();
    let missing_markers = typed::markers(&dialect, &settings.missing_markers);
    let asked = survey::Asked {
        markers: &missing_markers,
        dates: &dates,
        date_format: settings.date_format.as_deref(),
        typed: &typed,
    };
    let seen = survey::survey(origin, &dialect, &names, &asked)?;
    let table = Table {
        path,
        settings,
        dialect: &dialect,
        names: &names,
        seen: &seen,
        text,
        categorical: &categorical,
        dates: &dates,
        left_out: &[&ignored[..], &keep].concat(),
        weight,
        group,
    };
    let labels = match (labels, &settings.label[..]) {
        (Some(labels), _) => labels,
        (None, []) => vec![table.usual_label()?],
        (None, given) => resolve(path, "data.label", given, &names)?,
    };
    refuse_second_uses(&table, &labels, &ignored, &keep)?;
    let (roles, notes) = table.roles(&labels)?;
    typed::refuse_nested(path, &typed, |column| roles[column] != Role::Ignore || keep.contains(&column))?;
    let column = |position: usize, cells| CsvColumn { name: names[position].clone(), position, cells };
    let features = features(&names, &roles, &seen);
    let spans = spans(&features, &seen);
    let shifts = if may_shift(settings.scale) {
        spans.iter().filter_map(|(place, span)| span.shift(*place)).collect()
    } else {
        Vec::new()
    };
    let close = spans.iter().filter_map(|(place, span)| span.close(*place)).collect();
    let label = |&position: &usize| LabelColumn {
        name: names[position].clone(),
        position,
        text: settings.label_type == LabelType::Text,
    };
    let reading = CsvReading {
        dialect: dialect.clone(),
        columns: features,
        labels: labels.iter().map(label).collect(),
        labels_are_words: roles.contains(&Role::TextLabel),
        weight: weight.map(|position| column(position, CellKind::Number)),
        keep: keep.iter().map(|&position| column(position, CellKind::Number)).collect(),
        missing: settings.missing,
        missing_markers,
        date_format: settings.date_format.clone(),
        shifts,
    };
    let features = reading.columns.iter().map(|column| column.position).collect();
    let keep = Vec::new();
    let plan = Plan { origin, dialect, names, roles, features, labels, keep, reading, to_train: true, notes };
    Ok(Raw { close, ..plan.read(seen[0].rows, settings.streaming().as_ref())? })
}

/// The features that columns become, in their order.
fn features(names: &[String], roles: &[Role], seen: &[Seen]) -> Vec<CsvColumn> {
    let kinds = |position: usize| match roles[position] {
        Role::Number => vec![CellKind::Number],
        Role::Category => vec![CellKind::Category],
        Role::Text => vec![CellKind::Text],
        Role::Date => {
            let parts = DatePart::of(seen[position].has_times).iter();
            parts.map(|&part| CellKind::Date(part)).collect()
        }
        Role::NumberLabel | Role::TextLabel | Role::Weight | Role::Group | Role::Ignore => Vec::new(),
    };
    let column = |position: usize| {
        let named = move |cells| CsvColumn { name: names[position].clone(), position, cells };
        kinds(position).into_iter().map(named)
    };
    (0..names.len()).flat_map(column).collect()
}

/// What numbers span, and the days of dates, which may be read shifted, with their places among the features.
fn spans<'a>(features: &[CsvColumn], seen: &'a [Seen]) -> Vec<(usize, &'a Span)> {
    let is_long = |cells| matches!(cells, CellKind::Number | CellKind::Date(DatePart::Days));
    let long = (0..).zip(features).filter(|(_, column)| is_long(column.cells));
    long.map(|(place, column)| (place, &seen[column.position].span)).collect()
}

/// Refuses columns that settings use twice.
fn refuse_second_uses(table: &Table, labels: &[usize], ignored: &[usize], keep: &[usize]) -> Result<()> {
    let (weight, group) = (table.weight.as_slice(), ("data.group", table.group.as_slice()));
    let uses = [
        ("data.label", labels),
        ("data.keep", keep),
        ("data.ignore", ignored),
        ("data.weight", weight),
        ("data.date", table.dates),
    ];
    refuse_second_use(&uses, table.names)?;
    refuse_second_use(&[("data.text.column", table.text.as_slice()), ("data.weight", weight)], table.names)?;
    // A group may be kept beside predictions, or be left out as a feature in so many words.
    for other in [
        ("data.label", labels),
        ("data.weight", weight),
        ("data.categorical", table.categorical),
        ("data.date", table.dates),
        ("data.text.column", table.text.as_slice()),
    ] {
        refuse_second_use(&[other, group], table.names)?;
    }
    Ok(())
}

/// Refuses a column that is to be two things at once.
fn refuse_second_use(uses: &[(&str, &[usize])], names: &[String]) -> Result<()> {
    for (at, (key, columns)) in uses.iter().enumerate() {
        for (other, used) in &uses[..at] {
            if let Some(&both) = columns.iter().find(|column| used.contains(column)) {
                let problem = match *other {
                    "data.label" => "is the label too; name the label with data.label, or leave it out here",
                    "data.text.column" => "is the text too; name another one here",
                    _ => &format!("is in {other} too; take it out of one of them"),
                };
                return Err(Error::setting(*key, format!("column {} {problem}", shown(&names[both]))));
            }
        }
    }
    Ok(())
}

/// The column of the text, and those of labels where that is clear: in memory there are none.
fn text_and_labels(
    origin: Origin,
    settings: &DataSettings,
    names: &[String],
) -> Result<(Option<usize>, Option<Vec<usize>>)> {
    let path = origin.path();
    Ok(match (&settings.text, origin) {
        (None, Origin::File(_)) => (None, None),
        (None, Origin::Memory(_)) => (None, Some(Vec::new())),
        (Some(text), Origin::File(_)) => {
            let (text, label) = text_and_label(path, text, settings, names)?;
            (Some(text), Some(vec![label]))
        }
        (Some(text), Origin::Memory(_)) => (Some(text_alone(path, text, settings, names)?), Some(Vec::new())),
    })
}

/// The columns of the text and of the label in a file of texts. Each is the one the settings name, or the one named so,
/// or, of two columns, the other one.
fn text_and_label(
    path: &Path,
    text: &TextSettings,
    settings: &DataSettings,
    names: &[String],
) -> Result<(usize, usize)> {
    refuse_other_columns(settings)?;
    let text = find_or_usual(path, "data.text.column", text.column.as_slice(), "text", names)?;
    let label = find_or_usual(path, "data.label", &settings.label, "label", names)?;
    let other = |column: Option<usize>| column.filter(|_| names.len() == 2).map(|column| 1 - column);
    let missing = |key: &str, what: &str| not_found(path, key, what, names);
    let found_text = text.or(other(label)).ok_or_else(|| missing("data.text.column", "text"))?;
    let found_label = label.or(other(text)).ok_or_else(|| missing("data.label", "label"))?;
    if found_text == found_label {
        return Err(Error::setting("data.text.column", format!("{:?} is also the label", names[found_text])));
    }
    Ok((found_text, found_label))
}

/// The column of the text in a table without a label: the one the settings name, the one named so, or the only one.
fn text_alone(path: &Path, text: &TextSettings, settings: &DataSettings, names: &[String]) -> Result<usize> {
    refuse_other_columns(settings)?;
    let only = (names.len() == 1).then_some(0);
    let found = find_or_usual(path, "data.text.column", text.column.as_slice(), "text", names)?.or(only);
    found.ok_or_else(|| not_found(path, "data.text.column", "text", names))
}

/// Refuses settings about columns beside the text.
fn refuse_other_columns(settings: &DataSettings) -> Result<()> {
    let DataSettings { categorical, ignore, date, .. } = settings;
    for (key, given) in [("data.categorical", categorical), ("data.ignore", ignore), ("data.date", date)] {
        if !given.is_empty() {
            let problem = "does nothing beside data.text, for no other column is read; leave it out";
            return Err(Error::setting(key, problem));
        }
    }
    Ok(())
}

/// The column that a setting names, or the one that is called as usual.
fn find_or_usual(
    path: &Path,
    key: &str,
    given: &[String],
    usual: &str,
    names: &[String],
) -> Result<Option<usize>> {
    match given {
        [] => Ok(names.iter().position(|name| name.eq_ignore_ascii_case(usual))),
        [_] => resolve(path, key, given, names).map(|found| Some(found[0])),
        _ => Err(Error::setting(key, "a text has one label; give one column")),
    }
}

fn not_found(path: &Path, key: &str, what: &str, names: &[String]) -> Error {
    let listed = names.iter().take(12).map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
    Error::setting(key, format!("say which column holds the {what}; {} has {listed}", path.display()))
}

/// Reads a new file for a model: the same columns, found by name where there are names, else by position. Where no labels are
/// wanted their columns may be missing and are not read; the weights may always be missing.
pub(super) fn reread(path: &Path, reading: &Reading, wanted: Wanted) -> Result<Raw> {
    let Reading::Csv(trained) = reading else { unreachable!("a table is read again as a table") };
    reread_from(Origin::File(path), trained, wanted)
}

/// Takes a new table in memory for a model of a table, without labels but, where the model was trained with them and these are
/// wanted, with weights.
pub(in crate::data) fn reread_table(
    table: &TableInMemory,
    trained: &CsvReading,
    labels: Option<Task>,
) -> Result<Raw> {
    let wanted = Wanted { labels, broken: Broken::Refuse, keep: Keep::Nothing, streaming: None };
    reread_from(Origin::Memory(table), trained, wanted)
}

fn reread_from(origin: Origin, trained: &CsvReading, wanted: Wanted) -> Result<Raw> {
    let path = origin.path();
    let typed = typed::columns(origin)?;
    let (dialect, names) = match &typed {
        Some(columns) => typed::layout(columns),
        None => of_new(path, &trained.dialect)?,
    };
    let width = dialect.columns;
    let has_labels = wanted.labels.is_some() && matches!(origin, Origin::File(_));
    let columns = Columns::new(path, trained, &names, width, has_labels)?;
    let mut roles = vec![Role::Ignore; width];
    let mut features = Vec::new();
    for column in &trained.columns {
        let at = columns.place(&column.name, column.position)?;
        features.push(at);
        roles[at] = column.cells.into();
    }
    let mut labels = Vec::new();
    if has_labels {
        for label in &trained.labels {
            let at = columns.place(&label.name, label.position)?;
            labels.push(at);
            roles[at] = if trained.labels_are_words { Role::TextLabel } else { Role::NumberLabel };
        }
    }
    if wanted.labels.is_some()
        && let Some(weight) = trained.weight.as_ref().filter(|weight| columns.has(weight))
    {
        roles[columns.place(&weight.name, weight.position)?] = Role::Weight;
    }
    let keep = match wanted.keep {
        Keep::Nothing => Vec::new(),
        Keep::Columns(given) => resolve(path, "data.keep", given, &names)?,
        Keep::AsTrained => {
            let there = trained.keep.iter().filter(|column| columns.has(column));
            there.map(|column| columns.place(&column.name, column.position)).collect::<Result<_>>()?
        }
    };
    let is_needed = |column: usize| roles[column] != Role::Ignore || keep.contains(&column);
    typed::refuse_nested(path, &typed.unwrap_or_default(), is_needed)?;
    let missing_markers = typed::markers(&dialect, &trained.missing_markers);
    let reading = CsvReading { missing_markers, ..trained.clone() };
    let notes = Vec::new();
    let plan =
        Plan { origin, dialect, names, roles, features, labels, keep, reading, to_train: false, notes };
    plan.read(0, wanted.streaming)
}

/// Where the columns of the training file stand in a new one.
struct Columns<'a> {
    path: &'a Path,
    trained: &'a CsvReading,
    names: &'a [String],
    /// In a file without names, the places of columns of the training file that it lacks.
    gone: BTreeSet<usize>,
}

impl<'a> Columns<'a> {
    /// Finds what a file lacks.
    ///
    /// # Errors
    /// If it has too few columns or too many, or names none that the model knows.
    fn new(
        path: &'a Path,
        trained: &'a CsvReading,
        names: &'a [String],
        width: usize,
        with_labels: bool,
    ) -> Result<Columns<'a>> {
        let mut columns = Columns { path, trained, names, gone: BTreeSet::new() };
        if trained.dialect.header {
            let known = |column: &CsvColumn| names.contains(&column.name);
            if trained.columns.len() > 1 && !trained.columns.iter().any(known) {
                let wanted = trained.columns.iter().take(12).map(|column| shown(&column.name));
                let problem = format!(
                    "names none of the columns that the model was trained on ({}); if the file has no line of names, add it",
                    wanted.collect::<Vec<_>>().join(", ")
                );
                return Err(Error::data_at(path, "line 1", problem));
            }
            return Ok(columns);
        }
        let all = trained.dialect.columns;
        let labels: BTreeSet<usize> = trained.labels.iter().map(|label| label.position).collect();
        let weight: BTreeSet<usize> = trained.weight.iter().map(|weight| weight.position).collect();
        let without_labels = if with_labels { Vec::new() } else { vec![labels.clone(), &labels | &weight] };
        let mut lacking = [BTreeSet::new()].into_iter().chain(without_labels).chain([weight]);
        columns.gone = lacking.find(|gone| width + gone.len() == all).ok_or_else(|| {
            let problem = format!("has {width} columns, the training file had {all}; give the same columns");
            Error::data(path, problem)
        })?;
        Ok(columns)
    }

    /// Whether the file has a column.
    fn has(&self, column: &CsvColumn) -> bool {
        if self.trained.dialect.header {
            self.names.contains(&column.name)
        } else {
            !self.gone.contains(&column.position)
        }
    }

    /// Where a column stands in the file.
    fn place(&self, name: &str, position: usize) -> Result<usize> {
        if self.trained.dialect.header {
            find(self.path, name, self.names)
        } else {
            Ok(position - self.gone.range(..position).count())
        }
    }
}

#[cfg(test)]
mod tests;
