//! Products with a sparse matrix, one call each. A row of a dense matrix is cut into lanes as it is: what are 64 samples of a feature
//! elsewhere are 64 columns here.

use numpy::{
    IntoPyArray, PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2,
    PyUntypedArrayMethods,
};
use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;
use rarefy::kernels::{
    Activation, Epilogue, Isa, multiply, multiply_transposed, par_chunks, weight_gradient,
};
use rarefy::sparse::{Storage, Weights};
use rarefy::tiles::{LANES, Tiles};

use crate::arrays::{list, slice};
use crate::chain::{Indices, pattern, threads};
use crate::errors::detached;

/// Rows of lanes that one piece of work covers.
const ROWS: usize = 256;

/// A dense matrix as tiles, a feature for each of its rows.
fn tiled(numbers: &[f32], columns: usize) -> Tiles {
    let rows = numbers.len() / columns;
    let mut tiles = Tiles::zeros(rows, columns);
    par_chunks(tiles.rows_mut(), ROWS, &|start, chunk| {
        for (place, row) in (start..).zip(chunk) {
            let (tile, row_of_matrix) = (place / rows, place % rows);
            let from = &numbers[row_of_matrix * columns..][..columns][tile * LANES..];
            let live = from.len().min(LANES);
            row.0[..live].copy_from_slice(&from[..live]);
        }
    });
    tiles
}

/// The dense matrix of tiles.
fn whole(tiles: &Tiles) -> Vec<f32> {
    let (rows, columns) = (tiles.features(), tiles.samples());
    let mut numbers = vec![0.0; rows * columns];
    par_chunks(&mut numbers, columns * ROWS.div_ceil(tiles.tiles()), &|start, chunk| {
        for (row, out) in (start / columns..).zip(chunk.chunks_exact_mut(columns)) {
            for (tile, out) in out.chunks_mut(LANES).enumerate() {
                out.copy_from_slice(&tiles.tile(tile)[row].0[..out.len()]);
            }
        }
    });
    numbers
}

/// A sparse matrix of `shape` with values for its connections times a dense one, or where `transposed` says so its transpose times
/// that.
#[pyfunction]
pub fn sparse_times_dense<'py>(
    py: Python<'py>,
    shape: (usize, usize),
    crow: Indices<'_>,
    col: Indices<'_>,
    values: PyReadonlyArray1<'_, f32>,
    dense: PyReadonlyArray2<'_, f32>,
    transposed: bool,
    threads_wanted: usize,
) -> PyResult<Bound<'py, PyArray2<f32>>> {
    let pattern = pattern(shape.0, shape.1, &crow, &col)?;
    let (values, columns) = (list(&values)?.to_vec(), dense.shape()[1]);
    let (numbers, rows) = (slice(dense.as_slice())?, if transposed { shape.1 } else { shape.0 });
    if pattern.nnz() == 0 || columns == 0 {
        let mut zeros: Vec<f32> = Vec::new();
        zeros.try_reserve_exact(rows * columns).map_err(|error| PyMemoryError::new_err(error.to_string()))?;
        zeros.resize(rows * columns, 0.0);
        return PyArray1::from_vec(py, zeros).reshape([rows, columns]);
    }
    let product = inside(py, threads_wanted, || {
        // Not dense even if it is nearly full: what is absent is not to meet infinity.
        let weights = Weights::of_live_values(pattern, Storage::Sparse, values);
        let (isa, input) = (Isa::detect(), tiled(numbers, columns));
        let mut output = Tiles::zeros(rows, columns);
        if transposed {
            let epilogue = Epilogue::Gate { activation: Activation::Identity, outputs: &[] };
            multiply_transposed(isa, &weights, &input, &mut output, epilogue, &mut Vec::new());
        } else {
            let epilogue = Epilogue::Activate { bias: &vec![0.0; shape.0], activation: Activation::Identity };
            multiply(isa, &weights, &input, &mut output, epilogue);
        }
        whole(&output)
    })?;
    PyArray1::from_vec(py, product).reshape([rows, columns])
}

/// For each connection of a pattern of `shape` the product of two rows: its own of `left` and its column's of `right`.
#[pyfunction]
pub fn products_of_rows<'py>(
    py: Python<'py>,
    shape: (usize, usize),
    crow: Indices<'_>,
    col: Indices<'_>,
    left: PyReadonlyArray2<'_, f32>,
    right: PyReadonlyArray2<'_, f32>,
    threads_wanted: usize,
) -> PyResult<Bound<'py, PyArray1<f32>>> {
    let pattern = pattern(shape.0, shape.1, &crow, &col)?;
    let columns = left.shape()[1];
    let (left, right) = (slice(left.as_slice())?, slice(right.as_slice())?);
    let products = inside(py, threads_wanted, || {
        let mut products = vec![0.0; pattern.nnz()];
        if pattern.nnz() == 0 || columns == 0 {
            return products;
        }
        let weights = Weights::zeros(pattern, Storage::Sparse);
        let (left, right) = (tiled(left, columns), tiled(right, columns));
        weight_gradient(Isa::detect(), &weights, &left, &right, &mut products, &mut Vec::new());
        products
    })?;
    Ok(products.into_pyarray(py))
}

/// Does work in so many threads, without holding up Python.
pub fn inside<R: Send>(
    py: Python<'_>,
    threads_wanted: usize,
    work: impl FnOnce() -> R + Send,
) -> PyResult<R> {
    let pool = threads(threads_wanted);
    detached(py, || Ok(pool.get()?.install(work)))
}
