//! Self-attention.

use serde::{Deserialize, Serialize};

use super::{
    Builder, Describe, Gradient, Layer, Parameter, Pass, Properties, Role, Vjp, WeightShape, Workspace,
};
use crate::kernels::{self, Activation, Epilogue, Heads, Product};
use crate::tiles::{Shape, Tiles};

/// Multi-head self-attention over the steps of a sequence (Vaswani et al. 2017, section 3.2); files keep it so.
///
/// ```text
/// y = W_o [heads of softmax(Q K^T / sqrt(size)) V] + b_o        x, y [steps x channels], size = channels / heads
/// Q = W_q x + b_q, K = W_k x + b_k, V = W_v x + b_v
/// ```
/// Parameters: `query.weight` `[channels x channels]` and `query.bias` `[channels]`, and so for `key`, `value` and `output`. The
/// four products are linear maps at each step, sparse or dense. Steps beyond a sample's length are not looked at. Rotary
/// positions (Su et al. 2021) turn channels `2 i` and `2 i + 1` of each head of `Q` and `K` by `t / 10000^(2 i / size)`. There is
/// no dropout of attention weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttentionSpec {
    /// Into how many heads the channels are cut.
    pub heads: usize,
    /// Whether a step sees only those up to itself.
    #[serde(default)]
    pub causal: bool,
    /// Whether queries and keys are turned by their positions.
    #[serde(default)]
    pub rotary: bool,
}

impl AttentionSpec {
    /// So many heads that see all steps and are told no positions.
    pub fn new(heads: usize) -> Self {
        AttentionSpec { heads, causal: false, rotary: false }
    }
}

impl Describe for AttentionSpec {
    fn properties(&self) -> Properties<'_> {
        Properties {
            name: "attention",
            looks_ahead: (!self.causal).then_some("give it causal = true"),
            is_random: false,
            is_per_position: false,
            has_windows: false,
        }
    }

    fn fused_mut(&mut self) -> Option<&mut Activation> {
        None
    }

    fn output(&self, input: Shape) -> Result<Shape, String> {
        if input.height != 1 {
            return Err("attention wants a sequence, not an image".into());
        }
        if self.heads == 0 || !input.channels.is_multiple_of(self.heads) {
            return Err(format!("{} channels cannot be cut into {} heads alike", input.channels, self.heads));
        }
        let size = input.channels / self.heads;
        if self.rotary && !size.is_multiple_of(2) {
            return Err(format!(
                "rotary positions turn pairs of channels, and a head has {size}; choose heads so that it is even"
            ));
        }
        Ok(input)
    }

    fn build(&self, input: Shape, builder: &mut Builder<'_>) -> crate::Result<Box<dyn Layer>> {
        let channels = input.channels;
        for part in ["query", "key", "value", "output"] {
            builder.within(part, |builder| {
                let shape = WeightShape::linear(channels, channels, input.positions());
                // Drawn as before a hyperbolic tangent: no rectifier will halve what comes out.
                builder.weight("weight", shape, Activation::Tanh)?;
                builder.vector("bias", channels, 0.0, Role::Bias)?;
                crate::Result::Ok(())
            })?;
        }
        builder.part();
        let heads =
            Heads::new(input.positions(), self.heads, channels / self.heads, self.causal, self.rotary);
        Ok(Box::new(Attention { shape: input, heads }))
    }
}

/// Self-attention. Parameters: weight and bias of query, key, value and output.
pub struct Attention {
    shape: Shape,
    heads: Heads,
}

/// What stands where in the workspace: queries, keys and values, in the backward pass their gradients; the heads' outputs;
/// their gradients; and what the heads are computed in.
const HEADS: usize = 3;
const GRADIENT: usize = 4;
const UNITS: usize = 5;

/// The tiles of a workspace.
fn parts(work: &mut Workspace) -> ([&mut Tiles; 3], &mut Tiles, &mut Tiles, &mut Tiles, &mut Vec<f32>) {
    let [query, key, value, heads, gradient, units] = &mut work.tiles[..] else {
        panic!("a workspace made by this layer")
    };
    ([query, key, value], heads, gradient, units, &mut work.scratch)
}

impl Layer for Attention {
    fn input(&self) -> Shape {
        self.shape
    }

    fn output(&self) -> Shape {
        self.shape
    }

    fn folds(&self) -> bool {
        true
    }

    fn workspace(&self, samples: usize, training: bool) -> Workspace {
        let mut tiles = vec![Tiles::zeros(self.shape.features(), samples); UNITS];
        if !training {
            tiles[GRADIENT] = Tiles::default();
        }
        tiles.push(Tiles::zeros(self.heads.work_features(training), samples));
        Workspace { tiles, ..Workspace::default() }
    }

    fn forward(
        &self,
        pass: &Pass,
        parameters: &[Parameter],
        input: &Tiles,
        output: &mut Tiles,
        work: &mut Workspace,
    ) {
        let (projected, heads, _, units, _) = parts(work);
        let linear = |pair: &[Parameter], input: &Tiles, output: &mut Tiles| {
            let bias = pair[1].weights.values();
            let epilogue = Epilogue::Activate { bias, activation: Activation::Identity };
            kernels::multiply(pass.isa, &pair[0].weights, input, output, epilogue);
        };
        let [query, key, value] = projected;
        linear(&parameters[0..2], input, query);
        linear(&parameters[2..4], input, key);
        linear(&parameters[4..6], input, value);
        kernels::attend(pass.isa, &self.heads, [query, key, value], input.lengths(), heads, units);
        pass.precision.round(pass.isa, heads.numbers_mut());
        linear(&parameters[6..8], heads, output);
    }

    fn backward(
        &self,
        pass: &Pass,
        parameters: &[Parameter],
        gradients: &mut [Gradient],
        vjp: Vjp<'_>,
        work: &mut Workspace,
    ) {
        let ([query, key, value], heads, gradient, units, scratch) = parts(work);
        let through = Epilogue::Gate { activation: Activation::Identity, outputs: &[] };
        let last = &parameters[6].weights;
        kernels::multiply_transposed(pass.isa, last, vjp.gradient, gradient, through, scratch);
        let mut parameter_gradients = |index: usize, gradient: &Tiles, input: &Tiles| {
            let [weight, bias] = &mut gradients[index..index + 2] else { unreachable!("eight parameters") };
            let (weights, out) = (&parameters[index].weights, &mut weight.values);
            kernels::weight_gradient(pass.isa, weights, gradient, input, out, scratch);
            kernels::bias_gradient(pass.isa, gradient, &mut bias.values);
        };
        parameter_gradients(6, vjp.gradient, heads);
        let lengths = vjp.input.lengths();
        let gradient_inputs = [&mut *query, &mut *key, &mut *value];
        kernels::attend_backward(pass.isa, &self.heads, gradient, lengths, gradient_inputs, units);
        for (index, gradient) in [(0, &mut *query), (2, &mut *key), (4, &mut *value)] {
            pass.precision.round(pass.isa, gradient.numbers_mut());
            parameter_gradients(index, gradient, vjp.input);
        }
        // The three parts of the input's gradient, each added to those before.
        let Some(gradient_input) = vjp.gradient_input else { return };
        let identity = Activation::Identity;
        let through = Epilogue::Gate { activation: identity, outputs: &[] };
        kernels::multiply_transposed(
            pass.isa,
            &parameters[0].weights,
            query,
            gradient_input,
            through,
            scratch,
        );
        let epilogue = Epilogue::Add { terms: gradient_input.rows(), activation: identity, outputs: &[] };
        kernels::multiply_transposed(pass.isa, &parameters[2].weights, key, gradient, epilogue, scratch);
        let (terms, outputs) = (gradient.rows(), vjp.input.rows());
        let epilogue = Epilogue::Add { terms, activation: vjp.gate, outputs };
        kernels::multiply_transposed(
            pass.isa,
            &parameters[4].weights,
            value,
            gradient_input,
            epilogue,
            scratch,
        );
    }

    fn product<'a>(
        &'a self,
        parameter: usize,
        input: &'a Tiles,
        gradient: &'a Tiles,
        work: &'a Workspace,
    ) -> Product<'a> {
        match parameter {
            0 | 2 | 4 => Product::new(input, &work.tiles[parameter / 2]),
            6 => Product::new(&work.tiles[HEADS], gradient),
            _ => panic!("only the weights of attention have connections"),
        }
    }
}
