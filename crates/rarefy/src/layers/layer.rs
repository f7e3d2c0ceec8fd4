//! What a layer is to a network.

use super::{Gradient, Parameter, Precision, Workspace};
use crate::distributed::Peers;
use crate::kernels::{Activation, Isa, Product};
use crate::tiles::{Shape, Tiles};

/// How a pass over the network is made.
#[derive(Debug, Clone, Copy)]
pub struct Pass<'a> {
    /// The instruction set of the kernels.
    pub isa: Isa,
    /// In how many bits products read numbers. A network says it of its own passes ([`Network::precision`](super::Network::precision)).
    pub precision: Precision,
    /// What random draws of a training pass are named by; `None` when predicting.
    pub training: Option<Training>,
    /// Who has the other shares, where the samples are a share of a training batch.
    pub peers: Option<&'a dyn Peers>,
}

/// What names the random draws of a training pass, besides the layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Training {
    /// The run's seed.
    pub seed: u64,
    /// The step, counted from 1.
    pub step: u64,
    /// Samples of the step that come before, in earlier passes or in shares of others, whole tiles: a sample draws what it would in
    /// one large batch.
    pub earlier: usize,
}

impl Pass<'_> {
    /// A pass that predicts.
    pub fn predict(isa: Isa) -> Pass<'static> {
        Pass { isa, precision: Precision::F32, training: None, peers: None }
    }

    /// A pass that trains.
    pub const fn train(isa: Isa, seed: u64, step: u64) -> Pass<'static> {
        let training = Some(Training { seed, step, earlier: 0 });
        Pass { isa, precision: Precision::F32, training, peers: None }
    }

    /// Samples of the step that other passes have before this one's.
    pub fn earlier(&self) -> usize {
        self.training.map_or(0, |training| training.earlier)
    }

    /// The same pass over what comes after `samples` samples of its step.
    pub fn after(mut self, samples: usize) -> Self {
        if let Some(training) = &mut self.training {
            training.earlier = samples;
        }
        self
    }

    /// The same pass over a share of a batch.
    pub fn with_peers(self, peers: &dyn Peers) -> Pass<'_> {
        Pass { isa: self.isa, precision: self.precision, training: self.training, peers: Some(peers) }
    }

    /// Makes `numbers`, `N` for each of some things, those of the whole batch, of which this pass has a share or all; see
    /// [`Peers::join`].
    pub fn join<const N: usize>(
        &self,
        numbers: &mut [[f32; N]],
        join: impl Fn([f32; N], [f32; N]) -> [f32; N],
    ) {
        let Some(peers) = self.peers else { return };
        peers.join(numbers.as_flattened_mut(), &|left, right| {
            for (left, right) in left.as_chunks_mut().0.iter_mut().zip(right.as_chunks().0) {
                *left = join(*left, *right);
            }
        });
    }
}

/// The arguments of a layer's vector-Jacobian product: the gradient of the loss by its outputs, and where that by its inputs
/// goes.
pub struct Vjp<'a> {
    /// What the layer was given.
    pub input: &'a Tiles,
    /// The gradient of the layer's outputs, its own fused activation already accounted for.
    pub gradient: &'a Tiles,
    /// Where the gradient of the input goes, unless nobody needs it.
    pub gradient_input: Option<&'a mut Tiles>,
    /// The activation fused into whatever made the input: `gradient_input` is to be multiplied by its derivative, told from
    /// `input`, as [`Vjp::finish`] does.
    pub gate: Activation,
}

impl Vjp<'_> {
    /// Multiplies `gradient_input` by the derivative of the activation that made the input: the end of a backward pass that
    /// has not done so while it wrote.
    pub fn finish(self) {
        let (Some(gradient), false) = (self.gradient_input, self.gate == Activation::Identity) else {
            return;
        };
        for (row, input) in gradient.rows_mut().iter_mut().zip(self.input.rows()) {
            self.gate.gate(&mut row.0, input);
        }
    }
}

/// A differentiable map from samples of shape `input()` to samples of shape `output()`. Several passes may go through a layer at
/// once, each over a share of a batch; a network that has running averages is given whole batches.
pub trait Layer: Send + Sync {
    /// What goes in.
    fn input(&self) -> Shape;

    /// What comes out.
    fn output(&self) -> Shape;

    /// The activation fused into the outputs.
    fn fused(&self) -> Activation {
        Activation::Identity
    }

    /// How many steps of output a sequence of `steps` steps makes, where lengths differ.
    fn steps(&self, steps: u32) -> u32 {
        steps
    }

    /// Whether the layer does at each position, or with each sequence, what it would do were these folded
    /// ([`Tiles::fold`]). Its workspace is then folded too.
    fn folds(&self) -> bool {
        false
    }

    /// Whether the layer predicts a single sample whose positions are lanes ([`Tiles::is_spread`]) as it would were they not:
    /// one that looks at each position alone need not do anything.
    fn spreads(&self) -> bool {
        false
    }

    /// Room for a single sample whose positions are lanes, in place of [`Layer::workspace`].
    fn spread_workspace(&self) -> Workspace {
        self.workspace(1, false)
    }

    /// Room for batches of up to `samples` samples.
    fn workspace(&self, samples: usize, training: bool) -> Workspace {
        let _ = (samples, training);
        Workspace::default()
    }

    /// Computes all outputs.
    fn forward(
        &self,
        pass: &Pass,
        parameters: &[Parameter],
        input: &Tiles,
        output: &mut Tiles,
        work: &mut Workspace,
    );

    /// Computes the gradients of the parameters, in place of what `gradients` held, and, where asked for, of the input, times the
    /// derivative of [`Vjp::gate`].
    fn backward(
        &self,
        pass: &Pass,
        parameters: &[Parameter],
        gradients: &mut [Gradient],
        vjp: Vjp<'_>,
        work: &mut Workspace,
    );

    /// Adds to `found` the mean of each channel over the batch of the last pass, which trained, and then the variance of each
    /// (divided by one less than there are numbers), if the layer normalises by them: its parameters that are not trained follow.
    fn batch_statistics(&self, work: &Workspace, found: &mut Vec<f32>) {
        let _ = (work, found);
    }

    /// The product that weight `parameter` (counted within the layer) is part of, with what the last passes put in: by it
    /// growth rules tell the gradients of absent connections. `input` and `gradient` are as in [`Vjp`].
    ///
    /// # Panics
    /// If that parameter is not a weight.
    fn product<'a>(
        &'a self,
        parameter: usize,
        input: &'a Tiles,
        gradient: &'a Tiles,
        work: &'a Workspace,
    ) -> Product<'a> {
        let _ = (input, gradient, work);
        panic!("parameter {parameter} of this layer has no connections to grow");
    }
}
