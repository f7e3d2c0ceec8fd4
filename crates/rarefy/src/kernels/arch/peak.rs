//! The multiply-add peak of one core, which every benchmark's figures are compared with.

use std::time::Instant;

use super::Isa;

const REPEATS: usize = 2_000_000;

/// Measures how many GFLOP/s one core reaches on independent `f32` multiply-adds held in registers.
pub fn measure_peak(isa: Isa) -> f64 {
    fastest(|| isa.multiply_adds(REPEATS))
}

/// Measures the same of bf16 numbers in pairs, where an instruction set multiplies such.
pub fn measure_pairs_peak(isa: Isa) -> Option<f64> {
    isa.multiply_add_pairs(1)?;
    Some(fastest(|| isa.multiply_add_pairs(REPEATS).unwrap_or_default()))
}

/// `work` tells how many numbers it multiplies each time.
fn fastest(work: impl Fn() -> usize) -> f64 {
    let run = || {
        let start = Instant::now();
        let numbers = work();
        (2 * numbers * REPEATS) as f64 / start.elapsed().as_secs_f64() / 1e9
    };
    (0..5).map(|_| run()).fold(0.0, f64::max)
}
