//! The number that runs are compared by: `train.metric` where all runs are judged by the same one, else what tells most of what the
//! data asks for.

use crate::metrics::Metric;
use crate::report::plot::Better;
use serde::{Serialize, Serializer};

use super::result::Figures;

/// The number that rows are compared by, on the test part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Score {
    /// A metric.
    Metric(Metric),
    /// Bits by which a language model would write a character; lower is better.
    BitsPerCharacter,
}

impl Score {
    /// `train.metric` if all of these runs have the same, else the first that all of them have.
    pub fn of_all<'a>(runs: impl Iterator<Item = &'a Figures> + Clone) -> Score {
        let asked = runs.clone().next().and_then(|figures| figures.metric).map(Score::Metric);
        let is_asked =
            |score: &Score| runs.clone().all(|figures| figures.metric.map(Score::Metric) == Some(*score));
        let usual = [
            Score::Metric(Metric::Accuracy),
            Score::Metric(Metric::LabelErrorRate),
            Score::BitsPerCharacter,
            Score::Metric(Metric::R2),
        ];
        let has_all = |score: &Score| runs.clone().all(|figures| score.of(figures).is_some());
        asked
            .filter(is_asked)
            .or_else(|| usual.into_iter().find(has_all))
            .unwrap_or(Score::Metric(Metric::Loss))
    }

    /// A run's; `None` if its data asks for something else, or it is not defined for its test part.
    pub fn of(self, figures: &Figures) -> Option<f64> {
        match self {
            Score::Metric(Metric::Accuracy) => figures.test_accuracy,
            Score::Metric(Metric::LabelErrorRate) => figures.test_label_error_rate,
            Score::Metric(Metric::R2) => figures.test_r2,
            Score::Metric(Metric::Loss) => Some(figures.test_loss),
            Score::Metric(other) => figures.test_metrics.get(other),
            Score::BitsPerCharacter => figures.test_bits_per_character,
        }
    }

    /// What it is called.
    pub fn name(self) -> String {
        match self {
            Score::Metric(metric) => format!("test {}", metric.title()),
            Score::BitsPerCharacter => "test bits per character".into(),
        }
    }

    /// Which way it gets better.
    pub fn better(self) -> Better {
        let is_higher = matches!(self, Score::Metric(metric) if metric.is_higher_better());
        if is_higher { Better::Higher } else { Better::Lower }
    }

    /// What it is shown as: the factor, the decimals and the unit.
    pub fn look(self) -> (f64, usize, &'static str) {
        let is_share = matches!(self, Score::Metric(metric) if metric.is_share());
        if is_share { (100.0, 2, " %") } else { (1.0, 4, "") }
    }
}

impl Serialize for Score {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Score::Metric(metric) => to.serialize_str(&format!("test_{}", metric.key())),
            Score::BitsPerCharacter => to.serialize_str("test_bits_per_character"),
        }
    }
}
