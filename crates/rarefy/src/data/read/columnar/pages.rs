//! What the pages of a Parquet file promise. A column is a run of pages, each a header and its bytes, packed or not. The crate
//! makes room for what a header promises before it unpacks, so all promises are looked at first: a page becomes at most as many
//! times its bytes as its packing can shrink, and a dictionary has no more values than it has bytes.
//!
//! A header is a struct of the compact protocol of Thrift: fields, each a byte (how much larger its number is than that of the
//! field before, and its type) and what it holds. Formats: "Thrift compact protocol encoding", `parquet.thrift`.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, copy, sink};

use parquet::basic::Compression;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};

use super::messages::{FREE, MOST_SHRUNK as ZSTD};
use crate::data::read::gzip::MOST_SHRUNK as GZIP;

/// How much longer unpacked bytes can be than packed ones: a copy of 64 bytes takes 3 in Snappy, and each 255 of one take 1 in LZ4.
const SNAPPY: u64 = 22;
const LZ4: u64 = 256;

/// Structs within structs; `parquet.thrift` has five.
const DEEPEST: u8 = 16;

/// What is wrong, in words.
type Found<T> = Result<T, String>;

/// Checks the pages of the columns that will be read.
///
/// # Errors
/// What they promise and the file cannot hold.
pub(super) fn check(file: File, about: &ParquetMetaData, is_read: impl Fn(usize) -> bool) -> Found<()> {
    let length = file.metadata().map_err(|error| error.to_string())?.len();
    let mut file = BufReader::new(file);
    for group in about.row_groups() {
        for (_, column) in group.columns().iter().enumerate().filter(|(place, _)| is_read(*place)) {
            check_column(&mut file, length, column)?;
        }
    }
    Ok(())
}

fn check_column(file: &mut BufReader<File>, length: u64, column: &ColumnChunkMetaData) -> Found<()> {
    let start = column.dictionary_page_offset().unwrap_or(column.data_page_offset());
    let place = u64::try_from(start).ok().zip(u64::try_from(column.compressed_size()).ok());
    let Some((start, size)) = place.filter(|&(start, size)| start <= length && size <= length - start) else {
        return Err("a column lies beyond the end of the file".into());
    };
    let most_shrunk = match column.compression() {
        Compression::UNCOMPRESSED => 1,
        Compression::SNAPPY => SNAPPY,
        Compression::GZIP(_) => GZIP,
        Compression::LZ4 | Compression::LZ4_RAW => LZ4,
        _ => ZSTD,
    };
    file.seek(SeekFrom::Start(start)).map_err(|error| error.to_string())?;
    let mut left = size;
    while left > 0 {
        let mut header = Thrift { bytes: file.by_ref().take(left) };
        let page = header.page()?;
        left = header.bytes.limit();
        if page.packed > left {
            return Err("a page promises more than the file holds".into());
        }
        if page.unpacked > FREE.max(page.packed.saturating_mul(most_shrunk)) {
            return Err("a page promises to become more than it can".into());
        }
        if page.dictionary > page.packed.max(page.unpacked) {
            return Err("a dictionary promises more values than it has bytes".into());
        }
        left -= page.packed;
        file.seek_relative(page.packed as i64).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// What the header of a page says of its size.
#[derive(Default)]
struct Page {
    unpacked: u64,
    packed: u64,
    /// Values, where the page is a dictionary.
    dictionary: u64,
}

/// Bytes of the compact protocol.
struct Thrift<R> {
    bytes: R,
}

/// Types of fields.
const TRUE: u8 = 1;
const FALSE: u8 = 2;
const I32: u8 = 5;
const STRUCT: u8 = 12;

impl<R: Read> Thrift<R> {
    fn page(&mut self) -> Found<Page> {
        let (mut page, mut last) = (Page::default(), 0);
        while let Some(kind) = self.field(&mut last)? {
            match (last, kind) {
                (2, I32) => page.unpacked = self.size()?,
                (3, I32) => page.packed = self.size()?,
                (7, STRUCT) => {
                    let mut last = 0;
                    while let Some(kind) = self.field(&mut last)? {
                        match (last, kind) {
                            (1, I32) => page.dictionary = self.size()?,
                            _ => self.skip(kind, 0)?,
                        }
                    }
                }
                _ => self.skip(kind, 0)?,
            }
        }
        Ok(page)
    }

    /// The type of the next field, whose number is then in `last`; `None` at the end of a struct.
    fn field(&mut self, last: &mut i64) -> Found<Option<u8>> {
        let byte = self.byte()?;
        if byte == 0 {
            return Ok(None);
        }
        *last = match byte >> 4 {
            0 => self.number()?,
            more => last.saturating_add(more.into()),
        };
        Ok(Some(byte & 0xf))
    }

    fn skip(&mut self, kind: u8, depth: u8) -> Found<()> {
        if depth > DEEPEST {
            return Err(BROKEN.into());
        }
        match kind {
            TRUE | FALSE => {}
            3 => drop(self.byte()?),
            4..=6 => drop(self.varint()?),
            7 => self.pass(8)?,
            8 => {
                let length = self.varint()?;
                self.pass(length)?;
            }
            9 | 10 => {
                let head = self.byte()?;
                let count = match head >> 4 {
                    15 => self.varint()?,
                    count => count.into(),
                };
                for _ in 0..count {
                    self.skip_element(head & 0xf, depth)?;
                }
            }
            11 => {
                let count = self.varint()?;
                let kinds = if count > 0 { self.byte()? } else { 0 };
                for _ in 0..count {
                    self.skip_element(kinds >> 4, depth)?;
                    self.skip_element(kinds & 0xf, depth)?;
                }
            }
            STRUCT => {
                let mut last = 0;
                while let Some(kind) = self.field(&mut last)? {
                    self.skip(kind, depth + 1)?;
                }
            }
            _ => return Err(BROKEN.into()),
        }
        Ok(())
    }

    /// In a list a boolean takes a byte; in a struct its type says what it is.
    fn skip_element(&mut self, kind: u8, depth: u8) -> Found<()> {
        match kind {
            TRUE | FALSE => self.byte().map(drop),
            _ => self.skip(kind, depth + 1),
        }
    }

    fn size(&mut self) -> Found<u64> {
        u64::try_from(self.number()?).map_err(|_| BROKEN.into())
    }

    /// A number with a sign, which stands in its last bit.
    fn number(&mut self) -> Found<i64> {
        let bits = self.varint()?;
        Ok((bits >> 1) as i64 ^ -((bits & 1) as i64))
    }

    /// Seven bits in each byte, the last first.
    fn varint(&mut self) -> Found<u64> {
        let mut bits = 0;
        for place in 0..10 {
            let byte = self.byte()?;
            bits |= u64::from(byte & 0x7f) << (7 * place);
            if byte < 0x80 {
                return Ok(bits);
            }
        }
        Err(BROKEN.into())
    }

    fn byte(&mut self) -> Found<u8> {
        let mut byte = [0];
        self.bytes.read_exact(&mut byte).map_err(|_| BROKEN)?;
        Ok(byte[0])
    }

    fn pass(&mut self, count: u64) -> Found<()> {
        let passed = copy(&mut self.bytes.by_ref().take(count), &mut sink());
        if passed.is_ok_and(|passed| passed == count) { Ok(()) } else { Err(BROKEN.into()) }
    }
}

const BROKEN: &str = "the header of a page is broken";
