//! Folders of files: a folder per class, perhaps below `train/`, `val/` and `test/` (see [`Part::named`]). Files and folders whose
//! names begin with a dot, and what systems leave behind, are passed over; everything else must be of the one kind, so that
//! nothing is left out unseen.

use std::path::{Path, PathBuf};

use super::listing::{Kind, Listing, listing, other_kind};
use crate::data::parts::{Part, Parts};
use crate::{Error, Result};

/// The kind of the first file below a folder that has one; it is looked for three folders deep.
/// A text counts only where there is nothing else: it may be a note beside images.
pub(super) fn kind(root: &Path) -> Result<Option<Kind>> {
    let mut text = None;
    Ok(kind_below(root, 3, &mut text)?.or(text))
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

/// The folder of each part that has one.
fn part_folders(root: &Path) -> Result<Vec<(Part, PathBuf)>> {
    let mut found: Vec<(Part, PathBuf)> = Vec::new();
    for folder in entries(root)?.1 {
        let Some(part) = folder.file_name().and_then(|name| name.to_str()).and_then(Part::named) else {
            continue;
        };
        if let Some((_, other)) = found.iter().find(|(other, _)| *other == part) {
            let problem = format!("is a {} part, and so is {}; join them", part.name(), other.display());
            return Err(Error::data(&folder, problem));
        }
        found.push((part, folder));
    }
    Ok(found)
}

/// The part to which a model is applied and its folder, beside that of the training part; by the names of the folders.
pub(super) fn part_for_model(root: &Path) -> Result<Option<(Part, PathBuf)>> {
    let found = part_folders(root)?;
    let of = |wanted: Part| found.iter().find(|(part, _)| *part == wanted).cloned();
    Ok(of(Part::Train).and_then(|_| of(Part::Test).or_else(|| of(Part::Validation))))
}

/// Lists the files of each class.
pub(super) fn list(root: &Path, kind: Kind) -> Result<Listing> {
    let parts = part_folders(root)?;
    let of = |wanted: Part| parts.iter().find(|(part, _)| *part == wanted).map(|(_, folder)| folder);
    let folders = entries(root)?.1;
    let Some(train) = of(Part::Train) else {
        let of_no_class = of(Part::Test).or(of(Part::Validation).filter(|_| parts.len() == folders.len()));
        if let Some(part) = of_no_class {
            let name = part.file_name().unwrap_or_default().display();
            let problem = format!(
                "holds a folder {name} but no folder train; name the training part train, or, if {name} is a class, rename it"
            );
            return Err(Error::data(root, problem));
        }
        return Ok(listing(kind, Parts::whole(classes(root, kind)?)));
    };
    if let Some(other) = folders.iter().find(|folder| parts.iter().all(|(_, part)| part != *folder)) {
        let problem = format!(
            "stands beside {}, where only a validation and a test part may (val, test); move it away, or rename {0} if it is a class",
            train.display()
        );
        return Err(Error::data(other, problem));
    }
    let parts = Parts { train, validation: of(Part::Validation), test: of(Part::Test) };
    Ok(listing(kind, parts.try_map(|folder| classes(&unwrapped(folder)?, kind))?))
}

/// The folder itself, or the only one in it if that has the same name, as archives are often packed.
fn unwrapped(folder: &Path) -> Result<PathBuf> {
    Ok(match &entries(folder)?.1[..] {
        [only] if only.file_name() == folder.file_name() => only.clone(),
        _ => folder.to_path_buf(),
    })
}

/// All files of a folder, whatever their classes, or those of the part to which a model is applied.
pub(super) fn all(root: &Path, kind: Kind) -> Result<Vec<PathBuf>> {
    let part = part_for_model(root)?.map_or(root.to_path_buf(), |(_, folder)| folder);
    let (loose, folders) = entries(&part)?;
    // A note beside the folders of the classes is none of them.
    let mut all: Vec<PathBuf> =
        loose.into_iter().filter(|file| folders.is_empty() || is_sample(file, kind)).collect();
    folders.iter().try_for_each(|folder| files_below(folder, &mut all))?;
    if all.iter().any(|file| Kind::of(file) == Some(kind)) {
        Ok(all)
    } else {
        Err(Error::data(&part, format!("holds no {} files", kind.name())))
    }
}

/// Whether a file beside the folders of the classes looks as if it belonged into one of them.
fn is_sample(file: &Path, kind: Kind) -> bool {
    Kind::of(file).is_some_and(|of| of == kind || of != Kind::Text)
}

/// The files of a part, each with the name of its class. Files of another kind are for the reading to refuse or leave out.
fn classes(part: &Path, kind: Kind) -> Result<Vec<(PathBuf, String)>> {
    let (loose, folders) = entries(part)?;
    if let Some(loose) = loose.iter().find(|file| is_sample(file, kind)) {
        let problem = "stands beside the folders of the classes; move it into the folder of its class, or give a CSV list of files with the columns path and label";
        return Err(Error::data(loose, problem));
    }
    if folders.is_empty() {
        return Err(Error::data(part, "holds no folders; make one for each class and move its files there"));
    }
    refuse_parts(part, &folders)?;
    let mut all = Vec::new();
    for folder in folders {
        let name = folder.file_name().and_then(|name| name.to_str()).map(String::from);
        let name = name.ok_or_else(|| Error::data(&folder, "its name is not UTF-8 text; rename it"))?;
        let mut files = Vec::new();
        files_below(&folder, &mut files)?;
        if !files.iter().any(|file| Kind::of(file) == Some(kind)) {
            let problem = format!("holds no {} files; remove it, or add files of this class", kind.name());
            let other = files.first().map(|file| other_kind(file, kind));
            return Err(other.unwrap_or_else(|| Error::data(&folder, problem)));
        }
        all.extend(files.into_iter().map(|file| (file, name.clone())));
    }
    Ok(all)
}

/// Refuses folders that all hold the same folders and nothing else: parts of a name that is not known, as it seems.
fn refuse_parts(part: &Path, folders: &[PathBuf]) -> Result<()> {
    let below = |folder: &PathBuf| -> Result<Option<Vec<std::ffi::OsString>>> {
        let (files, folders) = entries(folder)?;
        let names = folders.iter().filter_map(|folder| folder.file_name().map(Into::into)).collect();
        Ok(Some(names).filter(|_| files.is_empty() && folders.len() > 1))
    };
    let Some(first) = below(&folders[0])?.filter(|_| folders.len() > 1) else { return Ok(()) };
    for folder in &folders[1..] {
        if below(folder)?.as_ref() != Some(&first) {
            return Ok(());
        }
    }
    let list = |names: &mut dyn Iterator<Item = std::path::Display<'_>>| {
        names.map(|name| name.to_string()).collect::<Vec<_>>().join(", ")
    };
    let outer =
        list(&mut folders.iter().map(|folder| Path::new(folder.file_name().unwrap_or_default()).display()));
    let inner = list(&mut first.iter().map(|name| Path::new(name).display()));
    let problem = format!(
        "its folders {outer} all hold the same folders {inner}, so it is not clear which of them are the classes; if the outer ones are parts name them train, val and test, else give a CSV list of files with the columns path and label"
    );
    Err(Error::data(part, problem))
}

/// All files below a folder, in the order of their paths.
fn files_below(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let (files, folders) = entries(folder)?;
    found.extend(files);
    folders.iter().try_for_each(|folder| files_below(folder, found))
}

/// What systems leave in folders that people look at or pack.
const LEFT_BEHIND: [&str; 5] = ["__MACOSX", "Thumbs.db", "ehthumbs.db", "desktop.ini", "@eaDir"];

/// The files and folders in a folder, each sorted by name, without hidden ones and what systems leave behind.
fn entries(folder: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let (mut files, mut folders) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(folder).map_err(Error::io(folder, "cannot list"))? {
        let path = entry.map_err(Error::io(folder, "cannot list"))?.path();
        let name = path.file_name().unwrap_or_default();
        let is_left = LEFT_BEHIND.iter().any(|left| name.eq_ignore_ascii_case(left));
        if is_left || name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if path.is_dir() { folders.push(path) } else { files.push(path) }
    }
    files.sort_unstable();
    folders.sort_unstable();
    Ok((files, folders))
}
