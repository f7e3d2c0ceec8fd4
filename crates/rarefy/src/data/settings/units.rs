//! What a transcription is a sequence of: `data.units`.

use serde::{Deserialize, Serialize};

/// What a text is a sequence of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Units {
    /// Characters, spaces between words too.
    #[default]
    Characters,
    /// Words, which spaces separate.
    Words,
}

impl Units {
    /// The units of a text.
    pub(crate) fn split(self, text: &str) -> Vec<&str> {
        match self {
            Units::Characters => text.char_indices().map(|(at, c)| &text[at..at + c.len_utf8()]).collect(),
            Units::Words => text.split_whitespace().collect(),
        }
    }

    /// The text that `labels` mean, each from 1.
    ///
    /// # Panics
    /// If there is no such unit among `units`.
    pub(crate) fn join(self, labels: impl Iterator<Item = u32>, units: &[String]) -> String {
        let words: Vec<&str> = labels.map(|label| units[label as usize - 1].as_str()).collect();
        words.join(match self {
            Units::Characters => "",
            Units::Words => " ",
        })
    }
}
