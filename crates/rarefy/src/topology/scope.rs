//! How a method that prunes shares connections out.

use super::{Counts, View};
use crate::sparse::Weights;

named! {
    /// What shares a number of connections when a method prunes.
    ///
    /// Whether each layer keeps its own share of connections, or the whole network those that matter most.
    ///
    /// Magnitudes of different layers cannot be compared as they are: layers of many inputs have small weights. LAMP (Lee et al.
    /// 2021, eq. 5) measures each against those of its layer that are at least as large, `w^2 / sum of their squares`: of what would
    /// be left of the layer if it went last, the share that goes with it. The largest of a layer scores 1, so no layer is
    /// emptied before all others are down to one.
    #[derive(Default)]
    pub enum Scope {
        /// Each layer, in proportion to what it is to end with.
        #[default]
        Layer = "layer",
        /// All layers together: those of the largest LAMP scores stay.
        Global = "global",
    }
}

/// Shares what a pruned network is to have out over its matrices, by their weights. Where some of that is grown, it is the
/// same share of each matrix that is not full. `whole` counts connections, and what comes out blocks where there are such.
pub(super) fn share_out(views: &[View<'_>], whole: Counts) -> Vec<Counts> {
    let kept_share = whole.kept as f64 / whole.total as f64;
    let lists: Vec<(Vec<f32>, usize)> =
        views.iter().map(|view| (scores(view.weights, view.block), view.block)).collect();
    let counts = views.iter().zip(largest(&lists, whole.total)).map(|(view, total)| {
        let is_full = total == view.weights.rows() * view.weights.cols();
        let kept = if is_full { total } else { (kept_share * total as f64).round() as usize };
        Counts { kept: kept.max(1).min(total), total }
    });
    counts.collect()
}

/// The scores of the live connections, falling; of blocks those of each of their connections.
fn scores(weights: &Weights, block: usize) -> Vec<f32> {
    let mut scores: Vec<f32> = weights.connections().map(|(_, slot)| weights.values()[slot].abs()).collect();
    scores.sort_unstable_by(|a, b| b.total_cmp(a));
    let mut sum = 0.0;
    for (rank, score) in scores.iter_mut().enumerate() {
        let square = f64::from(*score).powi(2);
        sum += square;
        // The first scores 1 even where it is 0: a layer is not emptied.
        *score = if rank == 0 { 1.0 } else { (square / sum / block as f64).max(0.0) as f32 };
    }
    scores
}

/// How many of each list, which falls, are among the largest of all, each counting as often as the list says, `count` at most; of
/// equal ones the first.
fn largest(lists: &[(Vec<f32>, usize)], count: usize) -> Vec<usize> {
    let above = |least: u32| {
        let above = move |score: &f32| score.to_bits() > least;
        lists.iter().map(move |(list, _)| list.partition_point(above))
    };
    let counted = |above: usize, (_, each): &(_, usize)| above * each;
    let all_above =
        |least: u32| above(least).zip(lists).map(|(above, list)| counted(above, list)).sum::<usize>();
    // Numbers of at least 0 are in the order of their bits.
    let (mut low, mut high) = (0, f32::INFINITY.to_bits());
    while low < high {
        let middle = low + (high - low) / 2;
        if all_above(middle) > count {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    let mut rest = count - all_above(low);
    let ties = |list: &[f32], above: usize| list[above..].partition_point(|it| it.to_bits() >= low);
    lists
        .iter()
        .zip(above(low))
        .map(|((list, each), above)| {
            let ties = ties(list, above).min(rest / each);
            rest -= ties * each;
            above + ties
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::testing;

    #[test]
    fn a_weight_counts_against_those_of_its_layer() {
        let weights = testing::weights(1, 5, &[(0, 1.0), (1, -2.0), (3, 0.0), (4, 2.0)]);
        assert_eq!(scores(&weights, 1), [1.0, 0.5, 1.0 / 9.0, 0.0]);
        assert_eq!(scores(&weights, 2), [1.0, 0.25, 1.0 / 18.0, 0.0]);
        assert_eq!(scores(&testing::weights(1, 5, &[(0, 0.0), (2, 0.0)]), 1), [1.0, 0.0]);
    }

    #[test]
    fn the_largest_of_all_lists_are_counted_in_each() {
        let lists = [(vec![1.0, 0.5, 0.5, 0.0], 1), (vec![1.0, 0.5, 0.25], 1), (vec![1.0], 1)];
        for (count, expected) in
            [(1, [1, 0, 0]), (3, [1, 1, 1]), (5, [3, 1, 1]), (6, [3, 2, 1]), (7, [3, 3, 1]), (8, [4, 3, 1])]
        {
            assert_eq!(largest(&lists, count), expected, "{count}");
        }
        let blocks = [(vec![1.0, 0.5, 0.2], 4), (vec![1.0, 0.5, 0.4, 0.2, 0.1], 1)];
        for (count, expected) in [(5, [1, 1]), (10, [2, 2]), (11, [2, 3]), (13, [2, 4]), (15, [3, 3])] {
            assert_eq!(largest(&blocks, count), expected, "{count}");
        }
    }

    /// Of two layers whose weights differ by nothing but their scale each keeps as many, and a full one grows nothing.
    #[test]
    fn the_scale_of_a_layer_does_not_count() {
        let layer = |scale: f32| (0..60).map(|cell| (cell, scale * (1.0 + cell as f32))).collect::<Vec<_>>();
        let weights = [testing::weights(10, 10, &layer(1.0)), testing::weights(10, 6, &layer(1e-3))];
        let views: Vec<View<'_>> = weights.iter().map(|weights| testing::view(weights, &[], 5, 1)).collect();
        let half = Counts { kept: 15, total: 30 };
        assert_eq!(share_out(&views, Counts { kept: 30, total: 60 }), [half; 2]);
        let full = Counts { kept: 60, total: 60 };
        assert_eq!(share_out(&views, Counts { kept: 60, total: 120 }), [Counts { kept: 30, ..full }, full]);
    }
}
