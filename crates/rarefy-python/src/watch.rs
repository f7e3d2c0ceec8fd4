//! Long work beside a Python that listens: the work goes on in a thread of its own, while the thread that called for it tells the
//! watcher what happens and looks for Ctrl-C, some twenty times a second.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use pyo3::prelude::*;
use rarefy::Control;

use crate::errors::{internal, raised, words_of};

/// How long a Ctrl-C may wait.
const PAUSE: Duration = Duration::from_millis(50);

/// What the work says of itself to `E`'s listener.
pub struct Teller<'a, E> {
    events: Sender<E>,
    is_stopped: &'a AtomicBool,
}

impl<E> Teller<'_, E> {
    /// Tells.
    pub fn tell(&self, event: E) {
        // Nobody listens any more where the caller was stopped by a signal of its own.
        let _ = self.events.send(event);
    }

    /// Whether to go on.
    pub fn control(&self) -> Control {
        if self.is_stopped.load(Ordering::Relaxed) { Control::Stop } else { Control::Continue }
    }
}

/// What came of the work, and what stopped it early: an exception of the listener, or `KeyboardInterrupt`.
pub struct Watched<R> {
    pub result: R,
    pub stopped_by: Option<PyErr>,
}

/// Does the work and calls `listen` with what it tells, in the calling thread. A listener that returns true stops the work.
pub fn watched<E: Send, R: Send>(
    py: Python<'_>,
    mut listen: impl FnMut(Python<'_>, E) -> PyResult<bool> + Send,
    work: impl FnOnce(&Teller<'_, E>) -> rarefy::Result<R> + Send,
) -> PyResult<Watched<R>> {
    let is_stopped = AtomicBool::new(false);
    let (events, received) = channel();
    let mut stopped_by = None;
    let result = py.detach(|| {
        // The channel's end moves in: it is not shared.
        let received = received;
        std::thread::scope(|scope| {
            let teller = Teller { events, is_stopped: &is_stopped };
            let work = scope.spawn(move || work(&teller));
            loop {
                let event = received.recv_timeout(PAUSE);
                if matches!(event, Err(RecvTimeoutError::Disconnected)) {
                    break;
                }
                let told = Python::attach(|py| {
                    py.check_signals()?;
                    event.map_or(
                        Ok(false),
                        |event| if stopped_by.is_none() { listen(py, event) } else { Ok(true) },
                    )
                });
                if !matches!(told, Ok(false)) {
                    is_stopped.store(true, Ordering::Relaxed);
                }
                if let Err(error) = told {
                    stopped_by.get_or_insert(error);
                }
            }
            work.join()
        })
    });
    match result {
        Ok(result) => Ok(Watched { result: result.map_err(raised)?, stopped_by }),
        Err(panic) => Err(internal(words_of(&*panic))),
    }
}
