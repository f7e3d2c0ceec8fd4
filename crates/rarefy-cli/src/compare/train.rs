//! Trains the runs of a sweep, several at a time, with a line for each that ends.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rarefy::Error;
use rarefy::train::{Ending, Event, Outcome, Run};

use super::Task;
use super::jobs::Jobs;
use super::result::{self, Ended, Figures};
use super::score::Score;
use crate::interrupt::Interrupt;
use crate::output::Output;

/// How a run went in this sitting.
enum Went {
    Finished(Box<Figures>),
    /// The reason.
    Failed(String),
    Interrupted,
}

/// Trains all, in their order, and returns the reasons of those that failed by something other than their settings (a
/// full disk), by position; all other ends stand in the runs' folders.
pub fn train_all(
    tasks: &[Task<'_>],
    jobs: &Jobs,
    interrupt: &Interrupt,
    output: &Output,
) -> Vec<(usize, String)> {
    let progress = Progress::new(tasks, output);
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..jobs.count {
            scope.spawn(|| {
                while !interrupt.is_raised() {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(task) = tasks.get(index) else { break };
                    let went = train_one(task, jobs, interrupt, &progress).unwrap_or_else(|error| {
                        let reason = format!("{error:#}");
                        failures.lock().expect("no thread panics with it").push((index, reason.clone()));
                        Went::Failed(reason)
                    });
                    progress.tell(task, &went);
                }
            });
        }
    });
    progress.finish();
    failures.into_inner().expect("no thread panics with it")
}

/// Trains one run, from its start or its checkpoint, and writes down how it ended.
fn train_one(task: &Task<'_>, jobs: &Jobs, interrupt: &Interrupt, progress: &Progress<'_>) -> Result<Went> {
    let mut settings = task.run.settings.clone();
    settings.threads = if settings.threads == 0 { jobs.threads } else { settings.threads };
    let mut run = if task.begun {
        Run::resume(&task.folder, |then| then.threads = settings.threads)?
    } else {
        Run::start(settings, Some(&task.folder))?
    };
    let batch_size = task.run.settings.train.batch_size_for(run.trainer().splits().train.len());
    anyhow::ensure!(
        run.trainer().batch_size() == batch_size,
        "train.batch_size: {} was trained with {}, now the sweep says {batch_size}; change it back, choose another --out, or \
         remove that folder to train it again",
        task.folder.display(),
        run.trainer().batch_size()
    );
    progress.add_epochs(run.trainer().epochs_done(), false);
    let trained = run.train(&mut |event| {
        if let Event::Epoch { .. } = event {
            progress.add_epochs(1, true);
        }
        interrupt.control()
    });
    let went = match trained {
        Ok(outcome) if outcome.ending == Ending::Interrupted => return Ok(Went::Interrupted),
        Ok(Outcome { emptied: Some(emptied), .. }) => Went::Failed(emptied.to_string()),
        Ok(outcome) => {
            progress.add_epochs(run.trainer().settings().train.epochs - outcome.epochs, false);
            Went::Finished(result::figures(run.trainer(), &outcome, &task.folder, jobs.count)?)
        }
        // The same settings would diverge in the same step again.
        Err(Error::Diverged { step, what, .. }) => Went::Failed(format!(
            "step {step}: {what} is not finite; lower optimizer.learning_rate or set optimizer.clip_norm"
        )),
        Err(error) => return Err(error.into()),
    };
    let data = run.trainer().splits().fingerprint();
    // The run holds the folder's lock.
    drop(run);
    let ended = match &went {
        Went::Finished(figures) => Ended::Finished(figures.clone()),
        Went::Failed(reason) => Ended::Failed(reason.clone()),
        Went::Interrupted => unreachable!("returned above"),
    };
    result::write(&task.folder, &task.run.settings, data, ended)?;
    Ok(went)
}

/// What is done and what that lets expect, for all threads.
struct Progress<'a> {
    output: &'a Output,
    bar: Option<ProgressBar>,
    runs: usize,
    runs_done: AtomicUsize,
    epochs: u64,
    /// Epochs that need no training any more, and how many of them were trained in this sitting.
    epochs_done: AtomicU64,
    epochs_trained: AtomicU64,
    start: Instant,
}

impl<'a> Progress<'a> {
    fn new(tasks: &[Task<'_>], output: &'a Output) -> Progress<'a> {
        let epochs = tasks.iter().map(|task| task.run.settings.train.epochs).sum();
        let draws = !output.quiet && std::io::IsTerminal::is_terminal(&std::io::stderr());
        let bar = draws.then(|| {
            let bar = ProgressBar::with_draw_target(Some(epochs), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{bar:24} {percent:>3} %  {msg}");
            bar.set_style(style.expect("the template is right"));
            bar
        });
        let progress = Progress {
            output,
            bar,
            runs: tasks.len(),
            runs_done: AtomicUsize::new(0),
            epochs,
            epochs_done: AtomicU64::new(0),
            epochs_trained: AtomicU64::new(0),
            start: Instant::now(),
        };
        progress.draw();
        progress
    }

    fn add_epochs(&self, epochs: u64, trained: bool) {
        self.epochs_done.fetch_add(epochs, Ordering::Relaxed);
        if trained {
            self.epochs_trained.fetch_add(epochs, Ordering::Relaxed);
        }
        self.draw();
    }

    fn draw(&self) {
        if let Some(bar) = &self.bar {
            bar.set_position(self.epochs_done.load(Ordering::Relaxed));
            let done = self.runs_done.load(Ordering::Relaxed);
            bar.set_message(format!("{done} of {} runs{}", self.runs, self.rest()));
        }
    }

    /// A line for a run that ended.
    fn tell(&self, task: &Task<'_>, went: &Went) {
        let name = format!("{} {}", task.row.name, task.run.repetition());
        let words = match went {
            Went::Interrupted => format!("{name}: saved, can go on"),
            Went::Failed(reason) => format!("{name}: failed: {reason}"),
            Went::Finished(figures) => {
                let score = Score::of_all(std::iter::once(figures.as_ref()));
                let (factor, decimals, unit) = score.look();
                let value = factor * score.of(figures).unwrap_or(f64::NAN);
                format!("{name}: {} {value:.decimals$}{unit}", score.name())
            }
        };
        let ended = !matches!(went, Went::Interrupted);
        let done = self.runs_done.fetch_add(usize::from(ended), Ordering::Relaxed) + usize::from(ended);
        let width = self.runs.to_string().len();
        let rest = if done < self.runs && ended { self.rest() } else { String::new() };
        let line = format!("[{done:>width$}/{}] {words}{rest}", self.runs);
        match &self.bar {
            Some(bar) => bar.suspend(|| self.output.say(&line)),
            None => self.output.say(&line),
        }
        self.draw();
    }

    /// The time that the epochs to come will take at the pace so far, as words.
    fn rest(&self) -> String {
        let trained = self.epochs_trained.load(Ordering::Relaxed);
        let left = self.epochs.saturating_sub(self.epochs_done.load(Ordering::Relaxed));
        if trained == 0 {
            return String::new();
        }
        let seconds = self.start.elapsed().as_secs_f64() / trained as f64 * left as f64;
        format!(", ETA {}", clock(Duration::from_secs_f64(seconds)))
    }

    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// A duration in its two largest units.
pub fn clock(duration: Duration) -> String {
    match duration.as_secs_f64().round() as u64 {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        seconds => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}
