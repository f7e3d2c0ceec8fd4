//! What can be read but once: standard input, called `-`, and pipes such as /dev/stdin or what a shell makes of `<(...)`. A file is
//! opened several times on its way to samples, so the bytes of these are read once and held until the samples are read. Standard
//! input belongs to the whole process, and so does what was read of it.

use std::collections::HashMap;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Error, Result};

/// What standard input is called.
pub(crate) const STANDARD_INPUT: &str = "-";

static HELD: Mutex<Option<HashMap<PathBuf, Arc<[u8]>>>> = Mutex::new(None);

fn held() -> MutexGuard<'static, Option<HashMap<PathBuf, Arc<[u8]>>>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a path leads to what can be read but once.
pub(super) fn is_pipe(path: &Path) -> bool {
    path == Path::new(STANDARD_INPUT) || is_named_pipe(path)
}

#[cfg(unix)]
fn is_named_pipe(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    std::fs::metadata(path).is_ok_and(|about| about.file_type().is_fifo())
}

#[cfg(not(unix))]
fn is_named_pipe(_: &Path) -> bool {
    false
}

/// The bytes of a pipe; nothing for a path that leads to none.
///
/// # Errors
/// A pipe that cannot be read, or a terminal in its place.
pub(super) fn bytes(path: &Path) -> Result<Option<Arc<[u8]>>> {
    if !is_pipe(path) {
        return Ok(None);
    }
    let mut held = held();
    let held = held.get_or_insert_default();
    if let Some(bytes) = held.get(path) {
        return Ok(Some(bytes.clone()));
    }
    let failed = Error::io(path, "cannot read");
    let mut bytes = Vec::new();
    if path == Path::new(STANDARD_INPUT) {
        let mut input = std::io::stdin().lock();
        if input.is_terminal() {
            return Err(Error::data(path, "is a terminal; pipe the data into it, or give a file"));
        }
        input.read_to_end(&mut bytes).map_err(failed)?;
    } else {
        bytes = std::fs::read(path).map_err(failed)?;
    }
    let bytes: Arc<[u8]> = bytes.into();
    held.insert(path.to_path_buf(), bytes.clone());
    Ok(Some(bytes))
}

/// Gives the memory of a pipe's bytes back. Whoever reads it again finds its end.
pub(super) fn forget(path: &Path) {
    if let Some(held) = held().as_mut() {
        held.remove(path);
    }
}
