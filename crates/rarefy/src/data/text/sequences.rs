//! Documents of tokens.

use rayon::prelude::*;

use super::tokenizer::{PAD, Tokenizer, UNKNOWN};

/// Documents as sequences of ids of one length, for networks that read text in order.
///
/// ```text
/// context 4   "a b"       ids 4 5 0 0   length 2     filled up with padding
///             "a b c d e" ids 4 5 6 7   length 4     cut, if that is allowed
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Sequences {
    /// `documents x context`, filled up with [`PAD`].
    pub ids: Vec<u32>,
    /// Ids of a document.
    pub context: usize,
    /// How many ids of each document are not padding.
    pub lengths: Vec<u32>,
    /// Tokens of all documents that are kept.
    pub tokens: usize,
    /// Those of them that are unknown.
    pub unknown: usize,
    /// Documents that were cut.
    pub truncated: usize,
}

/// A document that does not fit the context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong {
    /// Which of the documents, from 0.
    pub document: usize,
    /// Its tokens.
    pub tokens: usize,
    /// The tokens that fit.
    pub context: usize,
}

impl Sequences {
    /// Codes documents; the longest one sets the context unless it is given.
    ///
    /// # Errors
    /// The first document that is longer than the context, unless it may be truncated.
    pub fn new(
        tokenizer: &Tokenizer,
        documents: &[&str],
        context: Option<usize>,
        truncate: bool,
    ) -> Result<Sequences, TooLong> {
        let mut coded: Vec<Vec<u32>> = documents.par_iter().map(|text| tokenizer.encode(text)).collect();
        let context = context.unwrap_or_else(|| coded.iter().map(Vec::len).max().unwrap_or(0));
        let mut truncated = 0;
        for (document, ids) in coded.iter_mut().enumerate() {
            if ids.len() > context {
                if !truncate {
                    return Err(TooLong { document, tokens: ids.len(), context });
                }
                ids.truncate(context);
                truncated += 1;
            }
        }
        let lengths: Vec<u32> = coded.iter().map(|ids| ids.len() as u32).collect();
        let tokens = coded.iter().map(Vec::len).sum();
        let unknown = coded.iter().flatten().filter(|&&id| id == UNKNOWN).count();
        let mut all = vec![PAD; documents.len() * context];
        for (row, ids) in all.chunks_exact_mut(context.max(1)).zip(&coded) {
            row[..ids.len()].copy_from_slice(ids);
        }
        Ok(Sequences { ids: all, context, lengths, tokens, unknown, truncated })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tokenizer::TokenKind;
    use super::*;

    #[test]
    fn short_documents_are_filled_up_and_long_ones_cut_only_if_asked() {
        let documents = ["a b", "a b c d e", "z"];
        let tokenizer = Tokenizer::fit(TokenKind::Words, &documents[..2], 1, None);
        let new = |context, truncate| Sequences::new(&tokenizer, &documents, context, truncate);
        let found = new(Some(4), true).unwrap();
        assert_eq!(found.ids, [4, 5, 0, 0, 4, 5, 6, 7, 1, 0, 0, 0]);
        assert_eq!(found.lengths, [2, 4, 1]);
        assert_eq!((found.context, found.tokens, found.unknown, found.truncated), (4, 7, 1, 1));
        assert_eq!(new(Some(4), false), Err(TooLong { document: 1, tokens: 5, context: 4 }));
        let whole = new(None, false).unwrap();
        assert_eq!((whole.context, whole.truncated, whole.ids.len()), (5, 0, 15));
        assert_eq!(Sequences::new(&tokenizer, &[], None, false).unwrap().context, 0);
    }
}
