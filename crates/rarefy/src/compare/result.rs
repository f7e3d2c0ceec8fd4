//! `result.json`: what a finished run of a sweep left in its folder. It holds a hash of the settings, so that a run is
//! not taken for one with other settings; settings that change no result (threads) do not count.

use std::path::Path;

use crate::metrics::{Metric, Metrics};
use crate::train::{Ending, Outcome, RunDirectory, Settings, TrainSettings, Trainer};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use toml::Table;

use super::sweep::flat;

/// The file's name in the run's folder.
const FILE: &str = "result.json";

/// How a run ended, with the settings that it had.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunResult {
    settings_hash: String,
    /// Tells whether the data is still the same.
    data_hash: String,
    /// What came out of it.
    #[serde(flatten)]
    pub ended: Ended,
}

/// What came out of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// Figures.
    Finished(Box<Figures>),
    /// The reason why there are none, and never will be: the same settings end in the same way.
    Failed(String),
}

/// The figures of a run that came to its end.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Figures {
    /// `finished` or `early-stopped`.
    pub ending: String,
    /// Epochs trained.
    pub epochs: u64,
    /// The epoch whose model was kept; the last one if `None`.
    pub best_epoch: Option<u64>,
    /// The accuracy on the test part, for classification.
    pub test_accuracy: Option<f64>,
    /// Wrong labels for each that there should be, for transcription.
    #[serde(default)]
    pub test_label_error_rate: Option<f64>,
    /// The bits of a character of the test part, for a language model.
    #[serde(default)]
    pub test_bits_per_character: Option<f64>,
    /// The root of the mean squared error on the test part, in the target's unit, for regression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_rmse: Option<f64>,
    /// The part of the variance of the test part's targets that is explained, for regression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_r2: Option<f64>,
    /// The loss on the test part.
    pub test_loss: f64,
    /// `train.metric`, where the run has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<Metric>,
    /// All metrics that fit, on the test part.
    #[serde(default)]
    pub test_metrics: Metrics,
    /// Samples of the test part for each of the others that it was drawn from with them; 0 if it is the same for all seeds.
    #[serde(default)]
    pub test_over_rest: f64,
    /// Live connections of the kept model.
    pub nnz: usize,
    /// Live connections over all cells.
    pub density: f64,
    /// Bytes of the kept model's arrays.
    pub model_bytes: usize,
    /// Seconds of an epoch's training: the median of all epochs, over all sittings.
    pub seconds_per_epoch: f64,
    /// Seconds of training, without validation and saving.
    pub total_seconds: f64,
    /// Threads that it had, in the last sitting.
    pub threads: usize,
    /// Runs that went on at the same time, in the last sitting.
    pub jobs: usize,
}

/// Where a run of the sweep stands.
pub enum State {
    /// Nothing is there.
    New,
    /// It can go on from its checkpoint.
    Begun,
    /// It came to its end.
    Ended(Box<RunResult>),
}

/// Looks at a run's folder.
///
/// # Errors
/// If it holds a run with other settings, or one that cannot be read.
pub fn state(folder: &Path, settings: &Settings) -> Result<State> {
    let config = folder.join("config.toml");
    if !config.exists() {
        return Ok(State::New);
    }
    let text =
        std::fs::read_to_string(&config).map_err(Error::io(&config, "cannot read the run's settings"))?;
    let mut then: Settings = toml::from_str(&text).map_err(|error| {
        let reason = error.message();
        Error::model(
            &config,
            format!("these settings cannot be used ({reason}); remove the folder to train it again"),
        )
    })?;
    // A run writes down what its defaults became with its data; who goes on with it compares these.
    if settings.train.batch_size.is_none() {
        then.train.batch_size = None;
    }
    if settings.train.patience.is_none() {
        then.train.patience = None;
    }
    if let Some((key, then, now)) = difference(&then, settings) {
        let problem = format!(
            "{} was trained with {then}, now the sweep says {now}; change it back, choose another folder for the comparison, or \
             remove that folder to train it again",
            folder.display()
        );
        return Err(Error::setting(key, problem));
    }
    let result = std::fs::read(folder.join(FILE)).ok();
    let result = result.and_then(|text| serde_json::from_slice::<RunResult>(&text).ok());
    Ok(match result.filter(|result| result.settings_hash == hash(settings)) {
        Some(result) => State::Ended(Box::new(result)),
        None => State::Begun,
    })
}

impl RunResult {
    /// Whether the run was trained on data with this fingerprint.
    pub fn is_of(&self, data: u64) -> bool {
        self.data_hash == hexadecimal(data)
    }
}

/// Writes down how a run on data with this fingerprint ended.
pub fn write(folder: &Path, settings: &Settings, data: u64, ended: Ended) -> Result<()> {
    let result = RunResult { settings_hash: hash(settings), data_hash: hexadecimal(data), ended };
    let text = serde_json::to_string_pretty(&result).expect("a result is plain data");
    RunDirectory::open(folder)?.write(FILE, &format!("{text}\n"))
}

/// The figures of a run that came to its end.
pub fn figures(run: &Trainer, outcome: &Outcome, folder: &Path, jobs: usize) -> Result<Box<Figures>> {
    let test = outcome
        .test
        .ok_or_else(|| Error::setting("data.test_fraction", "leaves no test part; set it above 0"))?;
    // Of the whole network: the model may have lost neurons.
    let (nnz, cells) = (outcome.model.network().connections().0, run.network().connections().1);
    let mut seconds = epoch_seconds(folder)?;
    seconds.sort_by(f64::total_cmp);
    Ok(Box::new(Figures {
        ending: if outcome.ending == Ending::EarlyStopped { "early-stopped" } else { "finished" }.into(),
        epochs: outcome.epochs,
        best_epoch: outcome.best_epoch,
        test_accuracy: run.accuracy(&test),
        test_label_error_rate: run.label_error_rate(&test),
        test_bits_per_character: outcome.test_language.map(|score| score.bits_per_character),
        test_rmse: outcome.test_numbers.map(|score| score.rmse),
        test_r2: outcome.test_numbers.and_then(|score| score.r2),
        test_loss: test.loss(),
        metric: run.settings().train.metric,
        test_metrics: outcome.test_metrics.clone(),
        test_over_rest: run.splits().test_over_rest,
        nnz,
        density: nnz as f64 / cells as f64,
        model_bytes: outcome.model_bytes,
        seconds_per_epoch: seconds.get(seconds.len() / 2).copied().unwrap_or(0.0),
        total_seconds: seconds.iter().sum(),
        threads: run.threads(),
        jobs,
    }))
}

/// The seconds of every epoch, from the run's records.
fn epoch_seconds(folder: &Path) -> Result<Vec<f64>> {
    let path = folder.join("metrics.jsonl");
    let text = std::fs::read_to_string(&path).map_err(Error::io(&path, "cannot read"))?;
    let seconds = |line: &str| serde_json::from_str::<Value>(line).ok()?["seconds"].as_f64();
    Ok(text.lines().filter_map(seconds).collect())
}

/// The settings that results depend on.
fn that_matter(settings: &Settings) -> Settings {
    let minutes = TrainSettings::default().checkpoint_minutes;
    let train = TrainSettings { checkpoint_minutes: minutes, ..settings.train.clone() };
    Settings { threads: 0, train, ..settings.clone() }
}

/// The first key that differs, with both values.
fn difference(then: &Settings, now: &Settings) -> Option<(String, String, String)> {
    let keys = |settings| flat(&Table::try_from(that_matter(settings)).expect("settings are plain data"));
    let (then, now) = (keys(then), keys(now));
    let value = |keys: &[(String, toml::Value)], key: &str| {
        let found = keys.iter().find(|(other, _)| other == key);
        found.map_or("its default".to_string(), |(_, value)| value.to_string())
    };
    let all = now.iter().chain(&then).map(|(key, _)| key);
    all.map(|key| (key.clone(), value(&then, key), value(&now, key))).find(|(_, then, now)| then != now)
}

/// FNV-1a over the settings as text.
fn hash(settings: &Settings) -> String {
    let text = toml::to_string(&that_matter(settings)).expect("settings are plain data");
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    hexadecimal(text.bytes().fold(0xcbf2_9ce4_8422_2325, step))
}

/// A hash as text: JSON's numbers do not hold 64 bits for every reader.
fn hexadecimal(hash: u64) -> String {
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_named_and_threads_are_none() {
        let then = Settings::default();
        let mut now = Settings { threads: 7, ..then.clone() };
        now.train.checkpoint_minutes = 1.0;
        assert_eq!(difference(&then, &now), None);
        assert_eq!(hash(&then), hash(&now));
        now.topology.fraction = Some(0.2);
        let found = difference(&then, &now);
        assert_eq!(found, Some(("topology.fraction".into(), "its default".into(), "0.2".into())));
        assert_eq!(difference(&now, &then).unwrap().2, "its default");
        assert_ne!(hash(&then), hash(&now));
    }
}
