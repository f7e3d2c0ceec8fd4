//! Writing files so that a crash, a kill or a full disk leaves either the old one or the new one, never half of one.

use std::io::Write;
use std::path::Path;

use crate::{Error, Result};

/// Writes `bytes` to a temporary file beside `path`, makes sure that they are on the disk, and renames it to `path`.
///
/// # Errors
/// If the disk is full or the folder cannot be written; what was at `path` stays.
pub(super) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let action = "cannot save (the file that was there before, if any, is unharmed)";
    let write = || -> std::io::Result<()> {
        let mut file = tempfile::Builder::new().prefix(".saving-").tempfile_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        set_ordinary_permissions(file.as_file())?;
        file.persist(path).map_err(|error| error.error)?;
        // The rename itself must reach the disk too.
        std::fs::File::open(folder)?.sync_all()
    };
    write().map_err(Error::io(path, action))
}

/// Temporary files are for their owner alone; what they become is for whoever may read the folder.
#[cfg(unix)]
fn set_ordinary_permissions(file: &std::fs::File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn set_ordinary_permissions(_: &std::fs::File) -> std::io::Result<()> {
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
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        let gone = folder.path().join("gone").join("model");
        let error = write_atomically(&gone, b"x").unwrap_err().to_string();
        assert!(error.contains("cannot save"), "{error}");
    }
}
