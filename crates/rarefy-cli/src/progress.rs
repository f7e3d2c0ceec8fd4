//! What a run shows while it goes: on a terminal a bar, and everywhere a line for each epoch. Neither wraps: what does
//! not fit into the width of its place is left out, the least important first.

use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use rarefy::data::Task;
use rarefy::metrics::Metric;
use rarefy::report::{amount, r2};
use rarefy::train::{EpochRecord, Event, Score, Trainer};
use unicode_width::UnicodeWidthStr;

use crate::output::Output;
use crate::width::stderr_width;

/// The time from one redrawing of the bar to the next.
const REDRAW: Duration = Duration::from_millis(100);

/// Shows a run.
pub struct Progress<'a> {
    bar: Option<ProgressBar>,
    output: &'a Output,
    epochs: u64,
    samples: usize,
    task: Task,
    drawn: Instant,
    density: f64,
    lambda: Option<f32>,
    /// The slow rank that was told last.
    slow: Option<usize>,
}

/// A piece of a line, and how soon it is left out: the highest number first.
struct Piece(u8, String);

impl<'a> Progress<'a> {
    /// For a run that is about to train.
    pub fn new(run: &Trainer, output: &'a Output) -> Progress<'a> {
        let (nnz, cells) = run.network().connections();
        let samples = run.splits().train.len();
        let epochs = run.settings().train.epochs;
        let bar = (!output.quiet && can_redraw()).then(|| {
            let bar =
                ProgressBar::with_draw_target(Some(samples as u64 * epochs), ProgressDrawTarget::stderr());
            let template = format!("{}{{wide_msg}}", if bar_columns() > 0 { "{bar:10} " } else { "" });
            bar.set_style(ProgressStyle::with_template(&template).expect("the template is right"));
            bar.set_position(samples as u64 * run.epochs_done());
            bar.reset_eta();
            bar
        });
        Progress {
            bar,
            output,
            epochs,
            samples,
            task: run.splits().preparation.task,
            drawn: Instant::now(),
            density: nnz as f64 / cells as f64,
            lambda: None,
            slow: None,
        }
    }

    /// Shows a step or an epoch.
    pub fn show(&mut self, event: &Event<'_>) {
        match event {
            Event::Step { progress, score, samples } => {
                let Some(bar) = &self.bar else { return };
                if self.drawn.elapsed() < REDRAW {
                    return;
                }
                self.drawn = Instant::now();
                let epoch = (progress.step - 1) / progress.epoch;
                bar.set_position(epoch * self.samples as u64 + *samples as u64);
                let width = stderr_width().saturating_sub(bar_columns());
                bar.set_message(fit(self.message(bar, epoch + 1, score), width));
            }
            Event::Epoch { record, .. } => {
                self.note(record);
                self.say(&fit(self.line(record), self.output.width()));
                if let Some(slow) = record.slow_rank.as_ref().filter(|slow| self.slow != Some(slow.rank)) {
                    self.slow = Some(slow.rank);
                    self.say(&format!("note: {slow}"));
                }
            }
            _ => {}
        }
    }

    /// Takes over what an epoch has changed, without a line for it.
    pub fn note(&mut self, record: &EpochRecord) {
        (self.density, self.lambda) = (record.density, record.lambda);
    }

    /// Prints a line above the bar.
    pub fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| self.output.say(line)),
            None => self.output.say(line),
        }
    }

    /// What stands beside the bar.
    fn message(&self, bar: &ProgressBar, epoch: u64, score: &Score) -> Vec<Piece> {
        let percent = 100 * bar.position() / bar.length().unwrap_or(1).max(1);
        let mut pieces = vec![
            Piece(5, format!("{percent} %")),
            Piece(0, format!("epoch {epoch}/{}", self.epochs)),
            Piece(1, format!("loss {:.4}", score.loss())),
        ];
        match self.task {
            Task::Classification => pieces.push(Piece(2, format!("acc {:.1} %", 100.0 * score.accuracy()))),
            Task::Transcription => {
                pieces.push(Piece(2, format!("errors {:.1} %", 100.0 * score.label_error_rate())));
            }
            Task::MultiLabel | Task::Regression | Task::LanguageModel => {}
        }
        pieces.push(Piece(6, format!("density {:.4}", self.density)));
        pieces.extend(self.lambda.map(|lambda| Piece(7, format!("lambda {lambda:.1e}"))));
        pieces.push(Piece(4, format!("{:.0} samples/s", bar.per_sec())));
        pieces.push(Piece(3, format!("ETA {:#}", HumanDuration(bar.eta()))));
        pieces
    }

    /// What is left of an epoch.
    fn line(&self, record: &EpochRecord) -> Vec<Piece> {
        let digits = self.epochs.to_string().len();
        let percent = |value: f64| format!("{:.2} %", 100.0 * value);
        let mut pieces = vec![
            Piece(0, format!("epoch {:>digits$}/{}", record.epoch, self.epochs)),
            Piece(1, format!("loss {:.4}", record.train_loss)),
        ];
        pieces.extend(record.train_accuracy.map(|accuracy| Piece(5, format!("acc {}", percent(accuracy)))));
        pieces
            .extend(record.train_label_error_rate.map(|rate| Piece(5, format!("errors {}", percent(rate)))));
        let better = [record.validation_accuracy, record.validation_label_error_rate, record.validation_rmse];
        let has_better = better.iter().any(Option::is_some) || record.validation_metric.is_some();
        let least = if has_better { 7 } else { 2 };
        pieces.extend(record.validation_loss.map(|loss| Piece(least, format!("val loss {loss:.4}"))));
        // What the best epoch goes by.
        let judged = record.metric.zip(record.validation_metric);
        pieces.extend(judged.map(|(metric, value)| Piece(2, format!("val {metric} {}", amount(value)))));
        let accuracy = record.validation_accuracy.filter(|_| record.metric != Some(Metric::Accuracy));
        let least = if judged.is_some() { 6 } else { 2 };
        let name = if judged.is_some() { "val acc" } else { "val" };
        pieces.extend(accuracy.map(|accuracy| Piece(least, format!("{name} {}", percent(accuracy)))));
        pieces.extend(
            record.validation_label_error_rate.map(|rate| Piece(2, format!("val errors {}", percent(rate)))),
        );
        pieces.extend(record.validation_rmse.map(|rmse| Piece(4, format!("val RMSE {}", amount(rmse)))));
        pieces.extend(record.validation_r2.map(|value| Piece(2, format!("val R2 {}", r2(Some(value))))));
        pieces.extend(record.validation_perplexity.map(|value| Piece(7, format!("perplexity {value:.2}"))));
        pieces.extend(
            record.validation_bits_per_character.map(|value| Piece(3, format!("{value:.3} bits/character"))),
        );
        let churn = match (record.dropped, record.grown) {
            (0, 0) => String::new(),
            (dropped, 0) => format!(" (-{dropped})"),
            (dropped, grown) => format!(" (-{dropped} +{grown})"),
        };
        pieces.push(Piece(3, format!("density {:.4}{churn}", record.density)));
        pieces.extend(record.lambda.map(|lambda| Piece(4, format!("lambda {lambda:.1e}"))));
        pieces.extend(record.staleness.map(|late| {
            let waits = if late.waits > 0 { format!(", {} waits", late.waits) } else { String::new() };
            Piece(5, format!("staleness {:.1}, at most {:.1}{waits}", late.mean, late.most))
        }));
        pieces.push(Piece(10, format!("rate {:.1e}", record.learning_rate)));
        pieces.push(Piece(9, format!("{:.2} s", record.seconds)));
        pieces.push(Piece(8, format!("{:.0} samples/s", self.samples as f64 / record.seconds)));
        if record.best {
            pieces.push(Piece(6, "best".to_string()));
        }
        pieces
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// The pieces in a row, as far as they fit.
fn fit(mut pieces: Vec<Piece>, width: usize) -> String {
    loop {
        let texts: Vec<&str> = pieces.iter().map(|piece| piece.1.as_str()).collect();
        let line = texts.join("  ");
        let least = (0..pieces.len()).max_by_key(|&at| pieces[at].0);
        match least {
            Some(least) if line.width() > width && pieces.len() > 1 => drop(pieces.remove(least)),
            _ => return line,
        }
    }
}

/// Whether the place where bars go can take back what it shows.
fn can_redraw() -> bool {
    std::io::IsTerminal::is_terminal(&std::io::stderr())
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Columns that the bar itself takes: none on a narrow terminal.
fn bar_columns() -> usize {
    if stderr_width() >= 60 { 11 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_keep_to_the_width_and_leave_out_the_least_important() {
        let pieces =
            || [Piece(0, "epoch 1".into()), Piece(2, "acc 9".into()), Piece(1, "loss 3".into())].into();
        for (width, expected) in
            [(22, "epoch 1  acc 9  loss 3"), (21, "epoch 1  loss 3"), (8, "epoch 1"), (3, "epoch 1")]
        {
            assert_eq!(fit(pieces(), width), expected);
        }
    }
}
