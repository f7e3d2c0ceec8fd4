//! A sweep file becomes a list of runs: `[base]` settings, `[[run]]` variants with a name, every combination of the
//! `[sweep]` lists. All keys but `seed` make the rows of the table; seeds repeat each row.

use std::collections::HashSet;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail, ensure};
use rarefy::train::Settings;
use serde::Deserialize;
use toml::{Table, Value};

use crate::config::{self, Config};

/// A row of the table: one choice of settings, trained with several seeds.
pub struct Row {
    /// Its name, in the table, on the command line and as a folder.
    pub name: String,
    /// What it has in common with the rows that the plot gives the same colour.
    pub group: String,
    /// What tells it from those.
    pub label: String,
    /// The settings that differ from row to row.
    pub keys: Vec<(String, Value)>,
    /// Its runs, one for each seed.
    pub runs: Vec<Planned>,
}

/// One run to be done.
pub struct Planned {
    /// Its seed.
    pub seed: u64,
    /// All its settings, checked.
    pub settings: Settings,
}

/// What the file holds.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SweepFile {
    #[serde(default)]
    base: Table,
    #[serde(default)]
    sweep: Table,
    #[serde(default)]
    run: Vec<Table>,
}

/// Keys with their values, in the order of the file.
type Assignments = Vec<(String, Value)>;

/// Reads a sweep file.
pub fn read(path: &Path) -> Result<Vec<Row>> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("{}: cannot read the sweep", path.display()))?;
    rows(&text).map_err(|error| anyhow!("{}: {error:#}", path.display()))
}

fn rows(text: &str) -> Result<Vec<Row>> {
    let file: SweepFile = config::read(text).map_err(|error| anyhow!(error))?;
    let base = flat(&file.base);
    let mut lists = lists(&file.sweep)?;
    let seeds = match lists.iter().position(|(key, _)| key == "seed") {
        Some(at) => lists.remove(at).1,
        None => vec![
            base.iter().rfind(|(key, _)| key == "seed").map_or(Value::Integer(0), |(_, seed)| seed.clone()),
        ],
    };
    let variants = variants(file.run, &lists)?;
    let group_list = group_list(&lists);
    let mut rows = Vec::new();
    for (variant, overrides) in &variants {
        for choice in product(&lists) {
            let parts: Vec<String> = choice.iter().map(|(key, value)| name_part(key, value)).collect();
            let all = variant.iter().chain(&parts).map(String::as_str).collect::<Vec<_>>();
            let name = if all.is_empty() { "base".to_string() } else { all.join("-") };
            // Rows of one colour: those of one [[run]], else those of one method.
            let (group, label) = match (variant, group_list) {
                (Some(variant), _) => (variant.clone(), parts.join("-")),
                (None, Some(at)) => {
                    let rest: Vec<String> = parts
                        .iter()
                        .enumerate()
                        .filter(|(part, _)| *part != at)
                        .map(|(_, part)| part.clone())
                        .collect();
                    (parts[at].clone(), rest.join("-"))
                }
                (None, None) => (String::new(), name.clone()),
            };
            let label = if label.is_empty() { name.clone() } else { label };
            let keys: Assignments = overrides.iter().cloned().chain(choice).collect();
            let settings = |seed: &Value| settings(&base, &keys, seed);
            let named = |error| if keys.is_empty() { error } else { anyhow!("{name}: {error:#}") };
            let runs = seeds.iter().map(settings).collect::<Result<_>>().map_err(named)?;
            rows.push(Row { name, group, label, keys, runs });
        }
    }
    let mut names = HashSet::new();
    if let Some(row) = rows.iter().find(|row| !names.insert(row.name.to_lowercase())) {
        bail!(
            "two rows are called {}; a value or name is there twice, or differs in signs that a folder's name cannot hold",
            row.name
        );
    }
    let mut seen = HashSet::new();
    if let Some(run) = rows[0].runs.iter().find(|run| !seen.insert(run.seed)) {
        bail!("sweep.seed: {} is there twice", run.seed);
    }
    Ok(rows)
}

/// The lists of `[sweep]`.
fn lists(sweep: &Table) -> Result<Vec<(String, Vec<Value>)>> {
    flat(sweep)
        .into_iter()
        .map(|(key, value)| match value {
            Value::Array(values) if !values.is_empty() => Ok((key, values)),
            value => bail!("sweep.{key}: {value} is not a list of values to try; write {key} = [.., ..], or move it to [base]"),
        })
        .collect()
}

/// The `[[run]]` tables as names and settings; without any, one nameless variant without settings of its own.
fn variants(
    tables: Vec<Table>,
    lists: &[(String, Vec<Value>)],
) -> Result<Vec<(Option<String>, Assignments)>> {
    if tables.is_empty() {
        return Ok(vec![(None, Vec::new())]);
    }
    tables
        .into_iter()
        .enumerate()
        .map(|(index, table)| {
            let name = match table.get("name") {
                Some(Value::String(name)) => name.clone(),
                _ => bail!("[[run]] number {} needs a name = \"...\"", index + 1),
            };
            ensure!(
                !name.is_empty() && name == folder_name(&name),
                "[[run]] {name:?}: a name is made of letters, digits, \"-\", \"_\" and \".\", and does not begin with \".\""
            );
            let mut overrides = flat(&table);
            overrides.retain(|(key, _)| key != "name");
            for (key, _) in &overrides {
                ensure!(key != "seed", "[[run]] {name}: seed: every run is trained with all seeds; list them in sweep.seed");
                let is_listed = lists.iter().any(|(listed, _)| listed == key);
                ensure!(!is_listed, "[[run]] {name}: {key} is in [sweep] too; keep it in one of them");
            }
            Ok((Some(name), overrides))
        })
        .collect()
}

/// The settings of one run.
fn settings(base: &Assignments, keys: &Assignments, seed: &Value) -> Result<Planned> {
    let mut config = Config::defaults();
    for (key, value) in base {
        config.value(key, value).context("[base]")?;
    }
    for (key, value) in keys {
        config.value(key, value)?;
    }
    config.value("seed", seed)?;
    let settings = config.settings()?;
    settings.check()?;
    Ok(Planned { seed: settings.seed, settings })
}

/// The list that tells the plot's colours: the topology method, or the first of words.
fn group_list(lists: &[(String, Vec<Value>)]) -> Option<usize> {
    let is_method = |(key, _): &(String, Vec<Value>)| key == "topology.method";
    let has_words = |(_, values): &(String, Vec<Value>)| values[0].is_str();
    lists.iter().position(is_method).or_else(|| lists.iter().position(has_words))
}

/// Every combination of the lists, the last list changing fastest.
fn product(lists: &[(String, Vec<Value>)]) -> Vec<Assignments> {
    lists.iter().fold(vec![Vec::new()], |choices, (key, values)| {
        let with = |choice: &Assignments, value: &Value| {
            choice.iter().cloned().chain([(key.clone(), value.clone())]).collect()
        };
        choices.iter().flat_map(|choice| values.iter().map(move |value| with(choice, value))).collect()
    })
}

/// The dotted keys of a table. A quoted key with dots means the same as one without quotes.
pub fn flat(table: &Table) -> Assignments {
    let mut keys = Vec::new();
    for (key, value) in table {
        match value {
            Value::Table(inner) => {
                keys.extend(flat(inner).into_iter().map(|(rest, value)| (format!("{key}.{rest}"), value)))
            }
            value => keys.push((key.clone(), value.clone())),
        }
    }
    keys
}

/// A value's part in a row's name: words stand for themselves, numbers need their key.
fn name_part(key: &str, value: &Value) -> String {
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
fn folder_name(text: &str) -> String {
    let safe = |letter: char| if letter.is_alphanumeric() || "-_.".contains(letter) { letter } else { '_' };
    text.trim_start_matches('.').chars().map(safe).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        rows(text).unwrap().into_iter().map(|row| row.name).collect()
    }

    #[test]
    fn every_combination_is_a_row_and_every_seed_a_run() {
        let text = "
            [base]
            train.epochs = 3
            'network.hidden' = [32]
            [sweep]
            topology.method = ['static', 'rigl']
            'sparsity.density' = [0.05, 0.5]
            seed = [4, 7]";
        let rows = rows(text).unwrap();
        let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(
            names,
            ["static-density-0.05", "static-density-0.5", "rigl-density-0.05", "rigl-density-0.5"]
        );
        assert_eq!((rows[2].group.as_str(), rows[2].label.as_str()), ("rigl", "density-0.05"));
        assert!(rows.iter().all(|row| row.runs.iter().map(|run| run.seed).eq([4, 7])));
        let settings = &rows[3].runs[1].settings;
        assert_eq!((settings.seed, settings.train.epochs, settings.sparsity.density), (7, 3, 0.5));
        assert_eq!(
            (settings.network.hidden.as_slice(), settings.topology.method),
            (&[32][..], rarefy::topology::Method::Rigl)
        );
    }

    #[test]
    fn named_runs_are_crossed_with_the_lists() {
        let text = "
            [sweep]
            network.hidden = [[64], [32, 16]]
            seed = [1]
            [[run]]
            name = 'dense'
            sparsity.density = 1.0
            [[run]]
            name = 'set-0.2'
            topology = { method = 'set', fraction = 0.2 }";
        assert_eq!(
            names(text),
            ["dense-hidden-64", "dense-hidden-32x16", "set-0.2-hidden-64", "set-0.2-hidden-32x16"]
        );
        assert_eq!(names("[base]\nseed = 3"), ["base"]);
        assert_eq!(rows("[base]\nseed = 3").unwrap()[0].runs[0].seed, 3);
        assert_eq!(names("[sweep]\ndata.path = ['../a.csv', 'b c.csv']"), ["_a.csv", "b_c.csv"]);
    }

    #[test]
    fn mistakes_are_named() {
        for (text, words) in [
            (
                "[bas]\nseed = 1",
                "line 1: unknown field `bas`, expected one of `base`, `sweep`, `run`; did you mean `base`?",
            ),
            ("[base]\nseed = ", "line 2"),
            ("[base]\ntrain.epoch = 3", "[base]: train.epoch: unknown field `epoch`"),
            (
                "[sweep]\ntopology.method = ['rigl', 'rigel']",
                "rigel: topology.method: unknown variant `rigel`",
            ),
            ("[sweep]\ntopology.method = 'rigl'", "sweep.topology.method: \"rigl\" is not a list"),
            ("[sweep]\nseed = []", "sweep.seed: [] is not a list of values"),
            ("[sweep]\nseed = [1, 2, 1]", "sweep.seed: 1 is there twice"),
            ("[sweep]\nseed = [-1]", "seed: invalid value"),
            ("[sweep]\ntrain.epochs = [1, 1]", "two rows are called epochs-1"),
            ("[sweep]\nsparsity.density = [0.5, 2.0]", "density-2: sparsity.density: 2 is not"),
            ("[[run]]\ntrain.epochs = 3", "[[run]] number 1 needs a name"),
            ("[[run]]\nname = '../x'", "[[run]] \"../x\": a name is made of"),
            ("[[run]]\nname = 'x'\nseed = 3", "[[run]] x: seed: every run"),
            (
                "[sweep]\ntrain.epochs = [1]\n[[run]]\nname = 'x'\ntrain.epochs = 3",
                "[[run]] x: train.epochs is in [sweep] too",
            ),
        ] {
            let error = format!("{:#}", rows(text).err().unwrap_or_else(|| panic!("{text}")));
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
