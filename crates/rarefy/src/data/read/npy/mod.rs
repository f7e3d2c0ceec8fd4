//! NumPy arrays. An `.npz` file, or a folder of `.npy` files, holds features and labels under one of these names, and perhaps a
//! validation and a test part:
//!
//! ```text
//! features  x  X  features  x_train  X_train  train_x      test  x_test  X_test  features_test  test_x
//! labels    y  Y  labels    y_train  Y_train  train_y      test  y_test  Y_test  labels_test    test_y
//! validation   x_val  X_val  x_valid  X_valid  val_x       y_val  Y_val  y_valid  Y_valid  val_y
//! ```
//! Labels are numbers or texts.
//!
//! A single `.npy` file is features without labels, for prediction; `data.label_path` names a file of labels. Features may
//! also be a sparse matrix (see `scipy`): an archive of its own, whose labels lie in it or beside it. The header is read here, in forty lines: `npyz`
//! allocates what a header asks for and overflows on its shape. Format: NEP 1.

mod file;
mod store;

use std::path::Path;

use super::place::Place;
use crate::data::parts::Part;
use crate::data::raw::{Raw, Source};
use crate::data::reading::{Reading, Wanted};
use crate::data::settings::{DataSettings, TaskChoice};
use crate::data::span::Shifting;
use crate::data::stream::Streaming;
use crate::{Error, Result};
use store::{
    FEATURES, LABELS, Store, TEST_FEATURES, TEST_LABELS, VALIDATION_FEATURES, VALIDATION_LABELS, folder_has,
};

/// Whether a folder holds features.
pub(crate) fn has_parts(folder: &Path) -> bool {
    folder_has(folder, &FEATURES)
}

/// Whether a path leads to a folder or a file of this format.
pub(super) fn detect(place: &Place) -> bool {
    if place.is_folder {
        return has_parts(&place.path);
    }
    let is_magic =
        matches!(&place.start[..], [0x93, b'N', b'U', b'M', b'P', b'Y', ..] | [b'P', b'K', 3, 4, ..]);
    place.is_file() && !place.is_text() && (place.ends(&[".npy", ".npz"]) || is_magic)
}

/// The part to which a model is applied, by names alone; an `.npy` file has no parts.
pub(super) fn part_for_model(path: &Path) -> Result<Option<Part>> {
    let store = Store::open(path)?;
    let has = |names: &[&str]| store.has(path, names);
    Ok(if has(&TEST_FEATURES) {
        Some(Part::Test)
    } else if has(&VALIDATION_FEATURES) {
        Some(Part::Validation)
    } else {
        None
    })
}

/// Bytes of the training features of a file of that length; none where no name tells which they are.
pub(super) fn feature_bytes(path: &Path, length: u64) -> Result<Option<u64>> {
    Ok(match Store::open(path)? {
        Store::Single => Some(length),
        mut store => store.unpacked_bytes(&FEATURES),
    })
}

/// Reads a folder or an `.npz` file with features and labels, or features alone whose labels the settings name.
pub(super) fn read(path: &Path, settings: &DataSettings) -> Result<Source> {
    let how = How { shifting: Shifting::by(settings.scale), streaming: settings.streaming() };
    read_parts(path, settings.label_path.as_deref(), settings.task, how)
}

/// Reads a new file for a model: the test part where there is one, else the validation part, else all. Without labels an `.npy`
/// file will do.
pub(super) fn reread(path: &Path, reading: &Reading, wanted: Wanted) -> Result<Raw> {
    let shifting = Shifting::As(reading.shifts().to_vec());
    let how = How { shifting, streaming: wanted.streaming.cloned() };
    if let Some(task) = wanted.labels {
        let Source { train, validation, test } = read_parts(path, None, task.into(), how)?;
        return Ok(test.or(validation).unwrap_or(train));
    }
    let mut store = Store::open(path)?;
    for names in [&TEST_FEATURES[..], &VALIDATION_FEATURES, &FEATURES] {
        if let Some(found) = store.features(path, names, &how.shifting, how.streaming.as_ref())? {
            return Ok(found.into_raw(path, None));
        }
    }
    Err(store.no_features(path))
}

/// How features are read.
struct How {
    shifting: Shifting,
    streaming: Option<Streaming>,
}

/// Reads all parts, each shifted as the training part is. `task` tells whether large whole numbers are classes.
fn read_parts(
    path: &Path,
    label_path: Option<&str>,
    task: TaskChoice,
    How { shifting, streaming }: How,
) -> Result<Source> {
    let streaming = streaming.as_ref();
    let mut store = Store::open(path)?;
    let train = match store.features(path, &FEATURES, &shifting, streaming)? {
        Some(features) => store.labelled(path, features, &LABELS, label_path, task)?,
        None => return Err(store.no_features(path)),
    };
    let shifting = Shifting::As(train.reading.shifts().to_vec());
    let mut part = |features: &[&str], labels: &[&str]| {
        let found = if store.holds_one_matrix() {
            None
        } else {
            store.features(path, features, &shifting, streaming)?
        };
        found.map(|found| store.labelled(path, found, labels, None, task)).transpose()
    };
    let validation = part(&VALIDATION_FEATURES, &VALIDATION_LABELS)?;
    let test = part(&TEST_FEATURES, &TEST_LABELS)?;
    for (name, part) in [("validation", &validation), ("test", &test)] {
        if let Some(part) = part.as_ref().filter(|part| part.width != train.width) {
            let problem =
                format!("the {name} part has {} columns, the training part {}", part.width, train.width);
            return Err(Error::data(&part.path, problem));
        }
    }
    Ok(Source { train, validation, test })
}

#[cfg(test)]
pub(crate) mod tests;
