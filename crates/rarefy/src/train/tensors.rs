//! Safetensors files, read and written one array at a time: a file may be as large as the memory that is left. Among the
//! words of a header stands a checksum of all else: a weight with a wrong bit is a weight like others, and shows nowhere.

use std::borrow::Cow;
use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Cursor, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use flate2::CrcWriter;
use safetensors::tensor::{Dtype, Metadata, TensorInfo};
use serde::Serialize;
use serde_json::json;

use crate::{Error, Result};

/// Bytes that say how long the header is.
const LENGTH_BYTES: usize = 8;

/// The longest header that the format allows.
const MOST_HEADER_BYTES: u64 = 100_000_000;

/// The key of the checksum in a header: CRC-32 in eight hexadecimal digits. Older files have none.
const CHECKSUM: &str = "checksum";

/// The key of what the header of a checkpoint says of its run; no model has it.
pub(super) const RUN: &str = "run";

/// Numbers that are read or written in one go.
const CHUNK: usize = 16 * 1024;

/// A named array to be written: numbers of four bytes, made when it is their turn.
pub(super) struct Tensor<'a> {
    name: String,
    /// Type, shape and, once it is placed, its place in the file.
    info: TensorInfo,
    numbers: Numbers<'a>,
}

enum Numbers<'a> {
    Floats(Box<dyn Fn() -> Cow<'a, [f32]> + 'a>),
    Indices(Cow<'a, [u32]>),
}

impl<'a> Tensor<'a> {
    pub(super) fn floats(
        name: impl Into<String>,
        shape: Vec<usize>,
        values: impl Fn() -> Cow<'a, [f32]> + 'a,
    ) -> Tensor<'a> {
        let info = TensorInfo { dtype: Dtype::F32, shape, data_offsets: (0, 0) };
        Tensor { name: name.into(), info, numbers: Numbers::Floats(Box::new(values)) }
    }

    pub(super) fn indices(name: String, values: impl Into<Cow<'a, [u32]>>) -> Tensor<'a> {
        let values = values.into();
        let info = TensorInfo { dtype: Dtype::I32, shape: vec![values.len()], data_offsets: (0, 0) };
        Tensor { name, info, numbers: Numbers::Indices(values) }
    }

    fn bytes(&self) -> usize {
        4 * self.info.shape.iter().product::<usize>()
    }

    fn write(&self, out: &mut dyn Write) -> std::io::Result<()> {
        match &self.numbers {
            Numbers::Floats(values) => write_words(out, bytemuck::must_cast_slice(&values())),
            Numbers::Indices(values) => write_words(out, values),
        }
    }
}

/// What a file says besides its arrays, by key.
pub(super) type Words = BTreeMap<&'static str, String>;

/// Says of each array where it stands: in the order that the format's own writer gives them.
fn place(tensors: &mut [Tensor<'_>]) {
    tensors.sort_by(|a, b| order(&a.name, &a.info).cmp(&order(&b.name, &b.info)));
    let mut end = 0;
    for tensor in tensors {
        let start = end;
        end += tensor.bytes();
        tensor.info.data_offsets = (start, end);
    }
}

fn order<'a>(name: &'a str, info: &TensorInfo) -> (Reverse<Dtype>, &'a str) {
    (Reverse(info.dtype), name)
}

/// A header's text. Words stand in the order of their keys, so that bytes repeat.
fn header<'a>(
    words: &BTreeMap<&str, impl Serialize>,
    arrays: impl Iterator<Item = (&'a str, &'a TensorInfo)>,
) -> Vec<u8> {
    let mut header = serde_json::Map::from_iter([("__metadata__".to_string(), json!(words))]);
    header.extend(arrays.map(|(name, info)| (name.to_string(), json!(info))));
    serde_json::to_vec(&header).expect("a header is plain data")
}

/// The file's beginning: how long its header is and the header.
fn beginning(tensors: &[Tensor<'_>], words: &Words) -> Vec<u8> {
    let mut text = header_of(tensors, words);
    text.resize(text.len().next_multiple_of(8), b' ');
    [&(text.len() as u64).to_le_bytes()[..], &text].concat()
}

fn header_of(tensors: &[Tensor<'_>], words: &Words) -> Vec<u8> {
    header(words, tensors.iter().map(|tensor| (&*tensor.name, &tensor.info)))
}

/// The checksum of the header without it, and of the arrays, which `write` writes.
fn checksum(
    header: &[u8],
    write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> std::io::Result<String> {
    let mut sum = CrcWriter::new(std::io::sink());
    sum.write_all(header)?;
    write(&mut sum)?;
    Ok(format!("{:08x}", sum.crc().sum()))
}

/// Bytes of a file with these arrays.
pub(super) fn file_bytes(mut tensors: Vec<Tensor<'_>>) -> usize {
    place(&mut tensors);
    // As long as any other.
    let words = Words::from([(CHECKSUM, "00000000".to_string())]);
    beginning(&tensors, &words).len() + tensors.iter().map(Tensor::bytes).sum::<usize>()
}

/// Writes arrays and words about them.
pub(super) fn write(
    out: &mut dyn Write,
    mut tensors: Vec<Tensor<'_>>,
    mut words: Words,
) -> std::io::Result<()> {
    place(&mut tensors);
    // Twice: the checksum stands before the arrays.
    let arrays = |out: &mut dyn Write| tensors.iter().try_for_each(|tensor| tensor.write(out));
    words.insert(CHECKSUM, checksum(&header_of(&tensors, &words), arrays)?);
    out.write_all(&beginning(&tensors, &words))?;
    arrays(out)
}

fn write_words(out: &mut dyn Write, words: &[u32]) -> std::io::Result<()> {
    let mut bytes = [0; 4 * CHUNK];
    for words in words.chunks(CHUNK) {
        let bytes = &mut bytes[..4 * words.len()];
        for (bytes, word) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(words) {
            *bytes = word.to_le_bytes();
        }
        out.write_all(bytes)?;
    }
    Ok(())
}

/// Where a file's bytes are: on the disk or in memory.
trait Source: Read + Seek {}

impl<T: Read + Seek> Source for T {}

/// A file that was opened: its header is in memory, its arrays need not be.
pub(super) struct TensorFile<'a> {
    path: PathBuf,
    source: RefCell<Box<dyn Source + 'a>>,
    metadata: Metadata,
    /// Where the arrays begin.
    start: u64,
    /// The arrays that were asked for.
    asked: RefCell<BTreeSet<String>>,
}

impl<'a> TensorFile<'a> {
    /// Reads a file's header, and the rest once to compare it with the checksum.
    ///
    /// # Errors
    /// If the file cannot be read, is not a whole safetensors file, or holds something else than was written.
    pub(super) fn open(path: &Path) -> Result<TensorFile<'a>> {
        let file = File::open(path).map_err(Error::io(path, "cannot read"))?;
        let length = file.metadata().map_err(Error::io(path, "cannot read"))?.len();
        TensorFile::read_header(path, Box::new(file), length)
    }

    /// As [`TensorFile::open`], of a file that is in memory; errors name it `path`.
    ///
    /// # Errors
    /// As of [`TensorFile::open`].
    pub(super) fn of_bytes(path: &Path, bytes: &'a [u8]) -> Result<TensorFile<'a>> {
        TensorFile::read_header(path, Box::new(Cursor::new(bytes)), bytes.len() as u64)
    }

    fn read_header(path: &Path, mut source: Box<dyn Source + 'a>, length: u64) -> Result<TensorFile<'a>> {
        let broken = |problem: String| {
            Error::model(
                path,
                format!(
                    "is not a whole safetensors file ({problem}); it may have been cut short: copy or train it again"
                ),
            )
        };
        let mut bytes = [0; LENGTH_BYTES];
        source.read_exact(&mut bytes).map_err(|_| broken("it has no header".into()))?;
        let start = u64::from_le_bytes(bytes).saturating_add(LENGTH_BYTES as u64);
        if start > length.min(MOST_HEADER_BYTES) {
            return Err(broken("its header does not end".into()));
        }
        let mut text = vec![0; start as usize - LENGTH_BYTES];
        source.read_exact(&mut text).map_err(Error::io(path, "cannot read"))?;
        let metadata: Metadata = serde_json::from_slice(&text).map_err(|error| broken(error.to_string()))?;
        let end = start.saturating_add(metadata.data_len() as u64);
        if end != length {
            return Err(broken(format!("it has {length} bytes and should have {end}")));
        }
        let source = RefCell::new(source);
        let file =
            TensorFile { path: path.to_path_buf(), source, metadata, start, asked: RefCell::default() };
        file.check_sum()?;
        Ok(file)
    }

    /// Compares the checksum, where there is one, with what the file holds.
    fn check_sum(&self) -> Result<()> {
        let Some(said) = self.words(CHECKSUM) else { return Ok(()) };
        let words = self.metadata.metadata().iter().flatten();
        let words = words.filter(|(key, _)| *key != CHECKSUM).map(|(key, word)| (key.as_str(), word));
        let arrays = self.metadata.tensors();
        let mut arrays: Vec<_> = arrays.iter().map(|(name, info)| (name.as_str(), *info)).collect();
        arrays.sort_by_key(|(name, info)| order(name, info));
        let header = header(&words.collect(), arrays.into_iter());
        // The source stands behind the header.
        let mut source = self.source.borrow_mut();
        let found = checksum(&header, |sum| std::io::copy(&mut *source, sum).map(drop))
            .map_err(Error::io(&self.path, "cannot read"))?;
        if found == said {
            return Ok(());
        }
        Err(self.problem(format!(
            "is damaged: its checksum is {said}, and that of what it holds is {found}; copy or train it again (whoever changes a file on purpose leaves \"{CHECKSUM}\" out of its metadata)"
        )))
    }

    /// Bytes of all arrays.
    pub(super) fn bytes(&self) -> u64 {
        self.metadata.data_len() as u64
    }

    pub(super) fn problem(&self, problem: impl Into<String>) -> Error {
        Error::model(&self.path, problem)
    }

    /// What the file says under a key.
    pub(super) fn words(&self, key: &str) -> Option<&str> {
        self.metadata.metadata().as_ref()?.get(key).map(String::as_str)
    }

    /// Whether there is an array of that name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.metadata.info(name).is_some()
    }

    /// The numbers of a list of that length.
    pub(super) fn floats(&self, name: &str, length: usize) -> Result<Vec<f32>> {
        self.shaped_floats(name, &[length])
    }

    /// The numbers of a list of that length, or of none.
    pub(super) fn floats_or_none(&self, name: &str, length: usize) -> Result<Vec<f32>> {
        let is_empty = self.info(name, Dtype::F32)?.shape == [0];
        self.shaped_floats(name, &[if is_empty { 0 } else { length }])
    }

    /// The numbers of a parameter, which passes compute with.
    pub(super) fn values(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let values = self.shaped_floats(name, shape)?;
        let Some(at) = values.iter().position(|value| !value.is_finite()) else { return Ok(values) };
        let place = match shape {
            [_, cols] => format!("row {}, column {}", at / cols, at % cols),
            _ => format!("place {at}"),
        };
        Err(self.problem(format!(
            "\"{name}\" holds {} at {place}, counted from 0, and a network computes with finite numbers alone; train it again",
            values[at]
        )))
    }

    fn shaped_floats(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        let found = &self.info(name, Dtype::F32)?.shape;
        if found != shape {
            let problem = format!("\"{name}\" has the shape {found:?}, the network asks for {shape:?}");
            return Err(self.problem(problem));
        }
        self.read(name, Dtype::F32)
    }

    /// The numbers of an array, however many.
    pub(super) fn all_floats(&self, name: &str) -> Result<Vec<f32>> {
        self.read(name, Dtype::F32)
    }

    /// The indices of an array.
    pub(super) fn indices(&self, name: &str) -> Result<Vec<u32>> {
        self.read(name, Dtype::I32)
    }

    /// Checks that the file holds no numbers that were not asked for: they would be of another network.
    pub(super) fn check_all_read(&self) -> Result<()> {
        let asked = self.asked.borrow();
        let holds = |name: &String| self.metadata.info(name).is_some_and(|info| !info.shape.contains(&0));
        match self.metadata.offset_keys().iter().find(|name| !asked.contains(*name) && holds(name)) {
            Some(name) => Err(self.problem(format!(
                "holds \"{name}\", which the network does not have; it is of another network than described"
            ))),
            None => Ok(()),
        }
    }

    /// What the header says about an array of that type.
    fn info(&self, name: &str, dtype: Dtype) -> Result<&TensorInfo> {
        let info = self.metadata.info(name).ok_or_else(|| self.problem(format!("lacks \"{name}\"")))?;
        if info.dtype != dtype {
            return Err(self.problem(format!("\"{name}\" holds {:?}, not {dtype:?}", info.dtype)));
        }
        Ok(info)
    }

    /// The numbers of an array, four bytes each.
    fn read<T: bytemuck::Pod>(&self, name: &str, dtype: Dtype) -> Result<Vec<T>> {
        let (start, end) = self.info(name, dtype)?.data_offsets;
        self.asked.borrow_mut().insert(name.to_string());
        // The header was checked: offsets fit shape and type, and the file ends where the last array does.
        let mut numbers = vec![T::zeroed(); (end - start) / size_of::<T>()];
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut numbers);
        let mut source = self.source.borrow_mut();
        let read =
            source.seek(SeekFrom::Start(self.start + start as u64)).and_then(|_| source.read_exact(bytes));
        read.map_err(Error::io(&self.path, "cannot read"))?;
        if cfg!(target_endian = "big") {
            bytes.chunks_exact_mut(4).for_each(<[u8]>::reverse);
        }
        Ok(numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files are byte for byte those of the format's own writer, and come back as they were.
    #[test]
    fn files_are_those_of_the_format() {
        let tensors = || {
            vec![
                Tensor::floats("b.values", vec![2, 2], || {
                    Cow::Owned(vec![1.0, -2.0, 0.5, f32::MIN_POSITIVE])
                }),
                Tensor::floats("a", vec![0], || Cow::Owned(Vec::new())),
                Tensor::indices("b.col_indices".into(), &[0, 7, u32::MAX]),
            ]
        };
        let words = Words::from([("run", "a \"word\"".to_string())]);
        let mut bytes = Vec::new();
        write(&mut bytes, tensors(), words.clone()).unwrap();
        let data: Vec<(String, Vec<u8>, Dtype, Vec<usize>)> = tensors()
            .into_iter()
            .map(|tensor| {
                let bytes: Vec<u8> = match tensor.numbers {
                    Numbers::Floats(values) => {
                        values().iter().flat_map(|value| value.to_le_bytes()).collect()
                    }
                    Numbers::Indices(values) => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
                };
                (tensor.name, bytes, tensor.info.dtype, tensor.info.shape)
            })
            .collect();
        let views = data.iter().map(|(name, bytes, dtype, shape)| {
            (name, safetensors::tensor::TensorView::new(*dtype, shape.clone(), bytes).unwrap())
        });
        let path = Path::new("t");
        let rewritten = |bytes: &[u8]| {
            let words = TensorFile::of_bytes(path, bytes).unwrap().metadata.metadata().clone();
            safetensors::serialize(views.clone(), words).unwrap()
        };
        let mut plain = Vec::new();
        write(&mut plain, tensors(), Words::new()).unwrap();
        assert_eq!(plain, rewritten(&plain));
        assert_eq!(file_bytes(tensors()), plain.len());
        // That writer has several words in any order.
        assert!(TensorFile::of_bytes(path, &rewritten(&bytes)).is_ok());

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.safetensors");
        std::fs::write(&path, &bytes).unwrap();
        for file in [TensorFile::open(&path).unwrap(), TensorFile::of_bytes(&path, &bytes).unwrap()] {
            assert_eq!(file.values("b.values", &[2, 2]).unwrap(), [1.0, -2.0, 0.5, f32::MIN_POSITIVE]);
            assert_eq!(file.indices("b.col_indices").unwrap(), [0, 7, u32::MAX]);
            assert!(file.all_floats("a").unwrap().is_empty() && file.has("a") && !file.has("c"));
            assert_eq!((file.words("run"), file.words("walk")), (Some("a \"word\""), None));
            for (name, words) in [("c", "lacks \"c\""), ("b.col_indices", "holds I32, not F32")] {
                let error = file.all_floats(name).unwrap_err().to_string();
                assert!(error.contains(words), "{error}");
            }
        }
        for (bytes, words) in [
            (&bytes[..5], "no header"),
            (&bytes[..40], "does not end"),
            (&bytes[..bytes.len() - 1], "should have"),
            (&[255; 20], "does not end"),
            (b"\x02\0\0\0\0\0\0\0??", "expected"),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let error = TensorFile::open(&path).err().unwrap().to_string();
            assert!(error.contains("not a whole safetensors file") && error.contains(words), "{error}");
        }
    }
}
