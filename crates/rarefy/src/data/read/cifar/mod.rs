//! CIFAR-10 and CIFAR-100 in the forms in which they are given away, images of 32 x 32 pixels in three colours:
//!
//! ```text
//! CIFAR-10 binary    data_batch_1.bin ... 5   test_batch.bin   batches.meta.txt       records: class, pixels
//! CIFAR-100 binary   train.bin                test.bin         fine_label_names.txt   records: coarse class, class, pixels
//! CIFAR-10 Python    data_batch_1 ... 5       test_batch       batches.meta           pickled dictionary: data, labels
//! CIFAR-100 Python   train                    test             meta                   the same: data, fine_labels
//! ```
//!
//! A path is the folder, or one of its batches with the names of the classes beside it. Pixels come as a plane of red, one of
//! green and one of blue, and become `[y][x][channel]` like those of all images here. Source: A. Krizhevsky, "Learning Multiple
//! Layers of Features from Tiny Images" (2009), and <https://www.cs.toronto.edu/~kriz/cifar.html>.

mod pickle;

use std::path::{Path, PathBuf};

use super::gzip;
use super::place::Place;
use crate::data::raw::{Cells, Labels, Raw, Source};
use crate::data::reading::{Reading, Wanted};
use crate::tiles::Shape;
use crate::{Error, Result};
use pickle::Pickle;

const SHAPE: Shape = Shape { height: 32, width: 32, channels: 3 };
/// Pixels of an image, which are bytes of each of its planes.
const PLANE: usize = 32 * 32;
const IMAGE: usize = 3 * PLANE;

/// A form in which the images are given away: what its files are called and hold.
struct Form {
    train: &'static [&'static str],
    test: &'static str,
    /// The names of the classes.
    names: &'static str,
    contents: Contents,
}

#[derive(Clone, Copy)]
enum Contents {
    /// Records of so many bytes of classes, of which the last is the class, and the pixels; names are lines of text.
    Records { classes: usize },
    /// A pickled dictionary; the keys of the classes of a batch and of their names.
    Pickle { classes: &'static str, names: &'static str },
}

const FORMS: [Form; 4] = [
    Form {
        train: &[
            "data_batch_1.bin",
            "data_batch_2.bin",
            "data_batch_3.bin",
            "data_batch_4.bin",
            "data_batch_5.bin",
        ],
        test: "test_batch.bin",
        names: "batches.meta.txt",
        contents: Contents::Records { classes: 1 },
    },
    Form {
        train: &["train.bin"],
        test: "test.bin",
        names: "fine_label_names.txt",
        contents: Contents::Records { classes: 2 },
    },
    Form {
        train: &["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"],
        test: "test_batch",
        names: "batches.meta",
        contents: Contents::Pickle { classes: "labels", names: "label_names" },
    },
    Form {
        train: &["train"],
        test: "test",
        names: "meta",
        contents: Contents::Pickle { classes: "fine_labels", names: "fine_label_names" },
    },
];

/// The form of what a folder holds.
fn form_in(folder: &Path) -> Option<&'static Form> {
    let has = |name: &str| folder.join(name).is_file();
    FORMS.iter().find(|form| form.train.iter().any(|name| has(name)) && has(form.names))
}

/// The form of a batch, by its name.
fn form_of(path: &Path) -> Option<&'static Form> {
    let name = path.file_name()?.to_str()?;
    FORMS.iter().find(|form| form.train.contains(&name) || form.test == name)
}

/// Whether a folder holds batches and the names of their classes.
pub(super) fn has_parts(folder: &Path) -> bool {
    form_in(folder).is_some()
}

/// Whether a folder holds a test part; a file holds none.
pub(super) fn has_test_part(path: &Path) -> bool {
    form_in(path).is_some_and(|form| path.join(form.test).is_file())
}

/// Whether a path leads to a folder or a batch of this format; of a pickle nothing else could be read.
pub(super) fn detect(place: &Place) -> bool {
    if place.is_folder {
        return has_parts(&place.path);
    }
    let is_pickle = matches!(place.start[..], [0x80, 2..=5, ..]);
    let has_records =
        || form_of(&place.path).is_some_and(|form| matches!(form.contents, Contents::Records { .. }));
    place.is_file() && (is_pickle || has_records())
}

/// Reads a folder, or a single batch.
pub(super) fn read(path: &Path) -> Result<Source> {
    read_parts(path, true)
}

/// Reads a new file for a model: the test part of a folder where it has one.
pub(super) fn reread(path: &Path, _: &Reading, wanted: Wanted) -> Result<Raw> {
    if has_test_part(path) {
        let form = form_in(path).expect("it has a test part");
        return read_batches(form, vec![path.join(form.test)], wanted.labels.is_some());
    }
    Ok(read_parts(path, wanted.labels.is_some())?.train)
}

fn read_parts(path: &Path, with_labels: bool) -> Result<Source> {
    if !path.is_dir() {
        let form = form_of(path).ok_or_else(|| {
            let problem = "is a Python pickle; if it is a batch of CIFAR give it its name again (data_batch_1, test_batch, train or test), else save its arrays as NPY or NPZ";
            Error::data(path, problem)
        })?;
        return Ok(Source::whole(read_batches(form, vec![path.to_path_buf()], with_labels)?));
    }
    let form = form_in(path).ok_or_else(|| Error::data(path, "this folder holds no batches of CIFAR"))?;
    let train = read_batches(form, form.train.iter().map(|name| path.join(name)).collect(), with_labels)?;
    let test = has_test_part(path).then(|| read_batches(form, vec![path.join(form.test)], with_labels));
    Ok(Source { train, validation: None, test: test.transpose()? })
}

/// Reads batches one after the other, as one part.
fn read_batches(form: &Form, files: Vec<PathBuf>, with_labels: bool) -> Result<Raw> {
    let names = if with_labels { names(form, files[0].with_file_name(form.names))? } else { Vec::new() };
    let (mut pixels, mut codes) = (Vec::new(), Vec::new());
    for file in &files {
        let contents = read_file(file)?;
        let start = codes.len();
        match form.contents {
            Contents::Records { classes } => add_records(file, &contents, classes, &mut pixels, &mut codes)?,
            Contents::Pickle { classes, .. } => {
                add_pickle(file, &contents, classes, &mut pixels, &mut codes)?
            }
        }
        let is_unknown = |&code: &u32| code as usize >= names.len();
        if with_labels && let Some(at) = codes[start..].iter().position(is_unknown) {
            let problem = format!(
                "the label {} is none of the {} classes that {} names; get both files again",
                codes[start + at],
                names.len(),
                form.names
            );
            return Err(Error::data_at(file, format!("sample {}", at + 1), problem));
        }
    }
    let labels = with_labels.then(|| Labels::Text { codes, vocabulary: names.clone() });
    // A part of several files goes by the name of their folder.
    let path =
        if files.len() == 1 { &files[0] } else { files[0].parent().expect("a batch lies in a folder") };
    let raw = Raw::new(path, Reading::Cifar, Cells::Bytes(pixels), SHAPE, labels);
    Ok(Raw { classes: names, ..raw })
}

fn read_file(path: &Path) -> Result<Vec<u8>> {
    let mut contents = Vec::new();
    gzip::open(path)?.reader.read_to_end(&mut contents).map_err(gzip::read_error(path))?;
    Ok(contents)
}

/// The names of the classes in their order.
fn names(form: &Form, path: PathBuf) -> Result<Vec<String>> {
    if !path.is_file() {
        let problem = "names the classes and is not there; get it from the archive of the data";
        return Err(Error::data(&path, problem));
    }
    let contents = read_file(&path)?;
    let names: Vec<String> = match form.contents {
        Contents::Records { .. } => {
            let text =
                str::from_utf8(&contents).map_err(|_| Error::data(&path, "is no text; get it again"))?;
            text.lines().map(str::trim).filter(|line| !line.is_empty()).map(String::from).collect()
        }
        Contents::Pickle { names, .. } => {
            let read = || Pickle::read(&contents)?.texts(names);
            read().map_err(wrong(&path))?
        }
    };
    let mut sorted = names.clone();
    sorted.sort_unstable();
    match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Error::data(&path, format!("names the class {:?} twice; get it again", pair[0]))),
        None => Ok(names),
    }
}

/// Adds the images and classes of a binary batch.
fn add_records(
    path: &Path,
    contents: &[u8],
    classes: usize,
    pixels: &mut Vec<u8>,
    codes: &mut Vec<u32>,
) -> Result<()> {
    let length = classes + IMAGE;
    if !contents.len().is_multiple_of(length) {
        let problem = format!(
            "has {} bytes, and not a whole number of images of {length} bytes each; it is cut short or not of CIFAR: get it again",
            contents.len()
        );
        return Err(Error::data(path, problem));
    }
    for record in contents.chunks_exact(length) {
        codes.push(record[classes - 1].into());
        add_image(&record[classes..], pixels);
    }
    Ok(())
}

/// Adds the images and classes of a pickled batch.
fn add_pickle(
    path: &Path,
    contents: &[u8],
    classes: &str,
    pixels: &mut Vec<u8>,
    codes: &mut Vec<u32>,
) -> Result<()> {
    let pickle = Pickle::read(contents).map_err(wrong(path))?;
    let (shape, planes) = pickle.bytes_array("data").map_err(wrong(path))?;
    let found = pickle.integers(classes).map_err(wrong(path))?;
    if shape[..] != [found.len(), IMAGE] || planes.len() != found.len() * IMAGE {
        let problem = format!(
            "holds {} labels and images of the shape {shape:?}, where {} x {IMAGE} belong; get it again",
            found.len(),
            found.len()
        );
        return Err(Error::data(path, problem));
    }
    codes.extend(found);
    planes.chunks_exact(IMAGE).for_each(|image| add_image(image, pixels));
    Ok(())
}

/// Adds an image of three planes, pixel by pixel.
fn add_image(planes: &[u8], pixels: &mut Vec<u8>) {
    pixels.extend((0..PLANE).flat_map(|at| [planes[at], planes[PLANE + at], planes[2 * PLANE + at]]));
}

/// That a pickle cannot be used.
fn wrong(path: &Path) -> impl Fn(String) -> Error + '_ {
    move |reason| {
        let problem = format!(
            "cannot be read as a pickle of CIFAR: {reason}; get it again, or, if it is another pickle, save its arrays as NPY or NPZ"
        );
        Error::data(path, problem)
    }
}

#[cfg(test)]
mod tests;
