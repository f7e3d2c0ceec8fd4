//! Branches side by side, as files keep them.

use serde::{Deserialize, Serialize};

use super::{Block, LayerSpec, shapes};
use crate::kernels::Activation;
use crate::layers::parallel::{Branch, Join, Parallel};
use crate::layers::{Builder, Describe, Layer, Properties};
use crate::tiles::Shape;

/// Branches side by side: each is given the input, and what they make is put together; files keep it so.
///
/// ```text
/// concat   y[q] = (branch 1(x)[q], branch 2(x)[q], ...), the channels of each position one after the other
/// add      y = branch 1(x) + branch 2(x) + ...
/// ```
/// A branch without layers hands on the input. Concatenation is that of Inception (Szegedy et al. 2015). The arrays of the layers are
/// named `branches.0.0.weight` and so on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParallelSpec {
    /// The layers of each branch; none for the input as it is.
    pub branches: Vec<Vec<LayerSpec>>,
    /// How they are put together.
    pub join: Join,
}

impl Describe for ParallelSpec {
    fn properties(&self) -> Properties<'_> {
        Properties {
            name: "parallel",
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
        let made = self.branches.iter().enumerate().map(|(index, branch)| {
            let shapes =
                shapes(input, branch).map_err(|problem| format!("in branch {}, {problem}", index + 1))?;
            Ok(*shapes.last().expect("shapes begin with the input's"))
        });
        let made: Vec<Shape> = made.collect::<Result<_, String>>()?;
        let Some(first) = made.first() else { return Err("it has no branches".into()) };
        let fits = |shape: &Shape| match self.join {
            Join::Concat => (shape.height, shape.width) == (first.height, first.width),
            Join::Add => shape == first,
        };
        if let Some(index) = made.iter().position(|shape| !fits(shape)) {
            let (wish, join) = match self.join {
                Join::Concat => ("the same positions", "concat"),
                Join::Add => ("the same shape", "add"),
            };
            return Err(format!(
                "branch 1 makes {first} and branch {} makes {}; join = \"{join}\" wants {wish} of all",
                index + 1,
                made[index]
            ));
        }
        Ok(match self.join {
            Join::Concat => Shape { channels: made.iter().map(|shape| shape.channels).sum(), ..*first },
            Join::Add => *first,
        })
    }

    fn build(&self, input: Shape, builder: &mut Builder<'_>) -> crate::Result<Box<dyn Layer>> {
        let output = self.output(input).expect("a description that was found good");
        let names: Vec<String> = (0..self.branches.len()).map(|index| format!("branches.{index}")).collect();
        let branches = names.iter().map(String::as_str).zip(&self.branches);
        let branches = build_branches(input, branches, builder)?;
        Ok(Box::new(Parallel { input, output, branches, join: self.join, activation: Activation::Identity }))
    }
}

impl Block for ParallelSpec {
    fn inner(&self) -> Vec<(String, &[LayerSpec])> {
        let branches = self.branches.iter().enumerate();
        branches.map(|(index, branch)| (format!("branches.{index}"), &branch[..])).collect()
    }

    fn inner_mut(&mut self) -> Vec<&mut Vec<LayerSpec>> {
        self.branches.iter_mut().collect()
    }
}

/// Builds branches by their names.
pub(super) fn build_branches<'a>(
    input: Shape,
    branches: impl Iterator<Item = (&'a str, &'a Vec<LayerSpec>)>,
    builder: &mut Builder<'_>,
) -> crate::Result<Vec<Branch>> {
    let first = builder.count();
    let mut built = Vec::new();
    for (name, layers) in branches {
        // The neurons before are inputs of more than one branch, and those after are not only one's.
        builder.part();
        let shapes = shapes(input, layers).expect("a description that was found good");
        let start = builder.count() - first;
        let layers = builder.within(name, |builder| builder.sequence(layers, &shapes))?;
        built.push(Branch { layers, span: start..builder.count() - first });
    }
    builder.part();
    Ok(built)
}
