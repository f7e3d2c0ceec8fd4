//! L0 gates (Louizos, Welling and Kingma 2018): each hidden neuron has a hard-concrete gate `z`, see
//! `penalties::hard_concrete`, that multiplies its incoming weights and its bias. One draw a step, from a stream named by
//! layer and step; in a prediction the gate that stands for the distribution. The objective gains
//! ```text
//! lambda * sum over neurons of (incoming weights) * P(z > 0)
//! ```
//! A closed neuron puts out `f(0)`, which is 0, so its outgoing weights do not count either.

use std::ops::Range;

use super::CHUNK;
use crate::penalties::hard_concrete;
use crate::random::{Purpose, Stream};
use crate::sparse::Weights;

/// `log_alpha` at the start: open in 97 of 100 draws, 0.96 in a prediction.
pub(super) const START: f32 = 2.0;

/// Gates learn so many times faster than weights: an adaptive optimizer moves a number by about the learning rate a step,
/// and from open to closed `log_alpha` has 4.4 to go where weights have tenths.
pub(super) const RATE: f32 = 10.0;

/// Draws this step's gates and their slopes.
pub(super) fn draw(log_alpha: &[f32], seed: u64, depth: u64, step: u64, out: &mut Vec<(f32, f32)>) {
    let mut stream = Stream::new(seed, Purpose::Gates, depth, step);
    out.clear();
    out.extend(log_alpha.iter().map(|&log_alpha| hard_concrete::sample(log_alpha, stream.uniform())));
}

/// The gates of a prediction.
pub(super) fn predicting(log_alpha: &[f32]) -> Vec<(f32, f32)> {
    log_alpha.iter().map(|&log_alpha| (hard_concrete::test_gate(log_alpha), 0.0)).collect()
}

/// Each row times its gate.
pub(super) fn apply(gates: &[(f32, f32)], weights: &Weights, stored: &[f32], out: &mut [f32]) {
    apply_part(gates, weights, 0..gates.len(), stored, out);
}

fn apply_part(gates: &[(f32, f32)], weights: &Weights, range: Range<usize>, stored: &[f32], out: &mut [f32]) {
    let slots = weights.row_slots(range.clone());
    if range.len() > 1 && slots.len() > CHUNK {
        let middle = range.start + range.len() / 2;
        let (left, right) = out.split_at_mut(weights.row_slots(range.start..middle).len());
        rayon::join(
            || apply_part(gates, weights, range.start..middle, stored, left),
            || apply_part(gates, weights, middle..range.end, stored, right),
        );
        return;
    }
    for row in range {
        let line = weights.row_slots(row..row + 1);
        let out = &mut out[line.start - slots.start..line.end - slots.start];
        out.iter_mut().zip(&stored[line]).for_each(|(out, w)| *out = gates[row].0 * w);
    }
}

pub(super) fn apply_to_biases(gates: &[(f32, f32)], stored: &[f32], out: &mut [f32]) {
    out.iter_mut().zip(stored).zip(gates).for_each(|((out, b), gate)| *out = gate.0 * b);
}

/// Writes the penalty's gradient.
pub(super) fn penalty(lambda: f32, log_alpha: &[f32], weights: &Weights, out: &mut [f32]) {
    for (row, (out, &log_alpha)) in out.iter_mut().zip(log_alpha).enumerate() {
        *out = lambda * weights.fan_in_of(row) as f32 * hard_concrete::open_probability(log_alpha).1;
    }
}

/// Turns gradients of effective values into those of stored ones, and adds the gates' to `own`.
pub(super) fn vjp(
    gates: &[(f32, f32)],
    weights: &Weights,
    stored: &[f32],
    gradient: &mut [f32],
    own: &mut [f32],
) {
    vjp_part(gates, weights, 0..gates.len(), stored, gradient, own);
}

fn vjp_part(
    gates: &[(f32, f32)],
    weights: &Weights,
    range: Range<usize>,
    stored: &[f32],
    gradient: &mut [f32],
    own: &mut [f32],
) {
    let slots = weights.row_slots(range.clone());
    if range.len() > 1 && slots.len() > CHUNK {
        let middle = range.start + range.len() / 2;
        let (left, right) = gradient.split_at_mut(weights.row_slots(range.start..middle).len());
        let (left_own, right_own) = own.split_at_mut(range.len() / 2);
        rayon::join(
            || vjp_part(gates, weights, range.start..middle, stored, left, left_own),
            || vjp_part(gates, weights, middle..range.end, stored, right, right_own),
        );
        return;
    }
    for (row, own) in range.zip(own) {
        let (gate, slope) = gates[row];
        let line = weights.row_slots(row..row + 1);
        let gradient = &mut gradient[line.start - slots.start..line.end - slots.start];
        let mut sum = 0.0;
        for (g, w) in gradient.iter_mut().zip(&stored[line]) {
            sum += *g * w;
            *g *= gate;
        }
        *own += slope * sum;
    }
}

pub(super) fn vjp_of_biases(gates: &[(f32, f32)], stored: &[f32], gradient: &mut [f32], own: &mut [f32]) {
    for (((g, b), &(gate, slope)), own) in gradient.iter_mut().zip(stored).zip(gates).zip(own) {
        *own += slope * *g * b;
        *g *= gate;
    }
}

/// Sets to zero what comes from closed neurons of the layer below.
pub(super) fn close_inputs(closed: &[bool], weights: &Weights, values: &mut [f32]) {
    if closed.contains(&true) {
        let cols = weights.cols();
        weights
            .connections()
            .filter(|(cell, _)| closed[cell % cols])
            .for_each(|(_, slot)| values[slot] = 0.0);
    }
}
