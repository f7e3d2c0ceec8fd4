//! How wide text for people may be, and text wrapped at words to that width.

use terminal_size::{Width, terminal_size_of};
use unicode_width::UnicodeWidthStr;

/// Where there is no terminal and COLUMNS says nothing.
const DEFAULT_WIDTH: usize = 80;
/// The least width that is believed.
const LEAST_WIDTH: usize = 20;

/// Columns of stdout: those of its terminal, else what COLUMNS says, else 80.
pub fn stdout_width() -> usize {
    width(terminal_size_of(std::io::stdout()).map(|(width, _)| width))
}

/// Columns of stderr, likewise.
pub fn stderr_width() -> usize {
    width(terminal_size_of(std::io::stderr()).map(|(width, _)| width))
}

fn width(terminal: Option<Width>) -> usize {
    let columns = || std::env::var("COLUMNS").ok()?.parse().ok();
    let width = terminal.map(|width| usize::from(width.0)).filter(|&width| width > 0);
    width.or_else(columns).unwrap_or(DEFAULT_WIDTH).max(LEAST_WIDTH)
}

/// Breaks lines at blanks so that they keep to `width`. What follows a break stands under the line's first word, or where the line
/// begins with a short label and two blanks, under what comes after them. A longer word stays whole.
pub fn wrap(text: &str, width: usize) -> String {
    let mut lines = Vec::new();
    for line in text.split('\n') {
        if line.width() <= width {
            lines.push(line.to_string());
        } else {
            wrap_line(line, width, &mut lines);
        }
    }
    lines.join("\n")
}

fn wrap_line(line: &str, width: usize, lines: &mut Vec<String>) {
    let indent = " ".repeat(hanging_indent(line).min(width / 2));
    let mut current = String::new();
    // Blanks stay with the word that they come before: some lines have columns.
    for word in line.split_inclusive(' ') {
        let is_full = (current.clone() + word.trim_end()).width() > width;
        if is_full && !current.trim().is_empty() {
            lines.push(current.trim_end().to_string());
            current.clone_from(&indent);
        }
        current += word;
    }
    lines.push(current.trim_end().to_string());
}

/// Longest label that later lines stand beside.
const LONGEST_LABEL: usize = 16;

fn hanging_indent(line: &str) -> usize {
    let margin = line.len() - line.trim_start().len();
    let rest = &line[margin..];
    let label = rest.find("  ").filter(|&at| at <= LONGEST_LABEL);
    label.map_or(margin, |at| {
        let after = rest[at..].trim_start();
        margin + rest[..rest.len() - after.len()].width()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_at_words_and_stand_under_their_beginning() {
        for (text, expected) in [
            ("one two three four five", "one two three\nfour five"),
            ("one two\n\nthree", "one two\n\nthree"),
            ("task   one two three four", "task   one two\n       three\n       four"),
            ("  one two three four", "  one two\n  three four"),
            ("no/word/is/broken/ever and so on", "no/word/is/broken/ever\nand so on"),
            // Two columns each.
            ("漢字 漢字 漢字 漢字", "漢字 漢字 漢字\n漢字"),
        ] {
            assert_eq!(wrap(text, 14), expected);
        }
    }
}
