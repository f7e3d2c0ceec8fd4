//! Texts that mean the same though they are written otherwise: numbers (`1`, `1.0`, `01`) and booleans (`True`, `TRUE`, `true`).

use std::borrow::Cow;

/// Whole numbers below this are exact in `f64`.
const EXACT: f64 = (1u64 << 53) as f64;

/// What a category says: equal for texts that mean the same.
pub(crate) fn meaning(word: &str) -> Cow<'_, str> {
    if !word.bytes().any(|byte| byte.is_ascii_digit()) {
        return boolean(word);
    }
    match (word.parse::<i128>(), word.parse::<f64>()) {
        (Ok(whole), _) => Cow::Owned(whole.to_string()),
        (_, Ok(number)) if number.fract() == 0.0 && number.abs() < EXACT => {
            Cow::Owned((number as i64).to_string())
        }
        (_, Ok(number)) => Cow::Owned(number.to_string()),
        _ => Cow::Borrowed(word),
    }
}

/// A boolean in lower case; anything else as it is.
pub(crate) fn boolean(word: &str) -> Cow<'_, str> {
    match ["true", "false"].into_iter().find(|known| word.eq_ignore_ascii_case(known)) {
        Some(known) => Cow::Borrowed(known),
        None => Cow::Borrowed(word),
    }
}

/// Whether a text is a date, such as 2024-01-05 or 5.1.2024 12:30.
pub(crate) fn is_date(word: &str) -> bool {
    let day = word.split(['T', ' ']).next().unwrap_or_default();
    ['-', '/', '.'].into_iter().any(|mark| {
        let parts: Vec<&str> = day.split(mark).collect();
        let digits = |part: &&str| (1..=4).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        parts.len() == 3 && parts.iter().all(digits)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_booleans_mean_what_they_say() {
        for (words, alike) in [
            (["1", "1.0"], true),
            (["01", "1"], true),
            (["1e3", "1000"], true),
            (["0.50", ".5"], true),
            (["True", "TRUE"], true),
            (["9007199254740992", "9007199254740993"], false),
            (["red", "RED"], false),
            (["1a", "01a"], false),
            (["nan", "NaN"], false),
            (["-1", "1"], false),
        ] {
            assert_eq!(meaning(words[0]) == meaning(words[1]), alike, "{words:?}");
        }
        assert_eq!((boolean("01"), boolean("FALSE")), ("01".into(), "false".into()));
    }

    #[test]
    fn dates_are_known() {
        for (word, expected) in [
            ("2024-01-05", true),
            ("5.1.2024", true),
            ("05/01/24", true),
            ("2024-01-05T12:30:00Z", true),
            ("2024-01", false),
            ("555-1234", false),
            ("1.5", false),
            ("a-b-c", false),
        ] {
            assert_eq!(is_date(word), expected, "{word}");
        }
    }
}
