//! A row of the table: its settings, and its runs. What is wrong with one is told by its row and key.

use toml::Value;

use crate::Error;
use crate::data::Fold;
use crate::train::{Settings, SettingsBuilder, density_of};

/// The key of the part of connections that live.
pub const DENSITY: &str = "sparsity.density";
/// What a sweep may say in its place.
pub const SPARSITY: &str = "sparsity.sparsity";

/// A row of the table: one choice of settings, trained with several seeds and folds.
pub struct Row {
    /// Its name, in the table, on the command line and as a folder.
    pub name: String,
    /// What it has in common with the rows that the plot gives the same colour.
    pub group: String,
    /// What tells it from those, for the plot.
    pub label: String,
    /// Its choices but for that of the group: rows of two groups that agree in them are compared.
    pub rest: String,
    /// The settings that differ from row to row.
    pub keys: Vec<(String, Value)>,
    /// Its runs, one for each seed and fold.
    pub runs: Vec<Planned>,
}

/// One run to be done.
pub struct Planned {
    /// Its seed.
    pub seed: u64,
    /// The fold that it is tested on, in a cross-validation.
    pub fold: Option<Fold>,
    /// All its settings, checked.
    pub settings: Settings,
}

impl Planned {
    /// What tells it from the other runs of its row, for people.
    pub fn repetition(&self) -> String {
        match self.fold {
            Some(fold) => format!("seed {} fold {fold}", self.seed),
            None => format!("seed {}", self.seed),
        }
    }

    /// The same as a folder's name.
    pub fn folder(&self) -> String {
        match self.fold {
            Some(Fold { number, of }) => format!("seed-{}-fold-{number}-of-{of}", self.seed),
            None => format!("seed-{}", self.seed),
        }
    }
}

/// Keys with their values, in the order of the file.
pub type Assignments = Vec<(String, Value)>;

/// Keys whose values each are tried.
pub type Lists = Vec<(String, Vec<Value>)>;

/// What repeats each row: the seeds, and the folds that each of them draws.
pub struct Repetitions {
    /// Of `seed`.
    pub seeds: Vec<Value>,
    /// How many.
    pub folds: Option<u32>,
}

impl Row {
    /// A row of settings that are `base` with `keys` laid over it.
    pub(super) fn new(
        name: String,
        group: String,
        rest: String,
        (base, keys): (&Assignments, Assignments),
        repetitions: &Repetitions,
    ) -> Result<Row, String> {
        let folds: Vec<Option<Fold>> = match repetitions.folds {
            Some(of) => Fold::all(of).map(Some).collect(),
            None => vec![None],
        };
        let all = repetitions.seeds.iter().flat_map(|seed| folds.iter().map(move |fold| (seed, *fold)));
        let runs = all.map(|(seed, fold)| planned(base, &keys, seed, fold)).collect::<Result<_, _>>();
        let runs: Vec<Planned> =
            runs.map_err(|problem| if keys.is_empty() { problem } else { format!("{name}: {problem}") })?;
        let label = if rest.is_empty() { name.clone() } else { rest.clone() };
        Ok(Row { name, group, label, rest, keys, runs })
    }

    /// The folder of one of its runs, within that of the comparison.
    pub fn folder(&self, run: &Planned) -> String {
        format!("{}/{}", self.name, run.folder())
    }
}

/// The settings of one run.
fn planned(
    base: &Assignments,
    keys: &Assignments,
    seed: &Value,
    fold: Option<Fold>,
) -> Result<Planned, String> {
    let mut config = SettingsBuilder::default();
    for (key, value) in base {
        lay(&mut config, key, value).map_err(|problem| format!("[base]: {problem}"))?;
    }
    for (key, value) in keys {
        lay(&mut config, key, value)?;
    }
    let text = |error: Error| error.to_string();
    config.value("seed", seed).map_err(text)?;
    if let Some(fold) = fold {
        let is_given = base.iter().chain(keys).any(|(key, _)| key == "data.fold");
        if is_given {
            return Err("data.fold: each run is given one of the folds; leave it out".into());
        }
        config.value("data.fold", fold.to_string()).map_err(text)?;
    }
    let settings = config.settings().map_err(text)?;
    settings.check().map_err(text)?;
    Ok(Planned { seed: settings.seed, fold: settings.data.fold, settings })
}

/// Lays a key over settings. Sparsity is one minus density, whose key the settings have.
fn lay(config: &mut SettingsBuilder, key: &str, value: &Value) -> Result<(), String> {
    if key != SPARSITY {
        return config.value(key, value).map_err(|error| error.to_string());
    }
    let sparsity = value.as_float().or(value.as_integer().map(|whole| whole as f64));
    let sparsity = sparsity.filter(|sparsity| (0.0..1.0).contains(sparsity));
    let sparsity =
        sparsity.ok_or_else(|| format!("{SPARSITY}: {value} is not a number from 0 to below 1"))?;
    config.value(DENSITY, density_of(sparsity)).map_err(|error| error.to_string())
}

/// Every combination of the lists, the last list changing fastest.
pub fn product(lists: &Lists) -> Vec<Assignments> {
    lists.iter().fold(vec![Vec::new()], |choices, (key, values)| {
        let with = |choice: &Assignments, value: &Value| {
            choice.iter().cloned().chain([(key.clone(), value.clone())]).collect()
        };
        choices.iter().flat_map(|choice| values.iter().map(move |value| with(choice, value))).collect()
    })
}

/// A value's part in a row's name: words stand for themselves, numbers need their key.
pub fn name_part(key: &str, value: &Value) -> String {
    let text = folder_name(&plain(value));
    let last = key.rsplit('.').next().unwrap_or(key);
    if value.is_str() { text } else { format!("{last}-{text}") }
}

/// A value as a person would say it.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() => "none".into(),
        Value::String(text) => text.clone(),
        Value::Array(values) if values.is_empty() => "none".into(),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join("x"),
        Value::Float(number) => number.to_string(),
        value => value.to_string(),
    }
}

/// The text with what a folder's name should not hold replaced.
pub fn folder_name(text: &str) -> String {
    let safe = |letter: char| if letter.is_alphanumeric() || "-_.".contains(letter) { letter } else { '_' };
    text.trim_start_matches('.').chars().map(safe).collect()
}
