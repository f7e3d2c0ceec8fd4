//! Reports: what a person reads after training. Plain numbers in, plain numbers out; nothing here knows of networks.

mod metrics;

pub use metrics::{
    Classification, Hits, MultiLabel, OutputErrors, Regression, classification, multi_label, regression,
};
