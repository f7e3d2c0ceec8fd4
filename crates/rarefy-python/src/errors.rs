//! Errors of the library as exceptions of `rarefy._errors`, with their parts as attributes. A panic becomes one too: none crosses
//! into Python.

use std::ffi::CString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, TryLockError};

use pyo3::exceptions::PyUserWarning;
use pyo3::prelude::*;
use rarefy::Error;

/// The exception of a class of `rarefy._errors`.
fn exception<'py>(py: Python<'py>, class: &str, arguments: impl pyo3::call::PyCallArgs<'py>) -> PyErr {
    let made = py.import("rarefy._errors").and_then(|module| module.getattr(class)?.call1(arguments));
    match made {
        Ok(value) => PyErr::from_value(value),
        Err(error) => error,
    }
}

/// The exception for an error of the library.
pub fn raised(error: Error) -> PyErr {
    Python::attach(|py| {
        let message = error.to_string();
        let path = |path: &std::path::Path| path.to_string_lossy().into_owned();
        match error {
            Error::Setting { key, problem } => exception(py, "SettingError", (key, problem)),
            Error::Input(_) => exception(py, "InputError", (message,)),
            Error::Data { path: file, at, .. } => exception(py, "DataError", (message, path(&file), at)),
            Error::Model { path: file, .. } => exception(py, "ModelError", (message, path(&file))),
            Error::Io { path: file, source, .. } => exception(
                py,
                "FileError",
                (format!("{message}: {source}"), path(&file), source.raw_os_error()),
            ),
            Error::Rank { rank, .. } => exception(py, "RankError", (message, rank)),
            Error::Diverged { step, .. } => exception(py, "DivergedError", (message, step)),
            _ => exception(py, "Error", (message,)),
        }
    })
}

/// The exception for something that should not have happened.
pub fn internal(problem: &str) -> PyErr {
    Python::attach(|py| exception(py, "InternalError", (problem,)))
}

/// What is locked for this thread alone; an error where it broke, or where another thread is at work with it.
pub fn locked<'a, T>(held: &'a Mutex<T>, broke: &str, busy: &str) -> PyResult<MutexGuard<'a, T>> {
    held.try_lock().map_err(|error| match error {
        TryLockError::Poisoned(_) => internal(broke),
        TryLockError::WouldBlock => internal(busy),
    })
}

/// What a panic says.
pub fn words_of(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given")
}

/// Warns as `warnings.warn` does.
pub fn warn(py: Python<'_>, message: &str) -> PyResult<()> {
    let message = CString::new(message.replace('\0', " ")).map_err(|error| internal(&error.to_string()))?;
    PyErr::warn(py, &py.get_type::<PyUserWarning>(), &message, 1)
}

/// Does work of the library without holding up other threads of Python.
pub fn detached<R: Send>(py: Python<'_>, work: impl FnOnce() -> rarefy::Result<R> + Send) -> PyResult<R> {
    match py.detach(|| catch_unwind(AssertUnwindSafe(work))) {
        Ok(result) => result.map_err(raised),
        Err(panic) => Err(internal(words_of(&*panic))),
    }
}
