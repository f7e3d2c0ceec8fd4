//! What a run is worth, in plain numbers: this folder sees slices, never networks.

pub mod metrics;
