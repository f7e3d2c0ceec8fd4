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

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use zip::ZipArchive;

use super::array::{Array, Element, Samples};
use super::gzip;
use super::gzip::Opened;
use super::scipy;
use crate::data::raw::{Cells, Format, Labels, Raw, Source};
use crate::data::settings::TaskChoice;
use crate::data::span::Shifting;
use crate::tiles::Shape;
use crate::{Error, Result};

const FEATURES: [&str; 6] = ["x", "X", "features", "x_train", "X_train", "train_x"];
const LABELS: [&str; 6] = ["y", "Y", "labels", "y_train", "Y_train", "train_y"];
const TEST_FEATURES: [&str; 4] = ["x_test", "X_test", "features_test", "test_x"];
const TEST_LABELS: [&str; 4] = ["y_test", "Y_test", "labels_test", "test_y"];
const VALIDATION_FEATURES: [&str; 5] = ["x_val", "X_val", "x_valid", "X_valid", "val_x"];
const VALIDATION_LABELS: [&str; 5] = ["y_val", "Y_val", "y_valid", "Y_valid", "val_y"];
/// No header of a plain array comes near this.
const LONGEST_HEADER: usize = 1 << 16;

/// Whether a folder holds features.
pub(crate) fn has_parts(folder: &Path) -> bool {
    find(folder, &FEATURES).or(find_sparse(folder, &FEATURES)).is_some()
}

/// Whether a folder or an `.npz` file holds a test part; an `.npy` file holds none.
pub(crate) fn has_test_part(path: &Path) -> Result<bool> {
    Ok(match Store::open(path)? {
        Store::Single => false,
        Store::Folder => find(path, &TEST_FEATURES).or(find_sparse(path, &TEST_FEATURES)).is_some(),
        Store::Archive(archive, _) => entry(&archive, &TEST_FEATURES).is_some(),
    })
}

/// The entry of the first name that there is.
fn entry(archive: &ZipArchive<BufReader<File>>, names: &[&str]) -> Option<String> {
    names.iter().map(|name| format!("{name}.npy")).find(|name| archive.index_for_name(name).is_some())
}

/// The file of the first name that there is.
fn find(folder: &Path, names: &[&str]) -> Option<PathBuf> {
    names
        .iter()
        .flat_map(|name| [".npy", ".npy.gz"].map(|end| folder.join(format!("{name}{end}"))))
        .find(|file| file.is_file())
}

/// The file of a sparse matrix of the first name that there is.
fn find_sparse(folder: &Path, names: &[&str]) -> Option<PathBuf> {
    names.iter().map(|name| folder.join(format!("{name}.npz"))).find(|file| file.is_file())
}

/// Reads a folder or an `.npz` file with features and labels, or features alone whose labels are at `label_path`; `task` tells
/// whether large whole numbers are classes. All parts are shifted as the training part is.
pub(crate) fn read(
    path: &Path,
    label_path: Option<&str>,
    task: TaskChoice,
    shifting: &Shifting,
) -> Result<Source> {
    let mut store = Store::open(path)?;
    let train = match store.features(path, &FEATURES, shifting)? {
        Some(features) => store.labelled(path, features, &LABELS, label_path, task)?,
        None => return Err(store.no_features(path)),
    };
    let shifting = Shifting::As(train.shifts.clone());
    let mut part = |features: &[&str], labels: &[&str]| {
        let found =
            if store.holds_one_matrix() { None } else { store.features(path, features, &shifting)? };
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

/// Reads features alone: an `.npy` file, or the test part (else the training part) of a folder or `.npz` file.
pub(crate) fn read_unlabelled(path: &Path, shifting: &Shifting) -> Result<Raw> {
    let mut store = Store::open(path)?;
    let found = match store.features(path, &TEST_FEATURES, shifting)? {
        Some(found) => Some(found),
        None => store.features(path, &FEATURES, shifting)?,
    };
    let found = found.ok_or_else(|| store.no_features(path))?;
    Ok(found.into_raw(path, Format::Npy, None))
}

/// Where named arrays lie.
enum Store {
    Folder,
    Archive(ZipArchive<BufReader<File>>, u64),
    /// One file of features.
    Single,
}

impl Store {
    fn open(path: &Path) -> Result<Store> {
        if path.is_dir() {
            return Ok(Store::Folder);
        }
        let file = File::open(path).map_err(Error::io(path, "cannot open"))?;
        let length = file.metadata().map_err(Error::io(path, "cannot read"))?.len();
        let mut file = BufReader::new(file);
        let mut start = [0; 2];
        let is_zip = file.read_exact(&mut start).is_ok() && start == *b"PK";
        if !is_zip && path.to_string_lossy().ends_with(".npz.gz") {
            return Err(Error::data(path, "is an NPZ file packed with gzip; unpack it with gunzip"));
        }
        if !is_zip && path.extension().is_none_or(|end| end != "npz") {
            return Ok(Store::Single);
        }
        file.rewind().map_err(Error::io(path, "cannot read"))?;
        let archive = ZipArchive::new(file).map_err(|error| {
            Error::data(path, format!("is not a sound NPZ file ({error}); get or save it again"))
        })?;
        Ok(Store::Archive(archive, length))
    }

    /// The array of the first name that there is, to be read, and its place for messages.
    fn opened(&mut self, path: &Path, names: &[&str]) -> Result<Option<(PathBuf, Opened<'_>)>> {
        match self {
            Store::Single => Ok(Some((path.to_path_buf(), gzip::open(path)?))),
            Store::Folder => match find(path, names) {
                Some(file) => gzip::open(&file).map(|opened| Some((file, opened))),
                None => Ok(None),
            },
            Store::Archive(archive, length) => {
                let Some(name) = entry(archive, names) else { return Ok(None) };
                let at = path.join(&name);
                let entry = archive.by_name(&name).map_err(|error| {
                    Error::data(&at, format!("cannot be unpacked ({error}); save the file again"))
                })?;
                let at_most = length.saturating_mul(gzip::MOST_SHRUNK);
                Ok(Some((at, Opened { reader: Box::new(entry), at_most })))
            }
        }
    }

    /// The array of the first name that there is.
    fn first(&mut self, path: &Path, names: &[&str]) -> Result<Option<Array>> {
        self.opened(path, names)?.map(|(at, from)| read_array(&at, from)).transpose()
    }

    /// Whether this is one matrix and so has no parts.
    fn holds_one_matrix(&self) -> bool {
        matches!(self, Store::Single) || self.is_sparse()
    }

    /// Whether this is an archive that holds a sparse matrix.
    fn is_sparse(&self) -> bool {
        match self {
            Store::Archive(archive, _) => {
                let has = |name| entry(archive, &[name]).is_some();
                has(scipy::MARK) || (has("format") && has("shape") && has("data"))
            }
            Store::Folder | Store::Single => false,
        }
    }

    /// The features of the first name that there is; a sparse matrix in an archive goes by no name.
    fn features(&mut self, path: &Path, names: &[&str], shifting: &Shifting) -> Result<Option<Samples>> {
        if self.is_sparse() {
            return self.sparse(path).map(Some);
        }
        if let Some(array) = self.first(path, names)? {
            return array.into_features(path, shifting).map(Some);
        }
        match self {
            Store::Folder => {
                find_sparse(path, names).map(|file| Store::open(&file)?.sparse(&file)).transpose()
            }
            Store::Archive(..) | Store::Single => Ok(None),
        }
    }

    /// The sparse matrix in an archive.
    fn sparse(&mut self, path: &Path) -> Result<Samples> {
        if let Store::Archive(archive, _) = self
            && let Ok(format) = archive.by_name("format.npy")
        {
            let mut bytes = Vec::new();
            let longest = LONGEST_HEADER as u64;
            format.take(longest).read_to_end(&mut bytes).map_err(gzip::read_error(path))?;
            scipy::check_format(path, &bytes)?;
        }
        let rows = scipy::read(path, |name| self.first(path, &[name]))?;
        let shape = Shape::flat(rows.features());
        Ok(Samples::plain(Cells::Sparse(rows), shape))
    }

    fn no_features(&self, path: &Path) -> Error {
        let found: Vec<String> = match self {
            Store::Archive(archive, _) => {
                let names = archive.file_names().filter_map(|name| name.ok());
                names.take(10).map(|name| name.trim_end_matches(".npy").to_string()).collect()
            }
            Store::Folder | Store::Single => Vec::new(),
        };
        let only = if found.is_empty() { String::new() } else { format!(", only {}", found.join(", ")) };
        let names = FEATURES.join(", ");
        Error::data(
            path,
            format!("holds no array named {names}{only}; rename the features x and the labels y"),
        )
    }

    /// The features with their labels.
    fn labelled(
        &mut self,
        path: &Path,
        features: Samples,
        names: &[&str],
        label_path: Option<&str>,
        task: TaskChoice,
    ) -> Result<Raw> {
        let raw = features.into_raw(path, Format::Npy, None);
        let beside = [(&FEATURES[..], &LABELS[..]), (&TEST_FEATURES, &TEST_LABELS)];
        let file = match label_path {
            Some(file) => Some(PathBuf::from(file)),
            None if matches!(self, Store::Single) => {
                let problem = "holds features alone; put x.npy and y.npy into a folder, or both into an .npz file, and give its path, or name the labels' file with data.label_path";
                return Err(Error::data(path, problem));
            }
            None => {
                if let Some((at, from)) = self.opened(path, names)? {
                    let labels = Some(read_labels(&at, from, raw.samples(), task)?);
                    return Ok(Raw { labels, ..raw });
                }
                let mut beside = beside.iter().filter(|_| self.is_sparse());
                beside.find_map(|(features, labels)| scipy::beside(path, features, labels))
            }
        };
        let Some(file) = file else {
            let names = names.join(", ");
            let problem = format!(
                "holds features, but no labels; name them one of {names}, or name their file with data.label_path"
            );
            return Err(Error::data(path, problem));
        };
        let labels = Some(read_labels(&file, gzip::open(&file)?, raw.samples(), task)?);
        Ok(Raw { labels, label_path: Some(file), ..raw })
    }
}

/// What stands before the numbers of an array.
struct Header {
    /// NumPy's name of the type of its entries, as in `<f4`.
    kind: String,
    column_major: bool,
    shape: Vec<usize>,
    /// Bytes up to the numbers.
    length: u64,
}

impl Header {
    fn read(path: &Path, from: &mut Opened) -> Result<Header> {
        let not_npy = |why: &str| {
            Error::data(path, format!("is not a sound NPY file: {why}; save it again with numpy.save"))
        };
        let mut take = |bytes: usize| -> Result<Vec<u8>> {
            let mut taken = Vec::with_capacity(bytes);
            from.reader
                .by_ref()
                .take(bytes as u64)
                .read_to_end(&mut taken)
                .map_err(gzip::read_error(path))?;
            if taken.len() < bytes {
                return Err(not_npy("it is cut short inside its header"));
            }
            Ok(taken)
        };
        let start = take(8)?;
        if !start.starts_with(b"\x93NUMPY") {
            return Err(not_npy("it does not start with \\x93NUMPY"));
        }
        let (length, seen) = match start[6] {
            1 => (take(2)?.iter().rev().fold(0, |length, &byte| length << 8 | usize::from(byte)), 10),
            2 | 3 => (take(4)?.iter().rev().fold(0, |length, &byte| length << 8 | usize::from(byte)), 12),
            version => return Err(not_npy(&format!("its version {version} is unknown"))),
        };
        if length > LONGEST_HEADER {
            return Err(not_npy("its header is too long"));
        }
        let header = String::from_utf8(take(length)?).map_err(|_| not_npy("its header is not text"))?;
        let after = |key: &str| {
            let (_, rest) =
                header.split_once(key).ok_or_else(|| not_npy(&format!("its header lacks {key}")))?;
            Ok(rest.trim_start().trim_start_matches(':').trim_start())
        };
        let kind = after("'descr'")?.strip_prefix('\'').and_then(|rest| rest.split_once('\''));
        let kind = kind.map_or("of a compound type", |(kind, _)| kind).to_string();
        let column_major = after("'fortran_order'")?.starts_with("True");
        let shape = after("'shape'")?.strip_prefix('(').and_then(|rest| rest.split_once(')'));
        let shape: Option<Vec<usize>> = shape.and_then(|(sizes, _)| {
            let sizes = sizes.split(',').map(str::trim).filter(|size| !size.is_empty());
            sizes.map(|size| size.parse().ok()).collect()
        });
        let shape = shape.ok_or_else(|| not_npy("its shape cannot be read"))?;
        Ok(Header { kind, column_major, shape, length: seen + length as u64 })
    }

    /// The array of numbers after this header.
    fn numbers(self, path: &Path, from: Opened) -> Result<Array> {
        let (element, big_endian) = element(&self.kind).ok_or_else(|| {
            let kind = &self.kind;
            Error::data(path, format!("its numbers are {kind}; save them as one of the types bool, int8 to int64, uint8 to uint64, float16, float32, float64, as in array.astype(\"float32\")"))
        })?;
        if self.column_major && self.shape.len() > 2 {
            return Err(Error::data(
                path,
                "is in Fortran order with more than two dimensions; save numpy.ascontiguousarray(array)",
            ));
        }
        let array = Array::read(path, from, self.length, self.shape, element, big_endian)?;
        Ok(if self.column_major && array.shape.len() == 2 { array.into_row_major() } else { array })
    }

    /// For texts, how many bytes each has and whether these are characters of 4 bytes; none for numbers.
    fn text(&self) -> Option<(usize, bool)> {
        let count: usize = self.kind.get(2..)?.parse().ok()?;
        match self.kind.get(1..2)? {
            "S" => Some((count, false)),
            "U" => Some((count.checked_mul(4)?, true)),
            _ => None,
        }
    }
}

fn read_array(path: &Path, mut from: Opened) -> Result<Array> {
    Header::read(path, &mut from)?.numbers(path, from)
}

/// Reads labels, numbers or texts.
fn read_labels(path: &Path, mut from: Opened, samples: usize, task: TaskChoice) -> Result<Labels> {
    let header = Header::read(path, &mut from)?;
    let Some((width, is_wide)) = header.text() else {
        if header.kind == "|O" {
            let problem = "its labels are Python objects; save them as texts or numbers, as in y.astype(str)";
            return Err(Error::data(path, problem));
        }
        return header.numbers(path, from)?.into_labels(path, samples, task);
    };
    let ([found] | [found, 1]) = header.shape[..] else {
        let problem =
            format!("texts as labels need one dimension, this array has the shape {:?}", header.shape);
        return Err(Error::data(path, problem));
    };
    if found != samples {
        let problem =
            format!("holds {found} labels for {samples} samples; the two files do not belong together");
        return Err(Error::data(path, problem));
    }
    let big_endian = header.kind.starts_with('>');
    let array = Array::read(path, from, header.length, vec![samples, width], Element::U8, false)?;
    let word = |(sample, bytes): (usize, &[u8])| {
        let wrong = |problem| Error::data_at(path, format!("sample {}", sample + 1), problem);
        let word = match is_wide {
            true => wide_text(bytes, big_endian),
            false => std::str::from_utf8(bytes).ok().map(String::from),
        };
        let word = word.ok_or_else(|| wrong("its label is no text; save the array again"))?;
        // What is shorter than the longest is filled up with zeros.
        match word.trim_end_matches('\0') {
            "" => Err(wrong("its label is empty; fill it in, or remove the sample")),
            word => Ok(word.to_string()),
        }
    };
    array.bytes().chunks_exact(width).enumerate().map(word).collect::<Result<_>>().map(Labels::of_words)
}

/// Text of 4 bytes a character.
fn wide_text(bytes: &[u8], big_endian: bool) -> Option<String> {
    let (characters, _) = bytes.as_chunks::<4>();
    let read = if big_endian { u32::from_be_bytes } else { u32::from_le_bytes };
    characters.iter().map(|&character| char::from_u32(read(character))).collect()
}

/// The type and byte order that a NumPy type string such as `<f4` names.
fn element(kind: &str) -> Option<(Element, bool)> {
    let element = match kind.get(1..)? {
        "b1" | "u1" => Element::U8,
        "i1" => Element::I8,
        "u2" => Element::U16,
        "i2" => Element::I16,
        "u4" => Element::U32,
        "i4" => Element::I32,
        "u8" => Element::U64,
        "i8" => Element::I64,
        "f2" => Element::F16,
        "f4" => Element::F32,
        "f8" => Element::F64,
        _ => return None,
    };
    Some((element, kind.starts_with('>')))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Write;

    use super::*;
    use crate::data::settings::DataSettings;

    pub(crate) fn file(kind: &str, fortran: &str, shape: &str, numbers: &[u8]) -> Vec<u8> {
        let header = format!("{{'descr': '{kind}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n");
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(numbers);
        bytes
    }

    fn floats(numbers: &[f32]) -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
    }

    pub(crate) fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for (name, bytes) in entries {
            writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    fn read(path: &Path, label_path: Option<&str>, task: TaskChoice) -> Result<Source> {
        super::read(path, label_path, task, &Shifting::WhereNeeded)
    }

    fn read_unlabelled(path: &Path) -> Result<Raw> {
        super::read_unlabelled(path, &Shifting::Never)
    }

    #[test]
    fn folders_and_archives_hold_the_same_arrays() {
        let folder = tempfile::tempdir().unwrap();
        let x = file("<f4", "False", "(3, 2)", &floats(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
        // The same by columns, and from a machine of the other byte order.
        let turned: Vec<u8> =
            [1.0f32, 3.0, 5.0, 2.0, 4.0, 6.0].iter().flat_map(|n| n.to_be_bytes()).collect();
        let x_turned = file(">f4", "True", "(3, 2)", &turned);
        let y = file("<i8", "False", "(3,)", &[0i64, 1, 1].map(i64::to_le_bytes).concat());
        let x_test = file("|u1", "False", "(1, 2)", &[7, 8]);
        let y_test = file("|b1", "False", "(1,)", &[1]);
        std::fs::write(folder.path().join("X.npy"), &x).unwrap();
        std::fs::write(folder.path().join("y.npy"), &y).unwrap();
        let packed = folder.path().join("data.npz");
        let entries = [
            ("x_train.npy", &x_turned[..]),
            ("y_train.npy", &y),
            ("x_test.npy", &x_test),
            ("y_test.npy", &y_test),
        ];
        std::fs::write(&packed, archive(&entries)).unwrap();
        for path in [folder.path(), &packed] {
            let train = read(path, None, TaskChoice::Auto).unwrap().train;
            let mut row = [0.0; 2];
            train.copy_row(1, &mut row);
            assert_eq!((train.samples(), train.width, row), (3, 2, [3.0, 4.0]));
            assert!(
                matches!(train.labels, Some(Labels::Numbers { values, outputs: 1 }) if values == [0.0, 1.0, 1.0])
            );
        }
        assert_eq!(read(&packed, None, TaskChoice::Auto).unwrap().test.unwrap().samples(), 1);
        assert_eq!(read_unlabelled(&packed).unwrap().samples(), 1);
        assert_eq!(read_unlabelled(&folder.path().join("X.npy")).unwrap().samples(), 3);
    }

    #[test]
    fn labels_are_numbers_or_texts_and_lie_beside_the_features_or_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let (solo, at) = (folder.path().join("solo.npy"), folder.path().join("lab.npy"));
        std::fs::write(&solo, file("<f2", "False", "(2, 1)", &[0, 0x3c, 0, 0xc0])).unwrap();
        let wide = |big: bool| -> Vec<u8> {
            let letters = ["\u{e9}b", "a\0"].concat();
            let code = |c: char| if big { u32::from(c).to_be_bytes() } else { u32::from(c).to_le_bytes() };
            letters.chars().flat_map(code).collect()
        };
        let large = [9007199254740992u64, 9007199254740993];
        for (labels, expected) in [
            (file("|S2", "False", "(2,)", b"bba\0"), ["bb", "a"]),
            (file("<U2", "False", "(2, 1)", &wide(false)), ["\u{e9}b", "a"]),
            (file(">U2", "False", "(2,)", &wide(true)), ["\u{e9}b", "a"]),
            (
                file("<u8", "False", "(2,)", &large.map(u64::to_le_bytes).concat()),
                ["9007199254740992", "9007199254740993"],
            ),
            (
                file(">i8", "False", "(2,)", &large.map(|n| (n as i64).to_be_bytes()).concat()),
                ["9007199254740992", "9007199254740993"],
            ),
        ] {
            std::fs::write(&at, labels).unwrap();
            let raw = read(&solo, at.to_str(), TaskChoice::Classification).unwrap().train;
            let Some(Labels::Text { codes, vocabulary }) = raw.labels else { panic!("texts") };
            assert_eq!((&codes[..], &vocabulary[..]), (&[0, 1][..], &expected.map(String::from)[..]));
            let mut row = [0.0];
            raw.cells.copy_row(1, 1, &mut row);
            assert_eq!(row, [-2.0]);
        }
        // Values stay numbers.
        let raw = read(&solo, at.to_str(), TaskChoice::Regression).unwrap().train;
        assert!(matches!(raw.labels, Some(Labels::Numbers { .. })));
    }

    #[test]
    fn a_validation_part_in_the_archive_is_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npz");
        let x = file("|u1", "False", "(2, 1)", &[1, 2]);
        let y = file("|u1", "False", "(2,)", &[0, 1]);
        let wide = file("|u1", "False", "(2, 2)", &[1, 2, 3, 4]);
        let entries = [("x.npy", &x[..]), ("y.npy", &y), ("x_val.npy", &x), ("y_val.npy", &y)];
        std::fs::write(&path, archive(&entries)).unwrap();
        let found = read(&path, None, TaskChoice::Auto).unwrap();
        assert_eq!((found.validation.unwrap().samples(), found.test.is_none()), (2, true));
        let entries = [("x.npy", &x[..]), ("y.npy", &y), ("val_x.npy", &wide), ("val_y.npy", &y)];
        std::fs::write(&path, archive(&entries)).unwrap();
        let error = read(&path, None, TaskChoice::Auto).err().unwrap().to_string();
        assert!(error.contains("the validation part has 2 columns, the training part 1"), "{error}");
        // A class that the training part has not is of that part.
        let (x, y) =
            (file("|u1", "False", "(4, 1)", &[1, 2, 3, 4]), file("|u1", "False", "(4,)", &[0, 1, 0, 1]));
        let other = file("|u1", "False", "(4,)", &[0, 1, 2, 1]);
        let entries = [("x.npy", &x[..]), ("y.npy", &y), ("x_val.npy", &x), ("y_val.npy", &other)];
        std::fs::write(&path, archive(&entries)).unwrap();
        let settings = DataSettings { path: path.to_str().unwrap().into(), ..DataSettings::default() };
        let error = crate::data::load(&settings, 1).unwrap_err().to_string();
        assert!(
            error.contains("sample 3 of the validation part: the label \"2\" is out of range"),
            "{error}"
        );
    }

    #[test]
    fn damaged_and_unfit_arrays_are_named_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let good = file("<f4", "False", "(2, 1)", &floats(&[1.0, 2.0]));
        let labels = file("|u1", "False", "(2,)", &[0, 1]);
        let mut version = good.clone();
        version[6] = 9;
        let mut long_header = good.clone();
        (long_header[6], long_header[10], long_header[11]) = (2, 0xff, 0xff);
        for (x, y, problem) in [
            (b"\x93NUMPX\x01\x00".to_vec(), labels.clone(), "does not start with"),
            (good[..5].to_vec(), labels.clone(), "cut short inside its header"),
            (good[..30].to_vec(), labels.clone(), "cut short inside its header"),
            (good[..good.len() - 1].to_vec(), labels.clone(), "more than the file can hold"),
            ([&good[..], &[0]].concat(), labels.clone(), "goes on after"),
            (version, labels.clone(), "version 9 is unknown"),
            (long_header, labels.clone(), "header is too long"),
            (file("<f4", "False", "(2, -1)", &[]), labels.clone(), "shape cannot be read"),
            (
                file("<f4", "False", "(18446744073709551615, 3)", &[]),
                labels.clone(),
                "more than the file can hold",
            ),
            (file("<f4", "True", "(1099511627776, 0)", &[]), labels.clone(), "no samples"),
            (file("<f4", "False", "()", &floats(&[1.0])), labels.clone(), "at least two dimensions"),
            (file("<f4", "False", "(2,)", &floats(&[1.0, 2.0])), labels.clone(), "at least two dimensions"),
            (file("<f4", "True", "(1, 1, 1)", &floats(&[1.0])), labels.clone(), "ascontiguousarray"),
            (file("<c8", "False", "(2, 1)", &[0; 16]), labels.clone(), "astype"),
            (file("<U1", "False", "(2, 1)", &[0; 8]), labels.clone(), "astype"),
            (file("|O", "False", "(2, 1)", &[0; 4]), labels.clone(), "astype"),
            (
                file("<f4", "False", "(2, 1)", &floats(&[1.0, f32::INFINITY])),
                labels.clone(),
                "sample 2, column 1",
            ),
            (good.clone(), file("|u1", "False", "(3,)", &[0, 1, 0]), "3 labels for 2 samples"),
            (good.clone(), file("|S1", "False", "(3,)", b"aba"), "3 labels for 2 samples"),
            (good.clone(), file("|O", "False", "(2,)", &[0; 4]), "as in y.astype(str)"),
            (good.clone(), file("|S1", "False", "(2, 2)", b"abab"), "texts as labels need one dimension"),
            (good.clone(), file("|S1", "False", "(2,)", b"a\0"), "sample 2: its label is empty"),
            (good.clone(), file("|S1", "False", "(2,)", b"a\xff"), "sample 2: its label is no text"),
            (good.clone(), file("<U1", "False", "(2,)", &[0xff; 8]), "sample 1: its label is no text"),
            (good.clone(), file("|S0", "False", "(2,)", b""), "no samples"),
            (good.clone(), file("|S9", "False", "(2,)", b"ab"), "more than the file can hold"),
        ] {
            std::fs::write(folder.path().join("x.npy"), x).unwrap();
            std::fs::write(folder.path().join("y.npy"), y).unwrap();
            let error = read(folder.path(), None, TaskChoice::Auto).err().unwrap().to_string();
            assert!(error.contains(problem), "{problem}: {error}");
        }
    }

    #[test]
    fn damaged_archives_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npz");
        let x = file("<f4", "False", "(2, 1)", &floats(&[1.0, 2.0]));
        let whole = archive(&[("x.npy", &x)]);
        let mut flipped = archive(&[("x.npy", &x), ("y.npy", &x)]);
        flipped[45] ^= 0xff;
        let other = archive(&[("weights.npy", &x)]);
        for (bytes, problem) in [
            (whole[..whole.len() / 2].to_vec(), "not a sound NPZ"),
            (b"PK".to_vec(), "not a sound NPZ"),
            (flipped, "a.npz/x.npy"),
            (whole, "but no labels"),
            (other, "holds no array named x, X, features, x_train, X_train, train_x, only weights; rename"),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let error = read(&path, None, TaskChoice::Auto).err().unwrap().to_string();
            assert!(error.contains(problem), "{problem}: {error}");
        }
        let twice = folder.path().join("a.npz.gz");
        std::fs::write(&twice, gzip::tests::packed(&archive(&[("x.npy", &x)]))).unwrap();
        assert!(
            read(&twice, None, TaskChoice::Auto).err().unwrap().to_string().contains("unpack it with gunzip")
        );
        let single = folder.path().join("x.npy");
        std::fs::write(&single, x).unwrap();
        assert!(
            read(&single, None, TaskChoice::Auto).err().unwrap().to_string().contains("put x.npy and y.npy")
        );
    }
}
