//! From a description to layers and their parameters. A layer asks the [`Builder`] for its arrays one by one; where weights
//! come from (a random draw, a file, nowhere because only shapes are asked for) is not its affair.

use super::{Joint, Parameter, Role};
use crate::Result;
use crate::kernels::Activation;
use crate::sparse::{Init, Storage, Weights};
use crate::tiles::LANES;

/// The shape of a weight matrix, and how often it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeightShape {
    /// The name in model files.
    pub name: String,
    /// Outputs: units, filters.
    pub rows: usize,
    /// Inputs of each output, kernel offsets included.
    pub cols: usize,
    /// The sizes of the kernel, whose product divides `cols`; none for a linear map.
    pub kernel: Vec<usize>,
    /// How often a prediction uses each connection: at how many positions.
    pub uses: usize,
    /// Whether the layer computes with compressed storage only, whatever the density.
    pub is_compressed: bool,
    /// Rows that are alike in runs of so many: all of them, the units of a gate, the filters of a group. A row block stays within one.
    pub alike: usize,
    /// Sums over all its gradients that a backward pass keeps for each tile of a batch: of a convolution.
    pub sums: usize,
    /// Connections that a network starts with at least: one for each output. Of a table of vectors one in all.
    pub least: usize,
}

impl WeightShape {
    /// A linear map, used at `uses` positions, whose rows are all alike; the builder names it.
    pub fn linear(rows: usize, cols: usize, uses: usize) -> WeightShape {
        WeightShape {
            name: String::new(),
            rows,
            cols,
            kernel: Vec::new(),
            uses,
            is_compressed: false,
            alike: rows,
            sums: 0,
            least: rows,
        }
    }

    /// Cells.
    pub fn cells(&self) -> usize {
        self.rows * self.cols
    }

    /// Bytes that a backward pass over so many samples sums its gradients in, `slots` of them.
    pub fn sum_bytes(&self, samples: usize, slots: usize) -> usize {
        4 * self.sums * samples.div_ceil(LANES) * slots
    }

    /// `[fan_out, fan_in, kernel sizes...]`, as allocation rules want it.
    pub fn axes(&self) -> Vec<usize> {
        let offsets: usize = self.kernel.iter().product();
        [self.rows, self.cols / offsets].into_iter().chain(self.kernel.iter().copied()).collect()
    }
}

/// Where weights come from, given which one it is, its shape and how it would be drawn.
pub(super) type Source<'a> = dyn FnMut(usize, &WeightShape, Init) -> Result<Weights> + 'a;

/// Where the other arrays come from, by name and length. It is asked before there is room for that length, which may be a
/// slip in a file.
pub(super) type Vectors<'a> = dyn FnMut(&str, usize) -> Result<Vec<f32>> + 'a;

/// Gathers the parameters of a network while its layers are built.
pub struct Builder<'a> {
    source: &'a mut Source<'a>,
    /// If there is none, arrays are as at a start.
    vectors: Option<&'a mut Vectors<'a>>,
    storage: Storage,
    /// The name of the layer being built.
    name: String,
    parameters: Vec<Parameter>,
    /// Weights and layers so far.
    weights: usize,
    layers: u64,
    /// The weight whose neurons are the features at this point, if that is all they are.
    joint: Option<Joint>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(
        storage: Storage,
        source: &'a mut Source<'a>,
        vectors: Option<&'a mut Vectors<'a>>,
    ) -> Builder<'a> {
        let name = "layers".to_string();
        Builder { source, vectors, storage, name, parameters: Vec::new(), weights: 0, layers: 0, joint: None }
    }

    pub(super) fn finish(self) -> Vec<Parameter> {
        self.parameters
    }

    /// Arrays so far: where a layer's own begin.
    pub fn count(&self) -> usize {
        self.parameters.len()
    }

    /// A number for a layer that tells its random draws from another's.
    pub fn number(&mut self) -> u64 {
        self.layers += 1;
        self.layers - 1
    }

    /// Builds a part whose arrays are named `{name so far}.{part}...`.
    pub fn within<R>(&mut self, part: &str, build: impl FnOnce(&mut Builder<'a>) -> R) -> R {
        let length = self.name.len();
        self.name = format!("{}.{part}", self.name);
        let result = build(self);
        self.name.truncate(length);
        result
    }

    /// A weight matrix, named `{layer}.{part}`, drawn as suits the function after it.
    ///
    /// # Errors
    /// An error of where weights come from, such as a model file.
    pub fn weight(&mut self, part: &str, shape: WeightShape, activation: Activation) -> Result<()> {
        let init = match activation {
            Activation::Tanh | Activation::Sigmoid => Init::Glorot,
            _ => Init::He,
        };
        let shape = WeightShape { name: format!("{}.{part}", self.name), ..shape };
        let mut weights = (self.source)(self.weights, &shape, init)?;
        let storage = if shape.is_compressed { Storage::Sparse } else { self.storage };
        if shape.is_compressed && !weights.is_compressed() {
            weights = weights.stored_as(storage);
        }
        self.weights += 1;
        self.parameters.push(Parameter {
            name: shape.name,
            weights,
            role: Role::Weight,
            storage,
            init,
            uses: shape.uses,
            joint: None,
        });
        Ok(())
    }

    /// An array of `length` numbers that all begin as `value`.
    ///
    /// # Errors
    /// An error of where arrays come from, such as a model file.
    pub fn vector(&mut self, part: &str, length: usize, value: f32, role: Role) -> Result<()> {
        self.values(part, length, |_| value, role)
    }

    /// An array of `length` numbers, that at `index` beginning as `start(index)`.
    ///
    /// # Errors
    /// An error of where arrays come from, such as a model file.
    pub fn values(
        &mut self,
        part: &str,
        length: usize,
        start: impl Fn(usize) -> f32,
        role: Role,
    ) -> Result<()> {
        let name = format!("{}.{part}", self.name);
        let values = match &mut self.vectors {
            Some(vectors) => vectors(&name, length)?,
            None => (0..length).map(start).collect(),
        };
        let mut weights = Weights::dense(length, 1);
        weights.values_mut().copy_from_slice(&values);
        self.parameters.push(Parameter {
            name,
            weights,
            role,
            storage: Storage::Dense,
            init: Init::Glorot,
            uses: 1,
            joint: None,
        });
        Ok(())
    }

    /// Says that the weight just made has the features at this point as its inputs, one for each column, and that its
    /// neurons, after `activation`, are the features from here on.
    pub fn join(&mut self, activation: Activation) {
        let weight = self.parameters.iter().rposition(Parameter::is_weight).expect("a weight was made");
        self.parameters[weight].joint = self.joint.replace(Joint { weight, through: vec![activation] });
    }

    /// Says that each feature goes through a function.
    pub fn pass_through(&mut self, activation: Activation) {
        if let Some(joint) = &mut self.joint {
            joint.through.push(activation);
        }
    }

    /// Says that the features from here on are not a weight's neurons.
    pub fn part(&mut self) {
        self.joint = None;
    }
}
