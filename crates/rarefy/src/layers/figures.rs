//! What each layer of a network makes of what, how much of it lives, and what it costs.

use serde::Serialize;

use super::{Network, Parameter};
use crate::sparse::Weights;
use crate::tiles::Shape;

/// A layer as it stands in a network.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerFigures {
    /// Its number, counted from 1.
    pub place: String,
    /// Its name in files.
    pub layer: String,
    /// What goes in.
    pub input: Shape,
    /// What comes out.
    pub output: Shape,
    /// Live connections.
    pub nnz: usize,
    /// Cells of its weight matrices; 0 for a layer that has none.
    pub cells: usize,
    /// How its weights are stored: `sparse`, `dense` or `mixed`; `None` for a layer that has none.
    pub storage: Option<&'static str>,
    /// Live connections, biases, scales and statistics.
    pub parameters: usize,
    /// Floating-point operations of a prediction: two for each live connection, as often as it is used.
    pub flops: usize,
    /// Bytes of its arrays in a model file.
    pub bytes: usize,
}

impl LayerFigures {
    /// Live connections over cells; `None` for a layer without weights.
    pub fn density(&self) -> Option<f64> {
        (self.cells > 0).then(|| self.nnz as f64 / self.cells as f64)
    }
}

impl Network {
    /// The figures of each layer, in order.
    pub fn figures(&self) -> Vec<LayerFigures> {
        let layers = self.spec().layers.iter().zip(self.layers()).enumerate();
        let figures = layers.map(|(position, (spec, layer))| {
            let parameters = self.layer_parameters(position);
            let weights = || parameters.iter().filter(|parameter| parameter.is_weight());
            LayerFigures {
                place: (position + 1).to_string(),
                layer: spec.name(),
                input: layer.input(),
                output: layer.output(),
                nnz: weights().map(|weight| weight.weights.nnz()).sum(),
                cells: weights().map(|weight| weight.weights.rows() * weight.weights.cols()).sum(),
                storage: weights().map(storage).reduce(|a, b| if a == b { a } else { "mixed" }),
                parameters: parameters.iter().map(|parameter| parameter.weights.nnz()).sum(),
                flops: weights().map(flops).sum(),
                bytes: parameters.iter().map(Parameter::bytes).sum(),
            }
        });
        figures.collect()
    }

    /// Floating-point operations of a prediction: two for each live connection, as often as it is used.
    pub fn flops(&self) -> usize {
        self.weights().map(|(_, weight)| flops(weight)).sum()
    }
}

fn flops(weight: &Parameter) -> usize {
    2 * weight.weights.nnz() * weight.uses
}

fn storage(weight: &Parameter) -> &'static str {
    match weight.weights {
        Weights::Dense(_) => "dense",
        Weights::Sparse(_) => "sparse",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::{NetworkSettings, SparsitySettings};

    #[test]
    fn a_convolution_counts_at_each_position() {
        let text =
            "layers = [{layer = 'conv2d', filters = 4, kernel = 3}, {layer = 'flatten'}, {layer = 'linear'}]";
        let settings: NetworkSettings = toml::from_str(text).unwrap();
        let inputs = Shape { height: 7, width: 5, channels: 4 };
        let network =
            Network::random(&settings.spec(inputs, 10).unwrap(), &SparsitySettings::dense(), 0).unwrap();
        let figures = network.figures();
        // 4 filters of 3 x 3 x 4 at 5 x 3 positions; then 60 features to 10.
        let flops: Vec<usize> = figures.iter().map(|figures| figures.flops).collect();
        assert_eq!(flops, [2 * 144 * 15, 0, 2 * 600]);
        assert_eq!(network.flops(), 4320 + 1200);
        assert_eq!((figures[0].cells, figures[0].parameters, figures[0].bytes), (144, 148, 4 * 148));
        assert_eq!((figures[1].density(), figures[1].storage), (None, None));
        assert_eq!((figures[2].input, figures[2].output), (Shape::flat(60), Shape::flat(10)));
        assert_eq!((figures[2].place.as_str(), figures[2].layer.as_str()), ("3", "linear"));
    }
}
