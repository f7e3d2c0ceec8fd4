//! Layers that are given a single sample with its positions as lanes ([`Tiles::spread`]), so that no tile is computed for
//! one lane of it.

use std::ops::Range;

use super::{Gradient, Layer, OneSample, Parameter, Pass, Sequence, Vjp, Workspace};
use crate::kernels::{Activation, Product};
use crate::tiles::{Shape, Tiles};

/// Samples up to which each is predicted alone, because one tile of them all would take longer.
const FEW: usize = 8;

/// Layers that predict few samples one by one, spread, and many as they are.
///
/// ```text
/// x -- spread -- layers -- gather -- y
/// ```
pub(super) struct Spread {
    /// At least one.
    pub(super) layers: Sequence,
}

/// The buffers of the layers within, of batches that are not spread.
const BATCH: usize = 0;

/// The longest runs of layers that single samples are worth spreading for, in order. A run ends where no positions are left.
pub(super) fn spreadable(sequence: &Sequence) -> Vec<Range<usize>> {
    let (layers, spans) = (sequence.layers(), sequence.spans());
    let spreads = |at: usize| layers[at].spreads() && layers[at].input().positions() > 1;
    let mut runs = Vec::new();
    let mut start = 0;
    while start < layers.len() {
        let end = (start..layers.len()).find(|&at| !spreads(at)).unwrap_or(layers.len());
        // A layer without parameters takes no longer than the copying.
        if spans[start..end].iter().any(|span| !span.is_empty()) {
            runs.push(start..end);
        }
        start = end + 1;
    }
    runs
}

impl Layer for Spread {
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

    fn workspace(&self, samples: usize, training: bool) -> Workspace {
        let mut batch = self.layers.buffers(samples, training);
        // The last outputs and their gradient are those of this layer.
        batch.outputs.last_mut().into_iter().chain(batch.gradients.last_mut()).for_each(|tiles| {
            *tiles = Tiles::zeros(0, samples);
        });
        let spread = (!training)
            .then(|| OneSample { input: Tiles::spread(self.input()), buffers: self.layers.spread_buffers() });
        Workspace { inner: vec![batch], spread, ..Workspace::default() }
    }

    fn forward(
        &self,
        pass: &Pass,
        parameters: &[Parameter],
        input: &Tiles,
        output: &mut Tiles,
        work: &mut Workspace,
    ) {
        match &mut work.spread {
            Some(one) if input.samples() <= FEW => {
                for sample in 0..input.samples() {
                    one.input.spread_sample(input, sample);
                    self.layers.forward(pass, parameters, &one.input, &mut one.buffers);
                    output.gather_sample(sample, one.buffers.output());
                }
            }
            _ => {
                let buffers = &mut work.inner[BATCH];
                std::mem::swap(output, buffers.output_mut());
                self.layers.forward(pass, parameters, input, buffers);
                std::mem::swap(output, buffers.output_mut());
            }
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
        self.layers.backward(pass, parameters, gradients, vjp, &mut work.inner[BATCH]);
    }

    fn batch_statistics(&self, work: &Workspace, found: &mut Vec<f32>) {
        self.layers.batch_statistics(&work.inner[BATCH], found);
    }

    fn product<'a>(
        &'a self,
        parameter: usize,
        input: &'a Tiles,
        gradient: &'a Tiles,
        work: &'a Workspace,
    ) -> Product<'a> {
        self.layers.product(parameter, input, gradient, &work.inner[BATCH])
    }
}
