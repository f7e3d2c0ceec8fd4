//! Finds columns by what the user calls them: a name, or a position from 1.

use std::path::Path;

use crate::data::shown::shown;
use crate::names::nearest;
use crate::{Error, Result};

/// The columns that a setting names.
pub(super) fn resolve(path: &Path, key: &str, given: &[String], names: &[String]) -> Result<Vec<usize>> {
    let mut found = Vec::new();
    for wanted in given {
        let position = || {
            wanted.parse().ok().filter(|position| (1..=names.len()).contains(position)).map(|p: usize| p - 1)
        };
        match names.iter().position(|name| name == wanted).or_else(position) {
            Some(column) if found.contains(&column) => {
                return Err(Error::setting(key, format!("names column {wanted:?} twice")));
            }
            Some(column) => found.push(column),
            None => {
                let problem = format!("{} has no column {wanted:?}{}", path.display(), advice(wanted, names));
                return Err(Error::setting(key, problem));
            }
        }
    }
    Ok(found)
}

/// A column that a model needs.
pub(super) fn find(path: &Path, wanted: &str, names: &[String]) -> Result<usize> {
    let wrong = |problem: String| Err(Error::data(path, problem));
    let mut found = (0..names.len()).filter(|&column| names[column] == wanted);
    match (found.next(), found.next()) {
        (Some(column), None) => Ok(column),
        (Some(_), Some(_)) => wrong(format!("two columns are named {wanted:?}; rename one")),
        (None, _) => {
            wrong(format!("has no column {wanted:?}, which the training file had{}", advice(wanted, names)))
        }
    }
}

/// What the user may have meant.
fn advice(wanted: &str, names: &[String]) -> String {
    match nearest(wanted, names) {
        Some(nearest) => format!("; did you mean {}?", shown(nearest)),
        None => {
            let listed = names.iter().take(12).map(|name| shown(name)).collect::<Vec<_>>().join(", ");
            let more = if names.len() > 12 { ", ..." } else { "" };
            format!("; its {} columns are {listed}{more} (positions count from 1)", names.len())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_before_positions_and_near_misses_are_suggested() {
        let names = ["age", "3", "income"].map(String::from);
        let resolve = |given: &[&str]| {
            let given: Vec<String> = given.iter().map(|name| name.to_string()).collect();
            resolve(Path::new("f.csv"), "data.label", &given, &names).map_err(|error| error.to_string())
        };
        assert_eq!(resolve(&["income", "1"]), Ok(vec![2, 0]));
        assert_eq!(resolve(&["3"]), Ok(vec![1]));
        for (given, problem) in [
            (&["Incme"][..], "data.label: f.csv has no column \"Incme\"; did you mean \"income\"?"),
            (&["wealth"], "its 3 columns are \"age\", \"3\", \"income\""),
            (&["0"], "no column \"0\""),
            (&["4"], "no column \"4\""),
            (&["1", "age"], "twice"),
        ] {
            let error = resolve(given).unwrap_err();
            assert!(error.contains(problem), "{error}");
        }
    }
}
