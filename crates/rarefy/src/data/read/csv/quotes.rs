//! Whether the quotes of a CSV file do what quotes do: one that opens a cell is closed before the next delimiter or line end, and
//! others inside are doubled. In texts with lone quotes they would join lines in silence.

use std::io::Read;
use std::path::Path;

use super::lines::Lines;
use crate::data::read::gzip;
use crate::{Error, Result};

/// Where a reader stands.
#[derive(Clone, Copy, PartialEq)]
enum At {
    Start,
    Cell,
    Quoted,
    /// After a quote inside a quoted cell, which is its end or the first of two.
    End,
}

/// What was found.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Quotes {
    /// The line of the first cell whose opening quote is not closed as it should be.
    pub lone: Option<u64>,
    /// Whether a cell of the first line is quoted, so that quotes are meant as such.
    pub are_meant: bool,
}

impl Quotes {
    /// Whether quotes are characters like others.
    pub(super) fn are_plain(&self) -> bool {
        self.lone.is_some() && !self.are_meant
    }
}

/// Looks at all quotes of a file, up to the first lone one.
pub(super) fn look(path: &Path, delimiter: char) -> Result<Quotes> {
    let failed = gzip::read_error(path);
    let mut from = Lines::new(Box::new(gzip::open(path)?.reader), delimiter, true).map_err(&failed)?;
    let mut chunk = vec![0; 1 << 16];
    let (mut at, mut line, mut opened) = (At::Start, 1, 1);
    // In texts between tabs, a cell of several lines and tabs is several cells between lone quotes.
    let (mut lines, mut tabs) = (false, false);
    let mut are_meant = false;
    loop {
        let count = from.read(&mut chunk).map_err(&failed)?;
        let Some(&last) = chunk[..count].last() else {
            return Ok(Quotes { lone: (at == At::Quoted).then_some(opened), are_meant });
        };
        if matches!(at, At::Start | At::Cell) && !chunk[..count].contains(&b'"') {
            line += chunk[..count].iter().filter(|&&byte| byte == b'\n').count() as u64;
            at = if last == b'\n' || last == delimiter as u8 { At::Start } else { At::Cell };
            continue;
        }
        for &byte in &chunk[..count] {
            let is_end = byte == b'\n' || byte == delimiter as u8;
            at = match at {
                At::Start if byte == b'"' => {
                    (opened, lines, tabs) = (line, false, false);
                    At::Quoted
                }
                At::Quoted | At::End if byte == b'"' => {
                    if at == At::Quoted {
                        At::End
                    } else {
                        At::Quoted
                    }
                }
                At::Quoted => {
                    lines |= byte == b'\n';
                    tabs |= byte == b'\t' && delimiter == '\t';
                    At::Quoted
                }
                At::End if (is_end && lines && tabs) || !(is_end || byte == b' ') => {
                    return Ok(Quotes { lone: Some(opened), are_meant });
                }
                At::End if is_end => {
                    are_meant |= opened == 1;
                    At::Start
                }
                At::End => At::End,
                _ if is_end => At::Start,
                _ => At::Cell,
            };
            line += u64::from(byte == b'\n');
        }
    }
}

/// That there is no such quote.
pub(super) fn check(path: &Path, delimiter: char) -> Result<()> {
    match look(path, delimiter)?.lone {
        None => Ok(()),
        Some(line) => Err(Error::data_at(
            path,
            format!("line {line}"),
            "a quote that opens here is not closed at the end of its cell; close it, double those inside it, or train with data.quote = \"no\" if quotes are plain characters",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lone_quotes_are_found_by_their_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.csv");
        for (text, delimiter, expected) in [
            ("a,\"b\",c\n\"d\",e,\"f\"\n", ',', None),
            ("a,\"b\"\"c\"\"\",d\n", ',', None),
            ("a,\"b\nc,d\",e\n1,2,3\n", ',', None),
            ("a,5\" disk,b\n", ',', None),
            ("a,\"b\" ,c\n", ',', None),
            ("a,b\n1,\"two\n3,four\n", ',', Some(2)),
            ("a,b\n1,\"two\n3,\"four\n", ',', Some(2)),
            ("a,\"say \\\"hi\\\"\",b\n", ',', Some(1)),
            ("a\tb\nx\t\"two\ny\tfour\"\n", '\t', Some(2)),
            ("a\tb\nx\t\"two\nfour\"\n", '\t', None),
        ] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(look(&path, delimiter).unwrap().lone, expected, "{text}");
        }
        for (text, are_meant) in [("a\t\"b\"\nx\t\"y\n", true), ("a\tb\nx\t\"y\"\nx\t\"y\n", false)] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(
                look(&path, '\t').unwrap(),
                Quotes { lone: Some(text.matches('\n').count() as u64), are_meant }
            );
        }
    }
}
