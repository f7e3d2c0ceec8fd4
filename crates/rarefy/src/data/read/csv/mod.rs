//! CSV: text with one sample per line, plain or gzipped. A file is read three times: its start, to find the delimiter
//! and the names (`dialect`, `header`); all of it, to find what each column holds (`survey`) and what becomes of it
//! (`decide`); all of it again, into numbers (`table`). So the text itself is never kept, and an error can name its line.

mod columns;
mod decide;
mod dialect;
mod header;
mod lines;
mod numbers;
mod quotes;
mod records;
mod survey;
mod table;

pub(super) use records::Records;

use std::collections::BTreeSet;
use std::path::Path;

use crate::data::dataset::Task;
use crate::data::prepare::classes;
use crate::data::prepare::{Coding, Column, Preparation};
use crate::data::raw::Raw;
use crate::data::reading::Dialect;
use crate::data::settings::{DataSettings, LabelType};
use crate::data::shown::shown;
use crate::data::span::may_shift;
use crate::data::text::TextSettings;
use crate::{Error, Result};
use columns::{find, resolve};
use decide::Table;
use dialect::{detect, names};
use table::{Plan, Role};

/// Reads a file to train on.
pub(super) fn read(path: &Path, settings: &DataSettings) -> Result<Raw> {
    let (dialect, names) = detect(path, settings)?;
    let text = settings.text.as_ref().map(|text| text_and_label(path, text, settings, &names)).transpose()?;
    let categorical = resolve(path, "data.categorical", &settings.categorical, &names)?;
    let ignored = resolve(path, "data.ignore", &settings.ignore, &names)?;
    let seen = survey::survey(path, &dialect, &settings.missing_markers, &names)?;
    let table = Table {
        path,
        settings,
        dialect: &dialect,
        names: &names,
        seen: &seen,
        text: text.map(|(text, _)| text),
        categorical: &categorical,
        ignored: &ignored,
    };
    let labels = match (text, &settings.label[..]) {
        (Some((_, label)), _) => vec![label],
        (None, []) => vec![table.usual_label()?],
        (None, given) => resolve(path, "data.label", given, &names)?,
    };
    if let Some(both) = labels.iter().find(|label| ignored.contains(label)) {
        return Err(Error::setting("data.ignore", format!("{:?} is also the label", names[*both])));
    }
    let (roles, notes) = table.roles(&labels)?;
    let is_feature = |&column: &usize| matches!(roles[column], Role::Number | Role::Category | Role::Text);
    let features: Vec<usize> = (0..names.len()).filter(is_feature).collect();
    let numbers = || (0..).zip(&features).filter(|&(_, &column)| roles[column] == Role::Number);
    let shifts = if may_shift(settings.scale) {
        numbers().filter_map(|(place, &column)| seen[column].span.shift(place)).collect()
    } else {
        Vec::new()
    };
    let close = numbers().filter_map(|(place, &column)| seen[column].span.close(place)).collect();
    let plan = Plan {
        path,
        dialect,
        names,
        roles,
        features,
        labels,
        shifts,
        missing: settings.missing,
        markers: &settings.missing_markers,
        merge: true,
        text_labels: settings.label_type == LabelType::Text,
        notes,
    };
    Ok(Raw { close, ..plan.read(seen[0].rows)? })
}

/// The columns of the text and of the label in a file of texts. Each is the one the settings name, or the one named so,
/// or, of two columns, the other one.
fn text_and_label(
    path: &Path,
    text: &TextSettings,
    settings: &DataSettings,
    names: &[String],
) -> Result<(usize, usize)> {
    for (key, given) in [("data.categorical", &settings.categorical), ("data.ignore", &settings.ignore)] {
        if !given.is_empty() {
            let problem = "does nothing beside data.text, for no other column is read; leave it out";
            return Err(Error::setting(key, problem));
        }
    }
    let find = |key: &str, given: &[String], usual: &str| match given {
        [] => Ok(names.iter().position(|name| name.eq_ignore_ascii_case(usual))),
        [_] => resolve(path, key, given, names).map(|found| Some(found[0])),
        _ => Err(Error::setting(key, "a text has one label; give one column")),
    };
    let text = find("data.text.column", text.column.as_slice(), "text")?;
    let label = find("data.label", &settings.label, "label")?;
    let other = |column: Option<usize>| column.filter(|_| names.len() == 2).map(|column| 1 - column);
    let missing = |key: &str, what: &str| {
        let listed = names.iter().take(12).map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ");
        let problem = format!("say which column holds the {what}; {} has {listed}", path.display());
        Error::setting(key, problem)
    };
    let found_text = text.or(other(label)).ok_or_else(|| missing("data.text.column", "text"))?;
    let found_label = label.or(other(text)).ok_or_else(|| missing("data.label", "label"))?;
    if found_text == found_label {
        return Err(Error::setting("data.text.column", format!("{:?} is also the label", names[found_text])));
    }
    Ok((found_text, found_label))
}

/// Reads a new file for a model: the same columns, found by name where there are names, else by position. Without
/// `targets` the label columns may be missing and are not read.
pub(super) fn read_for_model(path: &Path, preparation: &Preparation, targets: bool) -> Result<Raw> {
    let trained = preparation.dialect.as_ref().expect("a model trained on CSV knows its layout");
    if trained.quote {
        quotes::check(path, trained.delimiter)?;
    }
    let (names, width) = names(path, trained)?;
    let given: BTreeSet<usize> = preparation.labels.iter().map(|label| label.position).collect();
    let without_labels = !targets && width + given.len() == trained.columns;
    if !trained.header && width != trained.columns && !without_labels {
        let problem =
            format!("has {width} columns, the training file had {}; give the same columns", trained.columns);
        return Err(Error::data(path, problem));
    }
    let known = |column: &Column| names.contains(&column.name);
    if trained.header && preparation.columns.len() > 1 && !preparation.columns.iter().any(known) {
        let wanted = preparation.columns.iter().take(12).map(|column| shown(&column.name));
        let problem = format!(
            "names none of the columns that the model was trained on ({}); if the file has no line of names, add it",
            wanted.collect::<Vec<_>>().join(", ")
        );
        return Err(Error::data_at(path, "line 1", problem));
    }
    let place = |name: &str, position: usize| match (trained.header, without_labels) {
        (true, _) => find(path, name, &names),
        (false, false) => Ok(position),
        (false, true) => Ok(position - given.range(..position).count()),
    };
    let mut roles = vec![Role::Ignore; width];
    let mut features = Vec::new();
    for column in &preparation.columns {
        let at = place(&column.name, column.position)?;
        features.push(at);
        roles[at] = match &column.coding {
            Coding::Number { .. } => Role::Number,
            Coding::Category { .. } => Role::Category,
            Coding::Text(_) => Role::Text,
        };
    }
    let mut labels = Vec::new();
    if targets {
        // Several columns are classes by their ones.
        let are_classes = preparation.task == Task::Classification && preparation.labels.len() == 1;
        for label in &preparation.labels {
            let text = are_classes && (label.text || !classes::are_numbers(&preparation.classes));
            let at = place(&label.name, label.position)?;
            labels.push(at);
            roles[at] = if text { Role::TextLabel } else { Role::NumberLabel };
        }
    }
    let dialect = Dialect { columns: width, ..trained.clone() };
    let plan = Plan {
        path,
        dialect,
        names,
        roles,
        features,
        labels,
        shifts: preparation.shifts.clone(),
        missing: preparation.missing,
        markers: &preparation.missing_markers,
        merge: false,
        text_labels: preparation.labels.iter().any(|label| label.text),
        notes: Vec::new(),
    };
    plan.read(0)
}

#[cfg(test)]
mod tests;
