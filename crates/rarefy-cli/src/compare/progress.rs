//! What is done and what that lets expect, on a bar, and a line for each run that ends.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rarefy::Control;
use rarefy::compare::{Event, Listener, Went};

use crate::interrupt::Interrupt;
use crate::output::Output;

/// Progress of all threads.
pub struct Progress<'a> {
    output: &'a Output,
    interrupt: &'a Interrupt,
    bar: Option<ProgressBar>,
    plan: OnceLock<Plan>,
    runs_done: AtomicUsize,
    /// Epochs that need no training any more, and how many of them were trained in this sitting.
    epochs_done: AtomicU64,
    epochs_trained: AtomicU64,
}

/// What is to be done.
struct Plan {
    runs: usize,
    epochs: u64,
    start: Instant,
}

impl Listener for Progress<'_> {
    fn tell(&self, event: &Event<'_>) {
        match event {
            Event::Begins { runs, epochs, jobs } => {
                let (count, threads, reason) = (jobs.count, jobs.threads, &jobs.reason);
                self.output.say(&format!("{count} at a time, {threads} threads each ({reason})"));
                self.plan.get_or_init(|| Plan { runs: *runs, epochs: *epochs, start: Instant::now() });
                if let Some(bar) = &self.bar {
                    bar.set_length(*epochs);
                }
                self.draw();
            }
            Event::Skipped { epochs } => self.add_epochs(*epochs, false),
            Event::Epoch { .. } => self.add_epochs(1, true),
            Event::Ended { row, run, how } => self.end(&format!("{} {}", row.name, run.repetition()), how),
            _ => {}
        }
    }

    fn control(&self) -> Control {
        self.interrupt.control()
    }
}

impl<'a> Progress<'a> {
    /// Nothing done yet.
    pub fn new(output: &'a Output, interrupt: &'a Interrupt) -> Progress<'a> {
        let draws = !output.quiet && std::io::IsTerminal::is_terminal(&std::io::stderr());
        let bar = draws.then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{bar:24} {percent:>3} %  {msg}");
            bar.set_style(style.expect("the template is right"));
            bar
        });
        Progress {
            output,
            interrupt,
            bar,
            plan: OnceLock::new(),
            runs_done: AtomicUsize::new(0),
            epochs_done: AtomicU64::new(0),
            epochs_trained: AtomicU64::new(0),
        }
    }

    fn add_epochs(&self, epochs: u64, trained: bool) {
        self.epochs_done.fetch_add(epochs, Ordering::Relaxed);
        if trained {
            self.epochs_trained.fetch_add(epochs, Ordering::Relaxed);
        }
        self.draw();
    }

    fn runs(&self) -> usize {
        self.plan.get().map_or(0, |plan| plan.runs)
    }

    fn draw(&self) {
        if let Some(bar) = &self.bar {
            bar.set_position(self.epochs_done.load(Ordering::Relaxed));
            let done = self.runs_done.load(Ordering::Relaxed);
            bar.set_message(format!("{done} of {} runs{}", self.runs(), self.rest()));
        }
    }

    /// A line for a run that ended.
    fn end(&self, name: &str, how: &Went) {
        let runs = self.runs();
        let ended = !matches!(how, Went::Interrupted);
        let done = self.runs_done.fetch_add(usize::from(ended), Ordering::Relaxed) + usize::from(ended);
        let width = runs.to_string().len();
        let rest = if done < runs && ended { self.rest() } else { String::new() };
        let line = format!("[{done:>width$}/{runs}] {name}: {}{rest}", how.words());
        match &self.bar {
            Some(bar) => bar.suspend(|| self.output.say(&line)),
            None => self.output.say(&line),
        }
        self.draw();
    }

    /// The time that the epochs to come will take at the pace so far, as words.
    fn rest(&self) -> String {
        let trained = self.epochs_trained.load(Ordering::Relaxed);
        let (Some(plan), true) = (self.plan.get(), trained > 0) else { return String::new() };
        let left = plan.epochs.saturating_sub(self.epochs_done.load(Ordering::Relaxed));
        let seconds = plan.start.elapsed().as_secs_f64() / trained as f64 * left as f64;
        format!(", ETA {}", clock(Duration::from_secs_f64(seconds)))
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// A duration in its two largest units.
fn clock(duration: Duration) -> String {
    match duration.as_secs_f64().round() as u64 {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        seconds => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}
