//! The number that runs are compared by: what tells most of what the data asks for.

use rarefy::report::plot::Better;
use serde::Serialize;

use super::result::Figures;

/// The number that rows are compared by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Score {
    /// The part of the test samples that is classified right.
    TestAccuracy,
    /// Labels that are wrong, for each that there should be, on the test part; lower is better.
    TestLabelErrorRate,
    /// Bits by which a language model would write a character of the test part; lower is better.
    TestBitsPerCharacter,
    /// The loss on the test part; lower is better.
    TestLoss,
}

impl Score {
    /// The first that all of these runs have.
    pub fn of_all<'a>(runs: impl Iterator<Item = &'a Figures> + Clone) -> Score {
        let all = [Score::TestAccuracy, Score::TestLabelErrorRate, Score::TestBitsPerCharacter];
        let has_all = |score: &Score| runs.clone().all(|figures| score.of(figures).is_some());
        all.into_iter().find(has_all).unwrap_or(Score::TestLoss)
    }

    /// A run's; `None` if its data asks for something else.
    pub fn of(self, figures: &Figures) -> Option<f64> {
        match self {
            Score::TestAccuracy => figures.test_accuracy,
            Score::TestLabelErrorRate => figures.test_label_error_rate,
            Score::TestBitsPerCharacter => figures.test_bits_per_character,
            Score::TestLoss => Some(figures.test_loss),
        }
    }

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Score::TestAccuracy => "test accuracy",
            Score::TestLabelErrorRate => "test label error rate",
            Score::TestBitsPerCharacter => "test bits per character",
            Score::TestLoss => "test loss",
        }
    }

    /// Which way it gets better.
    pub fn better(self) -> Better {
        if self == Score::TestAccuracy { Better::Higher } else { Better::Lower }
    }

    /// What it is shown as: the factor, the decimals and the unit.
    pub fn look(self) -> (f64, usize, &'static str) {
        match self {
            Score::TestAccuracy | Score::TestLabelErrorRate => (100.0, 2, " %"),
            Score::TestBitsPerCharacter | Score::TestLoss => (1.0, 4, ""),
        }
    }
}
