//! A sweep file becomes a list of runs: `[base]` settings, `[[run]]` variants with a name, every combination of the
//! `[sweep]` lists. All keys but `seed` make the rows of the table; seeds and folds repeat each row. Beside rows of several
//! densities comes one that is dense (`dense`).

use std::collections::HashSet;
use std::path::Path;

use serde::Deserialize;
use toml::{Table, Value};

use super::row::{Assignments, DENSITY, Lists, Repetitions, Row, SPARSITY, folder_name, name_part, product};
use super::{REPORT, dense};
use crate::Error;
use crate::train::read_toml;

/// Bytes of the name of a row: what file systems give a folder's, less a little.
const LONGEST_NAME: usize = 240;

/// What is wrong, by row or key.
type Problem = String;

/// What is to be compared.
pub struct Sweep {
    /// The rows, at least one.
    pub rows: Vec<Row>,
    /// Folds of the cross-validation that each seed draws, if it is one.
    pub folds: Option<u32>,
}

/// What the file holds.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SweepFile {
    #[serde(default)]
    compare: CompareSection,
    #[serde(default)]
    base: Table,
    #[serde(default)]
    sweep: Table,
    #[serde(default)]
    run: Vec<Table>,
}

/// How the runs are compared.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct CompareSection {
    folds: Option<u32>,
}

impl Sweep {
    /// Reads a sweep file; `folds` takes the place of `compare.folds`.
    ///
    /// # Errors
    /// A file that cannot be read or is no sweep, or settings that cannot be used.
    pub fn read(path: &Path, folds: Option<u32>) -> crate::Result<Sweep> {
        let text = std::fs::read_to_string(path).map_err(Error::io(path, "cannot read the sweep"))?;
        sweep(&text, folds).map_err(|problem| Error::data(path, problem))
    }

    /// The sweep that a table like such a file's describes.
    ///
    /// # Errors
    /// [`Error::Setting`] of the key `sweep` for one that is no sweep, or settings that cannot be used.
    pub fn of_table(table: &Table, folds: Option<u32>) -> crate::Result<Sweep> {
        sweep(&table.to_string(), folds).map_err(|problem| Error::setting("sweep", problem))
    }
}

fn sweep(text: &str, folds: Option<u32>) -> Result<Sweep, Problem> {
    let file: SweepFile = read_toml(text)?;
    let folds = folds.or(file.compare.folds);
    if let Some(0 | 1) = folds {
        return Err("compare.folds: give 2 or more, such as 5".into());
    }
    let base = flat(&file.base);
    says_density_once(&base).map_err(|problem| format!("[base]: {problem}"))?;
    let mut lists = lists(&file.sweep)?;
    let seeds = match lists.iter().position(|(key, _)| key == "seed") {
        Some(at) => lists.remove(at).1,
        None => vec![
            base.iter().rfind(|(key, _)| key == "seed").map_or(Value::Integer(0), |(_, seed)| seed.clone()),
        ],
    };
    let repetitions = Repetitions { seeds, folds };
    let variants = variants(file.run, &lists)?;
    let mut rows = rows(&base, &variants, &lists, &repetitions)?;
    rows.extend(dense::rows(&base, &lists, &rows, &repetitions));
    let mut names = HashSet::new();
    if let Some(row) = rows.iter().find(|row| !names.insert(row.name.to_lowercase())) {
        return Err(format!(
            "two rows are called {}; a value or name is there twice, or differs in signs that a folder's name cannot hold",
            row.name
        ));
    }
    if let Some(row) = rows.iter().find(|row| row.name.len() > LONGEST_NAME) {
        return Err(format!("the row {} is too long for a folder; name it by [[run]]", row.name));
    }
    let mut seen = HashSet::new();
    if let Some(run) = rows[0].runs.iter().find(|run| !seen.insert((run.seed, run.fold))) {
        return Err(format!("sweep.seed: {} is there twice", run.seed));
    }
    Ok(Sweep { rows, folds })
}

/// Every variant with every combination of the lists.
fn rows(
    base: &Assignments,
    variants: &[(Option<String>, Assignments)],
    lists: &Lists,
    repetitions: &Repetitions,
) -> Result<Vec<Row>, Problem> {
    let group_list = group_list(lists);
    let mut rows = Vec::new();
    for (variant, overrides) in variants {
        for choice in product(lists) {
            let parts: Vec<String> = choice.iter().map(|(key, value)| name_part(key, value)).collect();
            let all = variant.iter().chain(&parts).map(String::as_str).collect::<Vec<_>>();
            let name = if all.is_empty() { "base".to_string() } else { all.join("-") };
            // Rows of one mark: those of one [[run]], else those of one method.
            let (group, rest) = match (variant, group_list) {
                (Some(variant), _) => (variant.clone(), parts.join("-")),
                (None, Some(at)) => {
                    let others = parts.iter().enumerate().filter(|(part, _)| *part != at);
                    let rest: Vec<&str> = others.map(|(_, part)| part.as_str()).collect();
                    (parts[at].clone(), rest.join("-"))
                }
                (None, None) => (name.clone(), String::new()),
            };
            let keys: Assignments = overrides.iter().cloned().chain(choice).collect();
            rows.push(Row::new(name, group, rest, (base, keys), repetitions)?);
        }
    }
    Ok(rows)
}

/// The lists of `[sweep]`.
fn lists(sweep: &Table) -> Result<Lists, Problem> {
    let lists: Lists = flat(sweep)
        .into_iter()
        .map(|(key, value)| match value {
            Value::Array(values) if !values.is_empty() => Ok((key, values)),
            value => Err(format!(
                "sweep.{key}: {value} is not a list of values to try; write {key} = [.., ..], or move it to [base]"
            )),
        })
        .collect::<Result<_, Problem>>()?;
    says_density_once(&lists).map_err(|problem| format!("sweep.{problem}"))?;
    Ok(lists)
}

/// That keys do not give a density in both of the ways that there are.
fn says_density_once<T>(keys: &[(String, T)]) -> Result<(), Problem> {
    let has = |wanted: &str| keys.iter().any(|(key, _)| key == wanted);
    if has(DENSITY) && has(SPARSITY) {
        return Err(format!("{SPARSITY}: says the same as {DENSITY}, which is there too; keep one of them"));
    }
    Ok(())
}

/// The `[[run]]` tables as names and settings; without any, one nameless variant without settings of its own.
fn variants(
    tables: Vec<Table>,
    lists: &[(String, Vec<Value>)],
) -> Result<Vec<(Option<String>, Assignments)>, Problem> {
    if tables.is_empty() {
        return Ok(vec![(None, Vec::new())]);
    }
    tables
        .into_iter()
        .enumerate()
        .map(|(index, table)| {
            let name = match table.get("name") {
                Some(Value::String(name)) => name.clone(),
                _ => return Err(format!("[[run]] number {} needs a name = \"...\"", index + 1)),
            };
            if name.is_empty() || name != folder_name(&name) {
                return Err(format!(
                    "[[run]] {name:?}: a name is made of letters, digits, \"-\", \"_\" and \".\", and does not begin with \".\""
                ));
            }
            if REPORT.contains(&name.as_str()) {
                return Err(format!("[[run]] {name:?}: is the name of a file of the report; choose another"));
            }
            let mut overrides = flat(&table);
            overrides.retain(|(key, _)| key != "name");
            says_density_once(&overrides).map_err(|problem| format!("[[run]] {name}: {problem}"))?;
            for (key, _) in &overrides {
                if key == "seed" {
                    return Err(format!(
                        "[[run]] {name}: seed: every run is trained with all seeds; list them in sweep.seed"
                    ));
                }
                if lists.iter().any(|(listed, _)| one_key(listed) == one_key(key)) {
                    return Err(format!("[[run]] {name}: {key} is in [sweep] too; keep it in one of them"));
                }
            }
            Ok((Some(name), overrides))
        })
        .collect()
}

/// The key that stands for a setting that has two.
fn one_key(key: &str) -> &str {
    if key == SPARSITY { DENSITY } else { key }
}

/// The list that tells the plot's marks, and whose first value others are compared with: the topology method, or the first
/// of words, or the first.
fn group_list(lists: &Lists) -> Option<usize> {
    let is_method = |(key, _): &(String, Vec<Value>)| key == "topology.method";
    let has_words = |(_, values): &(String, Vec<Value>)| values[0].is_str();
    let words = lists.iter().position(is_method).or_else(|| lists.iter().position(has_words));
    words.or((!lists.is_empty()).then_some(0))
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

#[cfg(test)]
mod tests {
    use crate::data::Fold;

    use super::*;

    fn rows(text: &str) -> Result<Vec<Row>, Problem> {
        Ok(sweep(text, None)?.rows)
    }

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
            ["static-density-0.05", "static-density-0.5", "rigl-density-0.05", "rigl-density-0.5", "dense"]
        );
        assert_eq!((rows[2].group.as_str(), rows[2].label.as_str()), ("rigl", "density-0.05"));
        assert_eq!((rows[0].rest.as_str(), rows[2].rest.as_str()), ("density-0.05", "density-0.05"));
        assert!(rows.iter().all(|row| row.runs.iter().map(|run| run.seed).eq([4, 7])));
        let settings = &rows[3].runs[1].settings;
        assert_eq!((settings.seed, settings.train.epochs, settings.sparsity.density), (7, 3, 0.5));
        assert_eq!(
            (settings.network.hidden.as_slice(), settings.topology.method.name()),
            (&[32][..], "rigl")
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
    fn folds_repeat_each_seed() {
        let text = "
            [compare]
            folds = 2
            [sweep]
            optimizer.learning_rate = [0.1, 0.01]
            seed = [4, 7]";
        let folders =
            |sweep: &Sweep| -> Vec<String> { sweep.rows[0].runs.iter().map(|run| run.folder()).collect() };
        let two = sweep(text, None).unwrap();
        let folds = ["seed-4-fold-1-of-2", "seed-4-fold-2-of-2", "seed-7-fold-1-of-2", "seed-7-fold-2-of-2"];
        assert_eq!((two.folds, folders(&two)), (Some(2), folds.map(String::from).to_vec()));
        let run = &two.rows[1].runs[3];
        assert_eq!((run.seed, run.settings.data.fold), (7, Some(Fold { number: 2, of: 2 })));
        // Without words the first list makes the groups.
        assert_eq!((two.rows[1].group.as_str(), two.rows[1].rest.as_str()), ("learning_rate-0.01", ""));
        assert_eq!(sweep(text, Some(5)).unwrap().rows[0].runs.len(), 10);
    }

    #[test]
    fn sparsity_is_one_minus_density() {
        let text = "
            [sweep]
            sparsity.sparsity = [0.95, 0.7]
            network.hidden = [[8], [4]]";
        let rows = rows(text).unwrap();
        let densities: Vec<f64> = rows.iter().map(|row| row.runs[0].settings.sparsity.density).collect();
        assert_eq!(densities, [0.05, 0.05, 0.3, 0.3, 1.0, 1.0]);
        let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(
            names[2..],
            ["sparsity-0.7-hidden-8", "sparsity-0.7-hidden-4", "dense-hidden-8", "dense-hidden-4"]
        );
    }

    #[test]
    fn mistakes_are_named() {
        for (text, words) in [
            (
                "[bas]\nseed = 1",
                "line 1: unknown field `bas`, expected one of `compare`, `base`, `sweep`, `run`; did you mean `base`?",
            ),
            ("[compare]\nfolds = 1", "compare.folds: give 2 or more"),
            (
                "[compare]\nfolds = 2\n[base]\ndata.fold = '1/2'",
                "data.fold: each run is given one of the folds",
            ),
            (
                "[sweep]\nsparsity.sparsity = [0.5, 1.0]",
                "sparsity.sparsity: 1.0 is not a number from 0 to below 1",
            ),
            (
                "[sweep]\nsparsity.sparsity = [0.5]\nsparsity.density = [0.5]",
                "sweep.sparsity.sparsity: says the same as sparsity.density",
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
            (
                "[base]\nsparsity = { density = 0.5, sparsity = 0.5 }",
                "[base]: sparsity.sparsity: says the same as sparsity.density, which is there too",
            ),
            (
                "[[run]]\nname = 'x'\nsparsity = { density = 0.5, sparsity = 0.5 }",
                "[[run]] x: sparsity.sparsity: says the same as sparsity.density, which is there too",
            ),
            (
                "[sweep]\nsparsity.density = [0.5]\n[[run]]\nname = 'x'\nsparsity.sparsity = 0.3",
                "[[run]] x: sparsity.sparsity is in [sweep] too",
            ),
            ("[[run]]\nname = 'table.md'", "[[run]] \"table.md\": is the name of a file of the report"),
            ("[[run]]\ntrain.epochs = 3", "[[run]] number 1 needs a name"),
            ("[[run]]\nname = '../x'", "[[run]] \"../x\": a name is made of"),
            ("[[run]]\nname = 'x'\nseed = 3", "[[run]] x: seed: every run"),
            (
                "[sweep]\ntrain.epochs = [1]\n[[run]]\nname = 'x'\ntrain.epochs = 3",
                "[[run]] x: train.epochs is in [sweep] too",
            ),
        ] {
            let error = rows(text).err().unwrap_or_else(|| panic!("{text}"));
            assert!(error.contains(words), "{text}: {error}");
        }
        let error = rows(&format!("[sweep]\nnetwork.hidden = [[{}]]", "64,".repeat(100))).err().unwrap();
        assert!(error.contains("-64x64x64") && error.contains("is too long for a folder; name"), "{error}");
    }
}
