//! Reports: what a person reads after training. Plain numbers in, plain numbers out; nothing here knows of networks.

mod choice;
mod numbers;
pub mod plot;
mod statistics;

pub use choice::{Candidate, best, knee};
pub use numbers::{amount, bytes, count, r2, sparsity, worse_than_mean};
pub use statistics::{TTest, mean, paired_t_test, standard_error, two_sided_p, welch_t_test};
