//! Training on samples in memory.

use std::sync::{Mutex, MutexGuard};

use pyo3::prelude::*;
use rarefy::train::{EpochRecord, ModelConfig};
use rarefy::{Event, data};

use crate::errors::{detached, locked};
use crate::json::to_json;
use crate::model::Model;
use crate::pool::Pool;
use crate::samples::Samples;
use crate::settings::settings;
use crate::watch::{Watched, tell, watched};

/// A trainer and its network.
#[pyclass(frozen, module = "rarefy._rarefy")]
pub struct Trainer {
    trainer: Mutex<rarefy::Trainer>,
    pool: Pool,
}

impl Trainer {
    fn lock(&self) -> PyResult<MutexGuard<'_, rarefy::Trainer>> {
        let busy = "this estimator is being fitted by another thread";
        locked(&self.trainer, "this trainer broke; fit anew", busy)
    }
}

#[pymethods]
impl Trainer {
    /// A trainer by settings (JSON), on training samples and perhaps a validation part; `start` is the model whose network it goes
    /// on from, its samples made ready as that model's were. `by_samples` is what depends on how many samples there are to train on:
    /// a weight decay as scikit-learn counts it, shared out over the samples of a batch, and a batch size, which is all of them
    /// where they are fewer.
    #[new]
    #[pyo3(signature = (settings_text, train, validation=None, start=None, by_samples=(None, None)))]
    fn new(
        py: Python<'_>,
        settings_text: &str,
        train: &mut Samples,
        validation: Option<&mut Samples>,
        start: Option<&Model>,
        by_samples: (Option<f32>, Option<usize>),
    ) -> PyResult<Trainer> {
        let (alpha, batch_size) = by_samples;
        let mut settings = settings(settings_text, None)?;
        let (train, validation) = (train.take()?, validation.map(Samples::take).transpose()?);
        let start = start.map(Model::parts);
        let pool = Pool::new(settings.threads);
        let trainer = detached(py, || {
            let threads = pool.get()?;
            let splits = threads.install(|| match &start {
                Some((_, known)) => {
                    data::from_memory_as(known, train, validation, &settings.data, settings.seed)
                }
                None => data::from_memory_parts(train, validation, None, &settings.data, settings.seed),
            })?;
            let all = splits.train.len();
            settings.train.batch_size = settings.train.batch_size.or(batch_size.map(|size| size.min(all)));
            if let Some(alpha) = alpha {
                let batch_size = settings.train.batch_size_for(all);
                settings.optimizer.weight_decay = Some(alpha / batch_size as f32);
            }
            let builder = rarefy::Trainer::builder(settings, splits).pool(threads);
            match start {
                Some((network, _)) => builder.network(network).build(),
                None => builder.build(),
            }
        })?;
        Ok(Trainer { trainer: Mutex::new(trainer), pool })
    }

    /// Trains for so many epochs more, or until all that the settings ask for are done. `listen` is called after each epoch with
    /// its record (JSON) and, where `lends_models` says so, the model as it would be if training ended here; if it returns true
    /// training stops. Returns how it ended, the records, and what stopped it: an exception of the listener, or KeyboardInterrupt.
    #[pyo3(signature = (listen=None, epochs=None, lends_models=false))]
    fn train(
        &self,
        py: Python<'_>,
        listen: Option<Py<PyAny>>,
        epochs: Option<u64>,
        lends_models: bool,
    ) -> PyResult<(String, String, Option<PyErr>)> {
        let mut trainer = self.lock()?;
        let pool = detached(py, || self.pool.get())?;
        trainer.set_pool(pool);
        let config = lends_models.then(|| trainer.config(trainer.network()));
        let mut records = Vec::new();
        let each = |py: Python<'_>, (record, model): (EpochRecord, Option<rarefy::Model>)| {
            tell(py, listen.as_ref(), (to_json(&record)?, model.map(Model::new)))
        };
        let (trainer, listens, kept) = (&mut *trainer, listen.is_some(), &mut records);
        let Watched { result, stopped_by } = watched(py, each, |teller| {
            let mut watch = |event: Event<'_>| {
                if let Event::Epoch { record, network } = event {
                    kept.push(record.clone());
                    let model = config.as_ref().map(|config| {
                        let config = ModelConfig { network: network.spec().clone(), ..config.clone() };
                        rarefy::Model::new(network.clone(), config)
                    });
                    if listens {
                        teller.tell((record.clone(), model));
                    }
                }
                teller.control()
            };
            match epochs {
                Some(epochs) => trainer.train_for(epochs, &mut watch),
                None => trainer.train(&mut watch).map(|outcome| outcome.ending),
            }
        })?;
        Ok((to_json(&result)?, to_json(&records)?, stopped_by))
    }

    /// The model as it stands: the best epoch's where the settings keep one.
    fn model(&self, py: Python<'_>) -> PyResult<Model> {
        let mut trainer = self.lock()?;
        let trainer = &mut *trainer;
        detached(py, || Ok(trainer.model())).map(Model::new)
    }

    /// Goes on with other samples of the same kind.
    fn set_data(&self, py: Python<'_>, train: &mut Samples) -> PyResult<()> {
        let train = train.take()?;
        let mut trainer = self.lock()?;
        let trainer = &mut *trainer;
        detached(py, || {
            let splits = trainer.splits().continued(&train)?;
            trainer.set_data(splits)
        })
    }

    /// What whoever trains should know.
    fn notes(&self) -> PyResult<Vec<String>> {
        Ok(self.lock()?.notes().to_vec())
    }

    /// What is to be said of a network that is denser than was asked for.
    fn note_on_density(&self) -> PyResult<Option<String>> {
        Ok(self.lock()?.note_on_density().map(str::to_string))
    }

    /// Samples of the training part.
    fn training_samples(&self) -> PyResult<usize> {
        Ok(self.lock()?.splits().train.len())
    }

    /// What has driven every weight of a layer to zero and so ended training, if anything has.
    fn emptied(&self) -> PyResult<Option<String>> {
        Ok(self.lock()?.emptied().map(|emptied| emptied.to_string()))
    }
}
