//! Branches side by side: each is given the input, and what they make is put together.
//!
//! ```text
//! concat   y[q] = (branch 1(x)[q], branch 2(x)[q], ...), the channels of each position one after the other
//! add      y = f(branch 1(x) + branch 2(x) + ...)
//! ```
//! A branch without layers hands on the input. Concatenation is that of Inception (Szegedy et al. 2015); a residual block
//! is a sum of two branches.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::spec::shapes;
use super::{
    Buffers, Builder, Describe, Layer, LayerSpec, Parameter, PartsMut, Pass, Properties, Sequence, Vjp,
    Workspace,
};
use crate::kernels::{Activation, Product, fetch_ahead, par_chunks};
use crate::tiles::{HALF, LANES, Row, Shape, Tiles};

/// Rows of 64 samples that one piece of elementwise work covers, at least.
const ROWS: usize = 64;

/// How branches are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Join {
    /// The channels of each position one after the other.
    Concat,
    /// The sum.
    Add,
}

/// Branches as files keep them.
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
        let branches = self.branches.iter().enumerate();
        let inner = branches.map(|(index, branch)| (format!("branches.{index}"), &branch[..])).collect();
        Properties {
            name: "parallel",
            looks_ahead: None,
            is_random: false,
            is_per_position: true,
            has_windows: false,
            inner,
        }
    }

    fn parts_mut(&mut self) -> PartsMut<'_> {
        PartsMut { fused: None, inner: self.branches.iter_mut().collect() }
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

/// One of several sequences of layers on the same input.
pub(super) struct Branch {
    layers: Sequence,
    /// Its parameters, counted from the block's first.
    span: Range<usize>,
}

/// Branches side by side. Parameters: those of the branches, one after the other.
pub struct Parallel {
    pub(super) input: Shape,
    pub(super) output: Shape,
    pub(super) branches: Vec<Branch>,
    pub(super) join: Join,
    /// The function of the sum.
    pub(super) activation: Activation,
}

impl Parallel {
    /// Each branch with the channels of the output that are its own.
    fn parts(&self) -> impl Iterator<Item = (&Branch, Range<usize>)> {
        let mut start = 0;
        self.branches.iter().map(move |branch| {
            let channels = branch.layers.output().unwrap_or(self.input).channels;
            let part = match self.join {
                Join::Concat => start..start + channels,
                Join::Add => 0..channels,
            };
            start = part.end;
            (branch, part)
        })
    }

    /// Whether the gradient of a branch's outputs is that of the block's as it stands.
    fn hands_on(&self, branch: &Branch) -> bool {
        self.join == Join::Add && branch.layers.fused() == Activation::Identity
    }

    /// Writes or adds `source`, gated, to `target`. Both have as many rows a position as their ranges say; only the rows
    /// within the ranges are read and written, and the first halves of those of tiles of `samples` whose others are dead.
    #[expect(clippy::too_many_arguments)]
    fn copy(
        &self,
        pass: &Pass,
        (source, source_width, read): (&[Row], usize, Range<usize>),
        (target, target_width, write): (&mut [Row], usize, Range<usize>),
        samples: &Tiles,
        is_first: bool,
        gate: Option<(Activation, &[Row])>,
    ) {
        let positions = ROWS.div_ceil(target_width);
        let per_tile = target.len() / target_width / samples.tiles().max(1);
        par_chunks(target, positions * target_width, &|start, rows: &mut [Row]| {
            pass.isa.vectorize(|| {
                let first = start / target_width;
                for (position, rows) in (first..).zip(rows.chunks_exact_mut(target_width)) {
                    let source = &source[position * source_width..][..source_width][read.clone()];
                    let outputs = position * target_width + write.start;
                    let gate = gate.map(|(activation, rows)| (activation, &rows[outputs..]));
                    let rows = &mut rows[write.clone()];
                    match samples.is_half(position / per_tile) {
                        true => copy_lanes::<HALF>(source, rows, is_first, gate),
                        false => copy_lanes::<LANES>(source, rows, is_first, gate),
                    }
                }
            });
        });
    }
}

/// Writes or adds the first `N` lanes of rows, gated.
#[inline(always)]
fn copy_lanes<const N: usize>(
    source: &[Row],
    target: &mut [Row],
    is_first: bool,
    gate: Option<(Activation, &[Row])>,
) {
    for (index, (row, from)) in target.iter_mut().zip(source).enumerate() {
        fetch_ahead(source, index);
        let mut value = *from.0.first_chunk::<N>().expect("at most a row");
        if let Some((activation, outputs)) = gate {
            activation.gate(&mut value, &outputs[index]);
        }
        let row = row.0.first_chunk_mut::<N>().expect("at most a row");
        if !is_first {
            for (value, before) in value.iter_mut().zip(&*row) {
                *value += before;
            }
        }
        *row = value;
    }
}

impl Layer for Parallel {
    fn input(&self) -> Shape {
        self.input
    }

    fn output(&self) -> Shape {
        self.output
    }

    fn fused(&self) -> Activation {
        self.activation
    }

    fn steps(&self, steps: u32) -> u32 {
        // All branches make the same positions.
        self.branches[0].layers.steps(steps)
    }

    fn folds(&self) -> bool {
        self.branches.iter().all(|branch| branch.layers.folds())
    }

    fn workspace(&self, samples: usize, training: bool) -> Workspace {
        let inner = self.branches.iter().map(|branch| branch.layers.buffers(samples, training)).collect();
        // Each branch but the first puts its part of the input's gradient here, unless it hands on what it is given.
        let needs = training && self.branches.iter().skip(1).any(|branch| branch.layers.output().is_some());
        let tiles = if needs { vec![Tiles::zeros(self.input.features(), samples)] } else { Vec::new() };
        Workspace { inner, tiles, ..Workspace::default() }
    }

    fn forward(
        &self,
        pass: &Pass,
        parameters: &[Parameter],
        input: &Tiles,
        output: &mut Tiles,
        work: &mut Workspace,
    ) {
        let width = self.output.channels;
        for (index, ((branch, part), buffers)) in self.parts().zip(&mut work.inner).enumerate() {
            let made = match branch.layers.output() {
                None => input,
                Some(_) => {
                    branch.layers.forward(pass, &parameters[branch.span.clone()], input, buffers);
                    buffers.output()
                }
            };
            let is_first = index == 0 || self.join == Join::Concat;
            let source = (made.rows(), part.len(), 0..part.len());
            self.copy(pass, source, (output.rows_mut(), width, part), input, is_first, None);
        }
        if self.activation != Activation::Identity {
            par_chunks(output.rows_mut(), ROWS, &|_, rows: &mut [Row]| {
                pass.isa.vectorize(|| rows.iter_mut().for_each(|row| self.activation.apply(&mut row.0)));
            });
        }
    }

    fn backward(&self, pass: &Pass, parameters: &mut [Parameter], mut vjp: Vjp<'_>, work: &mut Workspace) {
        let (width, gradient) = (self.output.channels, vjp.gradient);
        let channels = self.input.channels;
        for (index, ((branch, part), buffers)) in self.parts().zip(&mut work.inner).enumerate() {
            let is_first = index == 0;
            let gate = Some((vjp.gate, vjp.input.rows()));
            if branch.layers.output().is_none() {
                if let Some(gradient_input) = vjp.gradient_input.as_deref_mut() {
                    let target = (gradient_input.rows_mut(), channels, 0..channels);
                    self.copy(pass, (gradient.rows(), width, part), target, gradient, is_first, gate);
                }
                continue;
            }
            let mut own = None;
            if !self.hands_on(branch) {
                let mut tiles = std::mem::take(buffers.gradients.last_mut().expect("buffers for training"));
                let fused = Some((branch.layers.fused(), buffers.output().rows()));
                let target = (tiles.rows_mut(), part.len(), 0..part.len());
                self.copy(pass, (gradient.rows(), width, part), target, gradient, true, fused);
                own = Some(tiles);
            }
            let gradient_input = match vjp.gradient_input.as_deref_mut() {
                Some(gradient_input) if is_first => Some(gradient_input),
                Some(_) => Some(&mut work.tiles[0]),
                None => None,
            };
            let inner = Vjp {
                input: vjp.input,
                gradient: own.as_ref().unwrap_or(gradient),
                gradient_input,
                gate: vjp.gate,
            };
            branch.layers.backward(pass, &mut parameters[branch.span.clone()], inner, buffers);
            if let Some(tiles) = own {
                *buffers.gradients.last_mut().expect("buffers for training") = tiles;
            }
            if let (Some(gradient_input), false) = (vjp.gradient_input.as_deref_mut(), is_first) {
                let target = (gradient_input.rows_mut(), channels, 0..channels);
                self.copy(pass, (work.tiles[0].rows(), channels, 0..channels), target, gradient, false, None);
            }
        }
    }

    fn product<'a>(
        &'a self,
        parameter: usize,
        input: &'a Tiles,
        gradient: &'a Tiles,
        work: &'a Workspace,
    ) -> Product<'a> {
        let index = self.branches.iter().position(|branch| branch.span.contains(&parameter));
        let index = index.expect("a parameter of one of the branches");
        let (branch, buffers): (&Branch, &Buffers) = (&self.branches[index], &work.inner[index]);
        let gradient = match self.hands_on(branch) {
            true => gradient,
            false => buffers.gradients.last().expect("buffers for training"),
        };
        branch.layers.product(parameter - branch.span.start, input, gradient, buffers)
    }
}

#[cfg(test)]
mod tests {
    use crate::kernels::Isa;
    use crate::layers::{LayerSpec, Network, NetworkSpec, Pass, SparsitySettings};
    use crate::tiles::{Shape, Tiles};

    fn spec(inputs: Shape, layer: &str) -> NetworkSpec {
        NetworkSpec { inputs, layers: vec![toml::from_str::<LayerSpec>(layer).unwrap()] }
    }

    /// What a network of the one layer makes of `values`, every weight being 2.
    fn predicted(inputs: Shape, layer: &str, values: &[f32]) -> Vec<f32> {
        let mut network = Network::random(&spec(inputs, layer), &SparsitySettings::dense(), 0).unwrap();
        for parameter in network.parameters_mut().filter(|parameter| parameter.is_weight()) {
            parameter.weights.values_mut().fill(2.0);
        }
        let mut input = Tiles::zeros(inputs.features(), 1);
        input.set_sample(0, values);
        let mut buffers = network.buffers(1, false);
        network.forward(&Pass::predict(Isa::SCALAR), &input, &mut buffers);
        buffers.output().sample(0)
    }

    #[test]
    fn branches_are_put_together_at_each_position() {
        let two_steps = Shape::sequence(2, 2);
        let linear = "{layer = 'linear', outputs = 1}";
        let concat = format!("layer = 'parallel'\njoin = 'concat'\nbranches = [[], [{linear}]]");
        assert_eq!(predicted(two_steps, &concat, &[1.0, 2.0, 3.0, 4.0]), [1.0, 2.0, 6.0, 3.0, 4.0, 14.0]);
        let add =
            format!("layer = 'parallel'\njoin = 'add'\nbranches = [[{linear}], [{linear}], [{linear}]]");
        assert_eq!(predicted(two_steps, &add, &[1.0, 2.0, 3.0, 4.0]), [18.0, 42.0]);
        let residual = "layer = 'residual'\nactivation = 'relu'\nbody = [{layer = 'linear', outputs = 2, activation = 'relu'}]";
        assert_eq!(predicted(two_steps, residual, &[1.0, 2.0, 3.0, -4.0]), [7.0, 8.0, 3.0, 0.0]);
    }

    #[test]
    fn parameters_are_named_by_their_branch() {
        let linear = "{layer = 'linear', outputs = 4}";
        let layer = format!("layer = 'residual'\nbody = [{linear}, {linear}]\nshortcut = [{linear}]");
        let network = Network::random(&spec(Shape::flat(4), &layer), &SparsitySettings::dense(), 0).unwrap();
        let names: Vec<&str> = network.weights().map(|(_, weight)| weight.name.as_str()).collect();
        let expected = ["layers.0.body.0.weight", "layers.0.body.1.weight", "layers.0.shortcut.0.weight"];
        assert_eq!(names, expected);
        // The block's inputs are nobody's alone; those of the body's second layer are the first's neurons.
        let joints: Vec<bool> = network.weights().map(|(_, weight)| weight.joint.is_some()).collect();
        assert_eq!(joints, [false, true, false]);
    }

    #[test]
    fn what_does_not_fit_is_named_with_its_shapes() {
        let conv = "{layer = 'conv2d', filters = 3, kernel = 3}";
        for (layer, words) in [
            (
                format!("layer = 'residual'\nbody = [{conv}]"),
                "layer 1 (residual) on 4 x 5 x 3: its body makes 2 x 3 x 3 and its shortcut 4 x 5 x 3",
            ),
            (
                format!("layer = 'residual'\nbody = [{conv}, {conv}]"),
                "in its body, layer 2 (conv2d) on 2 x 3 x 3: its window of 3 x 3 is larger",
            ),
            ("layer = 'residual'\nbody = []".into(), "its body has no layers"),
            (
                "layer = 'residual'\nactivation = 'gelu'\nbody = [{layer = 'dropout', rate = 0.1}]".into(),
                "Gelu cannot be fused into a sum",
            ),
            (
                format!("layer = 'parallel'\njoin = 'concat'\nbranches = [[], [{conv}]]"),
                "branch 1 makes 4 x 5 x 3 and branch 2 makes 2 x 3 x 3; join = \"concat\" wants the same positions",
            ),
            (
                "layer = 'parallel'\njoin = 'add'\nbranches = [[], [], [{layer = 'linear', outputs = 2}]]"
                    .into(),
                "branch 1 makes 4 x 5 x 3 and branch 3 makes 4 x 5 x 2; join = \"add\" wants the same shape",
            ),
            (
                "layer = 'parallel'\njoin = 'add'\nbranches = [[], [{layer = 'linear'}]]".into(),
                "in branch 2, layer 1 (linear) on 4 x 5 x 3: it",
            ),
            ("layer = 'parallel'\njoin = 'add'\nbranches = []".into(), "it has no branches"),
        ] {
            let error = spec(Shape { height: 4, width: 5, channels: 3 }, &layer).shapes().unwrap_err();
            assert!(error.contains(words), "{layer}: {error}");
        }
    }
}
