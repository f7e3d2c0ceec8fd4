//! How arrays aligned with the stored values follow when connections move.
//!
//! ```text
//! old slots  0 1 2 3          source  0 2 NEW 3
//! new slots  0 1 2 3          carry([a b c d], 0) = [a c 0 d]
//! ```
//!
//! Values, momentum, second moments and ages all go through [`Rewire::carry`], so a topology rule never knows which
//! optimizer runs and an optimizer never knows that sparsity exists.

/// A map from new slots to old ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewire {
    source: Vec<u32>,
    grown: Vec<usize>,
}

/// Marks a slot that continues nothing.
pub(super) const NEW: u32 = u32::MAX;

impl Rewire {
    /// For each new slot the old one it continues or [`NEW`], and the slots of grown connections.
    pub(super) fn new(source: Vec<u32>, grown: Vec<usize>) -> Rewire {
        Rewire { source, grown }
    }

    /// An array aligned with the old slots, carried over to the new ones; slots that continue nothing get `fill`.
    pub fn carry(&self, old: &[f32], fill: f32) -> Vec<f32> {
        self.source.iter().map(|&source| if source == NEW { fill } else { old[source as usize] }).collect()
    }

    /// For each new slot the old one that it continues.
    pub fn sources(&self) -> impl Iterator<Item = Option<usize>> + '_ {
        self.source.iter().map(|&source| (source != NEW).then_some(source as usize))
    }

    /// The slots of grown connections.
    pub fn grown(&self) -> &[usize] {
        &self.grown
    }
}
