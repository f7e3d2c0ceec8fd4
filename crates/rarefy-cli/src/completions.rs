//! `rarefy completions`: scripts that let a shell complete commands, flags and values, made from the same definition as the
//! program's arguments.

use anyhow::Result;
use clap::ValueHint;
use clap_complete::Shell;
use serde_json::json;

use crate::arguments::Suggested;
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

/// The command line, knowing which values are files and which begin with the key of a setting: shells complete them.
pub fn with_values(command: clap::Command) -> clap::Command {
    let hint = |arg: clap::Arg| match arg.get_id().as_str() {
        "data" => arg.value_hint(ValueHint::AnyPath),
        "set" => arg.value_parser(Suggested::settings()).hide_possible_values(true),
        _ => arg,
    };
    command.mut_subcommands(|verb| verb.mut_args(hint))
}

/// Prints the script for a command line.
pub fn run(args: &CompletionsArgs, mut command: clap::Command, output: &Output) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "rarefy", &mut script);
    let script = String::from_utf8(script)?;
    if !output.json {
        output.answer(&script);
    }
    output.json(&json!({ "shell": args.shell.to_string(), "script": script }))
}
