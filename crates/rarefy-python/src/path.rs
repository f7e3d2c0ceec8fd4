//! Paths of networks along lambdas.

use pyo3::prelude::*;
use rarefy::control::{Candidate, PathStart, best, knee};
use rarefy::data;
use rarefy::train::{LambdaPath, PathEvent, PathPoint, PathSettings};

use crate::json::to_json;
use crate::model::Model;
use crate::pool::Pool;
use crate::samples::Samples;
use crate::settings::settings;
use crate::watch::{Watched, tell, watched};

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
    let each = |py: Python<'_>, record: PyResult<String>| tell(py, listen.as_ref(), (record?,));
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
                    PathEvent::Point(point) => teller.tell(to_json(point)),
                    PathEvent::Train(_) => {}
                }
                teller.control()
            })?;
            let candidates: Vec<Candidate> = outcome.points.iter().map(PathPoint::candidate).collect();
            let points = outcome.points.into_iter().map(|point| {
                let (record, config) = (to_json(&point), path.model_config(&point.network));
                (record, rarefy::Model::new(point.network, config))
            });
            Ok((points.collect::<Vec<_>>(), candidates, outcome.emptied))
        })
    })?;
    let (points, candidates, emptied) = result;
    let points = points.into_iter().map(|(record, model)| Ok((record?, Model::new(model))));
    Ok((points.collect::<PyResult<_>>()?, best(&candidates), knee(&candidates), emptied, stopped_by))
}
