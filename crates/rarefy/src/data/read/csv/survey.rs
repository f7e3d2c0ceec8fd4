//! The first pass over a CSV file: what each column holds.

use std::collections::HashSet;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use super::faults::Faults;
use super::numbers::{Spelling, parse};
use super::origin::Origin;
use super::rows::Rows;
use super::typed;
use crate::data::alike::is_date;
use crate::data::dates::{DatePart, Moment};
use crate::data::read::columnar::{Column, Holds};
use crate::data::reading::Dialect;
use crate::data::span::Span;
use crate::{Error, Result};

/// A column of text with more kinds than this is no set of categories, unless the user says so.
pub(super) const MOST_CATEGORIES: usize = 1000;

/// Lines of texts among numbers that are told.
const MOST_LINES: usize = 10;

/// Lines from which numbers that all differ are taken for ids: of fewer, measurements may all differ too.
const FEWEST_IDS: usize = 100;

/// Numbers that are compared for that.
const MOST_IDS: usize = 100_000;

/// Whole numbers up to here are exact in `f64`.
const EXACT: f64 = (1u64 << 53) as f64;

/// What a column holds. All its filled cells are numbers, or all are text and so categories; a mix is for the user to
/// sort out, because a typing error in a column of numbers must not turn it into categories.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// Lines of the file, the same for each column.
    pub rows: usize,
    /// Cells that are not missing.
    pub filled: usize,
    /// Cells that are numbers, be they infinite.
    pub numbers: usize,
    /// The first cell that is text, and its line.
    pub first_text: Option<(u64, String)>,
    /// The lines of the first texts.
    pub text_lines: Vec<u64>,
    /// Texts that look like numbers, and the first of them.
    pub alike: usize,
    pub first_alike: Option<(String, Spelling)>,
    /// Missing markers in another case (`Na`), which are gaps among numbers and text among texts.
    loose: usize,
    /// Texts that look like dates, and those that are dates as ISO 8601 writes them.
    dates: usize,
    iso_dates: usize,
    /// Of a column of dates, whether some have a time.
    pub has_times: bool,
    /// The whole numbers of the first lines, as long as they all differ.
    different: HashSet<i64>,
    some_are_alike: bool,
    /// The hashes of its texts, up to one more than can be categories.
    kinds: HashSet<u64>,
    /// Cells that count the lines from where the first line begins.
    counting: usize,
    first_number: f64,
    /// What its numbers span.
    pub span: Span,
    /// The first number that looks like a code.
    pub code: Option<String>,
    /// Whole numbers, and whether one of them is too large for `f64`.
    integers: usize,
    is_large: bool,
    /// The last number that may be too large, and the first two that differ and are one as `f64`.
    last_large: Option<i128>,
    pub joined: Option<[i128; 2]>,
}

impl Seen {
    /// Whether every filled cell is text.
    pub(super) fn is_text(&self) -> bool {
        self.numbers == 0 && self.filled > 0
    }

    /// How many different texts there are; above [`MOST_CATEGORIES`] they are not counted on.
    pub(super) fn kinds(&self) -> usize {
        self.kinds.len()
    }

    /// Whether a column of text is one of numbers in another spelling.
    pub(super) fn looks_like_numbers(&self) -> bool {
        self.is_text() && self.alike * 2 > self.filled
    }

    /// Whether the cells are 0, 1, 2, ... or 1, 2, 3, ... line by line.
    pub(super) fn counts_rows(&self) -> bool {
        self.rows > 1 && self.counting == self.rows && [0.0, 1.0].contains(&self.first_number)
    }

    /// Whether its cells are whole numbers without a gap, and no two are alike, as far as that is looked at.
    pub(super) fn numbers_all_differ(&self) -> bool {
        self.rows >= FEWEST_IDS && self.integers == self.rows && !self.some_are_alike
    }

    /// Whether every filled cell is text that looks like a date.
    pub(super) fn holds_dates(&self) -> bool {
        self.is_text() && self.dates == self.filled
    }

    /// Whether all are written as ISO 8601 says.
    pub(super) fn holds_iso_dates(&self) -> bool {
        self.is_text() && self.iso_dates == self.filled
    }

    /// Whether the cells are whole numbers of which some would fall together as `f64`.
    pub(super) fn holds_large_integers(&self) -> bool {
        self.is_large && self.integers == self.filled
    }

    /// Takes a text that is no number, whatever its letters are.
    fn add_word(&mut self, line: u64, cell: &str, markers: &[String]) {
        if is_missing(cell, markers) {
            return;
        }
        self.filled += 1;
        self.add_kind(cell);
        self.first_text.get_or_insert_with(|| (line, cell.to_string()));
    }

    fn add(&mut self, row: usize, line: u64, cell: &str, dialect: &Dialect, markers: &[String]) {
        if is_missing(cell, markers) {
            return;
        }
        self.filled += 1;
        if is_missing_in_any_case(cell, markers) {
            self.loose += 1;
            self.add_kind(cell);
            return;
        }
        if let Some(number) = parse(cell, dialect.decimal) {
            self.numbers += 1;
            if self.code.is_none() && is_code(cell) {
                self.code = Some(cell.to_string());
            }
            self.span.add(number);
            if row == 0 {
                self.first_number = number;
            }
            self.counting += usize::from(number == self.first_number + row as f64);
            if is_integer(cell) {
                self.integers += 1;
                if !self.some_are_alike && self.different.len() < MOST_IDS {
                    self.some_are_alike = !self.different.insert(number as i64);
                }
                if number.abs() >= EXACT {
                    self.is_large = true;
                    let (last, whole) = (self.last_large, cell.parse::<i128>().ok());
                    let pair = last.zip(whole).filter(|(last, whole)| last != whole);
                    let joined = pair.filter(|&(last, whole)| last as f64 == whole as f64);
                    self.joined = self.joined.or(joined.map(|(last, whole)| [last, whole]));
                    self.last_large = whole;
                }
            }
            return;
        }
        self.add_kind(cell);
        if self.first_text.is_none() {
            self.first_text = Some((line, cell.to_string()));
        }
        if self.text_lines.len() < MOST_LINES {
            self.text_lines.push(line);
        }
        if is_date(cell) {
            self.dates += 1;
            self.iso_dates += usize::from(Moment::read(cell, None).is_some());
        }
        if let Some(spelling) = Spelling::of(cell) {
            self.alike += 1;
            self.first_alike.get_or_insert_with(|| (cell.to_string(), spelling));
        }
    }

    /// Adds a cell of a column of dates.
    fn add_date(&mut self, cell: &str, asked: &Asked) {
        // What cannot be read is told when the cells are read.
        if let Some(moment) = Moment::read(cell, asked.date_format) {
            self.has_times |= moment.has_time;
            self.span.add(DatePart::Days.value(&moment));
        }
    }

    fn add_kind(&mut self, cell: &str) {
        if self.kinds.len() <= MOST_CATEGORIES {
            self.kinds.insert(BuildHasherDefault::<DefaultHasher>::default().hash_one(cell));
        }
    }

    fn finish(&mut self, rows: usize) {
        self.rows = rows;
        self.different = HashSet::new();
        if self.numbers > 0 {
            self.filled -= self.loose;
        }
    }
}

/// Whether a cell is one of the ways to write nothing.
pub(super) fn is_missing(cell: &str, markers: &[String]) -> bool {
    markers.iter().any(|marker| marker == cell)
}

/// Whether it is so in a column of numbers, where no word can mean anything else.
pub(super) fn is_missing_in_any_case(cell: &str, markers: &[String]) -> bool {
    markers.iter().any(|marker| marker.eq_ignore_ascii_case(cell))
}

/// Whether a cell is a whole number in plain digits.
fn is_integer(cell: &str) -> bool {
    let digits = cell.strip_prefix(['+', '-']).unwrap_or(cell);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a number is written as codes are: `01234`, or `1e5` among others in base 16.
fn is_code(cell: &str) -> bool {
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    match cell.split_once(['e', 'E']) {
        Some((front, back)) => is_digits(front) && is_digits(back),
        None => cell.len() > 1 && cell.starts_with('0') && is_digits(cell),
    }
}

/// What settings say of cells, and types of columns.
pub(super) struct Asked<'a> {
    pub markers: &'a [String],
    /// Columns of dates, and how these are written.
    pub dates: &'a [usize],
    pub date_format: Option<&'a str>,
    /// The columns of a file that is no text; else none.
    pub typed: &'a [Column],
}

/// Reads all rows and counts.
pub(super) fn survey(
    origin: Origin,
    dialect: &Dialect,
    names: &[String],
    asked: &Asked,
) -> Result<Vec<Seen>> {
    let mut seen = vec![Seen::default(); names.len()];
    let are_words: Vec<bool> = (0..names.len())
        .map(|column| asked.typed.get(column).is_some_and(|column| column.holds == Holds::Words))
        .collect();
    let mut table = Rows::open(origin, dialect, &typed::readable(asked.typed))?;
    let (mut rows, mut faults) = (0, Faults::default());
    while let Some((line, record)) = table.next(names.len(), &mut faults)? {
        for (column, (seen, cell)) in seen.iter_mut().zip(record).enumerate() {
            let cell = cell.trim();
            if asked.dates.contains(&column) {
                seen.add_date(cell, asked);
            } else if are_words[column] {
                seen.add_word(line, cell, asked.markers);
            } else {
                seen.add(rows, line, cell, dialect, asked.markers);
            }
        }
        rows += 1;
    }
    faults.none(origin.path(), "lines are faulty")?;
    if rows == 0 {
        let problem = if dialect.typed {
            "holds no rows"
        } else {
            "holds no samples, only a header; set data.header = \"no\" if that line is a sample"
        };
        return Err(Error::data(origin.path(), problem));
    }
    seen.iter_mut().for_each(|seen| seen.finish(rows));
    Ok(seen)
}
