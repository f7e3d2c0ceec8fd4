//! What becomes of each column of a table. Columns that only the user can decide on are named all in one error, each with
//! the setting for it; what was decided without being asked is told in notes.

use std::path::Path;

use super::dialect::UNNAMED;
use super::faults::Faults;
use super::survey::{MOST_CATEGORIES, Seen};
use super::table::{Role, at};
use crate::data::reading::{Dialect, LABEL_NAMES};
use crate::data::settings::{DataSettings, LabelType, TaskChoice};
use crate::data::shown::shown;
use crate::names::shell_word;
use crate::{Error, Result};

/// A table before its roles are known.
pub(super) struct Table<'a> {
    pub path: &'a Path,
    pub settings: &'a DataSettings,
    pub dialect: &'a Dialect,
    pub names: &'a [String],
    pub seen: &'a [Seen],
    /// Columns that the settings name.
    pub text: Option<usize>,
    pub categorical: &'a [usize],
    pub dates: &'a [usize],
    /// Those that are no features: ignored, or only kept.
    pub left_out: &'a [usize],
    pub weight: Option<usize>,
    pub group: Option<usize>,
}

/// Whether a column is one that pandas writes for an index that has no name.
fn is_index(name: &str) -> bool {
    let number = name.strip_prefix("__index_level_").and_then(|rest| rest.strip_suffix("__"));
    number.is_some_and(|number| number.parse::<u32>().is_ok())
}

/// Whether a column is named as ids are: `id`, `customer_id`, `CustomerID`.
fn is_named_id(name: &str) -> bool {
    let Some(front) = name.len().checked_sub(2).and_then(|at| name.split_at_checked(at)) else {
        return false;
    };
    let is_after_a_word = |front: &str| front.ends_with(['_', '-', ' ', '.']);
    match front {
        (front, "id" | "Id" | "ID") if front.is_empty() || is_after_a_word(front) => true,
        (front, "Id" | "ID") => front.ends_with(|last: char| last.is_lowercase()),
        _ => ["uuid", "guid"].iter().any(|known| name.eq_ignore_ascii_case(known)),
    }
}

/// The settings that make numbers of a column of dates.
fn date_advice(name: &str, seen: &Seen) -> String {
    let layout =
        if seen.holds_iso_dates() { "" } else { " with its layout in data.date_format, as in '%d.%m.%Y'," };
    let assignment = shell_word(&format!("data.date={name}"));
    format!(
        "data.date (--set {assignment}){layout} makes numbers of them (days, days of the week and of the year)"
    )
}

impl Table<'_> {
    /// The label column where the settings name none: the one that is named so, else the last one.
    pub(super) fn usual_label(&self) -> Result<usize> {
        let last = (0..self.names.len())
            .rfind(|&column| {
                let is_other = [self.weight, self.group].contains(&Some(column));
                !(is_other || self.is_nothing(column) || is_index(&self.names[column]))
            })
            .unwrap_or(0);
        if !self.dialect.header {
            return Ok(last);
        }
        let named = |name: &str| self.names.iter().position(|found| found.eq_ignore_ascii_case(name));
        // Beside an x, y is a place.
        let found: Vec<usize> = LABEL_NAMES
            .iter()
            .filter(|&&name| name != "y" || named("x").is_none())
            .filter_map(|name| named(name))
            .collect();
        match found[..] {
            _ if found.contains(&last) => Ok(last),
            [] => Ok(last),
            [only] => Ok(only),
            _ => {
                let listed: Vec<String> =
                    found.iter().map(|&column| format!("{:?}", self.names[column])).collect();
                let problem = format!(
                    "{} has the columns {}, and each may be the label; say which",
                    self.path.display(),
                    listed.join(" and ")
                );
                Err(Error::setting("data.label", problem))
            }
        }
    }

    /// The role of each column, and notes about those that were left out or look wrong.
    pub(super) fn roles(&self, labels: &[usize]) -> Result<(Vec<Role>, Vec<String>)> {
        let mut notes = Vec::new();
        let roles: Vec<Role> =
            (0..self.names.len()).map(|column| self.role(column, labels, &mut notes)).collect();
        let mut faults = Faults::default();
        let problems = (0..roles.len()).filter_map(|column| self.problem(column, roles[column]));
        problems.for_each(|(at, problem)| faults.add(at, problem));
        faults.none(self.path, "columns need a decision")?;
        Ok((roles, notes))
    }

    fn role(&self, column: usize, labels: &[usize], notes: &mut Vec<String>) -> Role {
        let seen = &self.seen[column];
        match column {
            _ if self.weight == Some(column) => Role::Weight,
            _ if self.group == Some(column) => Role::Group,
            _ if labels.contains(&column) && labels.len() == 1 && self.is_text_label(seen) => Role::TextLabel,
            _ if labels.contains(&column) => {
                notes
                    .extend(self.code(column, "data.label_type = \"text\" keeps labels as they are written"));
                Role::NumberLabel
            }
            _ if self.text == Some(column) => Role::Text,
            _ if self.text.is_some() || self.left_out.contains(&column) => Role::Ignore,
            _ if self.dates.contains(&column) => Role::Date,
            _ if self.categorical.contains(&column) => Role::Category,
            _ if self.is_nothing(column) => {
                notes.push(format!("column {} has no name and holds nothing; it is left out", column + 1));
                Role::Ignore
            }
            _ if is_index(&self.names[column]) => {
                notes.push(format!(
                    "column {} is the index that pandas has written, so it is left out; rename it to keep it",
                    shown(&self.names[column])
                ));
                Role::Ignore
            }
            0 if self.has_no_name(0) && seen.counts_rows() => {
                notes.push(
                    "column 1 has no name and counts the lines, so it is left out; give it a name to keep it"
                        .into(),
                );
                Role::Ignore
            }
            _ => {
                notes.extend(self.doubt(column));
                notes.extend(self.code(column, "data.categorical makes categories of them"));
                if seen.is_text() { Role::Category } else { Role::Number }
            }
        }
    }

    /// Whether the label is a class by its text.
    fn is_text_label(&self, seen: &Seen) -> bool {
        let classes = matches!(self.settings.task, TaskChoice::Auto | TaskChoice::Classification);
        match self.settings.task {
            _ if classes && self.settings.label_type == LabelType::Text => true,
            _ if classes && seen.holds_large_integers() => true,
            TaskChoice::Classification => seen.numbers < seen.filled,
            // Of a transcription it is said later that this is no recording.
            TaskChoice::Auto | TaskChoice::Transcription => seen.is_text(),
            TaskChoice::MultiLabel | TaskChoice::Regression | TaskChoice::LanguageModel => false,
        }
    }

    /// That numbers look like codes, whose zeros in front mean something.
    fn code(&self, column: usize, cure: &str) -> Option<String> {
        let code = shown(self.seen[column].code.as_ref()?);
        let name = shown(&self.names[column]);
        Some(format!("column {name} holds {code} and is read as numbers; if these are codes, {cure}"))
    }

    /// What is odd about a feature column that is read nevertheless.
    fn doubt(&self, column: usize) -> Option<String> {
        let (seen, name) = (&self.seen[column], &self.names[column]);
        let (column_name, word) = (shown(name), shell_word(name));
        let advice = format!(
            "data.ignore (--ignore {word}) leaves it out, data.keep (--keep {word}) also puts it beside predictions"
        );
        if let Some([one, other]) = seen.joined {
            return Some(format!(
                "column {column_name} holds {one} and {other}, which fall together in 64 bits; data.categorical keeps them apart, {advice}"
            ));
        }
        if (seen.counts_rows() && seen.rows > 2) || seen.numbers_all_differ() {
            let does = if seen.counts_rows() {
                "counts the lines"
            } else {
                "holds another whole number on each line, as ids do"
            };
            return Some(format!("column {column_name} {does}; {advice}"));
        }
        if is_named_id(name) && seen.numbers > 0 {
            return Some(format!(
                "column {column_name} is named as ids are and read as numbers; data.categorical makes categories of it, {advice}"
            ));
        }
        if seen.holds_dates() {
            return Some(format!(
                "column {column_name} holds dates, read as {} categories, and a new date will be none of them; {}",
                seen.kinds(),
                date_advice(name, seen)
            ));
        }
        if column == 0 && self.has_no_name(0) && !seen.is_text() {
            return Some(
                "column 1 has no name; if it numbers the lines, leave it out with data.ignore = [\"1\"]"
                    .into(),
            );
        }
        None
    }

    /// What nobody has decided about a column, and where it is seen.
    fn problem(&self, column: usize, role: Role) -> Option<(String, String)> {
        let seen = &self.seen[column];
        let place = || format!("column {}", shown(&self.names[column]));
        match role {
            Role::Number | Role::NumberLabel | Role::Weight if seen.numbers > 0 => {
                let (line, cell) = seen.first_text.as_ref()?;
                Some((at(self.dialect, self.names, *line, column), self.mixed(seen, role, *line, cell)))
            }
            Role::Category if self.categorical.contains(&column) => None,
            Role::TextLabel if self.settings.label_type == LabelType::Text => None,
            Role::Category | Role::TextLabel if seen.looks_like_numbers() => {
                let (cell, spelling) = seen.first_alike.as_ref()?;
                let names = match role {
                    Role::TextLabel => "set data.label_type = \"text\"",
                    _ => "name the column in data.categorical",
                };
                let problem = format!(
                    "holds texts that look like numbers, such as {}; {}, or, if they are names, {names}",
                    shown(cell),
                    spelling.advice()
                );
                Some((place(), problem))
            }
            Role::Category => {
                let kinds = seen.kinds();
                let word = shell_word(&self.names[column]);
                let many = kinds > MOST_CATEGORIES || (kinds > 20 && kinds * 2 > seen.rows);
                let more = if kinds > MOST_CATEGORIES { "more than " } else { "" };
                let kinds = kinds.min(MOST_CATEGORIES);
                let problem = if seen.holds_dates() {
                    let advice = date_advice(&self.names[column], seen);
                    format!("holds dates; {advice}, data.ignore (--ignore {word}) leaves it out")
                } else {
                    format!(
                        "holds {more}{kinds} different texts in {} lines, so it looks like names or free text, not categories; data.ignore (--ignore {word}) leaves it out, data.keep (--keep {word}) also puts it beside predictions; data.categorical insists, data.text.column reads it as text",
                        seen.rows
                    )
                };
                many.then(|| (place(), problem))
            }
            _ => None,
        }
    }

    /// That a column is a mix of numbers and text.
    fn mixed(&self, seen: &Seen, role: Role, line: u64, cell: &str) -> String {
        let (numbers, filled) = (seen.numbers, seen.filled);
        let advice = match (role, &seen.first_alike) {
            (_, Some((alike, spelling))) if alike == cell => spelling.advice(),
            _ if line == 1 => "if this line names the columns set data.header = \"yes\"",
            (Role::NumberLabel, _) => "if these are class names set data.task = \"classification\"",
            _ => {
                "if these are categories name the column in data.categorical, if a number is missing add the text to data.missing_markers"
            }
        };
        let are = if numbers == 1 { "is a number" } else { "are numbers" };
        let cell = shown(cell);
        let lines: Vec<String> = seen.text_lines.iter().skip(1).map(u64::to_string).collect();
        let more = match filled - numbers - 1 - lines.len() {
            0 => String::new(),
            more => format!(" and on {more} more"),
        };
        let others = match &lines[..] {
            [] => String::new(),
            _ => format!("; there is text on line {} too{more}", lines.join(", ")),
        };
        format!(
            "{cell} is text, but {numbers} of the column's {filled} cells {are}{others}; mend the cell; {advice}"
        )
    }

    /// Whether the column is called by its position though there is a header.
    fn has_no_name(&self, column: usize) -> bool {
        self.dialect.header && self.is_called_by_position(column)
    }

    fn is_called_by_position(&self, column: usize) -> bool {
        self.names[column].strip_prefix(UNNAMED).unwrap_or(&self.names[column]) == (column + 1).to_string()
    }

    /// Whether neither this column nor any after it has a name or a cell, as where each line ends with a delimiter.
    fn is_nothing(&self, column: usize) -> bool {
        (column..self.names.len())
            .all(|column| self.seen[column].filled == 0 && self.is_called_by_position(column))
    }
}
