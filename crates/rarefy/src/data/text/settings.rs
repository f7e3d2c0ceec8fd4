//! What the user may say about text: the section `data.text` of the settings.

use serde::{Deserialize, Serialize};

use super::bag::BagSettings;
use super::tokenizer::{SPECIALS, TokenKind, Tokenizer};
use crate::{Error, Result};

/// Where the text of a sample stands and what it becomes: a bag of words, or tokens in order if `tokens` is given.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TextSettings {
    /// Column of a CSV file, by name or position from 1, or key of JSON lines; `text` unless given, or in a CSV file of two
    /// columns the one that is not the label. Other columns and keys are not read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// How words are counted; the order of words is lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bag: Option<BagSettings>,
    /// How text becomes a sequence of tokens, for networks that read in order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<TokenSettings>,
}

/// How text becomes a sequence of tokens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TokenSettings {
    /// What a token is; a word unless given, for a language model a character.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<TokenKind>,
    /// Times that a token must come in the training part to be known (a pair of tokens, to be merged).
    pub min_count: u64,
    /// At most so many ids, those of padding, unknown, begin and end among them; byte pairs have 4100 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_vocabulary: Option<usize>,
    /// Tokens of a sample; those of the longest training document unless given, for a language model 128.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<usize>,
    /// Whether longer documents are cut, rather than refused.
    pub truncate: bool,
}

impl Default for TokenSettings {
    fn default() -> TokenSettings {
        TokenSettings { kind: None, min_count: 2, max_vocabulary: None, context: None, truncate: false }
    }
}

impl TokenSettings {
    /// What a token of a document is: as set, or a word.
    pub(super) fn kind(&self) -> TokenKind {
        self.kind.unwrap_or(TokenKind::Words)
    }

    /// A tokenizer that has learned from the documents of the training part.
    pub(crate) fn fit(&self, documents: &[&str]) -> Result<Tokenizer> {
        let tokenizer = Tokenizer::fit(self.kind(), documents, self.min_count, self.max_vocabulary);
        if tokenizer.size() == SPECIALS as usize {
            let problem = format!(
                "no token comes {} times in the {} training documents, so there is nothing to learn from; lower it or give more text",
                self.min_count,
                documents.len()
            );
            return Err(Error::setting("data.text.tokens.min_count", problem));
        }
        Ok(tokenizer)
    }
}

impl TextSettings {
    /// Checks the values.
    ///
    /// # Errors
    /// The key that cannot be used, and what it may be.
    pub fn check(&self) -> Result<()> {
        if self.bag.is_some() && self.tokens.is_some() {
            let problem =
                "text becomes either a bag of words or tokens; leave this section or data.text.bag out";
            return Err(Error::setting("data.text.tokens", problem));
        }
        if let Some(bag) = &self.bag {
            bag.check()?;
        }
        let Some(tokens) = &self.tokens else { return Ok(()) };
        let least = match tokens.kind() {
            TokenKind::BytePairs => SPECIALS as usize + 256,
            TokenKind::Words | TokenKind::Characters => SPECIALS as usize + 1,
        };
        if let Some(most) = tokens.max_vocabulary.filter(|most| !(least..=1 << 24).contains(most)) {
            let problem = format!("{most} is not a number of ids from {least} to {}", 1 << 24);
            return Err(Error::setting("data.text.tokens.max_vocabulary", problem));
        }
        if tokens.context == Some(0) {
            let problem = "0 tokens say nothing; give more, or leave it out";
            return Err(Error::setting("data.text.tokens.context", problem));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_that_are_all_too_rare_are_an_error() {
        let error = TokenSettings::default().fit(&["a b", "c d"]).unwrap_err().to_string();
        assert!(error.contains("data.text.tokens.min_count: no token comes 2 times in the 2"), "{error}");
        assert_eq!(TokenSettings::default().fit(&["a b", "b d"]).unwrap().size(), 5);
    }

    #[test]
    fn settings_that_cannot_be_are_refused_by_key() {
        for (text, problem) in [
            ("bag = {}\ntokens = {}", "data.text.tokens: text becomes either"),
            ("bag.ngrams = 9", "data.text.bag.ngrams: 9"),
            ("tokens.context = 0", "data.text.tokens.context: 0"),
            ("tokens.max_vocabulary = 4", "data.text.tokens.max_vocabulary: 4 is not a number of ids from 5"),
            ("tokens.kind = 'byte-pairs'\ntokens.max_vocabulary = 259", "ids from 260"),
        ] {
            let error = toml::from_str::<TextSettings>(text).unwrap().check().unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
        for text in ["", "bag.hash_bits = 18", "tokens = {}", "tokens.kind = 'characters'\ncolumn = '2'"] {
            let settings: TextSettings = toml::from_str(text).unwrap();
            settings.check().unwrap();
            let again: TextSettings = toml::from_str(&toml::to_string(&settings).unwrap()).unwrap();
            assert_eq!(again, settings);
        }
    }
}
