//! Arrays that stay on the disk (`data.memory`). They are gone through once, to check their numbers and to know what is to be known of
//! all of them; after that samples are read when they are wanted. What is packed is unpacked into a scratch file on the way.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use super::array::{ArrayHeader, Samples, bytes_of, cut_short, goes_on, layout, not_finite};
use super::gzip::{Opened, read_error};
use crate::data::raw::Cells;
use crate::data::span::{Shift, Shifting, Span, reader};
use crate::data::stream::{Decode, FileCells, Places, Records, Scratch, Streaming, Unchanged, hash};
use crate::{Error, Result};

/// Bytes that are looked at together.
const BLOCK: usize = 1 << 20;

/// What is known of the numbers that were looked at.
struct Survey {
    header: ArrayHeader,
    width: usize,
    /// What each column spans, where `f32` cannot hold all numbers.
    spans: Vec<Span>,
    seen: usize,
    gaps: usize,
    first_gap: Option<usize>,
    /// The first number that is not finite.
    infinite: Option<(usize, f32)>,
}

/// The samples of an array whose numbers follow in `from`.
pub(super) fn samples(
    path: &Path,
    mut from: Opened,
    header: ArrayHeader,
    shifting: &Shifting,
    streaming: &Streaming,
) -> Result<Samples> {
    let expected = bytes_of(path, &header.shape, header.element, from.at_most.saturating_sub(header.length))?;
    let shape = layout(path, &header.shape, header.element)?;
    let (count, width) = (header.shape[0], shape.features());
    let size = width * header.element.size();
    let plain = from.is_plain.then(|| open(path)).transpose()?;
    let mut scratch = if plain.is_none() { Some(Scratch::new(streaming)?) } else { None };
    let spans = vec![Span::default(); if header.element.is_wide() { width } else { 0 }];
    let (first, is_bytes) = (header.length, header.element.is_byte());
    let mut survey = Survey { header, width, spans, seen: 0, gaps: 0, first_gap: None, infinite: None };
    let (mut block, mut content, mut done) = (Vec::new(), 0, 0);
    while done < expected {
        block.clear();
        let most = BLOCK.next_multiple_of(size).min(expected - done);
        from.reader.by_ref().take(most as u64).read_to_end(&mut block).map_err(read_error(path))?;
        done += block.len();
        if block.len() < most {
            return Err(cut_short(path, done, expected));
        }
        content = hash(content, &block);
        if let Some(scratch) = &mut scratch {
            scratch.write(&block)?;
        }
        if !is_bytes {
            survey.add(&block);
        }
        if let Some((at, number)) = survey.infinite {
            return Err(not_finite(path, at, width, number));
        }
    }
    if from.reader.read(&mut [0]).map_err(read_error(path))? > 0 {
        return Err(goes_on(path, expected));
    }
    let records = match (scratch, plain) {
        (Some(scratch), _) => scratch.into_records(Places::Equal { first: 0, size, count })?,
        (None, Some((file, unchanged))) => {
            let places = Places::Equal { first, size, count };
            Records::new(path, file, places, Some(unchanged), content)?
        }
        (None, None) => unreachable!("what is not plain has a scratch file"),
    };
    let Survey { header, spans, gaps, first_gap, .. } = survey;
    let shifts = shifting.shifts(&spans);
    let close = (0..).zip(&spans).filter_map(|(at, span)| span.close(at)).collect();
    let cells = Cells::Streamed(FileCells {
        records: Arc::new(records),
        decode: decode(header, shifts.clone(), width),
        width,
        are_bytes: is_bytes,
        gap: first_gap,
    });
    Ok(Samples { shifts, close, gaps, ..Samples::plain(cells, shape) })
}

impl Survey {
    fn add(&mut self, block: &[u8]) {
        let (mut at, mut column) = (self.seen, self.seen % self.width);
        let ArrayHeader { element, big_endian, .. } = self.header;
        element.each(big_endian, block, |number| {
            if let Some(span) = self.spans.get_mut(column) {
                span.add(number);
            }
            let number = number as f32;
            if !number.is_finite() {
                if number.is_nan() {
                    self.gaps += 1;
                    self.first_gap.get_or_insert(at / self.width);
                } else {
                    self.infinite.get_or_insert((at, number));
                }
            }
            at += 1;
            column = if column + 1 == self.width { 0 } else { column + 1 };
        });
        self.seen = at;
    }
}

/// A file, and what it is to stay.
fn open(path: &Path) -> Result<(File, Unchanged)> {
    let file = File::open(path).map_err(Error::io(path, "cannot open"))?;
    let unchanged = Unchanged::of(path, &file)?;
    Ok((file, unchanged))
}

/// How the bytes of a sample become numbers.
fn decode(ArrayHeader { element, big_endian, .. }: ArrayHeader, shifts: Vec<Shift>, width: usize) -> Decode {
    Arc::new(move |bytes, out| {
        let mut out = out.iter_mut();
        let mut take = |number: f32| *out.next().expect("a number for each column") = number;
        if shifts.is_empty() {
            return element.each(big_endian, bytes, |number| take(number as f32));
        }
        let mut read = reader(&shifts, width);
        element.each(big_endian, bytes, |number| take(read(number)));
    })
}
