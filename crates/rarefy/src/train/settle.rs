//! Settings settled with the data: what depends on the number of samples and on their parts.

use super::settings::{DEFAULT_BATCH, TABLE_PATIENCE, Watched};
use super::{Settings, TrainSettings};
use crate::data::{Format, Splits};
use crate::{Error, Result};

/// Settles what depends on the number of samples, and says what was settled.
///
/// # Errors
/// Settings that do not fit the data.
pub(super) fn fit_to_data(settings: &mut Settings, splits: &Splits) -> Result<Vec<String>> {
    splits.train.check_weights("training")?;
    for (part, name) in [(&splits.validation, "validation"), (&splits.test, "test")] {
        part.as_ref().map_or(Ok(()), |part| part.check_weights(name))?;
    }
    let samples = splits.train.len();
    let batch_size = settings.train.batch_size_for(samples);
    if batch_size > samples {
        let problem = format!("{batch_size} is more than the {samples} training samples; lower it");
        return Err(Error::setting("train.batch_size", problem));
    }
    if let Some(window) = splits.window.filter(|&window| window < batch_size.min(samples)) {
        let problem = format!(
            "is enough for {window} samples while as many are read ahead, and a batch has {batch_size}; raise it, or lower train.batch_size"
        );
        return Err(Error::setting("data.memory", problem));
    }
    let method = settings.optimizer.method();
    if method.traits().needs_full_batch && batch_size < samples {
        let problem = format!("{method} needs the whole training part in a batch: set it to {samples}");
        return Err(Error::setting("train.batch_size", problem));
    }
    let mut notes = Vec::new();
    settings.train.patience = Some(patience(&settings.train, splits, &mut notes)?);
    if settings.train.batch_size.is_none() && batch_size < DEFAULT_BATCH {
        notes.push(format!("batches of {batch_size} samples, for there are but {samples} to train on"));
    }
    settings.train.batch_size = Some(batch_size);
    Ok(notes)
}

/// Epochs without a better one after which training stops, 0 for never, and a note of it where nobody asked for that.
fn patience(settings: &TrainSettings, splits: &Splits, notes: &mut Vec<String>) -> Result<u64> {
    let TrainSettings { patience, watch, epochs, .. } = *settings;
    let watches_validation = watch == Watched::Validation;
    let is_table = splits.preparation.format() == Format::Csv && splits.preparation.text().is_none();
    let patience = match patience {
        Some(given) => given,
        None if is_table && watches_validation && splits.validation.is_some() => {
            if epochs > TABLE_PATIENCE {
                notes.push(format!(
                    "stops early where nothing beats the best epoch on validation for {TABLE_PATIENCE} epochs (train.patience)"
                ));
            }
            TABLE_PATIENCE
        }
        None => 0,
    };
    if patience > 0 && watches_validation && splits.validation.is_none() {
        let problem =
            "needs a validation part; set data.validation_fraction above 0, or train.watch = \"training\"";
        return Err(Error::setting("train.patience", problem));
    }
    Ok(patience)
}

/// Checks that data can take the place of other data that was prepared alike.
///
/// # Errors
/// Features that are stored in another way; samples of which an optimizer can make no step.
pub(super) fn check_exchange(settings: &Settings, old: &Splits, new: &Splits) -> Result<()> {
    let kind = |splits: &Splits| std::mem::discriminant(&splits.train.features);
    if kind(old) != kind(new) {
        return Err(Error::setting(
            "data",
            "has dense features where the data before had sparse ones, or the other way about",
        ));
    }
    let mut settings = settings.clone();
    // A chunk may be smaller than the batches of the one before: the last one of a stream is.
    settings.train.batch_size = settings.train.batch_size.map(|most| most.min(new.train.len()));
    fit_to_data(&mut settings, new).map(drop)
}
