//! Dead chains: connections into hidden units from which nothing leads on, and out of hidden units into which nothing leads
//! (CHT, Zhang et al. 2024).
//!
//! ```text
//! x - h1 - y        h2 has no output, so x-h2 goes; h3 has no input, so h3-y goes
//! x - h2            one sweep backwards and one forwards find all: the first leaves no unit that has inputs
//!     h3 - y        but no outputs, and the second only takes outputs from units that have no inputs
//! ```
//! Units of a row block live as long as one of them has outputs.

use super::View;

/// Removes dead chains from `kept`, which lists the cells of each matrix that stay; `None` for one that stays whole.
pub(super) fn remove(views: &[View<'_>], kept: &mut [Option<Vec<usize>>]) {
    let joints: Vec<usize> = (1..views.len()).filter(|&next| views[next].is_joined).collect();
    for &next in joints.iter().rev() {
        let cols = views[next].weights.cols();
        let has_outputs = reached(&views[next], kept[next].as_deref(), cols, |cell| cell % cols);
        let of_blocks = has_outputs.chunks(views[next - 1].block).map(|units| units.contains(&true));
        let has_outputs: Vec<bool> = of_blocks.collect();
        let before_cols = views[next - 1].weights.cols();
        if let Some(cells) = &mut kept[next - 1] {
            cells.retain(|cell| has_outputs[cell / before_cols]);
        }
    }
    for &next in &joints {
        let View { weights, block, .. } = &views[next - 1];
        let (before_cols, cols) = (weights.cols(), views[next].weights.cols());
        let before = kept[next - 1].as_deref();
        let has_inputs = reached(&views[next - 1], before, weights.rows(), |cell| cell / before_cols);
        if let Some(cells) = &mut kept[next] {
            cells.retain(|cell| has_inputs[cell % cols / block]);
        }
    }
}

/// Which of `units` units some connection has, `unit` telling a connection's.
fn reached(
    view: &View<'_>,
    kept: Option<&[usize]>,
    units: usize,
    unit: impl Fn(usize) -> usize,
) -> Vec<bool> {
    let mut reached = vec![false; units];
    match kept {
        Some(cells) => cells.iter().for_each(|&cell| reached[unit(cell)] = true),
        None => view.weights.connections().for_each(|(cell, _)| reached[unit(cell)] = true),
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, Stream};
    use crate::topology::testing;

    #[test]
    fn no_hidden_unit_is_left_with_one_side_only() {
        let shapes = [(12, 8), (10, 12), (9, 10), (4, 9)];
        let mut stream = Stream::new(2, Purpose::Bench, 0, 0);
        let live: Vec<Vec<usize>> =
            shapes.iter().map(|(rows, cols)| stream.choose(rows * cols, rows + 2)).collect();
        let weights: Vec<_> = shapes
            .iter()
            .zip(&live)
            .map(|(&(rows, cols), cells)| {
                let live: Vec<(usize, f32)> = cells.iter().map(|&cell| (cell, 1.0)).collect();
                testing::weights(rows, cols, &live)
            })
            .collect();
        let views: Vec<View<'_>> =
            weights.iter().map(|weights| testing::view(weights, &[], weights.nnz(), 0)).collect();
        let mut kept: Vec<Option<Vec<usize>>> = live.iter().cloned().map(Some).collect();
        remove(&views, &mut kept);
        let removed = |layer: usize| live[layer].len() - kept[layer].as_ref().unwrap().len();
        assert!((0..4).map(removed).sum::<usize>() > 0, "the example has dead chains");
        for next in 1..4 {
            let cols = shapes[next].1;
            let into: Vec<usize> =
                kept[next - 1].as_ref().unwrap().iter().map(|cell| cell / shapes[next - 1].1).collect();
            let out: Vec<usize> = kept[next].as_ref().unwrap().iter().map(|cell| cell % cols).collect();
            for unit in 0..cols {
                assert_eq!(into.contains(&unit), out.contains(&unit), "unit {unit} before matrix {next}");
            }
        }
    }
}
