//! From layers as a person writes them to layers as they are built: sizes that the data decides are filled in, functions
//! that a product cannot fuse become layers of their own, and every shape is checked, each error naming the layer as it
//! was written.
//!
//! ```toml
//! layers = [
//!     {layer = "flatten"},
//!     {layer = "linear", outputs = 256, activation = "gelu"},
//!     {layer = "linear"},                                     # as many outputs as the data asks for
//! ]
//! ```

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use serde_json::Value;

use super::{Describe, Inputs, LayerSpec, LinearSpec, NetworkSpec};
use crate::Error;
use crate::kernels::Activation;
use crate::tiles::Shape;

/// What the data asks of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outputs {
    /// So many numbers at so many positions.
    Shape(Shape),
    /// So many numbers at each step, however many steps are left.
    EachStep(usize),
}

impl<S: Into<Shape>> From<S> for Outputs {
    fn from(shape: S) -> Outputs {
        Outputs::Shape(shape.into())
    }
}

impl NetworkSpec {
    /// The network that `layers` describe for samples such as `inputs` (a shape, or [`Inputs`] if they are tokens), of which
    /// `outputs` are asked: sizes that the data decides are filled in, functions that cannot be fused become layers.
    ///
    /// # Errors
    /// A layer that does not fit what it is given, with its number, its name and the shapes.
    ///
    /// # Examples
    /// ```
    /// use rarefy::kernels::Activation::{Gelu, Identity, Relu};
    /// use rarefy::layers::{Conv2dSpec, LayerSpec, Network, NetworkSpec, Padding, SparsitySettings};
    /// use rarefy::tiles::Shape;
    ///
    /// let layers = [
    ///     Conv2dSpec { padding: Padding::Same, ..Conv2dSpec::new(8, 3) }.into(),
    ///     LayerSpec::batch_norm(Relu),
    ///     LayerSpec::max_pool(2),
    ///     LayerSpec::flatten(),
    ///     LayerSpec::linear(32, Gelu),
    ///     LayerSpec::linear(0, Identity),
    /// ];
    /// let image = Shape { height: 8, width: 8, channels: 1 };
    /// let spec = NetworkSpec::new(image, 10, &layers)?;
    /// let network = Network::random(&spec, &SparsitySettings::default(), 1)?;
    /// assert_eq!(network.output(), Shape::flat(10));
    /// # Ok::<(), rarefy::Error>(())
    /// ```
    pub fn new(
        inputs: impl Into<Inputs>,
        outputs: impl Into<Outputs>,
        layers: &[LayerSpec],
    ) -> crate::Result<NetworkSpec> {
        network(inputs.into(), outputs.into(), layers)
            .map_err(|problem| Error::setting("network.layers", problem))
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
        network(inputs, outputs.into(), &self.layers).map(|_| ())
    }
}

/// The network that `layers` describe for samples such as `inputs`, of which `outputs` are asked.
///
/// # Errors
/// A layer that does not fit what it is given, with its number, its name and the shapes.
pub(super) fn network(inputs: Inputs, outputs: Outputs, layers: &[LayerSpec]) -> Result<NetworkSpec, String> {
    check_last(layers)?;
    let mut layers = layers.to_vec();
    if let Some(LayerSpec::Linear(last)) = layers.last_mut()
        && last.outputs == 0
    {
        last.outputs = match outputs {
            Outputs::Shape(shape) => shape.channels,
            Outputs::EachStep(channels) => channels,
        };
    }
    let (built, shapes) = build(inputs, &layers, inputs.shape.positions() == 1)?;
    check_output(&layers, &shapes, outputs)?;
    Ok(NetworkSpec { inputs: inputs.shape, layers: built })
}

/// Layers as they are built, and the shapes between them as they are written. `is_flat`: samples have no positions.
fn build(
    inputs: Inputs,
    layers: &[LayerSpec],
    is_flat: bool,
) -> Result<(Vec<LayerSpec>, Vec<Shape>), String> {
    if layers.is_empty() && inputs.vocabulary.is_some() {
        return Err(format!("tokens would stay ids, which are no quantities: {EMBED}"));
    }
    let (mut built, mut shapes) = (Vec::new(), vec![inputs.shape]);
    for (position, layer) in layers.iter().enumerate() {
        let input = shapes[position];
        let title = title(position, layer);
        let mut layer = layer.clone();
        // The first layer makes numbers of tokens.
        let vocabulary = inputs.vocabulary.filter(|_| position == 0);
        fill_vocabulary(&mut layer, vocabulary).map_err(|problem| format!("{title}: {problem}"))?;
        let names: Vec<String> = layer.inner().into_iter().map(|(name, _)| name).collect();
        for (name, inner) in names.iter().zip(layer.inner_mut()) {
            let within = |problem| format!("{title}, in {}, {problem}", part_title(name));
            *inner = build(Inputs { shape: input, vocabulary }, inner, is_flat).map_err(within)?.0;
        }
        let advice = if is_flat && layer.properties().has_windows { DECLARE } else { "" };
        let mut output = input;
        for part in split(layer) {
            let misfit = |problem| format!("{title} on {input}: {problem}{advice}");
            output = part.output(output).map_err(misfit)?;
            built.push(part);
        }
        shapes.push(output);
    }
    Ok((built, shapes))
}

/// What to do where tokens meet no embedding.
const EMBED: &str =
    "put {layer = \"embedding\", channels = 64} first, or leave data.text.tokens out for a bag of words";

/// Tells an embedding how many tokens there are, if the layer is given tokens; these go into no other layer, and nothing else
/// goes into an embedding.
fn fill_vocabulary(layer: &mut LayerSpec, vocabulary: Option<usize>) -> Result<(), String> {
    let is_block = !layer.inner().is_empty();
    match (layer, vocabulary) {
        (LayerSpec::Embedding(spec), Some(ids)) if spec.vocabulary == 0 => spec.vocabulary = ids,
        (LayerSpec::Embedding(spec), Some(ids)) if spec.vocabulary < ids => {
            return Err(format!(
                "it has a vector for each of {} tokens, and the data has {ids}: leave its vocabulary out",
                spec.vocabulary
            ));
        }
        (LayerSpec::Embedding(_), None) => {
            return Err("it looks up tokens and is given numbers: take it out, or make tokens of text by \
                        data.text.tokens and put it first"
                .into());
        }
        (LayerSpec::Embedding(_), Some(_)) | (_, None) => {}
        // Its own layers are told.
        (_, Some(_)) if is_block => {}
        (_, Some(_)) => return Err(format!("it is given tokens, whose ids are no quantities: {EMBED}")),
    }
    Ok(())
}

/// What must hold whatever the data is: outputs are logits or values, so a linear layer without activation makes them.
///
/// # Errors
/// What to put last.
pub(super) fn check_last(layers: &[LayerSpec]) -> Result<(), String> {
    let Some(last) = layers.last() else { return Err("there are no layers".into()) };
    let title = title(layers.len() - 1, last);
    match last {
        LayerSpec::Linear(LinearSpec { activation: Activation::Identity, .. }) => Ok(()),
        LayerSpec::Linear(_) => {
            Err(format!("{title} is the last, whose outputs are logits or values: leave its activation out"))
        }
        _ => {
            Err(format!("{title} is the last: put {{layer = \"linear\"}} after it, which makes the outputs"))
        }
    }
}

/// What else may be wrong where a layer that looks at positions does not fit samples that have none.
const DECLARE: &str =
    "; if the samples are images or sequences, say so by data.shape = [height, width, channels]";

/// How errors name a layer.
fn title(position: usize, layer: &LayerSpec) -> String {
    format!("layer {} ({})", position + 1, layer.name())
}

/// How errors name the layers within a block, from the name in files.
pub(super) fn part_title(name: &str) -> String {
    match name.strip_prefix("branches.").and_then(|index| index.parse::<usize>().ok()) {
        Some(index) => format!("branch {}", index + 1),
        None => format!("its {name}"),
    }
}

/// A layer, and one for its activation where that cannot be fused.
fn split(mut layer: LayerSpec) -> impl Iterator<Item = LayerSpec> {
    let apart = match layer.fused_mut() {
        Some(activation) if !activation.is_fusable() => Some(std::mem::take(activation)),
        _ => None,
    };
    std::iter::once(layer).chain(apart.map(LayerSpec::elementwise))
}

fn check_output(layers: &[LayerSpec], shapes: &[Shape], outputs: Outputs) -> Result<(), String> {
    let (last, made) = (layers.len() - 1, shapes[layers.len()]);
    let outputs = match outputs {
        Outputs::Shape(shape) => shape,
        Outputs::EachStep(channels) if made.height == 1 && made.width > 1 => Shape { channels, ..made },
        Outputs::EachStep(channels) => {
            let title = title(last, &layers[last]);
            return Err(format!(
                "{title} makes {made} of {}, but the data asks for {channels} at each step: keep the steps, with layers such as {{layer = \"lstm\", hidden = 64}} or conv1d, and leave out what joins them (flatten, pooling over all)",
                shapes[last]
            ));
        }
    };
    if made == outputs {
        return Ok(());
    }
    if made.positions() == outputs.positions() {
        let title = title(last, &layers[last]);
        return Err(format!(
            "{title} makes {made} of {}, but the data asks for {outputs}: leave its outputs out",
            shapes[last]
        ));
    }
    // The head begins where layers that take each position for itself do, at its first linear layer.
    let body = layers.iter().rposition(|layer| !layer.is_per_position()).map_or(0, |at| at + 1);
    let is_linear = |layer: &LayerSpec| matches!(layer, LayerSpec::Linear(_));
    let head = body + layers[body..].iter().position(is_linear).expect("the last layer is linear");
    let title = title(head, &layers[head]);
    let (input, output) = (shapes[head], shapes[head + 1]);
    let cure = match outputs.positions() {
        1 => "put {layer = \"flatten\"} or a pooling over all positions before it".to_string(),
        steps => format!("each of the {steps} steps has a target; leave out what changes their number"),
    };
    Err(format!(
        "{title} makes {output} of {input}, so the outputs would be {made} where the data asks for {outputs}: {cure}"
    ))
}

/// Reads a list of layers so that what is wrong with one names it: unknown names and keys are told with those there are.
pub(super) fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<LayerSpec>, D::Error> {
    // Through a plain value: a tagged layer is buffered anyway, and this way its name is known when its keys are wrong.
    let layers = Vec::<Value>::deserialize(from)?;
    layers
        .into_iter()
        .enumerate()
        .map(|(position, value)| read_one(position, value).map_err(D::Error::custom))
        .collect()
}

fn read_one(position: usize, value: Value) -> Result<LayerSpec, String> {
    let number = position + 1;
    let Some(name) = value.get("layer").map(|name| name.as_str().unwrap_or("?").to_string()) else {
        return Err(format!("layer {number} has no name; write it as {{layer = \"linear\", outputs = 64}}"));
    };
    // What is wrong within a block is told of the layer there.
    for (part, layers) in inner_values(&value) {
        for (place, layer) in layers.iter().enumerate() {
            let within = |problem| format!("layer {number} ({name}), in {}, {problem}", part_title(&part));
            read_one(place, layer.clone()).map_err(within)?;
        }
    }
    serde_json::from_value(value).map_err(|error| match error.to_string() {
        unknown if unknown.starts_with(&format!("unknown variant `{name}`")) => {
            format!("layer {number}: {unknown}")
        }
        problem => format!("layer {number} ({name}): {problem}"),
    })
}

/// The lists of layers within one, by the name of the part.
fn inner_values(value: &Value) -> Vec<(String, &[Value])> {
    let parts = ["body", "shortcut"].map(|part| (part.to_string(), list(&value[part])));
    let branches = list(&value["branches"]).iter().enumerate();
    parts
        .into_iter()
        .chain(branches.map(|(index, branch)| (format!("branches.{index}"), list(branch))))
        .collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
