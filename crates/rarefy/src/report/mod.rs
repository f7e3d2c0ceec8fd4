//! Reports: what a person reads after training. Plain numbers in, plain numbers out; nothing here knows of networks.

mod choice;
mod metrics;
pub mod plot;
mod statistics;

pub use choice::{Candidate, best, knee};
pub use metrics::{
    Classification, Hits, MultiLabel, OutputErrors, Regression, classification, multi_label, regression,
};
pub use statistics::{TTest, mean, paired_t_test, standard_error, two_sided_p, welch_t_test};
