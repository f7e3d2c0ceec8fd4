//! SciPy's sparse matrices, as `scipy.sparse.save_npz` writes them: an NPZ archive of some arrays, of `shape` and of `format`.
//!
//! ```text
//! csr  data indices indptr        the entries of row r stand from indptr[r] to indptr[r + 1], each at its column
//! csc  data indices indptr        columns and rows changed over
//! coo  data row col               an entry each; those of a cell are summed
//! bsr  data indices indptr        as csr, each entry a block of R x C numbers
//! dia  data offsets               data[k, j] stands at row j - offsets[k], column j
//! ```
//! All become rows; entries of 0 are left out.

use std::path::{Path, PathBuf};

use super::array::{Array, Numbers};
use super::sink::Rows;
use crate::data::csr::Csr;
use crate::data::raw::Cells;
use crate::data::span::SparseSpans;
use crate::data::stream::Streaming;
use crate::{Error, Result};

/// The array whose presence tells such an archive.
pub(super) const MARK: &str = "indptr";

/// Rows beyond this must hold entries, so that a small file does not ask for much memory.
const EMPTY_ROWS: f64 = (1 << 20) as f64;

/// The name in the bytes of `format.npy`: a text of bytes, or of four bytes a character.
pub(super) fn format(bytes: &[u8]) -> String {
    let header_end = bytes.iter().position(|&byte| byte == b'\n').map_or(bytes.len(), |end| end + 1);
    bytes[header_end..].iter().filter(|&&byte| byte != 0).map(|&byte| char::from(byte)).collect()
}

/// The rows of the matrix of a `format` whose arrays `array` reads, and how many columns they have. Of compressed rows `indices` and `data` are
/// `entries`, which are gone through once; columns may come in any order, but only once. `spans` takes their numbers.
pub(super) fn read(
    path: &Path,
    format: &str,
    array: impl FnMut(&str) -> Result<Option<Array>>,
    entries: [Option<Numbers<'_>>; 2],
    streaming: Option<&Streaming>,
    spans: &mut SparseSpans,
) -> Result<(Cells, usize)> {
    let mut matrix = Matrix { path, array, spans, rows: 0.0, columns: 0.0 };
    let (shape, _) = matrix.numbers("shape")?;
    let [rows, columns] = shape[..] else {
        return Err(matrix.broken(format!("its shape is {shape:?}")));
    };
    (matrix.rows, matrix.columns) = (rows, columns);
    let most = f64::from(u32::MAX);
    if !(0.0..=most).contains(&rows) || !(0.0..=most).contains(&columns) {
        return Err(matrix.broken(format!("its shape is {rows} x {columns}")));
    }
    let rows = match format {
        "csr" => return Ok((matrix.compressed_rows(entries, streaming)?, columns as usize)),
        "csc" | "coo" | "bsr" | "dia" if streaming.is_some() => {
            let problem = format!(
                "is a sparse matrix of the format {format:?}, which is all in memory; save it with scipy.sparse.save_npz(file, x.tocsr()), or leave data.memory out"
            );
            return Err(Error::data(path, problem));
        }
        "csc" => matrix.compressed_columns(),
        "coo" => matrix.coordinates(),
        "bsr" => matrix.blocks(),
        "dia" => matrix.diagonals(),
        other => Err(Error::data(
            path,
            format!(
                "holds a matrix of the format {other:?}, not csr, csc, coo, bsr or dia; save it with scipy.sparse.save_npz(file, x.tocsr())"
            ),
        )),
    }?;
    Ok((Cells::Sparse(rows), columns as usize))
}

/// The arrays of a matrix.
struct Matrix<'a, F> {
    path: &'a Path,
    array: F,
    spans: &'a mut SparseSpans,
    rows: f64,
    columns: f64,
}

/// The error about an array that is not there.
fn missing(path: &Path, name: &str) -> Error {
    Error::data(path, format!("holds no array named {name}; save it again with scipy.sparse.save_npz"))
}

/// An entry: its row, its column and its value.
type Entry = (f64, f64, f64);

impl<F: FnMut(&str) -> Result<Option<Array>>> Matrix<'_, F> {
    /// An array and its shape.
    fn numbers(&mut self, name: &str) -> Result<(Vec<f64>, Vec<usize>)> {
        let path = self.path;
        let array = (self.array)(name)?.ok_or_else(|| missing(path, name))?;
        Ok((array.map(|number| number), array.shape))
    }

    fn broken(&self, problem: String) -> Error {
        Error::data(
            self.path,
            format!("is not a sound sparse matrix: {problem}; save it again with scipy.sparse.save_npz"),
        )
    }

    /// For each of `lines` rows or columns, where its entries stand among `entries`.
    fn ranges(&mut self, lines: f64, entries: usize) -> Result<Vec<std::ops::Range<usize>>> {
        let (starts, _) = self.numbers(MARK)?;
        if starts.len() as f64 != lines + 1.0 {
            let problem =
                format!("{} starts do not fit the shape {} x {}", starts.len(), self.rows, self.columns);
            return Err(self.broken(problem));
        }
        let range = |(number, pair): (usize, &[f64])| {
            let is_sound = 0.0 <= pair[0] && pair[0] <= pair[1] && pair[1] <= entries as f64;
            let problem = || self.broken(format!("row {} begins nowhere", number + 1));
            is_sound.then_some(pair[0] as usize..pair[1] as usize).ok_or_else(problem)
        };
        starts.windows(2).enumerate().map(range).collect()
    }

    /// Arrays that must be of one length.
    fn same_length(&self, names: [&str; 2], lengths: [usize; 2]) -> Result<()> {
        if lengths[0] == lengths[1] {
            return Ok(());
        }
        let [(a, n), (b, m)] = [(names[0], lengths[0]), (names[1], lengths[1])];
        Err(self.broken(format!("it has {n} {a} and {m} {b}")))
    }

    fn compressed_rows(
        mut self,
        [columns, values]: [Option<Numbers<'_>>; 2],
        streaming: Option<&Streaming>,
    ) -> Result<Cells> {
        let mut columns = columns.ok_or_else(|| missing(self.path, "indices"))?;
        let mut values = values.ok_or_else(|| missing(self.path, "data"))?;
        self.same_length(["indices", "values"], [columns.promised(), values.promised()])?;
        let ranges = self.ranges(self.rows, columns.promised())?;
        let (mut places, mut numbers, mut row) = (Vec::new(), Vec::new(), Vec::new());
        let mut rows = Rows::new(streaming)?;
        let before = ranges.first().map_or(0, |first| first.start);
        columns.take(before, &mut places)?;
        values.take(before, &mut numbers)?;
        for (number, range) in ranges.into_iter().enumerate() {
            columns.take(range.len(), &mut places)?;
            values.take(range.len(), &mut numbers)?;
            row.clear();
            for (&column, &value) in places.iter().zip(&numbers) {
                self.check_place(number as f64, column)?;
                row.push((column as u32, self.spans.take(column as u32, value)));
            }
            Csr::sort_row(self.columns as usize, &mut row).map_err(|problem| {
                let problem = format!(
                    "{problem}; call x.sum_duplicates() and remove what is not finite before saving it"
                );
                Error::data_at(self.path, format!("row {}", number + 1), problem)
            })?;
            rows.push(&row)?;
        }
        rows.into_cells(self.path, self.columns as usize, 0)
    }

    fn compressed_columns(mut self) -> Result<Csr> {
        let ((indices, _), (values, _)) = (self.numbers("indices")?, self.numbers("data")?);
        self.same_length(["indices", "values"], [indices.len(), values.len()])?;
        let ranges = self.ranges(self.columns, indices.len())?;
        let of = |(column, range): (usize, std::ops::Range<usize>)| {
            let entries = indices[range.clone()].iter().zip(&values[range]);
            entries.map(move |(&row, &value)| (row, column as f64, value))
        };
        let entries = ranges.into_iter().enumerate().flat_map(of).collect();
        self.rows_of(entries)
    }

    fn coordinates(mut self) -> Result<Csr> {
        let ((rows, _), (columns, _)) = (self.numbers("row")?, self.numbers("col")?);
        let (values, _) = self.numbers("data")?;
        self.same_length(["rows", "columns"], [rows.len(), columns.len()])?;
        self.same_length(["rows", "values"], [rows.len(), values.len()])?;
        let entries =
            rows.iter().zip(columns).zip(values).map(|((&row, column), value)| (row, column, value));
        self.rows_of(entries.collect())
    }

    fn blocks(mut self) -> Result<Csr> {
        let ((indices, _), (values, shape)) = (self.numbers("indices")?, self.numbers("data")?);
        let [count, height, width] = shape[..] else {
            return Err(self.broken(format!("its blocks have the shape {shape:?}")));
        };
        self.same_length(["indices", "blocks"], [indices.len(), count])?;
        let ranges = self.ranges(self.rows / height as f64, count)?;
        let of = |(line, range): (usize, std::ops::Range<usize>)| {
            let blocks = range.map(|block| (block, indices[block] * width as f64));
            let (values, top) = (&values, (line * height) as f64);
            blocks.flat_map(move |(block, left)| {
                let numbers = values[block * height * width..][..height * width].iter().enumerate();
                let place = move |at: usize| (top + (at / width) as f64, left + (at % width) as f64);
                numbers.map(move |(at, &value)| (place(at).0, place(at).1, value))
            })
        };
        let entries = ranges.into_iter().enumerate().flat_map(of).collect();
        self.rows_of(entries)
    }

    fn diagonals(mut self) -> Result<Csr> {
        let ((offsets, _), (values, shape)) = (self.numbers("offsets")?, self.numbers("data")?);
        let [count, length] = shape[..] else {
            return Err(self.broken(format!("its diagonals have the shape {shape:?}")));
        };
        self.same_length(["offsets", "diagonals"], [offsets.len(), count])?;
        let place = |at: usize| ((at % length) as f64 - offsets[at / length], (at % length) as f64);
        let entries = values.iter().enumerate().map(|(at, &value)| (place(at).0, place(at).1, value));
        // What stands beyond the matrix fills the array up.
        let is_in = |&(row, column, _): &Entry| (0.0..self.rows).contains(&row) && column < self.columns;
        let entries = entries.filter(is_in).collect();
        self.rows_of(entries)
    }

    fn check_place(&self, row: f64, column: f64) -> Result<()> {
        if row.fract() != 0.0 || column.fract() != 0.0 {
            return Err(self.broken(format!("row {row} and column {column} are not whole numbers")));
        }
        if !(0.0..self.rows).contains(&row) {
            return Err(self.broken(format!("row {row} is not one of {}", self.rows)));
        }
        if !(0.0..self.columns).contains(&column) {
            let problem = format!("row {}: column {column} is not one of {}", row + 1.0, self.columns);
            return Err(self.broken(problem));
        }
        Ok(())
    }

    /// Rows from entries in any order; those of a cell are summed.
    fn rows_of(self, mut entries: Vec<Entry>) -> Result<Csr> {
        entries.retain(|(.., value)| *value != 0.0);
        if self.rows > EMPTY_ROWS + 1000.0 * entries.len() as f64 {
            let problem = format!("{} entries in {} rows are too few", entries.len(), self.rows);
            return Err(self.broken(problem));
        }
        entries.iter().try_for_each(|&(row, column, _)| self.check_place(row, column))?;
        entries.sort_by(|a, b| (a.0, a.1).partial_cmp(&(b.0, b.1)).expect("places are numbers"));
        let mut csr = Csr::empty(self.columns as usize);
        let mut entries = entries.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)).peekable();
        let mut line = Vec::new();
        for row in 0..self.rows as usize {
            line.clear();
            while let Some(cell) = entries.next_if(|cell| cell[0].0 == row as f64) {
                let (column, sum) = (cell[0].1 as u32, cell.iter().map(|(.., value)| value).sum());
                line.push((column, self.spans.take(column, sum)));
            }
            csr.push(&mut line).map_err(|problem| {
                let problem = format!("{problem}; remove what is not finite before saving it");
                Error::data_at(self.path, format!("row {}", row + 1), problem)
            })?;
        }
        Ok(csr)
    }
}

/// Where the labels of a matrix in a file of its own may lie: `y.npy` beside `x.npz`, `y_test.npy` beside `X_test.npz`.
pub(super) fn beside(path: &Path, features: &[&str], labels: &[&str]) -> Option<PathBuf> {
    let stem = path.file_stem()?.to_str()?;
    let place = features.iter().position(|name| *name == stem)?;
    let lower = labels[place].to_lowercase();
    [labels[place], &lower]
        .iter()
        .map(|name| path.with_file_name(format!("{name}.npy")))
        .find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::super::npy::tests::{archive, file};
    use super::*;
    use crate::data::dataset::{Features, Targets};
    use crate::data::load::{load, load_with};
    use crate::data::settings::DataSettings;

    fn ints(numbers: &[i32]) -> Vec<u8> {
        file(
            "<i4",
            "False",
            &format!("({},)", numbers.len()),
            &numbers.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<_>>(),
        )
    }

    fn floats(numbers: &[f32]) -> Vec<u8> {
        file(
            "<f4",
            "False",
            &format!("({},)", numbers.len()),
            &numbers.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<_>>(),
        )
    }

    /// The archive of a matrix, some of its arrays changed.
    fn matrix(changes: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let mut arrays = vec![
            ("indices.npy", ints(&[2, 0, 1, 0])),
            ("indptr.npy", ints(&[0, 2, 3, 3, 4])),
            ("format.npy", file("|S3", "False", "()", b"csr")),
            ("shape.npy", ints(&[4, 3])),
            ("data.npy", floats(&[5.0, 1.0, 0.0, 7.0])),
        ];
        for (name, bytes) in changes {
            arrays.retain(|(other, _)| other != name);
            if !bytes.is_empty() {
                arrays.push((name, bytes.clone()));
            }
        }
        archive(&arrays.iter().map(|(name, bytes)| (*name, &bytes[..])).collect::<Vec<_>>())
    }

    fn settings(path: &Path) -> DataSettings {
        let path = path.to_str().unwrap().into();
        DataSettings { path, validation_fraction: 0.0, test_fraction: 0.0, ..DataSettings::default() }
    }

    #[test]
    fn a_matrix_is_sparse_rows_and_labels_lie_in_it_or_beside_it_or_anywhere() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let labels = ints(&[1, 2, 1, 2]);
        let rows = Csr::new(3, vec![0, 2, 2, 2, 3], vec![0, 2, 0], vec![1.0, 5.0, 7.0]).unwrap();
        std::fs::write(at("in.npz"), matrix(&[("y.npy", labels.clone())])).unwrap();
        for name in ["X_train.npz", "X_test.npz", "bare.npz"] {
            std::fs::write(at(name), matrix(&[])).unwrap();
        }
        for name in ["y_train.npy", "y_test.npy", "other.npy"] {
            std::fs::write(at(name), &labels).unwrap();
        }
        let other = DataSettings {
            label_path: Some(at("other.npy").to_str().unwrap().into()),
            ..settings(&at("bare.npz"))
        };
        for settings in
            [settings(&at("in.npz")), settings(&at("X_train.npz")), settings(&at("X_test.npz")), other]
        {
            let splits = load(&settings, 1).unwrap();
            assert_eq!(splits.train.features, Features::Sparse(rows.clone()), "{}", settings.path);
            assert_eq!(splits.train.targets, Targets::Classes { labels: vec![0, 1, 0, 1], classes: 2 });
            assert_eq!(splits.preparation.constant_inputs, 1);
            let new = load_with(&splits.preparation, at("bare.npz").to_str().unwrap(), false).unwrap();
            assert_eq!(new.dataset.features, Features::Sparse(rows.clone()));
        }
        // The folder has both parts.
        let splits = load(&settings(folder.path()), 1).unwrap();
        assert_eq!((splits.train.len(), splits.test.unwrap().len()), (4, 4));
        let error = load(&settings(&at("bare.npz")), 1).unwrap_err().to_string();
        assert!(error.contains("name their file with data.label_path"), "{error}");
    }

    #[test]
    fn all_formats_of_one_matrix_are_the_same_rows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.npz");
        // [ 1 . 5 ]
        // [ . . . ]
        // [ . . . ]
        // [ 7 . . ]
        let rows = Csr::new(3, vec![0, 2, 2, 2, 3], vec![0, 2, 0], vec![1.0, 5.0, 7.0]).unwrap();
        let shaped = |shape: &str, numbers: &[f32]| {
            file("<f4", "False", shape, &numbers.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<_>>())
        };
        let blocks = [1.0, 0.0, 5.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 7.0, 0.0, 0.0];
        // What stands beyond the matrix is 9.
        let diagonals = [9.0, 9.0, 5.0, 1.0, 0.0, 0.0, 7.0, 9.0, 9.0];
        let read = |format: &[u8], arrays: &[(&str, Vec<u8>)]| {
            let y = ("y.npy", ints(&[1, 2, 1, 2]));
            let format = ("format.npy", file("|S3", "False", "()", format));
            let shape = ("shape.npy", ints(&[4, 3]));
            let all: Vec<_> = arrays.iter().cloned().chain([y, format, shape]).collect();
            let all: Vec<_> = all.iter().map(|(name, bytes)| (*name, &bytes[..])).collect();
            std::fs::write(&path, archive(&all)).unwrap();
            load(&settings(&path), 1).map(|splits| splits.train.features).map_err(|error| error.to_string())
        };
        let coo = |row: &[i32]| {
            let (col, data) = (ints(&[2, 0, 0, 0]), floats(&[5.0, 1.0, 3.0, 4.0]));
            [("row.npy", ints(row)), ("col.npy", col), ("data.npy", data)]
        };
        let compressed = |indices: &[i32], indptr: &[i32], data: Vec<u8>| {
            [("indices.npy", ints(indices)), ("indptr.npy", ints(indptr)), ("data.npy", data)]
        };
        for found in [
            read(b"coo", &coo(&[0, 0, 3, 3])),
            read(b"csc", &compressed(&[0, 3, 0], &[0, 2, 2, 3], floats(&[1.0, 7.0, 5.0]))),
            read(b"bsr", &compressed(&[0, 0], &[0, 1, 2], shaped("(2, 2, 3)", &blocks))),
            read(b"dia", &[("offsets.npy", ints(&[2, 0, -3])), ("data.npy", shaped("(3, 3)", &diagonals))]),
        ] {
            assert_eq!(found, Ok(Features::Sparse(rows.clone())));
        }
        for (found, problem) in [
            (read(b"coo", &coo(&[0, 0, 4, 3])), "row 4 is not one of 4"),
            (read(b"coo", &coo(&[0, 0, -1, 3])), "row -1 is not one of 4"),
            (read(b"coo", &coo(&[0, 0, 3])), "it has 3 rows and 4 columns"),
            (read(b"coo", &coo(&[0, 0, 3, 3])[1..]), "holds no array named row"),
            (
                read(b"csc", &compressed(&[0, 3, 0], &[0, 2, 3], floats(&[1.0, 7.0, 5.0]))),
                "3 starts do not fit the shape 4 x 3",
            ),
            (
                read(b"bsr", &compressed(&[0, 1], &[0, 1, 2], shaped("(2, 2, 3)", &blocks))),
                "row 4: column 3 is not one of 3",
            ),
            (
                read(b"bsr", &compressed(&[0, 0], &[0, 1, 2], floats(&[1.0, 2.0]))),
                "blocks have the shape [2]",
            ),
        ] {
            let error = found.unwrap_err();
            assert!(error.contains(problem), "{problem}: {error}");
        }
    }

    #[test]
    fn numbers_that_fall_together_are_noted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.npz");
        let y = ("y.npy", ints(&[1, 2, 1, 2]));
        let numbers = [1.7e12f64, 1.7e12 + 1.0, 1.7e12 + 2.0, 1.7e12 + 3.0].map(f64::to_le_bytes);
        let data = ("data.npy", file("<f8", "False", "(4,)", numbers.as_flattened()));
        let at = |name: &'static str, numbers: &[i32]| (name, ints(numbers));
        let format = |name: &[u8]| ("format.npy", file("|S3", "False", "()", name));
        for place in [
            vec![at("indices.npy", &[1; 4]), at("indptr.npy", &[0, 1, 2, 3, 4])],
            vec![
                format(b"coo"),
                at("row.npy", &[0, 1, 2, 3]),
                at("col.npy", &[1; 4]),
                ("indptr.npy", vec![]),
            ],
        ] {
            let changes: Vec<_> = place.into_iter().chain([y.clone(), data.clone()]).collect();
            std::fs::write(&path, matrix(&changes)).unwrap();
            let notes = load(&settings(&path), 1).unwrap().notes;
            let hint = "column 2 holds 1700000000000 and 1700000000001, which fall together in 32 bits";
            assert!(notes.iter().any(|note| note.starts_with(hint)), "{notes:?}");
        }
    }

    #[test]
    fn broken_matrices_say_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.npz");
        for (name, bytes, problem) in [
            (
                "format.npy",
                file("|S3", "False", "()", b"dok"),
                "of the format \"dok\", not csr, csc, coo, bsr or dia; save it with scipy.sparse.save_npz(file, x.tocsr())",
            ),
            ("indptr.npy", Vec::new(), "holds no array named indptr"),
            ("indices.npy", Vec::new(), "holds no array named indices"),
            ("indices.npy", ints(&[2, 0, 3, 0]), "row 2: column 3 is not one of 3"),
            ("indices.npy", ints(&[2, 0, -1, 0]), "row 2: column -1"),
            ("indices.npy", ints(&[2, 2, 1, 0]), "row 1: index 2 comes twice; call x.sum_duplicates()"),
            ("indptr.npy", ints(&[0, 2, 1, 3, 4]), "row 2 begins nowhere"),
            ("indptr.npy", ints(&[0, 2, 3, 9, 4]), "row 3 begins nowhere"),
            ("indptr.npy", ints(&[-1, 2, 3, 3, 4]), "row 1 begins nowhere"),
            ("indptr.npy", ints(&[0, 4]), "do not fit the shape 4 x 3"),
            ("shape.npy", ints(&[4]), "its shape is [4.0]"),
            ("data.npy", floats(&[1.0]), "4 indices and 1 values"),
            ("data.npy", floats(&[1.0, 2.0, f32::NAN, 3.0]), "row 2: the value NaN of index 1"),
            ("y.npy", ints(&[1, 2]), "2 labels for 4 samples"),
        ] {
            let mut changes = vec![("y.npy", ints(&[1, 2, 1, 2]))];
            changes.push((name, bytes));
            std::fs::write(&path, matrix(&changes)).unwrap();
            let error = load(&settings(&path), 1).unwrap_err().to_string();
            assert!(error.contains(problem), "{problem}: {error}");
        }
    }
}
