//! Numbers as tables hold them: with a decimal point or a decimal comma. Thousands may be grouped where the settings say
//! which of the two is the decimal mark; `1,234` alone could be either. Other spellings (`10 %`, `$5.50`) are not read, but
//! known, so that no column of them becomes categories in silence.

use std::borrow::Cow;

use crate::data::settings::Decimal;

/// The minus sign of typesetting.
const MINUS: char = '\u{2212}';

/// A cell as a number; `inf` and `nan` are numbers, though no file may hold them.
pub(super) fn parse(cell: &str, decimal: Decimal) -> Option<f64> {
    if decimal != Decimal::Comma
        && let Ok(number) = cell.parse()
    {
        return Some(number);
    }
    let cell: Cow<str> = match cell.strip_prefix(MINUS) {
        Some(rest) => Cow::Owned(format!("-{rest}")),
        None => Cow::Borrowed(cell),
    };
    match decimal {
        Decimal::Auto => cell.parse().ok(),
        Decimal::Point => ungroup(&cell, ',', '.')?.parse().ok(),
        Decimal::Comma => ungroup(&cell, '.', ',')?.replace(',', ".").parse().ok(),
    }
}

/// The cell without the marks between its thousands; none if they stand anywhere else.
fn ungroup(cell: &str, group: char, decimal: char) -> Option<Cow<'_, str>> {
    if !cell.contains(group) {
        return Some(Cow::Borrowed(cell));
    }
    let (whole, fraction) = cell.find(decimal).map_or((cell, ""), |at| cell.split_at(at));
    let mut groups = whole.trim_start_matches(['+', '-']).split(group);
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let first = groups.next().unwrap_or_default();
    let grouped = (1..=3).contains(&first.len())
        && is_digits(first)
        && groups.all(|part| part.len() == 3 && is_digits(part))
        && !fraction.contains(group);
    grouped.then(|| Cow::Owned(cell.replace(group, "")))
}

/// Whether a cell can be a number with a decimal comma and nothing else, such as `1,5` or `1.234,56`.
pub(super) fn has_decimal_comma(cell: &str) -> bool {
    cell.contains(',') && parse(cell, Decimal::Comma).is_some() && parse(cell, Decimal::Point).is_none()
}

/// Whether a cell can be a number with a decimal point and nothing else, such as `1.5`.
pub(super) fn has_decimal_point(cell: &str) -> bool {
    cell.contains('.') && parse(cell, Decimal::Auto).is_some() && parse(cell, Decimal::Comma).is_none()
}

/// How a text that looks like a number is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spelling {
    Marks,
    Percent,
    Currency,
    Blanks,
    Digits,
}

impl Spelling {
    /// Of a text that is no number to [`parse`].
    pub(super) fn of(cell: &str) -> Option<Spelling> {
        // Most texts end here.
        if !cell.chars().any(char::is_numeric) || cell.chars().any(|c| c.is_alphabetic()) {
            return None;
        }
        let mut spelling = Spelling::Marks;
        let mut plain = String::with_capacity(cell.len());
        for c in cell.chars() {
            match c {
                '%' | '‰' => spelling = Spelling::Percent,
                '$' | '€' | '£' | '¥' | '₹' => spelling = Spelling::Currency,
                '\'' | '’' => spelling = Spelling::Blanks,
                _ if c.is_whitespace() && spelling == Spelling::Marks => spelling = Spelling::Blanks,
                _ if c.is_whitespace() => {}
                // Full-width digits.
                '\u{ff10}'..='\u{ff19}' => {
                    spelling = Spelling::Digits;
                    plain.extend(char::from_digit(c as u32 - 0xff10, 10));
                }
                '\u{ff0e}' => plain.push('.'),
                '\u{ff0d}' => plain.push('-'),
                _ => plain.push(c),
            }
        }
        let is_number = [Decimal::Point, Decimal::Comma].iter().any(|&mark| parse(&plain, mark).is_some());
        is_number.then_some(spelling)
    }

    /// What is to be done about it.
    pub(super) fn advice(self) -> &'static str {
        match self {
            Spelling::Marks => {
                "set data.decimal = \",\" if the comma is the decimal mark, or data.decimal = \".\" if it is the point and the other one groups thousands"
            }
            Spelling::Percent => "take the percent signs away",
            Spelling::Currency => "take the currency signs away",
            Spelling::Blanks => "take out what stands between the digits",
            Spelling::Digits => "write them with the digits 0 to 9",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_by_their_decimal_mark() {
        use Decimal::{Auto, Comma, Point};
        for (cell, decimal, expected) in [
            ("1.5", Auto, Some(1.5)),
            ("1.5", Point, Some(1.5)),
            ("1.5", Comma, None),
            ("1,5", Comma, Some(1.5)),
            ("-0,25", Comma, Some(-0.25)),
            ("1,5e3", Comma, Some(1500.0)),
            ("7", Comma, Some(7.0)),
            ("1.234,5", Comma, Some(1234.5)),
            ("1.234", Comma, Some(1234.0)),
            ("1,234", Auto, None),
            ("1,234", Point, Some(1234.0)),
            ("-1,234,567.5", Point, Some(-1_234_567.5)),
            ("1,23", Point, None),
            ("1,234,56", Point, None),
            ("1.5,234", Point, None),
            (",234", Point, None),
            ("1,5,6", Comma, None),
            ("\u{2212}3", Auto, Some(-3.0)),
            ("\u{2212}3,5", Comma, Some(-3.5)),
            ("word", Auto, None),
            ("", Auto, None),
        ] {
            assert_eq!(parse(cell, decimal), expected, "{cell} {decimal:?}");
        }
    }

    #[test]
    fn texts_that_look_like_numbers_are_known() {
        for (cell, expected) in [
            ("1,5", Some(Spelling::Marks)),
            ("1,234,567", Some(Spelling::Marks)),
            ("1.234.567", Some(Spelling::Marks)),
            ("10 %", Some(Spelling::Percent)),
            ("$1,234.50", Some(Spelling::Currency)),
            ("5,50 €", Some(Spelling::Currency)),
            ("12 345", Some(Spelling::Blanks)),
            ("12\u{a0}345", Some(Spelling::Blanks)),
            ("1'000", Some(Spelling::Blanks)),
            ("１２", Some(Spelling::Digits)),
            ("05.01.2024", None),
            ("2024-01-05", None),
            ("192.168.0.1", None),
            ("12:30", None),
            ("18-25", None),
            ("60+", None),
            ("A1", None),
            ("%", None),
            ("12 May", None),
        ] {
            assert_eq!(Spelling::of(cell), expected, "{cell}");
        }
    }
}
