//! Where words go: people's text to stdout, or to stderr when `--json` claims stdout for one final object. Text for people is
//! wrapped at words to the width of the place. A reader that has gone away (`rarefy data digits | head`) is no error.

use std::io::{ErrorKind, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use clap::builder::Styles;
use serde::Serialize;

use crate::width::{stderr_width, stdout_width, wrap};

/// How the program talks.
pub struct Output {
    /// One final JSON object on stdout, everything else on stderr.
    pub json: bool,
    /// No text but errors and what was asked for.
    pub quiet: bool,
    /// Nothing at all but errors: another rank talks for this one, which keeps what was asked for should it have to take over.
    silent: Option<(bool, bool)>,
    /// Whether the object has been printed.
    has_object: AtomicBool,
}

impl Output {
    /// To stdout and stderr.
    pub fn new(json: bool, quiet: bool) -> Output {
        Output { json, quiet, silent: None, has_object: AtomicBool::new(false) }
    }

    /// Of a rank above 0, for which rank 0 talks.
    pub fn silent(json: bool, quiet: bool) -> Output {
        Output { json: false, quiet: true, silent: Some((json, quiet)), has_object: AtomicBool::new(false) }
    }

    /// Talks from now on, in place of a rank that is lost.
    pub fn take_over(&mut self) {
        if let Some((json, quiet)) = self.silent {
            *self = Output::new(json, quiet);
        }
    }

    /// Columns of the place where text for people goes.
    pub fn width(&self) -> usize {
        if self.json { stderr_width() } else { stdout_width() }
    }

    /// Says something by the way: on stdout, under `--json` on stderr, and nowhere under `--quiet`. Work goes on even if nobody
    /// can hear it.
    pub fn say(&self, text: &str) {
        if !self.quiet {
            let text = wrap(text, self.width());
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
            let _ = writeln!(std::io::stderr(), "{}", wrap(text, stderr_width()));
        }
    }

    /// Shows a person what was asked for, even under `--quiet`; under `--json` the object is what was asked for.
    pub fn show(&self, text: &str) {
        if self.json { self.say(text) } else { self.answer(&wrap(text, self.width())) }
    }

    /// Prints what was asked for. A reader that has gone away (`| head`) ends the program quietly.
    pub fn answer(&self, text: &str) {
        self.stream(|out| writeln!(out, "{}", text.trim_end_matches('\n')));
    }

    /// Prints the final object if it was asked for.
    pub fn json(&self, value: &impl Serialize) -> Result<()> {
        if self.json {
            self.has_object.store(true, Ordering::Relaxed);
            self.answer(&serde_json::to_string(value)?);
        }
        Ok(())
    }

    /// Prints an error as the final object if one was asked for and none has been printed: there is one only.
    pub fn failure(&self, object: &serde_json::Value) {
        if self.json && !self.has_object.load(Ordering::Relaxed) {
            self.answer(&object.to_string());
        }
    }

    /// Prints what was asked for as `write` makes it, for what is long. A reader that has gone away ends the program quietly.
    pub fn stream(&self, write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) {
        if self.silent.is_some() {
            return;
        }
        let mut out = std::io::BufWriter::new(std::io::stdout().lock());
        if let Err(error) = write(&mut out).and_then(|()| out.flush()) {
            if error.kind() == ErrorKind::BrokenPipe {
                std::process::exit(0);
            }
            complain_of(&format!("cannot write to stdout: {error}"));
            std::process::exit(1);
        }
    }
}

/// Says on stderr what is going on, if anybody can hear it: `eprintln!` would panic where not.
pub fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Says what went wrong, in the colours of clap's own errors where the terminal has colours and NO_COLOR is not set.
pub fn complain_of(problem: &str) {
    let mut text = format!("error: {problem}");
    // Programs look for errors too, so their lines are broken on terminals alone.
    if std::io::stderr().is_terminal() {
        text = wrap(&text, stderr_width());
    }
    let (styles, rest) = (Styles::styled(), text.trim_start_matches("error:"));
    let style = styles.get_error();
    let _ = writeln!(anstream::stderr(), "{style}error:{style:#}{rest}");
}
