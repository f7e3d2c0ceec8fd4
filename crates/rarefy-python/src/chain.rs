//! Layers within torch's training loop: chains of them, and their patterns.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1, PyReadonlyArrayDyn, PyReadwriteArrayDyn};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use rarefy::kernels::Isa;
use rarefy::layers::{self, Kept, NetworkSpec, Pass};
use rarefy::random::{Purpose, Stream};
use rarefy::sparse::Pattern;

use crate::arrays::{list, slice, slice_mut};
use crate::errors::{detached, internal, raised};
use crate::pool::Pool;
use crate::settings::settings;

/// Threads of all chains, as many as torch has, and of all products: anew when their number changes.
static THREADS: Mutex<Option<(usize, Arc<Pool>)>> = Mutex::new(None);

/// So many threads.
pub fn threads(count: usize) -> Arc<Pool> {
    let mut made = THREADS.lock().unwrap_or_else(PoisonError::into_inner);
    match &*made {
        Some((has, pool)) if *has == count => pool.clone(),
        _ => made.insert((count, Arc::new(Pool::new(count)))).1.clone(),
    }
}

/// Indices of a matrix.
pub type Indices<'py> = PyReadonlyArray1<'py, i32>;

/// A pattern from Python's arrays.
pub fn pattern(rows: usize, cols: usize, crow: &Indices<'_>, col: &Indices<'_>) -> PyResult<Pattern> {
    let indices = |array: &Indices<'_>| -> PyResult<Vec<u32>> {
        // A negative one becomes larger than any matrix has columns.
        Ok(list(array)?.iter().map(|&index| index as u32).collect())
    };
    Pattern::new(rows, cols, indices(crow)?, indices(col)?).map_err(PyValueError::new_err)
}

/// The lines of blocks of `height` rows that a pattern is.
pub fn blocks(pattern: &Pattern, height: usize) -> PyResult<Pattern> {
    pattern.blocks(height).ok_or_else(|| {
        PyValueError::new_err(format!(
            "rows do not have the same columns in blocks of {height}, as those of this layer do; block=1 takes any pattern"
        ))
    })
}

/// Raises ValueError if these are no compressed sparse rows, or not of blocks of `block` rows.
#[pyfunction]
pub fn check_pattern(
    rows: usize,
    cols: usize,
    block: usize,
    crow: Indices<'_>,
    col: Indices<'_>,
) -> PyResult<()> {
    blocks(&pattern(rows, cols, &crow, &col)?, block).map(|_| ())
}

/// The rows of a block in a layer whose outputs are alike in runs of `alike`, where settings (JSON) have a `sparsity.block`.
#[pyfunction]
pub fn block_height(settings_text: &str, alike: usize) -> PyResult<usize> {
    Ok(settings(settings_text, None)?.sparsity.block.in_layer(alike))
}

/// At most `nnz` connections at random in blocks of `block` rows, one at least for each row: `crow_indices` and `col_indices`.
#[pyfunction]
pub fn random_pattern<'py>(
    py: Python<'py>,
    rows: usize,
    cols: usize,
    nnz: usize,
    block: usize,
    seed: u64,
) -> PyResult<[Bound<'py, PyArray1<i32>>; 2]> {
    let pattern = detached(py, || {
        let mut stream = Stream::new(seed, Purpose::Pattern, 0, 0);
        let (lines, count) = (rows / block, nnz / block);
        let pattern = Pattern::random(lines, cols, count, &mut stream);
        let pattern = if count >= lines { pattern.without_empty_rows(&mut stream) } else { pattern };
        Ok(pattern.of_blocks(block))
    })?;
    let indices = |numbers: &[u32]| -> Bound<'py, PyArray1<i32>> {
        let signed: Vec<i32> = numbers.iter().map(|&number| number as i32).collect();
        signed.into_pyarray(py)
    };
    Ok([indices(pattern.index().offsets()), indices(pattern.index().indices())])
}

/// Numbers of torch's.
type Numbers<'py> = PyReadonlyArrayDyn<'py, f32>;
type NumbersMut<'py> = PyReadwriteArrayDyn<'py, f32>;

/// Layers in a row.
#[pyclass(frozen, module = "rarefy._rarefy")]
pub struct Chain {
    inner: Arc<Inner>,
}

/// What a forward pass keeps for its backward pass.
#[pyclass(frozen, module = "rarefy._rarefy")]
pub struct Ticket {
    inner: Arc<Inner>,
    samples: usize,
    /// Locked by who does not hold up Python alone: who waits for it would, and its holder may wait for Python.
    kept: Mutex<Kept>,
}

struct Inner {
    chain: Mutex<layers::Chain>,
    /// The length of each array of the network.
    lengths: Vec<usize>,
    /// Numbers of a sample before and after.
    features: [usize; 2],
}

impl Inner {
    /// Does work with the chain in torch's number of threads, without holding up Python.
    fn work<R: Send>(
        &self,
        py: Python<'_>,
        threads_wanted: usize,
        work: impl FnOnce(&mut layers::Chain) -> R + Send,
    ) -> PyResult<R> {
        let pool = threads(threads_wanted);
        detached(py, || {
            let chain = &mut *locked(&self.chain);
            Ok(pool.get()?.install(|| work(chain)))
        })
    }

    /// The numbers of each array of the network that is given.
    fn numbers<'a>(&self, arrays: &'a [Option<Numbers<'_>>]) -> PyResult<Vec<Option<&'a [f32]>>> {
        self.each(arrays.iter().map(|array| array.as_ref().map(|array| slice(array.as_slice()))))
    }

    /// The same, to write.
    fn numbers_mut<'a>(
        &self,
        arrays: &'a mut [Option<NumbersMut<'_>>],
    ) -> PyResult<Vec<Option<&'a mut [f32]>>> {
        self.each(arrays.iter_mut().map(|array| array.as_mut().map(|array| slice_mut(array.as_slice_mut()))))
    }

    fn each<S: AsRef<[f32]>>(
        &self,
        arrays: impl ExactSizeIterator<Item = Option<PyResult<S>>>,
    ) -> PyResult<Vec<Option<S>>> {
        if arrays.len() != self.lengths.len() {
            return Err(internal(&format!("{} arrays for {} places", arrays.len(), self.lengths.len())));
        }
        let checked = arrays.zip(&self.lengths).map(|(numbers, &length)| {
            let numbers = numbers.transpose()?;
            numbers.iter().try_for_each(|it| check_length("a parameter", it.as_ref().len(), length))?;
            Ok(numbers)
        });
        checked.collect()
    }
}

/// A panic in another pass leaves numbers that the next one overwrites.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn check_length(what: &str, given: usize, wanted: usize) -> PyResult<()> {
    match given == wanted {
        true => Ok(()),
        false => Err(PyValueError::new_err(format!(
            "{what} has {given} numbers in place of the {wanted} that fit"
        ))),
    }
}

#[pymethods]
impl Chain {
    /// A chain of the layers that `spec` (JSON) describes, with the connections of `patterns`: `crow_indices` and `col_indices`
    /// of each weight.
    #[new]
    fn new(py: Python<'_>, spec: &str, patterns: Vec<(Indices<'_>, Indices<'_>)>) -> PyResult<Chain> {
        let spec: NetworkSpec =
            serde_json::from_slice(spec.as_bytes()).map_err(|error| internal(&error.to_string()))?;
        let shapes = spec.weight_shapes().map_err(raised)?;
        if shapes.len() != patterns.len() {
            return Err(internal(&format!("{} patterns for {} weights", patterns.len(), shapes.len())));
        }
        let patterns = shapes
            .iter()
            .zip(&patterns)
            .map(|(shape, (crow, col))| pattern(shape.rows, shape.cols, crow, col))
            .collect::<PyResult<Vec<_>>>()?;
        let chain = detached(py, || layers::Chain::new(spec, patterns))?;
        let lengths = chain.network().parameters().map(|parameter| parameter.weights.nnz()).collect();
        let features = [chain.inputs().features(), chain.output().features()];
        let inner = Inner { chain: Mutex::new(chain), lengths, features };
        Ok(Chain { inner: Arc::new(inner) })
    }

    /// Computes the outputs `y` of `x` with the `parameters` in the network's order, and, when training, mean and variance of what
    /// each batch norm saw. Returns what a backward pass needs if `keeps` says so.
    fn forward(
        &self,
        py: Python<'_>,
        x: Numbers<'_>,
        parameters: Vec<Option<Numbers<'_>>>,
        mut y: NumbersMut<'_>,
        mut statistics: NumbersMut<'_>,
        seed: Option<u64>,
        training: bool,
        keeps: bool,
        threads: usize,
    ) -> PyResult<Option<Ticket>> {
        let inner = &self.inner;
        let (x, parameters) = (slice(x.as_slice())?, inner.numbers(&parameters)?);
        let (y, statistics) = (slice_mut(y.as_slice_mut())?, slice_mut(statistics.as_slice_mut())?);
        let [inputs, outputs] = inner.features;
        check_length("the input", x.len() % inputs, 0)?;
        check_length("the output", y.len(), x.len() / inputs * outputs)?;
        let pass = match training {
            true => Pass::train(Isa::detect(), seed.unwrap_or_default(), 1),
            false => Pass::predict(Isa::detect()),
        };
        let kept = inner.work(py, threads, |chain| {
            let kept = chain.forward(&pass, &parameters, x, y, keeps);
            if chain.statistics().len() == statistics.len() {
                statistics.copy_from_slice(chain.statistics());
            }
            kept
        })?;
        Ok(kept.map(|kept| {
            let samples = kept.samples();
            Ticket { inner: inner.clone(), samples, kept: Mutex::new(kept) }
        }))
    }
}

impl Ticket {
    /// After a backward pass the gradients that all cells of some rows of a weight would have.
    pub fn row_gradients(&self, weight: usize, rows: Range<usize>, out: &mut [f32]) {
        let (chain, kept) = (locked(&self.inner.chain), locked(&self.kept));
        chain.row_gradients(&kept, weight, rows, out);
    }

    /// The same of the cells of a pattern, in its order.
    pub fn cell_gradients(&self, weight: usize, cells: &Pattern, out: &mut [f32]) {
        let (chain, kept) = (locked(&self.inner.chain), locked(&self.kept));
        chain.cell_gradients(&kept, weight, cells, out);
    }
}

#[pymethods]
impl Ticket {
    /// Computes the gradients of the input and of each parameter, where there is an array for them, from that of the outputs.
    /// `parameters` are those of the forward pass.
    fn backward(
        &self,
        py: Python<'_>,
        gradient: Numbers<'_>,
        parameters: Vec<Option<Numbers<'_>>>,
        mut input: Option<NumbersMut<'_>>,
        mut gradients: Vec<Option<NumbersMut<'_>>>,
        threads: usize,
    ) -> PyResult<()> {
        let inner = &self.inner;
        let (gradient, parameters) = (slice(gradient.as_slice())?, inner.numbers(&parameters)?);
        let mut gradients = inner.numbers_mut(&mut gradients)?;
        let input = input.as_mut().map(|array| slice_mut(array.as_slice_mut())).transpose()?;
        let [inputs, outputs] = inner.features;
        check_length("the gradient", gradient.len(), self.samples * outputs)?;
        if let Some(input) = &input {
            check_length("the input's gradient", input.len(), self.samples * inputs)?;
        }
        inner.work(py, threads, |chain| {
            let kept = &mut locked(&self.kept);
            chain.backward(kept, &parameters, gradient, input, &mut gradients);
        })
    }
}
