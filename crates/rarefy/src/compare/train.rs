//! Trains the runs of a sweep, several at a time.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::jobs::Jobs;
use super::result::{self, Ended};
use super::{Event, Listener, Task, Went};
use crate::train::{self, Ending, Outcome, Run};
use crate::{Control, Error, Result};

/// Trains all, in their order, and returns the reasons of those that failed by something other than their settings (a
/// full disk), by position; all other ends stand in the runs' folders.
pub fn train_all(tasks: &[Task<'_>], jobs: &Jobs, listener: &dyn Listener) -> Vec<(usize, String)> {
    let epochs = tasks.iter().map(|task| task.run.settings.train.epochs).sum();
    listener.tell(&Event::Begins { runs: tasks.len(), epochs, jobs });
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..jobs.count {
            scope.spawn(|| {
                while listener.control() == Control::Continue {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(task) = tasks.get(index) else { break };
                    let how = train_one(task, jobs, listener).unwrap_or_else(|error| {
                        let reason = whole_text(&error);
                        failures.lock().expect("no thread panics with it").push((index, reason.clone()));
                        Went::Failed(reason)
                    });
                    listener.tell(&Event::Ended { row: task.row, run: task.run, how: &how });
                }
            });
        }
    });
    failures.into_inner().expect("no thread panics with it")
}

/// An error with what the system says of it.
fn whole_text(error: &Error) -> String {
    match error {
        Error::Io { source, .. } => format!("{error}: {source}"),
        error => error.to_string(),
    }
}

/// Trains one run, from its start or its checkpoint, and writes down how it ended.
fn train_one(task: &Task<'_>, jobs: &Jobs, listener: &dyn Listener) -> Result<Went> {
    let mut settings = task.run.settings.clone();
    settings.threads = if settings.threads == 0 { jobs.threads } else { settings.threads };
    let mut run = if task.begun {
        Run::resume(&task.folder, |then| then.threads = settings.threads)?
    } else {
        Run::start(settings, Some(&task.folder))?
    };
    let batch_size = task.run.settings.train.batch_size_for(run.trainer().splits().train.len());
    if run.trainer().batch_size() != batch_size {
        let problem = format!(
            "{} was trained with {}, now the sweep says {batch_size}; change it back, choose another folder for the \
             comparison, or remove that folder to train it again",
            task.folder.display(),
            run.trainer().batch_size()
        );
        return Err(Error::setting("train.batch_size", problem));
    }
    listener.tell(&Event::Skipped { epochs: run.trainer().epochs_done() });
    let trained = run.train(&mut |event| {
        if let train::Event::Epoch { record, .. } = event {
            listener.tell(&Event::Epoch { row: task.row, run: task.run, record });
        }
        listener.control()
    });
    let went = match trained {
        Ok(outcome) if outcome.ending == Ending::Interrupted => return Ok(Went::Interrupted),
        Ok(Outcome { emptied: Some(emptied), .. }) => Went::Failed(emptied.to_string()),
        // Nor would they be judged by anything the next time.
        Ok(Outcome { test: Some(test), .. }) if !test.loss().is_finite() => Went::Failed(format!(
            "the loss on the test part is {}: look there for numbers far beyond those of the training part",
            test.loss()
        )),
        Ok(outcome) => {
            listener.tell(&Event::Skipped { epochs: run.trainer().settings().train.epochs - outcome.epochs });
            Went::Finished(result::figures(run.trainer(), &outcome, &task.folder, jobs.count)?)
        }
        // The same settings would diverge in the same step again.
        Err(Error::Diverged { step, what, .. }) => Went::Failed(format!(
            "step {step}: {what} is not finite; lower optimizer.learning_rate or set optimizer.clip_norm"
        )),
        Err(error) => return Err(error),
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
