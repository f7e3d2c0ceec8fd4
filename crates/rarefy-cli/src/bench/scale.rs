//! `rarefy bench scale`: the time of a training step on many machines, computed from the step that is measured here and from the latency
//! and bandwidth of the network between them. It is a model, not a measurement.
//!
//! ```text
//! sum = 2 log2(p) latency  +  2 (p - 1) / p  4 n / bandwidth  +  (p - 1) / p  n  additions
//! ```
//! for `n` trained numbers and `p` ranks (recursive halving and doubling; Thakur et al. 2005, section 4.5). Links carry as much each way at
//! the same time, and messages do not get into each other's way.

use std::hint::black_box;

use anyhow::{Result, ensure};
use rarefy::report::{bytes, table};
use serde::Serialize;

use super::step::{self, Measured, StepArgs};
use super::{median, timed};
use crate::output::Output;

/// Arguments of `rarefy bench scale`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  rarefy bench scale --density 0.05
  rarefy bench scale --density 0.05 --ranks 2,16 --gigabits 25 --latency-us 5 --period 16

rarefy comm bench  measures latency and bandwidth between the ranks of a job.")]
pub struct ScaleArgs {
    #[command(flatten)]
    step: StepArgs,
    /// Numbers of ranks, each of which has --batch samples
    #[arg(long, value_delimiter = ',', default_value = "8,64,512")]
    ranks: Vec<u32>,
    /// Bandwidths of a rank's link, in Gbit/s each way
    #[arg(long, value_delimiter = ',', default_value = "1,10,100")]
    gigabits: Vec<f64>,
    /// Microseconds of the shortest message
    #[arg(long, default_value_t = 10.0)]
    latency_us: f64,
    /// Steps between two sums: 1 for every step, more for distributed.exchange=local
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    period: u32,
}

/// What a step takes of some ranks on some links.
#[derive(Serialize)]
struct Row {
    ranks: u32,
    gigabits: f64,
    /// What a rank sends and receives a step, in bytes each way.
    bytes: f64,
    sum_ms: f64,
    step_ms: f64,
    /// Share of the time in which ranks compute.
    efficiency: f64,
}

/// Measures a step, and shows what follows.
pub fn run(args: &ScaleArgs, output: &Output) -> Result<()> {
    ensure!(args.latency_us >= 0.0, "--latency-us: {} is below 0", args.latency_us);
    ensure!(args.ranks.iter().all(|&ranks| ranks > 0), "--ranks: there is one rank at least");
    if let Some(wrong) = args.gigabits.iter().find(|&&gigabits| gigabits.is_nan() || gigabits <= 0.0) {
        ensure!(false, "--gigabits: {wrong} is not above 0");
    }
    let isa = args.step.isa()?;
    let Measured { times, threads, values, .. } = step::measure(&args.step, isa)?;
    let (compute, addition) = (median(times), seconds_of_an_addition(values));
    let rows: Vec<Row> = args
        .ranks
        .iter()
        .flat_map(|&ranks| args.gigabits.iter().map(move |&gigabits| (ranks, gigabits)))
        .map(|(ranks, gigabits)| {
            let bandwidth = gigabits * 1e9 / 8.0;
            let sent = 8.0 * values as f64 * f64::from(ranks - 1) / f64::from(ranks);
            let messages = 2.0 * f64::from(ranks).log2().ceil();
            let sum = messages * args.latency_us * 1e-6 + sent / bandwidth + sent / 8.0 * addition;
            let a_step = sum / f64::from(args.period);
            Row {
                ranks,
                gigabits,
                bytes: sent / f64::from(args.period),
                sum_ms: 1e3 * sum,
                step_ms: 1e3 * (compute + a_step),
                efficiency: compute / (compute + a_step),
            }
        })
        .collect();
    let lines = rows.iter().map(|row| {
        vec![
            row.ranks.to_string(),
            row.gigabits.to_string(),
            bytes(row.bytes as usize),
            format!("{:.3}", row.sum_ms),
            format!("{:.3}", row.step_ms),
            format!("{:.0} %", 100.0 * row.efficiency),
        ]
    });
    let head = ["ranks", "Gbit/s", "sent a step", "ms a sum", "ms a step", "computing"];
    output.show(&format!(
        "{:?}, {values} numbers, {} samples a rank, {threads} threads, {isa}: {:.3} ms a step of one rank (measured)\n\
         of several, by a model: {} us for a message, a sum every {} steps\n{}",
        args.step.layers,
        args.step.batch,
        1e3 * compute,
        args.latency_us,
        args.period,
        table(&head, lines).text(output.width())
    ));
    output.json(&serde_json::json!({
        "is_a_model": true, "values": values, "samples_of_a_rank": args.step.batch, "threads": threads, "isa": isa.name(),
        "measured_step_ms": 1e3 * compute, "latency_us": args.latency_us, "period": args.period, "rows": rows,
    }))
}

/// Seconds that a number of a message takes to be copied and added.
fn seconds_of_an_addition(numbers: usize) -> f64 {
    let (mut sums, message) = (vec![0.0f32; numbers], vec![0u8; 4 * numbers]);
    let seconds = timed(|| {
        for (sum, number) in sums.iter_mut().zip(black_box(&message).as_chunks().0) {
            *sum += f32::from_ne_bytes(*number);
        }
        black_box(&sums);
    });
    seconds / numbers as f64
}
