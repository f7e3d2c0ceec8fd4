//! What a network is given: numbers of some shape, or tokens, of which an embedding makes numbers.

use crate::tiles::Shape;

/// What a network is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inputs {
    /// How a sample is laid out.
    pub shape: Shape,
    /// If the numbers are ids of tokens, one at each step: how many ids there are.
    pub vocabulary: Option<usize>,
}

impl Inputs {
    /// Sequences of `steps` tokens out of `vocabulary`.
    pub fn tokens(steps: usize, vocabulary: usize) -> Inputs {
        Inputs { shape: Shape::sequence(steps, 1), vocabulary: Some(vocabulary) }
    }
}

impl<S: Into<Shape>> From<S> for Inputs {
    /// Numbers.
    fn from(shape: S) -> Inputs {
        Inputs { shape: shape.into(), vocabulary: None }
    }
}
