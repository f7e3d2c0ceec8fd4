//! An array of numbers of any common type, as IDX and NPY files hold it: the bytes after the header, checked against
//! the header's promise before anything large is allocated, then turned into features or labels.

use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use super::gzip::{Opened, read_error};
use crate::data::prepare::classes;
use crate::data::raw::{Cells, Labels, Raw};
use crate::data::reading::{ArrayReading, Reading};
use crate::data::settings::TaskChoice;
use crate::data::span::{Close, Shift, Shifting, Span, reader};
use crate::machine::free_memory_bytes;
use crate::tiles::Shape;
use crate::{Error, Result};

/// How a number is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Element {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F16,
    F32,
    F64,
}

impl Element {
    /// Bytes of one number.
    pub(super) fn size(self) -> usize {
        match self {
            Element::U8 | Element::I8 => 1,
            Element::U16 | Element::I16 | Element::F16 => 2,
            Element::U32 | Element::I32 | Element::F32 => 4,
            Element::U64 | Element::I64 | Element::F64 => 8,
        }
    }

    /// Whether numbers are bytes, as those of images.
    pub(super) fn is_byte(self) -> bool {
        self == Element::U8
    }

    /// Whether `f32` cannot hold all numbers of this type.
    pub(super) fn is_wide(self) -> bool {
        matches!(self, Element::U32 | Element::I32 | Element::U64 | Element::I64 | Element::F64)
    }

    /// Takes each number that lies in these bytes.
    pub(super) fn each(self, big_endian: bool, bytes: &[u8], mut take: impl FnMut(f64)) {
        macro_rules! numbers {
            ($type:ty) => {{
                let (items, _) = bytes.as_chunks::<{ size_of::<$type>() }>();
                let read = if big_endian { <$type>::from_be_bytes } else { <$type>::from_le_bytes };
                items.iter().for_each(|&item| take(read(item) as f64));
            }};
        }
        match self {
            Element::U8 => numbers!(u8),
            Element::I8 => numbers!(i8),
            Element::U16 => numbers!(u16),
            Element::I16 => numbers!(i16),
            Element::U32 => numbers!(u32),
            Element::I32 => numbers!(i32),
            Element::U64 => numbers!(u64),
            Element::I64 => numbers!(i64),
            Element::F16 => {
                let (items, _) = bytes.as_chunks::<2>();
                let read = if big_endian { u16::from_be_bytes } else { u16::from_le_bytes };
                items.iter().for_each(|&item| take(half(read(item))));
            }
            Element::F32 => numbers!(f32),
            Element::F64 => numbers!(f64),
        }
    }
}

/// What stands before the numbers of an array.
pub(crate) struct ArrayHeader {
    /// Bytes up to the numbers.
    pub length: u64,
    /// Its size in each dimension.
    pub shape: Vec<usize>,
    pub element: Element,
    pub big_endian: bool,
}

/// An array as samples.
pub(crate) struct Samples {
    pub cells: Cells,
    pub shape: Shape,
    /// Columns that `cells` holds shifted, and numbers that may fall together when scaled.
    pub shifts: Vec<Shift>,
    pub close: Vec<Close>,
    /// Numbers that are missing (NaN).
    pub gaps: usize,
    /// What the user should know about them.
    pub notes: Vec<String>,
}

/// An array in row-major order.
pub(crate) struct Array {
    bytes: Vec<u8>,
    element: Element,
    big_endian: bool,
    /// Its size in each dimension.
    pub shape: Vec<usize>,
}

impl Array {
    /// Reads the numbers that follow a header.
    pub(crate) fn read(path: &Path, from: Opened, header: ArrayHeader) -> Result<Array> {
        let ArrayHeader { length, shape, element, big_endian } = header;
        let expected = bytes_of(path, &shape, element, from.at_most.saturating_sub(length))?;
        if let Some(free) = free_memory_bytes().filter(|&free| from.is_plain && expected as u64 > free) {
            let gb = |bytes: u64| format!("{:.1} GB", bytes as f64 / 1e9);
            let problem = format!(
                "holds {} and {} of memory are free; with data.memory = \"1GB\", or what you can spare, samples stay on the disk",
                gb(expected as u64),
                gb(free)
            );
            return Err(Error::data(path, problem));
        }
        // Packed data may hold far less than it could: let the vector grow with what truly comes.
        let mut bytes = Vec::with_capacity(expected.saturating_add(1).min(1 << 26));
        from.reader.take(expected as u64 + 1).read_to_end(&mut bytes).map_err(read_error(path))?;
        match bytes.len() {
            found if found < expected => Err(cut_short(path, found, expected)),
            found if found > expected => Err(goes_on(path, expected)),
            _ => Ok(Array { bytes, element, big_endian, shape }),
        }
    }

    /// Each number through `convert`.
    pub(crate) fn map<T>(&self, mut convert: impl FnMut(f64) -> T) -> Vec<T> {
        let mut all = Vec::with_capacity(self.bytes.len() / self.element.size());
        self.element.each(self.big_endian, &self.bytes, |number| all.push(convert(number)));
        all
    }

    /// The numbers as they are, if they are whole numbers that an `f64` may not hold.
    pub(crate) fn whole_numbers(&self) -> Option<Vec<i128>> {
        let (items, _) = self.bytes.as_chunks::<8>();
        let read = |&item: &[u8; 8]| match (self.element, self.big_endian) {
            (Element::U64, true) => Some(u64::from_be_bytes(item).into()),
            (Element::U64, false) => Some(u64::from_le_bytes(item).into()),
            (Element::I64, true) => Some(i64::from_be_bytes(item).into()),
            (Element::I64, false) => Some(i64::from_le_bytes(item).into()),
            _ => None,
        };
        items.iter().map(read).collect()
    }

    /// The bytes as they lie in the file.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Swaps a matrix stored column by column into row-major order.
    pub(crate) fn into_row_major(self) -> Array {
        let (rows, size) = (self.shape[0], self.element.size());
        let columns = self.shape.get(1).copied().unwrap_or(1);
        let mut bytes = Vec::with_capacity(self.bytes.len());
        for row in 0..rows {
            for column in 0..columns {
                bytes.extend_from_slice(&self.bytes[(column * rows + row) * size..][..size]);
            }
        }
        Array { bytes, ..self }
    }

    /// The array as samples: the first dimension counts them, the others are laid out as `layout` says. NaN is a missing number.
    pub(crate) fn into_features(self, path: &Path, shifting: &Shifting) -> Result<Samples> {
        let shape = layout(path, &self.shape, self.element)?;
        let width = shape.features();
        if self.element == Element::U8 {
            return Ok(Samples::plain(Cells::Bytes(self.bytes), shape));
        }
        let spans = self.spans(width);
        let shifts = shifting.shifts(&spans);
        let close = (0..).zip(&spans).filter_map(|(at, span)| span.close(at)).collect();
        let numbers: Vec<f32> = self.map(reader(&shifts, width));
        let gaps = numbers.iter().filter(|number| number.is_nan()).count();
        if let Some(at) = numbers.iter().position(|number| number.is_infinite()) {
            return Err(not_finite(path, at, width, numbers[at]));
        }
        Ok(Samples { shifts, close, gaps, ..Samples::plain(Cells::Numbers(numbers), shape) })
    }

    /// What each column spans, for types that `f32` cannot hold.
    fn spans(&self, width: usize) -> Vec<Span> {
        let mut spans = vec![Span::default(); if self.element.is_wide() { width } else { 0 }];
        if self.element.is_wide() {
            let mut column = 0;
            self.element.each(self.big_endian, &self.bytes, |number| {
                spans[column].add(number);
                column = (column + 1) % width;
            });
        }
        spans
    }

    /// The array as labels, one row per sample.
    pub(crate) fn into_labels(self, path: &Path, samples: usize, task: TaskChoice) -> Result<Labels> {
        let outputs = match self.shape[..] {
            [_] => 1,
            [_, outputs] => outputs,
            _ => {
                let problem =
                    format!("labels need one or two dimensions, this array has the shape {:?}", self.shape);
                return Err(Error::data(path, problem));
            }
        };
        if self.shape[0] != samples {
            let found = self.shape[0];
            return Err(Error::data(
                path,
                format!("holds {found} labels for {samples} samples; the two files do not belong together"),
            ));
        }
        if let Some(whole) =
            self.whole_numbers().filter(|whole| outputs == 1 && classes::need_names(whole, task))
        {
            return Ok(Labels::of_words(whole.iter().map(i128::to_string).collect()));
        }
        let values = self.map(|number| number);
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            let problem = format!("the label {} is not a finite number; remove such samples", values[at]);
            return Err(Error::data_at(path, format!("sample {}", at / outputs + 1), problem));
        }
        Ok(Labels::Numbers { values, outputs })
    }
}

/// The numbers of an array, one after the other.
pub(super) struct Numbers<'a> {
    path: PathBuf,
    header: ArrayHeader,
    reader: BufReader<Box<dyn Read + 'a>>,
    bytes: Vec<u8>,
}

impl<'a> Numbers<'a> {
    /// Those that follow a header.
    pub(super) fn new(path: PathBuf, from: Opened<'a>, header: ArrayHeader) -> Result<Numbers<'a>> {
        bytes_of(&path, &header.shape, header.element, from.at_most.saturating_sub(header.length))?;
        Ok(Numbers {
            path,
            header,
            reader: BufReader::with_capacity(1 << 16, from.reader),
            bytes: Vec::new(),
        })
    }

    /// How many the header promises.
    pub(super) fn promised(&self) -> usize {
        self.header.shape.iter().product()
    }

    /// Makes `out` the next ones.
    pub(super) fn take(&mut self, count: usize, out: &mut Vec<f64>) -> Result<()> {
        let ArrayHeader { element, big_endian, .. } = self.header;
        let wanted = count * element.size();
        self.bytes.clear();
        out.clear();
        let mut rest = self.reader.by_ref().take(wanted as u64);
        let found = rest.read_to_end(&mut self.bytes).map_err(read_error(&self.path))?;
        if found < wanted {
            let missing = wanted - found;
            let problem =
                format!("ends {missing} bytes before its header says; it is cut short: get it again");
            return Err(Error::data(&self.path, problem));
        }
        element.each(big_endian, &self.bytes, |number| out.push(number));
        Ok(())
    }
}

/// Bytes of an array of this shape, of which the file has `at_most` at hand.
pub(super) fn bytes_of(path: &Path, shape: &[usize], element: Element, at_most: u64) -> Result<usize> {
    // Now, before anyone multiplies or loops over the other sizes.
    if shape.contains(&0) {
        let problem = format!("has the shape {shape:?}: there are no samples in it");
        return Err(Error::data(path, problem));
    }
    let count = shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
    let expected = count.and_then(|count| count.checked_mul(element.size()));
    let Some(expected) = expected.filter(|&bytes| bytes as u64 <= at_most) else {
        return Err(Error::data(
            path,
            format!(
                "the header promises an array of {shape:?}, more than the file can hold; it is cut short or damaged: get it again"
            ),
        ));
    };
    Ok(expected)
}

/// How samples of an array of this shape are laid out: of the dimensions after the first one is plain features, two are an image of bytes
/// or a sequence of features, three are an image with its channels last; more are laid out in a row.
pub(super) fn layout(path: &Path, shape: &[usize], element: Element) -> Result<Shape> {
    if shape.len() < 2 {
        return Err(Error::data(
            path,
            format!("has the shape {:?}; features need samples x columns, so at least two dimensions", shape),
        ));
    }
    Ok(match shape[1..] {
        [height, width] if element == Element::U8 => Shape { height, width, channels: 1 },
        [steps, channels] => Shape::sequence(steps, channels),
        [height, width, channels] => Shape { height, width, channels },
        _ => Shape::flat(shape[1..].iter().product()),
    })
}

/// The error about an array that ends too early.
pub(super) fn cut_short(path: &Path, found: usize, expected: usize) -> Error {
    let problem = format!(
        "holds {found} of the {expected} bytes that its header promises; it is cut short: get it again"
    );
    Error::data(path, problem)
}

/// The error about an array that does not end.
pub(super) fn goes_on(path: &Path, expected: usize) -> Error {
    let problem = format!(
        "goes on after the {expected} bytes that its header promises; it is damaged or two files in one: get it again"
    );
    Error::data(path, problem)
}

/// The error about the number at this place of an array.
pub(super) fn not_finite(path: &Path, at: usize, width: usize, number: f32) -> Error {
    Error::data_at(
        path,
        format!("sample {}, column {}", at / width + 1, at % width + 1),
        format!("{number} is not a finite f32 number; fill or remove such values before saving the array"),
    )
}

/// A number of 16 bits: a sign, 5 bits of exponent, 10 of fraction (IEEE 754).
fn half(bits: u16) -> f64 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
    let size = match exponent {
        0 => fraction * 2f64.powi(-24),
        0x1f if fraction == 0.0 => f64::INFINITY,
        0x1f => f64::NAN,
        _ => (1.0 + fraction / 1024.0) * 2f64.powi(exponent - 15),
    };
    if bits >> 15 == 1 { -size } else { size }
}

impl Samples {
    /// Samples that are read as they are.
    pub(crate) fn plain(cells: Cells, shape: Shape) -> Samples {
        Samples { cells, shape, shifts: Vec::new(), close: Vec::new(), gaps: 0, notes: Vec::new() }
    }

    /// As a source.
    pub(crate) fn into_raw(self, path: &Path, labels: Option<Labels>) -> Raw {
        let Samples { cells, shape, shifts, close, gaps, mut notes } = self;
        let reading = Reading::Npy(ArrayReading { shifts });
        let note = format!(
            "{gaps} numbers are missing (NaN); each becomes the mean of its column over the training part"
        );
        notes.extend((gaps > 0).then_some(note));
        Raw { close, notes, ..Raw::new(path, reading, cells, shape, labels) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(
        bytes: &[u8],
        at_most: u64,
        shape: &[usize],
        element: Element,
        big_endian: bool,
    ) -> Result<Array> {
        let from =
            Opened { reader: Box::new(std::io::Cursor::new(bytes.to_vec())), at_most, is_plain: false };
        let header = ArrayHeader { length: 0, shape: shape.to_vec(), element, big_endian };
        Array::read(Path::new("a"), from, header)
    }

    #[test]
    fn every_type_and_byte_order_reads_the_same_numbers() {
        macro_rules! check {
            ($($type:ty, $element:ident);*) => {$(
                for big_endian in [false, true] {
                    let bytes: Vec<u8> = [3 as $type, 7 as $type, 100 as $type, 0 as $type].iter()
                        .flat_map(|n| if big_endian { n.to_be_bytes() } else { n.to_le_bytes() }).collect();
                    let array = read(&bytes, 99, &[2, 2], Element::$element, big_endian).unwrap();
                    let Samples { cells, shape, .. } =
                        array.into_features(Path::new("a"), &Shifting::WhereNeeded).unwrap();
                    let mut row = [0.0; 2];
                    cells.copy_row(1, shape.features(), &mut row);
                    assert_eq!(row, [100.0, 0.0], "{}", stringify!($type));
                }
            )*};
        }
        check!(u8, U8; i8, I8; u16, U16; i16, I16; u32, U32; i32, I32; u64, U64; i64, I64; f32, F32; f64, F64);
    }

    #[test]
    fn half_precision_is_read_exactly() {
        // 1, -2, 2^-24, 65504, 0.333251953125, infinity
        for (bits, number) in [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (1, 2f64.powi(-24)),
            (0x7bff, 65504.0),
            (0x3555, 0.333251953125),
            (0x7c00, f64::INFINITY),
        ] {
            assert_eq!(half(bits), number);
        }
        assert!(half(0x7e00).is_nan());
    }

    #[test]
    fn column_major_order_is_turned() {
        // [[1, 2, 3], [4, 5, 6]] stored by columns
        let array = read(&[1, 4, 2, 5, 3, 6], 6, &[2, 3], Element::U8, false).unwrap().into_row_major();
        assert_eq!(array.bytes, [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn a_header_is_believed_only_as_far_as_the_file_goes() {
        for (bytes, at_most, shape, problem) in [
            (&[0u8; 5][..], 5, &[2usize, 3][..], "more than the file can hold"),
            (&[0u8; 5], 1 << 20, &[2, 3], "cut short"),
            (&[0u8; 7], 7, &[2, 3], "goes on after"),
            (&[0u8; 7], 7, &[usize::MAX, 2, 2], "more than the file can hold"),
            (&[0u8; 7], u64::MAX, &[usize::MAX / 2, 8], "more than the file can hold"),
            (&[0u8; 7], 1 << 40, &[1 << 39], "cut short"),
        ] {
            let error = read(bytes, at_most, shape, Element::U8, false).err().unwrap().to_string();
            assert!(error.contains(problem), "{shape:?}: {error}");
        }
    }

    #[test]
    fn reading_stops_where_the_promise_ends() {
        let endless = Opened { reader: Box::new(std::io::repeat(0)), at_most: u64::MAX, is_plain: false };
        let header = ArrayHeader { length: 0, shape: vec![2, 3], element: Element::U8, big_endian: false };
        let error = Array::read(Path::new("a"), endless, header).err().unwrap();
        assert!(error.to_string().contains("goes on after the 6 bytes"), "{error}");
    }

    #[test]
    fn features_and_labels_must_be_usable() {
        let floats: Vec<u8> = [f32::NAN, f32::INFINITY].iter().flat_map(|n| n.to_le_bytes()).collect();
        let array = |shape: &[usize]| read(&floats, 8, shape, Element::F32, false).unwrap();
        let feature_error =
            |shape| array(shape).into_features(Path::new("a"), &Shifting::Never).err().unwrap().to_string();
        assert!(feature_error(&[1, 2]).contains("sample 1, column 2: inf"));
        assert!(feature_error(&[2]).contains("at least two dimensions"));
        let label_error = |shape, samples| {
            array(shape).into_labels(Path::new("a"), samples, TaskChoice::Auto).err().unwrap().to_string()
        };
        assert!(label_error(&[2], 2).contains("sample 1: the label NaN"));
        assert!(label_error(&[2], 1).contains("2 labels for 1 samples"));
        assert!(label_error(&[1, 1, 2], 1).contains("one or two dimensions"));
        for shape in [&[0, 3][..], &[3, 0], &[0], &[0, usize::MAX, usize::MAX], &[usize::MAX, usize::MAX, 0]]
        {
            let error = read(&[], 0, shape, Element::U8, false).err().unwrap().to_string();
            assert!(error.contains("no samples"), "{error}");
        }
    }
}
