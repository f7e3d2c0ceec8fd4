//! The program `rarefy`.

mod bench;
mod config;
mod output;
mod train;

use clap::Parser;
use output::Output;

/// Train neural networks that are sparse from the first step to the last
#[derive(Parser)]
#[command(name = "rarefy", version, arg_required_else_help = true)]
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
    /// Measure kernels and training steps on this machine
    #[command(subcommand)]
    Bench(bench::Bench),
}

fn main() -> std::process::ExitCode {
    let cli = Cli::parse();
    let output = Output { json: cli.json, quiet: cli.quiet };
    let result = match &cli.command {
        Command::Train(args) => train::run(args, &output),
        Command::Bench(bench) => bench::run(bench, &output),
    };
    match result {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}
