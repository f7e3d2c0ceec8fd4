//! How the columns of a table become numbers, for estimators that keep that themselves.

use numpy::{PyArray2, PyReadonlyArray1};
use pyo3::prelude::*;
use pyo3::types::PyType;
use rarefy::data::{self, DataSettings, Dataset, Features};
use rarefy::{Error, Settings};

use crate::arrays::{list, matrix};
use crate::errors::{detached, internal, warn};
use crate::json::to_json;
use crate::samples::Samples;
use crate::settings::settings;

/// What was learned from a table's columns, and is done to those of others.
#[pyclass(frozen, module = "rarefy._rarefy")]
pub struct Preparation {
    preparation: data::Preparation,
}

#[pymethods]
impl Preparation {
    /// What `__reduce__` gave.
    #[new]
    fn new(text: &str) -> PyResult<Preparation> {
        let preparation: data::Preparation =
            serde_json::from_slice(text.as_bytes()).map_err(|error| internal(&error.to_string()))?;
        preparation.check().map_err(|problem| internal(&problem))?;
        Ok(Preparation { preparation })
    }

    /// Learns by settings (JSON), and makes a row of numbers of each sample. With `weights` a sample counts by its own; nothing is
    /// learned from one of 0, be it made ready too.
    #[staticmethod]
    #[pyo3(signature = (settings_text, samples, weights=None))]
    fn learn<'py>(
        py: Python<'py>,
        settings_text: &str,
        samples: &Samples,
        weights: Option<PyReadonlyArray1<'_, f32>>,
    ) -> PyResult<(Preparation, Bound<'py, PyArray2<f32>>)> {
        let settings = settings(settings_text, None)?;
        let samples = samples.get()?.clone();
        let weights = weights.as_ref().map(|weights| list(weights).map(<[f32]>::to_vec)).transpose()?;
        let (preparation, numbers) = detached(py, || {
            let settings = of_data(settings)?;
            let all = samples.len();
            // What is predicted of them is no part of it.
            let mut samples = samples.with_numbers(&vec![0.0; all], 1)?;
            if let Some(weights) = weights {
                samples = samples.with_weights(weights)?;
            }
            let splits = data::from_memory(samples, &settings, 0)?;
            if splits.train.len() != all {
                let problem = "and data.test_fraction and data.fold split samples off, and all are fitted here; leave them out";
                return Err(Error::setting("data.validation_fraction", problem));
            }
            Ok((splits.preparation, numbers(splits.train)?))
        })?;
        let numbers = matrix(py, numbers, preparation.shape.features())?;
        Ok((Preparation { preparation }, numbers))
    }

    /// A row of numbers of each sample. Warns of categories that training had not.
    fn apply<'py>(&self, py: Python<'py>, samples: &Samples) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let samples = samples.get()?;
        let (numbers, unknown) = detached(py, || {
            let loaded = self.preparation.load(samples, false)?;
            Ok((numbers(loaded.dataset)?, loaded.unknown))
        })?;
        for column in unknown {
            warn(py, &column.to_string())?;
        }
        matrix(py, numbers, self.preparation.shape.features())
    }

    /// A name for each number of a row.
    fn input_names(&self) -> Vec<String> {
        self.preparation.input_names()
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyType>, (String,))> {
        Ok((slf.get_type(), (to_json(&slf.get().preparation)?,)))
    }
}

/// The settings for data, where nothing else is set.
fn of_data(settings: Settings) -> rarefy::Result<DataSettings> {
    let data = settings.data.clone();
    if (Settings { data: DataSettings::default(), ..settings }) != Settings::default() {
        let problem =
            "hold more than how a table becomes numbers; leave out what does not begin with \"data.\"";
        return Err(Error::setting("settings", problem));
    }
    Ok(data)
}

/// The rows of a table made ready.
fn numbers(rows: Dataset) -> rarefy::Result<Vec<f32>> {
    match rows.features {
        Features::Dense(numbers) => Ok(numbers),
        _ => Err(Error::setting(
            "data.text",
            "makes words of a column, and linear models take no words; leave it out",
        )),
    }
}
