//! RMS norm.

use serde::{Deserialize, Serialize};

use super::LayerNorm;
use crate::kernels::Activation;
use crate::layers::{Builder, Describe, Layer, Properties, Role};
use crate::tiles::Shape;

/// RMS norm (Zhang and Sennrich 2019): each position of a sample divided by the root of its channels' mean square; files keep it
/// so.
///
/// `y = x / sqrt(mean of x^2 + 1e-5) * scale`, `x` and `y` `[positions x channels]`; `scale` has one number a channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RmsNormSpec {}

impl Describe for RmsNormSpec {
    fn properties(&self) -> Properties<'_> {
        Properties {
            name: "rms-norm",
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
        Ok(input)
    }

    fn build(&self, input: Shape, builder: &mut Builder<'_>) -> crate::Result<Box<dyn Layer>> {
        builder.vector("scale", input.channels, 1.0, Role::Scale)?;
        builder.part();
        Ok(Box::new(LayerNorm { shape: input, zeros: Some(vec![0.0; input.channels]) }))
    }
}
