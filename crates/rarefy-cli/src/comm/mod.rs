//! `rarefy comm`: whether the ranks of a job find each other, whether what they tell each other is right, and how fast it is.

mod bench;
mod info;
mod test;

use anyhow::{Result, ensure};
use rarefy::distributed::Comm;
use rarefy_mpi::Job;

use crate::output::Output;

/// What `rarefy comm` does.
#[derive(clap::Subcommand)]
pub enum CommCommand {
    /// Show the MPI library, the ranks and the cores that each may use
    Info(info::InfoArgs),
    /// Check every call and the tree sum against computed answers
    Test(test::TestArgs),
    /// Measure latency, bandwidth and the tree sum
    Bench(bench::BenchArgs),
}

/// Runs one of them.
pub fn run(command: &CommCommand, job: &Job, output: &Output) -> Result<()> {
    match command {
        CommCommand::Info(_) => info::run(job, output),
        CommCommand::Test(_) => test::run(several(job, "test")?.as_ref(), output),
        CommCommand::Bench(args) => bench::run(args, several(job, "bench")?.as_ref(), output),
    }
}

/// The ranks, of which there must be two at least.
fn several(job: &Job, verb: &str) -> Result<std::sync::Arc<dyn Comm>> {
    let comm = job.comm();
    ensure!(
        comm.size() > 1,
        "there is one rank, which has nobody to talk to: start several with  mpirun -n 2 rarefy comm {verb}"
    );
    Ok(comm)
}
