//! Runs: training with a folder, as the program does it, on files or on samples in memory.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use pyo3::prelude::*;
use rarefy::distributed::{Comm, DistributedSettings, Solo};
use rarefy::report::{Summary, Twin};
use rarefy::train::{EpochRecord, RunDirectory};
use rarefy::{Control, Event, Outcome, Trainer, data};
use serde_json::json;

use crate::comm::Carried;
use crate::errors::{detached, internal, locked};
use crate::json::to_json;
use crate::model::Model;
use crate::pool::Pool;
use crate::samples::Samples;
use crate::settings::settings;
use crate::watch::{Teller, Watched, tell, watched};

/// A run and what came of it.
#[pyclass(frozen, module = "rarefy._rarefy")]
pub struct Run {
    held: Mutex<Held>,
    directory: Option<PathBuf>,
    ranks: Ranks,
}

/// The other ranks, if there are any.
struct Ranks(Option<Arc<Carried>>);

impl Ranks {
    fn join(comm: Option<&Bound<'_, PyAny>>, settings: &DistributedSettings) -> PyResult<Ranks> {
        Ok(Ranks(comm.map(|comm| Carried::join(comm, settings.timeout)).transpose()?))
    }

    fn comm(&self) -> Arc<dyn Comm> {
        match &self.0 {
            Some(comm) => comm.clone(),
            None => Arc::new(Solo),
        }
    }

    fn set_timeout(&self, seconds: f64) {
        self.0.iter().for_each(|comm| comm.set_timeout(seconds));
    }

    fn or_raised<T>(&self, result: PyResult<T>) -> PyResult<T> {
        match &self.0 {
            Some(comm) => comm.or_raised(result),
            None => result,
        }
    }
}

enum Held {
    /// Holds its folder.
    Begun(Box<rarefy::Run>),
    Trained(Box<(Trainer, Outcome)>),
    /// Training ended with an error.
    Failed,
}

impl Held {
    fn trainer(&self) -> PyResult<&Trainer> {
        match self {
            Held::Begun(run) => Ok(run.trainer()),
            Held::Trained(trained) => Ok(&trained.0),
            Held::Failed => Err(internal("this run has failed")),
        }
    }
}

impl Run {
    fn new(run: rarefy::Run, directory: Option<PathBuf>, ranks: Ranks) -> Run {
        // Rank 0 alone has a folder.
        let directory = directory.filter(|_| ranks.comm().rank() == 0);
        Run { held: Mutex::new(Held::Begun(Box::new(run))), directory, ranks }
    }

    fn lock(&self) -> PyResult<MutexGuard<'_, Held>> {
        locked(&self.held, "this run broke; start another", "this run is at work in another thread")
    }
}

#[pymethods]
impl Run {
    /// A new run by settings (JSON, laid over those of a TOML file if there is one), on samples or on the data that the settings
    /// name; saved in a folder if there is one, and trained together with other ranks if `comm` reaches any.
    #[staticmethod]
    #[pyo3(signature = (settings_text, file=None, directory=None, samples=None, comm=None))]
    fn start(
        py: Python<'_>,
        settings_text: &str,
        file: Option<&str>,
        directory: Option<PathBuf>,
        samples: Option<&mut Samples>,
        comm: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Run> {
        let settings = settings(settings_text, file)?;
        let samples = samples.map(Samples::take).transpose()?;
        let ranks = Ranks::join(comm, &settings.distributed)?;
        let run = detached(py, || match samples {
            None => rarefy::Run::start_with(settings, directory.as_deref(), ranks.comm()),
            Some(samples) => {
                let threads = Pool::new(settings.threads).get()?;
                let splits = threads.install(|| data::from_memory(samples, &settings.data, settings.seed))?;
                rarefy::Run::start_on_with(settings, splits, directory.as_deref(), ranks.comm())
            }
        });
        Ok(Run::new(ranks.or_raised(run)?, directory, ranks))
    }

    /// A run that goes on from its last checkpoint, in as many ranks as `comm` reaches.
    #[staticmethod]
    #[pyo3(signature = (directory, threads=None, epochs=None, comm=None))]
    fn resume(
        py: Python<'_>,
        directory: PathBuf,
        threads: Option<usize>,
        epochs: Option<u64>,
        comm: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Run> {
        // Until the run's own settings are known.
        let ranks = Ranks::join(comm, &DistributedSettings::default())?;
        let run = detached(py, || {
            rarefy::Run::resume_with(&directory, ranks.comm(), |settings| {
                ranks.set_timeout(settings.distributed.timeout);
                settings.threads = threads.unwrap_or(settings.threads);
                settings.train.epochs = epochs.unwrap_or(settings.train.epochs);
            })
        });
        Ok(Run::new(ranks.or_raised(run)?, Some(directory), ranks))
    }

    /// Trains to the end. `listen` is called after each epoch with its record (JSON); if it returns true training stops. Returns
    /// what came of it (JSON), the model, and the exception that stopped it early, if one did.
    #[pyo3(signature = (listen=None))]
    fn train(&self, py: Python<'_>, listen: Option<Py<PyAny>>) -> PyResult<(String, Model, Option<PyErr>)> {
        let mut held = self.lock()?;
        let each = |py: Python<'_>, record: EpochRecord| tell(py, listen.as_ref(), (to_json(&record)?,));
        let Held::Begun(mut run) = std::mem::replace(&mut *held, Held::Failed) else {
            return Err(internal("this run has been trained"));
        };
        let trained = watched(py, each, |teller| {
            let outcome = run.train(&mut |event: Event<'_>| told(teller, &event))?;
            Ok((run.into_trainer(), outcome))
        });
        let Watched { result: (trainer, outcome), stopped_by } = self.ranks.or_raised(trained)?;
        let names = outcome.model.config.preparation.output_names();
        let never: Vec<&String> = outcome.never_predicted.iter().map(|&class| &names[class]).collect();
        let told = json!({
            "ending": outcome.ending, "emptied": outcome.emptied.as_ref().map(ToString::to_string),
            "epochs": outcome.epochs, "best_epoch": outcome.best_epoch,
            "seconds_per_epoch": outcome.seconds_per_epoch, "step_ms": outcome.step_ms,
            "test_loss": outcome.test.map(|score| score.loss()), "test": outcome.test_metrics,
            "test_language": outcome.test_language, "never_predicted": never,
            "model_bytes": outcome.model_bytes, "training_bytes": outcome.training_bytes,
        });
        let (network, config) = (outcome.model.network().clone(), outcome.model.config.clone());
        let model = Model::new(rarefy::Model::new(network, config));
        *held = Held::Trained(Box::new((trainer, outcome)));
        Ok((told.to_string(), model, stopped_by))
    }

    /// The figures of the trained run beside those of its dense twin (JSON), which is counted, timed or trained as `twin` says;
    /// `listen` hears of the twin's epochs. They are written into the run's folder too.
    #[pyo3(signature = (twin, listen=None))]
    fn summary(
        &self,
        py: Python<'_>,
        twin: &str,
        listen: Option<Py<PyAny>>,
    ) -> PyResult<(String, Option<PyErr>)> {
        let mut held = self.lock()?;
        let Held::Trained(trained) = &mut *held else {
            return Err(internal("this run has not been trained"));
        };
        let (trainer, outcome) = &mut **trained;
        let each = |py: Python<'_>, record: EpochRecord| tell(py, listen.as_ref(), (to_json(&record)?,));
        let Watched { result: summary, stopped_by } = watched(py, each, |teller| {
            let mut train = |other: &mut Trainer| other.train(&mut |event: Event<'_>| told(teller, &event));
            let twin = match twin {
                "count" => Twin::Count,
                "time" => Twin::Time,
                _ => Twin::Train(&mut train),
            };
            Summary::new(trainer, outcome, self.directory.as_deref(), twin)
        })?;
        let value = serde_json::to_value(&summary).map_err(|error| internal(&error.to_string()))?;
        if let Some(directory) = &self.directory {
            let text = format!("{value:#}\n");
            detached(py, || RunDirectory::open(directory)?.write("summary.json", &text))?;
        }
        Ok((value.to_string(), stopped_by))
    }

    /// All settings, as the data has completed them (JSON).
    fn settings(&self) -> PyResult<String> {
        let held = self.lock()?;
        to_json(held.trainer()?.settings())
    }

    /// What whoever trains should know.
    fn notes(&self) -> PyResult<Vec<String>> {
        Ok(self.lock()?.trainer()?.notes().to_vec())
    }
}

/// Tells of an epoch that has ended, and says whether to go on.
fn told(teller: &Teller<'_, EpochRecord>, event: &Event<'_>) -> Control {
    if let Event::Epoch { record, .. } = event {
        teller.tell((*record).clone());
    }
    teller.control()
}
