//! `rarefy compare`: every run of a sweep, in folders that the other verbs understand, and a table that says which
//! differences are more than chance.

mod progress;

use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};
use rarefy::compare::{self, Comparison, Planned, Row, Shard, State, Summary, Sweep};
use rarefy::report::table;
use serde_json::json;

use crate::arguments::named_path;
use crate::interrupt::watch_for_interrupt;
use crate::output::Output;
use crate::text_plot::text_plot;
use progress::Progress;

/// Arguments of `rarefy compare`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  rarefy compare sweep.toml                     trains what is missing, then shows table and plot
  rarefy compare sweep.toml --dry-run           lists the runs
  rarefy compare sweep.toml --folds 5           cross-validation: five runs a row and seed
  rarefy compare sweep.toml --jobs 1            one run at a time, for undisturbed times
  rarefy compare sweep.toml --baseline rigl-density-0.1 --json
  rarefy compare sweep.toml --shard 3/8         the third of eight machines, or of a job array; then once without --shard

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
    /// Train only every K-th run, from the I-th on, beside other machines that share the folder; the report is made by the same command
    /// without it
    #[arg(long, value_name = "I/K", conflicts_with = "dry_run")]
    shard: Option<Shard>,
    /// List the runs and how far they are, and stop
    #[arg(long)]
    dry_run: bool,
}

/// Compares.
pub fn run(args: &CompareArgs, output: &Output) -> Result<()> {
    let sweep = Sweep::read(&args.sweep, args.folds)?;
    let stem = args.sweep.file_stem().unwrap_or(args.sweep.as_os_str());
    let out = args.out.clone().unwrap_or_else(|| Path::new("compare").join(stem));
    let comparison = Comparison::new(sweep, args.baseline.as_deref(), &out)?;
    if args.dry_run {
        return list(&comparison, &out, output);
    }
    let interrupt = watch_for_interrupt()?;
    let total = comparison.runs().count();
    let done = comparison.runs().filter(|(_, _, state)| matches!(state, State::Ended(_))).count();
    output.say(&format!(
        "{total} runs in {} rows{}, {done} done already, in {}",
        comparison.sweep().rows.len(),
        comparison.sweep().folds.map_or(String::new(), |folds| format!(", {folds} folds")),
        out.display()
    ));
    let progress = Progress::new(output, interrupt);
    let jobs = args.jobs.map(usize::from);
    let again = again(args);
    if let Some(shard) = args.shard {
        let failed = comparison.train_shard(shard, jobs, &progress);
        progress.finish();
        let failed = failed?;
        if interrupt.is_raised() {
            bail!("interrupted; the same command goes on: {again} --shard {shard}");
        }
        ensure!(failed == 0, "{failed} runs of shard {shard} failed; {again} tells why");
        output.say(&format!("shard {shard} is done; when all are, {again} makes the report"));
        return output.json(&json!({ "folder": out, "shard": shard.to_string() }));
    }
    let compared = comparison.train(jobs, &progress);
    progress.finish();
    let compared = compared?;
    let title = stem.to_string_lossy();
    let value = compared.write(&title, Some(&args.sweep))?;
    show(&compared.summary, &title, &out, output);
    output.json(&value)?;

    let failed: usize = compared.summary.rows.iter().map(|row| row.failed).sum();
    if interrupt.is_raised() {
        bail!("interrupted; the same command goes on: {again}");
    }
    ensure!(failed == 0, "{failed} of {total} runs failed; the notes tell why");
    Ok(())
}

/// The command that goes on in the same folder.
fn again(args: &CompareArgs) -> String {
    let mut command = format!("rarefy compare {}", args.sweep.display());
    for (flag, value) in [
        ("--out", args.out.as_ref().map(|out| out.display().to_string())),
        ("--folds", args.folds.map(|folds| folds.to_string())),
        ("--baseline", args.baseline.clone()),
        ("--jobs", args.jobs.map(|jobs| jobs.to_string())),
    ] {
        command += &value.map_or(String::new(), |value| format!(" {flag} {value}"));
    }
    command
}

/// Shows the runs and where they stand.
fn list(comparison: &Comparison, out: &Path, output: &Output) -> Result<()> {
    let word = |state: &State| match state {
        State::New => "new",
        State::Begun => "to go on",
        State::Ended(_) => "done",
    };
    let runs: Vec<(&Row, &Planned, &str)> =
        comparison.runs().map(|(row, run, state)| (row, run, word(state))).collect();
    let lines =
        runs.iter().map(|(row, run, state)| vec![row.name.clone(), run.repetition(), state.to_string()]);
    output.show(&format!(
        "{}\nin {}",
        table(&["row", "run", "state"], lines).text(output.width()),
        out.display()
    ));
    let object = |(row, run, state): &(&Row, &Planned, &str)| json!({"row": row.name, "seed": run.seed, "fold": run.fold, "state": state, "folder": row.folder(run)});
    let objects = runs.iter().map(object);
    output.json(&json!({ "folder": out, "runs": objects.collect::<Vec<_>>() }))
}

/// Shows the table, what to know about it, and the plot.
fn show(summary: &Summary, title: &str, out: &Path, output: &Output) {
    let mut shown = format!("\n{}\n", compare::table_of(summary).text(output.width()));
    for note in compare::notes(summary) {
        shown.push_str(&format!("{note}\n"));
    }
    // One point makes no plot.
    if summary.rows.iter().filter(|row| row.figures.is_some()).count() > 1 {
        shown.push_str(&format!("\n{}\n", text_plot(&compare::chart(summary, title), output)));
    }
    output.show(&shown);
    output.say(&format!(
        "\nin {}: table.md (all columns), results.json, pareto.svg, a folder a row",
        out.display()
    ));
}
