//! What a network learns: one array each, in one list for the whole network.

use crate::kernels::Activation;
use crate::sparse::{Init, Rewire, Storage, Touched, Weights};

/// One array of a network.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// The name in model files, as in `layers.0.weight`.
    pub name: String,
    /// The values, dense or compressed; anything but a weight is `length x 1`.
    pub weights: Weights,
    /// One gradient per stored value; empty until training starts, and for what is not trained.
    pub gradient: Vec<f32>,
    /// Where only few gradients are other than 0, the slots of these: an optimizer then moves those weights alone. `None`
    /// if any may be.
    pub touched: Option<Touched>,
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

    /// The gradients that may be other than 0.
    pub fn gradients(&self) -> impl Iterator<Item = f32> + '_ {
        let (all, some) = match &self.touched {
            None => (&self.gradient[..], &[][..]),
            Some(touched) => (&[][..], &touched[..]),
        };
        all.iter().chain(some.iter().flat_map(|slots| &self.gradient[slots.clone()])).copied()
    }

    /// Changes the gradients that may be other than 0.
    pub fn change_gradients(&mut self, change: impl Fn(&mut f32)) {
        match &self.touched {
            None => self.gradient.iter_mut().for_each(change),
            Some(touched) => {
                touched.iter().for_each(|slots| self.gradient[slots.clone()].iter_mut().for_each(&change));
            }
        }
    }

    /// Puts weights with other connections in place. What is kept for each of them, here the optimizer's `state`, follows
    /// its connection as `rewire` says and begins at 0 for a new one; gradients begin anew.
    pub fn replace(&mut self, weights: Weights, rewire: &Rewire, state: &mut [Vec<f32>]) {
        for numbers in state {
            *numbers = rewire.carry(numbers, 0.0);
        }
        self.gradient = vec![0.0; weights.values().len()];
        self.touched = None;
        self.weights = weights;
    }

    /// Gives back the memory of what the next step makes anew: gradients, and the index by columns.
    pub fn rest(&mut self) {
        (self.gradient, self.touched) = (Vec::new(), None);
        self.weights.forget_columns();
    }

    /// Makes room for gradients, if it is trained and has none.
    pub fn wake(&mut self) {
        if self.is_trained() {
            self.gradient.resize(self.weights.values().len(), 0.0);
        }
    }

    /// Whether gradients train it.
    pub fn is_trained(&self) -> bool {
        !matches!(self.role, Role::Mean | Role::Variance)
    }
}
