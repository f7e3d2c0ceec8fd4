//! Ranks whose messages an object of Python's carries: `rarefy.comm.Comm` says what it has.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use pyo3::buffer::PyBuffer;
use pyo3::prelude::*;
use pyo3::types::PyByteArray;
use rarefy::distributed::{Comm, Place};
use rarefy::{Error, Result};

use crate::errors::{detached, raised};

/// One of several ranks. The interpreter's lock is taken for a message alone.
#[derive(Debug)]
pub struct Carried {
    carrier: Py<PyAny>,
    rank: usize,
    size: usize,
    /// Of each rank, once they have told.
    places: OnceLock<Vec<Place>>,
    /// Seconds that a message may take.
    timeout: Mutex<f64>,
    /// What the carrier has raised, for whoever returns from the work that it has ended.
    raised: Mutex<Option<PyErr>>,
}

impl Carried {
    /// Meets the other ranks; a message may take so many seconds.
    pub fn join(carrier: &Bound<'_, PyAny>, timeout: f64) -> PyResult<Arc<Carried>> {
        let py = carrier.py();
        let host: String = py.import("socket")?.call_method0("gethostname")?.extract()?;
        let comm = Arc::new(Carried {
            rank: carrier.getattr("rank")?.extract()?,
            size: carrier.getattr("size")?.extract()?,
            carrier: carrier.clone().unbind(),
            places: OnceLock::new(),
            timeout: Mutex::new(timeout),
            raised: Mutex::new(None),
        });
        let places = comm.or_raised(detached(py, || Place::of_all(&*comm, host)))?;
        comm.places.set(places).expect("they are set once");
        Ok(comm)
    }

    /// Says how long a message may take from now on.
    pub fn set_timeout(&self, seconds: f64) {
        *lock(&self.timeout) = seconds;
    }

    /// What came of work with messages: the carrier's own exception, if it is what went wrong.
    pub fn or_raised<T>(&self, result: PyResult<T>) -> PyResult<T> {
        result.map_err(|error| lock(&self.raised).take().unwrap_or(error))
    }

    fn host_of(&self, rank: usize) -> &str {
        self.places.get().map_or("a host that has not told its name yet", |places| &places[rank].host)
    }

    /// What the carrier says to `exchange`.
    fn carry(&self, to: usize, give: &[u8], from: usize, take: &mut [u8]) -> PyResult<()> {
        let timeout = *lock(&self.timeout);
        Python::attach(|py| {
            let to = (!give.is_empty()).then_some(to);
            let source = (!take.is_empty()).then_some(from);
            let arguments = (to, PyByteArray::new(py, give), source, take.len(), timeout);
            let found = self.carrier.bind(py).call_method1("exchange", arguments)?;
            if take.is_empty() {
                return Ok(());
            }
            let found = PyBuffer::<u8>::get(&found)?;
            let length = found.item_count();
            if length != take.len() {
                let problem = format!("has sent {length} bytes where {} belong", take.len());
                return Err(raised(Error::rank(from, self.host_of(from), problem)));
            }
            found.copy_to_slice(py, take)
        })
    }
}

impl Comm for Carried {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn exchange(&self, to: usize, give: &[u8], from: usize, take: &mut [u8]) -> Result<()> {
        self.carry(to, give, from, take).map_err(|error| {
            let peer = if take.is_empty() { to } else { from };
            let failure = Error::rank(peer, self.host_of(peer), error.to_string());
            lock(&self.raised).get_or_insert(error);
            failure
        })
    }

    fn send(&self, to: usize, bytes: &[u8]) -> Result<()> {
        self.exchange(to, &(bytes.len() as u64).to_le_bytes(), to, &mut [])?;
        self.exchange(to, bytes, to, &mut [])
    }

    fn receive(&self, from: Option<usize>) -> Result<(usize, Vec<u8>)> {
        let from = from.ok_or_else(|| {
            let problem =
                "waits for any rank at all, which a comm of Python's cannot: use two ranks, or distributed.exchange = \"local\"";
            Error::rank(self.rank, self.host_of(self.rank), problem)
        })?;
        let mut length = [0; 8];
        self.exchange(from, &[], from, &mut length)?;
        let mut bytes = vec![0; u64::from_le_bytes(length) as usize];
        self.exchange(from, &[], from, &mut bytes)?;
        Ok((from, bytes))
    }

    fn host(&self) -> String {
        self.host_of(self.rank).into()
    }

    fn threads(&self) -> usize {
        self.places.get().map_or(0, |places| places[self.rank].threads)
    }

    fn abort(&self, code: i32) -> ! {
        std::process::exit(code)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
