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
use super::{Task, classes};
use crate::{Error, Result};
use columns::{find, resolve};
use dialect::{detect, names};
use table::{Plan, Role};

/// Reads a file to train on.
pub(super) fn read(path: &Path, settings: &DataSettings) -> Result<Raw> {
    let (dialect, names) = detect(path, settings)?;
    let labels = match &settings.label[..] {
        [] => vec![names.len() - 1],
        given => resolve(path, "data.label", given, &names)?,
    };
    let categorical = resolve(path, "data.categorical", &settings.categorical, &names)?;
    let ignored = resolve(path, "data.ignore", &settings.ignore, &names)?;
    if let Some(both) = labels.iter().find(|label| ignored.contains(label)) {
        return Err(Error::setting("data.ignore", format!("{:?} is also the label", names[*both])));
    }
    let survey = survey::survey(path, &dialect, &settings.missing_markers, &names)?;
    let text_labels = match settings.task {
        TaskChoice::Classification => survey[labels[0]].numbers < survey[labels[0]].filled,
        TaskChoice::Auto => survey[labels[0]].is_text(),
        TaskChoice::MultiLabel | TaskChoice::Regression => false,
    };
    let roles = (0..names.len())
        .map(|column| match column {
            _ if labels.contains(&column) && text_labels && labels.len() == 1 => Role::TextLabel,
            _ if labels.contains(&column) => Role::NumberLabel,
            _ if ignored.contains(&column) => Role::Ignore,
            _ if categorical.contains(&column) => Role::Category { chosen: true },
            _ if survey[column].is_text() => Role::Category { chosen: false },
            _ => Role::Number,
        })
        .collect::<Vec<_>>();
    let is_feature = |&column: &usize| matches!(roles[column], Role::Number | Role::Category { .. });
    let features = (0..names.len()).filter(is_feature).collect();
    let (missing, markers) = (settings.missing, &settings.missing_markers[..]);
    let plan = Plan { path, dialect, names, roles, features, labels, missing, markers };
    plan.check_mixed(&survey)?;
    plan.read(survey[0].rows)
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
