//! A network within somebody else's training loop: arrays go in and come out sample by sample, and whoever has the parameters
//! hands them to each pass.
//!
//! What a forward pass leaves for its backward pass is a value of its own, so that several may be under way: each drop of one
//! gives its memory back to the chain.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Buffers, Describe, Gradient, LayerSpec, Network, NetworkSpec, Pass};
use crate::kernels::{Activation, Isa, par_chunks};
use crate::sparse::{BLOCK_HEIGHTS, Pattern, Storage, Weights};
use crate::tiles::{Row, Shape, Tiles};
use crate::{Error, Result};

/// Rows of 64 samples that one piece of work covers.
const ROWS: usize = 64;

/// Layers in order, whose parameters are handed to each pass.
///
/// Arrays hold samples one after the other, each channel by channel: `[samples][channels][positions]`, as in torch.
///
/// ```
/// use rarefy::kernels::{Activation, Isa};
/// use rarefy::layers::{Chain, LayerSpec, NetworkSpec, Pass};
/// use rarefy::sparse::Pattern;
/// use rarefy::tiles::Shape;
///
/// // y = W x + b        W = [ . 2 . ]
/// //                        [ 3 . 4 ]
/// let spec = NetworkSpec { inputs: Shape::flat(3), layers: vec![LayerSpec::linear(2, Activation::Identity)] };
/// let pattern = Pattern::new(2, 3, vec![0, 1, 3], vec![1, 0, 2]).unwrap();
/// let mut chain = Chain::new(spec, vec![pattern])?;
/// let (pass, parameters) = (Pass::train(Isa::detect(), 1, 1), [Some(&[2.0, 3.0, 4.0][..]), Some(&[0.0, 1.0])]);
/// let mut y = [0.0; 2];
/// let mut kept = chain.forward(&pass, &parameters, &[1.0, 10.0, 100.0], &mut y, true).unwrap();
/// assert_eq!(y, [20.0, 404.0]);
///
/// let (mut dx, mut values, mut bias) = ([0.0; 3], [0.0; 3], [0.0; 2]);
/// chain.backward(&mut kept, &parameters, &[1.0, -1.0], Some(&mut dx), &mut [Some(&mut values), Some(&mut bias)]);
/// assert_eq!((dx, values, bias), ([-3.0, 2.0, -4.0], [10.0, -1.0, -100.0], [1.0, -1.0]));
///
/// let mut all = [0.0; 6]; // those that absent connections would have among them
/// chain.row_gradients(&kept, 0, 0..2, &mut all);
/// assert_eq!(all, [1.0, 10.0, 100.0, -1.0, -10.0, -100.0]);
/// # Ok::<(), rarefy::Error>(())
/// ```
pub struct Chain {
    network: Network,
    gradients: Vec<Gradient>,
    inputs: Shape,
    /// Which parameters the network has now: a number for each time that it was given some.
    filled: u64,
    gradient_input: Tiles,
    statistics: Vec<f32>,
    /// Room for passes that are kept, and for such as are not.
    idle: [Idle; 2],
}

/// Buffers that nobody uses.
type Idle = Arc<Mutex<Vec<(Tiles, Buffers)>>>;

/// What a forward pass keeps for its backward pass.
pub struct Kept {
    input: Tiles,
    buffers: Buffers,
    pass: Pass<'static>,
    filled: u64,
    home: Idle,
}

impl Drop for Kept {
    fn drop(&mut self) {
        let room = (std::mem::take(&mut self.input), std::mem::take(&mut self.buffers));
        self.home.lock().unwrap_or_else(PoisonError::into_inner).push(room);
    }
}

impl Kept {
    /// Samples of the pass.
    pub fn samples(&self) -> usize {
        self.input.samples()
    }

    /// What went in.
    pub fn input(&self) -> &Tiles {
        &self.input
    }

    /// What came of it, and after the backward pass the gradients.
    pub fn buffers(&self) -> &Buffers {
        &self.buffers
    }
}

impl Chain {
    /// A chain of the layers that `spec` describes, with the connections that `patterns` names, one for each weight. Where they are
    /// blocks of rows they are computed as such. A function that can be fused goes into the layer before it.
    ///
    /// # Errors
    /// A layer that does not fit what it is given, or a pattern its weight.
    pub fn new(spec: NetworkSpec, patterns: Vec<Pattern>) -> Result<Chain> {
        let spec = NetworkSpec { layers: fused(spec.layers), ..spec };
        let (inputs, count) = (spec.inputs, patterns.len());
        let shapes = spec.weight_shapes()?;
        let mut patterns = patterns.into_iter().zip(shapes.iter().map(|shape| shape.alike));
        let network = Network::load(&spec, Storage::Auto, |name, rows, cols| {
            let (pattern, alike) = patterns.next().ok_or_else(|| {
                Error::setting("network", format!("{name} has no pattern; there are {count}"))
            })?;
            if (pattern.rows(), pattern.cols()) != (rows, cols) {
                return Err(Error::setting(
                    "network",
                    format!("{name} is {rows} x {cols}, its pattern {} x {}", pattern.rows(), pattern.cols()),
                ));
            }
            Ok(weights_on(pattern, alike))
        })?;
        if count > shapes.len() {
            return Err(Error::setting("network", format!("there are {count} patterns, more than weights")));
        }
        let gradients = network.gradients();
        let gradient_input = Tiles::zeros(inputs.features(), 0);
        Ok(Chain {
            network,
            gradients,
            inputs,
            filled: 0,
            gradient_input,
            statistics: Vec::new(),
            idle: Default::default(),
        })
    }

    /// The layers, with the parameters of the last pass.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// What goes in.
    pub fn inputs(&self) -> Shape {
        self.inputs
    }

    /// What comes out.
    pub fn output(&self) -> Shape {
        self.network.output()
    }

    /// What batch norms saw in the last pass, if it trained: of each, in order, the means and then the variances of its channels,
    /// as they go into the running ones.
    pub fn statistics(&self) -> &[f32] {
        &self.statistics
    }

    /// Computes the outputs `y` for samples `x`. `parameters` has the numbers of each array of the network in order, of a weight
    /// one for each connection; one that is not given is as at a start. What a backward pass needs is kept if `is_kept` says so.
    ///
    /// # Panics
    /// If an array has another length.
    pub fn forward(
        &mut self,
        pass: &Pass<'static>,
        parameters: &[Option<&[f32]>],
        x: &[f32],
        y: &mut [f32],
        is_kept: bool,
    ) -> Option<Kept> {
        self.fill(parameters);
        let samples = x.len() / self.inputs.features();
        // Buffers for predicting treat few samples one by one, which is not what a batch norm looks at.
        let for_training = is_kept || pass.training.is_some();
        let home = &self.idle[usize::from(for_training)];
        let room = home.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let (mut input, mut buffers) = room.unwrap_or_else(|| {
            let buffers = self.network.buffers(samples, for_training);
            (Tiles::zeros(self.inputs.features(), samples), buffers)
        });
        buffers.resize(samples);
        input.pack(x, self.inputs);
        self.network.forward(pass, &input, &mut buffers);
        buffers.output().unpack(y, self.output());
        self.statistics.clear();
        if pass.training.is_some() {
            self.network.batch_statistics(&buffers, &mut self.statistics);
        }
        let kept = Kept { input, buffers, pass: *pass, filled: self.filled, home: home.clone() };
        is_kept.then_some(kept)
    }

    /// Computes the gradients from `dy`, that of the outputs: `dx`, that of the samples, and that of each parameter, where asked
    /// for. `parameters` are those of the forward pass.
    ///
    /// # Panics
    /// If an array has another length, or `kept` is of another chain.
    pub fn backward(
        &mut self,
        kept: &mut Kept,
        parameters: &[Option<&[f32]>],
        dy: &[f32],
        dx: Option<&mut [f32]>,
        gradients: &mut [Option<&mut [f32]>],
    ) {
        if kept.filled != self.filled {
            self.fill(parameters);
            kept.filled = self.filled;
        }
        let Kept { input, buffers, pass, .. } = kept;
        let (shape, fused) = (self.network.output(), self.network.fused());
        let (outputs, gradient) = buffers.output_and_gradient();
        assert_eq!(dy.len(), outputs.samples() * shape.features(), "a gradient of each output");
        gradient.pack(dy, shape);
        gate(pass.isa, fused, outputs, gradient);
        self.gradient_input.resize(input.samples());
        let gradient_input = dx.is_some().then_some(&mut self.gradient_input);
        self.network.backward_to_input(pass, input, gradient_input, &mut self.gradients, buffers);
        if let Some(dx) = dx {
            self.gradient_input.unpack(dx, self.inputs);
        }
        assert_eq!(gradients.len(), self.network.parameters().len(), "a gradient of each parameter");
        for ((parameter, gradient), out) in self.network.parameters().zip(&self.gradients).zip(gradients) {
            if let Some(out) = out {
                parameter.weights.copy_live(&gradient.values, out);
            }
        }
    }

    /// The gradients that all cells of some rows of a weight would have, by a backward pass that was made; weights are counted
    /// from 0.
    ///
    /// # Panics
    /// If `kept` is of another chain or of a pass that was not gone back, or shapes do not fit.
    pub fn row_gradients(&self, kept: &Kept, weight: usize, rows: Range<usize>, out: &mut [f32]) {
        let (index, shape) = self.weight(weight);
        let product = self.network.product(index, &kept.input, &kept.buffers);
        product.row_gradients(kept.pass.isa, shape, rows, out, &mut Vec::new());
    }

    /// The gradients that the cells of a pattern would have, as [`Chain::row_gradients`] has them, at a cost that follows their
    /// number.
    ///
    /// # Panics
    /// As there.
    pub fn cell_gradients(&self, kept: &Kept, weight: usize, cells: &Pattern, out: &mut [f32]) {
        let product = self.network.product(self.weight(weight).0, &kept.input, &kept.buffers);
        product.cell_gradients(kept.pass.isa, cells, out);
    }

    /// The place among the parameters, and the rows and columns, of a weight.
    fn weight(&self, weight: usize) -> (usize, (usize, usize)) {
        let (index, parameter) = self.network.weights().nth(weight).expect("a weight of this chain");
        (index, (parameter.weights.rows(), parameter.weights.cols()))
    }

    /// Puts parameters in.
    fn fill(&mut self, parameters: &[Option<&[f32]>]) {
        assert_eq!(parameters.len(), self.network.parameters().len(), "numbers of each parameter");
        for (parameter, numbers) in self.network.parameters_mut().zip(parameters) {
            if let Some(numbers) = numbers {
                parameter.weights.copy_from_live(numbers);
            }
        }
        self.filled += 1;
    }
}

/// Zeros on a pattern, in the highest blocks that it is of within runs of `alike` rows.
fn weights_on(pattern: Pattern, alike: usize) -> Weights {
    let weights = Weights::zeros(pattern, Storage::Auto);
    let Weights::Sparse(sparse) = &weights else { return weights };
    let heights = BLOCK_HEIGHTS.iter().rev().copied().filter(|&height| alike.is_multiple_of(height));
    let found = heights.filter_map(|height| Some((height, sparse.pattern().blocks(height)?))).next();
    found.map_or(weights, |(height, blocks)| Weights::zeros_in_blocks(height, blocks))
}

/// Multiplies a gradient by the derivative of the function that made the outputs.
fn gate(isa: Isa, activation: Activation, outputs: &Tiles, gradient: &mut Tiles) {
    if activation == Activation::Identity {
        return;
    }
    par_chunks(gradient.rows_mut(), ROWS, &|start, rows: &mut [Row]| {
        crate::vectorize!(isa, {
            for (row, output) in rows.iter_mut().zip(&outputs.rows()[start..]) {
                activation.gate(&mut row.0, output);
            }
        });
    });
}

/// The layers, functions that can be fused in those before them.
fn fused(layers: Vec<LayerSpec>) -> Vec<LayerSpec> {
    let mut all: Vec<LayerSpec> = Vec::new();
    for mut layer in layers {
        for inner in layer.inner_mut() {
            *inner = fused(std::mem::take(inner));
        }
        if let LayerSpec::Elementwise(spec) = &layer
            && spec.activation.is_fusable()
            && let Some(fused) = all.last_mut().and_then(Describe::fused_mut)
            && *fused == Activation::Identity
        {
            *fused = spec.activation;
            continue;
        }
        all.push(layer);
    }
    all
}
