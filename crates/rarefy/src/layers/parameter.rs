//! What a network learns: one array each, in one list for the whole network.

use crate::kernels::Activation;
use crate::sparse::{Init, Storage, Weights};

/// One array of a network.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// The name in model files, as in `layers.0.weight`.
    pub name: String,
    /// The values, dense or compressed; anything but a weight is `length x 1`.
    pub weights: Weights,
    /// What the numbers do.
    pub role: Role,
    /// The storage asked for.
    pub storage: Storage,
    /// How new weights are drawn.
    pub init: Init,
    /// How often a prediction uses each connection: once, or at each position of an image or a sequence.
    pub uses: usize,
    /// The weight whose neurons, and nobody else, are this one's inputs, one for each column.
    pub joint: Option<Joint>,
}

/// What the numbers of a parameter do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Connections: sparsity and weight decay apply.
    Weight,
    /// Added to the outputs of the weight that stands before it in the list.
    Bias,
    /// Trained, but neither connections nor the bias of some: the scale and shift of a norm.
    Scale,
    /// Not trained by gradients: the running mean of a batch norm.
    Mean,
    /// Not trained by gradients, and never negative: the running variance of a batch norm.
    Variance,
}

/// Where a weight's inputs come from.
#[derive(Debug, Clone, PartialEq)]
pub struct Joint {
    /// The index of the weight before, in the network's list.
    pub weight: usize,
    /// The functions between them, in order.
    pub through: Vec<Activation>,
}

impl Parameter {
    /// Whether sparsity and weight decay apply.
    pub fn is_weight(&self) -> bool {
        self.role == Role::Weight
    }

    /// Bytes of its numbers in a model file.
    pub fn bytes(&self) -> usize {
        self.weights.file_bytes()
    }

    /// Whether gradients train it.
    pub fn is_trained(&self) -> bool {
        !matches!(self.role, Role::Mean | Role::Variance)
    }
}
