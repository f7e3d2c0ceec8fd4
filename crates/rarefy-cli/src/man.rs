//! `rarefy man`: man pages, made from the same definition as the program's arguments.

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::json;

use crate::output::Output;

/// Arguments of `rarefy man`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  rarefy man --output ~/.local/share/man/man1           then: man rarefy-train")]
pub struct ManArgs {
    /// The folder for the pages, one for each command; made if it is not there
    #[arg(long, short, value_name = "DIR", value_hint = clap::ValueHint::DirPath)]
    output: PathBuf,
}

/// Writes the pages of a command line.
pub fn run(args: &ManArgs, command: clap::Command, output: &Output) -> Result<()> {
    let folder = &args.output;
    std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(command, folder))
        .with_context(|| format!("{}: cannot write the man pages", folder.display()))?;
    output.say(&format!("man pages in {}", folder.display()));
    output.json(&json!({ "folder": folder }))
}
