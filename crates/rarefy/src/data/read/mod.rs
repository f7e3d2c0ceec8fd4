//! From a path to samples: which reader a path needs, and what it reads. A reader is a file or folder of this one.

mod array;
mod array_in_file;
pub(super) mod audio;
mod builtin;
mod cifar;
mod columnar;
pub(super) mod csv;
pub(super) mod documents;
pub(super) mod files;
pub(super) mod gzip;
pub(super) mod idx;
mod images;
mod jsonl;
mod libsvm;
pub(super) mod npy;
pub(crate) mod pipes;
mod place;
mod room;
mod scipy;
mod settings_of_formats;
mod sink;
mod sniff;
pub(super) mod texts;

use std::path::Path;

use super::parts::Part;
use super::prepare::classes;
use super::raw::{Raw, Source};
use super::reading::{Broken, Format, Keep, Kept, MEMORY, MemoryReading, Reading, Wanted};
use super::settings::DataSettings;
use super::text::token_kind;
use crate::machine::free_memory_bytes;
use crate::{Error, Result};
use files::Kind;
use place::Place;
pub(crate) use settings_of_formats::refuse_settings_of_others;

/// A format: all that the rest of the library knows of it.
struct Row {
    format: Format,
    /// What its files are called.
    names: &'static [&'static str],
    /// What a model that was trained on it can be given.
    takes: &'static str,
    /// What a folder of it holds.
    folder: Option<&'static str>,
    /// Whether a path leads to it; the first row of the table that says so is taken.
    detect: fn(&Place) -> Result<bool>,
    read: fn(&Path, &DataSettings) -> Result<Source>,
    /// Reads a new file for a model: the test part where the path has one of its own.
    reread: fn(&Path, &Reading, Wanted) -> Result<Raw>,
    /// The part of its own that a model is applied to, if it has any.
    part_for_model: fn(&Path) -> Result<Option<Part>>,
}

/// What a model trained on numbers without names can be given.
const ARRAYS: &str = "an IDX, NPY, NPZ or CIFAR file";

/// Formats with columns or keys that may stand beside predictions.
const HAVE_COLUMNS: [Format; 2] = [Format::Csv, Format::Jsonl];

/// What a model trained on a table can be given.
const TABLE: &str = "a CSV, Parquet or Arrow file with the same columns";

/// All formats, in the order in which a path is tried. A new one is a file of this folder, a variant of [`Reading`] and a row.
const FORMATS: [Row; 12] = [
    Row {
        format: Format::Digits,
        names: &["digits"],
        takes: ARRAYS,
        folder: None,
        detect: |place| Ok(place.name == Some(builtin::DIGITS_NAME)),
        read: |_, _| Ok(Source::whole(builtin::raw())),
        reread: |_, _, _| Ok(builtin::raw()),
        part_for_model: |_| Ok(None),
    },
    Row {
        format: Format::Memory,
        names: &[],
        takes: "numbers in memory, or an IDX, NPY, NPZ or CIFAR file",
        folder: None,
        detect: |place| Ok(place.name == Some(MEMORY)),
        read: |path, _| Err(not_a_file(path)),
        reread: |path, _, _| Err(not_a_file(path)),
        part_for_model: |_| Ok(None),
    },
    Row {
        format: Format::Csv,
        names: &["Parquet", "Arrow"],
        takes: TABLE,
        folder: None,
        detect: |place| Ok(place.is_file() && place.is_typed()),
        read: csv::read,
        reread: csv::reread,
        part_for_model: |_| Ok(None),
    },
    Row {
        format: Format::Images,
        names: &["PNG", "JPEG"],
        takes: "a folder or a CSV list of PNG or JPEG files",
        folder: Some("folders of PNG or JPEG files, one for each class"),
        detect: |place| is_of(place, Kind::Images),
        read: images::read,
        reread: images::reread,
        part_for_model: |path| files::part_for_model(path, Kind::Images),
    },
    Row {
        format: Format::Audio,
        names: &["WAV"],
        takes: "a folder or a CSV list of WAV files",
        folder: Some("folders of WAV files"),
        detect: |place| is_of(place, Kind::Audio),
        read: audio::read,
        reread: audio::reread,
        part_for_model: |path| files::part_for_model(path, Kind::Audio),
    },
    Row {
        format: Format::Text,
        names: &["TXT"],
        takes: "a folder or a CSV list of TXT files, or, without labels, a single one",
        folder: Some("folders of TXT files"),
        detect: |place| is_of(place, Kind::Text),
        read: documents::read,
        reread: documents::reread,
        part_for_model: |path| files::part_for_model(path, Kind::Text),
    },
    Row {
        format: Format::Jsonl,
        names: &["JSONL"],
        takes: "JSON lines (.jsonl) with the same keys",
        folder: None,
        detect: |place| Ok(jsonl::detect(place)),
        read: jsonl::read,
        reread: jsonl::reread,
        part_for_model: |_| Ok(None),
    },
    Row {
        format: Format::Libsvm,
        names: &["libsvm"],
        takes: "a libsvm file",
        folder: None,
        detect: libsvm::detect,
        read: libsvm::read,
        reread: libsvm::reread,
        part_for_model: |_| Ok(None),
    },
    Row {
        format: Format::Cifar,
        names: &["CIFAR"],
        takes: ARRAYS,
        folder: Some("data_batch_1.bin to data_batch_5.bin and batches.meta.txt (CIFAR)"),
        detect: |place| Ok(cifar::detect(place)),
        read: |path, _| cifar::read(path),
        reread: cifar::reread,
        part_for_model: |path| Ok(cifar::has_test_part(path).then_some(Part::Test)),
    },
    Row {
        format: Format::Idx,
        names: &["IDX"],
        takes: ARRAYS,
        folder: Some("train-images-idx3-ubyte and train-labels-idx1-ubyte"),
        detect: |place| Ok(idx::detect(place)),
        read: |path, settings| idx::read(path, settings.streaming().as_ref()),
        reread: idx::reread,
        part_for_model: |path| Ok(idx::has_test_part(path).then_some(Part::Test)),
    },
    Row {
        format: Format::Npy,
        names: &["NPY", "NPZ"],
        takes: ARRAYS,
        folder: Some("x.npy and y.npy"),
        detect: |place| Ok(npy::detect(place)),
        read: npy::read,
        reread: npy::reread,
        part_for_model: npy::part_for_model,
    },
    Row {
        format: Format::Csv,
        names: &["CSV"],
        takes: TABLE,
        folder: None,
        detect: |place| Ok(place.is_file()),
        read: csv::read,
        reread: csv::reread,
        part_for_model: |_| Ok(None),
    },
];

/// What can be read, for help texts: `digits, fashion-mnist, mnist, or a file or folder (PNG, JPEG, ...)`.
pub fn what_can_be_read() -> String {
    let (named, files): (Vec<&str>, Vec<&str>) =
        FORMATS.iter().rev().flat_map(|row| row.names).partition(|name| **name == builtin::DIGITS_NAME);
    let named: Vec<&str> = named.into_iter().chain(builtin::KNOWN).collect();
    format!("{}, or a file or folder ({})", named.join(", "), files.join(", "))
}

fn not_a_file(path: &Path) -> Error {
    Error::data(
        path,
        "these samples were in the memory of the program that trained on them, so they cannot be read again; hand them over as it did, or give the path of a file",
    )
}

/// Looks at a path or name. What could be a list of files is a table if it is to be read `as_table`.
fn find(given: &str, as_table: bool) -> Result<Place> {
    let path = Path::new(given);
    let is_known = builtin::KNOWN.contains(&given);
    let name = [builtin::DIGITS_NAME, MEMORY].into_iter().find(|name| *name == given);
    if path.exists() && (is_known || name == Some(builtin::DIGITS_NAME)) {
        let problem = format!(
            "is the name of known data, and is here too; give ./{given} for what is here, or rename it"
        );
        return Err(Error::data(path, problem));
    }
    match name.filter(|_| !path.exists()) {
        Some(name) => Ok(Place::named(name)),
        None if is_known => Place::at(builtin::find(given)?, as_table),
        None => Place::at(path.to_path_buf(), as_table),
    }
}

/// Whether a path leads to files of a kind; a folder of arrays does not.
fn is_of(place: &Place, kind: Kind) -> Result<bool> {
    let has_arrays = [idx::has_parts, npy::has_parts, cifar::has_parts].iter().any(|has| has(&place.path));
    let holds_arrays = place.is_folder && has_arrays;
    Ok(!holds_arrays && place.kind()? == Some(kind))
}

/// The row of the format that a path leads to.
fn detect(place: &Place) -> Result<&'static Row> {
    for row in &FORMATS {
        if (row.detect)(place)? {
            return Ok(row);
        }
    }
    let folders: Vec<&str> = FORMATS.iter().filter_map(|row| row.folder).collect();
    let problem = format!(
        "this folder holds neither of what could be read: {}; give the path of a file, or of such a folder",
        folders.join("; ")
    );
    Err(Error::data(&place.path, problem))
}

/// Whether the settings say that a file is a table, be it like a list of files.
fn is_table(settings: &DataSettings) -> bool {
    [&settings.ignore, &settings.keep, &settings.date].iter().any(|columns| !columns.is_empty())
        || settings.text.as_ref().is_some_and(|text| text.column.is_some())
}

pub use builtin::digits;

/// Reads what the settings name, if the machine has room for it.
pub(crate) fn read(settings: &DataSettings) -> Result<Source> {
    read_within(settings, free_memory_bytes().unwrap_or(u64::MAX))
}

/// Reads what the settings name, if its samples take no more bytes than there is room for.
pub(crate) fn read_within(settings: &DataSettings, room: u64) -> Result<Source> {
    let place = find(&settings.path, is_table(settings))?;
    let row = detect(&place)?;
    if row.format == Format::Csv && !place.is_typed() && !is_table(settings) {
        refuse_list(&place.path)?;
    }
    if settings.memory.is_some() {
        // Before all of it is read into memory.
        refuse_settings_of_others(settings, row.format)?;
    }
    room::refuse_too_large(&place, row.format, settings, room)?;
    let mut source = (row.read)(&place.path, settings)?;
    pipes::forget(&place.path);
    refuse_settings_of_others(settings, row.format)?;
    source.train.notes.extend(classes::note(&source.train, settings.task));
    let kind = token_kind(settings.text.as_ref());
    source.try_map(|part| texts::without_empty(part, kind, Broken::of(settings.skip_bad)))
}

/// Refuses a table that looks like a list of files whose columns are not clear.
fn refuse_list(path: &Path) -> Result<()> {
    let Some((column, file)) = files::named_file(path)? else { return Ok(()) };
    let problem = format!(
        "column {column} names files, such as {file:?}, so this looks like a list of files: name its columns path and label in the first line; if it is a table leave the column out with data.ignore"
    );
    Err(Error::data(path, problem))
}

/// Reads a new file for a model: the test part where the path has one of its own. Texts that are empty are left in.
///
/// # Errors
/// A file of another format than the model takes, and what its reader finds wrong.
pub(crate) fn reread(reading: &Reading, path: &str, wanted: Wanted) -> Result<Raw> {
    let trained = FORMATS.iter().find(|row| row.format == reading.format()).expect("each format has a row");
    let place = find(path, trained.format == Format::Csv)?;
    let found = detect(&place)?;
    let is_document =
        trained.format == Format::Text && found.format == Format::Csv && wanted.labels.is_none();
    if let Reading::Memory(MemoryReading { kept: Kept::Tokens(_), .. }) = reading {
        let problem = "is not what the model was trained on: tokens in memory, which no file holds";
        return Err(Error::data(&place.path, problem));
    }
    if matches!(wanted.keep, Keep::Columns(_)) && !HAVE_COLUMNS.contains(&found.format) {
        let problem = format!("is for CSV files and JSON lines, and {path} has no columns; leave it out");
        return Err(Error::setting("data.keep", problem));
    }
    // Arrays are alike, be they packed as they may.
    let are_arrays = found.takes == ARRAYS && (trained.takes == ARRAYS || trained.format == Format::Memory);
    let reread = if found.format == trained.format || is_document {
        trained.reread
    } else if are_arrays {
        found.reread
    } else {
        let problem = format!("is not what the model was trained on; give {}", trained.takes);
        return Err(Error::data(&place.path, problem));
    };
    let raw = reread(&place.path, reading, wanted)?;
    pipes::forget(&place.path);
    Ok(raw)
}

/// The part of its own to which a model is applied where a path or name leads to samples that come divided: the test part, or
/// else a validation part. Nothing but names is looked at.
///
/// # Errors
/// If there is no such path, or it is not data that could be read.
pub fn part_for_model(path: &str) -> Result<Option<Part>> {
    let place = find(path, false)?;
    (detect(&place)?.part_for_model)(&place.path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_leads_nowhere_says_what_could_be_given() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().to_str().unwrap().to_string();
        for (path, problem) in
            [("/no/such/file", "no such file or folder"), (empty.as_str(), "this folder holds neither")]
        {
            let error = part_for_model(path).err().unwrap().to_string();
            assert!(error.contains(problem) && error.contains(path), "{error}");
        }
    }

    #[test]
    fn tables_of_file_names_and_json_are_known_for_what_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.csv");
        let settings = |text: &str| -> DataSettings {
            let settings: DataSettings = toml::from_str(text).unwrap();
            DataSettings { path: path.to_str().unwrap().into(), ..settings }
        };
        // The files are not there.
        std::fs::write(&path, "filename,size,label\na.png,1,x\nb.png,2,y\nc.png,3,x\nd.png,4,y\n").unwrap();
        let error = read(&settings("")).err().unwrap().to_string();
        assert!(
            error.contains("column 1 names files, such as \"a.png\", so this looks like a list"),
            "{error}"
        );
        assert_eq!(read(&settings("ignore = 'filename'")).unwrap().train.width, 1);
        // A table still where they are.
        std::fs::write(folder.path().join("a.png"), "").unwrap();
        assert_eq!(read(&settings("ignore = 'filename'")).unwrap().train.width, 1);
        for (text, format) in [
            ("{\"text\": \"a\", \"label\": \"x\"}\n{\"text\": \"b\", \"label\": \"y\"}\n", Format::Jsonl),
            (
                "\u{feff}[\n {\"text\": \"a\", \"label\": \"x\"},\n {\"text\": \"b\", \"label\": \"y\"}\n]",
                Format::Jsonl,
            ),
        ] {
            let path = folder.path().join("t.json");
            std::fs::write(&path, text).unwrap();
            let settings = DataSettings { path: path.to_str().unwrap().into(), ..DataSettings::default() };
            assert_eq!(read(&settings).unwrap().train.format(), format);
        }
    }

    #[test]
    fn settings_for_text_are_refused_for_arrays() {
        let settings = DataSettings { label: vec!["y".into()], ..DataSettings::default() };
        let error = read(&settings).err().unwrap().to_string();
        assert!(error.starts_with("data.label: is for CSV files"), "{error}");
    }
}
