//! Which connections leave each input of a network: those of its first weights.
//!
//! ```text
//! x1 -- dropout, batch norm, ... -- columns of the first weights      connections of x1: the nonzeros of its column
//! ```
//! An input without a connection changes no prediction. Where a layer looks at every position in the same way (a convolution, a
//! recurrent layer), or positions were pooled before, all positions of a channel share their connections: these are told by
//! channel.

use super::{Describe, LayerSpec, Network, Parameter};

/// The connections that leave each input, or each channel of the inputs.
#[derive(Debug, Clone, PartialEq)]
pub struct InputConnections {
    /// Whether they are those of channels, all positions of which have the same ones.
    pub by_channel: bool,
    /// For each input (or channel) its connections other than 0.
    pub nnz: Vec<usize>,
    /// For each input (or channel) the sum of their squares.
    pub squares: Vec<f64>,
}

impl Network {
    /// The connections that leave each input.
    ///
    /// # Errors
    /// The layer that mixes inputs before any weight tells them apart, or looks up tokens, in words that follow "the network".
    pub fn input_connections(&self) -> Result<InputConnections, String> {
        let spec = self.spec();
        let mut shape = spec.inputs;
        // Pooling joins positions; until then flattening keeps each input a feature of its own.
        let mut is_pooled = false;
        for (position, layer) in spec.layers.iter().enumerate() {
            match layer {
                LayerSpec::Linear(_) => {
                    let by_channel = is_pooled || shape.positions() > 1;
                    let channels = spec.inputs.channels;
                    let weights = self.layer_parameters(position).iter();
                    return Ok(if by_channel {
                        count(weights, true, channels, |column, _| column % channels)
                    } else {
                        count(weights, false, shape.channels, |column, _| column)
                    });
                }
                LayerSpec::Conv1d(_)
                | LayerSpec::Conv2d(_)
                | LayerSpec::Lstm(_)
                | LayerSpec::Gru(_)
                | LayerSpec::Rnn(_)
                    if !is_grouped(layer) =>
                {
                    // Of a recurrent layer those of what goes in, not of its own states. Columns are channel by channel, each
                    // with its places in the window.
                    let weights = self.layer_parameters(position).iter();
                    let weights = weights.filter(|part| !part.name.contains("weight_hh"));
                    let channels = shape.channels;
                    return Ok(count(weights, true, channels, |column, cols| column / (cols / channels)));
                }
                LayerSpec::Dropout(_)
                | LayerSpec::Elementwise(_)
                | LayerSpec::BatchNorm(_)
                | LayerSpec::Flatten(_) => {}
                LayerSpec::MaxPool(_)
                | LayerSpec::AveragePool(_)
                | LayerSpec::GlobalMaxPool(_)
                | LayerSpec::GlobalAveragePool(_)
                | LayerSpec::LastStep(_) => is_pooled = true,
                other => {
                    let (number, name) = (position + 1, other.name());
                    return Err(format!("does not tell inputs apart at its layer {number} ({name})"));
                }
            }
            shape = layer.output(shape).expect("the layers of a network fit");
        }
        Err("has no weights".into())
    }
}

/// Whether a convolution keeps groups of channels apart, so that a column is no certain channel.
fn is_grouped(layer: &LayerSpec) -> bool {
    match layer {
        LayerSpec::Conv1d(spec) => spec.groups > 1,
        LayerSpec::Conv2d(spec) => spec.groups > 1,
        _ => false,
    }
}

/// The nonzeros of some weights, by the input (or channel) that `input_of` says of a column and the number of columns.
fn count<'a>(
    parameters: impl Iterator<Item = &'a Parameter>,
    by_channel: bool,
    inputs: usize,
    input_of: impl Fn(usize, usize) -> usize,
) -> InputConnections {
    let (mut nnz, mut squares) = (vec![0; inputs], vec![0.0; inputs]);
    for parameter in parameters.filter(|parameter| parameter.is_weight()) {
        let (cols, values) = (parameter.weights.cols(), parameter.weights.values());
        for (cell, slot) in parameter.weights.connections().filter(|&(_, slot)| values[slot] != 0.0) {
            let input = input_of(cell % cols, cols);
            nnz[input] += 1;
            squares[input] += f64::from(values[slot]).powi(2);
        }
    }
    InputConnections { by_channel, nnz, squares }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::{NetworkSettings, SparsitySettings};
    use crate::sparse::Storage;
    use crate::tiles::Shape;

    /// The network of some layers, all weights 1.
    fn found(shape: Shape, vocabulary: Option<usize>, layers: &str) -> Result<InputConnections, String> {
        let settings: NetworkSettings =
            toml::from_str(&format!("layers = [{layers}, {{layer = 'linear'}}]")).unwrap();
        let spec = settings.spec(crate::layers::Inputs { shape, vocabulary }, 2).unwrap();
        let mut network = Network::random(&spec, &SparsitySettings::dense(), 0).unwrap().copy(Storage::Auto);
        for parameter in network.parameters_mut().filter(|parameter| parameter.is_weight()) {
            parameter.weights.values_mut().fill(1.0);
        }
        network.input_connections()
    }

    #[test]
    fn each_input_has_its_column_and_each_channel_its_window() {
        let flat = found(Shape::flat(5), None, "{layer = 'dropout', rate = 0.5}").unwrap();
        assert_eq!(flat, InputConnections { by_channel: false, nnz: vec![2; 5], squares: vec![2.0; 5] });
        let (image, sequence) = (Shape { height: 4, width: 5, channels: 3 }, Shape::sequence(4, 3));
        for (shape, layers, by_channel, each, count) in [
            (image, "{layer = 'flatten'}, {layer = 'linear', outputs = 7}", false, 7, 60),
            (image, "{layer = 'conv2d', filters = 4, kernel = [2, 3]}, {layer = 'flatten'}", true, 4 * 6, 3),
            (image, "{layer = 'max-pool', kernel = 2}, {layer = 'flatten'}", true, 2 * 4, 3),
            (image, "{layer = 'global-average-pool'}", true, 2, 3),
            (sequence, "{layer = 'linear', outputs = 6}, {layer = 'flatten'}", true, 6, 3),
            (sequence, "{layer = 'conv1d', filters = 4, kernel = 2}, {layer = 'flatten'}", true, 8, 3),
            (sequence, "{layer = 'lstm', hidden = 2}, {layer = 'last-step'}", true, 8, 3),
        ] {
            let found = found(shape, None, layers).unwrap();
            assert_eq!((found.by_channel, found.nnz), (by_channel, vec![each; count]), "{layers}");
        }
    }

    #[test]
    fn layers_that_mix_inputs_are_named() {
        let tokens = Shape::sequence(4, 1);
        for (shape, vocabulary, layers, problem) in [
            (Shape::flat(5), None, "{layer = 'layer-norm'}", "layer 1 (layer-norm)"),
            (
                tokens,
                Some(9),
                "{layer = 'embedding', channels = 3}, {layer = 'last-step'}",
                "layer 1 (embedding)",
            ),
        ] {
            let error = found(shape, vocabulary, layers).unwrap_err();
            assert!(error.contains(problem), "{error}");
        }
    }
}
