//! `rarefy completions`: scripts that let a shell complete commands and flags, made from the same definition as the
//! program's arguments.

use anyhow::Result;
use clap_complete::Shell;
use serde_json::json;

use crate::output::Output;

/// Arguments of `rarefy completions`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  rarefy completions bash > ~/.local/share/bash-completion/completions/rarefy
  rarefy completions zsh > ~/.zfunc/_rarefy            (a folder on $fpath)
  rarefy completions fish > ~/.config/fish/completions/rarefy.fish
  rarefy completions powershell >> $PROFILE")]
pub struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Prints the script for the command line `Cli`.
pub fn run<Cli: clap::CommandFactory>(args: &CompletionsArgs, output: &Output) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "rarefy", &mut script);
    let script = String::from_utf8(script)?;
    if !output.json {
        output.answer(&script);
    }
    output.json(&json!({ "shell": args.shell.to_string(), "script": script }))
}
