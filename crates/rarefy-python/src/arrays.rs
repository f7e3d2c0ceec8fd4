//! Arrays of NumPy's in and out, and Arrow streams in.
#![allow(unsafe_code)]

use arrow_array::ffi_stream::RecordBatchStreamReader;
use numpy::{
    PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2, PyReadonlyArrayDyn,
    PyUntypedArrayMethods,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

use crate::errors::internal;

/// The numbers of an array of Python's, kept as long as this is.
pub struct Shared<T> {
    first: *const T,
    count: usize,
    /// Dropped with the interpreter attached, or left to it.
    _array: Py<PyAny>,
}

// SAFETY: the memory is only read, and the array that owns it is kept. Python code that writes to it meanwhile breaks what the
// documentation of `fit` asks for.
unsafe impl<T: Send> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Shared<T> {}

impl<T: numpy::Element> Shared<T> {
    /// Shares a contiguous array.
    pub fn new(array: &PyReadonlyArrayDyn<'_, T>) -> PyResult<Shared<T>> {
        let numbers = slice(array.as_slice())?;
        let (first, count) = (numbers.as_ptr(), numbers.len());
        Ok(Shared { first, count, _array: array.as_any().clone().unbind() })
    }
}

impl<T> AsRef<[T]> for Shared<T> {
    fn as_ref(&self) -> &[T] {
        // SAFETY: pointer and count are those of an array that is kept, which NumPy neither moves nor frees.
        unsafe { std::slice::from_raw_parts(self.first, self.count) }
    }
}

/// The rows of a matrix of Python's, whatever its layout, kept as long as this is.
pub struct Strided {
    first: *const u8,
    /// Rows and columns, and the bytes from one to the next.
    shape: [usize; 2],
    strides: [isize; 2],
    /// Dropped with the interpreter attached, or left to it.
    _array: Py<PyAny>,
}

// SAFETY: as for `Shared`.
unsafe impl Send for Strided {}
// SAFETY: as for `Shared`.
unsafe impl Sync for Strided {}

impl Strided {
    /// Shares a matrix.
    pub fn new(array: &PyReadonlyArray2<'_, f64>) -> Strided {
        let (shape, strides) = (array.shape(), array.strides());
        Strided {
            first: array.data().cast(),
            shape: [shape[0], shape[1]],
            strides: [strides[0], strides[1]],
            _array: array.as_any().clone().unbind(),
        }
    }

    pub fn shape(&self) -> [usize; 2] {
        self.shape
    }

    /// Writes the numbers of a row.
    ///
    /// # Panics
    /// If there is no such row, or it has another number of columns.
    pub fn read(&self, row: usize, out: &mut [f64]) {
        let [rows, columns] = self.shape;
        assert!(row < rows && out.len() == columns, "row {row} of {rows} x {columns} into {}", out.len());
        for (column, out) in out.iter_mut().enumerate() {
            let offset = row as isize * self.strides[0] + column as isize * self.strides[1];
            // SAFETY: NumPy says that a number stands at the strides times row and column, which are within the shape, and it
            // is kept; it may stand at any address.
            *out = unsafe { self.first.offset(offset).cast::<f64>().read_unaligned() };
        }
    }
}

/// The numbers of a contiguous array; the Python side sees to that.
pub fn slice<T>(numbers: Result<&[T], impl std::fmt::Display>) -> PyResult<&[T]> {
    numbers.map_err(|error| internal(&format!("an array is not contiguous: {error}")))
}

/// The same, to write.
pub fn slice_mut<T>(numbers: Result<&mut [T], impl std::fmt::Display>) -> PyResult<&mut [T]> {
    numbers.map_err(|error| internal(&format!("an array is not contiguous: {error}")))
}

/// The numbers of a contiguous list.
pub fn list<'a, T: numpy::Element>(array: &'a PyReadonlyArray1<'_, T>) -> PyResult<&'a [T]> {
    slice(array.as_slice())
}

/// A matrix of so many columns.
pub fn matrix<T: numpy::Element>(
    py: Python<'_>,
    numbers: Vec<T>,
    columns: usize,
) -> PyResult<Bound<'_, PyArray2<T>>> {
    let rows = numbers.len() / columns.max(1);
    PyArray1::from_vec(py, numbers).reshape([rows, columns])
}

/// The record batches of an Arrow stream, which is used up.
pub fn stream(capsule: &Bound<'_, PyCapsule>) -> PyResult<RecordBatchStreamReader> {
    let stream = capsule.pointer_checked(Some(c"arrow_array_stream"))?;
    // SAFETY: a capsule of this name holds an `ArrowArrayStream` (Arrow's PyCapsule interface); it is moved out, and what stays behind
    // is marked as released.
    let reader = unsafe { RecordBatchStreamReader::from_raw(stream.cast().as_ptr()) };
    reader.map_err(|error| PyValueError::new_err(format!("the Arrow stream cannot be read: {error}")))
}
