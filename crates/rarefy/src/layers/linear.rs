//! Linear layers.

use serde::{Deserialize, Serialize};

use super::limits::check_units;
use super::{
    Builder, Describe, Gradient, Layer, Parameter, Pass, Properties, Role, Vjp, WeightShape, Workspace,
};
use crate::kernels::{self, Activation, Epilogue, Product};
use crate::tiles::{Shape, Tiles};

/// A linear layer, applied at each position (as a convolution of size 1); files keep it so.
///
/// ```text
/// y[t] = f(W x[t] + b)        x [positions x channels] -> y [positions x outputs]
/// ```
/// Parameters: `weight` `[outputs x channels]`, sparse or dense, and `bias` `[outputs]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinearSpec {
    /// Output features; in settings 0, the default, stands for as many as the data asks for.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub outputs: usize,
    /// The fused activation.
    #[serde(default)]
    pub activation: Activation,
}

fn is_zero(outputs: &usize) -> bool {
    *outputs == 0
}

impl Describe for LinearSpec {
    fn properties(&self) -> Properties<'_> {
        Properties {
            name: "linear",
            looks_ahead: None,
            is_random: false,
            is_per_position: true,
            has_windows: false,
        }
    }

    fn fused_mut(&mut self) -> Option<&mut Activation> {
        Some(&mut self.activation)
    }

    fn output(&self, input: Shape) -> Result<Shape, String> {
        if self.outputs == 0 {
            return Err(
                "it needs outputs, how many numbers it makes; only the last layer may leave them to the data"
                    .into(),
            );
        }
        check_units("outputs", self.outputs)?;
        self.activation.check_fusable("product")?;
        Ok(Shape { channels: self.outputs, ..input })
    }

    fn build(&self, input: Shape, builder: &mut Builder<'_>) -> crate::Result<Box<dyn Layer>> {
        Ok(Box::new(Linear::build(input, self.outputs, self.activation, builder)?))
    }
}

/// A fully or sparsely connected layer. Parameters: weight, bias.
pub struct Linear {
    input: Shape,
    outputs: usize,
    activation: Activation,
}

impl Linear {
    /// A layer and its parameters.
    ///
    /// # Errors
    /// An error of where weights come from, such as a model file.
    ///
    /// # Panics
    /// If the activation cannot be fused.
    pub fn build(
        input: Shape,
        outputs: usize,
        activation: Activation,
        builder: &mut Builder<'_>,
    ) -> crate::Result<Linear> {
        assert!(activation.is_fusable(), "{activation:?} must be a layer of its own");
        let shape = WeightShape::linear(outputs, input.channels, input.positions());
        builder.weight("weight", shape, activation)?;
        builder.vector("bias", outputs, 0.0, Role::Bias)?;
        if input.positions() == 1 {
            builder.join(activation)
        } else {
            builder.part()
        }
        Ok(Linear { input, outputs, activation })
    }
}

impl Layer for Linear {
    fn input(&self) -> Shape {
        self.input
    }

    fn output(&self) -> Shape {
        Shape { channels: self.outputs, ..self.input }
    }

    fn folds(&self) -> bool {
        true
    }

    fn fused(&self) -> Activation {
        self.activation
    }

    fn spreads(&self) -> bool {
        true
    }

    fn forward(
        &self,
        pass: &Pass,
        parameters: &[Parameter],
        input: &Tiles,
        output: &mut Tiles,
        _: &mut Workspace,
    ) {
        let epilogue =
            Epilogue::Activate { bias: parameters[1].weights.values(), activation: self.activation };
        kernels::multiply(pass.isa, &parameters[0].weights, input, output, epilogue);
    }

    fn backward(
        &self,
        pass: &Pass,
        parameters: &[Parameter],
        gradients: &mut [Gradient],
        vjp: Vjp<'_>,
        work: &mut Workspace,
    ) {
        let weights = &parameters[0].weights;
        let [weight, bias] = gradients else { panic!("a linear layer has a weight and a bias") };
        if let Some(gradient_input) = vjp.gradient_input {
            let epilogue = Epilogue::Gate { activation: vjp.gate, outputs: vjp.input.rows() };
            kernels::multiply_transposed(
                pass.isa,
                weights,
                vjp.gradient,
                gradient_input,
                epilogue,
                &mut weight.values,
            );
            // The values have been there.
            weight.touched = None;
        }
        if vjp.input.columns().is_some() {
            let (out, touched) = weight.touch();
            kernels::sparse_input_gradient(weights, vjp.gradient, vjp.input, out, touched);
        } else {
            let (out, scratch) = (&mut weight.values, &mut work.scratch);
            kernels::weight_gradient(pass.isa, weights, vjp.gradient, vjp.input, out, scratch);
        }
        kernels::bias_gradient(pass.isa, vjp.gradient, &mut bias.values);
    }

    fn product<'a>(
        &'a self,
        parameter: usize,
        input: &'a Tiles,
        gradient: &'a Tiles,
        _: &'a Workspace,
    ) -> Product<'a> {
        assert_eq!(parameter, 0, "only the weights of a linear layer have connections");
        Product::new(input, gradient)
    }
}
