//! How the program ends: its exit code, and what it says when something went wrong, to people on stderr and under `--json` to
//! programs as one object on stdout.

use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue};
use rarefy_mpi::Job;
use serde_json::{Map, Value, json};

use crate::output::Output;
use crate::print_config::all_keys;
use crate::{interrupt, job};

/// The exit codes, for the help and the man page.
pub const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    an error: a file, a setting, the data; stderr tells what to do
  2    wrong usage of the command line
  130  interrupted by Ctrl-C (SIGINT), after saving what there was
  143  interrupted by SIGTERM, likewise

SIGUSR1 stops a run as Ctrl-C does, and the code is 0: job schedulers send it before time is up.

With --json an error is an object too: {\"error\": {\"message\", \"exit_code\"}}, with \"key\" or \"path\" where a setting or a file
is at fault; the key may be a flag.";

/// Ends with what a verb ended with, and the job of ranks with it.
pub fn end(result: &anyhow::Result<()>, output: &Output, job: Option<&mut Job>) -> ExitCode {
    let code = interrupt::exit_code().unwrap_or(u8::from(result.is_err()));
    if let Err(error) = result {
        job::complain(&format!("{error:#}"));
        output.failure(&object(error, code));
    }
    if let Some(job) = job {
        job.end(result.as_ref().map_or(i32::from(code), |()| 0));
    }
    ExitCode::from(code)
}

/// Ends with what is wrong with the command line, or with the help that was asked for.
pub fn end_usage(error: &clap::Error) -> ExitCode {
    if job::rank() > 0 {
        return ExitCode::from(error.exit_code() as u8);
    }
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
        let mut fields = Map::from_iter([("message".into(), json!(message))]);
        fields.extend(flag_of(error).map(|flag| ("key".into(), json!(flag))));
        fields.insert("exit_code".into(), json!(error.exit_code()));
        output.failure(&json!({ "error": fields }));
    }
    ExitCode::from(error.exit_code() as u8)
}

/// The flag that is wrong on the command line, if one is.
fn flag_of(error: &clap::Error) -> Option<&str> {
    let shown = match error.get(ContextKind::InvalidArg)? {
        ContextValue::String(shown) => shown,
        ContextValue::Strings(shown) => shown.first()?,
        _ => return None,
    };
    shown.split_whitespace().next().filter(|word| word.starts_with("--"))
}

/// The flag or the key that a message of the program's own begins with, perhaps behind the file that it is in. Behind `--set` it
/// is the key.
fn blamed(message: &str) -> Option<String> {
    let is_key = |word: &str| {
        let key = word.strip_prefix("sweep.").unwrap_or(word);
        word == "compare.folds" || all_keys().any(|known| known == key)
    };
    message.split(": ").find_map(|part| {
        let assignment = part.strip_prefix("--set ");
        let part = assignment.unwrap_or(part);
        let first = part.split([' ', '=']).next()?;
        let is_flag = first.len() > 2 && first.starts_with("--");
        let is_alone = part == first || part.as_bytes().get(first.len()) == Some(&b'=');
        (assignment.is_some() || is_flag || is_alone && is_key(first))
            .then(|| first.trim_end_matches([',', ':']).to_string())
    })
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
    if !fields.contains_key("key") {
        fields.extend(blamed(&format!("{error:#}")).map(|key| ("key".into(), json!(key))));
    }
    fields.insert("exit_code".into(), json!(code));
    json!({ "error": fields })
}
