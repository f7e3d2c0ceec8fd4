//! Layers around which small batches are folded ([`Tiles::fold`]), so that no half of the lanes is dead.

use std::ops::Range;

use super::buffers::Size;
use super::sequence::folds;
use super::{Gradient, Layer, Parameter, Pass, Sequence, Vjp, Workspace};
use crate::kernels::{Activation, Product};
use crate::tiles::{Shape, Tiles};

/// Layers that are given a batch of at most 32 samples folded, and others, or parts of larger ones, as they are.
///
/// ```text
/// x -- fold -- layers -- unfold -- y
/// ```
pub(super) struct Folded {
    /// At least one.
    pub(super) layers: Sequence,
}

/// Of the two tiles of the workspace what goes into the layers of a small batch; the other is the gradient of that.
const INPUT: usize = 0;

/// Whether a batch is folded, for which the workspace was resized.
fn is_folded(tiles: &[Tiles]) -> bool {
    // A spread sample has no tiles here.
    tiles.get(INPUT).is_some_and(Tiles::is_folded)
}

/// The longest run of layers that are worth folding small batches for; empty if there is none.
pub(super) fn foldable(sequence: &Sequence) -> Range<usize> {
    let (layers, spans) = (sequence.layers(), sequence.spans());
    let runs = (0..layers.len()).rev().map(|start| {
        let run = layers[start..].iter().take_while(|layer| folds(layer.as_ref()));
        start..start + run.count()
    });
    // A layer without parameters takes no longer than the copying.
    let is_worth_it = |run: &Range<usize>| spans[run.clone()].iter().any(|span| !span.is_empty());
    runs.filter(is_worth_it).max_by_key(Range::len).unwrap_or_default()
}

impl Layer for Folded {
    fn input(&self) -> Shape {
        self.layers.layers()[0].input()
    }

    fn output(&self) -> Shape {
        self.layers.output().expect("there are layers")
    }

    fn fused(&self) -> Activation {
        self.layers.fused()
    }

    fn steps(&self, steps: u32) -> u32 {
        self.layers.steps(steps)
    }

    fn spreads(&self) -> bool {
        self.layers.spreads()
    }

    fn spread_workspace(&self) -> Workspace {
        Workspace { inner: vec![self.layers.spread_buffers()], ..Workspace::default() }
    }

    fn workspace(&self, samples: usize, training: bool) -> Workspace {
        let room = |is_needed: bool| Tiles::zeros(if is_needed { self.input().features() } else { 0 }, 0);
        let tiles = vec![room(true), room(training)];
        let inner = vec![self.layers.buffers(samples, training)];
        let mut work = Workspace { tiles, inner, folds_small_batches: true, ..Workspace::default() };
        work.resize(Size { samples, folded: false, is_alone: true });
        work
    }

    fn forward(
        &self,
        pass: &Pass,
        parameters: &[Parameter],
        input: &Tiles,
        output: &mut Tiles,
        work: &mut Workspace,
    ) {
        let (tiles, buffers) = (&mut work.tiles, &mut work.inner[0]);
        if !is_folded(tiles) {
            self.layers.forward(pass, parameters, input, buffers);
            // Nobody within looks at the last outputs again.
            std::mem::swap(output, buffers.output_mut());
        } else {
            tiles[INPUT].fold(input);
            self.layers.forward(pass, parameters, &tiles[INPUT], buffers);
            output.unfold(buffers.output());
        }
    }

    fn backward(
        &self,
        pass: &Pass,
        parameters: &[Parameter],
        gradients: &mut [Gradient],
        vjp: Vjp<'_>,
        work: &mut Workspace,
    ) {
        let buffers = &mut work.inner[0];
        if !is_folded(&work.tiles) {
            return self.layers.backward(pass, parameters, gradients, vjp, buffers);
        }
        let [input, gradient_input] = &mut work.tiles[..] else { panic!("a workspace made by this layer") };
        let mut gradient = std::mem::take(buffers.output_and_gradient().1);
        gradient.fold(vjp.gradient);
        let is_asked_for = vjp.gradient_input.is_some();
        let folded = Vjp {
            input,
            gradient: &gradient,
            gradient_input: is_asked_for.then_some(&mut *gradient_input),
            gate: vjp.gate,
        };
        self.layers.backward(pass, parameters, gradients, folded, buffers);
        *buffers.output_and_gradient().1 = gradient;
        if let Some(unfolded) = vjp.gradient_input {
            unfolded.unfold(gradient_input);
        }
    }

    fn batch_statistics(&self, work: &Workspace, found: &mut Vec<f32>) {
        self.layers.batch_statistics(&work.inner[0], found);
    }

    fn product<'a>(
        &'a self,
        parameter: usize,
        input: &'a Tiles,
        gradient: &'a Tiles,
        work: &'a Workspace,
    ) -> Product<'a> {
        let buffers = &work.inner[0];
        if !is_folded(&work.tiles) {
            self.layers.product(parameter, input, gradient, buffers)
        } else {
            self.layers.product(parameter, &work.tiles[INPUT], buffers.gradient(), buffers)
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::kernels::Isa;
    use crate::layers::{Network, NetworkSpec, Pass, SparsitySettings};
    use crate::random::{Purpose, Stream};
    use crate::tiles::{Shape, Tiles};

    const STEPS: usize = 6;
    const SMALL: usize = 20;

    /// Outputs of the first 20 samples of a batch, and all gradients from those of these samples alone.
    fn train(network: &Network, samples: usize) -> (Vec<Vec<f32>>, Vec<f32>) {
        let mut stream = Stream::new(3, Purpose::Bench, 0, 0);
        let mut input = Tiles::zeros(4 * STEPS, samples);
        for sample in 0..samples {
            let values: Vec<f32> = (0..4 * STEPS).map(|_| stream.normal()).collect();
            input.set_sample(sample, &values);
        }
        input.set_lengths((0..samples as u32).map(|sample| 1 + sample % STEPS as u32));
        let pass = Pass::train(Isa::detect(), 1, 1);
        // For more samples at first, as where the last batch of an epoch is small.
        let mut buffers = network.buffers(samples.max(70), true);
        buffers.resize(samples);
        network.forward(&pass, &input, &mut buffers);
        let (output, gradient) = buffers.output_and_gradient();
        let outputs: Vec<Vec<f32>> = (0..SMALL).map(|sample| output.sample(sample)).collect();
        outputs.iter().enumerate().for_each(|(sample, values)| gradient.set_sample(sample, values));
        let mut gradients = network.gradients();
        network.backward(&pass, &input, &mut gradients, &mut buffers);
        (outputs, gradients.into_iter().flat_map(|gradient| gradient.values).collect())
    }

    #[test]
    fn folding_changes_nothing() {
        let attention =
            "{layer = 'residual', body = [{layer = 'layer-norm'}, {layer = 'attention', heads = 2}]}";
        let conv = "{layer = 'conv1d', filters = 4, kernel = 3, padding = 1}";
        let linear = "{layer = 'linear', outputs = 4}";
        for (layers, folding) in [
            (format!("{attention}, {linear}"), 0..2),
            (format!("{conv}, {attention}, {linear}"), 1..3),
            (format!("{attention}, {linear}, {{layer = 'last-step'}}, {linear}"), 0..2),
            (format!("{linear}, {conv}, {linear}, {attention}, {conv}"), 2..4),
        ] {
            #[derive(serde::Deserialize)]
            struct Described {
                layers: Vec<crate::layers::LayerSpec>,
            }
            let described: Described = toml::from_str(&format!("layers = [{layers}]")).unwrap();
            let spec = NetworkSpec { inputs: Shape::sequence(STEPS, 4), layers: described.layers };
            let network = Network::random(&spec, &SparsitySettings::dense(), 1).unwrap();
            assert_eq!(network.folded(), folding, "{layers}");
            let (small, large) = (train(&network, SMALL), train(&network, 50));
            assert_eq!(small.0, large.0, "{layers}");
            for (a, b) in small.1.iter().zip(&large.1) {
                assert!((a - b).abs() < 1e-4 * (1.0 + b.abs()), "{layers}: gradients {a} and {b}");
            }
        }
    }
}
