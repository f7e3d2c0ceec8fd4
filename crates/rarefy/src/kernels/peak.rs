//! The multiply-add peak of one core, which every benchmark's figures are compared with.

use std::time::Instant;

use super::isa::{Isa, Kind};

/// Measures how many GFLOP/s one core reaches on independent `f32` multiply-adds held in registers.
pub fn measure_peak(isa: Isa) -> f64 {
    (0..5).map(|_| run(isa)).fold(0.0, f64::max)
}

fn run(isa: Isa) -> f64 {
    const REPEATS: usize = 2_000_000;
    let start = Instant::now();
    let floats = match isa.kind() {
        Kind::Scalar => chains(REPEATS, |sum, factor, term| sum * factor + term),
        // SAFETY: an `Isa` of this kind exists only where the processor has these features.
        #[cfg(target_arch = "x86_64")]
        Kind::Avx2 => unsafe { super::avx2::multiply_adds(REPEATS) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Kind::Avx512 => unsafe { super::avx512::multiply_adds(REPEATS) },
        #[cfg(target_arch = "aarch64")]
        Kind::Neon => chains(REPEATS, f32::mul_add),
    };
    (2 * floats * REPEATS) as f64 / start.elapsed().as_secs_f64() / 1e9
}

/// Multiplies and adds on 32 independent sums, which compilers turn into eight registers of four; returns 32.
fn chains(repeats: usize, multiply_add: impl Fn(f32, f32, f32) -> f32) -> usize {
    let (factor, term) = (std::hint::black_box(1.0), std::hint::black_box(0.0));
    let mut sums = [1.0f32; 32];
    for _ in 0..repeats {
        for sum in &mut sums {
            *sum = multiply_add(*sum, factor, term);
        }
    }
    std::hint::black_box(sums).len()
}
