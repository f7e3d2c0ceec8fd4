//! Branches that are run side by side, and put together: `parallel` and `residual`.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::{Buffers, Gradient, Layer, Parameter, Pass, Sequence, Vjp, Workspace};
use crate::kernels::{Activation, Product, fetch_ahead, par_chunks};
use crate::tiles::{HALF, LANES, Row, Shape, Tiles};

/// Rows of 64 samples that one piece of elementwise work covers, at least.
const ROWS: usize = 64;

/// The tiles of the workspace: there each branch but the first puts its part of the input's gradient, unless it hands on what it
/// is given.
const SUMMAND: usize = 0;

/// How branches are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Join {
    /// The channels of each position one after the other.
    Concat,
    /// The sum.
    Add,
}

/// One of several sequences of layers on the same input.
pub(super) struct Branch {
    pub(super) layers: Sequence,
    /// Its parameters, counted from the block's first.
    pub(super) span: Range<usize>,
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

    /// Whether the gradient of a branch's outputs is the gradient of the block's outputs, as it stands.
    fn hands_on(&self, branch: &Branch) -> bool {
        self.join == Join::Add && branch.layers.fused() == Activation::Identity
    }
}

/// Some rows of each position: those of a part of the channels.
struct Part<R> {
    rows: R,
    /// Rows of a position.
    width: usize,
    /// Which of them.
    range: Range<usize>,
}

/// All rows of each position.
fn whole<R>(rows: R, width: usize) -> Part<R> {
    Part { rows, width, range: 0..width }
}

/// What is done with what stands in the target already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Write {
    Assign,
    Add,
}

/// Writes or adds `source`, gated, to `target`: of tiles of `samples` whose other half is dead only the first halves of rows.
fn copy(
    pass: &Pass,
    source: Part<&[Row]>,
    target: Part<&mut [Row]>,
    samples: &Tiles,
    write: Write,
    gate: Option<(Activation, &[Row])>,
) {
    let Part { rows, width, range } = target;
    let positions = ROWS.div_ceil(width);
    let per_tile = rows.len() / width / samples.tiles().max(1);
    par_chunks(rows, positions * width, &|start, rows: &mut [Row]| {
        crate::vectorize!(pass.isa, {
            for (position, rows) in (start / width..).zip(rows.chunks_exact_mut(width)) {
                let from = &source.rows[position * source.width..][..source.width][source.range.clone()];
                let gate =
                    gate.map(|(activation, rows)| (activation, &rows[position * width + range.start..]));
                let rows = &mut rows[range.clone()];
                if samples.is_half(position / per_tile) {
                    copy_lanes::<HALF>(from, rows, write, gate);
                } else {
                    copy_lanes::<LANES>(from, rows, write, gate);
                }
            }
        });
    });
}

/// Writes or adds the first `N` lanes of rows, gated.
#[inline(always)]
fn copy_lanes<const N: usize>(
    source: &[Row],
    target: &mut [Row],
    write: Write,
    gate: Option<(Activation, &[Row])>,
) {
    for (index, (row, from)) in target.iter_mut().zip(source).enumerate() {
        fetch_ahead(source, index);
        let mut value = *from.0.first_chunk::<N>().expect("at most a row");
        if let Some((activation, outputs)) = gate {
            activation.gate(&mut value, &outputs[index]);
        }
        let row = row.0.first_chunk_mut::<N>().expect("at most a row");
        if write == Write::Add {
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

    fn spreads(&self) -> bool {
        self.branches.iter().all(|branch| branch.layers.spreads())
    }

    fn spread_workspace(&self) -> Workspace {
        let inner = self.branches.iter().map(|branch| branch.layers.spread_buffers()).collect();
        Workspace { inner, ..Workspace::default() }
    }

    fn workspace(&self, samples: usize, training: bool) -> Workspace {
        let inner = self.branches.iter().map(|branch| branch.layers.buffers(samples, training)).collect();
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
            let write = if index == 0 || self.join == Join::Concat { Write::Assign } else { Write::Add };
            let source = Part { rows: made.rows(), width: part.len(), range: 0..part.len() };
            let target = Part { rows: output.rows_mut(), width, range: part };
            copy(pass, source, target, made, write, None);
        }
        if self.activation != Activation::Identity {
            par_chunks(output.rows_mut(), ROWS, &|_, rows: &mut [Row]| {
                crate::vectorize!(
                    pass.isa,
                    rows.iter_mut().for_each(|row| self.activation.apply(&mut row.0))
                );
            });
        }
    }

    fn backward(
        &self,
        pass: &Pass,
        parameters: &[Parameter],
        gradients: &mut [Gradient],
        mut vjp: Vjp<'_>,
        work: &mut Workspace,
    ) {
        let (width, gradient) = (self.output.channels, vjp.gradient);
        let channels = self.input.channels;
        for (index, ((branch, part), buffers)) in self.parts().zip(&mut work.inner).enumerate() {
            let write = if index == 0 { Write::Assign } else { Write::Add };
            let source = |range: &Range<usize>| Part { rows: gradient.rows(), width, range: range.clone() };
            if branch.layers.output().is_none() {
                if let Some(gradient_input) = vjp.gradient_input.as_deref_mut() {
                    let target = whole(gradient_input.rows_mut(), channels);
                    let gate = Some((vjp.gate, vjp.input.rows()));
                    copy(pass, source(&part), target, gradient, write, gate);
                }
                continue;
            }
            let mut own = None;
            if !self.hands_on(branch) {
                let mut tiles = std::mem::take(buffers.output_and_gradient().1);
                let fused = Some((branch.layers.fused(), buffers.output().rows()));
                let target = whole(tiles.rows_mut(), part.len());
                copy(pass, source(&part), target, gradient, Write::Assign, fused);
                pass.precision.round(pass.isa, tiles.numbers_mut());
                own = Some(tiles);
            }
            let gradient_input = match vjp.gradient_input.as_deref_mut() {
                Some(gradient_input) if index == 0 => Some(gradient_input),
                Some(_) => Some(&mut work.tiles[SUMMAND]),
                None => None,
            };
            let inner = Vjp {
                input: vjp.input,
                gradient: own.as_ref().unwrap_or(gradient),
                gradient_input,
                gate: vjp.gate,
            };
            let span = branch.span.clone();
            let (parameters, gradients) = (&parameters[span.clone()], &mut gradients[span]);
            branch.layers.backward(pass, parameters, gradients, inner, buffers);
            if let Some(tiles) = own {
                *buffers.output_and_gradient().1 = tiles;
            }
            if let (Some(gradient_input), Write::Add) = (vjp.gradient_input.as_deref_mut(), write) {
                let summand = whole(work.tiles[SUMMAND].rows(), channels);
                copy(pass, summand, whole(gradient_input.rows_mut(), channels), gradient, write, None);
            }
        }
    }

    fn batch_statistics(&self, work: &Workspace, found: &mut Vec<f32>) {
        for (branch, buffers) in self.branches.iter().zip(&work.inner) {
            branch.layers.batch_statistics(buffers, found);
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
        let gradient = if self.hands_on(branch) { gradient } else { buffers.gradient() };
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
