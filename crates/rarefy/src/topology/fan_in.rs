//! Constant fan-in: every live unit of a layer has as many inputs as another, and units that matter too little are
//! switched off, their connections going to the others (SRigL, Lasby et al. 2024, section 3).
//!
//! A connection is salient if it stays at this update, or is among the as many absent ones as are dropped whose
//! gradients are largest. A unit with fewer salient connections than `min_salient` times the fan-in loses all it has;
//! it stays off. Where the number of connections is not a multiple of the live units, some units have one more.

use std::cmp::Reverse;

use super::grow::for_each_row;
use super::select::{Best, largest};
use super::{Grow, View};

/// The cells after an update that keeps `kept` of the live ones, `total` in all. `may_ablate` says whether units may
/// be switched off, as those of the last layer may not.
pub(super) fn cells(
    view: &mut View<'_>,
    kept: Vec<usize>,
    total: usize,
    min_salient: f64,
    may_ablate: bool,
) -> Vec<usize> {
    let (rows, cols) = (view.weights.rows(), view.weights.cols());
    let mut fan_in = vec![0; rows];
    kept.iter().for_each(|cell| fan_in[cell / cols] += 1);
    let mut live: Vec<usize> = view
        .weights
        .fan_in()
        .iter()
        .enumerate()
        .filter(|(_, fan_in)| **fan_in > 0)
        .map(|(row, _)| row)
        .collect();
    if may_ablate {
        let mut salient = fan_in.clone();
        let grown = Grow::Gradient.cells(view, &kept, total - kept.len());
        grown.iter().for_each(|cell| salient[cell / cols] += 1);
        let least = (min_salient * total as f64 / live.len() as f64).max(1.0);
        // The units that stay must have room for all connections; those with the most salient ones come first.
        live.sort_by_key(|&row| (Reverse(salient[row]), row));
        let enough = live.partition_point(|&row| salient[row] as f64 >= least);
        live.truncate(enough.max(total.div_ceil(cols)).max(1));
    }
    // One more for the units that keep most, so that as few as possible are dropped besides.
    live.sort_by_key(|&row| (Reverse(fan_in[row]), row));
    let mut quota = vec![0; rows];
    for (place, &row) in live.iter().enumerate() {
        quota[row] = total / live.len() + usize::from(place < total % live.len());
    }
    let kept = within(view, &kept, &fan_in, &quota);
    grow(view, kept, &quota)
}

/// What is left of `kept` if no row has more than its quota, the smallest weights going.
fn within(view: &View<'_>, kept: &[usize], fan_in: &[usize], quota: &[usize]) -> Vec<usize> {
    let cols = view.weights.cols();
    let mut values = view.weights.connections();
    let mut left = Vec::with_capacity(kept.len());
    let mut start = 0;
    for (&count, &quota) in fan_in.iter().zip(quota) {
        let cells = &kept[start..start + count];
        start += count;
        if count <= quota {
            left.extend_from_slice(cells);
            continue;
        }
        let scores: Vec<f32> = cells
            .iter()
            .map(|&cell| {
                let (_, slot) = values.find(|&(live, _)| live == cell).expect("what is kept was live");
                view.weights.values()[slot].abs()
            })
            .collect();
        left.extend(largest(cells.iter().copied(), &scores, quota));
    }
    debug_assert!(left.iter().all(|cell| quota[cell / cols] > 0));
    left
}

/// `kept` and, in each row short of its quota, the absent cells of the largest gradients.
fn grow(view: &mut View<'_>, kept: Vec<usize>, quota: &[usize]) -> Vec<usize> {
    let (rows, cols) = (view.weights.rows(), view.weights.cols());
    let mut cells = Vec::with_capacity(quota.iter().sum());
    let mut kept = kept.into_iter().peekable();
    for_each_row(rows, cols, &mut view.absent, |row, gradients| {
        let start = cells.len();
        while let Some(cell) = kept.next_if(|&cell| cell < (row + 1) * cols) {
            cells.push(cell);
        }
        let mut best = Best::new(quota[row] - (cells.len() - start));
        best.offer_absent(row * cols, gradients, &cells[start..]);
        cells.extend(best.into_cells());
        cells[start..].sort_unstable();
    });
    cells
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, Stream};
    use crate::sparse::Pattern;
    use crate::topology::testing;

    /// 30 units with 7 or 8 of 40 inputs; the weights of units 3 and 4 are tiny and the gradients of their absent
    /// connections too, so nothing of theirs is salient.
    #[test]
    fn live_units_share_all_connections_evenly() {
        let (rows, cols, total) = (30, 40, 221);
        let mut stream = Stream::new(0, Purpose::Bench, 0, 0);
        let pattern = Pattern::constant_fan_in(rows, cols, total, &mut stream);
        let weak = |cell: usize| if (3..5).contains(&(cell / cols)) { 1e-6 } else { 1.0 };
        let live: Vec<(usize, f32)> =
            pattern.cells().map(|cell| (cell, weak(cell) * (0.5 + stream.uniform()))).collect();
        let weights = testing::weights(rows, cols, &live);
        let gradients: Vec<f32> =
            (0..rows * cols).map(|cell| weak(cell) * (0.5 + stream.uniform())).collect();
        for may_ablate in [true, false] {
            let mut view = testing::view(&weights, &[], total, 0);
            view.absent = testing::cell_gradients(&gradients, cols);
            let strong: Vec<usize> =
                live.iter().map(|live| live.0).filter(|&cell| weak(cell) == 1.0).collect();
            let new = cells(&mut view, strong[..150].to_vec(), total, 0.3, may_ablate);
            assert_eq!(new.len(), total);
            assert!(new.windows(2).all(|pair| pair[0] < pair[1]));
            let mut fan_in = vec![0; rows];
            new.iter().for_each(|cell| fan_in[cell / cols] += 1);
            let alive: Vec<usize> = fan_in.iter().copied().filter(|&fan_in| fan_in > 0).collect();
            assert!(alive.iter().max().unwrap() - alive.iter().min().unwrap() <= 1, "{fan_in:?}");
            assert_eq!(fan_in[3] == 0 && fan_in[4] == 0, may_ablate, "{fan_in:?}");
            assert!(alive.len() >= 22, "only what matters too little goes: {fan_in:?}");
        }
    }
}
