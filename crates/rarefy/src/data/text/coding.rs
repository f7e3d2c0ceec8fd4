//! What the text of a sample becomes: learned from the training part, kept with the model.

use std::fmt;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::bag::Bag;
use super::sequences::{Sequences, TooLong};
use super::settings::{TextSettings, TokenSettings};
use super::tokenizer::{TokenKind, Tokenizer};
use crate::Result;
use crate::data::dataset::Features;
use crate::tiles::Shape;

/// How text is coded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TextCoding {
    /// As counts of words, whatever their order.
    Bag(Bag),
    /// As tokens in order.
    Tokens {
        /// What turns text into tokens.
        tokenizer: Tokenizer,
        /// Tokens of a sample.
        context: usize,
        /// Whether longer documents are cut, rather than refused.
        truncate: bool,
    },
}

/// What became of the text of some samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TextCounts {
    /// Documents.
    pub documents: usize,
    /// Their characters.
    pub characters: usize,
    /// Words (with their runs, if these are features) or tokens.
    pub tokens: usize,
    /// Those of them that the training part does not hold, or too seldom.
    pub unknown: usize,
    /// Documents that were cut because they are longer than the context.
    pub truncated: usize,
}

impl fmt::Display for TextCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = 100.0 * self.unknown as f64 / self.tokens.max(1) as f64;
        write!(f, "{} tokens, {} of them unknown ({share:.1} %)", self.tokens, self.unknown)?;
        match self.truncated {
            0 => Ok(()),
            1 => write!(f, ", 1 document cut"),
            count => write!(f, ", {count} documents cut"),
        }
    }
}

/// Documents in numbers.
pub(crate) struct Coded {
    pub features: Features,
    /// Tokens of each document; empty for a bag of words.
    pub lengths: Vec<u32>,
    pub counts: TextCounts,
}

/// What a token is under these settings.
pub(crate) fn token_kind(settings: Option<&TextSettings>) -> TokenKind {
    settings.and_then(|text| text.tokens.as_ref()).map_or(TokenKind::Words, TokenSettings::kind)
}

impl TextCoding {
    /// Learns from the documents of the training part.
    pub(crate) fn fit(settings: &TextSettings, documents: &[&str]) -> Result<TextCoding> {
        let Some(tokens) = &settings.tokens else {
            return Bag::fit(&settings.bag.clone().unwrap_or_default(), documents).map(TextCoding::Bag);
        };
        let tokenizer = tokens.fit(documents)?;
        let longest = || documents.par_iter().map(|text| tokenizer.encode(text).len()).max().unwrap_or(0);
        let context = tokens.context.unwrap_or_else(longest);
        Ok(TextCoding::Tokens { tokenizer, context, truncate: tokens.truncate })
    }

    /// Checks what came from a file.
    ///
    /// # Errors
    /// What cannot be.
    pub(crate) fn check(&self) -> std::result::Result<(), String> {
        match self {
            TextCoding::Bag(bag) => bag.check(),
            TextCoding::Tokens { context: 0, .. } => Err("a sample has no tokens".into()),
            TextCoding::Tokens { .. } => Ok(()),
        }
    }

    /// How a sample is laid out: plain features, or a sequence of ids.
    pub fn shape(&self) -> Shape {
        match self {
            TextCoding::Bag(bag) => Shape::flat(bag.features()),
            TextCoding::Tokens { context, .. } => Shape::sequence(*context, 1),
        }
    }

    /// The words of a bag, by place, unless they are hashed.
    pub fn words(&self) -> Option<&[String]> {
        match self {
            TextCoding::Bag(bag) => Some(bag.words()).filter(|words| !words.is_empty()),
            TextCoding::Tokens { .. } => None,
        }
    }

    /// What a token is.
    pub fn kind(&self) -> TokenKind {
        match self {
            TextCoding::Bag(_) => TokenKind::Words,
            TextCoding::Tokens { tokenizer, .. } => tokenizer.kind(),
        }
    }

    /// Codes documents.
    pub(crate) fn code(&self, texts: &[&str]) -> std::result::Result<Coded, TooLong> {
        let documents = texts.len();
        let characters = texts.par_iter().map(|text| text.chars().count()).sum();
        match self {
            TextCoding::Bag(bag) => {
                let found = bag.rows(texts);
                Ok(Coded {
                    features: Features::Sparse(found.rows),
                    lengths: Vec::new(),
                    counts: TextCounts {
                        documents,
                        characters,
                        tokens: found.words,
                        unknown: found.unknown,
                        truncated: 0,
                    },
                })
            }
            TextCoding::Tokens { tokenizer, context, truncate } => {
                let found = Sequences::new(tokenizer, texts, Some(*context), *truncate)?;
                Ok(Coded {
                    features: Features::Tokens { ids: found.ids, vocabulary: tokenizer.size() },
                    lengths: found.lengths,
                    counts: TextCounts {
                        documents,
                        characters,
                        tokens: found.tokens,
                        unknown: found.unknown,
                        truncated: found.truncated,
                    },
                })
            }
        }
    }
}
