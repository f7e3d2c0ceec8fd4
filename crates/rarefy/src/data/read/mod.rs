//! From a path to samples: which reader a path needs, and what it reads. A reader is a file or folder of this one.

mod array;
pub(super) mod audio;
mod builtin;
pub(super) mod csv;
pub(super) mod documents;
pub(super) mod files;
pub(super) mod gzip;
pub(super) mod idx;
mod images;
mod jsonl;
mod libsvm;
pub(super) mod npy;
mod scipy;
mod sniff;
mod texts;

use std::path::{Path, PathBuf};

use super::parts::Parts;
use super::prepare::{Preparation, classes};
use super::raw::{Format, Raw, Source};
use super::reading::{FileReading, Kept, MemoryReading};
use super::settings::{AudioSettings, DataSettings, Decimal, Header, ImageColor, LabelType, Quote};
use super::span::Shifting;
use super::text::token_kind;
use crate::{Error, Result};
pub(super) use files::Bad;
use files::Kind;

pub use builtin::digits;

/// Reads what the settings name.
pub(crate) fn read(settings: &DataSettings) -> Result<Source> {
    let as_table =
        !settings.ignore.is_empty() || settings.text.as_ref().is_some_and(|text| text.column.is_some());
    let mut source = match place(&settings.path, as_table)? {
        Place::Csv(path) if !as_table => {
            refuse_list(&path)?;
            Parts::whole(csv::read(&path, settings)?)
        }
        Place::Digits => Parts::whole(builtin::raw()),
        Place::Idx(path) => idx::read(&path)?,
        Place::Npy(path) => {
            let shifting = Shifting::by(settings.scale);
            npy::read(&path, settings.label_path.as_deref(), settings.task, &shifting)?
        }
        Place::Csv(path) => Parts::whole(csv::read(&path, settings)?),
        Place::Jsonl(path) => Parts::whole(jsonl::read(&path, settings)?),
        Place::Libsvm(path) => Parts::whole(libsvm::read(&path, settings)?),
        Place::Files(path, Kind::Images) => images::read(&path, settings)?,
        Place::Files(path, Kind::Audio) => audio::read(&path, settings)?,
        Place::Files(path, Kind::Text) => documents::read(&path, settings)?,
    };
    refuse_settings_of_others(settings, source.train.format)?;
    source.train.notes.extend(classes::note(&source.train, settings.task));
    let kind = token_kind(settings.text.as_ref());
    source.try_map(|part| texts::without_empty(part, kind, Bad::in_training(settings.skip_bad)))
}

/// Refuses a table that looks like a list of files whose columns are not clear.
fn refuse_list(path: &Path) -> Result<()> {
    let Some((column, file)) = files::named_file(path)? else { return Ok(()) };
    let problem = format!(
        "column {column} names files, such as {file:?}, so this looks like a list of files: name its columns path and label in the first line; if it is a table leave the column out with data.ignore"
    );
    Err(Error::data(path, problem))
}

/// Refuses settings that say something about another kind of file.
pub(crate) fn refuse_settings_of_others(settings: &DataSettings, format: Format) -> Result<()> {
    let (csv, images, audio) = (&[Format::Csv][..], &[Format::Images][..], &[Format::Audio][..]);
    let (text, libsvm) = (&[Format::Csv, Format::Jsonl, Format::Text][..], &[Format::Libsvm][..]);
    let labelled = &[Format::Csv, Format::Jsonl][..];
    let skippable: &[Format] = match settings.text {
        Some(_) => &[Format::Images, Format::Audio, Format::Text, Format::Jsonl, Format::Csv],
        None => &[Format::Images, Format::Audio, Format::Text, Format::Jsonl],
    };
    for (key, given, formats, what) in [
        ("data.label", !settings.label.is_empty(), labelled, "CSV files and JSON lines"),
        ("data.text", settings.text.is_some(), text, "CSV files, JSON lines and text files"),
        ("data.first_index", settings.first_index.is_some(), libsvm, "libsvm files"),
        ("data.features", settings.features.is_some(), libsvm, "libsvm files"),
        ("data.label_path", settings.label_path.is_some(), &[Format::Npy], "NPY and NPZ files"),
        ("data.categorical", !settings.categorical.is_empty(), csv, "CSV files"),
        ("data.ignore", !settings.ignore.is_empty(), csv, "CSV files"),
        ("data.delimiter", settings.delimiter.is_some(), csv, "CSV files"),
        ("data.quote", settings.quote != Quote::Auto, csv, "CSV files"),
        ("data.decimal", settings.decimal != Decimal::Auto, csv, "CSV files"),
        ("data.label_type", settings.label_type != LabelType::Auto, csv, "CSV files"),
        ("data.header", settings.header != Header::Auto, csv, "CSV files"),
        ("data.image_size", settings.image_size.is_some(), images, "PNG and JPEG files"),
        ("data.image_color", settings.image_color != ImageColor::Auto, images, "PNG and JPEG files"),
        ("data.sample_rate", settings.sample_rate.is_some(), audio, "WAV files"),
        ("data.audio", settings.audio != AudioSettings::default(), audio, "WAV files"),
        ("data.skip_bad", settings.skip_bad, skippable, "images, WAV files and texts"),
    ] {
        if given && !formats.contains(&format) {
            let problem = format!("is for {what}, and {} holds none; leave it out", settings.path);
            return Err(Error::setting(key, problem));
        }
    }
    Ok(())
}

/// Reads a new file for a model: the test part where the path has one of its own. Of many files those that are broken
/// may be left out.
pub(crate) fn read_for_model(preparation: &Preparation, path: &str, targets: bool, bad: Bad) -> Result<Raw> {
    if let Some(text) = preparation.text() {
        let raw = read_text_for_model(preparation, path, targets, bad)?;
        return texts::without_empty(raw, text.kind(), bad);
    }
    let table = preparation.format == Format::Csv;
    let place = place(path, table)?;
    let refuse = |what: &str| {
        let problem = format!("is not what the model was trained on; give {what}");
        Err(Error::data(Path::new(path), problem))
    };
    match (&preparation.reading, &place) {
        (Some(FileReading::Images(reading)), Place::Files(path, Kind::Images)) => {
            return images::read_for_model(path, reading, targets, bad);
        }
        (Some(FileReading::Audio(reading)), Place::Files(path, Kind::Audio)) => {
            return audio::read_for_model(path, reading, preparation.shape.width, targets, bad);
        }
        (Some(FileReading::Libsvm(reading)), Place::Libsvm(path)) => {
            return libsvm::read_for_model(path, reading, preparation, targets);
        }
        (Some(FileReading::Libsvm(_)), _) => return refuse("a libsvm file"),
        (Some(FileReading::Memory(MemoryReading { kept: Kept::Tokens(_), .. })), _) => {
            return refuse("tokens in memory: no file holds them");
        }
        (Some(FileReading::Memory(_)), Place::Idx(_) | Place::Npy(_) | Place::Digits) => {}
        (Some(FileReading::Memory(_)), _) => return refuse("numbers in memory, or an IDX, NPY or NPZ file"),
        (Some(FileReading::Images(_)), _) => return refuse("a folder or a CSV list of PNG or JPEG files"),
        (Some(FileReading::Audio(_)), _) => return refuse("a folder or a CSV list of WAV files"),
        (None, Place::Files(..) | Place::Jsonl(_) | Place::Libsvm(_)) if table => {
            return refuse("a CSV file with the same columns");
        }
        (None, Place::Files(..) | Place::Jsonl(_) | Place::Libsvm(_)) => {
            return refuse("an IDX, NPY or NPZ file");
        }
        (None, _) => {}
    }
    let shifting = Shifting::As(preparation.shifts.clone());
    let own_test = |source: Source| source.test.unwrap_or(source.train);
    match place {
        Place::Csv(path) if table => csv::read_for_model(&path, preparation, targets),
        Place::Csv(path) => Err(Error::data(
            &path,
            "is text, but the model was trained on arrays; give an IDX, NPY or NPZ file",
        )),
        Place::Digits | Place::Idx(_) | Place::Npy(_) if table => Err(Error::data(
            Path::new(path),
            "is an array, but the model was trained on a CSV file; give one with the same columns",
        )),
        Place::Digits => Ok(builtin::raw()),
        Place::Idx(path) if targets => idx::read(&path).map(own_test),
        Place::Idx(path) => idx::read_unlabelled(&path),
        Place::Npy(path) if targets => {
            npy::read(&path, None, classes::task_of(preparation), &shifting).map(own_test)
        }
        Place::Npy(path) => npy::read_unlabelled(&path, &shifting),
        Place::Files(..) | Place::Jsonl(_) | Place::Libsvm(_) => unreachable!("read or refused above"),
    }
}

/// Reads new texts for a model that was trained on the same kind of file.
fn read_text_for_model(preparation: &Preparation, path: &str, targets: bool, bad: Bad) -> Result<Raw> {
    let refuse = |what: &str| {
        let problem = format!("is not what the model was trained on; give {what}");
        Err(Error::data(Path::new(path), problem))
    };
    match (preparation.format, place(path, preparation.format == Format::Csv)?) {
        (Format::Csv, Place::Csv(path)) => csv::read_for_model(&path, preparation, targets),
        (Format::Jsonl, Place::Jsonl(path)) => jsonl::read_for_model(&path, preparation, targets),
        (Format::Text, Place::Files(path, Kind::Text)) => documents::read_for_model(&path, targets, bad),
        // A single document.
        (Format::Text, Place::Csv(path)) if !targets => documents::read_for_model(&path, false, bad),
        (Format::Csv, _) => refuse("a CSV file with the same columns"),
        (Format::Jsonl, _) => refuse("JSON lines (.jsonl) with the same keys"),
        (_, _) => refuse("a folder or a CSV list of TXT files, or, without labels, a single one"),
    }
}

/// Whether a path or name leads to samples with a test part of its own; nothing but names is looked at.
///
/// # Errors
/// If there is no such path, or it is not data that could be read.
pub fn has_test_part(path: &str) -> Result<bool> {
    match place(path, false)? {
        Place::Digits | Place::Csv(_) | Place::Jsonl(_) | Place::Libsvm(_) => Ok(false),
        Place::Idx(path) => Ok(idx::has_test_part(&path)),
        Place::Npy(path) => npy::has_test_part(&path),
        Place::Files(path, kind) => files::has_test_part(&path, kind),
    }
}

/// A path, and what reads it.
enum Place {
    Digits,
    Idx(PathBuf),
    Npy(PathBuf),
    Csv(PathBuf),
    Jsonl(PathBuf),
    Libsvm(PathBuf),
    /// Images, recordings or texts: a folder, a list, or (for a model) one of them.
    Files(PathBuf, Kind),
}

/// Finds what a path or name stands for, by name and then by the first bytes. What could be a list of files is a table if it
/// is to be read `as_table`.
fn place(path: &str, as_table: bool) -> Result<Place> {
    let is_builtin = path == "digits" || builtin::KNOWN.contains(&path);
    if is_builtin && Path::new(path).exists() {
        let problem = format!(
            "is the name of known data, and is here too; give ./{path} for what is here, or rename it"
        );
        return Err(Error::data(Path::new(path), problem));
    }
    match path {
        "digits" => return Ok(Place::Digits),
        _ if is_builtin => return builtin::find(path).map(Place::Idx),
        _ => {}
    }
    let path = PathBuf::from(path);
    let about = std::fs::metadata(&path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => Error::data(
            &path,
            "there is no such file or folder; give the path of one, or digits, fashion-mnist or mnist",
        ),
        _ => Error::io(&path, "cannot read")(source),
    })?;
    if about.is_dir() {
        if idx::has_parts(&path) {
            return Ok(Place::Idx(path));
        }
        if npy::has_parts(&path) {
            return Ok(Place::Npy(path));
        }
        return match files::kind(&path)? {
            Some(kind) => Ok(Place::Files(path, kind)),
            None => Err(Error::data(
                &path,
                "this folder holds neither folders of PNG, JPEG, WAV or TXT files, one for each class, nor train-images-idx3-ubyte and train-labels-idx1-ubyte, nor x.npy and y.npy; give the path of a file",
            )),
        };
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    let mut start = Vec::new();
    {
        use std::io::Read;
        let opened = gzip::open(&path)?;
        let from = &mut opened.reader.take(sniff::START as u64);
        from.read_to_end(&mut start).map_err(gzip::read_error(&path))?;
    }
    if let Some(what) = sniff::foreign(&start) {
        return Err(Error::data(&path, what));
    }
    if (!as_table || files::is_sample(&path))
        && let Some(kind) = files::kind(&path)?
    {
        return Ok(Place::Files(path, kind));
    }
    let ends = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
    let is_json = matches!(start.trim_ascii_start().first(), Some(b'{' | b'['));
    if ends(&[".jsonl", ".ndjson"]) || (is_json && ends(&[".json"])) {
        return Ok(Place::Jsonl(path));
    }
    if ends(&[".libsvm", ".svm", ".svmlight"]) {
        return Ok(Place::Libsvm(path));
    }
    let is_text = ends(&[".csv", ".tsv", ".txt", ".data", ".dat"]);
    Ok(match &start[..] {
        _ if is_text && ends(&[".csv", ".tsv"]) => Place::Csv(path),
        _ if is_text && libsvm::looks_like(&path)? => Place::Libsvm(path),
        _ if is_text => Place::Csv(path),
        _ if name.contains("-ubyte") || name.contains("idx") || idx::is_magic(&start) => Place::Idx(path),
        _ if name.ends_with(".npy") || name.ends_with(".npz") => Place::Npy(path),
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] | [b'P', b'K', 3, 4, ..] => Place::Npy(path),
        _ if libsvm::looks_like(&path)? => Place::Libsvm(path),
        _ => Place::Csv(path),
    })
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
            let error = place(path, false).err().unwrap().to_string();
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
            assert_eq!(read(&settings).unwrap().train.format, format);
        }
    }

    #[test]
    fn settings_for_text_are_refused_for_arrays() {
        let settings = DataSettings { label: vec!["y".into()], ..DataSettings::default() };
        let error = read(&settings).err().unwrap().to_string();
        assert!(error.starts_with("data.label: is for CSV files"), "{error}");
    }
}
