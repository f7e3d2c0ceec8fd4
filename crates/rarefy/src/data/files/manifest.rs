//! A list of files: CSV with the columns `path`, `label` and perhaps `split` (`train`, `val` or `test`), in any order. Paths are
//! relative to the folder of the list.
//!
//! ```text
//! path,label,split
//! recordings/7_theo_3.wav,7,test
//! ```

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::super::csv::Records;
use super::super::gzip;
use super::super::parts::{Part, Parts};
use super::{Kind, Listing, listing};
use crate::{Error, Result};

/// Where the columns stand.
struct Columns {
    path: usize,
    label: usize,
    split: Option<usize>,
    count: usize,
}

impl Columns {
    /// Finds them in the first line, if that names these and no others.
    fn find(names: &[&str]) -> Option<Columns> {
        let find = |name: &str| names.iter().position(|found| found.eq_ignore_ascii_case(name));
        let columns =
            Columns { path: find("path")?, label: find("label")?, split: find("split"), count: names.len() };
        let known = 2 + usize::from(columns.split.is_some());
        (columns.count == known).then_some(columns)
    }
}

/// What the first file of a list holds; none if this is no list of images or recordings.
pub(super) fn kind(path: &Path) -> Result<Option<Kind>> {
    // A binary file or an endless line must cost no more than this.
    let mut start = Vec::new();
    gzip::open(path)?.reader.take(1 << 16).read_to_end(&mut start).map_err(gzip::read_error(path))?;
    let text = String::from_utf8_lossy(&start);
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let cells = |line: &str| -> Vec<String> {
        line.split(',').map(|cell| cell.trim().trim_matches('"').to_string()).collect()
    };
    let (Some(first), Some(second)) = (lines.next().map(cells), lines.next().map(cells)) else {
        return Ok(None);
    };
    let columns = Columns::find(&first.iter().map(String::as_str).collect::<Vec<_>>());
    Ok(columns.and_then(|columns| Kind::of(Path::new(second.get(columns.path)?))))
}

/// Reads a list.
pub(super) fn list(path: &Path, kind: Kind) -> Result<Listing> {
    let mut records = Records::open(path, ',')?;
    let columns = match records.next()? {
        Some((_, names)) => Columns::find(&names.iter().map(str::trim).collect::<Vec<_>>()),
        None => None,
    };
    let columns = columns.ok_or_else(|| {
        let problem = "a list of files needs a first line with path,label or path,label,split";
        Error::data(path, problem)
    })?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let (mut train, mut validation, mut test) = (Vec::new(), Vec::new(), Vec::new());
    let mut seen: HashMap<PathBuf, u64> = HashMap::new();
    while let Some((line, record)) = records.next_of(columns.count)? {
        let wrong = |problem: String| Error::data_at(path, format!("line {line}"), problem);
        let cell = |column: usize| record[column].trim();
        let (name, label) = (cell(columns.path), cell(columns.label));
        if name.is_empty() || label.is_empty() {
            return Err(wrong("has no path or no label; fill it in, or remove the line".into()));
        }
        let file = folder.join(name);
        if let Some(before) = seen.insert(file.clone(), line) {
            return Err(wrong(format!("names {name:?} again, as line {before} did; remove one of them")));
        }
        let split = columns.split.map(cell).unwrap_or("train");
        let part = match Part::named(split) {
            Some(Part::Train) => &mut train,
            Some(Part::Validation) => &mut validation,
            Some(Part::Test) => &mut test,
            None => {
                return Err(wrong(format!("the split {split:?} is unknown; write train, val or test")));
            }
        };
        part.push((file, label.to_string()));
    }
    if train.is_empty() {
        return Err(Error::data(path, "lists no training files; add some, with train in the column split"));
    }
    let some = |part: Vec<_>| Some(part).filter(|part| !part.is_empty());
    Ok(listing(kind, Parts { train, validation: some(validation), test: some(test) }))
}
