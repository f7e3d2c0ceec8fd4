//! Networks by name: each a function from the shape of the samples to a list of layers, with the few numbers that are worth
//! choosing. `rarefy inspect --network NAME` shows the list; who wants another writes layers out.

mod images;
mod mlp;
mod parts;
mod speech;
mod text;
mod transformer;

pub use mlp::ActivationName;
pub(super) use mlp::Mlp;

use serde::{Deserialize, Serialize};

use super::{Inputs, LayerSpec, Outputs};
use crate::tiles::Shape;

/// The networks by the names that users type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// A multilayer perceptron, which knows no positions: images and sequences are plain features to it.
    #[default]
    Mlp,
    /// Two convolutions and three linear layers, for images.
    #[serde(rename = "lenet5")]
    Lenet5,
    /// Pairs of convolutions, the image halved after each, for images.
    VggSmall,
    /// Residual blocks of convolutions, for images.
    #[serde(rename = "resnet20")]
    Resnet20,
    /// Convolutions of each channel, then across channels, for images.
    MobilenetSmall,
    /// Convolutions of each channel over time, then across channels, with ways past them, for speech.
    KwsCnn,
    /// Recurrent layers, for speech.
    KwsLstm,
    /// Hidden layers on a feature for each word.
    BagOfWords,
    /// Filters for short runs of tokens, for documents.
    TextCnn,
    /// Recurrent layers from both ends, for documents.
    TextGru,
    /// Blocks of attention, for documents.
    TransformerClassifier,
    /// Blocks of attention to what came before, for language models.
    CharTransformer,
}

/// Which settings a preset has besides those of `mlp` alone, and what they are unless given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Choices {
    /// `network.width`.
    pub width: Option<usize>,
    /// `network.depth`.
    pub depth: Option<usize>,
    /// Whether there is `network.dropout`.
    pub has_dropout: bool,
}

/// The numbers that settings give.
pub(super) struct Numbers<'a> {
    pub(super) width: Option<usize>,
    pub(super) depth: Option<usize>,
    pub(super) dropout: f32,
    pub(super) mlp: Mlp<'a>,
}

impl Preset {
    /// All of them.
    pub const ALL: [Preset; 12] = [
        Preset::Mlp,
        Preset::Lenet5,
        Preset::VggSmall,
        Preset::Resnet20,
        Preset::MobilenetSmall,
        Preset::KwsCnn,
        Preset::KwsLstm,
        Preset::BagOfWords,
        Preset::TextCnn,
        Preset::TextGru,
        Preset::TransformerClassifier,
        Preset::CharTransformer,
    ];

    /// The name in settings.
    pub fn name(self) -> &'static str {
        match self {
            Preset::Mlp => "mlp",
            Preset::Lenet5 => "lenet5",
            Preset::VggSmall => "vgg-small",
            Preset::Resnet20 => "resnet20",
            Preset::MobilenetSmall => "mobilenet-small",
            Preset::KwsCnn => "kws-cnn",
            Preset::KwsLstm => "kws-lstm",
            Preset::BagOfWords => "bag-of-words",
            Preset::TextCnn => "text-cnn",
            Preset::TextGru => "text-gru",
            Preset::TransformerClassifier => "transformer-classifier",
            Preset::CharTransformer => "char-transformer",
        }
    }

    /// Which settings it has.
    pub fn choices(self) -> Choices {
        let (width, depth, has_dropout) = match self {
            Preset::Mlp => (None, None, true),
            Preset::Lenet5 => (Some(6), None, false),
            Preset::VggSmall => (Some(32), Some(3), true),
            Preset::Resnet20 => (Some(16), Some(3), false),
            Preset::MobilenetSmall => (Some(16), Some(3), true),
            Preset::KwsCnn => (Some(64), Some(3), true),
            Preset::KwsLstm => (Some(128), Some(2), true),
            Preset::BagOfWords => (Some(128), Some(1), true),
            Preset::TextCnn => (Some(100), None, true),
            Preset::TextGru => (Some(128), Some(1), true),
            Preset::TransformerClassifier => (Some(128), Some(2), true),
            Preset::CharTransformer => (Some(128), Some(4), true),
        };
        Choices { width, depth, has_dropout }
    }

    /// Whether it reads tokens, rather than numbers.
    fn reads_tokens(self) -> bool {
        match self {
            Preset::TextCnn | Preset::TextGru | Preset::TransformerClassifier | Preset::CharTransformer => {
                true
            }
            Preset::Mlp
            | Preset::Lenet5
            | Preset::VggSmall
            | Preset::Resnet20
            | Preset::MobilenetSmall
            | Preset::KwsCnn
            | Preset::KwsLstm
            | Preset::BagOfWords => false,
        }
    }

    /// Refuses samples and targets that it is not for, beyond their shape.
    pub(super) fn check_data(self, inputs: Inputs, outputs: Outputs) -> Result<(), String> {
        let problem = match (self.reads_tokens(), inputs.vocabulary, outputs) {
            (true, None, _) => {
                "reads tokens, and the samples are numbers: make tokens of text by data.text.tokens, or take another network"
            }
            (false, Some(_), _) => {
                "reads numbers, and the samples are tokens: leave data.text.tokens out for a bag of words, or take a network for tokens (text-cnn, text-gru, transformer-classifier; for a language model char-transformer)"
            }
            (_, _, Outputs::EachStep(_)) => {
                "gives one answer for a whole recording, and a transcription takes outputs at each step: write the layers out, such as conv1d, lstm and linear, in network.layers"
            }
            _ if inputs.shape.positions() == 1 => return Ok(()),
            (_, _, Outputs::Shape(outputs)) => match (self, outputs.positions()) {
                (Preset::CharTransformer, 1) => {
                    "predicts a token at each step, and the data asks for one answer a document: take transformer-classifier, or set data.task = \"language-model\""
                }
                (Preset::CharTransformer, _) | (_, 1) => return Ok(()),
                _ => {
                    "gives one answer a document, and a language model predicts a token at each step: take char-transformer"
                }
            },
        };
        Err(problem.into())
    }

    /// The layers for samples of a shape, the numbers having been found good.
    ///
    /// # Errors
    /// What is wrong with samples of that shape.
    pub(super) fn layers(self, numbers: Numbers<'_>, inputs: Shape) -> Result<Vec<LayerSpec>, String> {
        let choices = self.choices();
        let [width, depth] = [(numbers.width, choices.width), (numbers.depth, choices.depth)]
            .map(|(given, default)| given.or(default).unwrap_or_default());
        let dropout = numbers.dropout;
        match self {
            Preset::Mlp => Ok(mlp::mlp(&numbers.mlp, dropout)),
            Preset::Lenet5 => images::lenet5(width, inputs),
            Preset::VggSmall => images::vgg_small(width, depth, dropout, inputs),
            Preset::Resnet20 => images::resnet20(width, depth, inputs),
            Preset::MobilenetSmall => images::mobilenet_small(width, depth, dropout, inputs),
            Preset::KwsCnn => speech::kws_cnn(width, depth, dropout, inputs),
            Preset::KwsLstm => speech::kws_lstm(width, depth, dropout, inputs),
            Preset::BagOfWords => text::bag_of_words(width, depth, dropout, inputs),
            Preset::TextCnn => text::text_cnn(width, dropout, inputs),
            Preset::TextGru => Ok(text::text_gru(width, depth, dropout)),
            Preset::TransformerClassifier => Ok(transformer::transformer_classifier(width, depth, dropout)),
            Preset::CharTransformer => Ok(transformer::char_transformer(width, depth, dropout)),
        }
    }
}
