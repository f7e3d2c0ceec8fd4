//! Files and their labels before any of them is opened, and what kinds of files there are.

use std::path::{Path, PathBuf};

use crate::data::parts::Parts;
use crate::data::raw::LabelledFile;
use crate::{Error, Result};

/// What the files hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// PNG and JPEG.
    Images,
    /// WAV.
    Audio,
    /// Plain text. A single such file may be anything, a table or a list too.
    Text,
}

impl Kind {
    /// The kind that a file's name ends with.
    pub(super) fn of(path: &Path) -> Option<Kind> {
        let end = path.extension()?.to_str()?.to_ascii_lowercase();
        match end.as_str() {
            "png" | "jpg" | "jpeg" | "jpe" | "jfif" => Some(Kind::Images),
            "wav" | "wave" => Some(Kind::Audio),
            "txt" => Some(Kind::Text),
            _ => None,
        }
    }

    /// How such a file is called in messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Images => "PNG or JPEG",
            Kind::Audio => "WAV",
            Kind::Text => "TXT",
        }
    }
}

/// The files of a source, none of them opened yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listing {
    pub kind: Kind,
    /// The names of the classes of all parts, sorted.
    pub classes: Vec<String>,
    /// The files of each part, by class and then path for folders, by line for a list.
    pub parts: Parts<Vec<LabelledFile>>,
}

impl Listing {
    /// The same listing, if its other parts have no class that its training part has not.
    ///
    /// # Errors
    /// Names the first file of such a class.
    pub(crate) fn with_known_classes(self) -> Result<Listing> {
        let mut known = vec![false; self.classes.len()];
        self.parts.train.iter().for_each(|file| known[file.class as usize] = true);
        let unknown = self.parts.iter().flatten().find(|file| !known[file.class as usize]);
        match unknown {
            None => Ok(self),
            Some(LabelledFile { path, class }) => {
                let class = &self.classes[*class as usize];
                let problem = format!("is of the class {class:?}, of which the training part has no file");
                Err(Error::data(path, problem))
            }
        }
    }
}

/// Numbers the classes of all parts by name.
pub(super) fn listing(kind: Kind, parts: Parts<Vec<(PathBuf, String)>>) -> Listing {
    let mut classes: Vec<String> = parts.iter().flatten().map(|(_, class)| class.clone()).collect();
    classes.sort_unstable();
    classes.dedup();
    let file = |(path, class): (PathBuf, String)| {
        let class = classes.binary_search(&class).expect("the classes of all files");
        LabelledFile { path, class: class as u32 }
    };
    let parts = parts.map(|files| files.into_iter().map(file).collect());
    Listing { kind, classes, parts }
}

/// An error about a file that is not of the kind of the others.
pub(super) fn other_kind(path: &Path, kind: Kind) -> Error {
    let problem = format!("is not a {} file like the others; convert it, or move it away", kind.name());
    Error::data(path, problem)
}
