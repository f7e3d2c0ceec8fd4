//! How a CSV file is laid out: delimiter, decimal mark, header, names. Found from the first lines unless the settings say it.

use std::io::{Cursor, Read};
use std::path::Path;

use super::header::names_columns;
use super::lines::said_delimiter;
use super::numbers::{has_decimal_comma, has_decimal_point, parse};
use super::quotes;
use super::records::Records;
use crate::data::read::gzip;
use crate::data::reading::Dialect;
use crate::data::settings::{DataSettings, Decimal, Header, Quote};
use crate::data::shown::shown;
use crate::{Error, Result};

/// Bytes and lines to look at: more bytes where these do not hold two whole lines.
const START: u64 = 1 << 18;
const LINES: usize = 1000;

/// More bytes than this are no line of a table.
const MOST: u64 = 1 << 30;

/// What comes before the position of a column without a name, if another one is named by that position.
pub(super) const UNNAMED: &str = "unnamed ";

/// The cells of some lines.
type Lines = Vec<Vec<String>>;

/// Finds the layout of a file and the names of its columns (positions from 1 where it has none).
pub(super) fn detect(path: &Path, settings: &DataSettings) -> Result<(Dialect, Vec<String>)> {
    let delimiter = match settings.delimiter {
        Some(delimiter) => delimiter,
        None => find_delimiter(path, settings.quote)?,
    };
    let quote = match settings.quote {
        Quote::No => false,
        // Texts between tabs are seldom quoted, and hold lone quotes instead.
        Quote::Auto if delimiter == '\t' && quotes::look(path, delimiter)?.are_plain() => false,
        Quote::Auto | Quote::Yes => quotes::check(path, delimiter).map(|()| true)?,
    };
    let lines = first_lines(path, delimiter, quote)?;
    let Some(first) = lines.first() else {
        return Err(Error::data(path, "holds no lines"));
    };
    check_width(path, delimiter, &lines)?;
    let decimal = match settings.decimal {
        Decimal::Auto => find_decimal(delimiter, &lines),
        given => given,
    };
    let header = match settings.header {
        Header::Yes => true,
        Header::No => false,
        Header::Auto => names_columns(&lines, settings, decimal),
    };
    let dialect = Dialect { delimiter, header, columns: first.len(), decimal, quote, typed: false };
    let names = name_columns(header, first);
    let mut sorted: Vec<&String> = names.iter().collect();
    sorted.sort_unstable();
    match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Error::data_at(
            path,
            "line 1",
            format!(
                "two columns are named {}; rename one, or set data.header = \"no\" if the line is a sample",
                shown(pair[0])
            ),
        )),
        None => Ok((dialect, names)),
    }
}

/// The layout of a new file for a model, and the names of its columns: that of the training file, if this was text too.
pub(super) fn of_new(path: &Path, trained: &Dialect) -> Result<(Dialect, Vec<String>)> {
    if trained.typed {
        return detect(path, &DataSettings { header: Header::Yes, ..DataSettings::default() });
    }
    if trained.quote {
        quotes::check(path, trained.delimiter)?;
    }
    let (names, columns) = names(path, trained)?;
    Ok((Dialect { columns, ..trained.clone() }, names))
}

/// The names and number of the columns of a file whose layout is known. Two may have the same name.
fn names(path: &Path, dialect: &Dialect) -> Result<(Vec<String>, usize)> {
    let mut records = Records::open_as(path, dialect)?;
    let Some((_, first)) = records.next()? else {
        return Err(Error::data(path, "holds no lines"));
    };
    let first: Vec<String> = first.iter().map(|cell| cell.trim().to_string()).collect();
    Ok((name_columns(dialect.header, &first), first.len()))
}

fn name_columns(header: bool, first: &[String]) -> Vec<String> {
    let name = |(column, name): (usize, &String)| {
        let position = (column + 1).to_string();
        match header {
            true if !name.is_empty() => name.clone(),
            true if first.contains(&position) => format!("{UNNAMED}{position}"),
            _ => position,
        }
    };
    first.iter().enumerate().map(name).collect()
}

/// That there are several columns, and the first lines are not something else.
fn check_width(path: &Path, delimiter: char, lines: &[Vec<String>]) -> Result<()> {
    let width = lines[0].len();
    let usual = lines.last().map_or(width, Vec::len);
    let odd = lines.iter().rposition(|line| line.len() != usual).map_or(0, |last| last + 1);
    if odd > 0 && usual > width && odd * 2 < lines.len() {
        let cells = if width == 1 { "cell" } else { "cells" };
        let problem = format!(
            "has {width} {cells} where the lines below have {usual}; remove it if it is a title or a comment; else each column needs a name, and a cell that holds the delimiter needs quotes, without a blank before them"
        );
        return Err(Error::data_at(path, "line 1", problem));
    }
    if width < 2 {
        let problem = format!(
            "has a single column with the delimiter {delimiter:?}; set data.delimiter, or give a file with features and a label"
        );
        return Err(Error::data_at(path, "line 1", problem));
    }
    Ok(())
}

/// The delimiter that the file names, or else the one that fits best.
fn find_delimiter(path: &Path, quote: Quote) -> Result<char> {
    let mut start = Vec::new();
    gzip::open(path)?.reader.take(16).read_to_end(&mut start).map_err(gzip::read_error(path))?;
    if let Some(delimiter) = said_delimiter(&start) {
        return Ok(delimiter);
    }
    let mut best = (',', first_lines(path, ',', quote != Quote::No)?);
    for delimiter in [';', '\t'] {
        let quote = quote == Quote::Yes || (quote == Quote::Auto && delimiter != '\t');
        let lines = first_lines(path, delimiter, quote).unwrap_or_default();
        let fit = score(&lines);
        // What a comma splits may be numbers: 0,5;3,25;low has as many commas as semicolons.
        if fit > score(&best.1) || (fit.0 && commas_are_decimal(&lines)) {
            best = (delimiter, lines);
        }
    }
    Ok(best.0)
}

/// How well a delimiter fits: lines of the same width first, be it after a title, then more columns.
fn score(lines: &[Vec<String>]) -> (bool, bool, usize) {
    let width = lines.last().map_or(0, Vec::len);
    let alike = |lines: &[Vec<String>]| width > 1 && lines.iter().all(|line| line.len() == width);
    (alike(lines), alike(&lines[lines.len() / 2..]), width)
}

fn commas_are_decimal(lines: &[Vec<String>]) -> bool {
    let mut cells = lines.iter().flatten().filter(|cell| cell.contains(',')).peekable();
    cells.peek().is_some() && cells.all(|cell| parse(cell, Decimal::Comma).is_some())
}

/// A decimal comma where a cell shows one, none shows a decimal point, and commas do not separate cells.
fn find_decimal(delimiter: char, lines: &[Vec<String>]) -> Decimal {
    let any = |shows: fn(&str) -> bool| lines.iter().flatten().any(|cell| shows(cell));
    if delimiter != ',' && any(has_decimal_comma) && !any(has_decimal_point) {
        Decimal::Comma
    } else {
        Decimal::Auto
    }
}

/// The cells of the first lines, each whole.
fn first_lines(path: &Path, delimiter: char, quote: bool) -> Result<Lines> {
    let mut most = START;
    loop {
        let (start, is_whole) = read_start(path, most)?;
        match lines_of(path, start, delimiter, quote) {
            Ok(lines) if is_whole || lines.len() > 1 => return Ok(lines),
            Err(error) if is_whole => return Err(error),
            _ if most >= MOST => {
                let problem = "goes on for more than 1 GiB, or a quote in it is never closed; check that this is a CSV file";
                return Err(Error::data_at(path, "line 1", problem));
            }
            _ => most *= 8,
        }
    }
}

/// The start of a file up to the end of a line, and whether that is all of it.
fn read_start(path: &Path, most: u64) -> Result<(Vec<u8>, bool)> {
    let mut start = Vec::new();
    gzip::open(path)?.reader.take(most).read_to_end(&mut start).map_err(gzip::read_error(path))?;
    let is_whole = (start.len() as u64) < most;
    if !is_whole {
        // Lines of an old Mac end with \r.
        let end = if start.contains(&b'\n') { b'\n' } else { b'\r' };
        start.truncate(start.iter().rposition(|&byte| byte == end).map_or(0, |end| end + 1));
    }
    Ok((start, is_whole))
}

fn lines_of(path: &Path, start: Vec<u8>, delimiter: char, quote: bool) -> Result<Lines> {
    let mut records = Records::of(path, Box::new(Cursor::new(start)), delimiter, quote)?;
    let mut lines = Lines::new();
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
