//! CSV: text with one sample per line, plain or gzipped. A file is read three times: its start, to find the delimiter
//! and the names (`dialect`); all of it, to find what each column holds (`survey`); all of it again, into numbers
//! (`table`). So the text itself is never kept, and an error can name its line.

mod columns;
mod dialect;
mod records;
mod survey;
mod table;

pub(super) use records::Records;

use std::collections::BTreeSet;
use std::path::Path;

use super::preparation::{Coding, Preparation};
use super::settings::{DataSettings, TaskChoice};
use super::source::{Dialect, Raw};
use super::text::TextSettings;
use super::{Task, classes};
use crate::{Error, Result};
use columns::{find, resolve};
use dialect::{detect, names};
use table::{Plan, Role};

/// Reads a file to train on.
pub(super) fn read(path: &Path, settings: &DataSettings) -> Result<Raw> {
    let (dialect, names) = detect(path, settings)?;
    let text = settings.text.as_ref().map(|text| text_and_label(path, text, settings, &names)).transpose()?;
    let labels = match (text, &settings.label[..]) {
        (Some((_, label)), _) => vec![label],
        (None, []) => vec![names.len() - 1],
        (None, given) => resolve(path, "data.label", given, &names)?,
    };
    let categorical = resolve(path, "data.categorical", &settings.categorical, &names)?;
    let ignored = resolve(path, "data.ignore", &settings.ignore, &names)?;
    if let Some(both) = labels.iter().find(|label| ignored.contains(label)) {
        return Err(Error::setting("data.ignore", format!("{:?} is also the label", names[*both])));
    }
    let survey = survey::survey(path, &dialect, &settings.missing_markers, &names)?;
    let text_labels = match settings.task {
        TaskChoice::Classification => survey[labels[0]].numbers < survey[labels[0]].filled,
        // Of a transcription it is said later that this is no recording.
        TaskChoice::Auto | TaskChoice::Transcription => survey[labels[0]].is_text(),
        TaskChoice::MultiLabel | TaskChoice::Regression | TaskChoice::LanguageModel => false,
    };
    let roles = (0..names.len())
        .map(|column| match column {
            _ if labels.contains(&column) && text_labels && labels.len() == 1 => Role::TextLabel,
            _ if labels.contains(&column) => Role::NumberLabel,
            _ if text.is_some_and(|(text, _)| text == column) => Role::Text,
            _ if text.is_some() || ignored.contains(&column) => Role::Ignore,
            _ if categorical.contains(&column) => Role::Category { chosen: true },
            _ if survey[column].is_text() => Role::Category { chosen: false },
            _ => Role::Number,
        })
        .collect::<Vec<_>>();
    let is_feature =
        |&column: &usize| matches!(roles[column], Role::Number | Role::Category { .. } | Role::Text);
    let features = (0..names.len()).filter(is_feature).collect();
    let (missing, markers) = (settings.missing, &settings.missing_markers[..]);
    let plan = Plan { path, dialect, names, roles, features, labels, missing, markers };
    plan.check_mixed(&survey)?;
    plan.read(survey[0].rows)
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
    let (names, width) = names(path, trained)?;
    let given: BTreeSet<usize> = preparation.labels.iter().map(|label| label.position).collect();
    let without_labels = !targets && width + given.len() == trained.columns;
    if !trained.header && width != trained.columns && !without_labels {
        let problem =
            format!("has {width} columns, the training file had {}; give the same columns", trained.columns);
        return Err(Error::data(path, problem));
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
            Coding::Category { .. } => Role::Category { chosen: true },
            Coding::Text(_) => Role::Text,
        };
    }
    let mut labels = Vec::new();
    if targets {
        let text = preparation.task == Task::Classification && !classes::are_numbers(&preparation.classes);
        for label in &preparation.labels {
            let at = place(&label.name, label.position)?;
            labels.push(at);
            roles[at] = if text { Role::TextLabel } else { Role::NumberLabel };
        }
    }
    let dialect = Dialect { columns: width, ..trained.clone() };
    let (missing, markers) = (preparation.missing, &preparation.missing_markers[..]);
    Plan { path, dialect, names, roles, features, labels, missing, markers }.read(0)
}

#[cfg(test)]
mod tests;
