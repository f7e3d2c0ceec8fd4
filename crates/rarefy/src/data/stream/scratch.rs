//! A file that samples are written to as they are read, so that they can be read again in any order. It has no name, where the
//! system allows that, and is gone with the process.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::Streaming;
use super::records::{Places, Records};
use crate::{Error, Result};

const FULL: &str = "cannot write a scratch file; set data.scratch to a folder with more room";

/// Such a file while it is written.
pub(crate) struct Scratch {
    folder: PathBuf,
    file: BufWriter<File>,
    content: u64,
    written: u64,
}

impl Scratch {
    pub(crate) fn new(streaming: &Streaming) -> Result<Scratch> {
        let folder = streaming.scratch.clone().unwrap_or_else(std::env::temp_dir);
        let file = open(&folder).map_err(Error::io(&folder, "cannot make a scratch file (data.scratch)"))?;
        Ok(Scratch { folder, file: BufWriter::with_capacity(1 << 20, file), content: 0, written: 0 })
    }

    /// Adds bytes, and says how many there are now.
    ///
    /// # Errors
    /// A full disk.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<u64> {
        self.content = hash(self.content, bytes);
        self.written += bytes.len() as u64;
        self.file.write_all(bytes).map_err(Error::io(&self.folder, FULL))?;
        Ok(self.written)
    }

    /// What was written, as records that lie in these places.
    ///
    /// # Errors
    /// A full disk.
    pub(crate) fn into_records(self, places: Places) -> Result<Records> {
        let failed = Error::io(&self.folder, FULL);
        let file = self.file.into_inner().map_err(|error| failed(error.into_error()))?;
        Records::new(&self.folder, file, places, None, self.content)
    }
}

/// Goes on with a hash (FNV-1a over words of 8 bytes).
pub(crate) fn hash(before: u64, bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let add = |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
    let hash = words.iter().fold(before, |hash, &word| add(hash, u64::from_le_bytes(word)));
    rest.iter().fold(add(hash, bytes.len() as u64), |hash, &byte| add(hash, byte.into()))
}

fn open(folder: &Path) -> std::io::Result<File> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = folder.join(format!("rarefy-{}-{number}.scratch", std::process::id()));
    let mut options = File::options();
    options.read(true).write(true).create_new(true);
    #[cfg(windows)]
    {
        // FILE_FLAG_DELETE_ON_CLOSE
        std::os::windows::fs::OpenOptionsExt::custom_flags(&mut options, 0x0400_0000);
    }
    let file = options.open(&path)?;
    #[cfg(unix)]
    std::fs::remove_file(&path)?;
    Ok(file)
}
