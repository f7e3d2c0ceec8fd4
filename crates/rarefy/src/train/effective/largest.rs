//! Top-KAST (Jayakumar et al. 2020): a forward pass uses the K largest weights of each layer, the set A; all stored ones,
//! the superset B, have the gradient that the effective value has, passed straight through. The objective gains
//! ```text
//! exploration / 2 * (sum over A of w^2  +  sum over B without A of w^2 / D)        D = |A| / cells
//! ```
//! so that a weight must earn its place (section 2.3). A is a mask of ones and zeros aligned with the stored values.

use super::CHUNK;
use crate::kernels::par_chunks;
use crate::sparse::Weights;

/// The mask of the largest live weights, `count` at most, or of the largest blocks of them; of equal ones the first. Empty if that is
/// all of them.
pub(super) fn mask(weights: &Weights, count: usize) -> Vec<f32> {
    if count >= weights.nnz() {
        return Vec::new();
    }
    let (worth, height) = (weights.worth(weights.values()), weights.block_height());
    let count = (count / height).max(1);
    let mut mask = vec![0.0; weights.values().len()];
    let mut places: Vec<usize> = weights.choices().map(|(_, place)| place).collect();
    places.select_nth_unstable_by(count, |&a, &b| worth[b].abs().total_cmp(&worth[a].abs()).then(a.cmp(&b)));
    places[..count].iter().for_each(|&place| mask[place * height..][..height].fill(1.0));
    mask
}

pub(super) fn apply(mask: &[f32], stored: &[f32], out: &mut [f32]) {
    par_chunks(out, CHUNK, &|start, out| {
        for ((out, w), mask) in out.iter_mut().zip(&stored[start..]).zip(&mask[start..]) {
            *out = w * mask;
        }
    });
}

/// Adds the gradient of the exploration penalty.
pub(super) fn add_exploration(
    exploration: f32,
    density: f32,
    mask: &[f32],
    stored: &[f32],
    gradient: &mut [f32],
) {
    let rest = exploration / density;
    par_chunks(gradient, CHUNK, &|start, gradient| {
        for ((g, w), mask) in gradient.iter_mut().zip(&stored[start..]).zip(&mask[start..]) {
            *g += (rest + mask * (exploration - rest)) * w;
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sparse::{Pattern, Storage};

    #[test]
    fn the_largest_live_weights_are_used() {
        for storage in [Storage::Sparse, Storage::Dense] {
            let cells = [0, 2, 3, 5, 6, 9];
            let mut weights = Weights::zeros(Pattern::from_cells(2, 5, cells.into_iter()), storage);
            let slots: Vec<usize> = weights.connections().map(|(_, slot)| slot).collect();
            for (&slot, value) in slots.iter().zip([0.1, -0.5, 0.0, 0.5, -0.1, 0.0]) {
                weights.values_mut()[slot] = value;
            }
            let used = |count| {
                let mask = mask(&weights, count);
                slots.iter().map(|&slot| mask.get(slot).copied()).collect::<Option<Vec<f32>>>()
            };
            assert_eq!(used(1).unwrap(), [0.0, 1.0, 0.0, 0.0, 0.0, 0.0], "{storage:?}");
            assert_eq!(used(3).unwrap(), [1.0, 1.0, 0.0, 1.0, 0.0, 0.0], "{storage:?}");
            // Absent cells of dense storage are never used, though they are as small as zeros that are live.
            assert_eq!(used(5).unwrap(), [1.0, 1.0, 1.0, 1.0, 1.0, 0.0], "{storage:?}");
            assert_eq!(used(6), None);
        }
        let mut blocks = Weights::zeros_in_blocks(2, Pattern::full(1, 3));
        blocks.values_mut().copy_from_slice(&[0.5, 0.5, 0.6, 0.0, -0.4, 0.6]);
        assert_eq!(mask(&blocks, 5), [1.0, 1.0, 0.0, 0.0, 1.0, 1.0]);
    }
}
