//! Reads what batches to come will take, a window of batches in advance, in a thread of its own: while one window is trained on
//! the next one is read, so two are in memory.

use std::sync::Arc;
use std::thread::JoinHandle;

use super::in_file::InFile;
use super::records::{Held, Records};
use crate::{Error, Result};

/// The windows of an epoch.
pub(crate) struct Ahead {
    records: Arc<Records>,
    rows: Arc<[u32]>,
    /// Batches of a window.
    batches: usize,
    /// The window that is held.
    at: Option<usize>,
    next: Option<JoinHandle<Result<Held>>>,
}

impl Ahead {
    pub(crate) fn new(samples: InFile<'_>, batches: usize) -> Ahead {
        let (records, rows) = (samples.records.clone(), samples.rows.clone());
        Ahead { records, rows, batches, at: None, next: None }
    }

    /// To be called before batch `batch` is filled, each time for the same or the next one; `samples` says what this process takes
    /// for a batch, nothing for one after the last.
    pub(crate) fn reach<'a>(&mut self, batch: usize, samples: impl Fn(usize) -> &'a [usize]) {
        let window = batch / self.batches;
        if self.at == Some(window) {
            return;
        }
        let of = |window: usize| {
            let batches = window * self.batches..(window + 1) * self.batches;
            let mut records: Vec<u32> = batches.flat_map(&samples).map(|&sample| self.rows[sample]).collect();
            records.sort_unstable();
            records
        };
        let records = self.records.clone();
        let read = match self.next.take() {
            Some(thread) => thread.join().expect("reading does not panic"),
            None => records.read_some(of(window)),
        };
        hold(&records, read);
        self.at = Some(window);
        let next = of(window + 1);
        if !next.is_empty() {
            let thread = std::thread::Builder::new().name("read-ahead".into());
            match thread.spawn(move || records.read_some(next)) {
                Ok(thread) => self.next = Some(thread),
                Err(error) => {
                    self.records.keep(Error::io("read-ahead".as_ref(), "cannot start a thread")(error));
                }
            }
        }
    }
}

fn hold(records: &Arc<Records>, read: Result<Held>) {
    match read {
        Ok(held) => records.hold(held),
        Err(error) => records.keep(error),
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        if let Some(thread) = self.next.take() {
            // What it has read is wanted no more.
            thread.join().ok();
        }
        self.records.hold(Held::default());
    }
}
