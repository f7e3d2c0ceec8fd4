//! Networks by name: each a function from the shape of the samples to a list of layers, with the few numbers that are worth
//! choosing. `rarefy inspect --network NAME` shows the list; who wants another writes layers out.

mod mlp;
mod text;

use serde::{Deserialize, Serialize};

use super::{LayerSpec, NetworkSettings};
use crate::kernels::Activation;
use crate::tiles::Shape;

/// The networks by the names that users type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// A multilayer perceptron, which knows no positions: images and sequences are plain features to it.
    #[default]
    Mlp,
    /// Hidden layers on a feature for each word.
    BagOfWords,
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

impl Preset {
    /// All of them.
    pub const ALL: [Preset; 2] = [Preset::Mlp, Preset::BagOfWords];

    /// The name in settings.
    pub fn name(self) -> &'static str {
        match self {
            Preset::Mlp => "mlp",
            Preset::BagOfWords => "bag-of-words",
        }
    }

    /// Which settings it has.
    pub fn choices(self) -> Choices {
        let (width, depth, has_dropout) = match self {
            Preset::Mlp => (None, None, true),
            Preset::BagOfWords => (Some(128), Some(1), true),
        };
        Choices { width, depth, has_dropout }
    }

    /// The layers for samples of a shape, the settings having been found good.
    ///
    /// # Errors
    /// What is wrong with samples of that shape.
    pub(super) fn layers(self, settings: &NetworkSettings, inputs: Shape) -> Result<Vec<LayerSpec>, String> {
        let choices = self.choices();
        let [width, depth] = [(settings.width, choices.width), (settings.depth, choices.depth)]
            .map(|(given, default)| given.or(default).unwrap_or_default());
        let dropout = settings.dropout;
        match self {
            Preset::Mlp => Ok(mlp::mlp(settings)),
            Preset::BagOfWords => text::bag_of_words(width, depth, dropout, inputs),
        }
    }
}

/// The last layer: as many outputs as the data asks for.
fn head() -> LayerSpec {
    LayerSpec::linear(0, Activation::Identity)
}

fn dropout(rate: f32) -> Option<LayerSpec> {
    (rate > 0.0).then(|| LayerSpec::dropout(rate))
}
