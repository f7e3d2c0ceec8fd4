//! A file of records, one for each sample, which are read in any order. Who reads has no way to return an error, in
//! the middle of a batch: the first is kept until someone asks for it.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::SystemTime;

use crate::{Error, Result};

/// Bytes that are read though nobody wants them, for one long read is quicker than two.
const GAP: u64 = 1 << 16;
/// Bytes of one read.
const BLOCK: u64 = 1 << 20;

/// The records.
pub(crate) struct Records {
    path: PathBuf,
    file: File,
    places: Places,
    /// What a file of the user's must stay.
    unchanged: Option<Unchanged>,
    /// Tells these bytes from others.
    content: u64,
    held: RwLock<Arc<Held>>,
    failure: Mutex<Option<Error>>,
}

/// Where records lie, one after the other.
pub(crate) enum Places {
    /// `count` of `size` bytes each, from byte `first` on.
    Equal { first: u64, size: usize, count: usize },
    /// From the start of the file up to these bytes.
    Ends(Vec<u64>),
}

impl Places {
    fn count(&self) -> usize {
        match self {
            Places::Equal { count, .. } => *count,
            Places::Ends(ends) => ends.len(),
        }
    }

    /// The bytes of all.
    fn bytes(&self) -> u64 {
        match self {
            Places::Equal { size, count, .. } => *size as u64 * *count as u64,
            Places::Ends(ends) => ends.last().copied().unwrap_or(0),
        }
    }

    /// The bytes of one.
    fn of(&self, record: u32) -> Range<u64> {
        let record = record as usize;
        match self {
            Places::Equal { first, size, .. } => {
                let (start, size) = (first + record as u64 * *size as u64, *size as u64);
                start..start + size
            }
            Places::Ends(ends) => record.checked_sub(1).map_or(0, |before| ends[before])..ends[record],
        }
    }
}

fn length(range: &Range<u64>) -> usize {
    (range.end - range.start) as usize
}

/// How long a file is and when it was changed last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unchanged {
    length: u64,
    time: Option<SystemTime>,
}

impl Unchanged {
    pub(crate) fn of(path: &Path, file: &File) -> Result<Unchanged> {
        let about = file.metadata().map_err(Error::io(path, "cannot read"))?;
        Ok(Unchanged { length: about.len(), time: about.modified().ok() })
    }
}

/// Records in memory.
#[derive(Default)]
pub(crate) struct Held {
    /// Which ones, sorted.
    records: Vec<u32>,
    /// Where each of them begins in `bytes`, and then where the last one ends.
    starts: Vec<usize>,
    bytes: Vec<u8>,
}

impl Held {
    pub(super) fn find(&self, record: u32) -> Option<&[u8]> {
        let place = self.records.binary_search(&record).ok()?;
        Some(&self.bytes[self.starts[place]..self.starts[place + 1]])
    }
}

impl std::fmt::Debug for Records {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Records").field("samples", &self.len()).finish_non_exhaustive()
    }
}

impl Records {
    /// The records of a file, `content` being a hash of them.
    pub(crate) fn new(
        path: &Path,
        file: File,
        places: Places,
        unchanged: Option<Unchanged>,
        content: u64,
    ) -> Result<Records> {
        let count = places.count();
        if count > u32::MAX as usize {
            return Err(Error::data(
                path,
                format!("holds {count} samples; more than {} are too many", u32::MAX),
            ));
        }
        let (held, failure) = (RwLock::default(), Mutex::default());
        Ok(Records { path: path.to_path_buf(), file, places, unchanged, content, held, failure })
    }

    pub(crate) fn len(&self) -> usize {
        self.places.count()
    }

    /// The bytes of a record.
    pub(super) fn length(&self, record: u32) -> usize {
        length(&self.places.of(record))
    }

    /// Bytes that a record takes in memory, on average.
    pub(super) fn held_size(&self) -> usize {
        let beside = size_of::<u32>() + size_of::<usize>();
        self.places.bytes().div_ceil(self.len().max(1) as u64) as usize + beside
    }

    /// The same number for the same bytes.
    pub(super) fn content(&self) -> u64 {
        self.content
    }

    /// Reads one, or zeros if that fails.
    pub(super) fn read(&self, record: u32, out: &mut Vec<u8>) {
        let place = self.places.of(record);
        out.resize(length(&place), 0);
        if let Err(error) = self.read_at(place.start, out) {
            out.fill(0);
            self.keep(error);
        }
    }

    /// Reads some, which are sorted.
    pub(super) fn read_some(&self, records: Vec<u32>) -> Result<Held> {
        self.check_unchanged()?;
        let mut starts = vec![0];
        let mut end = 0;
        starts.extend(records.iter().map(|&record| {
            end += length(&self.places.of(record));
            end
        }));
        let mut bytes = vec![0; end];
        let mut block = Vec::new();
        let mut start = 0;
        while let Some(&first) = records.get(start) {
            let begin = self.places.of(first).start;
            let follows = |pair: &[u32]| {
                let (this, next) = (self.places.of(pair[0]), self.places.of(pair[1]));
                next.start - this.end <= GAP && next.end - begin <= BLOCK
            };
            let run = 1 + records[start..].windows(2).take_while(|pair| follows(pair)).count();
            let span = begin..self.places.of(records[start + run - 1]).end;
            let out = &mut bytes[starts[start]..starts[start + run]];
            if length(&span) == out.len() {
                self.read_at(begin, out)?;
            } else {
                block.resize(length(&span), 0);
                self.read_at(begin, &mut block)?;
                let mut rest = out;
                for &record in &records[start..start + run] {
                    let place = self.places.of(record);
                    let (this, others) = rest.split_at_mut(length(&place));
                    this.copy_from_slice(&block[(place.start - begin) as usize..][..this.len()]);
                    rest = others;
                }
            }
            start += run;
        }
        Ok(Held { records, starts, bytes })
    }

    /// Holds these in place of those that were held.
    pub(super) fn hold(&self, held: Held) {
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(held);
    }

    /// Those that are held.
    pub(super) fn held(&self) -> Arc<Held> {
        self.held.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps an error for whoever asks.
    pub(super) fn keep(&self, error: Error) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    /// What has failed, if anything has.
    ///
    /// # Errors
    /// That.
    pub(crate) fn check(&self) -> Result<()> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take().map_or(Ok(()), Err)
    }

    fn check_unchanged(&self) -> Result<()> {
        match self.unchanged {
            Some(before) if Unchanged::of(&self.path, &self.file)? != before => {
                let problem = "has changed while samples were read from it; start again, with a file that stays as it is";
                Err(Error::data(&self.path, problem))
            }
            _ => Ok(()),
        }
    }

    fn read_at(&self, at: u64, out: &mut [u8]) -> Result<()> {
        read_exact_at(&self.file, out, at).map_err(Error::io(&self.path, "cannot read"))
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, out: &mut [u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, out, at)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut out: &mut [u8], mut at: u64) -> io::Result<()> {
    while !out.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, out, at)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => (out, at) = (&mut out[count..], at + count as u64),
        }
    }
    Ok(())
}
