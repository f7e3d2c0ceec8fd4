//! Reads many files at once, in a fixed order. A file that cannot be read ends it, or, if the user said so, is left
//! out and reported.

use rayon::prelude::*;

use super::listing::{Kind, other_kind};
use crate::data::raw::{LabelledFile, SkippedFile};
use crate::data::reading::Broken;
use crate::{Error, Result};

/// What could be read.
#[derive(Debug)]
pub(crate) struct Kept<T> {
    /// The files, in the order in which they were given.
    pub files: Vec<LabelledFile>,
    /// What each of them held.
    pub contents: Vec<T>,
    /// The files that were left out, each with what is wrong with it.
    pub skipped: Vec<SkippedFile>,
}

/// Files that are read at once.
const TOGETHER: usize = 256;

/// Reads each file with `read`, on all threads; the result does not depend on their number. `put` may take what is large out of what
/// was read, file after file, before more is read.
///
/// # Errors
/// The first file, in their order, that is of another kind or that `read` has refused, unless
/// such are left out; and if no file can be read.
pub(crate) fn read_all<T: Send>(
    files: Vec<LabelledFile>,
    kind: Kind,
    broken: Broken,
    read: impl Fn(&LabelledFile) -> Result<T> + Sync,
    mut put: impl FnMut(&mut T) -> Result<()>,
) -> Result<Kept<T>> {
    let read = |file: &LabelledFile| match Kind::of(&file.path) {
        Some(of) if of == kind => read(file),
        _ => Err(other_kind(&file.path, kind)),
    };
    let mut kept = Kept { files: Vec::new(), contents: Vec::new(), skipped: Vec::new() };
    let mut first_error = None;
    let is_one = files.len() == 1;
    let found = files.chunks(TOGETHER).flat_map(|files| files.par_iter().map(&read).collect::<Vec<_>>());
    for (position, (file, found)) in files.iter().cloned().zip(found).enumerate() {
        match (found, broken) {
            (Ok(mut content), _) => {
                put(&mut content)?;
                kept.files.push(file);
                kept.contents.push(content);
            }
            (Err(error), Broken::Refuse) if is_one => return Err(error),
            (Err(error), Broken::Refuse) => return Err(advise(error)),
            (Err(error), Broken::LeaveOut) => {
                kept.skipped.push(SkippedFile { path: file.path, problem: error.to_string(), position });
                first_error.get_or_insert(error);
            }
        }
    }
    match first_error {
        Some(error) if kept.files.is_empty() => Err(error),
        _ => Ok(kept),
    }
}

/// Adds to an error about one of many files that such files can be left out.
fn advise(error: Error) -> Error {
    match error {
        Error::Data { path, at, problem } => Error::Data {
            path,
            at,
            problem: format!("{problem}; or leave such files out with data.skip_bad = true"),
        },
        other => other,
    }
}
