//! Tokenizers.

use serde::{Deserialize, Serialize};

use super::byte_pairs::BytePairs;
use super::count::{choose, count};
use super::vocabulary::Vocabulary;
use super::words::{each_word, has_words};

/// The id that fills sequences up.
pub const PAD: u32 = 0;
/// The id of a token that training did not see, or too seldom.
pub const UNKNOWN: u32 = 1;
/// The id that begins a document of a language model.
pub const BEGIN: u32 = 2;
/// The id that ends one.
pub const END: u32 = 3;
/// Ids before the first token of text.
pub const SPECIALS: u32 = 4;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenKind {
    /// A word in lower case; marks between words are left out.
    #[default]
    Words,
    /// A character.
    Characters,
    /// A frequent run of bytes, found by merging pairs; every text can be written with them.
    BytePairs,
}

/// A fitted tokenizer: text to ids and back. Four ids mean the same in every vocabulary, and tokens of text follow them:
///
/// ```text
/// 0 padding   1 unknown   2 begin   3 end   4 ... tokens, the most frequent first (byte pairs: bytes, then merges)
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tokenizer {
    /// The words known.
    Words(Vocabulary),
    /// The characters known.
    Characters(Vocabulary),
    /// The merges learned.
    BytePairs(BytePairs),
}

impl Tokenizer {
    /// Learns the tokens of the training part: those that come at least `min_count` times, so that the others teach what
    /// an unknown token is, and at most `max_vocabulary` ids in all. For byte pairs, a pair that comes as often is merged.
    pub fn fit(
        kind: TokenKind,
        documents: &[&str],
        min_count: u64,
        max_vocabulary: Option<usize>,
    ) -> Tokenizer {
        let most = max_vocabulary.map(|most| most.saturating_sub(SPECIALS as usize));
        let vocabulary = |counts| {
            let chosen = choose(counts, |count| count.times, min_count, most);
            let tokens: Vec<String> = chosen.into_iter().map(|(token, _)| token).collect();
            Vocabulary::try_from(tokens).expect("keys of a map are unique")
        };
        match kind {
            TokenKind::Words => {
                Tokenizer::Words(vocabulary(count(documents, |text, see| each_word(text, see))))
            }
            TokenKind::Characters => {
                Tokenizer::Characters(vocabulary(count(documents, |text, see| each_character(text, see))))
            }
            TokenKind::BytePairs => Tokenizer::BytePairs(BytePairs::fit(documents, min_count, most)),
        }
    }

    /// What a token is.
    pub fn kind(&self) -> TokenKind {
        match self {
            Tokenizer::Words(_) => TokenKind::Words,
            Tokenizer::Characters(_) => TokenKind::Characters,
            Tokenizer::BytePairs(_) => TokenKind::BytePairs,
        }
    }

    /// Ids, the special ones among them.
    pub fn size(&self) -> usize {
        SPECIALS as usize
            + match self {
                Tokenizer::Words(known) | Tokenizer::Characters(known) => known.len(),
                Tokenizer::BytePairs(pairs) => pairs.size(),
            }
    }

    /// The ids of a text; what is not known is [`UNKNOWN`]. A text that [`TokenKind::is_empty`] calls empty has none.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        let mut ids = Vec::new();
        let id =
            |known: &Vocabulary, token: &str| known.place(token).map_or(UNKNOWN, |place| place + SPECIALS);
        match self {
            Tokenizer::Words(known) => each_word(text, |word| ids.push(id(known, word))),
            Tokenizer::Characters(known) => each_character(text, |character| ids.push(id(known, character))),
            Tokenizer::BytePairs(pairs) => {
                pairs.encode(text, &mut ids);
                ids.iter_mut().for_each(|id| *id += SPECIALS);
            }
        }
        ids
    }

    /// The tokens of a text that are not known, each once, in their order.
    pub fn unknown(&self, text: &str) -> Vec<String> {
        let mut unknown: Vec<String> = Vec::new();
        let mut see = |known: &Vocabulary, token: &str| {
            if known.place(token).is_none() && !unknown.iter().any(|seen| seen == token) {
                unknown.push(token.to_string());
            }
        };
        match self {
            Tokenizer::Words(known) => each_word(text, |word| see(known, word)),
            Tokenizer::Characters(known) => each_character(text, |character| see(known, character)),
            // Every byte is known.
            Tokenizer::BytePairs(_) => {}
        }
        unknown
    }

    /// The text of some ids: words joined by spaces, the others as they follow. An unknown token, or bytes that are no
    /// character, become U+FFFD; padding, begin and end become nothing.
    pub fn decode(&self, ids: &[u32]) -> String {
        let shown = ids.iter().filter(|&&id| id == UNKNOWN || id >= SPECIALS);
        let token = |known: &Vocabulary, id: u32| -> String {
            let token = id.checked_sub(SPECIALS).and_then(|place| known.tokens().get(place as usize));
            token.map_or_else(|| "\u{fffd}".into(), String::clone)
        };
        match self {
            Tokenizer::Words(known) => shown.map(|&id| token(known, id)).collect::<Vec<_>>().join(" "),
            Tokenizer::Characters(known) => shown.map(|&id| token(known, id)).collect(),
            Tokenizer::BytePairs(pairs) => pairs.decode(shown.map(|&id| id.checked_sub(SPECIALS))),
        }
    }
}

impl TokenKind {
    /// Whether a document says nothing: it has no words, or nothing but blanks.
    pub fn is_empty(self, text: &str) -> bool {
        match self {
            TokenKind::Words => !has_words(text),
            TokenKind::Characters | TokenKind::BytePairs => text.trim().is_empty(),
        }
    }
}

fn each_character(text: &str, mut see: impl FnMut(&str)) {
    let mut buffer = [0; 4];
    text.chars().for_each(|character| see(character.encode_utf8(&mut buffer)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_codes_what_it_was_fitted_on_and_comes_back_from_json() {
        let documents = ["the cat and the dog", "the Dog, the cat; the end", "ein Straßenfest!"];
        for (kind, expected) in [
            (TokenKind::Words, "the cat \u{fffd} the dog"),
            (TokenKind::Characters, "the cat and the dog"),
            (TokenKind::BytePairs, "the cat and the dog"),
        ] {
            let tokenizer = Tokenizer::fit(kind, &documents, 2, None);
            let ids = tokenizer.encode(documents[0]);
            assert!(ids.iter().all(|&id| id == UNKNOWN || (4..tokenizer.size() as u32).contains(&id)));
            assert_eq!((tokenizer.decode(&ids).as_str(), tokenizer.kind()), (expected, kind));
            let text = serde_json::to_string(&tokenizer).unwrap();
            let again: Tokenizer = serde_json::from_str(&text).unwrap();
            assert_eq!(again, tokenizer);
            assert_eq!(again.encode(documents[2]), tokenizer.encode(documents[2]));
        }
    }

    #[test]
    fn ids_go_by_frequency_and_special_ones_show_nothing() {
        let tokenizer = Tokenizer::fit(TokenKind::Words, &["b a b c a b d"], 1, Some(7));
        assert_eq!(tokenizer.size(), 7);
        assert_eq!(tokenizer.encode("a b c d e"), [5, 4, 6, UNKNOWN, UNKNOWN]);
        assert_eq!(tokenizer.unknown("a e b d e"), ["e", "d"]);
        assert_eq!(tokenizer.decode(&[BEGIN, 4, PAD, 5, UNKNOWN, 99, END]), "b a \u{fffd} \u{fffd}");
    }

    #[test]
    fn empty_depends_on_what_a_token_is() {
        for (text, no_words, blank) in
            [("", true, true), (" \n\t", true, true), ("?!", true, false), ("a", false, false)]
        {
            assert_eq!(TokenKind::Words.is_empty(text), no_words, "{text:?}");
            assert_eq!(TokenKind::Characters.is_empty(text), blank, "{text:?}");
            assert_eq!(TokenKind::BytePairs.is_empty(text), blank, "{text:?}");
        }
    }

    #[test]
    fn any_number_of_threads_learns_the_same() {
        let text: Vec<String> =
            (0..3000u32).map(|i| format!("w{} w{} all", i % 97, i.wrapping_mul(7919) % 89)).collect();
        let documents: Vec<&str> = text.iter().map(String::as_str).collect();
        for kind in [TokenKind::Words, TokenKind::Characters, TokenKind::BytePairs] {
            let fit = |threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| Tokenizer::fit(kind, &documents, 2, Some(400)))
            };
            assert_eq!(fit(1), fit(3));
        }
    }
}
