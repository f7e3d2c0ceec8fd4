//! Tokens as vectors.

use serde::{Deserialize, Serialize};

use super::limits::check_units;
use super::{Builder, Describe, Gradient, Layer, Parameter, Pass, Properties, Vjp, WeightShape, Workspace};
use crate::kernels::{self, Activation, Padding, Product, Tokens};
use crate::tiles::{Shape, Tiles};

/// A vector for each token (Bengio et al. 2003); files keep it so.
///
/// ```text
/// y[t] = W[x[t]]        x [steps x 1], numbers of tokens -> y [steps x channels]
/// ```
/// `weight` is `[vocabulary x channels]`: a token's vector is a row, and lookup and gradient touch the rows of the batch's tokens
/// alone, in sparse as in dense storage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmbeddingSpec {
    /// Number of tokens; in settings 0, the default, stands for as many as the data has.
    #[serde(default)]
    pub vocabulary: usize,
    /// Numbers of a token's vector.
    pub channels: usize,
    /// Whether token 0 is padding: its vector is 0 and stays so.
    #[serde(default)]
    pub padding: bool,
}

impl Describe for EmbeddingSpec {
    fn properties(&self) -> Properties<'_> {
        Properties {
            name: "embedding",
            looks_ahead: None,
            is_random: false,
            is_per_position: true,
            has_windows: false,
        }
    }

    fn fused_mut(&mut self) -> Option<&mut Activation> {
        None
    }

    fn output(&self, input: Shape) -> Result<Shape, String> {
        if self.vocabulary == 0 || self.channels == 0 {
            return Err("vocabulary and channels must be at least 1".into());
        }
        check_units("vocabulary", self.vocabulary)?;
        check_units("channels", self.channels)?;
        if input.height != 1 || input.channels != 1 {
            return Err(format!(
                "it wants a sequence with one token at each step, not {} numbers",
                input.channels
            ));
        }
        Ok(Shape { channels: self.channels, ..input })
    }

    fn build(&self, input: Shape, builder: &mut Builder<'_>) -> crate::Result<Box<dyn Layer>> {
        // Nothing is multiplied: no uses.
        // Tokens have nothing to share: each row is one's own vector.
        let shape =
            WeightShape { least: 1, alike: 1, ..WeightShape::linear(self.vocabulary, self.channels, 0) };
        builder.weight("weight", shape, Activation::Tanh)?;
        builder.part();
        let padding = self.padding.then_some(0);
        Ok(Box::new(Embedding { steps: input.width, channels: self.channels, padding }))
    }
}

/// A table of vectors. Parameter: weight.
pub struct Embedding {
    steps: usize,
    channels: usize,
    padding: Padding,
}

impl Layer for Embedding {
    fn input(&self) -> Shape {
        Shape::sequence(self.steps, 1)
    }

    fn output(&self) -> Shape {
        Shape::sequence(self.steps, self.channels)
    }

    fn spreads(&self) -> bool {
        true
    }

    fn forward(
        &self,
        _: &Pass,
        parameters: &[Parameter],
        input: &Tiles,
        output: &mut Tiles,
        _: &mut Workspace,
    ) {
        kernels::look_up(&parameters[0].weights, Tokens { input, padding: self.padding }, output);
    }

    fn backward(
        &self,
        _: &Pass,
        parameters: &[Parameter],
        gradients: &mut [Gradient],
        vjp: Vjp<'_>,
        work: &mut Workspace,
    ) {
        let (weights, order) = (&parameters[0].weights, &mut work.order);
        let (out, touched) = gradients[0].touch();
        let tokens = Tokens { input: vjp.input, padding: self.padding };
        kernels::look_up_gradient(weights, vjp.gradient, tokens, out, touched, order);
        // Tokens are no numbers that could be changed a little.
        if let Some(gradient_input) = vjp.gradient_input {
            gradient_input.rows_mut().fill(crate::tiles::Row::ZERO);
        }
    }

    fn product<'a>(
        &'a self,
        _: usize,
        input: &'a Tiles,
        gradient: &'a Tiles,
        _: &'a Workspace,
    ) -> Product<'a> {
        Product::look_up(input, gradient, self.padding)
    }
}
