//! SciPy's sparse matrices, as `scipy.sparse.save_npz` writes them: an NPZ archive of the arrays `data`, `indices`, `indptr`
//! and `shape`, and of `format`, which must be `csr`.

use std::path::{Path, PathBuf};

use super::array::Array;
use crate::data::csr::Csr;
use crate::{Error, Result};

/// The array whose presence tells such an archive.
pub(super) const MARK: &str = "indptr";

/// That the bytes of `format.npy` name rows.
pub(super) fn check_format(path: &Path, bytes: &[u8]) -> Result<()> {
    let header_end = bytes.iter().position(|&byte| byte == b'\n').map_or(bytes.len(), |end| end + 1);
    // A text of bytes, or of four bytes a character.
    let name: String =
        bytes[header_end..].iter().filter(|&&byte| byte != 0).map(|&byte| char::from(byte)).collect();
    match name.as_str() {
        "csr" => Ok(()),
        other => {
            let problem = format!(
                "holds a matrix of the format {other:?}; save it with scipy.sparse.save_npz(file, x.tocsr())"
            );
            Err(Error::data(path, problem))
        }
    }
}

/// The rows of the matrix whose arrays `array` reads. Columns may come in any order within a row, but only once.
pub(super) fn read(path: &Path, mut array: impl FnMut(&str) -> Result<Option<Array>>) -> Result<Csr> {
    let mut numbers = |name: &str| match array(name)? {
        Some(array) => Ok(array.map(|number| number)),
        None => Err(Error::data(
            path,
            format!("holds no array named {name}; save it again with scipy.sparse.save_npz"),
        )),
    };
    let broken = |problem: String| {
        Error::data(
            path,
            format!("is not a sound sparse matrix: {problem}; save it again with scipy.sparse.save_npz"),
        )
    };
    let (shape, starts) = (numbers("shape")?, numbers(MARK)?);
    let (indices, values) = (numbers("indices")?, numbers("data")?);
    let [rows, columns] = shape[..] else {
        return Err(broken(format!("its shape is {shape:?}")));
    };
    if starts.len() as f64 != rows + 1.0
        || indices.len() != values.len()
        || !(0.0..=f64::from(u32::MAX)).contains(&columns)
    {
        let problem = format!(
            "{} row starts, {} indices and {} values do not fit the shape {rows} x {columns}",
            starts.len(),
            indices.len(),
            values.len()
        );
        return Err(broken(problem));
    }
    let mut csr = Csr::empty(columns as usize);
    let mut row = Vec::new();
    for (number, pair) in starts.windows(2).enumerate() {
        let range = pair[0] as usize..pair[1] as usize;
        let found = indices.get(range.clone()).zip(values.get(range)).filter(|_| pair[0] >= 0.0);
        let (indices, values) = found.ok_or_else(|| broken(format!("row {} begins nowhere", number + 1)))?;
        if let Some(index) = indices.iter().find(|index| !(0.0..columns).contains(*index)) {
            return Err(broken(format!("row {}: column {index} is not one of {columns}", number + 1)));
        }
        row.clear();
        row.extend(indices.iter().zip(values).map(|(&index, &value)| (index as u32, value as f32)));
        csr.push(&mut row).map_err(|problem| {
            let problem =
                format!("{problem}; call x.sum_duplicates() and remove what is not finite before saving it");
            Error::data_at(path, format!("row {}", number + 1), problem)
        })?;
    }
    Ok(csr)
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
    fn broken_matrices_say_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.npz");
        // Neither rows nor columns: a list of cells.
        let entries = ["row.npy", "col.npy", "shape.npy", "data.npy"].map(|name| (name, ints(&[0, 1])));
        let mut entries: Vec<(&str, &[u8])> =
            entries.iter().map(|(name, bytes)| (*name, &bytes[..])).collect();
        let format = file("|S3", "False", "()", b"coo");
        entries.push(("format.npy", &format));
        std::fs::write(&path, archive(&entries)).unwrap();
        let error = load(&settings(&path), 1).unwrap_err().to_string();
        assert!(
            error.contains("of the format \"coo\"; save it with scipy.sparse.save_npz(file, x.tocsr())"),
            "{error}"
        );
        for (name, bytes, problem) in [
            (
                "format.npy",
                file("|S3", "False", "()", b"csc"),
                "of the format \"csc\"; save it with scipy.sparse.save_npz(file, x.tocsr())",
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
