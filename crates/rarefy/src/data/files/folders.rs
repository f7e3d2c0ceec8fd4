//! Folders of files: a folder per class, perhaps below `train/` and `test/`. Files and folders whose names begin with a
//! dot are passed over; everything else must be of the one kind, so that nothing is left out unseen.

use std::path::{Path, PathBuf};

use super::{Kind, Listing, listing, other_kind};
use crate::{Error, Result};

/// The kind of the first file below a folder that has one; it is looked for two folders deep.
/// A text counts only where there is nothing else: it may be a note beside images.
pub(super) fn kind(root: &Path) -> Result<Option<Kind>> {
    let mut text = None;
    Ok(kind_below(root, 2, &mut text)?.or(text))
}

fn kind_below(folder: &Path, depth: usize, text: &mut Option<Kind>) -> Result<Option<Kind>> {
    let (files, folders) = entries(folder)?;
    for kind in files.iter().filter_map(|file| Kind::of(file)) {
        match kind {
            Kind::Text => *text = Some(kind),
            Kind::Images | Kind::Audio => return Ok(Some(kind)),
        }
    }
    for folder in folders.iter().filter(|_| depth > 0) {
        if let Some(kind) = kind_below(folder, depth - 1, text)? {
            return Ok(Some(kind));
        }
    }
    Ok(None)
}

/// Whether there are folders `train` and `test`.
pub(super) fn has_test_part(root: &Path) -> bool {
    root.join("train").is_dir() && root.join("test").is_dir()
}

/// Lists the files of each class.
pub(super) fn list(root: &Path, kind: Kind) -> Result<Listing> {
    let (train, test) = (root.join("train"), root.join("test"));
    if !train.is_dir() {
        if test.is_dir() {
            let problem = "holds a folder test but no folder train; name the training part train";
            return Err(Error::data(root, problem));
        }
        return Ok(listing(kind, classes(root, kind)?, None));
    }
    if let Some(other) = entries(root)?.1.into_iter().find(|folder| *folder != train && *folder != test) {
        return Err(Error::data(
            &other,
            "stands beside the folder train, where only test may; move its files into train (data.validation_fraction keeps a part of them apart), or move it away",
        ));
    }
    let test = test.is_dir().then(|| classes(&test, kind)).transpose()?;
    Ok(listing(kind, classes(&train, kind)?, test))
}

/// All files of a folder, whatever their classes, or those of its test part if it has one.
pub(super) fn all(root: &Path, kind: Kind) -> Result<Vec<PathBuf>> {
    let part = if has_test_part(root) { root.join("test") } else { root.to_path_buf() };
    let mut all = Vec::new();
    files_below(&part, kind, &mut |file| all.push(file))?;
    match all.is_empty() {
        true => Err(Error::data(&part, format!("holds no {} files", kind.name()))),
        false => Ok(all),
    }
}

/// The files of a part, each with the name of its class.
fn classes(part: &Path, kind: Kind) -> Result<Vec<(PathBuf, String)>> {
    let (loose, folders) = entries(part)?;
    let is_sample = |file: &&PathBuf| Kind::of(file).is_some_and(|of| of == kind || of != Kind::Text);
    if let Some(loose) = loose.iter().find(is_sample) {
        let problem = "stands beside the folders of the classes; move it into the folder of its class, or give a CSV list of files with the columns path and label";
        return Err(Error::data(loose, problem));
    }
    if folders.is_empty() {
        return Err(Error::data(part, "holds no folders; make one for each class and move its files there"));
    }
    let mut all = Vec::new();
    for folder in folders {
        let name = folder.file_name().and_then(|name| name.to_str()).map(String::from);
        let name = name.ok_or_else(|| Error::data(&folder, "its name is not UTF-8 text; rename it"))?;
        let before = all.len();
        files_below(&folder, kind, &mut |file| all.push((file, name.clone())))?;
        if all.len() == before {
            let problem = format!("holds no {} files; remove it, or add files of this class", kind.name());
            return Err(Error::data(&folder, problem));
        }
    }
    Ok(all)
}

/// All files below a folder, in the order of their paths.
fn files_below(folder: &Path, kind: Kind, found: &mut impl FnMut(PathBuf)) -> Result<()> {
    let (files, folders) = entries(folder)?;
    for file in files {
        match Kind::of(&file) {
            Some(of) if of == kind => found(file),
            _ => return Err(other_kind(&file, kind)),
        }
    }
    folders.iter().try_for_each(|folder| files_below(folder, kind, found))
}

/// The files and folders in a folder, each sorted by name, hidden ones left out.
fn entries(folder: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let (mut files, mut folders) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(folder).map_err(Error::io(folder, "cannot list"))? {
        let path = entry.map_err(Error::io(folder, "cannot list"))?.path();
        if path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".")) {
            continue;
        }
        match path.is_dir() {
            true => folders.push(path),
            false => files.push(path),
        }
    }
    files.sort_unstable();
    folders.sort_unstable();
    Ok((files, folders))
}
