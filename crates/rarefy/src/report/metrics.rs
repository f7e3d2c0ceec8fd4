//! Metrics as people read them: aligned names and numbers, what they are of, and what to do about a class that is never found.

use super::numbers::amount;
use crate::metrics::{Decision, Metric, Metrics};

/// What metrics are called, and their numbers, `-` where one is not defined; without the loss, which needs more words.
/// `kind` says what they are of.
pub fn metric_rows(metrics: &Metrics, kind: AnswerKind) -> Vec<(String, String)> {
    let with_name = |(metric, number): (Metric, Option<f64>)| (kind.name(metric), text(metric, number));
    metrics.iter().filter(|(metric, _)| *metric != Metric::Loss).map(with_name).collect()
}

/// What is predicted, as far as the names of metrics depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerKind {
    /// One of two classes, one of which is the positive one.
    TwoClasses,
    /// One class of more: figures of each are averaged.
    Classes,
    /// Labels that are each there or not.
    Labels,
    /// Something else.
    Other,
}

impl AnswerKind {
    fn name(self, metric: Metric) -> String {
        let is_of_one = matches!(metric, Metric::F1 | Metric::Auc | Metric::AveragePrecision);
        match self {
            AnswerKind::Labels if metric == Metric::Accuracy => "all labels right".into(),
            AnswerKind::Classes | AnswerKind::Labels if is_of_one => format!("macro {}", metric.title()),
            _ => metric.title().into(),
        }
    }
}

/// A metric's number: shares in percent, errors with as many digits as count.
fn text(metric: Metric, number: Option<f64>) -> String {
    match number {
        None => "-".into(),
        Some(share) if metric.is_share() => format!("{:.2} %", 100.0 * share),
        Some(error) if matches!(metric, Metric::Rmse | Metric::Mae | Metric::QuantileLoss) => amount(error),
        Some(number) => format!("{number:.4}"),
    }
}

/// Names and numbers side by side, two of them in a line where that is no wider than `width`, else one.
pub fn metric_block(rows: &[(String, String)], width: usize) -> String {
    let block = block_of(rows, 2);
    let fits = block.lines().all(|line| line.chars().count() <= width);
    if fits { block } else { block_of(rows, 1) }
}

/// Names and numbers, so many of them in a line.
fn block_of(rows: &[(String, String)], columns: usize) -> String {
    let width = |column: usize, of: fn(&(String, String)) -> &String| {
        rows.iter().skip(column).step_by(columns).map(|row| of(row).chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<(usize, usize)> =
        (0..columns).map(|column| (width(column, |row| &row.0), width(column, |row| &row.1))).collect();
    let cell = |((name, number), (names, numbers)): (&(String, String), &(usize, usize))| {
        format!("{name:names$}  {number:>numbers$}")
    };
    let line =
        |pair: &[(String, String)]| pair.iter().zip(&widths).map(cell).collect::<Vec<_>>().join("    ");
    rows.chunks(columns).map(line).collect::<Vec<_>>().join("\n")
}

/// Which of two classes figures are of, and when it is predicted.
pub fn decision_text(decision: Decision, classes: &[String]) -> Option<String> {
    let [_, _] = classes else { return None };
    let name = &classes[decision.positive];
    let from = match decision.threshold {
        0.5 => String::new(),
        threshold => format!(", which is predicted above a probability of {threshold:.4}"),
    };
    Some(format!("F1 and average precision are of the class {name:?}{from}"))
}

/// What helps where samples have these classes or labels and none is predicted.
pub fn never_predicted(names: &[String]) -> Option<String> {
    /// Names that are told.
    const MOST_NAMES: usize = 5;
    let first = names.first()?;
    let others = names[1..].iter().take(MOST_NAMES - 1).map(|name| format!(", {name:?}"));
    let more = if names.len() > MOST_NAMES {
        format!(" and {} more", names.len() - MOST_NAMES)
    } else {
        String::new()
    };
    Some(format!(
        "note: never predicted, though samples are of it: {first:?}{}{more}; accuracy does not show that: look at balanced accuracy \
         and average precision, and try loss.class_weights = \"balanced\", or of two classes train.threshold = \"f1\"",
        others.collect::<String>()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Answers, Found};

    #[test]
    fn two_in_a_line_and_aligned() {
        let rows = [("a", "1"), ("long name", "100.00 %"), ("b c", "12"), ("d", "-"), ("e", "3")];
        let rows = rows.map(|(name, number)| (name.to_string(), number.to_string()));
        assert_eq!(
            metric_block(&rows, 80),
            "a     1    long name  100.00 %\nb c  12    d                 -\ne     3"
        );
        assert_eq!(metric_block(&rows[..2], 20), "a                 1\nlong name  100.00 %");
        assert_eq!(metric_block(&[], 80), "");
    }

    #[test]
    fn metrics_of_several_classes_are_called_macro() {
        let scores = [0.25f32, 0.5, 0.25, 0.5, 0.25, 0.25];
        let (decision, labels) = (Decision::default(), &[1, 0]);
        let found = Found::Classes { scores: &scores, are_probabilities: true, decision, labels, classes: 3 };
        let metrics = Metrics::of(&Answers { found, weights: None, loss: 1.0 }, &Metric::ALL);
        let rows = metric_rows(&metrics, AnswerKind::Classes);
        assert!(rows.contains(&("macro ROC AUC".into(), "1.0000".into())) && rows[0].1 == "100.00 %");
        assert_eq!(metric_block(&rows, 80).lines().count(), 5);
    }

    #[test]
    fn words_name_the_classes() {
        let names = ["no", "fraud"].map(String::from);
        let chosen = Decision { threshold: 0.25, ..Decision::default() };
        let text = decision_text(chosen, &names).unwrap();
        assert!(text.ends_with("of the class \"fraud\", which is predicted above a probability of 0.2500"));
        assert_eq!(decision_text(chosen, &names[..1]), None);
        assert_eq!(never_predicted(&[]), None);
        let many: Vec<String> = (0..7).map(|class| class.to_string()).collect();
        let text = never_predicted(&many).unwrap();
        assert!(text.contains("\"0\", \"1\", \"2\", \"3\", \"4\" and 2 more; "), "{text}");
    }
}
