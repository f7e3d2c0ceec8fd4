//! Data that is many files, a sample each: images, recordings and texts. This part finds the files and their labels, from
//! folders or a list, and reads them all at once in a fixed order.
//!
//! ```text
//! ROOT/cat/a.png, ROOT/dog/b.png          class = folder                            (folders)
//! ROOT/train/cat/a.png, ROOT/val/..., ROOT/test/...    the same, with a validation and a test part of its own
//! list.csv: path,label[,split]            flat files                                (manifest)
//! ```

mod folders;
mod listing;
mod manifest;
mod reading;

use std::path::Path;

pub(crate) use listing::{Kind, Listing};
pub(crate) use reading::{Kept, read_all};

use crate::data::parts::Part;
use crate::data::raw::LabelledFile;
use crate::{Error, Result};
use listing::other_kind;

/// What a folder or list holds, if that is images, recordings or texts, or what a single image or recording is; only names
/// (and the start of a list) are looked at.
///
/// # Errors
/// If a folder or list cannot be read.
pub(crate) fn kind(path: &Path) -> Result<Option<Kind>> {
    if path.is_dir() {
        folders::kind(path)
    } else if is_sample(path) {
        Ok(Kind::of(path))
    } else {
        manifest::kind(path)
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

/// The part to which a model is applied, where the source is divided.
///
/// # Errors
/// As for [`list`].
pub(crate) fn part_for_model(path: &Path, kind: Kind) -> Result<Option<Part>> {
    if path.is_dir() {
        Ok(folders::part_for_model(path)?.map(|(part, _)| part))
    } else if is_sample(path) {
        Ok(None)
    } else {
        Ok(manifest::list(path, kind)?.parts.part_for_model())
    }
}

/// Finds the files of a folder or list, and their classes.
///
/// # Errors
/// Classes without files, folders of no known meaning, lines that name no file: each names the file or line.
pub(crate) fn list(path: &Path, kind: Kind) -> Result<Listing> {
    if path.is_dir() {
        folders::list(path, kind)
    } else if is_sample(path) {
        let problem = "is a single file without a label; give a folder with a folder for each class, or a CSV list of files with the columns path and label";
        Err(Error::data(path, problem))
    } else {
        manifest::list(path, kind)
    }
}

/// Finds the files that a model is to be applied to: the test part where there is one, else the validation part, else all. With `labels` their
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

#[cfg(test)]
mod tests;
