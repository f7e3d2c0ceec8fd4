//! Models: predicting, weights, files.

use std::sync::Mutex;

use numpy::{IntoPyArray, PyArray1, PyArray2};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use rarefy::data::{Preparation, Task};
use rarefy::layers::Parameter;
use rarefy::{Network, Predictions};

use crate::arrays::matrix;
use crate::errors::{detached, raised, warn};
use crate::json::to_json;
use crate::pool::Pool;
use crate::samples::Samples;

/// Name, `[rows, columns]`, `crow_indices`, `col_indices` and `values` of a weight matrix.
type Matrix<'py> =
    (String, [usize; 2], Bound<'py, PyArray1<i32>>, Bound<'py, PyArray1<i32>>, Bound<'py, PyArray1<f32>>);

/// A trained network and all it takes to use it.
#[pyclass(frozen, module = "rarefy._rarefy")]
pub struct Model {
    model: rarefy::Model,
    pool: Mutex<Pool>,
}

impl Model {
    pub fn new(model: rarefy::Model) -> Model {
        Model { model, pool: Mutex::new(Pool::new(0)) }
    }

    /// Copies of the network, to train on, and of how its samples were made ready.
    pub fn parts(&self) -> (Network, Preparation) {
        (self.model.network().clone(), self.model.config.preparation.clone())
    }

    /// The model.
    pub fn get(&self) -> &rarefy::Model {
        &self.model
    }

    /// Does work in the model's threads.
    pub fn inside<R: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&rarefy::Model) -> rarefy::Result<R> + Send,
    ) -> PyResult<R> {
        detached(py, || {
            let pool = self.pool.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get()?;
            pool.install(|| work(&self.model))
        })
    }

    /// What is made of predictions; warns of categories that training had not.
    fn predicted<R: Send>(
        &self,
        py: Python<'_>,
        samples: &rarefy::Samples,
        make: impl FnOnce(Predictions<'_>) -> R + Send,
    ) -> PyResult<R> {
        let (made, unknown) = self.inside(py, |model| {
            let loaded = model.prepare(samples)?;
            Ok((make(model.predict_prepared(&loaded.dataset)), loaded.unknown))
        })?;
        for column in unknown {
            warn(py, &column.to_string())?;
        }
        Ok(made)
    }
}

#[pymethods]
impl Model {
    /// Reads a model: a run's folder, or a `.safetensors` file.
    #[staticmethod]
    fn open(py: Python<'_>, path: &str) -> PyResult<Model> {
        detached(py, || rarefy::Model::open(path.as_ref())).map(Model::new)
    }

    #[staticmethod]
    fn from_bytes(bytes: &[u8]) -> PyResult<Model> {
        rarefy::Model::from_bytes(bytes).map(Model::new).map_err(raised)
    }

    fn to_bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.model.to_bytes())
    }

    fn save(&self, py: Python<'_>, path: &str) -> PyResult<()> {
        detached(py, || self.model.save(path.as_ref()))
    }

    /// How many threads predict; 0 for one per core.
    fn set_threads(&self, threads: usize) {
        *self.pool.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Pool::new(threads);
    }

    /// What the network's numbers mean, as JSON: `config.json` of a run.
    fn config(&self) -> PyResult<String> {
        to_json(&self.model.config)
    }

    /// Connections, and cells of the network that was trained.
    fn connections(&self) -> (usize, usize) {
        (self.model.network().connections().0, self.model.cells())
    }

    /// The columns of the table that the model was trained on, each with its first input and the end of them.
    fn table_columns(&self) -> Vec<(String, usize, usize)> {
        let columns = self.model.config.preparation.table_columns().into_iter();
        columns.map(|(name, inputs)| (name, inputs.start, inputs.end)).collect()
    }

    /// Outputs for each sample: probabilities of classes or labels, or numbers in the unit of the targets.
    fn predict<'py>(&self, py: Python<'py>, samples: &Samples) -> PyResult<Bound<'py, PyArray2<f64>>> {
        let samples = samples.get()?;
        let preparation = &self.model.config.preparation;
        let numbers = self.predicted(py, samples, |predictions| match preparation.task {
            Task::Regression => predictions.numbers(),
            _ => predictions.scores().iter().map(|&score| f64::from(score)).collect(),
        })?;
        matrix(py, numbers, preparation.outputs)
    }

    /// The class of each sample, counted from 0, as the model decides.
    fn classes<'py>(&self, py: Python<'py>, samples: &Samples) -> PyResult<Bound<'py, PyArray1<u32>>> {
        let samples = samples.get()?;
        Ok(self.predicted(py, samples, |predictions| predictions.classes())?.into_pyarray(py))
    }

    /// Name, outputs, inputs and connections of each weight matrix.
    fn layers(&self) -> Vec<(String, usize, usize, usize)> {
        let weights = self.model.network().parameters().filter(|parameter| parameter.is_weight());
        let layer = |parameter: &Parameter| {
            let weights = &parameter.weights;
            (parameter.name.to_string(), weights.rows(), weights.cols(), weights.nnz())
        };
        weights.map(layer).collect()
    }

    /// All weight matrices, as compressed sparse rows.
    fn weights<'py>(&self, py: Python<'py>) -> Vec<Matrix<'py>> {
        let indices = |numbers: &[u32]| {
            let signed: Vec<i32> = numbers.iter().map(|&number| number as i32).collect();
            signed.into_pyarray(py)
        };
        let matrices = self.model.weights().map(|weights| {
            let (crow, col) = (indices(&weights.crow_indices), indices(&weights.col_indices));
            (weights.name.to_string(), weights.shape, crow, col, weights.values.into_owned().into_pyarray(py))
        });
        matrices.collect()
    }

    /// All parameters that are no weight matrices (biases, scales, statistics): name and numbers.
    fn vectors<'py>(&self, py: Python<'py>) -> Vec<(String, Bound<'py, PyArray1<f32>>)> {
        let others = self.model.network().parameters().filter(|parameter| !parameter.is_weight());
        let vector = |numbers: &[f32]| PyArray1::from_slice(py, numbers);
        others.map(|parameter| (parameter.name.to_string(), vector(parameter.weights.values()))).collect()
    }
}
