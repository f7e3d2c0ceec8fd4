//! Removes stored zeros, and the neurons that nothing reaches or that reach nothing; the smaller network computes the same
//! function.
//!
//! ```text
//! forwards   a neuron without inputs puts out one number, f(bias): what leads on from it moves into the next bias
//! backwards  a neuron without outputs goes, with all that leads to it
//! ```
//! A neuron in a row block stays as long as one of its block does.

use super::{LayerSpec, LinearSpec, Network, NetworkSpec, Role};
use crate::sparse::{Pattern, Storage, Weights};

/// A linear layer's weights as a list, while neurons go.
struct Links {
    /// `(output, input, value)` in row order.
    list: Vec<(usize, usize, f32)>,
    bias: Vec<f32>,
    cols: usize,
    /// Rows of a block.
    height: usize,
}

/// The network without dead neurons; `None` if there are none, if a layer would be left without neurons, or if not all
/// weights are in a chain of linear layers.
pub fn without_dead_neurons(network: &Network) -> Option<Network> {
    let spec = network.spec();
    let is_linear = |position: &usize| matches!(spec.layers[*position], LayerSpec::Linear(_));
    let positions: Vec<usize> = (0..spec.layers.len()).filter(is_linear).collect();
    let chained = network.weights().filter(|(_, weight)| weight.joint.is_some()).count() + 1;
    if network.weights().count() != chained || positions.len() != chained {
        return None;
    }
    let weights: Vec<usize> = network.weights().map(|(index, _)| index).collect();
    let mut layers: Vec<Links> = positions.iter().map(|&position| links(network, position)).collect();
    for next in 1..layers.len() {
        let has_inputs = reached(&layers[next - 1], |&(row, ..)| row, layers[next].cols);
        let (before, after) = layers.split_at_mut(next);
        let Links { list, bias, .. } = &mut after[0];
        let weight = weights[next];
        for &(row, col, value) in list.iter().filter(|(_, col, _)| !has_inputs[*col]) {
            bias[row] += value * network.constant_output_at(weight, before[next - 1].bias[col]);
        }
        list.retain(|(_, col, _)| has_inputs[*col]);
    }
    for next in (1..layers.len()).rev() {
        let has_outputs = reached(&layers[next], |&(_, col, _)| col, layers[next].cols);
        let before = &mut layers[next - 1];
        let of_block =
            |row: usize| row / before.height * before.height..(row / before.height + 1) * before.height;
        before.list.retain(|&(row, ..)| has_outputs[of_block(row)].contains(&true));
    }
    let last = layers.len() - 1;
    // For each layer the new number of each neuron that stays.
    let mut kept: Vec<Vec<Option<usize>>> = Vec::new();
    for (index, layer) in layers.iter().enumerate() {
        let lives = reached(layer, |&(row, ..)| row, layer.bias.len());
        let mut count = 0;
        let number = |lives: bool| {
            (lives || index == last).then(|| {
                count += 1;
                count - 1
            })
        };
        kept.push(lives.into_iter().map(number).collect());
        if count == 0 {
            return None;
        }
    }
    if kept.iter().flatten().all(Option::is_some) {
        return None;
    }
    Some(build(network, &positions, &layers, &kept))
}

/// The network with the connections that are not zero; of blocks of them those that are not zero as a whole.
pub fn without_zeros(network: &Network) -> Network {
    let mut parameters = network.weights();
    let mut thin = Network::load(network.spec(), Storage::Auto, |_, _, _| {
        Ok(parameters.next().expect("a network of the same spec").1.weights.without_zeros())
    })
    .expect("weights in memory can be had");
    thin.set_precision(network.precision());
    for (to, from) in thin.parameters_mut().zip(network.parameters()).filter(|(to, _)| !to.is_weight()) {
        to.weights.values_mut().copy_from_slice(from.weights.values());
    }
    thin
}

fn links(network: &Network, position: usize) -> Links {
    let [weight, bias] = network.layer_parameters(position) else {
        panic!("a linear layer has a weight and a bias");
    };
    let (cols, values) = (weight.weights.cols(), weight.weights.values());
    let list = weight.weights.connections().map(|(cell, slot)| (cell / cols, cell % cols, values[slot]));
    let height = weight.weights.block_height();
    Links { list: list.collect(), bias: bias.weights.values().to_vec(), cols, height }
}

fn reached(layer: &Links, unit: impl Fn(&(usize, usize, f32)) -> usize, units: usize) -> Vec<bool> {
    let mut reached = vec![false; units];
    layer.list.iter().for_each(|link| reached[unit(link)] = true);
    reached
}

fn build(network: &Network, positions: &[usize], layers: &[Links], kept: &[Vec<Option<usize>>]) -> Network {
    let mut spec: NetworkSpec = network.spec().clone();
    for (&position, kept) in positions.iter().zip(kept) {
        if let LayerSpec::Linear(LinearSpec { outputs, .. }) = &mut spec.layers[position] {
            *outputs = kept.iter().flatten().count();
        }
    }
    let mut index = 0;
    let mut small = Network::load(&spec, Storage::Auto, |_, rows, cols| {
        let column = |col: usize| if index == 0 { Some(col) } else { kept[index - 1][col] };
        let links = layers[index]
            .list
            .iter()
            .filter_map(|&(row, col, value)| Some((kept[index][row]? * cols + column(col)?, value)));
        let (cells, values): (Vec<usize>, Vec<f32>) = links.unzip();
        let height = layers[index].height;
        index += 1;
        // The first row of each block says where it is.
        let first_rows = cells.into_iter().filter(|cell| (cell / cols).is_multiple_of(height));
        let blocks: Vec<usize> = first_rows.map(|cell| cell / cols / height * cols + cell % cols).collect();
        let pattern = Pattern::from_cells(rows / height, cols, blocks.into_iter());
        let mut weights = Weights::zeros_by(height, pattern, Storage::Auto);
        weights.set_live_values(values);
        Ok(weights)
    })
    .expect("weights in memory can be had");
    small.set_precision(network.precision());
    // What is neither weights nor bias keeps its size: a norm before the first layer.
    for (parameter, before) in small.parameters_mut().zip(network.parameters()) {
        if matches!(before.role, Role::Scale | Role::Mean | Role::Variance) {
            parameter.weights = before.weights.clone();
        }
    }
    let biases = small.parameters_mut().filter(|parameter| parameter.role == Role::Bias);
    for ((bias, layer), kept) in biases.zip(layers).zip(kept) {
        let values = layer.bias.iter().zip(kept).filter(|(_, kept)| kept.is_some()).map(|(value, _)| *value);
        bias.weights.values_mut().iter_mut().zip(values).for_each(|(bias, value)| *bias = value);
    }
    small
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{Activation, Isa};
    use crate::layers::{LayerNormSpec, Pass};
    use crate::random::{Purpose, Stream};
    use crate::tiles::{Shape, Tiles};

    /// ```text
    /// x0 - a0 - b0 - y     a1 has no inputs: its f(bias) leads to b0 and b1
    /// x1 - a2    b1 - y    a2 has no outputs; b1 has only a1, so it is a number too
    ///      a1 -< b0, b1    b2 has neither
    /// ```
    #[test]
    fn the_small_network_computes_the_same() {
        let spec = NetworkSpec {
            inputs: Shape::flat(2),
            layers: vec![
                LayerSpec::LayerNorm(LayerNormSpec {}),
                LayerSpec::linear(3, Activation::Tanh),
                LayerSpec::dropout(0.5),
                LayerSpec::linear(3, Activation::Identity),
                LayerSpec::elementwise(Activation::Gelu),
                LayerSpec::linear(1, Activation::Identity),
            ],
        };
        let mut cells = [vec![0, 5], vec![0, 1, 4], vec![0, 1]].into_iter();
        let mut network = Network::load(&spec, Storage::Sparse, |_, rows, cols| {
            let cells = cells.next().unwrap();
            Ok(Weights::zeros(Pattern::from_cells(rows, cols, cells.into_iter()), Storage::Sparse))
        })
        .unwrap();
        let mut stream = Stream::new(3, Purpose::Bench, 0, 0);
        for parameter in network.parameters_mut() {
            parameter.weights.values_mut().iter_mut().for_each(|value| *value = stream.normal());
        }
        let small = without_dead_neurons(&network).unwrap();
        let shapes = small.spec().weight_shapes().unwrap();
        let shapes: Vec<(usize, usize)> = shapes.iter().map(|shape| (shape.rows, shape.cols)).collect();
        assert_eq!(shapes, [(1, 2), (1, 1), (1, 1)]);
        assert_eq!(small.connections(), (3, 4));
        let mut input = Tiles::zeros(2, 5);
        (0..5).for_each(|sample| input.set_sample(sample, &[stream.normal(), stream.normal()]));
        let outputs = [&network, &small].map(|network| {
            let mut buffers = network.buffers(5, false);
            network.forward(&Pass::predict(Isa::detect()), &input, &mut buffers);
            (0..5).map(|sample| buffers.output().at(sample, 0)).collect::<Vec<f32>>()
        });
        for (a, b) in outputs[0].iter().zip(&outputs[1]) {
            assert!((a - b).abs() < 1e-6, "{outputs:?}");
        }
        assert!(without_dead_neurons(&small).is_none(), "nothing is left to remove");
    }
}
