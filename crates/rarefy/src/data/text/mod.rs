//! Text, from documents to numbers: bags of words (sparse rows) or sequences of tokens.
//!
//! ```text
//! documents -> words -> n-grams -> Bag (counts, 0 and 1, TF-IDF; a vocabulary or hashed) -> Csr
//!           -> Tokenizer (words, characters, byte pairs) -> ids -> Sequences, or Chunks for a language model
//! ```
//!
//! Whatever is learned (vocabularies, merges, document frequencies) is learned from the training part alone, is the
//! same for any thread count, and is kept with the model as JSON.

mod bag;
mod byte_pairs;
mod chunks;
mod coding;
mod count;
mod murmur;
mod sequences;
mod settings;
mod tokenizer;
mod vocabulary;
mod words;

pub use bag::{Bag, BagRows, BagSettings, Weighting};
pub use byte_pairs::BytePairs;
pub use chunks::{Chunks, Excerpt, cut_by_position, stream};
pub use coding::{TextCoding, TextCounts};
pub use sequences::{Sequences, TooLong};
pub use settings::{TextSettings, TokenSettings};
pub use tokenizer::{BEGIN, END, PAD, SPECIALS, TokenKind, Tokenizer, UNKNOWN};
pub use vocabulary::Vocabulary;

pub(crate) use coding::token_kind;

#[cfg(test)]
mod tests;
