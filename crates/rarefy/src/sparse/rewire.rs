//! How arrays aligned with the connections follow when connections move.
//!
//! ```text
//! old positions  0 1 2 3          source  0 2 NEW 3
//! new positions  0 1 2 3          carry([a b c d], 0) = [a c 0 d]
//! ```
//!
//! Values, momentum, second moments and ages all go through [`Rewire::carry`], so a topology rule never knows which
//! optimizer runs and an optimizer never knows that sparsity exists.

/// A map from the positions of a new pattern to those of the old one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewire {
    source: Vec<u32>,
}

/// Marks a new connection in a [`Rewire`].
const NEW: u32 = u32::MAX;

impl Rewire {
    /// For each new position the old one it continues, `None` for a new connection.
    pub fn new(source: impl Iterator<Item = Option<u32>>) -> Rewire {
        Rewire { source: source.map(|old| old.unwrap_or(NEW)).collect() }
    }

    /// The old position that each new one continues.
    pub fn sources(&self) -> impl Iterator<Item = Option<usize>> + '_ {
        self.source.iter().map(|&old| (old != NEW).then_some(old as usize))
    }

    /// An array aligned with the old positions, carried over to the new ones; new connections get `fill`.
    pub fn carry(&self, old: &[f32], fill: f32) -> Vec<f32> {
        self.source.iter().map(|&source| if source == NEW { fill } else { old[source as usize] }).collect()
    }

    /// How many connections are new.
    pub fn grown(&self) -> usize {
        self.source.iter().filter(|&&source| source == NEW).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carry_keeps_and_fills() {
        let rewire = Rewire::new([Some(0), Some(2), None, Some(3)].into_iter());
        assert_eq!(rewire.carry(&[1.0, 2.0, 3.0, 4.0], 0.5), [1.0, 3.0, 0.5, 4.0]);
        assert_eq!(rewire.grown(), 1);
    }
}
