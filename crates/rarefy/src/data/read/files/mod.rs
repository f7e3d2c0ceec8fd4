//! Data that is many files, a sample each: images, recordings and texts. This part finds the files and their labels, from
//! folders or a list, and reads them all at once in a fixed order.
//!
//! ```text
//! ROOT/cat/a.png, ROOT/dog/b.png          class = folder                            (folders)
//! ROOT/train/cat/a.png, ROOT/val/..., ROOT/test/...    the same, with a validation and a test part of its own
//! list.csv: path,label[,split]            flat files                                (manifest)
//! ```

mod folders;
mod manifest;
mod reading;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub(crate) use reading::{Bad, Kept, read_all};

use crate::data::parts::Parts;
use crate::data::raw::LabelledFile;
use crate::{Error, Result};

/// What the files hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
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
    fn of(path: &Path) -> Option<Kind> {
        let end = path.extension()?.to_str()?.to_ascii_lowercase();
        match end.as_str() {
            "png" | "jpg" | "jpeg" => Some(Kind::Images),
            "wav" | "wave" => Some(Kind::Audio),
            "txt" => Some(Kind::Text),
            _ => None,
        }
    }

    /// How such a file is called in messages.
    fn name(self) -> &'static str {
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

/// What a folder or list holds, if that is images, recordings or texts, or what a single image or recording is; only names
/// (and the start of a list) are looked at.
///
/// # Errors
/// If a folder or list cannot be read.
pub(crate) fn kind(path: &Path) -> Result<Option<Kind>> {
    match path.is_dir() {
        true => folders::kind(path),
        false if is_sample(path) => Ok(Kind::of(path)),
        false => manifest::kind(path),
    }
}

/// The first name of an image or a recording in a table, with its column from 1.
///
/// # Errors
/// If the file cannot be read.
pub(crate) fn named_file(path: &Path) -> Result<Option<(usize, String)>> {
    manifest::named_file(path)
}

/// Whether a file is surely a sample and no list.
pub(crate) fn is_sample(path: &Path) -> bool {
    Kind::of(path).is_some_and(|kind| kind != Kind::Text)
}

/// Whether the source has a test part of its own.
///
/// # Errors
/// As for [`list`].
pub(crate) fn has_test_part(path: &Path, kind: Kind) -> Result<bool> {
    match path.is_dir() {
        true => folders::has_test_part(path),
        false if is_sample(path) => Ok(false),
        false => Ok(manifest::list(path, kind)?.parts.test.is_some()),
    }
}

/// Finds the files of a folder or list, and their classes.
///
/// # Errors
/// Classes without files, folders of no known meaning, lines that name no file: each names the file or line.
pub(crate) fn list(path: &Path, kind: Kind) -> Result<Listing> {
    match path.is_dir() {
        true => folders::list(path, kind),
        false if is_sample(path) => {
            let problem = "is a single file without a label; give a folder with a folder for each class, or a CSV list of files with the columns path and label";
            Err(Error::data(path, problem))
        }
        false => manifest::list(path, kind),
    }
}

/// Finds the files that a model is to be applied to: the test part where there is one, else all. With `labels` their
/// classes come too; without, a single file or a folder without classes will do.
///
/// # Errors
/// As for [`list`].
pub(crate) fn list_for_model(
    path: &Path,
    kind: Kind,
    labels: bool,
) -> Result<(Vec<LabelledFile>, Option<Vec<String>>)> {
    if labels {
        let Listing { classes, parts, .. } = list(path, kind)?;
        return Ok((parts.for_model(), Some(classes)));
    }
    let files = match path.is_dir() {
        true => folders::all(path, kind)?,
        false if is_sample(path) || manifest::kind(path)?.is_none() => match Kind::of(path) {
            Some(of) if of == kind => vec![path.to_path_buf()],
            _ => return Err(other_kind(path, kind)),
        },
        false => list(path, kind)?.parts.for_model().into_iter().map(|file| file.path).collect(),
    };
    Ok((files.into_iter().map(|path| LabelledFile { path, class: 0 }).collect(), None))
}

/// Numbers the classes of all parts by name.
fn listing(kind: Kind, parts: Parts<Vec<(PathBuf, String)>>) -> Listing {
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
fn other_kind(path: &Path, kind: Kind) -> Error {
    let problem = format!("is not a {} file like the others; convert it, or move it away", kind.name());
    Error::data(path, problem)
}

#[cfg(test)]
mod tests;
