//! Comparing settings: every run of a sweep, in folders that can be gone on with, and a summary that says which differences are
//! more than chance.
//!
//! ```
//! use rarefy::compare::{Comparison, Event, Listener, Sweep};
//! use rarefy::Control;
//!
//! struct Quiet;
//! impl Listener for Quiet {
//!     fn tell(&self, _: &Event<'_>) {}
//!     fn control(&self) -> Control {
//!         Control::Continue
//!     }
//! }
//!
//! let table = "
//!     base = { data.path = 'digits', network.hidden = [16], train.epochs = 1 }
//!     sweep = { topology.method = ['static', 'rigl'], seed = [0, 1] }";
//! let folder = tempfile::tempdir().unwrap();
//! let comparison = Comparison::new(Sweep::of_table(&table.parse().unwrap(), None)?, None, folder.path())?;
//! let compared = comparison.train(None, &Quiet)?;
//! compared.write("static and rigl", None)?; // results.json, table.md, pareto.svg
//! assert_eq!(compared.summary.rows[1].finished, 2);
//! # Ok::<(), rarefy::Error>(())
//! ```

mod baseline;
mod dense;
mod jobs;
mod result;
mod row;
mod score;
mod shard;
mod show;
mod summary;
mod sweep;
mod train;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::train::{EpochRecord, RunDirectory, Settings};
use crate::{Control, Error, Result, data};
use baseline::Baseline;

pub use jobs::Jobs;
pub use result::{Ended, Figures, RunResult, State};
pub use row::{Planned, Row};
pub use score::Score;
pub use shard::Shard;
pub use show::{chart, markdown, notes, table_of};
pub use summary::{Difference, RowFigures, RowSummary, RunEnd, RunSummary, Summary, Test};
pub use sweep::Sweep;

/// A sweep with a folder for its runs.
pub struct Comparison {
    sweep: Sweep,
    baseline: Baseline,
    folder: PathBuf,
    states: Vec<Vec<State>>,
}

/// The files of the report, in the folder in which each row has one.
const REPORT: [&str; 3] = ["results.json", "table.md", "pareto.svg"];

/// A comparison whose runs have been trained, as far as nobody stopped them. Its folder is locked for as long as this lives.
pub struct Compared {
    /// What came out.
    pub summary: Summary,
    directory: RunDirectory,
}

/// What a comparison tells while it trains.
#[non_exhaustive]
pub enum Event<'a> {
    /// Training begins.
    Begins {
        /// The runs to be trained.
        runs: usize,
        /// All their epochs.
        epochs: u64,
        /// How they share the machine.
        jobs: &'a Jobs,
    },
    /// Epochs need no training: they were done in an earlier sitting, or their run has stopped early.
    Skipped {
        /// How many.
        epochs: u64,
    },
    /// An epoch of a run was trained.
    Epoch {
        /// The row of the run.
        row: &'a Row,
        /// The run.
        run: &'a Planned,
        /// Its figures.
        record: &'a EpochRecord,
    },
    /// A run has ended.
    Ended {
        /// The row of the run.
        row: &'a Row,
        /// The run.
        run: &'a Planned,
        /// How.
        how: &'a Went,
    },
}

/// How a run went in this sitting.
pub enum Went {
    /// To its end.
    Finished(Box<Figures>),
    /// The reason.
    Failed(String),
    /// Somebody stopped it; it can go on.
    Interrupted,
}

/// Who is told, by several threads at once, and may stop the training at any step.
pub trait Listener: Sync {
    /// Is told.
    fn tell(&self, event: &Event<'_>);
    /// Whether to go on.
    fn control(&self) -> Control;
}

/// A run that needs training.
struct Task<'a> {
    row: &'a Row,
    run: &'a Planned,
    folder: PathBuf,
    /// Whether there is a checkpoint to go on from.
    begun: bool,
}

impl Comparison {
    /// A comparison in a folder, which need not be there yet: runs that are done there are not trained again. `baseline` is the
    /// row, or the group of rows, that others are compared with; the group of the first row if not given.
    ///
    /// # Errors
    /// No row of that name; a folder that is a run's, or that holds runs of other settings.
    pub fn new(sweep: Sweep, baseline: Option<&str>, folder: &Path) -> Result<Comparison> {
        let baseline = Baseline::find(&sweep.rows, baseline)?;
        if folder.join("config.toml").exists() {
            return Err(Error::model(folder, "is a run's folder; choose another for the comparison"));
        }
        let of_row = |row: &Row| {
            row.runs.iter().map(|run| result::state(&folder.join(row.folder(run)), &run.settings)).collect()
        };
        let states = sweep.rows.iter().map(of_row).collect::<Result<_>>()?;
        Ok(Comparison { sweep, baseline, folder: folder.to_path_buf(), states })
    }

    /// What is compared.
    pub fn sweep(&self) -> &Sweep {
        &self.sweep
    }

    /// All runs, and where each stood when the comparison was made.
    pub fn runs(&self) -> impl Iterator<Item = (&Row, &Planned, &State)> {
        let rows = self.sweep.rows.iter().zip(&self.states);
        rows.flat_map(|(row, states)| row.runs.iter().zip(states).map(move |(run, state)| (row, run, state)))
    }

    /// Trains what is not done, so many runs at the same time, or as many as cores and memory allow, and sums up. Data is read in
    /// the caller's threads (rayon's), runs have their own.
    ///
    /// # Errors
    /// A folder that cannot be written or in which another comparison is at work; data that cannot be used, has no test part, or
    /// has changed since other runs were trained on it. A run that fails is told of in the summary.
    pub fn train(&self, jobs: Option<usize>, listener: &dyn Listener) -> Result<Compared> {
        let directory = locked(&self.folder)?;
        let failures = self.train_some(|_| true, jobs, listener)?;
        Ok(Compared { summary: self.summary(&failures)?, directory })
    }

    /// As [`train`](Comparison::train), but only the runs of a shard, beside other machines at work in the same folder, and without
    /// a summary: `train` makes it when all shards are done. Returns how many of the shard's runs have failed.
    ///
    /// # Errors
    /// As `train`'s; the same shard at work already.
    pub fn train_shard(&self, shard: Shard, jobs: Option<usize>, listener: &dyn Listener) -> Result<usize> {
        let _lock = locked(&self.folder.join(shard.lock_name()))?;
        let failures = self.train_some(|place| shard.has(place), jobs, listener)?;
        let mut failed = failures.len();
        for (_, (row, run, _)) in self.runs().enumerate().filter(|(place, _)| shard.has(*place)) {
            let folder = self.folder.join(row.folder(run));
            if let State::Ended(result) = result::state(&folder, &run.settings)? {
                failed += usize::from(matches!(result.ended, Ended::Failed(_)));
            }
        }
        Ok(failed)
    }

    /// Trains what is not done of the runs at some places, and returns the folders of those that could not be trained, and why.
    fn train_some(
        &self,
        is_wanted: impl Fn(usize) -> bool,
        jobs: Option<usize>,
        listener: &dyn Listener,
    ) -> Result<Vec<(PathBuf, String)>> {
        let wanted = self.runs().enumerate().filter(|(place, _)| is_wanted(*place)).map(|(_, run)| run);
        let open = wanted.filter(|(_, _, state)| !matches!(state, State::Ended(_)));
        let tasks: Vec<Task<'_>> = open
            .map(|(row, run, state)| Task {
                row,
                run,
                folder: self.folder.join(row.folder(run)),
                begun: matches!(state, State::Begun),
            })
            .collect();
        self.check_data()?;
        if tasks.is_empty() {
            return Ok(Vec::new());
        }
        let jobs = jobs::share(&tasks, jobs)?;
        let failures = train::train_all(&tasks, &jobs, listener);
        Ok(failures.into_iter().map(|(task, reason)| (tasks[task].folder.clone(), reason)).collect())
    }

    /// That the runs which are done were trained on what the data is now, as those to come will be: one table tells of one
    /// data set, the one that there is.
    fn check_data(&self) -> Result<()> {
        let mut known: Vec<(&Settings, u64)> = Vec::new();
        for (row, run, state) in self.runs() {
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
            if !result.is_of(fingerprint) {
                let problem = format!(
                    "was trained on other data: {} has changed since; put it back, choose another folder for the \
                     comparison, or remove this one to train it again",
                    settings.data.path
                );
                return Err(Error::model(&self.folder.join(row.folder(run)), problem));
            }
        }
        Ok(())
    }

    /// Reads what all runs left, those of this sitting too: a number read back is the same for every later call.
    fn summary(&self, failures: &[(PathBuf, String)]) -> Result<Summary> {
        let of_run = |row: &Row, run: &Planned| -> Result<RunSummary> {
            let name = row.folder(run);
            let path = self.folder.join(&name);
            let failure =
                failures.iter().find(|(failed, _)| *failed == path).map(|(_, reason)| reason.clone());
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
        let runs = self.sweep.rows.iter().map(of_row).collect::<Result<_>>()?;
        Ok(Summary::new(&self.sweep, runs, &self.baseline))
    }
}

/// A folder that nobody else is at work in.
fn locked(folder: &Path) -> Result<RunDirectory> {
    std::fs::create_dir_all(folder).map_err(Error::io(folder, "cannot create the folder"))?;
    RunDirectory::open(folder)
}

impl Compared {
    /// Writes `results.json`, `table.md` and `pareto.svg`, and returns what stands in the first. `sweep` is the file that it was
    /// read from, if there is one.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn write(&self, title: &str, sweep: Option<&Path>) -> Result<Value> {
        let mut value = json!({ "sweep": sweep, "folder": self.directory.path() });
        let summary = serde_json::to_value(&self.summary).expect("a summary is plain data");
        let Value::Object(fields) = summary else { unreachable!("a summary is an object") };
        value.as_object_mut().expect("made as one").extend(fields);
        value["notes"] = json!(notes(&self.summary));
        let [results, table, plot] = REPORT;
        self.directory.write(results, &format!("{value:#}\n"))?;
        self.directory.write(table, &markdown(&self.summary, title))?;
        self.directory.write(plot, &chart(&self.summary, title).to_svg())?;
        Ok(value)
    }
}

impl Went {
    /// In words: the score, or what went wrong.
    pub fn words(&self) -> String {
        match self {
            Went::Interrupted => "saved, can go on".into(),
            Went::Failed(reason) => format!("failed: {reason}"),
            Went::Finished(figures) => {
                let score = Score::of_all(std::iter::once(figures.as_ref()));
                let (factor, decimals, unit) = score.look();
                let value = factor * score.of(figures).unwrap_or(f64::NAN);
                format!("{} {value:.decimals$}{unit}", score.name())
            }
        }
    }
}
