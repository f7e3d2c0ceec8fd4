//! How the program ends: its exit code, and what it says when something went wrong, to people on stderr and under `--json` to
//! programs as one object on stdout.

use std::process::ExitCode;

use serde_json::{Map, Value, json};

use crate::interrupt;
use crate::output::{Output, complain_of};

/// The exit codes, for the help and the man page.
pub const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    an error: a file, a setting, the data; stderr tells what to do
  2    wrong usage of the command line
  130  interrupted by Ctrl-C (SIGINT), after saving what there was
  143  interrupted by SIGTERM, likewise

With --json an error is an object too: {\"error\": {\"message\", \"exit_code\"}}, with \"key\" or \"path\" where a setting or a file
is at fault.";

/// Ends with what a verb ended with.
pub fn end(result: &anyhow::Result<()>, output: &Output) -> ExitCode {
    let interrupted = interrupt::signal().map(|signal| 128 + signal as u8);
    let code = interrupted.unwrap_or(u8::from(result.is_err()));
    if let Err(error) = result {
        complain_of(&format!("{error:#}"));
        output.failure(&object(error, code));
    }
    ExitCode::from(code)
}

/// Ends with what is wrong with the command line, or with the help that was asked for.
pub fn end_usage(error: &clap::Error) -> ExitCode {
    // A reader that has gone away is no error.
    let _ = error.print();
    // Nothing has been understood, so this is looked up by hand.
    let is_json = std::env::args_os().any(|argument| argument == "--json");
    if error.use_stderr() {
        let text = error.render().to_string();
        let first = text.split("\n\n").next().unwrap_or_default();
        let words: Vec<&str> = first.trim_start_matches("error:").split_whitespace().collect();
        let message = words.join(" ");
        let output = Output::new(is_json, false);
        output.failure(&json!({ "error": { "message": message, "exit_code": error.exit_code() } }));
    }
    ExitCode::from(error.exit_code() as u8)
}

/// An error for programs.
fn object(error: &anyhow::Error, code: u8) -> Value {
    let mut fields = Map::new();
    fields.insert("message".into(), json!(format!("{error:#}")));
    match error.chain().find_map(|cause| cause.downcast_ref::<rarefy::Error>()) {
        Some(rarefy::Error::Setting { key, .. }) => drop(fields.insert("key".into(), json!(key))),
        Some(
            rarefy::Error::Io { path, .. }
            | rarefy::Error::Data { path, .. }
            | rarefy::Error::Model { path, .. }
            | rarefy::Error::RunExists { path },
        ) => drop(fields.insert("path".into(), json!(path))),
        _ => {}
    }
    fields.insert("exit_code".into(), json!(code));
    json!({ "error": fields })
}
