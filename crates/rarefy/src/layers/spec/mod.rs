//! What a network looks like, as settings say it and as model files keep it.

mod constructors;
mod custom;
mod parallel;
mod residual;

pub use custom::{CustomSpec, LayerKinds};
pub use parallel::ParallelSpec;
pub use residual::ResidualSpec;

use serde::{Deserialize, Serialize};

use super::limits::MAX_LAYERS;
use super::{
    AttentionPoolSpec, AttentionSpec, AveragePoolSpec, BatchNormSpec, Builder, Conv1dSpec, Conv2dSpec,
    Describe, DropoutSpec, ElementwiseSpec, EmbeddingSpec, FlattenSpec, GlobalAveragePoolSpec,
    GlobalMaxPoolSpec, GroupNormSpec, GruSpec, LastStepSpec, Layer, LayerNormSpec, LinearSpec, LstmSpec,
    MaxPoolSpec, PositionalEncodingSpec, Properties, RmsNormSpec, RnnSpec, Sequence,
};
use crate::kernels::Activation;
use crate::tiles::Shape;

/// One layer, as model files keep it.
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
    /// A layer of a user's own.
    Custom(CustomSpec),
}

/// What `$use` makes of the description within a layer, whatever its kind, and `$of_block` of one that holds other layers.
macro_rules! of_each_kind {
    ($layer:expr, $spec:ident => $use:expr, $block:ident => $of_block:expr) => {
        match $layer {
            LayerSpec::Linear($spec) => $use,
            LayerSpec::Conv2d($spec) => $use,
            LayerSpec::Conv1d($spec) => $use,
            LayerSpec::MaxPool($spec) => $use,
            LayerSpec::AveragePool($spec) => $use,
            LayerSpec::GlobalMaxPool($spec) => $use,
            LayerSpec::GlobalAveragePool($spec) => $use,
            LayerSpec::LastStep($spec) => $use,
            LayerSpec::AttentionPool($spec) => $use,
            LayerSpec::Elementwise($spec) => $use,
            LayerSpec::Dropout($spec) => $use,
            LayerSpec::Flatten($spec) => $use,
            LayerSpec::Embedding($spec) => $use,
            LayerSpec::PositionalEncoding($spec) => $use,
            LayerSpec::Attention($spec) => $use,
            LayerSpec::Lstm($spec) => $use,
            LayerSpec::Gru($spec) => $use,
            LayerSpec::Rnn($spec) => $use,
            LayerSpec::BatchNorm($spec) => $use,
            LayerSpec::LayerNorm($spec) => $use,
            LayerSpec::RmsNorm($spec) => $use,
            LayerSpec::GroupNorm($spec) => $use,
            LayerSpec::Custom($spec) => $use,
            LayerSpec::Residual($block) => $of_block,
            LayerSpec::Parallel($block) => $of_block,
        }
    };
    ($layer:expr, $spec:ident => $use:expr) => {
        of_each_kind!($layer, $spec => $use, $spec => $use)
    };
}

/// A description of a layer that holds other layers.
trait Block: Describe {
    /// The lists of layers, each by the name that its arrays have in files.
    fn inner(&self) -> Vec<(String, &[LayerSpec])>;

    /// The lists of layers, in order.
    fn inner_mut(&mut self) -> Vec<&mut Vec<LayerSpec>>;
}

impl LayerSpec {
    /// The layers within a block, each list by the name that its arrays have in files.
    pub fn inner(&self) -> Vec<(String, &[LayerSpec])> {
        of_each_kind!(self, _spec => Vec::new(), block => block.inner())
    }

    /// The layers within a block, each list to change.
    pub(super) fn inner_mut(&mut self) -> Vec<&mut Vec<LayerSpec>> {
        of_each_kind!(self, _spec => Vec::new(), block => block.inner_mut())
    }

    /// Whether a training pass over the same samples differs from step to step.
    pub fn is_random(&self) -> bool {
        self.properties().is_random || self.any_inner(LayerSpec::is_random)
    }

    /// Whether outputs at a position depend on that position alone.
    pub(super) fn is_per_position(&self) -> bool {
        self.properties().is_per_position && !self.any_inner(|layer| !layer.is_per_position())
    }

    /// Whether a layer within this one is so.
    fn any_inner(&self, is: impl Fn(&LayerSpec) -> bool) -> bool {
        self.inner().into_iter().any(|(_, layers)| layers.iter().any(&is))
    }

    /// The name in files, as in `{layer = "linear"}`.
    pub fn name(&self) -> &str {
        self.properties().name
    }
}

impl Describe for LayerSpec {
    fn properties(&self) -> Properties<'_> {
        of_each_kind!(self, spec => spec.properties())
    }

    fn fused_mut(&mut self) -> Option<&mut Activation> {
        of_each_kind!(self, spec => spec.fused_mut())
    }

    fn output(&self, input: Shape) -> Result<Shape, String> {
        of_each_kind!(self, spec => spec.output(input))
    }

    fn build(&self, input: Shape, builder: &mut Builder<'_>) -> crate::Result<Box<dyn Layer>> {
        of_each_kind!(self, spec => spec.build(input, builder))
    }
}

/// A network's shape.
///
/// ```
/// use rarefy::kernels::Activation;
/// use rarefy::layers::{LayerSpec, NetworkSpec};
/// use rarefy::tiles::Shape;
///
/// let layers = vec![LayerSpec::linear(100, Activation::Relu), LayerSpec::linear(10, Activation::Identity)];
/// let network = NetworkSpec { inputs: Shape::flat(64), layers };
/// assert!(network.check().is_ok());
///
/// // The same in TOML, as in a file of settings.
/// let text = "inputs = 64\nlayers = [{layer = 'linear', outputs = 100, activation = 'relu'}, {layer = 'linear', outputs = 10}]";
/// assert_eq!(toml::from_str::<NetworkSpec>(text).unwrap(), network);
/// ```
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

    /// The kinds of a user's own layers in the network.
    pub fn kinds(&self) -> LayerKinds {
        let mut kinds = LayerKinds::new();
        add_kinds(&self.layers, &mut kinds);
        kinds
    }

    /// Finds out what the names of a user's own layers, as they came from a file, stand for.
    ///
    /// # Errors
    /// A layer whose kind `kinds` has not, or whose settings its kind cannot read.
    pub fn resolve(&mut self, kinds: &LayerKinds) -> Result<(), String> {
        resolve(&mut self.layers, kinds)
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
}

fn add_kinds(layers: &[LayerSpec], kinds: &mut LayerKinds) {
    for layer in layers {
        if let LayerSpec::Custom(spec) = layer {
            spec.add_kind(kinds);
        }
        layer.inner().into_iter().for_each(|(_, inner)| add_kinds(inner, kinds));
    }
}

/// Finds out what the names of a user's own layers stand for.
///
/// # Errors
/// As [`NetworkSpec::resolve`].
pub(super) fn resolve(layers: &mut [LayerSpec], kinds: &LayerKinds) -> Result<(), String> {
    for (position, layer) in layers.iter_mut().enumerate() {
        let title = format!("layer {} ({})", position + 1, layer.name());
        let resolved = match layer {
            LayerSpec::Custom(spec) => spec.resolve(kinds),
            layer => layer.inner_mut().into_iter().try_for_each(|inner| resolve(inner, kinds)),
        };
        resolved.map_err(|problem| format!("{title}: {problem}"))?;
    }
    Ok(())
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

impl Builder<'_> {
    /// Layers in order, named by their positions; `shapes` has what goes into each.
    ///
    /// # Errors
    /// An error of where weights come from, such as a model file.
    pub fn sequence(&mut self, layers: &[LayerSpec], shapes: &[Shape]) -> crate::Result<Sequence> {
        let first = self.count();
        let mut sequence = Sequence::default();
        for (position, (layer, &input)) in layers.iter().zip(shapes).enumerate() {
            let start = self.count() - first;
            let layer = self.within(&position.to_string(), |builder| layer.build(input, builder))?;
            sequence.push(layer, start..self.count() - first);
        }
        Ok(sequence)
    }
}
