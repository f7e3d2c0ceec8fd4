//! Long work beside a Python that listens: the work goes on in a thread of its own, while the thread that called for it tells the
//! listener what happens and looks for Ctrl-C, some twenty times a second. The work waits for the listener's answer: one that stops
//! it stops it there, however fast it goes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pyo3::call::PyCallArgs;
use pyo3::prelude::*;
use rarefy::Control;

use crate::errors::{internal, raised, words_of};

/// How long a Ctrl-C may wait.
const PAUSE: Duration = Duration::from_millis(50);

/// What the work says of itself to `E`'s listener.
pub struct Teller<'a, E> {
    events: Sender<E>,
    answers: Mutex<Receiver<()>>,
    is_stopped: &'a AtomicBool,
}

impl<E> Teller<'_, E> {
    /// Tells, and waits for the answer, which [`control`](Teller::control) knows then.
    pub fn tell(&self, event: E) {
        if self.events.send(event).is_ok() {
            // Whoever has received it answers, or has panicked.
            let _ = self.answers.lock().unwrap_or_else(PoisonError::into_inner).recv();
        }
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

/// Tells a listener of Python, if there is one, and asks whether to stop.
pub fn tell<'py>(
    py: Python<'py>,
    listen: Option<&Py<PyAny>>,
    arguments: impl PyCallArgs<'py>,
) -> PyResult<bool> {
    match listen {
        Some(listen) => listen.call1(py, arguments)?.is_truthy(py),
        None => Ok(false),
    }
}

/// Does the work and calls `listen` with what it tells, in the calling thread. A listener that returns true stops the work.
pub fn watched<E: Send, R: Send>(
    py: Python<'_>,
    mut listen: impl FnMut(Python<'_>, E) -> PyResult<bool> + Send,
    work: impl FnOnce(&Teller<'_, E>) -> rarefy::Result<R> + Send,
) -> PyResult<Watched<R>> {
    let is_stopped = AtomicBool::new(false);
    let (events, received) = channel();
    let (answer, answers) = channel();
    let mut stopped_by = None;
    let result = py.detach(|| {
        // The channels' ends move in: they are not shared.
        let (received, answer, answers) = (received, answer, answers);
        std::thread::scope(|scope| {
            let teller = Teller { events, answers: Mutex::new(answers), is_stopped: &is_stopped };
            let work = scope.spawn(move || work(&teller));
            loop {
                let event = received.recv_timeout(PAUSE);
                if matches!(event, Err(RecvTimeoutError::Disconnected)) {
                    break;
                }
                let is_asked = event.is_ok();
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
                if is_asked {
                    let _ = answer.send(());
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
