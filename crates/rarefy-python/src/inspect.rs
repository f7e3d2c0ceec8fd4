//! Looking at models: what they are made of, how good they are, and what they say of files.

use numpy::{IntoPyArray, PyArray1, PyArray2};
use pyo3::prelude::*;
use rarefy::data::{self, Task};
use rarefy::metrics::{Metric, Metrics};
use rarefy::report::LayerReport;
use rarefy::{Dataset, Error, Prediction, Result};
use serde_json::json;

use crate::arrays::matrix;
use crate::json::to_json;
use crate::model::Model;
use crate::samples::Samples;

/// What a model is made of (JSON).
#[pyfunction]
pub fn inspect_model(model: &Model) -> PyResult<String> {
    let model = model.get();
    let value = json!({
        "layers": LayerReport::of(model.network()), "nnz": model.network().connections().0, "cells": model.cells(),
        "sparsity": model.sparsity(), "flops": model.network().flops(),
        "model_bytes": rarefy::train::model_bytes(model.network()),
    });
    Ok(value.to_string())
}

/// All metrics of a model (JSON) on samples with their targets, or on a file.
#[pyfunction]
#[pyo3(signature = (model, samples=None, path=None))]
pub fn evaluate_model(
    py: Python<'_>,
    model: &Model,
    samples: Option<&Samples>,
    path: Option<&str>,
) -> PyResult<String> {
    let samples = samples.map(Samples::get).transpose()?;
    let metrics = model.inside(py, |model| {
        let dataset = dataset(model, samples, path, true)?;
        let (score, predictions) = model.evaluate(&dataset);
        Ok(Metrics::of(&predictions.answers(&dataset, &score), &Metric::ALL))
    })?;
    to_json(&metrics)
}

/// What a model says of a file: scores (probabilities, or numbers in the unit of the targets), the class of each sample where it
/// predicts classes, and the text of each where it transcribes.
type Said<'py> = (Bound<'py, PyArray2<f64>>, Option<Bound<'py, PyArray1<u32>>>, Option<Vec<String>>);

/// What a model says of a file.
#[pyfunction]
pub fn predict_file<'py>(py: Python<'py>, model: &Model, path: &str) -> PyResult<Said<'py>> {
    let preparation = &model.get().config.preparation;
    if preparation.task == Task::LanguageModel {
        return Err(crate::errors::raised(Error::setting(
            "model",
            "is a language model, which predicts no samples",
        )));
    }
    let (scores, classes, texts) = model.inside(py, |model| {
        let dataset = dataset(model, None, Some(path), false)?;
        let predictions = model.predict_prepared(&dataset);
        let scores = match preparation.task {
            Task::Regression => predictions.numbers(),
            _ => predictions.scores().iter().map(|&score| f64::from(score)).collect(),
        };
        let classes = (preparation.task == Task::Classification).then(|| predictions.classes());
        let text = |said| match said {
            Prediction::Text(text) => text,
            _ => String::new(),
        };
        let texts = (preparation.task == Task::Transcription).then(|| predictions.iter().map(text).collect());
        Ok((scores, classes, texts))
    })?;
    let classes = classes.map(|classes| classes.into_pyarray(py));
    Ok((matrix(py, scores, preparation.outputs)?, classes, texts))
}

/// Samples made ready for a model.
fn dataset(
    model: &rarefy::Model,
    samples: Option<&rarefy::Samples>,
    path: Option<&str>,
    targets: bool,
) -> Result<Dataset> {
    let preparation = &model.config.preparation;
    match (samples, path) {
        (Some(samples), _) => preparation.prepare(samples, targets),
        (None, path) => Ok(data::load_with(preparation, path.unwrap_or_default(), targets)?.dataset),
    }
}
