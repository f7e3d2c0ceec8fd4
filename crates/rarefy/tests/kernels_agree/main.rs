//! Every kernel computes what its formula says, in `f64` and plain loops, on every instruction set that this processor has, in every
//! storage, on awkward shapes and on random ones; and the same bits for any number of threads and for a sample alone or in a batch.

mod attention;
mod convolution;
mod linear;
mod lookup;
mod sparse_input;
mod support;

use proptest::test_runner::{Config, RngSeed};

/// So many random shapes, the same in each run.
fn random_shapes(cases: u32) -> Config {
    Config { cases, failure_persistence: None, rng_seed: RngSeed::Fixed(1), ..Config::default() }
}
