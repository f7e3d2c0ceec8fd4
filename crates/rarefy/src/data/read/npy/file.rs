//! One `.npy` file: a header, then numbers or texts. Format: NEP 1.

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::data::raw::Labels;
use crate::data::read::array::{Array, ArrayHeader, Element, Numbers, Samples};
use crate::data::read::array_in_file;
use crate::data::read::gzip::{self, Opened};
use crate::data::settings::TaskChoice;
use crate::data::span::Shifting;
use crate::data::stream::Streaming;
use crate::{Error, Result};

/// No header of a plain array comes near this.
pub(super) const LONGEST_HEADER: usize = 1 << 16;

/// What stands before the numbers of an array.
struct Header {
    /// NumPy's name of the type of its entries, as in `<f4`.
    kind: String,
    column_major: bool,
    shape: Vec<usize>,
    /// Bytes up to the numbers.
    length: u64,
}

impl Header {
    fn read(path: &Path, from: &mut Opened) -> Result<Header> {
        let not_npy = |why: &str| {
            Error::data(path, format!("is not a sound NPY file: {why}; save it again with numpy.save"))
        };
        let mut take = |bytes: usize| -> Result<Vec<u8>> {
            let mut taken = Vec::with_capacity(bytes);
            from.reader
                .by_ref()
                .take(bytes as u64)
                .read_to_end(&mut taken)
                .map_err(gzip::read_error(path))?;
            if taken.len() < bytes {
                return Err(not_npy("it is cut short inside its header"));
            }
            Ok(taken)
        };
        let start = take(8)?;
        if !start.starts_with(b"\x93NUMPY") {
            return Err(not_npy("it does not start with \\x93NUMPY"));
        }
        let (length, seen) = match start[6] {
            1 => (take(2)?.iter().rev().fold(0, |length, &byte| length << 8 | usize::from(byte)), 10),
            2 | 3 => (take(4)?.iter().rev().fold(0, |length, &byte| length << 8 | usize::from(byte)), 12),
            version => return Err(not_npy(&format!("its version {version} is unknown"))),
        };
        if length > LONGEST_HEADER {
            return Err(not_npy("its header is too long"));
        }
        let header = String::from_utf8(take(length)?).map_err(|_| not_npy("its header is not text"))?;
        let after = |key: &str| {
            let (_, rest) =
                header.split_once(key).ok_or_else(|| not_npy(&format!("its header lacks {key}")))?;
            Ok(rest.trim_start().trim_start_matches(':').trim_start())
        };
        let kind = after("'descr'")?.strip_prefix('\'').and_then(|rest| rest.split_once('\''));
        let kind = kind.map_or("of a compound type", |(kind, _)| kind).to_string();
        let column_major = after("'fortran_order'")?.starts_with("True");
        let shape = after("'shape'")?.strip_prefix('(').and_then(|rest| rest.split_once(')'));
        let shape: Option<Vec<usize>> = shape.and_then(|(sizes, _)| {
            let sizes = sizes.split(',').map(str::trim).filter(|size| !size.is_empty());
            sizes.map(|size| size.parse().ok()).collect()
        });
        let shape = shape.ok_or_else(|| not_npy("its shape cannot be read"))?;
        Ok(Header { kind, column_major, shape, length: seen + length as u64 })
    }

    /// What it says, if numbers follow it.
    fn of_numbers(self, path: &Path) -> Result<(ArrayHeader, bool)> {
        let (element, big_endian) = element(&self.kind).ok_or_else(|| {
            let kind = &self.kind;
            Error::data(path, format!("its numbers are {kind}; save them as one of the types bool, int8 to int64, uint8 to uint64, float16, float32, float64, as in array.astype(\"float32\")"))
        })?;
        if self.column_major && self.shape.len() > 2 {
            return Err(Error::data(
                path,
                "is in Fortran order with more than two dimensions; save numpy.ascontiguousarray(array)",
            ));
        }
        let is_by_columns = self.column_major && self.shape.len() == 2;
        Ok((ArrayHeader { length: self.length, shape: self.shape, element, big_endian }, is_by_columns))
    }

    /// The array of numbers after this header.
    fn numbers(self, path: &Path, from: Opened) -> Result<Array> {
        let (header, is_by_columns) = self.of_numbers(path)?;
        let array = Array::read(path, from, header)?;
        Ok(if is_by_columns { array.into_row_major() } else { array })
    }

    /// For texts, how many bytes each has and whether these are characters of 4 bytes; none for numbers.
    fn text(&self) -> Option<(usize, bool)> {
        let count: usize = self.kind.get(2..)?.parse().ok()?;
        match self.kind.get(1..2)? {
            "S" => Some((count, false)),
            "U" => Some((count.checked_mul(4)?, true)),
            _ => None,
        }
    }
}

pub(super) fn read_array(path: &Path, mut from: Opened) -> Result<Array> {
    Header::read(path, &mut from)?.numbers(path, from)
}

/// The numbers of an array, one after the other.
pub(super) fn numbers(at: PathBuf, mut from: Opened<'_>) -> Result<Numbers<'_>> {
    let (header, _) = Header::read(&at, &mut from)?.of_numbers(&at)?;
    Numbers::new(at, from, header)
}

/// Features that lie `at` a place of a path, in memory or where they are.
pub(super) fn read_features(
    path: &Path,
    (at, mut from): (&Path, Opened),
    shifting: &Shifting,
    streaming: Option<&Streaming>,
) -> Result<Samples> {
    let header = Header::read(at, &mut from)?;
    let note = channels_first(&header.shape);
    let mut samples = match streaming {
        None => header.numbers(at, from)?.into_features(path, shifting)?,
        Some(streaming) => streamed(at, from, header, shifting, streaming)?,
    };
    samples.notes.extend(note);
    Ok(samples)
}

/// A note where images seem to have their channels first, for they are read as if these came last.
fn channels_first(shape: &[usize]) -> Option<String> {
    let &[_, first, middle, last] = shape else { return None };
    let seems = matches!(first, 1 | 3 | 4) && !matches!(last, 1 | 3 | 4) && middle.min(last) > first;
    seems.then(|| {
        format!(
            "samples of the shape [{first}, {middle}, {last}] are read as {first} high, {middle} wide, {last} channels; if channels come first save x.transpose(0, 2, 3, 1)"
        )
    })
}

fn streamed(
    at: &Path,
    from: Opened,
    header: Header,
    shifting: &Shifting,
    streaming: &Streaming,
) -> Result<Samples> {
    let (header, is_by_columns) = header.of_numbers(at)?;
    if is_by_columns && header.shape[1] > 1 {
        let problem = "is in Fortran order, in which a sample lies in pieces; save numpy.ascontiguousarray(array), or leave data.memory out";
        return Err(Error::data(at, problem));
    }
    array_in_file::samples(at, from, header, shifting, streaming)
}

/// Reads labels, numbers or texts.
pub(super) fn read_labels(path: &Path, mut from: Opened, samples: usize, task: TaskChoice) -> Result<Labels> {
    let header = Header::read(path, &mut from)?;
    let Some((width, is_wide)) = header.text() else {
        if header.kind == "|O" {
            let problem = "its labels are Python objects; save them as texts or numbers, as in y.astype(str)";
            return Err(Error::data(path, problem));
        }
        return header.numbers(path, from)?.into_labels(path, samples, task);
    };
    let ([found] | [found, 1]) = header.shape[..] else {
        let problem =
            format!("texts as labels need one dimension, this array has the shape {:?}", header.shape);
        return Err(Error::data(path, problem));
    };
    if found != samples {
        let problem =
            format!("holds {found} labels for {samples} samples; the two files do not belong together");
        return Err(Error::data(path, problem));
    }
    let big_endian = header.kind.starts_with('>');
    let (length, shape) = (header.length, vec![samples, width]);
    let bytes = ArrayHeader { length, shape, element: Element::U8, big_endian: false };
    let array = Array::read(path, from, bytes)?;
    let word = |(sample, bytes): (usize, &[u8])| {
        let wrong = |problem| Error::data_at(path, format!("sample {}", sample + 1), problem);
        let word = if is_wide {
            wide_text(bytes, big_endian)
        } else {
            std::str::from_utf8(bytes).ok().map(String::from)
        };
        let word = word.ok_or_else(|| wrong("its label is no text; save the array again"))?;
        // What is shorter than the longest is filled up with zeros.
        match word.trim_end_matches('\0') {
            "" => Err(wrong("its label is empty; fill it in, or remove the sample")),
            word => Ok(word.to_string()),
        }
    };
    array.bytes().chunks_exact(width).enumerate().map(word).collect::<Result<_>>().map(Labels::of_words)
}

/// Text of 4 bytes a character.
fn wide_text(bytes: &[u8], big_endian: bool) -> Option<String> {
    let (characters, _) = bytes.as_chunks::<4>();
    let read = if big_endian { u32::from_be_bytes } else { u32::from_le_bytes };
    characters.iter().map(|&character| char::from_u32(read(character))).collect()
}

/// The type and byte order that a NumPy type string such as `<f4` names.
fn element(kind: &str) -> Option<(Element, bool)> {
    let element = match kind.get(1..)? {
        "b1" | "u1" => Element::U8,
        "i1" => Element::I8,
        "u2" => Element::U16,
        "i2" => Element::I16,
        "u4" => Element::U32,
        "i4" => Element::I32,
        "u8" => Element::U64,
        "i8" => Element::I64,
        "f2" => Element::F16,
        "f4" => Element::F32,
        "f8" => Element::F64,
        _ => return None,
    };
    Some((element, kind.starts_with('>')))
}
