//! Running text for a language model.

use rayon::prelude::*;

use super::tokenizer::{BEGIN, END, PAD, Tokenizer, UNKNOWN};
use crate::tiles::IGNORED;

/// A stream of tokens cut into chunks, each with what comes next as its targets, for a language model.
///
/// ```text
/// stream  a b c d e f g      context 3      inputs   a b c | d e f        targets  b c d | e f g
/// ```
///
/// Chunks follow each other, so every token but the first is predicted once, and a recurrent network may carry its state
/// from one chunk to the next (truncated back-propagation through time).
#[derive(Debug, Clone, PartialEq)]
pub struct Chunks {
    /// Tokens of a chunk.
    pub context: usize,
    /// `chunks x context`; the last chunk is filled up with [`PAD`].
    pub inputs: Vec<u32>,
    /// The token after each of them; [`IGNORED`] where there is none.
    pub targets: Vec<u32>,
    /// How many tokens of each chunk are not padding.
    pub lengths: Vec<u32>,
    /// Tokens of the stream that are unknown.
    pub unknown: usize,
}

impl Chunks {
    /// Cuts a stream into chunks of `context` tokens; of fewer than two tokens there is none.
    ///
    /// # Panics
    /// If the context is 0.
    pub fn new(stream: &[u32], context: usize) -> Chunks {
        let pairs = stream.len().saturating_sub(1);
        let chunks = pairs.div_ceil(context);
        let filled = |tokens: &[u32], with| {
            let mut filled = tokens.to_vec();
            filled.resize(chunks * context, with);
            filled
        };
        Chunks {
            context,
            inputs: filled(&stream[..pairs], PAD),
            targets: filled(&stream[stream.len() - pairs..], IGNORED),
            lengths: (0..chunks).map(|chunk| (pairs - chunk * context).min(context) as u32).collect(),
            unknown: stream.iter().filter(|&&id| id == UNKNOWN).count(),
        }
    }

    /// Number of chunks.
    pub fn len(&self) -> usize {
        self.lengths.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.lengths.is_empty()
    }
}

/// A part of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Excerpt<'a> {
    /// Its text.
    pub text: &'a str,
    /// Whether the document begins here.
    pub begins: bool,
    /// Whether it ends here.
    pub ends: bool,
}

/// Cuts documents, in their order, into a training, a validation and a test part of these fractions of all bytes. A cut
/// inside a document comes before the next blank.
pub fn cut_by_position<'a>(documents: &[&'a str], validation: f64, test: f64) -> [Vec<Excerpt<'a>>; 3] {
    let all: usize = documents.iter().map(|text| text.len()).sum();
    let at = |fraction: f64| (all as f64 * fraction).round() as usize;
    let cuts = [at(1.0 - validation - test), at(1.0 - test), all];
    let mut parts = [Vec::new(), Vec::new(), Vec::new()];
    let mut start = 0;
    for &text in documents {
        let mut from = 0;
        for (part, cut) in parts.iter_mut().zip(cuts) {
            let to = blank_from(text, cut.saturating_sub(start)).max(from);
            if to > from {
                part.push(Excerpt { text: &text[from..to], begins: from == 0, ends: to == text.len() });
            }
            from = to;
        }
        start += text.len();
    }
    parts
}

/// The first place from a byte on that holds a blank, or the end of the text; 0 stays 0.
fn blank_from(text: &str, byte: usize) -> usize {
    if byte == 0 {
        return 0;
    }
    let from = (byte..text.len()).find(|&at| text.is_char_boundary(at)).unwrap_or(text.len());
    text[from..].find(char::is_whitespace).map_or(text.len(), |more| from + more)
}

/// The tokens of excerpts in a row, [`BEGIN`] where a document begins and [`END`] where it ends.
pub fn stream(tokenizer: &Tokenizer, excerpts: &[Excerpt]) -> Vec<u32> {
    let coded: Vec<Vec<u32>> = excerpts.par_iter().map(|excerpt| tokenizer.encode(excerpt.text)).collect();
    let mut stream = Vec::with_capacity(coded.iter().map(|ids| ids.len() + 2).sum());
    for (excerpt, ids) in excerpts.iter().zip(coded) {
        stream.extend(excerpt.begins.then_some(BEGIN));
        stream.extend(ids);
        stream.extend(excerpt.ends.then_some(END));
    }
    stream
}

#[cfg(test)]
mod tests {
    use super::super::tokenizer::TokenKind;
    use super::*;

    #[test]
    fn every_token_but_the_first_is_a_target_once() {
        let stream = [10, 11, 12, 13, 14, 15, 16, 1];
        let chunks = Chunks::new(&stream, 3);
        assert_eq!(chunks.inputs, [10, 11, 12, 13, 14, 15, 16, PAD, PAD]);
        assert_eq!(chunks.targets, [11, 12, 13, 14, 15, 16, 1, IGNORED, IGNORED]);
        assert_eq!((&chunks.lengths[..], chunks.unknown), (&[3, 3, 1][..], 1));
        for length in 0..8 {
            for context in 1..5 {
                let chunks = Chunks::new(&stream[..length], context);
                let targets: usize = chunks.lengths.iter().map(|&length| length as usize).sum();
                assert_eq!(targets, length.saturating_sub(1));
                assert_eq!(chunks.inputs.len(), chunks.len() * context);
            }
        }
    }

    #[test]
    fn parts_follow_by_position_and_are_the_text_again() {
        let documents = ["one two three four five", "", "ä ö ü", "six seven eight nine ten eleven"];
        for (validation, test) in [(0.1, 0.2), (0.0, 0.0), (0.4, 0.5), (0.0, 0.3)] {
            let parts = cut_by_position(&documents, validation, test);
            let all: Vec<Excerpt> = parts.concat();
            assert_eq!(all.iter().map(|excerpt| excerpt.text).collect::<String>(), documents.concat());
            assert_eq!(all.iter().filter(|excerpt| excerpt.begins).count(), 3);
            assert_eq!(all.iter().filter(|excerpt| excerpt.ends).count(), 3);
            assert!(all.iter().all(|excerpt| excerpt.begins || excerpt.text.starts_with(' ')));
            assert_eq!(parts[2].is_empty(), test == 0.0);
        }
        let [train, validation, test] = cut_by_position(&["aaaa bbbb cccc"], 0.3, 0.3);
        assert_eq!((train[0].text, validation[0].text), ("aaaa bbbb", " cccc"));
        assert!(!train[0].ends && validation[0].ends && test.is_empty());
    }

    #[test]
    fn documents_begin_and_end_in_the_stream() {
        let documents = ["a b", "b c"];
        let tokenizer = Tokenizer::fit(TokenKind::Characters, &documents, 2, None);
        let [train, ..] = cut_by_position(&documents, 0.0, 0.0);
        assert_eq!(stream(&tokenizer, &train), [BEGIN, UNKNOWN, 4, 5, END, BEGIN, 5, 4, UNKNOWN, END]);
    }
}
