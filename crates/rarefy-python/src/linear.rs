//! Linear models: the features of one, and its answers along lambdas.

use std::sync::Arc;

use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1, PyReadonlyArrayDyn};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use rarefy::Control;
use rarefy::control::PathStart;
use rarefy::convex::{self, Loss, Problem, ProblemOptions, Solution, Solver, SolverSettings, SparseColumns};

use crate::arrays::{list, slice};
use crate::errors::{detached, internal};
use crate::pool::Pool;
use crate::watch::{Watched, watched};

/// The features of a linear model, in columns.
#[pyclass(frozen, module = "rarefy._rarefy")]
pub struct Design {
    design: Arc<convex::Design>,
    pool: Pool,
}

impl Design {
    fn made(
        py: Python<'_>,
        threads: usize,
        make: impl FnOnce() -> rarefy::Result<convex::Design> + Send,
    ) -> PyResult<Design> {
        let pool = Pool::new(threads);
        let design = detached(py, || pool.get()?.install(make).map(Arc::new))?;
        Ok(Design { design, pool })
    }
}

/// Targets of samples, and what else makes a problem of them.
struct Asked<'a> {
    targets: &'a [f64],
    weights: Option<&'a [f64]>,
    loss: Loss,
    intercept: bool,
}

impl<'a> Asked<'a> {
    fn new(
        targets: &'a PyReadonlyArray1<'_, f64>,
        weights: Option<&'a PyReadonlyArray1<'_, f64>>,
        loss_name: &str,
        intercept: bool,
    ) -> PyResult<Asked<'a>> {
        let loss = match loss_name {
            "squared" => Loss::Squared,
            "logistic" => Loss::Logistic,
            _ => return Err(internal(&format!("{loss_name}: no such loss"))),
        };
        Ok(Asked { targets: list(targets)?, weights: weights.map(list).transpose()?, loss, intercept })
    }

    fn problem(&self, design: &Arc<convex::Design>) -> rarefy::Result<Problem> {
        let weights = self.weights.map(<[f64]>::to_vec);
        let options = ProblemOptions { weights, intercept: self.intercept };
        Problem::with_options(design.clone(), self.targets.to_vec(), self.loss, options)
    }
}

#[pymethods]
impl Design {
    /// Rows of so many features, copied.
    #[staticmethod]
    fn dense(
        py: Python<'_>,
        rows: PyReadonlyArrayDyn<'_, f32>,
        features: usize,
        threads: usize,
    ) -> PyResult<Design> {
        let numbers = slice(rows.as_slice())?;
        let samples = numbers.len() / features.max(1);
        Design::made(py, threads, || convex::Design::from_rows(samples, features, numbers))
    }

    /// Compressed sparse rows or columns, copied.
    #[staticmethod]
    fn sparse(
        py: Python<'_>,
        shape: [usize; 2],
        is_by_columns: bool,
        indptr: PyReadonlyArray1<'_, u64>,
        indices: PyReadonlyArray1<'_, u32>,
        data: PyReadonlyArray1<'_, f32>,
        threads: usize,
    ) -> PyResult<Design> {
        let offsets: Vec<usize> = list(&indptr)?.iter().map(|&offset| offset as usize).collect();
        let [samples, features] = shape;
        let (indices, values) = (list(&indices)?, list(&data)?);
        Design::made(py, threads, || {
            let columns = if is_by_columns {
                SparseColumns::new(samples, features, offsets, indices.to_vec(), values.to_vec())
            } else {
                SparseColumns::from_csr(samples, features, &offsets, indices, values)
            };
            columns.map(convex::Design::Sparse)
        })
    }

    /// The smallest lambda at which no feature is used.
    #[pyo3(signature = (targets, weights, loss_name, intercept, l1_ratio))]
    fn lambda_max(
        &self,
        py: Python<'_>,
        targets: PyReadonlyArray1<'_, f64>,
        weights: Option<PyReadonlyArray1<'_, f64>>,
        loss_name: &str,
        intercept: bool,
        l1_ratio: f64,
    ) -> PyResult<f64> {
        let asked = Asked::new(&targets, weights.as_ref(), loss_name, intercept)?;
        detached(py, || self.pool.get()?.install(|| asked.problem(&self.design)?.lambda_max(l1_ratio)))
    }

    /// The answers for some lambdas, largest first, each from the one before. Returns them as arrays by name, and
    /// KeyboardInterrupt if that ended it early.
    #[pyo3(signature = (targets, weights, loss_name, intercept, lambdas, l1_ratio, tolerance, max_iterations))]
    fn solve<'py>(
        &self,
        py: Python<'py>,
        targets: PyReadonlyArray1<'_, f64>,
        weights: Option<PyReadonlyArray1<'_, f64>>,
        loss_name: &str,
        intercept: bool,
        lambdas: PyReadonlyArray1<'_, f64>,
        l1_ratio: f64,
        tolerance: f64,
        max_iterations: usize,
    ) -> PyResult<(Bound<'py, PyDict>, Option<PyErr>)> {
        let asked = Asked::new(&targets, weights.as_ref(), loss_name, intercept)?;
        let (lambdas, settings) =
            (list(&lambdas)?, SolverSettings { tolerance, max_iterations, ..SolverSettings::default() });
        let listen = |_: Python<'_>, (): ()| Ok(false);
        let Watched { result, stopped_by } =
            watched(py, listen, |teller| {
                self.pool.get()?.install(|| {
                    let problem = asked.problem(&self.design)?;
                    let mut answers = Vec::with_capacity(lambdas.len());
                    Solver::new(&problem, settings)?
                        .stopped_by(|| teller.control() == Control::Stop)
                        .follow(lambdas, l1_ratio, PathStart::Sparse, |answer| answers.push(answer))?;
                    Ok(answers)
                })
            })?;
        Ok((arrays(py, &result)?, stopped_by))
    }
}

/// Answers as arrays: their coefficients as compressed sparse rows.
fn arrays<'py>(py: Python<'py>, answers: &[Solution]) -> PyResult<Bound<'py, PyDict>> {
    let numbers = |number: fn(&Solution) -> f64| -> Bound<'py, PyArray1<f64>> {
        answers.iter().map(number).collect::<Vec<_>>().into_pyarray(py)
    };
    let all = || answers.iter().flat_map(|answer| &answer.coefficients);
    let mut indptr = vec![0];
    for answer in answers {
        indptr.push(indptr[indptr.len() - 1] + answer.coefficients.len() as i64);
    }
    let indices: Vec<i64> = all().map(|&(feature, _)| feature as i64).collect();
    let data: Vec<f64> = all().map(|&(_, weight)| weight).collect();
    let dict = PyDict::new(py);
    dict.set_item("indptr", indptr.into_pyarray(py))?;
    dict.set_item("indices", indices.into_pyarray(py))?;
    dict.set_item("data", data.into_pyarray(py))?;
    dict.set_item("lambdas", numbers(|answer| answer.lambda))?;
    dict.set_item("intercepts", numbers(|answer| answer.intercept))?;
    dict.set_item("objectives", numbers(|answer| answer.objective))?;
    dict.set_item("gaps", numbers(|answer| answer.gap))?;
    let iterations: Vec<u64> = answers.iter().map(|answer| answer.iterations as u64).collect();
    dict.set_item("iterations", iterations.into_pyarray(py))?;
    let converged: Vec<bool> = answers.iter().map(|answer| answer.converged).collect();
    dict.set_item("converged", converged.into_pyarray(py))?;
    Ok(dict)
}
