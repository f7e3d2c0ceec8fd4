//! Residual blocks, as files keep them.

use serde::{Deserialize, Serialize};

use super::parallel::build_branches;
use super::{Block, LayerSpec, shapes};
use crate::kernels::Activation;
use crate::layers::parallel::{Join, Parallel};
use crate::layers::{Builder, Describe, Layer, Properties};
use crate::tiles::Shape;

/// A residual block (He et al. 2016): `y = f(body(x) + shortcut(x))`, the shortcut being `x` itself unless it has layers; files keep
/// it so.
///
/// ```text
/// x -+-- body -----(+)-- f -- y
///    +-- shortcut --+
/// ```
/// The arrays of its layers are named `body.0.weight` and so on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResidualSpec {
    /// What is added to the shortcut.
    pub body: Vec<LayerSpec>,
    /// What leads past the body; none, the default, for the input as it is.
    #[serde(default)]
    pub shortcut: Vec<LayerSpec>,
    /// The function of the sum.
    #[serde(default)]
    pub activation: Activation,
}

impl Describe for ResidualSpec {
    fn properties(&self) -> Properties<'_> {
        Properties {
            name: "residual",
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
        if self.body.is_empty() {
            return Err("its body has no layers".into());
        }
        let made = |part: &str, layers: &[LayerSpec]| {
            let shapes = shapes(input, layers).map_err(|problem| format!("in its {part}, {problem}"))?;
            Ok::<Shape, String>(*shapes.last().expect("shapes begin with the input's"))
        };
        let (body, shortcut) = (made("body", &self.body)?, made("shortcut", &self.shortcut)?);
        if body != shortcut {
            return Err(format!(
                "its body makes {body} and its shortcut {shortcut}, which cannot be added; give the shortcut layers that \
                 make {body} too, as a convolution or a linear layer"
            ));
        }
        self.activation.check_fusable("sum")?;
        Ok(body)
    }

    fn build(&self, input: Shape, builder: &mut Builder<'_>) -> crate::Result<Box<dyn Layer>> {
        let output = self.output(input).expect("a description that was found good");
        let branches = [("body", &self.body), ("shortcut", &self.shortcut)];
        let branches = build_branches(input, branches.into_iter(), builder)?;
        Ok(Box::new(Parallel { input, output, branches, join: Join::Add, activation: self.activation }))
    }
}

impl Block for ResidualSpec {
    fn inner(&self) -> Vec<(String, &[LayerSpec])> {
        vec![("body".into(), &self.body[..]), ("shortcut".into(), &self.shortcut[..])]
    }

    fn inner_mut(&mut self) -> Vec<&mut Vec<LayerSpec>> {
        vec![&mut self.body, &mut self.shortcut]
    }
}
