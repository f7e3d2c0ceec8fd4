//! Writing files so that a crash, a kill or a full disk leaves either the old one or the new one, never half of one.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use crate::{Error, Result};

/// How the name begins of a file that is being written.
pub(super) const BESIDE: &str = ".saving-";

/// Writes `bytes` to `path`; see [`write_whole`].
///
/// # Errors
/// As of [`write_whole`].
pub(super) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    write_whole(path, |file| file.write_all(bytes))
}

/// Writes a file whole or not at all.
///
/// Lets `write` write to `.saving-NAME` beside `path`, makes sure that it is on the disk, and renames that to `path`. What
/// a killed process left there is overwritten. Two writers of one path must keep each other out, as runs do by locking
/// their folder.
///
/// # Errors
/// If the disk is full or the folder cannot be written; what was at `path` stays.
pub fn write_whole(path: &Path, write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> Result<()> {
    let action = "cannot save (the file that was there before, if any, is unharmed)";
    let mut name = std::ffi::OsString::from(BESIDE);
    name.push(path.file_name().unwrap_or_default());
    let beside = path.with_file_name(name);
    let save = || -> std::io::Result<()> {
        let mut file = BufWriter::new(File::create(&beside)?);
        write(&mut file)?;
        file.into_inner()?.sync_all()?;
        std::fs::rename(&beside, path)?;
        sync_folder(path)
    };
    save().map_err(|error| {
        // On a full disk its room is needed.
        let _ = std::fs::remove_file(&beside);
        Error::io(path, action)(error)
    })
}

/// The rename itself must reach the disk too.
#[cfg(unix)]
fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// Elsewhere a folder cannot be opened as a file.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_written_stays_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model");
        write_atomically(&path, b"old").unwrap();
        write_atomically(&path, b"new").unwrap();
        // Something is in the way.
        std::fs::create_dir(folder.path().join(".saving-model")).unwrap();
        let error = write_atomically(&path, b"newer").unwrap_err().to_string();
        assert!(error.contains("model: cannot save"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
    }

    #[test]
    fn the_reason_of_the_system_comes_once_and_names_no_other_file() {
        let folder = tempfile::tempdir().unwrap();
        let gone = folder.path().join("gone").join("model");
        let error = write_atomically(&gone, b"x").unwrap_err();
        assert!(error.to_string().contains("model: cannot save"), "{error}");
        let reason = std::error::Error::source(&error).unwrap();
        assert!(reason.source().is_none(), "{reason:?}");
        let reason = reason.to_string();
        assert!(reason.contains("os error") && !reason.contains(".saving-"), "{reason}");
    }
}
