//! The number that runs are compared by: what tells most of what the data asks for.

use rarefy::report::plot::Better;
use serde::Serialize;

use super::result::Figures;

/// The number that rows are compared by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Score {
    /// The part of the test samples that is classified right.
    #[serde(rename = "test_accuracy")]
    Accuracy,
    /// Labels that are wrong, for each that there should be, on the test part; lower is better.
    #[serde(rename = "test_label_error_rate")]
    LabelErrorRate,
    /// Bits by which a language model would write a character of the test part; lower is better.
    #[serde(rename = "test_bits_per_character")]
    BitsPerCharacter,
    /// The part of the variance of the test part's targets that predicted numbers explain.
    #[serde(rename = "test_r2")]
    R2,
    /// The loss on the test part; lower is better.
    #[serde(rename = "test_loss")]
    Loss,
}

impl Score {
    /// The first that all of these runs have.
    pub fn of_all<'a>(runs: impl Iterator<Item = &'a Figures> + Clone) -> Score {
        let all = [Score::Accuracy, Score::LabelErrorRate, Score::BitsPerCharacter, Score::R2];
        let has_all = |score: &Score| runs.clone().all(|figures| score.of(figures).is_some());
        all.into_iter().find(has_all).unwrap_or(Score::Loss)
    }

    /// A run's; `None` if its data asks for something else.
    pub fn of(self, figures: &Figures) -> Option<f64> {
        match self {
            Score::Accuracy => figures.test_accuracy,
            Score::LabelErrorRate => figures.test_label_error_rate,
            Score::BitsPerCharacter => figures.test_bits_per_character,
            Score::R2 => figures.test_r2,
            Score::Loss => Some(figures.test_loss),
        }
    }

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Score::Accuracy => "test accuracy",
            Score::LabelErrorRate => "test label error rate",
            Score::BitsPerCharacter => "test bits per character",
            Score::R2 => "test R2",
            Score::Loss => "test loss",
        }
    }

    /// Which way it gets better.
    pub fn better(self) -> Better {
        match self {
            Score::Accuracy | Score::R2 => Better::Higher,
            Score::LabelErrorRate | Score::BitsPerCharacter | Score::Loss => Better::Lower,
        }
    }

    /// What it is shown as: the factor, the decimals and the unit.
    pub fn look(self) -> (f64, usize, &'static str) {
        match self {
            Score::Accuracy | Score::LabelErrorRate => (100.0, 2, " %"),
            Score::BitsPerCharacter | Score::R2 | Score::Loss => (1.0, 4, ""),
        }
    }
}
