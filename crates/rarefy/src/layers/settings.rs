//! The `[network]` and `[sparsity]` sections: which network, and how many of its connections live.

use serde::{Deserialize, Serialize};

use super::limits::{MAX_LAYERS, MAX_UNITS};
use super::presets::{Choices, Mlp, Numbers};
use super::{
    ActivationName, BlockHeight, Inputs, LayerKinds, LayerSpec, NetworkSpec, Outputs, Preset, described, spec,
};
use crate::sparse::{Allocation, Init, Storage, check_density};
use crate::tiles::Shape;
use crate::{Error, Result};

/// The `[network]` section: a network by name, or its layers one by one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, into = "Written")]
pub struct NetworkSettings {
    /// The network by name.
    pub preset: Preset,
    /// Units of each hidden layer of `mlp`; empty for a linear model.
    pub hidden: Vec<usize>,
    /// The function after each hidden layer of `mlp`.
    pub activation: ActivationName,
    /// For `leaky-relu` the slope below zero; for `all-relu` it alternates in sign from layer to layer.
    pub slope: f32,
    /// The share of hidden units dropped while training.
    pub dropout: f32,
    /// How wide the preset is, in its own unit; if not given, as docs/networks.md says.
    pub width: Option<usize>,
    /// How deep the preset is, in its own unit; if not given, as docs/networks.md says.
    pub depth: Option<usize>,
    /// The layers in place of a preset, as in a model's `config.json`; what the data decides may be left out.
    #[serde(deserialize_with = "described::read")]
    pub layers: Vec<LayerSpec>,
}

impl Default for NetworkSettings {
    fn default() -> NetworkSettings {
        NetworkSettings {
            preset: Preset::Mlp,
            hidden: vec![256, 256],
            activation: ActivationName::Relu,
            slope: 0.01,
            dropout: 0.0,
            width: None,
            depth: None,
            layers: Vec::new(),
        }
    }
}

/// The section as it is written: only what the network has.
#[derive(Serialize)]
#[serde(rename = "network")]
struct Written {
    #[serde(skip_serializing_if = "Option::is_none")]
    preset: Option<Preset>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    mlp: Option<WrittenMlp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dropout: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    width: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    depth: Option<usize>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    layers: Vec<LayerSpec>,
}

#[derive(Serialize)]
struct WrittenMlp {
    hidden: Vec<usize>,
    activation: ActivationName,
    slope: f32,
}

impl From<NetworkSettings> for Written {
    fn from(settings: NetworkSettings) -> Written {
        let preset = settings.layers.is_empty().then_some(settings.preset);
        let NetworkSettings { hidden, activation, slope, dropout, width, depth, layers, .. } = settings;
        Written {
            preset,
            mlp: (preset == Some(Preset::Mlp)).then_some(WrittenMlp { hidden, activation, slope }),
            dropout: preset.is_some_and(|preset| preset.choices().has_dropout).then_some(dropout),
            width,
            depth,
            layers,
        }
    }
}

impl NetworkSettings {
    /// Checks what can be checked without knowing the data.
    ///
    /// # Errors
    /// A number out of range, or a key that the network does not have.
    pub fn check(&self) -> Result<()> {
        let wrong = |key: &str, problem: String| Err(Error::setting(format!("network.{key}"), problem));
        if self.hidden.contains(&0) {
            return wrong("hidden", "a layer needs at least one unit".into());
        }
        if let Some(units) = self.hidden.iter().find(|units| **units > MAX_UNITS) {
            return wrong("hidden", format!("a layer may have at most {MAX_UNITS} units, not {units}"));
        }
        if self.hidden.len() >= MAX_LAYERS {
            return wrong(
                "hidden",
                format!("there may be fewer than {MAX_LAYERS} layers, not {}", self.hidden.len()),
            );
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return wrong("dropout", format!("{} is not in [0, 1)", self.dropout));
        }
        if !(0.0..=1.0).contains(&self.slope) {
            return wrong("slope", format!("{} is not in [0, 1]", self.slope));
        }
        for (key, number, most) in [("width", self.width, MAX_UNITS), ("depth", self.depth, MAX_LAYERS)] {
            if let Some(number) = number.filter(|number| !(1..=most).contains(number)) {
                return wrong(key, format!("must be from 1 to {most}, not {number}"));
            }
        }
        if self.is_described() {
            described::check_last(&self.layers).or_else(|problem| wrong("layers", problem))?;
            if self.preset != Preset::default() {
                let problem =
                    format!("contradicts network.preset = \"{}\"; give one of them", self.preset.name());
                return wrong("layers", problem);
            }
        }
        let choices = if self.is_described() { Choices::default() } else { self.preset.choices() };
        let is_mlp = !self.is_described() && self.preset == Preset::Mlp;
        let default = NetworkSettings::default();
        for (key, is_given, is_known) in [
            ("hidden", self.hidden != default.hidden, is_mlp),
            ("activation", self.activation != default.activation, is_mlp),
            ("slope", self.slope != default.slope, is_mlp),
            ("dropout", self.dropout != default.dropout, choices.has_dropout),
            ("width", self.width.is_some(), choices.width.is_some()),
            ("depth", self.depth.is_some(), choices.depth.is_some()),
        ] {
            if is_given && !is_known {
                let network = if self.is_described() {
                    "where layers are written out, they say it".to_string()
                } else {
                    format!("preset \"{}\" has no such number", self.preset.name())
                };
                return wrong(key, format!("{network}; leave it out"));
            }
        }
        Ok(())
    }

    /// Finds out what the names of a user's own layers, as they came from a file, stand for.
    ///
    /// # Errors
    /// A layer whose kind `kinds` has not, or whose settings its kind cannot read.
    pub fn resolve(&mut self, kinds: &LayerKinds) -> Result<()> {
        spec::resolve(&mut self.layers, kinds).map_err(|problem| Error::setting("network.layers", problem))
    }

    /// Whether the layers are written out.
    pub fn is_described(&self) -> bool {
        !self.layers.is_empty()
    }

    /// What a preset is told.
    fn numbers(&self) -> Numbers<'_> {
        let mlp = Mlp { hidden: &self.hidden, activation: self.activation, slope: self.slope };
        Numbers { width: self.width, depth: self.depth, dropout: self.dropout, mlp }
    }

    /// The network for samples such as `inputs` (a shape, or [`Inputs`] if they are tokens), of which `outputs` are asked: a
    /// number, a shape if each step of a sequence has a target, or [`Outputs::EachStep`].
    ///
    /// # Errors
    /// As [`NetworkSettings::check`]; a layer that does not fit what it is given.
    pub fn spec(&self, inputs: impl Into<Inputs>, outputs: impl Into<Outputs>) -> Result<NetworkSpec> {
        self.check()?;
        let (mut inputs, outputs) = (inputs.into(), outputs.into());
        if self.is_described() {
            let spec = described::network(inputs, outputs, &self.layers);
            return spec.map_err(|problem| Error::setting("network.layers", problem));
        }
        if self.preset == Preset::Mlp && inputs.vocabulary.is_none() {
            // A perceptron knows no positions.
            inputs.shape = Shape::flat(inputs.shape.features());
        }
        self.preset
            .check_data(inputs, outputs)
            .and_then(|()| self.preset.layers(self.numbers(), inputs.shape))
            .and_then(|layers| described::network(inputs, outputs, &layers))
            .map_err(|problem| Error::setting("network.preset", format!("{}: {problem}", self.preset.name())))
    }
}

/// The `[sparsity]` section.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SparsitySettings {
    /// Live connections over all cells of all weight matrices.
    pub density: f64,
    /// How the density is spread over layers.
    pub allocation: Allocation,
    /// How weights are stored.
    pub storage: Storage,
    /// Neighbouring outputs that have connections to the same inputs: 1, 2, 4, 8 or 16. Steps are faster and files smaller, for a
    /// little accuracy at the same density. A layer whose outputs it does not divide has the largest of these that does. `"auto"` takes in
    /// each layer the largest up to 8 that leaves 32 different sets of inputs.
    pub block: BlockHeight,
    /// The standard deviation of all weights at the start, and of those that SET grows. `None` follows the connections:
    /// at the start those that live, for a weight that is grown those of a dense layer.
    pub deviation: Option<f32>,
}

impl Default for SparsitySettings {
    fn default() -> SparsitySettings {
        SparsitySettings {
            density: 0.1,
            allocation: Allocation::Erk,
            storage: Storage::Auto,
            block: BlockHeight::Of(1),
            deviation: None,
        }
    }
}

impl SparsitySettings {
    /// Every connection, in dense storage: the dense twin.
    pub fn dense() -> SparsitySettings {
        SparsitySettings { density: 1.0, storage: Storage::Dense, ..SparsitySettings::default() }
    }

    /// How a weight matrix is drawn whose layer would have it drawn as `usual`.
    pub fn init(&self, usual: Init) -> Init {
        self.deviation.map_or(usual, Init::Deviation)
    }

    /// Checks the numbers.
    ///
    /// # Errors
    /// If the density is not in `(0, 1]`, the deviation not above 0, or there are no such blocks.
    pub fn check(&self) -> Result<()> {
        self.block.check()?;
        if self.block.has_blocks() && self.storage == Storage::Dense {
            let problem = "is for compressed storage; leave sparsity.storage = \"dense\" out".to_string();
            return Err(Error::setting("sparsity.block", problem));
        }
        if let Some(deviation) = self.deviation.filter(|it| !(*it > 0.0 && it.is_finite())) {
            let problem = format!("must be above 0, not {deviation}; leave it out to follow the connections");
            return Err(Error::setting("sparsity.deviation", problem));
        }
        check_density("sparsity.density", self.density)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::Activation;

    const IMAGE: Shape = Shape { height: 8, width: 6, channels: 3 };

    fn settings(text: &str) -> NetworkSettings {
        toml::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn what_the_data_decides_is_filled_in_and_functions_are_split() {
        let text =
            "layers = [{layer = 'conv2d', filters = 4, kernel = 3, activation = 'silu'}, {layer = 'flatten'},
            {layer = 'linear', outputs = 7, activation = {leaky-relu = -0.2}}, {layer = 'linear'}]";
        let spec = settings(text).spec(IMAGE, 5).unwrap();
        let names: Vec<&str> = spec.layers.iter().map(LayerSpec::name).collect();
        assert_eq!(names, ["conv2d", "elementwise", "flatten", "linear", "elementwise", "linear"]);
        assert_eq!(spec.layers[1], LayerSpec::elementwise(Activation::Silu));
        assert_eq!(spec.layers[4], LayerSpec::elementwise(Activation::LeakyRelu(-0.2)));
        assert_eq!(spec.layers[5], LayerSpec::linear(5, Activation::Identity));
        let shapes: Vec<String> = spec.shapes().unwrap().iter().map(Shape::to_string).collect();
        assert_eq!(shapes, ["8 x 6 x 3", "6 x 4 x 4", "6 x 4 x 4", "96", "7", "7", "5"]);
    }

    #[test]
    fn a_perceptron_takes_an_image_as_plain_features() {
        let spec = NetworkSettings::default().spec(IMAGE, 5).unwrap();
        assert_eq!((spec.inputs, spec.layers.len()), (Shape::flat(144), 3));
    }

    #[test]
    fn each_step_may_have_a_target() {
        let text =
            "layers = [{layer = 'conv1d', filters = 4, kernel = 3, padding = 'same'}, {layer = 'linear'}]";
        let spec = settings(text).spec(Shape::sequence(9, 2), Shape::sequence(9, 5)).unwrap();
        assert_eq!(spec.shapes().unwrap()[2], Shape::sequence(9, 5));
        let text = text.replace(", padding = 'same'", "");
        let error =
            settings(&text).spec(Shape::sequence(9, 2), Shape::sequence(9, 5)).unwrap_err().to_string();
        assert!(
            error.contains("makes 7 steps x 5 of 7 steps x 4") && error.contains("9 steps has a target"),
            "{error}"
        );
    }

    #[test]
    fn each_step_that_is_left_may_be_asked_for_outputs() {
        let conv = "{layer = 'conv1d', filters = 4, kernel = 3, stride = 2}";
        let spec = |layers: &str| {
            settings(&format!("layers = [{layers}]")).spec(Shape::sequence(9, 2), Outputs::EachStep(5))
        };
        let shapes = spec(&format!("{conv}, {{layer = 'linear'}}")).unwrap().shapes().unwrap();
        assert_eq!(shapes[2], Shape::sequence(4, 5));
        for (layers, problem) in [
            (
                format!("{conv}, {{layer = 'flatten'}}, {{layer = 'linear'}}"),
                "layer 3 (linear) makes 5 of 16, but the data asks for 5 at each step: keep the steps",
            ),
            (
                format!("{conv}, {{layer = 'linear', outputs = 6}}"),
                "layer 2 (linear) makes 4 steps x 6 of 4 steps x 4, but the data asks for 4 steps x 5",
            ),
        ] {
            let error = spec(&layers).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
        let perceptron = NetworkSettings::default().spec(Shape::sequence(9, 2), Outputs::EachStep(5));
        let error = perceptron.unwrap_err().to_string();
        assert!(error.starts_with("network.preset: mlp: gives one answer for a whole recording"), "{error}");
    }

    #[test]
    fn layers_that_do_not_fit_are_named_with_their_shapes() {
        let conv = "{layer = 'conv2d', filters = 4, kernel = 3, activation = 'gelu'}";
        for (layers, words) in [
            (
                format!("{conv}, {{layer = 'linear', outputs = 9}}, {{layer = 'linear'}}"),
                "network.layers: layer 2 (linear) makes 6 x 4 x 9 of 6 x 4 x 4, so the outputs would be 6 x 4 x 5 where the data asks for 5: put {layer = \"flatten\"} or",
            ),
            (
                format!("{conv}, {conv}, {conv}, {conv}, {{layer = 'linear'}}"),
                "layer 3 (conv2d) on 4 x 2 x 4: its window",
            ),
            ("{layer = 'linear', outputs = 9}".into(), "layer 1 (linear) makes 8 x 6 x 9 of 8 x 6 x 3, so"),
            (
                "{layer = 'flatten'}, {layer = 'linear', outputs = 9}".into(),
                "layer 2 (linear) makes 9 of 144, but the data asks for 5: leave its outputs out",
            ),
            (
                "{layer = 'flatten'}, {layer = 'linear'}, {layer = 'linear'}".into(),
                "layer 2 (linear) on 144: it needs outputs",
            ),
            (
                format!("{conv}, {{layer = 'flatten'}}"),
                "layer 2 (flatten) is the last: put {layer = \"linear\"} after it",
            ),
            (
                "{layer = 'flatten'}, {layer = 'linear', activation = 'relu'}".into(),
                "layer 2 (linear) is the last, whose outputs are logits or values",
            ),
        ] {
            let error = settings(&format!("layers = [{layers}]")).spec(IMAGE, 5).unwrap_err().to_string();
            assert!(error.contains(words), "{layers}: {error}");
        }
        let text = format!("layers = [{conv}, {{layer = 'flatten'}}, {{layer = 'linear'}}]");
        let error = settings(&text).spec(Shape::flat(784), 5).unwrap_err().to_string();
        assert!(error.contains("(conv2d) on 784: its window") && error.contains("data.shape"), "{error}");
    }

    #[test]
    fn tokens_and_embeddings_go_together() {
        let text =
            "layers = [{layer = 'embedding', channels = 4}, {layer = 'last-step'}, {layer = 'linear'}]";
        let spec = settings(text).spec(Inputs::tokens(9, 30), 5).unwrap();
        assert_eq!(serde_json::to_value(&spec.layers[0]).unwrap()["vocabulary"], 30);
        assert_eq!((spec.inputs, spec.shapes().unwrap()[3]), (Shape::sequence(9, 1), Shape::flat(5)));
        let parallel = "layers = [{layer = 'parallel', join = 'concat', branches = [
            [{layer = 'embedding', channels = 4}], [{layer = 'embedding', vocabulary = 99, channels = 2}]]},
            {layer = 'last-step'}, {layer = 'linear'}]";
        let shapes = settings(parallel).spec(Inputs::tokens(9, 30), 5).unwrap().shapes().unwrap();
        assert_eq!(shapes[1], Shape::sequence(9, 6));

        let numbers = Inputs::from(Shape::sequence(9, 1));
        for (text, inputs, words) in [
            (
                "layers = [{layer = 'flatten'}, {layer = 'linear'}]",
                None,
                "layer 1 (flatten): it is given tokens",
            ),
            (
                text,
                Some(numbers),
                "network.layers: layer 1 (embedding): it looks up tokens and is given numbers",
            ),
            (
                "layers = [{layer = 'embedding', channels = 4}, {layer = 'embedding', channels = 4}, {layer = 'linear'}]",
                None,
                "layer 2 (embedding): it looks up tokens and is given numbers",
            ),
            (
                "layers = [{layer = 'embedding', vocabulary = 9, channels = 4}, {layer = 'last-step'}, {layer = 'linear'}]",
                None,
                "layer 1 (embedding): it has a vector for each of 9 tokens, and the data has 30",
            ),
            (
                "layers = [{layer = 'residual', body = [{layer = 'embedding', channels = 1}]}, {layer = 'linear'}]",
                None,
                "layer 1 (residual), in its shortcut, tokens would stay ids",
            ),
            ("", None, "network.preset: mlp: reads numbers, and the samples are tokens"),
            ("preset = 'bag-of-words'", None, "network.preset: bag-of-words: reads numbers"),
        ] {
            let inputs = inputs.unwrap_or(Inputs::tokens(9, 30));
            let error = settings(text).spec(inputs, 5).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn layers_within_blocks_are_split_and_named_as_they_are_written() {
        let residual = |body: &str| {
            format!(
                "layers = [{{layer = 'residual', body = [{{layer = 'linear', outputs = 4, activation = 'gelu'}}, {body}]}}, {{layer = 'flatten'}}, {{layer = 'linear'}}]"
            )
        };
        let spec = settings(&residual("{layer = 'linear', outputs = 3}")).spec(IMAGE, 5).unwrap();
        let (_, body) = &spec.layers[0].inner()[0];
        let names: Vec<&str> = body.iter().map(LayerSpec::name).collect();
        assert_eq!(names, ["linear", "elementwise", "linear"]);
        for (body, words) in [
            (
                "{layer = 'conv2d', filters = 3, kernel = 9}",
                "layer 1 (residual), in its body, layer 2 (conv2d) on 8 x 6 x 4: its window",
            ),
            ("{layer = 'linear', outputs = 6}", "layer 1 (residual) on 8 x 6 x 3: its body makes 8 x 6 x 6"),
            (
                "{layer = 'parallel', join = 'add', branches = [[], [{layer = 'linear'}]]}",
                "layer 1 (residual), in its body, layer 2 (parallel), in branch 2, layer 1 (linear) on 8 x 6 x 4: it needs outputs",
            ),
        ] {
            let error = settings(&residual(body)).spec(IMAGE, 5).unwrap_err().to_string();
            assert!(error.contains(words), "{body}: {error}");
        }
        let wrong =
            residual("{layer = 'parallel', join = 'add', branches = [[{layer = 'linear', output = 1}]]}");
        let error = toml::from_str::<NetworkSettings>(&wrong).unwrap_err();
        let words = "layer 1 (residual), in its body, layer 2 (parallel), in branch 1, layer 1 (linear): unknown field `output`";
        assert!(error.message().starts_with(words), "{error}");
    }

    #[test]
    fn what_is_written_wrong_names_the_layer() {
        for (layer, words) in [
            (
                "{layer = 'conv2d', filtrs = 4, kernel = 3}",
                "layer 2 (conv2d): unknown field `filtrs`, expected",
            ),
            ("{layer = 'conv2d', filters = 4}", "layer 2 (conv2d): missing field `kernel`"),
            ("{layer = 'conv', filters = 4}", "layer 2: unknown variant `conv`, expected one of"),
            ("{filters = 4}", "layer 2 has no name"),
            (
                "{layer = 'linear', outputs = 4, activation = 'rely'}",
                "layer 2 (linear): unknown variant `rely`",
            ),
        ] {
            let text = format!("layers = [\n{{layer = 'flatten'}},\n{layer}]");
            let error = toml::from_str::<NetworkSettings>(&text).unwrap_err();
            assert!(error.message().contains(words) && error.span().is_some(), "{layer}: {error}");
        }
    }

    #[test]
    fn numbers_that_a_network_does_not_have_are_refused() {
        let layers = "layers = [{layer = 'linear'}]";
        for (text, words) in [
            ("width = 3".to_string(), "network.width: preset \"mlp\" has no such number"),
            ("dropout = 1.0".into(), "network.dropout: 1 is not in [0, 1)"),
            (format!("hidden = [3]\n{layers}"), "network.hidden: where layers are written out, they say it"),
            (format!("dropout = 0.1\n{layers}"), "network.dropout: where layers are written out"),
            (format!("depth = 0\n{layers}"), "network.depth: must be from 1 to 1024, not 0"),
        ] {
            let error = settings(&text).check().unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn settings_are_written_without_what_the_network_does_not_have() {
        for text in [
            "preset = \"mlp\"\nhidden = [3]\nactivation = \"relu\"\nslope = 0.01\ndropout = 0.5\n",
            "[[layers]]\nlayer = \"linear\"\noutputs = 4\nactivation = \"relu\"\n\n[[layers]]\nlayer = \"linear\"\nactivation = \"identity\"\n",
        ] {
            assert_eq!(toml::to_string(&settings(text)).unwrap(), text);
        }
    }
}
