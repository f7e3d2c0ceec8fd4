//! `rarefy inspect RUN --inputs`: which inputs a model still uses, what leaves each, and what each is worth.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use rarefy::data::Dataset;
use rarefy::report::{InputReport, coefficient_table, count};
use rarefy::train::{Model, permutation_importance, thread_pool};
use serde::Serialize;

use crate::apply::{files_read, load_new, open_model, refuse_overwriting, splits_of_run, write_output};
use crate::arguments::named_path;
use crate::output::Output;

/// Shuffles of each feature.
pub const REPEATS: usize = 5;

/// Samples at most that importance is measured on: its standard error tells whether they were enough.
pub const MOST_SAMPLES: usize = 2000;

/// Features at most that a person is shown.
const MOST_LINES: usize = 40;

/// What to tell of the inputs.
#[derive(clap::Args)]
pub struct InputsArgs {
    /// List the inputs by name: connections that leave each, their norm, and what shuffling its values costs on the run's
    /// validation part
    #[arg(long, requires = "path")]
    inputs: bool,
    /// Write the whole list as CSV
    #[arg(long, value_name = "FILE", requires = "inputs", value_parser = named_path)]
    csv: Option<PathBuf>,
}

#[derive(Serialize)]
struct Found<'a> {
    path: &'a Path,
    /// What importance was measured on; absent where it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    measured_on: Option<String>,
    #[serde(flatten)]
    report: InputReport,
}

impl InputsArgs {
    /// Whether inputs are to be listed.
    pub fn is_asked(&self) -> bool {
        self.inputs
    }
}

/// Lists the inputs of the model at `path`; `data` is what importance is measured on instead of the run's validation part.
pub fn run(path: &Path, data: Option<&str>, args: &InputsArgs, output: &Output) -> Result<()> {
    if let Some(file) = &args.csv {
        refuse_overwriting(file, files_read(path, data))?;
    }
    let model = open_model(path)?;
    let mut report =
        InputReport::of(&model).with_context(|| format!("{}: has no inputs to list", path.display()))?;
    let mut note = None;
    let samples = match data {
        Some(file) => {
            Some((file.to_string(), load_new(path, &model.config.preparation, file, true, false)?.dataset))
        }
        None => match validation_part(path, &model) {
            Ok(found) => Some(found),
            // The rest of the list needs no samples.
            Err(error) => {
                note = Some(format!("{error:#}"));
                None
            }
        },
    };
    let mut measured_on = None;
    if let Some((name, dataset)) = samples {
        match thread_pool(0)?.install(|| measure(&mut report, &model, &dataset, MOST_SAMPLES)) {
            Ok(samples) => {
                let of =
                    if samples < dataset.len() { format!(" of {}", dataset.len()) } else { String::new() };
                measured_on = Some(format!("{name}, {samples}{of} samples"));
            }
            Err(error) if data.is_some() => bail!("{name}: {error}"),
            Err(error) => note = Some(error.to_string()),
        }
    }
    if let Some(file) = &args.csv {
        write_output(file, |out| write_csv(out, &report))?;
    }
    let found = Found { path, measured_on, report };
    output.show(&text(&found, output.width()));
    if let Some(note) = note {
        output.say(&format!("note: importance was not measured: {note}"));
    }
    if let Some(file) = &args.csv {
        output.say(&format!("written to {}", file.display()));
    }
    output.json(&found)
}

/// The validation part of the run in a model's folder, and what it is called.
fn validation_part(path: &Path, model: &Model) -> Result<(String, Dataset)> {
    let splits = splits_of_run(path, model, "give samples by --data")?.1;
    match splits.validation {
        Some(dataset) => Ok(("the run's validation part".into(), dataset)),
        None => bail!("the run kept no validation part apart; give samples by --data"),
    }
}

/// Measures what each feature is worth on at most `most` samples, in the threads that it is called in; on how many is returned.
pub fn measure(
    report: &mut InputReport,
    model: &Model,
    dataset: &Dataset,
    most: usize,
) -> rarefy::Result<usize> {
    let all = dataset.len();
    let groups = report.groups();
    let found = if all <= most {
        permutation_importance(model, dataset, &groups, REPEATS, 0)?
    } else {
        // Every k-th, so that a sorted file counts as a whole.
        let chosen: Vec<usize> = (0..most).map(|place| place * all / most).collect();
        permutation_importance(model, &dataset.subset(&chosen), &groups, REPEATS, 0)?
    };
    let samples = found.samples;
    report.add_importance(found);
    Ok(samples)
}

fn text(found: &Found, width: usize) -> String {
    let report = &found.report;
    let (by, used) = (report.by, report.used);
    let mut parts = vec![format!(
        "{}: {} of {} {by}s are used{}",
        found.path.display(),
        count(used),
        count(report.inputs),
        if used < report.inputs { "; the others change no prediction" } else { "" }
    )];
    parts.push(report.table(MOST_LINES).text(width));
    if used > MOST_LINES {
        parts.push(format!("{} more: --csv FILE or --json has all", count(used - MOST_LINES)));
    }
    if let (Some(score), Some(on)) = (&report.score, &found.measured_on) {
        parts.push(format!(
            "{} of them are important: shuffled, they cost more than 3 standard errors\n\
             importance is by how much {} {:.4} gets worse then, mean of {} shuffles,\non {on}",
            report.important().unwrap_or(0),
            score.name,
            score.value,
            score.repeats
        ));
    }
    parts.extend(match &report.coefficients[..] {
        [] => None,
        [one] => {
            let table = coefficient_table(one, MOST_LINES).text(width);
            Some(format!("{table}\nfor numbers as the file has them"))
        }
        several => Some(format!("coefficients of {} outputs: --csv FILE or --json has them", several.len())),
    });
    parts.join("\n\n")
}

/// A line for each feature; of a linear model for each value of a category and the intercept too, and a column for each output.
fn write_csv(out: &mut dyn Write, report: &InputReport) -> std::io::Result<()> {
    let mut csv = csv::Writer::from_writer(out);
    let outputs = &report.coefficients;
    let mut header = vec![report.by.to_string(), "weights".into(), "norm".into()];
    if report.score.is_some() {
        header.extend(["importance".into(), "standard_error".into()]);
    }
    header.extend(outputs.iter().map(|of| format!("coefficient of {}", of.output)));
    csv.write_record(&header)?;
    let tables: Vec<HashMap<&str, f64>> = outputs
        .iter()
        .map(|of| of.terms.iter().map(|(name, value)| (name.as_str(), *value)).collect())
        .collect();
    let coefficients = |name: &str| -> Vec<String> {
        tables.iter().map(|of| of.get(name).map_or(String::new(), f64::to_string)).collect()
    };
    let blank = vec![String::new(); header.len() - 1 - outputs.len()];
    for feature in &report.features {
        let mut row = vec![feature.name.clone(), feature.nnz.to_string(), feature.norm.to_string()];
        row.extend(
            feature
                .importance
                .iter()
                .flat_map(|it| [it.importance.to_string(), it.standard_error.to_string()]),
        );
        csv.write_record(row.into_iter().chain(coefficients(&feature.name)))?;
    }
    let features: HashSet<&str> = report.features.iter().map(|feature| feature.name.as_str()).collect();
    let values: BTreeSet<&str> = tables.iter().flat_map(HashMap::keys).copied().collect();
    for value in values.into_iter().filter(|value| !features.contains(value)) {
        let row = std::iter::once(value.to_string()).chain(blank.clone());
        csv.write_record(row.chain(coefficients(value)))?;
    }
    if !outputs.is_empty() {
        let row = std::iter::once("(intercept)".to_string()).chain(blank);
        csv.write_record(row.chain(outputs.iter().map(|of| of.intercept.to_string())))?;
    }
    csv.flush()
}
