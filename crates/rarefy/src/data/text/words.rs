//! The words of a text: lower-cased, cut where Unicode puts word boundaries (UAX #29), without what holds no letter or
//! digit. So `Don't panic: 3.14!` is `don't`, `panic`, `3.14`.

use std::borrow::Cow;

use unicode_segmentation::UnicodeSegmentation;

/// Shows each word in turn.
pub(super) fn each_word(text: &str, mut see: impl FnMut(&str)) {
    for word in lower_case(text).unicode_words() {
        see(word);
    }
}

/// Whether there is a word at all.
pub(super) fn has_words(text: &str) -> bool {
    text.unicode_words().next().is_some()
}

/// Shows each run of one to `longest` words in turn, joined by spaces: `a b c` up to two is `a`, `b`, `c`, `a b`, `b c`.
pub(super) fn each_ngram(text: &str, longest: usize, mut see: impl FnMut(&str)) {
    if longest == 1 {
        return each_word(text, see);
    }
    let text = lower_case(text);
    let words: Vec<&str> = text.unicode_words().collect();
    let mut joined = String::new();
    for length in 1..=longest {
        for run in words.windows(length) {
            joined.clear();
            for (place, word) in run.iter().enumerate() {
                if place > 0 {
                    joined.push(' ');
                }
                joined.push_str(word);
            }
            see(&joined);
        }
    }
}

fn lower_case(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase() || !byte.is_ascii()) {
        Cow::Owned(text.to_lowercase())
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_end_where_unicode_says() {
        for (text, expected) in [
            ("Don't panic: 3.14!", &["don't", "panic", "3.14"][..]),
            ("  ÄRGER\tübers\nStraßenfest ", &["ärger", "übers", "straßenfest"]),
            ("snake_case e-mail", &["snake_case", "e", "mail"]),
            ("日本語", &["日", "本", "語"]),
            ("-- ... !!", &[]),
            ("", &[]),
        ] {
            let mut words = Vec::new();
            each_word(text, |word| words.push(word.to_string()));
            assert_eq!(words, expected, "{text:?}");
            assert_eq!(has_words(text), !expected.is_empty());
        }
    }

    #[test]
    fn ngrams_are_all_runs_up_to_the_longest() {
        for (longest, expected) in
            [(1, "a b c"), (2, "a b c a-b b-c"), (3, "a b c a-b b-c a-b-c"), (4, "a b c a-b b-c a-b-c")]
        {
            let mut found = Vec::new();
            each_ngram("A b, c", longest, |run| found.push(run.replace(' ', "-")));
            assert_eq!(found.join(" "), expected);
        }
    }
}
