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
//!
//! Each file is whole at any moment (`save`), and what a later one counts on is written before it:
//!
//! ```text
//! start     environment.json, checkpoint, config.toml
//! epoch     config.json, model.safetensors (if it is the best), a line of metrics.jsonl, checkpoint
//! go on     leftovers removed, config.toml if it is not there, metrics.jsonl cut to the lines that the checkpoint counts
//! ```
//! So a process may be killed at any write: a folder with a checkpoint is a run that goes on, one without may be taken.

use std::fs::{File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::Settings;
use super::checkpoint::checkpoint_path;
use super::save::{BESIDE, write_atomically};
use crate::{Error, Result};

/// A nap between two looks at a lock.
const NAP: Duration = Duration::from_millis(50);

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
        if path.join("config.toml").exists() || checkpoint_path(path).exists() {
            return Err(Error::RunExists { path: path.to_path_buf() });
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

    /// Waits until no run is at work in a folder, for so long at most: the lock of a rank that is gone may outlive it.
    pub(super) fn wait_until_free(path: &Path, most: Duration) {
        let start = Instant::now();
        let is_taken = |file: File| matches!(file.try_lock(), Err(TryLockError::WouldBlock));
        while File::open(path.join(".lock")).is_ok_and(is_taken) && start.elapsed() < most {
            std::thread::sleep(NAP);
        }
    }

    fn lock(path: &Path) -> Result<RunDirectory> {
        let file_path = path.join(".lock");
        // The system gives the lock back when the process ends, however it ends.
        let file = File::create(&file_path).map_err(Error::io(&file_path, "cannot write"))?;
        match file.try_lock() {
            Ok(()) => {
                let directory = RunDirectory { path: path.to_path_buf(), _lock: file };
                directory.remove_leftovers()?;
                Ok(directory)
            }
            Err(TryLockError::WouldBlock) => Err(Error::model(
                path,
                "another run is at work in this folder; wait for it or choose another folder",
            )),
            Err(TryLockError::Error(error)) => Err(Error::io(&file_path, "cannot lock")(error)),
        }
    }

    /// Removes what a killed process was writing.
    fn remove_leftovers(&self) -> Result<()> {
        let list = Error::io(&self.path, "cannot list");
        for entry in std::fs::read_dir(&self.path).map_err(list)?.flatten() {
            if entry.file_name().as_encoded_bytes().starts_with(BESIDE.as_bytes()) {
                let remove = Error::io(&self.path, "cannot remove what a killed process left");
                std::fs::remove_file(entry.path()).map_err(remove)?;
            }
        }
        Ok(())
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

    /// Writes the settings of the run.
    pub(super) fn write_settings(&self, settings: &Settings) -> Result<()> {
        self.write("config.toml", &toml::to_string(settings).expect("settings are plain data"))
    }

    /// Adds a line to `metrics.jsonl`, on the disk before a checkpoint counts it.
    pub(super) fn append_metrics(&self, record: &impl Serialize) -> Result<()> {
        let path = self.path.join("metrics.jsonl");
        let line = serde_json::to_string(record).expect("a record is plain data");
        let mut file =
            File::options().create(true).append(true).open(&path).map_err(Error::io(&path, "cannot open"))?;
        writeln!(file, "{line}").and_then(|()| file.sync_all()).map_err(Error::io(&path, "cannot write"))
    }

    /// Cuts `metrics.jsonl` back to its first lines, which a checkpoint knows of.
    pub(super) fn truncate_metrics(&self, lines: usize) -> Result<()> {
        let path = self.path.join("metrics.jsonl");
        if lines == 0 && !path.exists() {
            return Ok(());
        }
        let text = std::fs::read(&path).map_err(Error::io(&path, "cannot read"))?;
        let whole = text.split_inclusive(|&byte| byte == b'\n').filter(|line| line.ends_with(b"\n"));
        let kept: Vec<&[u8]> = whole.take(lines).collect();
        if kept.len() < lines {
            let problem = format!(
                "holds {} whole lines where the checkpoint counts {lines}: it was cut; put the whole file back, or start a new run",
                kept.len()
            );
            return Err(Error::model(&path, problem));
        }
        write_atomically(&path, &kept.concat())
    }
}

/// `parent/name-1`, or the first number that is free.
pub fn free_run_directory(parent: &Path, name: &str) -> PathBuf {
    (1..)
        .map(|number| parent.join(format!("{name}-{number}")))
        .find(|path| !path.exists())
        .expect("numbers do not end")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_process_left_is_removed_and_a_checkpoint_makes_a_run() {
        let folder = tempfile::tempdir().unwrap();
        let left = folder.path().join(".saving-model.safetensors");
        std::fs::write(&left, "half").unwrap();
        drop(RunDirectory::create(folder.path()).unwrap());
        assert!(!left.exists());
        std::fs::write(checkpoint_path(folder.path()), "").unwrap();
        let error = RunDirectory::create(folder.path()).err().unwrap().to_string();
        assert!(error.contains("holds a run already; choose another folder"), "{error}");
    }

    #[test]
    fn metrics_are_cut_to_the_lines_that_count_and_never_made_up() {
        let folder = tempfile::tempdir().unwrap();
        let directory = RunDirectory::create(folder.path()).unwrap();
        let path = folder.path().join("metrics.jsonl");
        directory.truncate_metrics(0).unwrap();
        for (text, lines, left) in [("a\nb\nc", 2, "a\nb\n"), ("a\nb\n", 0, ""), ("a\n", 1, "a\n")] {
            std::fs::write(&path, text).unwrap();
            directory.truncate_metrics(lines).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), left);
        }
        std::fs::write(&path, "a\nb").unwrap();
        let error = directory.truncate_metrics(2).unwrap_err().to_string();
        assert!(error.contains("holds 1 whole lines where the checkpoint counts 2"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "a\nb");
    }
}
