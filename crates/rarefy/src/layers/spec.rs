//! What a network looks like, as settings say it and as model files keep it.

use serde::{Deserialize, Serialize};

use super::{
    AttentionPoolSpec, AttentionSpec, AveragePoolSpec, BatchNormSpec, Builder, Conv1dSpec, Conv2dSpec,
    DropoutSpec, ElementwiseSpec, EmbeddingSpec, FlattenSpec, GlobalAveragePoolSpec, GlobalMaxPoolSpec,
    GroupNormSpec, GruSpec, Inputs, LastStepSpec, Layer, LayerNormSpec, LinearSpec, LstmSpec, MaxPoolSpec,
    Outputs, ParallelSpec, PositionalEncodingSpec, ResidualSpec, RmsNormSpec, RnnSpec, described,
};
use crate::kernels::Activation;
use crate::tiles::Shape;

/// A description of a layer: what it makes of a shape, and the layer itself.
pub trait Describe {
    /// The shape that comes out where `input` goes in.
    ///
    /// # Errors
    /// Why the layer cannot be, in words that follow its name.
    fn output(&self, input: Shape) -> Result<Shape, String>;

    /// The layer for that input, its parameters made by `builder`. The description has been found good.
    ///
    /// # Errors
    /// Those of where weights come from.
    fn build(&self, input: Shape, builder: &mut Builder<'_>) -> crate::Result<Box<dyn Layer>>;
}

/// One layer, as model files keep it. A new layer is its file, a variant here and a line in `LayerSpec::description`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "layer", rename_all = "kebab-case")]
pub enum LayerSpec {
    /// `y = f(W x + b)`.
    Linear(LinearSpec),
    /// Windows of an image.
    Conv2d(Conv2dSpec),
    /// Windows of a sequence.
    Conv1d(Conv1dSpec),
    /// Largest numbers of windows.
    MaxPool(MaxPoolSpec),
    /// Means of windows.
    AveragePool(AveragePoolSpec),
    /// The largest number of all positions.
    GlobalMaxPool(GlobalMaxPoolSpec),
    /// The mean of all positions.
    GlobalAveragePool(GlobalAveragePoolSpec),
    /// The last step of a sequence.
    LastStep(LastStepSpec),
    /// A learned mean over the steps of a sequence.
    AttentionPool(AttentionPoolSpec),
    /// An elementwise function that cannot be fused.
    Elementwise(ElementwiseSpec),
    /// Dropout.
    Dropout(DropoutSpec),
    /// Positions forgotten.
    Flatten(FlattenSpec),
    /// Tokens as vectors.
    Embedding(EmbeddingSpec),
    /// Steps told apart.
    PositionalEncoding(PositionalEncodingSpec),
    /// Steps of a sequence look at each other.
    Attention(AttentionSpec),
    /// Long short-term memory over a sequence.
    Lstm(LstmSpec),
    /// Gated recurrent units over a sequence.
    Gru(GruSpec),
    /// A simple recurrent layer over a sequence.
    Rnn(RnnSpec),
    /// Layers and a way past them, added.
    Residual(ResidualSpec),
    /// Branches side by side.
    Parallel(ParallelSpec),
    /// Channels normalised over the batch.
    BatchNorm(BatchNormSpec),
    /// Positions normalised over their channels.
    LayerNorm(LayerNormSpec),
    /// Positions divided by the root of their mean square.
    RmsNorm(RmsNormSpec),
    /// Samples normalised over positions and groups of channels.
    GroupNorm(GroupNormSpec),
}

impl LayerSpec {
    fn description(&self) -> &dyn Describe {
        match self {
            LayerSpec::Linear(spec) => spec,
            LayerSpec::Conv2d(spec) => spec,
            LayerSpec::Conv1d(spec) => spec,
            LayerSpec::MaxPool(spec) => spec,
            LayerSpec::AveragePool(spec) => spec,
            LayerSpec::GlobalMaxPool(spec) => spec,
            LayerSpec::GlobalAveragePool(spec) => spec,
            LayerSpec::LastStep(spec) => spec,
            LayerSpec::AttentionPool(spec) => spec,
            LayerSpec::Elementwise(spec) => spec,
            LayerSpec::Dropout(spec) => spec,
            LayerSpec::Flatten(spec) => spec,
            LayerSpec::Embedding(spec) => spec,
            LayerSpec::PositionalEncoding(spec) => spec,
            LayerSpec::Attention(spec) => spec,
            LayerSpec::Lstm(spec) => spec,
            LayerSpec::Gru(spec) => spec,
            LayerSpec::Rnn(spec) => spec,
            LayerSpec::Residual(spec) => spec,
            LayerSpec::Parallel(spec) => spec,
            LayerSpec::BatchNorm(spec) => spec,
            LayerSpec::LayerNorm(spec) => spec,
            LayerSpec::RmsNorm(spec) => spec,
            LayerSpec::GroupNorm(spec) => spec,
        }
    }

    /// A linear layer.
    pub fn linear(outputs: usize, activation: Activation) -> LayerSpec {
        LayerSpec::Linear(LinearSpec { outputs, activation })
    }

    /// An elementwise function.
    pub fn elementwise(activation: Activation) -> LayerSpec {
        LayerSpec::Elementwise(ElementwiseSpec { activation })
    }

    /// Dropout.
    pub fn dropout(rate: f32) -> LayerSpec {
        LayerSpec::Dropout(DropoutSpec { rate })
    }

    /// Positions forgotten.
    pub fn flatten() -> LayerSpec {
        LayerSpec::Flatten(FlattenSpec {})
    }

    /// The layers within a block, each list by the name that its arrays have in files.
    pub fn inner(&self) -> Vec<(String, &[LayerSpec])> {
        match self {
            LayerSpec::Residual(spec) => {
                vec![("body".into(), &spec.body[..]), ("shortcut".into(), &spec.shortcut[..])]
            }
            LayerSpec::Parallel(spec) => {
                let branches = spec.branches.iter().enumerate();
                branches.map(|(index, branch)| (format!("branches.{index}"), &branch[..])).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The same lists, to change.
    pub(super) fn inner_mut(&mut self) -> Vec<&mut Vec<LayerSpec>> {
        match self {
            LayerSpec::Residual(spec) => vec![&mut spec.body, &mut spec.shortcut],
            LayerSpec::Parallel(spec) => spec.branches.iter_mut().collect(),
            _ => Vec::new(),
        }
    }

    /// Whether a training pass over the same samples differs from step to step.
    pub fn is_random(&self) -> bool {
        let is_within = || self.inner().iter().any(|(_, layers)| layers.iter().any(LayerSpec::is_random));
        matches!(self, LayerSpec::Dropout(_)) || is_within()
    }

    /// The name that files use.
    pub fn name(&self) -> String {
        let value = serde_json::to_value(self).expect("a description is plain data");
        value["layer"].as_str().expect("a description has a name").to_string()
    }
}

impl Describe for LayerSpec {
    fn output(&self, input: Shape) -> Result<Shape, String> {
        self.description().output(input)
    }

    fn build(&self, input: Shape, builder: &mut Builder<'_>) -> crate::Result<Box<dyn Layer>> {
        self.description().build(input, builder)
    }
}

/// The most units of a layer, filters, or vectors of an embedding: beyond it a number is a slip.
pub const MAX_UNITS: usize = 1 << 24;

/// The most layers in a row.
pub const MAX_LAYERS: usize = 1024;

/// Checks a number of units.
///
/// # Errors
/// If it is beyond [`MAX_UNITS`].
pub(super) fn check_units(what: &str, count: usize) -> Result<(), String> {
    match count <= MAX_UNITS {
        true => Ok(()),
        false => Err(format!("{what} may be at most {MAX_UNITS}, not {count}")),
    }
}

/// A network's shape.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkSpec {
    /// What goes in.
    pub inputs: Shape,
    /// The layers in order; the last is linear without activation, its outputs are logits or values.
    pub layers: Vec<LayerSpec>,
}

impl NetworkSpec {
    /// The shapes between the layers: what goes into each, and last what comes out.
    ///
    /// # Errors
    /// A layer that does not fit what it is given, with its name and place.
    pub fn shapes(&self) -> Result<Vec<Shape>, String> {
        shapes(self.inputs, &self.layers)
    }

    /// Checks what came from a file.
    ///
    /// # Errors
    /// If there is no last linear layer without activation, or a layer does not fit what it is given.
    pub fn check(&self) -> Result<(), String> {
        let last = self.layers.last().ok_or("the network has no layers")?;
        if !matches!(last, LayerSpec::Linear(LinearSpec { activation: Activation::Identity, .. })) {
            return Err("the last layer must be linear without activation".into());
        }
        self.shapes().map(|_| ())
    }

    /// Checks what came from a file, and that it is a network for such samples, of which such outputs are asked.
    ///
    /// # Errors
    /// As [`NetworkSpec::check`]; what does not fit.
    pub fn check_for(&self, inputs: Inputs, outputs: impl Into<Outputs>) -> Result<(), String> {
        self.check()?;
        // A perceptron takes an image as plain numbers.
        if ![inputs.shape, Shape::flat(inputs.shape.features())].contains(&self.inputs) {
            return Err(format!("the network takes {}, and its data is {}", self.inputs, inputs.shape));
        }
        let inputs = Inputs { shape: self.inputs, ..inputs };
        described::network(inputs, outputs.into(), &self.layers).map(|_| ())
    }
}

/// The shapes between layers, and last what comes out.
///
/// # Errors
/// A layer that does not fit what it is given, with its name and place.
pub(super) fn shapes(inputs: Shape, layers: &[LayerSpec]) -> Result<Vec<Shape>, String> {
    inputs.check()?;
    if layers.len() > MAX_LAYERS {
        return Err(format!("there may be at most {MAX_LAYERS} layers, not {}", layers.len()));
    }
    let mut shapes = vec![inputs];
    for (position, layer) in layers.iter().enumerate() {
        let input = shapes[position];
        let output = layer
            .output(input)
            .and_then(|output| output.check().map(|()| output))
            .map_err(|problem| format!("layer {} ({}) on {input}: {problem}", position + 1, layer.name()))?;
        shapes.push(output);
    }
    Ok(shapes)
}
