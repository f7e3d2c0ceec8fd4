//! IDX, the format of MNIST and its relatives, plain or gzipped:
//!
//! ```text
//! 0 0 type dimensions | size of each dimension, u32 | numbers          all big-endian
//! ```
//!
//! A folder holds `train-images-idx3-ubyte` and `train-labels-idx1-ubyte`, and for its own test part the same with
//! `t10k` or `test`; each perhaps with `.gz`, or with a dot before `idx`. A single file of images finds its labels beside it, by the
//! same name with `labels` for `images`. Format: LeCun, Cortes, Burges, "The MNIST database", section "IDX".

use std::io::Read;
use std::path::{Path, PathBuf};

use super::array::{Array, ArrayHeader, Element, Samples};
use super::array_in_file;
use super::gzip::{self, Opened};
use super::place::Place;
use crate::data::raw::{Raw, Source};
use crate::data::reading::{Reading, Wanted};
use crate::data::settings::TaskChoice;
use crate::data::span::Shifting;
use crate::data::stream::Streaming;
use crate::{Error, Result};

/// Whether a folder holds a training part.
pub(crate) fn has_parts(folder: &Path) -> bool {
    find(folder, "train", "images").is_some()
}

/// Whether a folder holds a test part; a file holds none.
pub(crate) fn has_test_part(path: &Path) -> bool {
    find(path, test_name(path), "images").is_some()
}

/// What the files of a folder's test part are called by.
fn test_name(folder: &Path) -> &'static str {
    if find(folder, "test", "images").is_some() { "test" } else { "t10k" }
}

/// Whether a path leads to a folder or a file of this format.
pub(super) fn detect(place: &Place) -> bool {
    if place.is_folder {
        return has_parts(&place.path);
    }
    // A name may hold "idx" by chance; one that ends as these do may have lost its first bytes.
    let is_named = place.ends(&["-ubyte"]) || place.contains("idx") && place.start.starts_with(&[0, 0]);
    place.is_file() && !place.is_text() && (is_magic(&place.start) || is_named)
}

/// Whether a file that starts with these bytes is IDX.
fn is_magic(start: &[u8]) -> bool {
    matches!(start, [0, 0, kind, dimensions, ..] if *dimensions > 0 && element(*kind).is_some())
}

/// Reads a folder, or a file of images and its labels.
pub(crate) fn read(path: &Path, streaming: Option<&Streaming>) -> Result<Source> {
    if !path.is_dir() {
        return Ok(Source::whole(read_pair(path, &labels_beside(path)?, streaming)?));
    }
    let train =
        read_part(path, "train", streaming)?.ok_or_else(|| missing(path, "train-images-idx3-ubyte"))?;
    let test = read_part(path, test_name(path), streaming)?;
    if let Some(test) = test.as_ref().filter(|test| test.width != train.width) {
        let problem = format!("has {} pixels per image, the training part has {}", test.width, train.width);
        return Err(Error::data(&test.path, problem));
    }
    Ok(Source { train, validation: None, test })
}

/// Reads a new file for a model: the test part of a folder where it has one. Images alone will do where no labels are wanted.
pub(super) fn reread(path: &Path, _: &Reading, wanted: Wanted) -> Result<Raw> {
    if wanted.labels.is_some() {
        let Source { train, test, .. } = read(path, wanted.streaming)?;
        return Ok(test.unwrap_or(train));
    }
    let file = if path.is_dir() {
        find(path, test_name(path), "images").or_else(|| find(path, "train", "images"))
    } else {
        Some(path.to_path_buf())
    };
    let file = file.ok_or_else(|| missing(path, "t10k-images-idx3-ubyte"))?;
    let features = read_features(&file, wanted.streaming)?;
    Ok(Raw { reading: Reading::Idx, ..features.into_raw(&file, None) })
}

fn missing(folder: &Path, name: &str) -> Error {
    Error::data(folder, format!("this folder holds no {name} (or {name}.gz)"))
}

/// Reads the `train`, `t10k` or `test` files of a folder, if there are any.
fn read_part(folder: &Path, part: &str, streaming: Option<&Streaming>) -> Result<Option<Raw>> {
    match (find(folder, part, "images"), find(folder, part, "labels")) {
        (None, None) => Ok(None),
        (Some(images), Some(labels)) => read_pair(&images, &labels, streaming).map(Some),
        (None, _) => Err(missing(folder, &format!("{part}-images-idx3-ubyte"))),
        (_, None) => Err(missing(folder, &format!("{part}-labels-idx1-ubyte"))),
    }
}

fn read_pair(images: &Path, labels: &Path, streaming: Option<&Streaming>) -> Result<Raw> {
    let raw = read_features(images, streaming)?.into_raw(images, None);
    let found = Some(read_array(labels)?.into_labels(labels, raw.samples(), TaskChoice::Auto)?);
    Ok(Raw { labels: found, reading: Reading::Idx, label_path: Some(labels.to_path_buf()), ..raw })
}

/// The file of a folder with the images or labels of a part.
fn find(folder: &Path, part: &str, kind: &str) -> Option<PathBuf> {
    let dimensions = if kind == "images" { 3 } else { 1 };
    ["-", "."]
        .iter()
        .flat_map(|dot| {
            ["", ".gz"].map(|end| folder.join(format!("{part}-{kind}{dot}idx{dimensions}-ubyte{end}")))
        })
        .find(|path| path.is_file())
}

/// Where the labels of a file of images are.
fn labels_beside(images: &Path) -> Result<PathBuf> {
    let name = images.file_name().unwrap_or_default().to_string_lossy();
    let labels = name.replace("images", "labels").replace("idx3", "idx1");
    let plain = labels.trim_end_matches(".gz");
    [labels.clone(), plain.to_string(), format!("{plain}.gz")]
        .iter()
        .filter(|labels| **labels != name)
        .map(|labels| images.with_file_name(labels))
        .find(|path| path.is_file())
        .ok_or_else(|| {
            let problem = if name.contains("images") { format!("its labels are not beside it as {labels}") } else { "has no \"images\" in its name, so its labels cannot be found; rename the pair to NAME-images-idx3-ubyte and NAME-labels-idx1-ubyte".into() };
            Error::data(images, problem)
        })
}

/// The type of numbers that the third byte of a file names.
fn element(kind: u8) -> Option<Element> {
    match kind {
        0x08 => Some(Element::U8),
        0x09 => Some(Element::I8),
        0x0b => Some(Element::I16),
        0x0c => Some(Element::I32),
        0x0d => Some(Element::F32),
        0x0e => Some(Element::F64),
        _ => None,
    }
}

/// Images, in memory or where they are.
fn read_features(path: &Path, streaming: Option<&Streaming>) -> Result<Samples> {
    let (from, header) = open(path)?;
    match streaming {
        Some(streaming) => array_in_file::samples(path, from, header, &Shifting::Never, streaming),
        None => Array::read(path, from, header)?.into_features(path, &Shifting::Never),
    }
}

fn read_array(path: &Path) -> Result<Array> {
    let (from, header) = open(path)?;
    Array::read(path, from, header)
}

/// Opens a file and reads its header.
fn open(path: &Path) -> Result<(Opened<'static>, ArrayHeader)> {
    let mut from = gzip::open(path)?;
    let mut header = Vec::new();
    let mut more = |header: &mut Vec<u8>, bytes: u64| -> Result<()> {
        let until = header.len() + bytes as usize;
        from.reader.by_ref().take(bytes).read_to_end(header).map_err(gzip::read_error(path))?;
        if header.len() < until {
            Err(Error::data(path, "is cut short inside its header; get the file again"))
        } else {
            Ok(())
        }
    };
    more(&mut header, 4)?;
    let (Some(element), true) = (element(header[2]), is_magic(&header)) else {
        return Err(Error::data(
            path,
            format!(
                "is not an IDX file: it starts with {header:?} where 0, 0, a type from 8 to 14 and the number of dimensions belong"
            ),
        ));
    };
    let dimensions = header[3];
    more(&mut header, 4 * u64::from(dimensions))?;
    let (sizes, _) = header[4..].as_chunks::<4>();
    let shape = sizes.iter().map(|&size| u32::from_be_bytes(size) as usize).collect();
    let length = header.len() as u64;
    Ok((from, ArrayHeader { length, shape, element, big_endian: true }))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::data::raw::Labels;
    use crate::data::reading::{Broken, Keep};

    /// A file of bytes, as it should be.
    pub(crate) fn file(shape: &[u32], numbers: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, shape.len() as u8];
        bytes.extend(shape.iter().flat_map(|size| size.to_be_bytes()));
        bytes.extend(numbers);
        bytes
    }

    #[test]
    fn a_folder_holds_training_and_test_parts_packed_or_not() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: Vec<u8>| std::fs::write(folder.path().join(name), bytes).unwrap();
        write("train-images-idx3-ubyte", file(&[3, 2, 2], &(0..12).collect::<Vec<_>>()));
        write("train-labels-idx1-ubyte.gz", gzip::tests::packed(&file(&[3], &[1, 0, 1])));
        write("t10k-images.idx3-ubyte", file(&[1, 2, 2], &[9; 4]));
        write("t10k-labels.idx1-ubyte", file(&[1], &[0]));
        let Source { train, test, .. } = read(folder.path(), None).unwrap();
        assert_eq!((train.samples(), train.width, test.unwrap().samples()), (3, 4, 1));
        let mut row = [0.0; 4];
        train.copy_row(2, &mut row);
        assert_eq!(row, [8.0, 9.0, 10.0, 11.0]);
        assert!(
            matches!(train.labels, Some(Labels::Numbers { values, outputs: 1 }) if values == [1.0, 0.0, 1.0])
        );
        // Some call the test part by its name.
        let rename = |from: &str, to: &str| {
            std::fs::rename(folder.path().join(from), folder.path().join(to)).unwrap();
        };
        rename("t10k-images.idx3-ubyte", "test-images-idx3-ubyte");
        rename("t10k-labels.idx1-ubyte", "test-labels-idx1-ubyte");
        assert_eq!(read(folder.path(), None).unwrap().test.unwrap().samples(), 1);
        // A single file finds its labels; new images need none.
        let single = read(&folder.path().join("train-images-idx3-ubyte"), None).unwrap().train;
        assert_eq!(single.samples(), 3);
        let unlabelled =
            Wanted { labels: None, broken: Broken::LeaveOut, keep: Keep::Nothing, streaming: None };
        assert_eq!(reread(folder.path(), &Reading::Idx, unlabelled).unwrap().samples(), 1);
        // Only half of a test part is an error, not a missing test part.
        std::fs::remove_file(folder.path().join("test-labels-idx1-ubyte")).unwrap();
        assert!(read(folder.path(), None).err().unwrap().to_string().contains("no test-labels-idx1-ubyte"));
    }

    #[test]
    fn damaged_files_are_named_with_what_to_do() {
        let images = file(&[2, 1, 2], &[1, 2, 3, 4]);
        let labels = file(&[2], &[0, 1]);
        let huge = file(&[u32::MAX, u32::MAX, u32::MAX], &[0]);
        let nothing_of_much = file(&[0, u32::MAX, u32::MAX, u32::MAX], &[]);
        // 16 MB of zeros in 16 kB, where four bytes are promised.
        let bomb = gzip::tests::packed(&[&images[..], &vec![0; 1 << 24][..]].concat());
        let mut other_type = images.clone();
        other_type[2] = 0x0a;
        let with = |bytes: &[u8], more: &[u8]| [bytes, more].concat();
        for (name, images, labels, at_fault, problem) in [
            ("magic", with(b"GIF8", &images), labels.clone(), "images", "is not an IDX file"),
            ("type", other_type, labels.clone(), "images", "is not an IDX file"),
            ("header", images[..9].to_vec(), labels.clone(), "images", "cut short inside its header"),
            ("short", images[..17].to_vec(), labels.clone(), "images", "more than the file can hold"),
            ("short.gz", gzip::tests::packed(&images[..17]), labels.clone(), "images", "cut short"),
            ("long", with(&images, &[0]), labels.clone(), "images", "goes on after"),
            ("huge", huge.clone(), labels.clone(), "images", "more than the file can hold"),
            ("huge.gz", gzip::tests::packed(&huge), labels.clone(), "images", "more than the file can hold"),
            ("flat", file(&[2], &[1, 2]), labels.clone(), "images", "at least two dimensions"),
            ("none", file(&[0, 2, 2], &[]), labels.clone(), "images", "no samples"),
            ("no samples", nothing_of_much, labels.clone(), "images", "no samples"),
            ("bomb", bomb, labels.clone(), "images", "goes on after the 4 bytes"),
            (
                "trailing",
                with(&gzip::tests::packed(&images), b"more"),
                labels.clone(),
                "images",
                "get the file again",
            ),
            ("no pixels", file(&[2, 0, 2], &[]), labels.clone(), "images", "no samples"),
            ("empty", vec![], labels.clone(), "images", "the file is empty"),
            ("more labels", images.clone(), file(&[3], &[0, 1, 1]), "labels", "3 labels for 2 samples"),
            ("fewer labels", images.clone(), file(&[1], &[0]), "labels", "1 labels for 2 samples"),
            ("labels cut", images.clone(), labels[..9].to_vec(), "labels", "more than the file can hold"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("train-images-idx3-ubyte"), images).unwrap();
            std::fs::write(folder.path().join("train-labels-idx1-ubyte"), labels).unwrap();
            let error = read(folder.path(), None).err().unwrap().to_string();
            assert!(
                error.contains(problem) && error.contains(&format!("train-{at_fault}")),
                "{name}: {error}"
            );
        }
    }

    /// What a file holds says more than its name.
    #[test]
    fn names_with_idx_in_them_are_no_promise() {
        let folder = tempfile::tempdir().unwrap();
        let is_idx = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            detect(&Place::at(path, false).unwrap())
        };
        let good = file(&[1, 1], &[0]);
        for (name, bytes, expected) in [
            ("stock_idx", &b"a,b\n1,2\n"[..], false),
            ("idx.tab", b"a\tb\n1\t2\n", false),
            ("idx.npy", b"\x93NUMPY\x01\x00", false),
            ("anything", &good, true),
            ("a.idx", &[0, 0, 0x0a, 1, 0, 0, 0, 0], true),
            ("a-images-idx3-ubyte", b"broken", true),
        ] {
            assert_eq!(is_idx(name, bytes), expected, "{name}");
        }
    }

    #[test]
    fn a_file_without_its_labels_says_where_they_belong() {
        let folder = tempfile::tempdir().unwrap();
        for (name, problem) in
            [("a-images-idx3-ubyte", "a-labels-idx1-ubyte"), ("a-idx3", "no \"images\" in its name")]
        {
            let path = folder.path().join(name);
            std::fs::write(&path, file(&[1, 1], &[0])).unwrap();
            assert!(read(&path, None).err().unwrap().to_string().contains(problem));
        }
    }
}
