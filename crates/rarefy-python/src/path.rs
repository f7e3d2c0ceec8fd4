//! Paths of networks along lambdas.

use pyo3::prelude::*;
use rarefy::control::{Candidate, PathStart, best, knee};
use rarefy::data;
use rarefy::train::{LambdaPath, PathEvent, PathPoint, PathSettings};
use serde_json::{Value, json};

use crate::model::Model;
use crate::pool::Pool;
use crate::samples::Samples;
use crate::settings::settings;
use crate::watch::{Watched, watched};

/// Trains a network at one lambda after another, by settings (JSON, laid over those of a TOML file if there is one), on samples or
/// on the data that the settings name, and gives what came of it: the points, largest lambda first,
/// each a record (JSON) and a model; the positions of the best and of the knee, where there is a validation part; the lambdas that
/// left nothing; and KeyboardInterrupt, or the listener's exception, if that ended it early. `listen` is called with each record;
/// if it returns true the path ends there.
#[pyfunction]
#[pyo3(signature = (settings_text, lambdas, lambda_max, lambda_min_ratio, from_sparse, samples=None, listen=None, file=None))]
#[expect(clippy::type_complexity)]
pub fn follow_path(
    py: Python<'_>,
    settings_text: &str,
    lambdas: usize,
    lambda_max: Option<f64>,
    lambda_min_ratio: f64,
    from_sparse: bool,
    samples: Option<&mut Samples>,
    listen: Option<Py<PyAny>>,
    file: Option<&str>,
) -> PyResult<(Vec<(String, Model)>, Option<usize>, Option<usize>, Vec<f64>, Option<PyErr>)> {
    let settings = settings(settings_text, file)?;
    let start = if from_sparse { PathStart::Sparse } else { PathStart::Dense };
    let wanted = PathSettings { lambda_max, lambda_min_ratio, lambdas, start };
    let samples = samples.map(Samples::take).transpose()?;
    let pool = Pool::new(settings.threads);
    let each = |py: Python<'_>, record: Value| match &listen {
        Some(listen) => listen.call1(py, (record.to_string(),))?.is_truthy(py),
        None => Ok(false),
    };
    let Watched { result, stopped_by } = watched(py, each, |teller| {
        pool.get()?.install(|| {
            let mut path = match samples {
                None => LambdaPath::new(settings, &wanted)?,
                Some(samples) => {
                    let splits = data::from_memory(samples, &settings.data, settings.seed)?;
                    LambdaPath::on(settings, &wanted, splits)?
                }
            };
            let outcome = path.follow(&mut |event| {
                match event {
                    PathEvent::Point(point) => teller.tell(record(point)),
                    PathEvent::Train(_) => {}
                }
                teller.control()
            })?;
            let points = outcome.points.into_iter().map(|point| {
                let record = record(&point);
                let config = path.model_config(&point.network);
                (record, candidate(&point), rarefy::Model::new(point.network, config))
            });
            Ok((points.collect::<Vec<_>>(), outcome.emptied))
        })
    })?;
    let (points, emptied) = result;
    let candidates: Vec<Candidate> = points.iter().map(|(_, candidate, _)| *candidate).collect();
    let points = points.into_iter().map(|(record, _, model)| (record.to_string(), Model::new(model)));
    Ok((points.collect(), best(&candidates), knee(&candidates), emptied, stopped_by))
}

fn record(point: &PathPoint) -> Value {
    json!({
        "lambda": point.lambda,
        "nonzeros": point.nonzeros,
        "density": point.density,
        "model_bytes": point.model_bytes,
        "train_loss": point.train_loss,
        "validation": point.validation,
        "seconds": point.seconds,
    })
}

/// Without a validation part none has a loss.
fn candidate(point: &PathPoint) -> Candidate {
    let (loss, standard_error) =
        point.validation.map_or((f64::NAN, f64::NAN), |score| (score.loss, score.standard_error));
    Candidate { nonzeros: point.nonzeros, loss, standard_error }
}
