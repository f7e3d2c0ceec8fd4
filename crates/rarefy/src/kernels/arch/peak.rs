//! The multiply-add peak of one core, which every benchmark's figures are compared with.

use std::time::Instant;

use super::Isa;

/// Measures how many GFLOP/s one core reaches on independent `f32` multiply-adds held in registers.
pub fn measure_peak(isa: Isa) -> f64 {
    (0..5).map(|_| run(isa)).fold(0.0, f64::max)
}

fn run(isa: Isa) -> f64 {
    const REPEATS: usize = 2_000_000;
    let start = Instant::now();
    let floats = isa.multiply_adds(REPEATS);
    (2 * floats * REPEATS) as f64 / start.elapsed().as_secs_f64() / 1e9
}
