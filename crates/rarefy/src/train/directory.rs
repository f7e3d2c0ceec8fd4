//! The folder of a run: who may write it, and what stands in it.
//!
//! | file | what |
//! |---|---|
//! | `config.toml` | the settings as resolved |
//! | `environment.json` | version, processor, instruction set, threads |
//! | `metrics.jsonl` | one line per epoch |
//! | `model.safetensors`, `config.json` | the best model so far |
//! | `checkpoint.safetensors` | all that the run needs to go on |
//! | `summary.json` | the final figures |

use std::fs::{File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::save::write_atomically;
use crate::{Error, Result};

/// A run's folder, locked against a second run for as long as this value lives.
pub struct RunDirectory {
    path: PathBuf,
    _lock: File,
}

impl RunDirectory {
    /// A new folder for a new run.
    ///
    /// # Errors
    /// If it cannot be written, holds a run already, or another run is at work in it.
    pub fn create(path: &Path) -> Result<RunDirectory> {
        std::fs::create_dir_all(path).map_err(Error::io(path, "cannot create the run's folder"))?;
        let directory = RunDirectory::lock(path)?;
        if path.join("config.toml").exists() {
            return Err(Error::model(
                path,
                "holds a run already; go on with it by --resume, or choose another --run-dir",
            ));
        }
        Ok(directory)
    }

    /// The folder of a run that goes on.
    ///
    /// # Errors
    /// If it is not there or another run is at work in it.
    pub fn open(path: &Path) -> Result<RunDirectory> {
        if !path.is_dir() {
            return Err(Error::model(path, "is not a run's folder"));
        }
        RunDirectory::lock(path)
    }

    fn lock(path: &Path) -> Result<RunDirectory> {
        let file_path = path.join(".lock");
        // The system gives the lock back when the process ends, however it ends.
        let file = File::create(&file_path).map_err(Error::io(&file_path, "cannot write"))?;
        match file.try_lock() {
            Ok(()) => Ok(RunDirectory { path: path.to_path_buf(), _lock: file }),
            Err(TryLockError::WouldBlock) => Err(Error::model(
                path,
                "another run is at work in this folder; wait for it or choose another --run-dir",
            )),
            Err(TryLockError::Error(error)) => Err(Error::io(&file_path, "cannot lock")(error)),
        }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a small text file in one go.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, name: &str, text: &str) -> Result<()> {
        write_atomically(&self.path.join(name), text.as_bytes())
    }

    /// Adds a line to `metrics.jsonl`.
    pub(super) fn append_metrics(&self, record: &impl Serialize) -> Result<()> {
        let path = self.path.join("metrics.jsonl");
        let line = serde_json::to_string(record).expect("a record is plain data");
        let mut file =
            File::options().create(true).append(true).open(&path).map_err(Error::io(&path, "cannot open"))?;
        writeln!(file, "{line}").map_err(Error::io(&path, "cannot write"))
    }

    /// Cuts `metrics.jsonl` back to its first lines, which a checkpoint knows of.
    pub(super) fn truncate_metrics(&self, lines: usize) -> Result<()> {
        let path = self.path.join("metrics.jsonl");
        if lines == 0 && !path.exists() {
            return Ok(());
        }
        let text = std::fs::read_to_string(&path).map_err(Error::io(&path, "cannot read"))?;
        let kept: String = text.split_inclusive('\n').take(lines).collect();
        write_atomically(&path, kept.as_bytes())
    }
}

/// `parent/name-1`, or the first number that is free.
pub fn free_run_directory(parent: &Path, name: &str) -> PathBuf {
    (1..)
        .map(|number| parent.join(format!("{name}-{number}")))
        .find(|path| !path.exists())
        .expect("numbers do not end")
}
