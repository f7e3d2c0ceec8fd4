//! Convolution of images and sequences: each filter looks at a window of positions.

use serde::{Deserialize, Serialize};

use super::limits::check_units;
use super::{
    Builder, Describe, Gradient, Layer, Parameter, Pass, Properties, Role, Vjp, WeightShape, Workspace,
};
use crate::kernels::{self, Activation, Convolution, Epilogue, Geometry, MAX_OFFSETS, Product, Windows};
use crate::tiles::{Shape, Tiles};

/// Columns below which compressed storage is the faster even for a full kernel: `gemm` wants long sums.
const NARROW: usize = 32;

/// A height and a width; a number in files stands for both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Size {
    /// Both alike.
    Square(usize),
    /// Height and width.
    Sides([usize; 2]),
}

impl Size {
    /// Height and width.
    pub fn sides(self) -> [usize; 2] {
        match self {
            Size::Square(side) => [side, side],
            Size::Sides(sides) => sides,
        }
    }
}

/// The longest side of a kernel, a stride, a padding or a dilation.
const MAX_SIDE: usize = 1 << 20;

/// The most entries of the table that says which positions windows read.
const MAX_READS: usize = 1 << 28;

/// Checks that sizes can be counted with.
///
/// # Errors
/// If one is too large.
pub(super) fn check_sides(sizes: &[[usize; 2]]) -> Result<(), String> {
    match sizes.as_flattened().iter().find(|&&side| side > MAX_SIDE) {
        Some(side) => {
            Err(format!("a kernel, stride, padding or dilation may be at most {MAX_SIDE}, not {side}"))
        }
        None => Ok(()),
    }
}

/// Checks that the windows can be listed.
///
/// # Errors
/// If there are too many, or they are too large.
pub(super) fn check_reads(geometry: &Geometry, output: Shape) -> Result<(), String> {
    check_units("the inputs of a filter", geometry.cols())?;
    let positions = output.positions().checked_add(geometry.input.positions());
    match positions.and_then(|positions| positions.checked_mul(geometry.offsets())) {
        Some(reads) if reads <= MAX_READS => Ok(()),
        _ => Err(format!("its windows on {} read more than {MAX_READS} positions in all", geometry.input)),
    }
}

/// Zeros around an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Padding {
    /// As many as leave the size as it is at stride 1; for kernels of odd size.
    Same,
    /// So many on each side.
    #[serde(untagged)]
    By(Size),
}

impl Padding {
    fn sides(self, kernel: [usize; 2], dilation: [usize; 2]) -> Result<[usize; 2], String> {
        match self {
            Padding::By(size) => Ok(size.sides()),
            Padding::Same if kernel.iter().any(|side| side.is_multiple_of(2)) => {
                Err(format!("padding \"same\" needs a kernel of odd size, not {} x {}", kernel[0], kernel[1]))
            }
            Padding::Same => Ok([0, 1].map(|axis| dilation[axis] * (kernel[axis] - 1) / 2)),
        }
    }
}

/// A convolution over height and width, in groups or not (LeCun et al. 1998); files keep it so.
///
/// ```text
/// y[q, o] = f(b[o] + sum over channels c and offsets k of W[o, c, k] x[stride q + dilation k - padding, c])
/// x [height x width x channels] -> y [height' x width' x filters]
/// size' = floor((size + 2 padding - dilation (kernel - 1) - 1) / stride) + 1 along each axis
/// ```
/// Beyond the edges `x` is 0, and so it is beyond the end of a sample that is shorter than the sequence. A filter is a neuron
/// and its kernel offsets count as inputs: `weight` is a matrix `[filters x (channels of a group, offsets)]` in torch's order,
/// whose connections live or not as those of any other. `bias` is `[filters]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv2dSpec {
    /// Filters: channels that come out.
    pub filters: usize,
    /// The window's size.
    pub kernel: Size,
    /// Steps between windows.
    #[serde(default = "one")]
    pub stride: Size,
    /// Zeros around the input.
    #[serde(default = "none")]
    pub padding: Padding,
    /// Steps between the positions of a window.
    #[serde(default = "one")]
    pub dilation: Size,
    /// Groups of channels that are kept apart; as many as channels for a depthwise convolution.
    #[serde(default = "one_group")]
    pub groups: usize,
    /// Whether there is a bias.
    #[serde(default = "yes")]
    pub bias: bool,
    /// The fused activation.
    #[serde(default)]
    pub activation: Activation,
}

/// A convolution over the steps of a sequence (Waibel et al. 1989); files keep it so.
///
/// It is a [`Conv2dSpec`] of height 1: formula, parameters and keys are told there. `x [steps x channels]` becomes
/// `y [steps' x filters]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Conv1dSpec {
    pub filters: usize,
    pub kernel: usize,
    #[serde(default = "one_group")]
    pub stride: usize,
    #[serde(default = "none")]
    pub padding: Padding,
    #[serde(default = "one_group")]
    pub dilation: usize,
    #[serde(default = "one_group")]
    pub groups: usize,
    #[serde(default = "yes")]
    pub bias: bool,
    #[serde(default)]
    pub activation: Activation,
}

fn one() -> Size {
    Size::Square(1)
}

fn none() -> Padding {
    Padding::By(Size::Square(0))
}

fn one_group() -> usize {
    1
}

fn yes() -> bool {
    true
}

impl Conv2dSpec {
    /// So many filters on square windows, everything else as files leave it out.
    pub fn new(filters: usize, kernel: usize) -> Self {
        Conv2dSpec {
            filters,
            kernel: Size::Square(kernel),
            stride: one(),
            padding: none(),
            dilation: one(),
            groups: 1,
            bias: true,
            activation: Activation::Identity,
        }
    }

    fn geometry(&self, input: Shape) -> Result<Geometry, String> {
        let (kernel, stride, dilation) = (self.kernel.sides(), self.stride.sides(), self.dilation.sides());
        if self.filters == 0 || [kernel, stride, dilation].as_flattened().contains(&0) || self.groups == 0 {
            return Err("filters, kernel, stride, dilation and groups must be at least 1".into());
        }
        check_units("filters", self.filters)?;
        check_sides(&[kernel, stride, dilation])?;
        if !input.channels.is_multiple_of(self.groups) || !self.filters.is_multiple_of(self.groups) {
            return Err(format!(
                "{} channels and {} filters cannot be cut into {} groups alike",
                input.channels, self.filters, self.groups
            ));
        }
        let geometry = Geometry {
            input,
            filters: self.filters,
            kernel,
            stride,
            padding: self.padding.sides(kernel, dilation)?,
            dilation,
            groups: self.groups,
        };
        if geometry.offsets() > MAX_OFFSETS {
            return Err(format!("a kernel has at most {MAX_OFFSETS} offsets, not {}", geometry.offsets()));
        }
        check_sides(&[geometry.padding])?;
        let Some(output) = geometry.output() else {
            let [height, width] = geometry.padding;
            return Err(format!(
                "its window of {} x {}{} is larger than the input of {} x {} with {height} and {width} zeros around it",
                kernel[0],
                kernel[1],
                if dilation == [1, 1] {
                    String::new()
                } else {
                    format!(" (dilation {}, {})", dilation[0], dilation[1])
                },
                input.height,
                input.width
            ));
        };
        check_reads(&geometry, output)?;
        self.activation.check_fusable("product")?;
        Ok(geometry)
    }
}

impl Describe for Conv2dSpec {
    fn properties(&self) -> Properties<'_> {
        Properties {
            name: "conv2d",
            looks_ahead: Some("take it out"),
            is_random: false,
            is_per_position: false,
            has_windows: true,
        }
    }

    fn fused_mut(&mut self) -> Option<&mut Activation> {
        Some(&mut self.activation)
    }

    fn output(&self, input: Shape) -> Result<Shape, String> {
        Ok(self.geometry(input)?.output().expect("checked with the geometry"))
    }

    fn build(&self, input: Shape, builder: &mut Builder<'_>) -> crate::Result<Box<dyn Layer>> {
        let geometry = self.geometry(input).expect("a description that was found good");
        let windows = Windows::new(geometry);
        let shape = WeightShape {
            name: String::new(),
            rows: self.filters,
            cols: geometry.cols(),
            kernel: geometry.kernel.to_vec(),
            uses: windows.output().positions(),
            is_compressed: geometry.groups > 1 || geometry.cols() < NARROW,
            alike: self.filters / geometry.groups,
            sums: windows.sums(),
            least: self.filters,
        };
        builder.weight("weight", shape, self.activation)?;
        if self.bias {
            builder.vector("bias", self.filters, 0.0, Role::Bias)?;
        }
        builder.part();
        let zeros = if self.bias { Vec::new() } else { vec![0.0; self.filters] };
        Ok(Box::new(Conv { windows, activation: self.activation, zeros }))
    }
}

impl Conv1dSpec {
    /// So many filters on windows of `kernel` steps, everything else as files leave it out.
    pub fn new(filters: usize, kernel: usize) -> Self {
        Conv1dSpec {
            filters,
            kernel,
            stride: 1,
            padding: none(),
            dilation: 1,
            groups: 1,
            bias: true,
            activation: Activation::Identity,
        }
    }

    fn in_two_dimensions(&self) -> Conv2dSpec {
        let along = |steps: usize| Size::Sides([1, steps]);
        Conv2dSpec {
            filters: self.filters,
            kernel: along(self.kernel),
            stride: along(self.stride),
            padding: match self.padding {
                Padding::By(Size::Square(steps)) => Padding::By(Size::Sides([0, steps])),
                other => other,
            },
            dilation: along(self.dilation),
            groups: self.groups,
            bias: self.bias,
            activation: self.activation,
        }
    }
}

impl Describe for Conv1dSpec {
    fn properties(&self) -> Properties<'_> {
        Properties {
            name: "conv1d",
            looks_ahead: (self.kernel > 1).then_some("take it out, or give it a kernel of 1"),
            is_random: false,
            is_per_position: false,
            has_windows: true,
        }
    }

    fn fused_mut(&mut self) -> Option<&mut Activation> {
        Some(&mut self.activation)
    }

    fn output(&self, input: Shape) -> Result<Shape, String> {
        if input.height > 1 {
            return Err("is for sequences, and this is an image; use conv2d".into());
        }
        self.in_two_dimensions().output(input)
    }

    fn build(&self, input: Shape, builder: &mut Builder<'_>) -> crate::Result<Box<dyn Layer>> {
        self.in_two_dimensions().build(input, builder)
    }
}

/// The tiles of the workspace: the input without what stands beyond the ends of samples.
const CUT: usize = 0;

/// A convolution. Parameters: weight, and bias if there is one.
pub struct Conv {
    windows: Windows,
    activation: Activation,
    /// What stands for a bias that is not there.
    zeros: Vec<f32>,
}

impl Conv {
    /// Whether a window may hold steps of a sequence that a sample does not have besides those that it has.
    fn may_reach_beyond(&self) -> bool {
        let geometry = self.windows.geometry();
        geometry.input.height == 1 && geometry.offsets() > 1
    }

    /// Whether a window holds steps that some of these samples do not have besides steps that they have.
    fn reaches_beyond(&self, input: &Tiles) -> bool {
        self.may_reach_beyond() && !input.lengths().is_empty()
    }

    /// What windows read: the input, or where they would reach beyond it, `cut`.
    fn real<'a>(&self, input: &'a Tiles, cut: &'a Tiles) -> &'a Tiles {
        if self.reaches_beyond(input) { cut } else { input }
    }
}

impl Layer for Conv {
    fn input(&self) -> Shape {
        self.windows.geometry().input
    }

    fn output(&self) -> Shape {
        self.windows.output()
    }

    fn fused(&self) -> Activation {
        self.activation
    }

    fn steps(&self, steps: u32) -> u32 {
        self.windows.begin_within(steps)
    }

    fn spreads(&self) -> bool {
        true
    }

    fn spread_workspace(&self) -> Workspace {
        Workspace::default()
    }

    fn workspace(&self, samples: usize, _: bool) -> Workspace {
        let features = if self.may_reach_beyond() { self.input().features() } else { 0 };
        let tiles = vec![Tiles::zeros(features, samples)];
        Workspace { tiles, ..Workspace::default() }
    }

    fn forward(
        &self,
        pass: &Pass,
        parameters: &[Parameter],
        input: &Tiles,
        output: &mut Tiles,
        work: &mut Workspace,
    ) {
        let bias = parameters.get(1).map_or(&self.zeros[..], |bias| bias.weights.values());
        let epilogue = Epilogue::Activate { bias, activation: self.activation };
        let weights = &parameters[0].weights;
        if self.windows.is_pointwise() {
            return kernels::multiply(pass.isa, weights, input, output, epilogue);
        }
        let convolution = Convolution::new(pass.isa, &self.windows);
        if input.is_spread() {
            let room = (&mut work.panel, &mut work.scratch);
            return convolution.forward_spread(weights, input, output, epilogue, room);
        }
        let cut = &mut work.tiles[CUT];
        if self.reaches_beyond(input) {
            cut.rows_mut().copy_from_slice(input.rows());
            cut.clear_beyond(input, self.input().positions());
        }
        convolution.forward(weights, self.real(input, cut), output, epilogue);
    }

    fn backward(
        &self,
        pass: &Pass,
        parameters: &[Parameter],
        gradients: &mut [Gradient],
        vjp: Vjp<'_>,
        work: &mut Workspace,
    ) {
        let weights = &parameters[0].weights;
        let (weight, bias) = gradients.split_first_mut().expect("a convolution has a weight");
        let is_pointwise = self.windows.is_pointwise();
        let convolution = Convolution::new(pass.isa, &self.windows);
        let input = self.real(vjp.input, &work.tiles[CUT]);
        if let Some(output) = vjp.gradient_input {
            let epilogue = Epilogue::Gate { activation: vjp.gate, outputs: vjp.input.rows() };
            let room = &mut weight.values;
            if is_pointwise {
                kernels::multiply_transposed(pass.isa, weights, vjp.gradient, output, epilogue, room);
            } else {
                convolution.transposed(weights, vjp.gradient, output, epilogue, room);
            }
            if self.reaches_beyond(vjp.input) {
                output.clear_beyond(vjp.input, self.input().positions());
            }
        }
        let (out, scratch) = (&mut weight.values, &mut work.scratch);
        if is_pointwise {
            kernels::weight_gradient(pass.isa, weights, vjp.gradient, input, out, scratch);
        } else {
            convolution.weight_gradient(weights, vjp.gradient, input, out, scratch);
        }
        if let Some(bias) = bias.first_mut() {
            kernels::bias_gradient(pass.isa, vjp.gradient, &mut bias.values);
        }
    }

    fn product<'a>(
        &'a self,
        parameter: usize,
        input: &'a Tiles,
        gradient: &'a Tiles,
        work: &'a Workspace,
    ) -> Product<'a> {
        assert_eq!(parameter, 0, "only the weights of a convolution have connections");
        let input = self.real(input, &work.tiles[CUT]);
        if self.windows.is_pointwise() {
            Product::new(input, gradient)
        } else {
            Product::convolution(input, gradient, &self.windows)
        }
    }
}
