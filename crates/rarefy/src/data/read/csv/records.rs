//! The lines of a CSV file, each checked to have as many cells as it should, with its line number.

use std::cell::Cell;
use std::io::Read;
use std::path::Path;
use std::rc::Rc;

use csv::{ErrorKind, Reader, ReaderBuilder, StringRecord, Terminator};

use super::faults::Faults;
use super::lines::Lines;
use crate::data::read::gzip;
use crate::data::reading::Dialect;
use crate::{Error, Result};

/// Reads line after line.
pub(in super::super) struct Records<'a> {
    path: &'a Path,
    reader: Reader<Watched>,
    record: StringRecord,
    ended: Rc<Cell<bool>>,
}

/// Tells when there was nothing more to read.
struct Watched {
    from: Box<dyn Read>,
    ended: Rc<Cell<bool>>,
}

impl Read for Watched {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let count = self.from.read(into)?;
        self.ended.set(count == 0);
        Ok(count)
    }
}

impl<'a> Records<'a> {
    /// Opens a file whose quotes are quotes.
    pub(in super::super) fn open(path: &'a Path, delimiter: char) -> Result<Records<'a>> {
        Records::of(path, Box::new(gzip::open(path)?.reader), delimiter, true)
    }

    /// Opens a file whose layout is known.
    pub(super) fn open_as(path: &'a Path, dialect: &Dialect) -> Result<Records<'a>> {
        Records::of(path, Box::new(gzip::open(path)?.reader), dialect.delimiter, dialect.quote)
    }

    /// Reads from elsewhere, in the name of a file; `quote` says whether quotes are more than characters.
    pub(in super::super) fn of(
        path: &'a Path,
        from: Box<dyn Read>,
        delimiter: char,
        quote: bool,
    ) -> Result<Records<'a>> {
        // Lines end at \n alone, and the last one surely does, or line numbers could not be told: the crate's own are
        // wrong after blank lines and for \r\n.
        let ended = Rc::new(Cell::new(false));
        let lines = Lines::new(from, delimiter, quote).map_err(gzip::read_error(path))?;
        let watched = Watched { from: Box::new(lines.chain(&b"\n"[..])), ended: ended.clone() };
        let reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter as u8)
            .quoting(quote)
            .terminator(Terminator::Any(b'\n'))
            .from_reader(watched);
        Ok(Records { path, reader, record: StringRecord::new(), ended })
    }

    /// The next line that is not blank: its number, and its cells (to be trimmed).
    pub(in super::super) fn next(&mut self) -> Result<Option<(u64, &StringRecord)>> {
        Ok(self.advance()?.map(|line| (line, &self.record)))
    }

    /// The next line that is not blank, which must have as many cells as there are columns.
    pub(in super::super) fn next_of(&mut self, columns: usize) -> Result<Option<(u64, &StringRecord)>> {
        match self.advance()? {
            Some(line) if self.record.len() != columns => {
                Err(Error::data_at(self.path, format!("line {line}"), self.other_width(columns)))
            }
            line => Ok(line.map(|line| (line, &self.record))),
        }
    }

    /// The next line that has as many cells as there are columns; others are faults.
    pub(super) fn next_fitting(
        &mut self,
        columns: usize,
        faults: &mut Faults,
    ) -> Result<Option<(u64, &StringRecord)>> {
        while let Some(line) = self.advance()? {
            if self.record.len() == columns {
                return Ok(Some((line, &self.record)));
            }
            faults.add(format!("line {line}"), self.other_width(columns));
        }
        Ok(None)
    }

    fn other_width(&self, columns: usize) -> String {
        format!(
            "has {} cells where the first line has {columns}; mend the line (a cell that holds the delimiter needs quotes), or train with data.delimiter",
            self.record.len()
        )
    }

    /// Reads the next line that is not blank into `record`, and tells its number.
    fn advance(&mut self) -> Result<Option<u64>> {
        loop {
            if !self.reader.read_record(&mut self.record).map_err(|error| self.error(error))? {
                return Ok(None);
            }
            if self.ended.get() {
                // The last line has an end too, so only an open quote reads on to the end of the file.
                let line = self.reader.position().line() - self.newlines();
                return Err(Error::data_at(
                    self.path,
                    format!("line {line}"),
                    "a quote that opens here is never closed; close it, or double it if it is part of the text",
                ));
            }
            if self.record.as_slice().contains('\0') {
                let line = self.reader.position().line() - 1 - self.newlines();
                let problem = "holds a NUL byte, which is no part of a text; remove it";
                return Err(Error::data_at(self.path, format!("line {line}"), problem));
            }
            // Blank lines give no cell or one of blanks; a cell of nothing was quoted.
            let first = &self.record[0];
            if self.record.len() > 1 || first.is_empty() || !first.trim().is_empty() {
                return Ok(Some(self.reader.position().line() - 1 - self.newlines()));
            }
        }
    }

    /// Line breaks inside the quoted cells of the line.
    fn newlines(&self) -> u64 {
        self.record.iter().map(|cell| cell.matches('\n').count() as u64).sum()
    }

    fn error(&self, error: csv::Error) -> Error {
        let line = self.reader.position().line();
        match error.into_kind() {
            ErrorKind::Io(source) => gzip::read_error(self.path)(source),
            ErrorKind::Utf8 { .. } => Error::data_at(
                self.path,
                format!("line {}", line - 1),
                "is not UTF-8 text; save the file as UTF-8",
            ),
            other => Error::data(self.path, format!("cannot be read as CSV: {other:?}")),
        }
    }
}
