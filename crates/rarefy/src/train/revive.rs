//! Offers a network that is to grow the neurons that it has lost, in pairs that cancel: both get the same new incoming
//! weights, and outgoing ones of opposite signs. So the network computes what it did, but no gradient is 0, and where
//! the loss gains more by a neuron than lambda takes, it stays.
//!
//! ```text
//!      /-- b  --(+u)--\
//! x --<                >-- y      b and b' were dead: no weights led on from them
//!      \-- b' --(-u)--/
//! ```
//! Without it a network whose lambda falls keeps the neurons that the largest lambda left: from 5 weights on the digits
//! it never grew again, because the gradients of weights into and out of a dead neuron are 0. Both sides are drawn: under
//! l-half a weight at 0 never leaves it by small steps.

use super::Engine;
use crate::layers::{Network, Parameter};
use crate::optimizers::{Slots, UpdateRule};
use crate::random::{Purpose, Stream};

/// Draws pairs of dead neurons anew, as a dense layer is drawn, with biases of 0, from streams named by `seed` and
/// `step`. A new weight's optimizer state is the mean of the living weights': with none, Adam's step for its first
/// penalty, `rate / sqrt(v)`, would be so large that it were 0 at once.
///
/// # Panics
/// If a weight matrix has connections that are not stored.
pub(super) fn revive_dead_neurons(engine: &mut Engine, seed: u64, step: u64) {
    let dead = dead_neurons(&engine.network);
    for index in engine.network.weights().map(|(index, _)| index).collect::<Vec<_>>() {
        let joint = engine.network.parameter(index).joint.as_ref();
        let (rows, cols) = (&dead[index], joint.map_or(&[][..], |joint| &dead[joint.weight]));
        let parameter = engine.network.parameter_mut(index);
        let old = parameter.weights.values().to_vec();
        let new = draw(parameter, rows, cols, &mut Stream::new(seed, Purpose::Weights, index as u64, step));
        begin(engine, index, &old, &new);
        if let Some(bias) = engine.network.bias_of(index) {
            let old = engine.network.parameter(bias).weights.values().to_vec();
            let biases = engine.network.parameter_mut(bias).weights.values_mut();
            rows.iter().for_each(|&row| biases[row] = 0.0);
            begin(engine, bias, &old, rows);
        }
    }
}

/// Draws the weights of these rows and columns, and says which slots those are.
fn draw(
    parameter: &mut Parameter,
    dead_rows: &[usize],
    dead_cols: &[usize],
    stream: &mut Stream,
) -> Vec<usize> {
    let (rows, cols) = (parameter.weights.rows(), parameter.weights.cols());
    if dead_rows.is_empty() && dead_cols.is_empty() {
        return Vec::new();
    }
    assert_eq!(parameter.weights.nnz(), rows * cols, "every connection must be stored");
    let (mut is_dead_row, mut is_dead_col) = (vec![false; rows], vec![false; cols]);
    dead_rows.iter().for_each(|&row| is_dead_row[row] = true);
    dead_cols.iter().for_each(|&col| is_dead_col[col] = true);
    let new: Vec<usize> =
        (0..rows * cols).filter(|slot| is_dead_row[slot / cols] || is_dead_col[slot % cols]).collect();
    parameter.init.fill_grown(&mut parameter.weights, &new, stream);
    let values = parameter.weights.values_mut();
    for pair in dead_cols.chunks_exact(2) {
        for row in (0..rows).filter(|&row| !is_dead_row[row]) {
            values[row * cols + pair[1]] = -values[row * cols + pair[0]];
        }
    }
    for pair in dead_rows.chunks_exact(2) {
        values.copy_within(pair[0] * cols..(pair[0] + 1) * cols, pair[1] * cols);
    }
    new
}

/// Gives new numbers of a parameter, whose values were `old`, a state to begin with.
fn begin(engine: &mut Engine, index: usize, old: &[f32], new: &[usize]) {
    let state = &mut engine.state[index];
    for numbers in state.iter_mut() {
        let mean = mean_of_living(numbers, old);
        new.iter().for_each(|&slot| numbers[slot] = mean);
    }
    let values = engine.network.parameter(index).weights.values();
    for &slot in new {
        let mut slots = Slots::of(state);
        engine.optimizer.begin(&values[slot..][..1], &mut slots.range(slot..slot + 1));
    }
}

/// The mean of the numbers whose values are not 0; 0 if there are none.
fn mean_of_living(numbers: &[f32], values: &[f32]) -> f32 {
    let living = numbers.iter().zip(values).filter(|(_, value)| **value != 0.0);
    let (sum, count) =
        living.fold((0.0, 0), |(sum, count), (&number, _)| (sum + f64::from(number), count + 1));
    (sum / f64::from(count.max(1))) as f32
}

/// For each parameter, if it is a weight, its rows that lead to no output by weights that are not 0: ascending, without
/// the last if they are odd in number. Rows that others than weights read are not among them.
fn dead_neurons(network: &Network) -> Vec<Vec<usize>> {
    let count = network.parameters().len();
    let mut read: Vec<Option<Vec<bool>>> = vec![None; count];
    let mut dead = vec![Vec::new(); count];
    for (index, parameter) in network.weights().collect::<Vec<_>>().into_iter().rev() {
        let weights = &parameter.weights;
        let lives = read[index].take().unwrap_or_else(|| vec![true; weights.rows()]);
        if let Some(joint) = &parameter.joint {
            let (cols, values) = (weights.cols(), weights.values());
            let read = read[joint.weight].get_or_insert_with(|| vec![false; cols]);
            let stored = weights.connections();
            stored
                .filter(|(cell, slot)| lives[cell / cols] && values[*slot] != 0.0)
                .for_each(|(cell, _)| read[cell % cols] = true);
        }
        dead[index] = (0..lives.len()).filter(|&row| !lives[row]).collect();
        let pairs = dead[index].len() / 2;
        dead[index].truncate(2 * pairs);
    }
    dead
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::Isa;
    use crate::layers::{NetworkSettings, Pass, SparsitySettings};
    use crate::tiles::{Shape, Tiles};

    fn outputs(network: &Network) -> Vec<f32> {
        let mut stream = Stream::new(5, Purpose::Bench, 0, 0);
        let mut input = Tiles::zeros(network.inputs(), 7);
        for sample in 0..7 {
            let features: Vec<f32> = (0..network.inputs()).map(|_| stream.normal()).collect();
            input.set_sample(sample, &features);
        }
        let mut buffers = network.buffers(7, false);
        network.forward(&Pass::predict(Isa::detect()), &input, &mut buffers);
        (0..21).map(|place| buffers.output().at(place / 3, place % 3)).collect()
    }

    /// Neurons 1, 2 and 4 of the first hidden layer and 0 and 3 of the second lead nowhere; of three one is left over.
    #[test]
    fn dead_neurons_live_and_the_network_computes_the_same() {
        let settings = NetworkSettings { hidden: vec![6, 5], ..NetworkSettings::default() };
        let spec = settings.spec(Shape::flat(4), 3).unwrap();
        let mut network = Network::random(&spec, &SparsitySettings::dense(), 1).unwrap();
        let weights = network.parameters_mut().filter(|parameter| parameter.is_weight());
        for (parameter, dead) in weights.zip([vec![], vec![1, 2, 4], vec![0, 3]]) {
            let cols = parameter.weights.cols();
            let values = parameter.weights.values_mut().iter_mut().enumerate();
            values.filter(|(slot, _)| dead.contains(&(slot % cols))).for_each(|(_, value)| *value = 0.0);
        }
        let before = outputs(&network);
        let dead = dead_neurons(&network);
        assert_eq!(dead, [vec![1, 2], vec![], vec![0, 3], vec![], vec![], vec![]]);
        for index in [0, 2, 4] {
            let cols: &[usize] = if index > 0 { &dead[index - 2] } else { &[] };
            let mut stream = Stream::new(2, Purpose::Bench, index as u64, 0);
            draw(network.parameter_mut(index), &dead[index], cols, &mut stream);
        }
        assert!(dead_neurons(&network).concat().is_empty());
        for (a, b) in before.iter().zip(outputs(&network)) {
            assert!((a - b).abs() < 1e-5, "{a} {b}");
        }
    }
}
