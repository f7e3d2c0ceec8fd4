//! The bytes of a CSV file, as all readers of it want them: without a byte order mark and Excel's line `sep=;`, each line ended
//! by `\n`, be it `\r\n` or (old Macs) `\r` in the file, and, where blanks separate cells, one blank for each run of them.

use std::io::{Cursor, Read, Result};

/// Bytes at once, and the bytes by whose first line ends are told.
const CHUNK: usize = 1 << 16;

/// Reads plain lines.
pub(super) struct Lines {
    from: Box<dyn Read>,
    /// What was read and what became of it; of that, the first `given` bytes are gone.
    raw: Vec<u8>,
    plain: Vec<u8>,
    given: usize,
    /// Whether lines end with `\r` alone.
    is_mac: bool,
    /// Whether the last byte was a `\r` that may belong to a `\r\n`.
    held: bool,
    blanks: Option<Blanks>,
}

/// Where a reader stands that joins runs of blanks.
struct Blanks {
    /// Whether quotes are more than characters.
    quote: bool,
    is_quoted: bool,
    is_start: bool,
    is_pending: bool,
}

impl Lines {
    /// Looks at the first bytes.
    pub(super) fn new(mut from: Box<dyn Read>, delimiter: char, quote: bool) -> Result<Lines> {
        let mut start = Vec::new();
        from.by_ref().take(CHUNK as u64).read_to_end(&mut start)?;
        // The last byte may be one half of a \r\n.
        let is_mac = start[..start.len().min(CHUNK - 1)].contains(&b'\r') && !start.contains(&b'\n');
        if start.starts_with(b"\xef\xbb\xbf") {
            start.drain(..3);
        }
        if said_delimiter(&start).is_some() {
            // The line stays as a blank one, so that the others keep their numbers.
            let end = start.iter().position(|&byte| matches!(byte, b'\r' | b'\n')).unwrap_or(start.len());
            start.drain(..end);
        }
        let blanks = Blanks { quote, is_quoted: false, is_start: true, is_pending: false };
        Ok(Lines {
            is_mac,
            from: Box::new(Cursor::new(start).chain(from)),
            raw: vec![0; CHUNK],
            plain: Vec::new(),
            given: 0,
            held: false,
            blanks: (delimiter == ' ').then_some(blanks),
        })
    }

    /// Reads on. Nothing comes at the end.
    fn fill(&mut self) -> Result<()> {
        self.plain.clear();
        self.given = 0;
        while self.plain.is_empty() {
            let count = self.from.read(&mut self.raw)?;
            if count == 0 {
                if std::mem::take(&mut self.held) {
                    self.plain.push(b'\r');
                }
                return Ok(());
            }
            if self.is_mac {
                self.raw[..count].iter_mut().filter(|byte| **byte == b'\r').for_each(|byte| *byte = b'\n');
            }
            let raw = &self.raw[..count];
            match &mut self.blanks {
                None if !self.held && !raw.contains(&b'\r') => self.plain.extend_from_slice(raw),
                blanks => {
                    for &byte in raw {
                        if std::mem::take(&mut self.held) && byte != b'\n' {
                            self.plain.push(b'\r');
                        }
                        match (byte, &mut *blanks) {
                            (b'\r', _) => self.held = true,
                            (_, Some(blanks)) => blanks.take(byte, &mut self.plain),
                            (_, None) => self.plain.push(byte),
                        }
                    }
                }
            }
        }
        Ok(())
    }
}

impl Blanks {
    fn take(&mut self, byte: u8, plain: &mut Vec<u8>) {
        match byte {
            b'"' if self.is_quoted => self.is_quoted = false,
            _ if self.is_quoted => {}
            b' ' | b'\t' => {
                self.is_pending = true;
                return;
            }
            b'\n' => (self.is_start, self.is_pending) = (true, false),
            _ => {
                if self.is_pending && !self.is_start {
                    plain.push(b' ');
                }
                self.is_quoted = byte == b'"' && self.quote && (self.is_pending || self.is_start);
                (self.is_start, self.is_pending) = (false, false);
            }
        }
        plain.push(byte);
    }
}

impl Read for Lines {
    fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        if self.given == self.plain.len() {
            self.fill()?;
        }
        let count = (self.plain.len() - self.given).min(into.len());
        into[..count].copy_from_slice(&self.plain[self.given..][..count]);
        self.given += count;
        Ok(count)
    }
}

/// The delimiter that a first line `sep=;` names, as Excel writes it.
pub(super) fn said_delimiter(start: &[u8]) -> Option<char> {
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
    match start.strip_prefix(b"\"").unwrap_or(start) {
        [b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', delimiter, b'\r' | b'\n' | b'"', ..]
            if delimiter.is_ascii() =>
        {
            Some(char::from(*delimiter))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_plain() {
        for (text, delimiter, expected) in [
            ("a,b\r\n1,2\r\n", ',', "a,b\n1,2\n"),
            ("a,b\r1,2\r", ',', "a,b\n1,2\n"),
            ("a,b\n1,x\ry\n", ',', "a,b\n1,x\ry\n"),
            ("a\r\n\"\"\r\n", ',', "a\n\"\"\n"),
            ("\u{feff}a,b\n", ',', "a,b\n"),
            ("sep=;\r\na;b\r\n", ';', "\na;b\n"),
            ("\u{feff}sep=;\na;b\n", ';', "\na;b\n"),
            ("  1   2\t3  \n 4 5 6", ' ', "1 2 3\n4 5 6"),
            ("1 \"a  b\" 2\n", ' ', "1 \"a  b\" 2\n"),
            ("1  2\n", ',', "1  2\n"),
        ] {
            let mut found = String::new();
            let from = Box::new(Cursor::new(text.as_bytes().to_vec()));
            Lines::new(from, delimiter, true).unwrap().read_to_string(&mut found).unwrap();
            assert_eq!(found, expected, "{text:?}");
        }
        // Line ends that fall on the end of a chunk.
        for extra in 0..3 {
            let text = format!("{}\r\nb\r\n", "a".repeat(CHUNK - 2 + extra)).repeat(3);
            let mut found = String::new();
            let from = Box::new(Cursor::new(text.clone().into_bytes()));
            Lines::new(from, ',', true).unwrap().read_to_string(&mut found).unwrap();
            assert!(found == text.replace('\r', ""));
        }
    }
}
