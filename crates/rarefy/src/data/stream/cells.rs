//! The cells of samples as read, in a file.

use std::fmt;
use std::sync::Arc;

use super::records::Records;

/// What the bytes of a record mean.
pub(crate) type Decode = Arc<dyn Fn(&[u8], &mut [f32]) + Send + Sync>;

/// Cells of samples, a record each.
#[derive(Clone)]
pub(crate) struct FileCells {
    pub records: Arc<Records>,
    pub decode: Decode,
    /// Numbers of a sample.
    pub width: usize,
    /// Whether the numbers are bytes, as those of images.
    pub are_bytes: bool,
    /// The first sample in which a number is missing.
    pub gap: Option<usize>,
}

impl FileCells {
    /// Copies the numbers of one sample.
    pub(crate) fn copy_row(&self, sample: usize, out: &mut [f32]) {
        let mut bytes = Vec::new();
        self.records.read(sample as u32, &mut bytes);
        (self.decode)(&bytes, out);
    }
}

impl fmt::Debug for FileCells {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileCells").field("samples", &self.records.len()).finish_non_exhaustive()
    }
}

impl PartialEq for FileCells {
    fn eq(&self, other: &FileCells) -> bool {
        self.width == other.width && self.records.content() == other.records.content()
    }
}
