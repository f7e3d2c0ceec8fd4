//! `--print-config`: settings as a TOML file, with every key that is not set as a comment that says what it does.

use std::collections::BTreeSet;

use anyhow::Result;
use rarefy::train::Settings;
use toml::Value;

use crate::width::wrap;

/// The page of all settings: a row for each.
const PAGE: &str = include_str!("../settings.md");

/// Columns of the file's comments.
const COMMENT_WIDTH: usize = 78;

/// A row of the page.
struct Row<'a> {
    key: &'a str,
    section: &'a str,
    name: &'a str,
    default: Option<&'a str>,
    values: String,
    meaning: String,
}

/// The settings as a file that `--config` reads.
pub fn print_config(settings: &Settings) -> Result<String> {
    let set = keys("", &Value::try_from(settings)?);
    let mut unset: Vec<Row<'_>> = rows().filter(|row| !set.contains(row.key)).collect();
    let mut lines = Vec::new();
    let mut section = String::new();
    for line in toml::to_string(settings)?.lines() {
        if line.starts_with('[') {
            add_comments(&section, &mut unset, &mut lines);
            section = line.trim_matches(['[', ']']).to_string();
        }
        lines.push(line.to_string());
    }
    add_comments(&section, &mut unset, &mut lines);
    // Sections that the settings do not have.
    while let Some(row) = unset.first() {
        let section = row.section.to_string();
        lines.extend([String::new(), format!("# [{section}]")]);
        add_comments(&section, &mut unset, &mut lines);
    }
    Ok(lines.join("\n"))
}

/// Tells of the keys of a section that are not set; they stand before the blank line that ends it.
fn add_comments(section: &str, unset: &mut Vec<Row<'_>>, lines: &mut Vec<String>) {
    let ends_blank = lines.last().is_some_and(String::is_empty);
    if ends_blank {
        lines.pop();
    }
    for row in unset.extract_if(.., |row| row.section == section) {
        let value = row.default.map_or_else(|| format!("<{}>", row.values), String::from);
        lines.extend(wrap(&row.meaning, COMMENT_WIDTH).lines().map(|line| format!("# {line}")));
        lines.push(format!("# {} = {value}", row.name));
    }
    if ends_blank {
        lines.push(String::new());
    }
}

/// The keys of all settings.
pub fn all_keys() -> impl Iterator<Item = &'static str> {
    rows().map(|row| row.key)
}

fn rows() -> impl Iterator<Item = Row<'static>> {
    PAGE.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.splitn(4, " | ");
        let key = cells.next()?.trim_end_matches('`');
        let default = cells.next()?.trim_matches('`');
        let values = cells.next()?.replace('`', "");
        let values = if values.is_empty() { "...".into() } else { values };
        let meaning = cells.next()?.trim_end_matches(" |").replace("\\|", "|");
        let (section, name) = key.rsplit_once('.').unwrap_or(("", key));
        let default = Some(default).filter(|default| *default != "-");
        Some(Row { key, section, name, default, values, meaning })
    })
}

/// The dotted keys of the values in a table.
fn keys(prefix: &str, value: &Value) -> BTreeSet<String> {
    let Value::Table(table) = value else { return BTreeSet::from([prefix.to_string()]) };
    let dot = if prefix.is_empty() { "" } else { "." };
    table.iter().flat_map(|(name, value)| keys(&format!("{prefix}{dot}{name}"), value)).collect()
}
