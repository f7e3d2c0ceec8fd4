//! A list of files: CSV with the columns `path`, `label` and perhaps `split` (`train`, `val` or `test`), in any order, or with
//! other names where it is clear which is which. Paths are relative to the folder of the list.
//!
//! ```text
//! path,label,split
//! recordings/7_theo_3.wav,7,test
//! ```

use std::collections::HashMap;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use super::listing::{Kind, Listing, listing};
use crate::data::parts::{Part, Parts};
use crate::data::read::csv::Records;
use crate::data::read::gzip;
use crate::{Error, Result};

/// What a column of labels may be called.
const LABELS: [&str; 5] = ["label", "class", "target", "category", "y"];
/// What a column that numbers the lines may be called.
const INDICES: [&str; 4] = ["", "index", "id", "unnamed: 0"];

/// How a list is laid out.
struct Layout {
    delimiter: char,
    path: usize,
    label: usize,
    split: Option<usize>,
    count: usize,
}

impl Layout {
    /// Finds it by the names in the first line and the cells of the second, and what the first file holds. The column `path`
    /// holds the files; if there is none, the only column whose cell is the name of a file that is there. Other
    /// columns than these are not read.
    fn find(folder: &Path, lines: &FirstLines) -> Option<(Layout, Kind)> {
        let FirstLines { delimiter, names, cells } = lines;
        let named = |name: &str| names.iter().position(|found| found.eq_ignore_ascii_case(name));
        let sample = |column: usize| Kind::of(Path::new(cells.get(column)?));
        let is_there = |&column: &usize| sample(column).is_some() && folder.join(&cells[column]).is_file();
        let only = |mut columns: Vec<usize>| columns.pop().filter(|_| columns.is_empty());
        let path = named("path").or_else(|| only((0..names.len()).filter(is_there).collect()))?;
        let split = named("split");
        let is_index = |column: usize| INDICES.iter().any(|index| names[column].eq_ignore_ascii_case(index));
        let is_other = |&column: &usize| column != path && Some(column) != split && !is_index(column);
        let label = LABELS.iter().find_map(|name| named(name)).filter(|label| *label != path);
        let label = label.or_else(|| only((0..names.len()).filter(is_other).collect()))?;
        Some((Layout { delimiter: *delimiter, path, label, split, count: names.len() }, sample(path)?))
    }
}

/// The first two lines of a file as a delimiter cuts them.
struct FirstLines {
    delimiter: char,
    names: Vec<String>,
    cells: Vec<String>,
}

/// The first two lines of a file, for each delimiter.
fn first_lines(path: &Path) -> Result<Vec<FirstLines>> {
    // A binary file or an endless line must cost no more than this.
    let mut start = Vec::new();
    gzip::open(path)?.reader.take(1 << 16).read_to_end(&mut start).map_err(gzip::read_error(path))?;
    let cut = |delimiter| {
        let mut records = Records::of(path, Box::new(Cursor::new(start.clone())), delimiter, true).ok()?;
        // What is no text, or opens a quote that never closes, is no list.
        let mut line = || {
            let (_, record) = records.next().ok()??;
            Some(record.iter().map(|cell| cell.trim().to_string()).collect())
        };
        Some(FirstLines { delimiter, names: line()?, cells: line()? })
    };
    Ok([',', ';', '\t'].into_iter().filter_map(cut).collect())
}

fn layout(path: &Path) -> Result<Option<(Layout, Kind)>> {
    let folder = path.parent().unwrap_or(Path::new(""));
    Ok(first_lines(path)?.iter().find_map(|lines| Layout::find(folder, lines)))
}

/// What the first file of a list holds; none if this is no list of images, recordings or texts.
pub(super) fn kind(path: &Path) -> Result<Option<Kind>> {
    Ok(layout(path)?.map(|(_, kind)| kind))
}

/// The first name of an image or a recording in a table, with its column from 1.
pub(super) fn named_file(path: &Path) -> Result<Option<(usize, String)>> {
    let is_file = |cell: &String| matches!(Kind::of(Path::new(cell)), Some(Kind::Images | Kind::Audio));
    let cell = |lines: FirstLines| (1..).zip(lines.cells).find(|(_, cell)| is_file(cell));
    Ok(first_lines(path)?.into_iter().find_map(cell))
}

/// Reads a list.
pub(super) fn list(path: &Path, kind: Kind) -> Result<Listing> {
    let (columns, _) = layout(path)?.ok_or_else(|| {
        let problem = "a list of files needs a first line with path,label or path,label,split";
        Error::data(path, problem)
    })?;
    let mut records = Records::open(path, columns.delimiter)?;
    records.next()?;
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
