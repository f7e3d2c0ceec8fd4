//! How a CSV file is laid out: delimiter, header, names. Found from the first lines unless the settings say it.

use std::collections::HashSet;
use std::io::{Cursor, Read};
use std::path::Path;

use super::super::gzip;
use super::super::settings::{DataSettings, Header};
use super::super::source::Dialect;
use super::records::Records;
use super::survey::is_number;
use crate::{Error, Result};

/// Bytes and lines to look at.
const START: u64 = 1 << 18;
const LINES: usize = 100;

/// Finds the layout of a file and the names of its columns (positions from 1 if it has none).
pub(super) fn detect(path: &Path, settings: &DataSettings) -> Result<(Dialect, Vec<String>)> {
    let start = read_start(path)?;
    let lines = |delimiter| first_lines(path, &start, delimiter);
    let (delimiter, lines) = match settings.delimiter {
        Some(delimiter) => (delimiter, lines(delimiter)?),
        None => {
            let mut best = (',', lines(',')?);
            for delimiter in [';', '\t'] {
                let found = lines(delimiter).unwrap_or_default();
                if score(&found) > score(&best.1) {
                    best = (delimiter, found);
                }
            }
            best
        }
    };
    let Some(first) = lines.first() else {
        return Err(Error::data(path, "holds no lines"));
    };
    if first.len() < 2 {
        return Err(Error::data_at(
            path,
            "line 1",
            format!(
                "has a single column with the delimiter {delimiter:?}; set data.delimiter, or give a file with features and a label"
            ),
        ));
    }
    let header = match settings.header {
        Header::Yes => true,
        Header::No => false,
        Header::Auto => looks_like_header(&lines, settings),
    };
    let dialect = Dialect { delimiter, header, columns: first.len() };
    Ok((dialect, name_columns(path, header, first)?))
}

/// The names and number of the columns of a file whose layout is known.
pub(super) fn names(path: &Path, dialect: &Dialect) -> Result<(Vec<String>, usize)> {
    let mut records = Records::open(path, dialect.delimiter)?;
    let Some((_, first)) = records.next()? else {
        return Err(Error::data(path, "holds no lines"));
    };
    let first: Vec<String> = first.iter().map(|cell| cell.trim().to_string()).collect();
    Ok((name_columns(path, dialect.header, &first)?, first.len()))
}

fn name_columns(path: &Path, header: bool, first: &[String]) -> Result<Vec<String>> {
    let position = |column: usize| (column + 1).to_string();
    if !header {
        return Ok((0..first.len()).map(position).collect());
    }
    let mut seen = HashSet::new();
    let name = |(column, name): (usize, &String)| {
        let name = if name.is_empty() { position(column) } else { name.clone() };
        match seen.insert(name.clone()) {
            true => Ok(name),
            false => Err(Error::data_at(
                path,
                "line 1",
                format!(
                    "two columns are named {name:?}; rename one, or set data.header = \"no\" if the line is a sample"
                ),
            )),
        }
    };
    first.iter().enumerate().map(name).collect()
}

/// The start of a file, to the end of a line.
fn read_start(path: &Path) -> Result<Vec<u8>> {
    let mut start = Vec::new();
    gzip::open(path)?.reader.take(START).read_to_end(&mut start).map_err(gzip::read_error(path))?;
    if start.len() as u64 == START
        && let Some(end) = start.iter().rposition(|&byte| byte == b'\n')
    {
        start.truncate(end + 1);
    }
    Ok(start)
}

fn first_lines(path: &Path, start: &[u8], delimiter: char) -> Result<Vec<Vec<String>>> {
    let mut records = Records::of(path, Box::new(Cursor::new(start.to_vec())), delimiter);
    let mut lines = Vec::new();
    while lines.len() < LINES {
        match records.next() {
            Ok(Some((_, record))) => lines.push(record.iter().map(|cell| cell.trim().to_string()).collect()),
            Err(error) if lines.is_empty() => return Err(error),
            // With another delimiter, or where the start was cut, a quote may seem to stay open: the survey will tell.
            Ok(None) | Err(_) => break,
        }
    }
    Ok(lines)
}

/// How well a delimiter fits: lines of the same width first, then more columns.
fn score(lines: &[Vec<String>]) -> (bool, usize) {
    let width = lines.first().map_or(0, Vec::len);
    (width > 1 && lines.iter().all(|line| line.len() == width), width)
}

/// Whether the first line names columns. It holds no number, and either a line below does, or the settings name one of
/// its cells, or none of its cells comes again in its column (so a file of categories alone has no header).
fn looks_like_header(lines: &[Vec<String>], settings: &DataSettings) -> bool {
    let (first, below) = (&lines[0], &lines[1..]);
    if first.iter().any(|cell| is_number(cell)) || first[1..].iter().any(String::is_empty) {
        return false;
    }
    let text = settings.text.iter().flat_map(|text| &text.column);
    let named = [&settings.label, &settings.categorical, &settings.ignore].into_iter().flatten().chain(text);
    let again = |(column, cell): (usize, &String)| below.iter().any(|line| line.get(column) == Some(cell));
    below.iter().flatten().any(|cell| is_number(cell))
        || named.into_iter().any(|name| first.contains(name))
        || !first.iter().enumerate().any(again)
}
