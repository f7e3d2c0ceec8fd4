//! Where words go: people's text to stdout, or to stderr when `--json` claims stdout for one final object. A reader that
//! has gone away (`rarefy data digits | head`) is no error.

use std::io::{ErrorKind, Write};

use anyhow::Result;
use serde::Serialize;

/// How the program talks.
pub struct Output {
    /// One final JSON object on stdout, everything else on stderr.
    pub json: bool,
    /// No text but errors and what was asked for.
    pub quiet: bool,
}

impl Output {
    /// Says something by the way: on stdout, under `--json` on stderr, and nowhere under `--quiet`. Work goes on even if nobody
    /// can hear it.
    pub fn say(&self, text: &str) {
        if !self.quiet {
            let _ = if self.json {
                writeln!(std::io::stderr(), "{text}")
            } else {
                writeln!(std::io::stdout(), "{text}")
            };
        }
    }

    /// Says something by the way on stderr, where programs read what stands on stdout; nowhere under `--quiet`.
    pub fn aside(&self, text: &str) {
        if !self.quiet {
            let _ = writeln!(std::io::stderr(), "{text}");
        }
    }

    /// Shows a person what was asked for, even under `--quiet`; under `--json` the object is what was asked for.
    pub fn show(&self, text: &str) {
        if self.json { self.say(text) } else { self.answer(text) }
    }

    /// Prints what was asked for. A reader that has gone away (`| head`) ends the program quietly.
    pub fn answer(&self, text: &str) {
        self.stream(|out| writeln!(out, "{}", text.trim_end_matches('\n')));
    }

    /// Prints the final object if it was asked for.
    pub fn json(&self, value: &impl Serialize) -> Result<()> {
        if self.json {
            self.answer(&serde_json::to_string(value)?);
        }
        Ok(())
    }

    /// Prints what was asked for as `write` makes it, for what is long. A reader that has gone away ends the program quietly.
    pub fn stream(&self, write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) {
        let mut out = std::io::BufWriter::new(std::io::stdout().lock());
        if let Err(error) = write(&mut out).and_then(|()| out.flush()) {
            if error.kind() == ErrorKind::BrokenPipe {
                std::process::exit(0);
            }
            complain(&format!("error: cannot write to stdout: {error}"));
            std::process::exit(1);
        }
    }
}

/// Says what went wrong, if anybody can hear it: `eprintln!` would panic where not.
pub fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
