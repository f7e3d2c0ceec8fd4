//! What each row is compared with.

use super::row::Row;
use crate::{Error, Result};

/// What rows are compared with.
pub enum Baseline {
    /// All with one row, by its position.
    Row(usize),
    /// Each with the row of this group that agrees with it in all else, such as a method with another at the same density.
    Group(String),
}

impl Baseline {
    /// The baseline of this name: a row's or a group's; without one, the group of the first row.
    ///
    /// # Errors
    /// If neither is called so.
    pub fn find(rows: &[Row], name: Option<&str>) -> Result<Baseline> {
        let Some(name) = name else { return Ok(Baseline::Group(rows[0].group.clone())) };
        if let Some(position) = rows.iter().position(|row| row.name == name) {
            return Ok(Baseline::Row(position));
        }
        if rows.iter().any(|row| row.group == name) {
            return Ok(Baseline::Group(name.into()));
        }
        let mut names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
        rows.iter().for_each(|row| {
            if !names.contains(&row.group.as_str()) {
                names.push(&row.group);
            }
        });
        let problem = format!("{name} is neither a row nor a group of rows; there are {}", names.join(", "));
        Err(Error::setting("baseline", problem))
    }

    /// The row that a row is compared with, itself if it is part of the baseline; `None` if there is none like it.
    pub fn partner(&self, rows: &[Row], row: usize) -> Option<usize> {
        match self {
            Baseline::Row(position) => Some(*position),
            Baseline::Group(group) => {
                rows.iter().position(|other| other.group == *group && other.rest == rows[row].rest)
            }
        }
    }

    /// What it is called.
    pub fn name<'a>(&'a self, rows: &'a [Row]) -> &'a str {
        match self {
            Baseline::Row(position) => &rows[*position].name,
            Baseline::Group(group) => group,
        }
    }

    /// Whether it is several rows.
    pub fn pairs_rows(&self, rows: &[Row]) -> bool {
        match self {
            Baseline::Row(_) => false,
            Baseline::Group(group) => rows.iter().filter(|row| row.group == *group).count() > 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(group: &str, rest: &str) -> Row {
        let name = [group, rest].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-");
        let (group, rest) = (group.to_string(), rest.to_string());
        Row { name, group, label: String::new(), rest, keys: Vec::new(), runs: Vec::new() }
    }

    #[test]
    fn methods_are_paired_at_equal_density() {
        let rows = [
            row("static", "0.1"),
            row("static", "0.5"),
            row("rigl", "0.1"),
            row("rigl", "0.5"),
            row("dense", ""),
        ];
        let partners = |name: Option<&str>| {
            let baseline = Baseline::find(&rows, name).unwrap();
            (0..rows.len()).map(|row| baseline.partner(&rows, row)).collect::<Vec<_>>()
        };
        assert_eq!(partners(None), [Some(0), Some(1), Some(0), Some(1), None]);
        assert_eq!(partners(Some("rigl")), [Some(2), Some(3), Some(2), Some(3), None]);
        assert_eq!(partners(Some("rigl-0.5")), [Some(3); 5]);
        assert_eq!(partners(Some("dense")), [Some(4); 5]);
        let error = Baseline::find(&rows, Some("rigel")).err().unwrap().to_string();
        assert!(error.contains("rigel is neither") && error.contains("dense, static, rigl"), "{error}");
    }
}
