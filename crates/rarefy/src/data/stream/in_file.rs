//! Where the samples of a part lie in a file.

use std::sync::Arc;

use super::records::Records;
use crate::Result;

/// Records of a file, one for each sample.
#[derive(Clone, Copy)]
pub(crate) struct InFile<'a> {
    pub(super) records: &'a Arc<Records>,
    /// Which of them.
    pub(super) rows: &'a Arc<[u32]>,
}

impl<'a> InFile<'a> {
    /// A number that tells these samples from others.
    pub(crate) fn content(self) -> u64 {
        self.records.content()
    }

    pub(crate) fn rows(self) -> &'a [u32] {
        self.rows
    }

    /// How many samples so many bytes hold.
    pub(crate) fn held_in(self, bytes: usize) -> usize {
        bytes / self.records.held_size()
    }

    /// That all could be read so far.
    ///
    /// # Errors
    /// What has failed: the disk, or a file that has changed meanwhile.
    pub(crate) fn check(self) -> Result<()> {
        self.records.check()
    }
}
