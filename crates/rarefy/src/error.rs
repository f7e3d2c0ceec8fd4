//! The one error type of the library. It is for a world that failed (files, settings, data): each variant names
//! the file, line or key and says what to do. A caller that breaks a contract (shapes) gets a panic instead.

use std::path::{Path, PathBuf};

/// What can go wrong outside the caller's control.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused: a file missing, a disk full.
    #[error("{}: {action}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was being done, as in "cannot open".
        action: &'static str,
        /// The system's own reason.
        source: std::io::Error,
    },
    /// A data file that does not hold what it should.
    #[error("{}{}: {problem}", path.display(), at.as_ref().map(|at| format!(", {at}")).unwrap_or_default())]
    Data {
        /// The file.
        path: PathBuf,
        /// Where in it, as in "line 7, column \"age\"".
        at: Option<String>,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A setting with a value that cannot be used.
    #[error("{key}: {problem}")]
    Setting {
        /// The dotted key, as in `sparsity.density`.
        key: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A model or checkpoint that cannot be used.
    #[error("{}: {problem}", path.display())]
    Model {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        problem: String,
    },
    /// Training left the finite numbers.
    #[error("step {step}: {what} is not finite; lower optimizer.learning_rate or set optimizer.clip_norm{}",
        checkpoint.as_ref().map(|path| format!(" (the last good checkpoint is {})", path.display())).unwrap_or_default())]
    Diverged {
        /// The step, counted from 1.
        step: u64,
        /// What was not finite, as in "the loss".
        what: String,
        /// The checkpoint that training can go on from.
        checkpoint: Option<PathBuf>,
    },
}

/// `std::result::Result` with [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An [`Error::Io`] for use in `map_err`.
    pub fn io(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_path_buf();
        move |source| Error::Io { path, action, source }
    }

    /// An [`Error::Data`] about the file as a whole.
    pub fn data(path: &Path, problem: impl Into<String>) -> Error {
        Error::Data { path: path.to_path_buf(), at: None, problem: problem.into() }
    }

    /// An [`Error::Data`] about one place in the file.
    pub fn data_at(path: &Path, at: impl Into<String>, problem: impl Into<String>) -> Error {
        Error::Data { path: path.to_path_buf(), at: Some(at.into()), problem: problem.into() }
    }

    /// The same error, said to be about a part of the file, as in "sample 3 of the test part".
    pub(crate) fn of_part(self, part: &str) -> Error {
        match self {
            Error::Data { path, at: Some(at), problem } if at.starts_with("sample ") => {
                Error::Data { path, at: Some(format!("{at} of the {part} part")), problem }
            }
            other => other,
        }
    }

    /// An [`Error::Setting`].
    pub fn setting(key: impl Into<String>, problem: impl Into<String>) -> Error {
        Error::Setting { key: key.into(), problem: problem.into() }
    }

    /// An [`Error::Model`].
    pub fn model(path: &Path, problem: impl Into<String>) -> Error {
        Error::Model { path: path.to_path_buf(), problem: problem.into() }
    }
}
