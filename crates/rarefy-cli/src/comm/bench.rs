//! `rarefy comm bench`: how fast messages and sums of gradients are. Answers are checked.

use std::time::Instant;

use anyhow::{Result, ensure};
use rarefy::distributed::{Comm, Packing, sum};
use rarefy::report::table;
use serde::Serialize;

use crate::output::Output;

/// Arguments of `rarefy comm bench`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  mpirun -n 2 --bind-to none rarefy comm bench
  mpirun -n 8 --hostfile hosts rarefy comm bench --values 1000000 --json

A sum takes what a training step spends on messages: of the values that a sparse network keeps, and its biases.")]
pub struct BenchArgs {
    /// Numbers that a sum adds up
    #[arg(long, default_value_t = 93_000)]
    values: usize,
    /// Timings of each figure; the median counts
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
}

/// Bytes of a message that tells the bandwidth.
const LONG: usize = 1 << 20;

/// A figure, in microseconds.
#[derive(Serialize)]
struct Timing {
    what: String,
    bytes: usize,
    median_us: f64,
    best_us: f64,
}

/// Measures.
pub fn run(args: &BenchArgs, comm: &dyn Comm, output: &Output) -> Result<()> {
    let timings = [
        message(comm, "message of 8 bytes, rank 0 to 1", 8, args.rounds)?,
        message(comm, "message of 1 MiB, rank 0 to 1", LONG, args.rounds)?,
        tree_sum(comm, args)?,
    ];
    let rows = timings
        .iter()
        .map(|it| vec![it.what.clone(), format!("{:.1}", it.median_us), format!("{:.1}", it.best_us)]);
    let bandwidth = LONG as f64 / timings[1].median_us;
    output.show(&format!(
        "{}\n{bandwidth:.0} MB/s from rank 0 to rank 1",
        table(&["", "us, median", "best"], rows).text(output.width())
    ));
    output.json(&serde_json::json!({
        "ranks": comm.size(),
        "latency_us": timings[0].median_us,
        "bandwidth_mb_per_second": bandwidth,
        "timings": timings,
    }))
}

/// Half of the time that a message takes from rank 0 to rank 1 and back. The others wait.
fn message(comm: &dyn Comm, what: &str, bytes: usize, rounds: u32) -> Result<Timing> {
    let (rank, mut heard) = (comm.rank(), vec![0; bytes]);
    let said: Vec<u8> = (0..bytes).map(|place| place as u8).collect();
    let times = measure(comm, rounds, || {
        match rank {
            0 => {
                comm.exchange(1, &said, 1, &mut [])?;
                comm.exchange(1, &[], 1, &mut heard)?;
            }
            1 => {
                comm.exchange(0, &[], 0, &mut heard)?;
                comm.exchange(0, &heard, 0, &mut [])?;
            }
            _ => {}
        }
        Ok(())
    })?;
    ensure!(rank > 1 || heard == said, "a message has changed on its way; see  rarefy comm test");
    Ok(timing(what.into(), bytes, times.iter().map(|us| us / 2.0).collect()))
}

/// The sum of so many numbers over all ranks.
fn tree_sum(comm: &dyn Comm, args: &BenchArgs) -> Result<Timing> {
    let size = comm.size();
    let (mut numbers, mut room) = (vec![comm.rank() as f32; args.values], Vec::new());
    sum(comm, size, Packing::F32, &mut numbers, &mut [], &mut room)?;
    // Whole numbers, which add up exactly.
    let expected = (size * (size - 1) / 2) as f32;
    ensure!(numbers.iter().all(|&number| number == expected), "a sum is wrong; see  rarefy comm test");
    // Zeros do not grow from round to round.
    numbers.fill(0.0);
    let times =
        measure(comm, args.rounds, || sum(comm, size, Packing::F32, &mut numbers, &mut [], &mut room))?;
    Ok(timing(format!("sum of {} numbers over {size} ranks", args.values), 4 * args.values, times))
}

/// The times of some work in microseconds, all ranks beginning together; the first rounds do not count.
fn measure(
    comm: &dyn Comm,
    rounds: u32,
    mut work: impl FnMut() -> rarefy::Result<()>,
) -> rarefy::Result<Vec<f64>> {
    const WARM_UP: u32 = 5;
    let mut times = Vec::new();
    for round in 0..WARM_UP + rounds {
        comm.barrier()?;
        let start = Instant::now();
        work()?;
        if round >= WARM_UP {
            times.push(1e6 * start.elapsed().as_secs_f64());
        }
    }
    Ok(times)
}

fn timing(what: String, bytes: usize, mut times: Vec<f64>) -> Timing {
    times.sort_by(f64::total_cmp);
    Timing { what, bytes, median_us: times[times.len() / 2], best_us: times[0] }
}
