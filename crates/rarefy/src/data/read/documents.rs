//! Text files, a document each, in a folder for each class or named by a list.

use std::path::{Path, PathBuf};

use super::files::{self, Kept, Kind, Listing};
use crate::data::raw::{Cells, LabelledFile, Labels, Places, Raw, RawColumn, Source};
use crate::data::reading::{Broken, Reading, Wanted};
use crate::data::settings::DataSettings;
use crate::tiles::Shape;
use crate::{Error, Result};

/// Reads documents to train on.
pub(super) fn read(path: &Path, settings: &DataSettings) -> Result<Source> {
    let Listing { classes, parts, .. } = files::list(path, Kind::Text)?.with_known_classes()?;
    parts.try_map(|files| {
        let kept = files::read_all(files, Kind::Text, Broken::of(settings.skip_bad), read_file, |_| Ok(()))?;
        Ok(raw(path, kept, Some(&classes)))
    })
}

/// Reads documents for a model.
pub(super) fn reread(path: &Path, _: &Reading, wanted: Wanted) -> Result<Raw> {
    let (files, classes) = files::list_for_model(path, Kind::Text, wanted.labels.is_some())?;
    Ok(raw(
        path,
        files::read_all(files, Kind::Text, wanted.broken, read_file, |_| Ok(()))?,
        classes.as_deref(),
    ))
}

fn read_file(file: &LabelledFile) -> Result<String> {
    text(&file.path, std::fs::read(&file.path).map_err(Error::io(&file.path, "cannot read"))?)
}

/// The bytes of a file as text.
pub(crate) fn text(path: &Path, bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
        Error::data_at(path, format!("line {line}"), "is not UTF-8 text; save the file as UTF-8")
    })
}

fn raw(path: &Path, part: Kept<String>, classes: Option<&[String]>) -> Raw {
    let labels = classes.map(|classes| Labels::of_files(&part.files, classes));
    let files: Vec<PathBuf> = part.files.into_iter().map(|file| file.path).collect();
    let texts = Cells::Texts(part.contents.into_iter().collect());
    Raw {
        columns: vec![RawColumn { name: "text".into(), vocabulary: None }],
        places: Places::Files(files),
        skipped: part.skipped,
        ..Raw::new(path, Reading::Text, texts, Shape::flat(1), labels)
    }
}
