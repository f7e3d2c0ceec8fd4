//! `rarefy compare`: every run of a sweep, in folders that the other verbs understand, and a table that says which
//! differences are more than chance.

mod baseline;
mod dense;
mod jobs;
mod result;
mod row;
mod score;
mod show;
mod summary;
mod sweep;
mod train;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use rarefy::data;
use rarefy::train::{RunDirectory, Settings};
use serde_json::json;

use crate::arguments::named_path;
use crate::interrupt::watch_for_interrupt;
use crate::output::Output;
use crate::text_plot::text_plot;
use baseline::Baseline;
use rarefy::report::table;
use result::State;
use row::{Planned, Row};
use summary::{RunSummary, Summary};
use sweep::Sweep;

/// Arguments of `rarefy compare`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  rarefy compare sweep.toml                     trains what is missing, then shows table and plot
  rarefy compare sweep.toml --dry-run           lists the runs
  rarefy compare sweep.toml --folds 5           cross-validation: five runs a row and seed
  rarefy compare sweep.toml --jobs 1            one run at a time, for undisturbed times
  rarefy compare sweep.toml --baseline rigl-density-0.1 --json

A sweep file:
  [base]                                        # settings of all runs, as in train --config
  data.path = \"digits\"
  train.epochs = 10

  [sweep]                                       # every combination; all keys but seed make rows
  topology.method = [\"static\", \"rigl\"]
  sparsity.density = [0.1, 0.01]                # or sparsity.sparsity = [0.9, 0.99]
  seed = [0, 1, 2]

  [compare]
  folds = 5                                     # as --folds

  [[run]]                                       # instead of lists, or crossed with them:
  name = \"slow-rigl\"                            # a row with settings of its own
  topology = { method = \"rigl\", fraction = 0.1 }

A list of densities gets a row dense. Rows are compared with the first value of the list of methods (or of words, or of the \
first list) at equal values of the others: rigl with static, each at its density. --baseline names another of its values, \
or one row for all. p allows for training parts that share samples (docs/comparing.md).

Each run is a folder DIR/ROW/seed-N, or DIR/ROW/seed-N-fold-I-of-K, for evaluate, predict and inspect. Runs that are done are skipped and interrupted \
ones go on, so call it again after an interruption or with more seeds; runs on other settings or on data that has \
changed since are refused. The model of a run is the best one on the \
validation part, or with train.keep_best = false the last one. DIR gets table.md, results.json and pareto.svg. Scores \
do not depend on --jobs; seconds do.")]
pub struct CompareArgs {
    /// The sweep, a TOML file
    #[arg(value_parser = named_path)]
    sweep: PathBuf,
    /// The folder for the runs and the report [default: compare/NAME OF THE FILE]
    #[arg(long, value_name = "DIR", value_parser = named_path)]
    out: Option<PathBuf>,
    /// Runs at the same time [default: as many as cores and memory allow]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Folds of a cross-validation: each is the test part of a run, for each seed; a test part of the data's own is left alone
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(2..))]
    folds: Option<u32>,
    /// The row, or the method, that others are compared with [default: the method of the first row]
    #[arg(long, value_name = "ROW")]
    baseline: Option<String>,
    /// List the runs and how far they are, and stop
    #[arg(long)]
    dry_run: bool,
}

/// A run that needs training.
pub struct Task<'a> {
    row: &'a Row,
    run: &'a Planned,
    folder: PathBuf,
    /// Whether there is a checkpoint to go on from.
    begun: bool,
}

/// Compares.
pub fn run(args: &CompareArgs, output: &Output) -> Result<()> {
    let sweep = sweep::read(&args.sweep, args.folds)?;
    let rows = &sweep.rows;
    let baseline = Baseline::find(rows, args.baseline.as_deref())?;
    let stem = args.sweep.file_stem().unwrap_or(args.sweep.as_os_str());
    let out = args.out.clone().unwrap_or_else(|| Path::new("compare").join(stem));
    ensure!(!out.join("config.toml").exists(), "{}: is a run's folder; choose another --out", out.display());
    let states = states(rows, &out)?;
    if args.dry_run {
        return list(rows, &states, &out, output);
    }
    std::fs::create_dir_all(&out).with_context(|| format!("{}: cannot create the folder", out.display()))?;
    let directory =
        RunDirectory::open(&out).context("is another compare at work here? choose another --out")?;

    let each = || rows.iter().flat_map(|row| row.runs.iter().map(move |run| (row, run)));
    let tasks: Vec<Task<'_>> = each()
        .zip(states.iter().flatten())
        .filter(|(_, state)| !matches!(state, State::Ended(_)))
        .map(|((row, run), state)| Task {
            row,
            run,
            folder: out.join(folder(row, run)),
            begun: matches!(state, State::Begun),
        })
        .collect();
    let interrupt = watch_for_interrupt()?;
    let total = each().count();
    output.say(&format!(
        "{total} runs in {} rows{}, {} done already, in {}",
        rows.len(),
        sweep.folds.map_or(String::new(), |folds| format!(", {folds} folds")),
        total - tasks.len(),
        out.display()
    ));
    let mut failures = Vec::new();
    if !tasks.is_empty() {
        check_data(rows, &states, &out)?;
        let jobs = jobs::share(&tasks, args.jobs.map(usize::from))?;
        output.say(&format!("{} at a time, {} threads each ({})", jobs.count, jobs.threads, jobs.reason));
        failures = train::train_all(&tasks, &jobs, interrupt, output);
    }
    let failure = |folder: &Path| {
        let found = failures.iter().find(|(index, _)| tasks[*index].folder == folder);
        found.map(|(_, reason)| reason.clone())
    };
    let summary = summarise(&sweep, &out, &baseline, failure)?;
    report(args, &summary, &directory, output)?;

    let failed: usize = summary.rows.iter().map(|row| row.failed).sum();
    if interrupt.is_raised() {
        bail!("interrupted; the same command goes on: rarefy compare {}", args.sweep.display());
    }
    ensure!(failed == 0, "{failed} of {total} runs failed; the notes tell why");
    Ok(())
}

/// A run's folder, within that of the comparison.
fn folder(row: &Row, run: &Planned) -> String {
    format!("{}/{}", row.name, run.folder())
}

/// Where each run of each row stands. Before anything is trained, this finds runs that contradict the sweep.
fn states(rows: &[Row], out: &Path) -> Result<Vec<Vec<State>>> {
    let of_row = |row: &Row| {
        row.runs.iter().map(|run| result::state(&out.join(folder(row, run)), &run.settings)).collect()
    };
    rows.iter().map(of_row).collect()
}

/// That the runs which are done were trained on what the data is now, as those to come will be: one table tells of one
/// data set.
fn check_data(rows: &[Row], states: &[Vec<State>], out: &Path) -> Result<()> {
    let mut known: Vec<(&Settings, u64)> = Vec::new();
    for (row, states) in rows.iter().zip(states) {
        for (run, state) in row.runs.iter().zip(states) {
            let State::Ended(result) = state else { continue };
            let settings = &run.settings;
            let is_same = |it: &Settings| it.data == settings.data && it.seed == settings.seed;
            let found = known.iter().find(|(other, _)| is_same(other)).map(|(_, fingerprint)| *fingerprint);
            let fingerprint = match found {
                Some(fingerprint) => fingerprint,
                None => {
                    let fingerprint = data::load(&settings.data, settings.seed)?.fingerprint();
                    known.push((settings, fingerprint));
                    fingerprint
                }
            };
            ensure!(
                result.is_of(fingerprint),
                "{}: was trained on other data: {} has changed since; put it back, choose another --out, or remove \
                 that folder to train it again",
                out.join(folder(row, run)).display(),
                settings.data.path
            );
        }
    }
    Ok(())
}

/// Shows the runs and where they stand.
fn list(rows: &[Row], states: &[Vec<State>], out: &Path, output: &Output) -> Result<()> {
    let word = |state: &State| match state {
        State::New => "new",
        State::Begun => "to go on",
        State::Ended(_) => "done",
    };
    let mut runs = Vec::new();
    for (row, states) in rows.iter().zip(states) {
        runs.extend(row.runs.iter().zip(states).map(|(run, state)| (row, run, word(state))));
    }
    let lines =
        runs.iter().map(|(row, run, state)| vec![row.name.clone(), run.repetition(), state.to_string()]);
    output.show(&format!(
        "{}\nin {}",
        table(&["row", "run", "state"], lines).text(output.width()),
        out.display()
    ));
    let object = |(row, run, state): &(&Row, &Planned, &str)| json!({"row": row.name, "seed": run.seed, "fold": run.fold, "state": state, "folder": folder(row, run)});
    let objects = runs.iter().map(object);
    output.json(&json!({ "folder": out, "runs": objects.collect::<Vec<_>>() }))
}

/// Reads what all runs left, those of this sitting too: a number read back is the same for every later call.
fn summarise(
    sweep: &Sweep,
    out: &Path,
    baseline: &Baseline,
    failure: impl Fn(&Path) -> Option<String>,
) -> Result<Summary> {
    let of_run = |row: &Row, run: &Planned| -> Result<RunSummary> {
        let name = folder(row, run);
        let path = out.join(&name);
        let failure = failure(&path);
        // A run that failed may have left nothing that can be read.
        let result = match failure {
            Some(_) => None,
            None => match result::state(&path, &run.settings)? {
                State::Ended(result) => Some(*result),
                State::New | State::Begun => None,
            },
        };
        Ok(RunSummary::new(run, name, result, failure))
    };
    let of_row = |row: &Row| row.runs.iter().map(|run| of_run(row, run)).collect::<Result<Vec<_>>>();
    Ok(Summary::new(sweep, sweep.rows.iter().map(of_row).collect::<Result<_>>()?, baseline))
}

/// Writes the report and shows it.
fn report(args: &CompareArgs, summary: &Summary, directory: &RunDirectory, output: &Output) -> Result<()> {
    let stem = args.sweep.file_stem().unwrap_or_default().to_string_lossy();
    let chart = show::chart(summary, &stem);
    let mut value = json!({ "sweep": args.sweep, "folder": directory.path() });
    let serde_json::Value::Object(fields) = serde_json::to_value(summary)? else {
        bail!("a summary is an object")
    };
    value.as_object_mut().expect("made as one").extend(fields);
    value["notes"] = json!(show::notes(summary));
    directory.write("results.json", &format!("{value:#}\n"))?;
    directory.write("table.md", &show::markdown(summary, &stem))?;
    directory.write("pareto.svg", &chart.to_svg())?;

    let mut shown = format!("\n{}\n", show::table_of(summary).text(output.width()));
    for note in show::notes(summary) {
        shown.push_str(&format!("{note}\n"));
    }
    // One point makes no plot.
    if summary.rows.iter().filter(|row| row.figures.is_some()).count() > 1 {
        shown.push_str(&format!("\n{}\n", text_plot(&chart, output)));
    }
    output.show(&shown);
    let folder = directory.path().display();
    output.say(&format!("\nin {folder}: table.md (all columns), results.json, pareto.svg, a folder a row"));
    output.json(&value)
}
