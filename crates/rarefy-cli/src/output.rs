//! Where words go: people's text to stdout, or to stderr when `--json` claims stdout for one final object.

use std::io::Write;

use anyhow::Result;
use comfy_table::{CellAlignment, Table, presets};

/// How the program talks.
pub struct Output {
    /// One final JSON object on stdout, everything else on stderr.
    pub json: bool,
    /// No text but errors and what was asked for.
    pub quiet: bool,
}

impl Output {
    /// Says something to a person.
    pub fn say(&self, text: &str) {
        if self.quiet {
            return;
        }
        if self.json {
            eprintln!("{text}");
        } else {
            self.answer(text);
        }
    }

    /// Prints what was asked for. A reader that has gone away (`| head`) ends the program quietly.
    pub fn answer(&self, text: &str) {
        if let Err(error) = writeln!(std::io::stdout().lock(), "{}", text.trim_end_matches('\n')) {
            let gone = error.kind() == std::io::ErrorKind::BrokenPipe;
            std::process::exit(if gone { 0 } else { 1 });
        }
    }

    /// Prints the final object if it was asked for.
    pub fn json(&self, value: &serde_json::Value) -> Result<()> {
        if self.json {
            self.answer(&serde_json::to_string(value)?);
        }
        Ok(())
    }
}

/// A plain table, all columns but the first to the right.
pub fn table(header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header.to_vec());
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.to_string()
}
