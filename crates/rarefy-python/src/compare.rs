//! Comparing settings over a sweep.

use std::path::Path;

use pyo3::prelude::*;
use rarefy::Control;
use rarefy::compare::{Comparison, Event, Listener, Sweep, Went};
use serde_json::json;
use toml::Table;

use crate::errors::{internal, raised};
use crate::pool::Pool;
use crate::watch::{Teller, Watched, tell, watched};

/// What is told goes to the thread that called.
struct Listening<'a>(&'a Teller<'a, String>);

impl Listener for Listening<'_> {
    fn tell(&self, event: &Event<'_>) {
        let told = match event {
            Event::Begins { runs, epochs, jobs } => {
                json!({"runs": runs, "epochs": epochs, "jobs": jobs.count, "threads": jobs.threads, "reason": jobs.reason})
            }
            Event::Ended { row, run, how } => json!({
                "row": row.name, "run": run.repetition(), "words": how.words(),
                "ended": !matches!(how, Went::Interrupted),
            }),
            Event::Epoch { row, run, record } => {
                json!({"row": row.name, "run": run.repetition(), "record": record})
            }
            _ => return,
        };
        self.0.tell(told.to_string());
    }

    fn control(&self) -> Control {
        self.0.control()
    }
}

/// Trains what a sweep (JSON, or a TOML file) lacks in a folder, and returns what stands in `results.json`. `listen` is told (JSON) of
/// the plan, of each epoch and of each run that has ended; if it returns true the comparison stops.
#[pyfunction]
#[pyo3(signature = (folder, title, sweep=None, file=None, folds=None, jobs=None, baseline=None, listen=None))]
pub fn compare(
    py: Python<'_>,
    folder: &str,
    title: &str,
    sweep: Option<&str>,
    file: Option<&str>,
    folds: Option<u32>,
    jobs: Option<usize>,
    baseline: Option<&str>,
    listen: Option<Py<PyAny>>,
) -> PyResult<(String, Option<PyErr>)> {
    let file = file.map(Path::new);
    let sweep = match (file, sweep) {
        (Some(file), _) => Sweep::read(file, folds),
        (None, sweep) => {
            let table: Table = serde_json::from_str(sweep.unwrap_or("{}"))
                .map_err(|error| internal(&format!("a sweep is no table: {error}")))?;
            Sweep::of_table(&table, folds)
        }
    };
    let each = |py: Python<'_>, told: String| tell(py, listen.as_ref(), (told,));
    let sweep = sweep.map_err(raised)?;
    let Watched { result, stopped_by } = watched(py, each, |teller| {
        let comparison = Comparison::new(sweep, baseline, Path::new(folder))?;
        let threads = Pool::new(0).get()?;
        threads.install(|| comparison.train(jobs, &Listening(teller)))?.write(title, file)
    })?;
    Ok((result.to_string(), stopped_by))
}
