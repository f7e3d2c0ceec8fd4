//! How good a language model is, in figures that do not depend on what a token is.
//!
//! ```text
//! perplexity = exp(nats of a token)        bits per character = nats of all tokens / (ln 2 x characters of the text)
//! ```

use serde::{Deserialize, Serialize};

use super::Score;

/// How good a language model is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LanguageScore {
    /// Among how many tokens, each as likely, the model is as much at a loss.
    pub perplexity: f64,
    /// Bits by which the model would write a character of the text.
    pub bits_per_character: f64,
}

impl LanguageScore {
    /// From the plain cross-entropy of all tokens of a text of so many characters.
    pub fn new(score: &Score, characters: usize) -> LanguageScore {
        LanguageScore {
            perplexity: score.loss().exp(),
            bits_per_character: score.loss_sum / (std::f64::consts::LN_2 * characters.max(1) as f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_tokens_alike_of_two_characters_each_are_one_and_a_half_bits_a_character() {
        let score = Score { loss_sum: 10.0 * 8f64.ln(), normaliser: 10.0, samples: 10.0, ..Score::default() };
        let found = LanguageScore::new(&score, 20);
        assert!((found.perplexity - 8.0).abs() < 1e-12, "{found:?}");
        assert!((found.bits_per_character - 1.5).abs() < 1e-12, "{found:?}");
    }
}
