//! What a run shows while it goes.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rarefy::data::Task;
use rarefy::train::{EpochRecord, Event, Run};

use crate::output::Output;

/// A bar on a terminal, a line per epoch elsewhere.
pub struct Progress<'a> {
    bar: Option<ProgressBar>,
    output: &'a Output,
    epochs: u64,
    samples: usize,
    is_classification: bool,
    last: Instant,
}

impl<'a> Progress<'a> {
    pub fn new(run: &Run, output: &'a Output) -> Progress<'a> {
        let draws = !output.quiet && console_is_terminal();
        let bar = draws.then(|| {
            let total = run.splits().train.len() as u64 * run.settings().train.epochs;
            let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{bar:24} {percent:>3} %  {msg}  {per_sec}  ETA {eta}");
            bar.set_style(style.expect("the template is right").with_key(
                "per_sec",
                |state: &indicatif::ProgressState, out: &mut dyn std::fmt::Write| {
                    let _ = write!(out, "{:.0} samples/s", state.per_sec());
                },
            ));
            bar.set_position(run.splits().train.len() as u64 * run.epochs_done());
            bar.reset_eta();
            bar
        });
        Progress {
            bar,
            output,
            epochs: run.settings().train.epochs,
            samples: run.splits().train.len(),
            is_classification: run.splits().preparation.task == Task::Classification,
            last: Instant::now(),
        }
    }

    pub fn show(&mut self, event: &Event<'_>) {
        match event {
            Event::Step { progress, score, samples } => {
                let Some(bar) = &self.bar else { return };
                if self.last.elapsed() < Duration::from_millis(100) {
                    return;
                }
                self.last = Instant::now();
                let epoch = (progress.step - 1) / progress.epoch;
                bar.set_position(epoch * self.samples as u64 + *samples as u64);
                let accuracy = if self.is_classification {
                    format!("  acc {:.1} %", 100.0 * score.accuracy())
                } else {
                    String::new()
                };
                bar.set_message(format!(
                    "epoch {}/{}  loss {:.4}{accuracy}",
                    epoch + 1,
                    self.epochs,
                    score.loss()
                ));
            }
            Event::Epoch(record) => {
                let line = self.line(record);
                match &self.bar {
                    Some(bar) => bar.suspend(|| self.output.say(&line)),
                    None => self.output.say(&line),
                }
            }
        }
    }

    fn line(&self, record: &EpochRecord) -> String {
        let percent =
            |value: Option<f64>| value.map_or(String::new(), |value| format!(" acc {:.2} %", 100.0 * value));
        let validation = record.validation_loss.map_or(String::new(), |loss| {
            format!("  validation loss {loss:.4}{}", percent(record.validation_accuracy))
        });
        format!(
            "epoch {:>3}/{}  loss {:.4}{}{validation}  density {:.4}  dropped {}  grown {}  {:.2} s, {:.0} samples/s{}",
            record.epoch,
            self.epochs,
            record.train_loss,
            percent(record.train_accuracy),
            record.density,
            record.dropped,
            record.grown,
            record.seconds,
            self.samples as f64 / record.seconds,
            if record.best { "  best" } else { "" }
        )
    }

    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn console_is_terminal() -> bool {
    std::io::IsTerminal::is_terminal(&std::io::stderr())
}
