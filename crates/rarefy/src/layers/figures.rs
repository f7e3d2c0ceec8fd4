//! What each layer of a network makes of what, how much of it lives, and what it costs.

use serde::Serialize;

use super::spec::shapes;
use super::{LayerSpec, Network, Parameter};
use crate::tiles::Shape;

/// A layer as it stands in a network.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerFigures {
    /// Its number, counted from 1; within a block after the block's and its part, as in `3.body.1`.
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
    /// The figures of each layer, in order; after a block those of the layers within it, which are not part of its own.
    pub fn figures(&self) -> Vec<LayerFigures> {
        let mut figures = Vec::new();
        let all: Vec<&Parameter> = self.parameters().collect();
        add_figures(&mut figures, "", "layers", self.spec().inputs, &self.spec().layers, &all);
        figures
    }

    /// Floating-point operations of a prediction: two for each live connection, as often as it is used.
    pub fn flops(&self) -> usize {
        self.weights().map(|(_, weight)| flops(weight)).sum()
    }
}

/// Adds the figures of `layers`, whose numbers begin with `place` and whose arrays' names with `prefix`.
fn add_figures(
    figures: &mut Vec<LayerFigures>,
    place: &str,
    prefix: &str,
    input: Shape,
    layers: &[LayerSpec],
    parameters: &[&Parameter],
) {
    let shapes = shapes(input, layers).expect("the layers of a network fit");
    for (position, layer) in layers.iter().enumerate() {
        let (place, prefix) = (format!("{place}{}", position + 1), format!("{prefix}.{position}"));
        let of = |prefix: &str| {
            let prefix = format!("{prefix}.");
            move |parameter: &&&Parameter| parameter.name.starts_with(&prefix)
        };
        let all: Vec<&Parameter> = parameters.iter().filter(of(&prefix)).copied().collect();
        let inner = layer.inner();
        let is_inner = |parameter: &&&Parameter| {
            inner.iter().any(|(part, _)| of(&format!("{prefix}.{part}"))(parameter))
        };
        let own: Vec<&Parameter> = all.iter().filter(|parameter| !is_inner(parameter)).copied().collect();
        let weights = || own.iter().filter(|parameter| parameter.is_weight());
        figures.push(LayerFigures {
            place: place.clone(),
            layer: layer.name().to_string(),
            input: shapes[position],
            output: shapes[position + 1],
            nnz: weights().map(|weight| weight.weights.nnz()).sum(),
            cells: weights().map(|weight| weight.weights.rows() * weight.weights.cols()).sum(),
            storage: weights()
                .map(|weight| weight.weights.storage_name())
                .reduce(|a, b| if a == b { a } else { "mixed" }),
            parameters: own.iter().map(|parameter| parameter.weights.nnz()).sum(),
            flops: weights().map(|weight| flops(weight)).sum(),
            bytes: own.iter().map(|parameter| parameter.bytes()).sum(),
        });
        for (part, layers) in inner {
            let label = match part.strip_prefix("branches.").and_then(|index| index.parse::<usize>().ok()) {
                Some(index) => format!("branch{}", index + 1),
                None => part.clone(),
            };
            let (place, prefix) = (format!("{place}.{label}."), format!("{prefix}.{part}"));
            add_figures(figures, &place, &prefix, shapes[position], layers, &all);
        }
    }
}

fn flops(weight: &Parameter) -> usize {
    2 * weight.weights.nnz() * weight.uses
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

    #[test]
    fn what_is_within_a_block_is_told_apart() {
        let text = "layers = [
            {layer = 'residual', body = [
                {layer = 'linear', outputs = 3},
                {layer = 'parallel', join = 'concat', branches = [[{layer = 'linear', outputs = 4}], []]},
            ], shortcut = [{layer = 'linear', outputs = 7}]},
            {layer = 'linear'}]";
        let settings: NetworkSettings = toml::from_str(text).unwrap();
        let network =
            Network::random(&settings.spec(Shape::flat(5), 2).unwrap(), &SparsitySettings::dense(), 0)
                .unwrap();
        let found: Vec<(String, String, usize)> = network
            .figures()
            .into_iter()
            .map(|it| (it.place, it.output.to_string(), it.parameters))
            .collect();
        let row = |place: &str, output: &str, parameters| (place.to_string(), output.to_string(), parameters);
        let expected = [
            row("1", "7", 0),
            row("1.body.1", "3", 5 * 3 + 3),
            row("1.body.2", "7", 0),
            row("1.body.2.branch1.1", "4", 3 * 4 + 4),
            row("1.shortcut.1", "7", 5 * 7 + 7),
            row("2", "2", 7 * 2 + 2),
        ];
        assert_eq!(found, expected);
        let total: usize = network.parameters().map(|parameter| parameter.weights.nnz()).sum();
        assert_eq!(found.iter().map(|(_, _, parameters)| parameters).sum::<usize>(), total);
    }
}
