//! Networks by name: each a function from the shape of the samples to a list of layers, with the few numbers that are worth
//! choosing. `rarefy inspect --network NAME` shows the list; who wants another writes layers out.

mod mlp;

use serde::{Deserialize, Serialize};

use super::{LayerSpec, NetworkSettings};
use crate::tiles::Shape;

/// The networks by the names that users type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// A multilayer perceptron, which knows no positions: images and sequences are plain features to it.
    #[default]
    Mlp,
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
    pub const ALL: [Preset; 1] = [Preset::Mlp];

    /// The name in settings.
    pub fn name(self) -> &'static str {
        match self {
            Preset::Mlp => "mlp",
        }
    }

    /// Which settings it has.
    pub fn choices(self) -> Choices {
        match self {
            Preset::Mlp => Choices { has_dropout: true, ..Choices::default() },
        }
    }

    /// The layers for samples of a shape, the settings having been found good.
    ///
    /// # Errors
    /// What is wrong with samples of that shape.
    pub(super) fn layers(self, settings: &NetworkSettings, inputs: Shape) -> Result<Vec<LayerSpec>, String> {
        let _ = inputs;
        Ok(match self {
            Preset::Mlp => mlp::layers(settings),
        })
    }
}
