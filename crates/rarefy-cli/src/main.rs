//! The program `rarefy`.

mod apply;
mod arguments;
mod bench;
mod comm;
mod compare;
mod completions;
mod data;
mod doctor;
mod evaluate;
mod exit;
mod generate;
mod inspect;
mod interrupt;
mod job;
mod man;
mod network;
mod output;
mod path;
mod predict;
mod print_config;
mod progress;
mod text_plot;
mod train;
mod width;

use anyhow::Context;
use clap::{CommandFactory, FromArgMatches, Parser};
use output::Output;
use rarefy_mpi::Job;

/// Train neural networks that are sparse from the first step to the last
#[derive(Parser)]
#[command(name = "rarefy", version, arg_required_else_help = true, after_help = exit::EXIT_CODES)]
struct Cli {
    /// Print one final JSON object on stdout; text goes to stderr
    #[arg(long, global = true)]
    json: bool,
    /// Print nothing but errors and what was asked for
    #[arg(long, short, global = true)]
    quiet: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Train a sparse network and compare it with its dense twin
    Train(Box<train::TrainArgs>),
    /// Train every combination of a sweep and compare them over seeds
    Compare(compare::CompareArgs),
    /// Measure how good a model is on labelled data
    Evaluate(evaluate::EvaluateArgs),
    /// Predict with a model, one line a sample
    Predict(predict::PredictArgs),
    /// Show what a model is made of and how it was trained
    Inspect(inspect::InspectArgs),
    /// Follow models from sparse to dense or back, linear ones or networks, and choose one
    Path(Box<path::PathArgs>),
    /// Show what a data set holds
    Data(data::DataArgs),
    /// Measure kernels and training steps on this machine
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Show, check and measure how the ranks of a job (mpirun, srun) talk to each other
    #[command(subcommand)]
    Comm(comm::CommCommand),
    /// Check that this machine and this program work together
    Doctor(doctor::DoctorArgs),
    /// Print a script that completes commands in a shell
    Completions(completions::CompletionsArgs),
    /// Write man pages
    Man(man::ManArgs),
}

/// The command line.
fn command() -> clap::Command {
    completions::with_values(Cli::command()).mut_subcommand("train", train::with_resume_alone)
}

fn main() -> std::process::ExitCode {
    let cli = match command().try_get_matches().and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => return exit::end_usage(&error),
    };
    let output = Output::new(cli.json, cli.quiet);
    let shares = matches!(cli.command, Command::Train(_) | Command::Comm(_));
    match job::start(shares) {
        Ok(mut job) => {
            let mut output =
                if job.comm().rank() == 0 { output } else { Output::silent(cli.json, cli.quiet) };
            let result = run(&cli, &mut job, &mut output);
            exit::end(&result, &output, Some(&mut job))
        }
        Err(error) => exit::end(&Err(error), &output, None),
    }
}

fn run(cli: &Cli, job: &mut Job, output: &mut Output) -> anyhow::Result<()> {
    // Files are read in threads, one for each core; where the system gives none, reading would panic.
    if !matches!(cli.command, Command::Train(_)) {
        let pool = rayon::ThreadPoolBuilder::new().build_global();
        pool.context("the system gives no more threads")?;
    }
    match &cli.command {
        Command::Train(args) => train::run(args, job, output),
        Command::Compare(args) => compare::run(args, output),
        Command::Evaluate(args) => evaluate::run(args, output),
        Command::Predict(args) => predict::run(args, output),
        Command::Inspect(args) => inspect::run(args, output),
        Command::Path(args) => path::run(args, output),
        Command::Data(args) => data::run(args, output),
        Command::Bench(bench) => bench::run(bench, output),
        Command::Comm(command) => comm::run(command, job, output),
        Command::Doctor(args) => doctor::run(args, output),
        Command::Completions(args) => completions::run(args, command(), output),
        Command::Man(args) => man::run(args, command(), output),
    }
}

#[cfg(test)]
mod tests {
    use clap::error::ErrorKind;

    use super::*;

    /// A flag that `--resume` would ignore is refused.
    #[test]
    fn only_what_changes_no_result_goes_with_resume() {
        let train = command().find_subcommand("train").unwrap().clone();
        let mut allowed = Vec::new();
        for arg in train.get_arguments().filter(|arg| arg.get_id() != "resume") {
            let flag = arg.get_long().map(|long| format!("--{long}"));
            let takes_value = arg.get_action().takes_values();
            // One of these is a value of the flag.
            let names = arg.get_possible_values().into_iter().map(|value| value.get_name().to_string());
            let outcomes: Vec<Option<ErrorKind>> = names
                .chain(["1", "0.5", "nnz=9"].map(String::from))
                .map(|value| {
                    let value = takes_value.then_some(value);
                    let given = flag.clone().into_iter().chain(value);
                    let line =
                        ["rarefy", "train", "--resume", "x"].map(String::from).into_iter().chain(given);
                    command().try_get_matches_from(line).err().map(|error| error.kind())
                })
                .collect();
            if outcomes.contains(&None) {
                allowed.push(arg.get_id().to_string());
            } else {
                assert!(outcomes.contains(&Some(ErrorKind::ArgumentConflict)), "{arg:?}: {outcomes:?}");
            }
        }
        assert_eq!(allowed, ["epochs", "threads", "memory_limit", "elastic", "baseline", "no_twin"]);
    }

    /// The commands in a text: lines that begin with the program's name, up to a pipe or a comment after two blanks.
    fn commands(text: &str) -> Vec<Vec<String>> {
        let lines = text.lines().map(str::trim).filter(|line| line.starts_with("rarefy "));
        let command = |line: &str| {
            let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
            let line = line.split("  ").next().unwrap();
            for c in line.chars().chain([' ']) {
                match (c, quote) {
                    ('\'' | '"', None) => quote = Some(c),
                    (c, Some(open)) if c == open => quote = None,
                    (' ', None) => {
                        words.extend(Some(std::mem::take(&mut word)).filter(|word| !word.is_empty()))
                    }
                    _ => word.push(c),
                }
            }
            let end = words.iter().position(|word| ["|", ">", ">>"].contains(&word.as_str()));
            words.truncate(end.unwrap_or(words.len()));
            words
        };
        lines.map(command).collect()
    }

    #[test]
    fn commands_in_docs_and_help_are_understood() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut texts = vec![std::fs::read_to_string(root.join("README.md")).unwrap()];
        for folder in ["docs", "examples"] {
            for entry in std::fs::read_dir(root.join(folder)).unwrap() {
                texts.push(std::fs::read_to_string(entry.unwrap().path()).unwrap().replace("# ", ""));
            }
        }
        let help = |command: &clap::Command| command.get_after_help().map(ToString::to_string);
        texts.extend(command().get_subcommands().filter_map(help));
        let found: Vec<Vec<String>> = texts.iter().flat_map(|text| commands(text)).collect();
        assert!(found.len() > 60, "{found:?}");
        for words in found {
            if let Err(error) = command().try_get_matches_from(&words) {
                panic!("{words:?}: {error}");
            }
        }
    }
}
