//! Which connections come.

use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;

use super::select::{Best, largest, magnitude};
use super::{CellGradients, View, paths};
use crate::random::Stream;
use crate::sparse::Pattern;

/// A rule that says which connections come at an update. Implement it to grow by a rule of your own ([`Grow::Custom`]).
pub trait GrowRule: Debug + Send + Sync {
    /// Whether a grown connection gets a random value, drawn as at the start, rather than zero.
    fn draws_values(&self) -> bool;

    /// `count` cells that `kept` does not list, in order: `row * cols + col`. There are that many.
    fn cells(&self, view: &mut View<'_>, kept: &[usize], count: usize) -> Vec<usize>;
}

/// The rule by which connections are grown.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Grow {
    /// Any absent one, each equally likely.
    Random(Value),
    /// The absent ones whose gradient would be largest in magnitude; values zero (RigL). Gradients are looked at a block of rows
    /// at a time, so a full dense gradient never exists.
    Gradient,
    /// The absent ones whose gradient would be largest among a random sample of them, `sample` times as large as the number
    /// of live connections (GSE): the cost follows the live connections and not the cells.
    SampledGradient {
        /// Cells looked at, per live connection.
        sample: f64,
    },
    /// The absent ones between units that are joined by most paths of three connections (CH3-L3: Muscoloni et al. 2020; CHT: Zhang et
    /// al. 2024); values zero. Gradients play no part. An absent connection scores `1 / sqrt((1 + e_a) (1 + e_b))` for each
    /// path `u-a-b-v`, `e_a` and `e_b` being the connections of `a` and `b` that lead off all such paths.
    Paths,
    /// A rule of your own.
    Custom(Arc<dyn GrowRule>),
}

/// What a connection grown at random is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// Zero.
    Zero,
    /// Drawn as at the start.
    Drawn,
}

/// Cells whose gradients are looked at in one go.
const BLOCK_CELLS: usize = 256 * 1024;

impl Grow {
    /// Whether a grown connection gets a random value rather than zero.
    pub fn draws_values(&self) -> bool {
        match self {
            Grow::Random(value) => *value == Value::Drawn,
            Grow::Gradient | Grow::SampledGradient { .. } | Grow::Paths => false,
            Grow::Custom(rule) => rule.draws_values(),
        }
    }

    /// `count` cells outside of `kept`, or all there are; in order.
    ///
    /// # Panics
    /// If a rule of your own names other than `count` cells, not in order, or one that is kept.
    pub fn cells(&self, view: &mut View<'_>, kept: &[usize], count: usize) -> Vec<usize> {
        let (rows, cols) = (view.weights.rows(), view.weights.cols());
        let absent = rows * cols - kept.len();
        let count = count.min(absent);
        if count == 0 {
            return Vec::new();
        }
        if count == absent {
            return absent_cells(kept, rows * cols);
        }
        match self {
            Grow::Random(_) => nth_absent(kept, view.stream.choose(absent, count)),
            Grow::Gradient => largest_gradients(kept, rows, cols, count, &mut view.absent),
            Grow::SampledGradient { sample } => {
                let size = ((*sample * view.weights.nnz() as f64).round() as usize).clamp(count, absent);
                let sampled = nth_absent(kept, view.stream.choose(absent, size));
                let pattern = Pattern::from_cells(rows, cols, sampled.iter().copied());
                let mut gradients = vec![0.0; size];
                (view.absent.cells)(&pattern, &mut gradients);
                let scores: Vec<f32> = gradients.into_iter().map(magnitude).collect();
                largest(sampled.into_iter(), &scores, count)
            }
            Grow::Paths => {
                let mut grown = paths::best(kept, rows, cols, count);
                let missing = count - grown.len();
                if missing > 0 {
                    grown = at_random_besides(kept, grown, absent, missing, &mut view.stream);
                }
                grown
            }
            Grow::Custom(rule) => {
                let grown = rule.cells(view, kept, count);
                assert_eq!(grown.len(), count, "connections that {rule:?} grows");
                let is_in_order = grown.is_sorted_by(|a, b| a < b);
                assert!(is_in_order, "{rule:?} grows cells that are not in order");
                let is_absent = |cell: &usize| *cell < rows * cols && kept.binary_search(cell).is_err();
                assert!(grown.iter().all(is_absent), "{rule:?} grows cells that are kept or do not exist");
                grown
            }
        }
    }
}

/// The cells that a sorted list leaves out.
fn absent_cells(kept: &[usize], cells: usize) -> Vec<usize> {
    let mut kept = kept.iter().copied().peekable();
    (0..cells).filter(|cell| kept.next_if_eq(cell).is_none()).collect()
}

/// The absent cells of the given ranks among all absent cells; both lists sorted.
fn nth_absent(kept: &[usize], ranks: Vec<usize>) -> Vec<usize> {
    let mut passed = 0;
    ranks
        .into_iter()
        .map(|rank| {
            while passed < kept.len() && kept[passed] <= rank + passed {
                passed += 1;
            }
            rank + passed
        })
        .collect()
}

/// `grown` and `missing` more cells drawn from those that neither it nor `kept` has; in order.
fn at_random_besides(
    kept: &[usize],
    mut grown: Vec<usize>,
    absent: usize,
    missing: usize,
    stream: &mut Stream,
) -> Vec<usize> {
    let mut taken = [kept, &grown].concat();
    taken.sort();
    let ranks = stream.choose(absent - grown.len(), missing);
    grown.extend(nth_absent(&taken, ranks));
    grown.sort();
    grown
}

/// The `count` absent cells of the largest gradients, in order; of equal ones the first.
fn largest_gradients(
    kept: &[usize],
    rows: usize,
    cols: usize,
    count: usize,
    gradients: &mut CellGradients<'_>,
) -> Vec<usize> {
    let mut best = Best::new(count);
    for_each_own_row(rows, cols, gradients, |row, gradients| {
        best.offer_absent(row * cols, gradients, in_row(kept, row, cols));
    });
    best.gather(gradients).into_cells()
}

/// The absent cells of the largest scores above 0, at most `count` of them; in order. `score` rates a gradient.
pub fn strongest_absent(view: &mut View<'_>, count: usize, score: impl Fn(f32) -> f32) -> Vec<usize> {
    let (rows, cols) = (view.weights.rows(), view.weights.cols());
    let mut best = Best::above_zero(count);
    let live: Vec<usize> = view.weights.connections().map(|(cell, _)| cell).collect();
    let mut scores = vec![0.0; cols];
    for_each_own_row(rows, cols, &mut view.absent, |row, gradients| {
        scores.iter_mut().zip(gradients).for_each(|(to, &gradient)| *to = score(gradient));
        best.offer_absent(row * cols, &scores, in_row(&live, row, cols));
    });
    best.gather(&mut view.absent).into_cells()
}

/// Those of a sorted list of cells that are in a row.
fn in_row(cells: &[usize], row: usize, cols: usize) -> &[usize] {
    let begin = |row: usize| cells.partition_point(|&cell| cell < row * cols);
    &cells[begin(row)..begin(row + 1)]
}

/// Calls `look(row, gradients of its cells)` for each row, asking for the gradients of a block of rows at a time.
pub fn for_each_row(
    rows: usize,
    cols: usize,
    gradients: &mut CellGradients<'_>,
    look: impl FnMut(usize, &[f32]),
) {
    let write = |rows: Range<usize>, out: &mut [f32]| {
        (gradients.rows)(rows.clone(), out);
        vec![rows]
    };
    in_blocks(rows, cols, write, look);
}

/// As [`for_each_row`], where ranks share the rows: each one's are its own alone.
fn for_each_own_row(
    rows: usize,
    cols: usize,
    gradients: &mut CellGradients<'_>,
    look: impl FnMut(usize, &[f32]),
) {
    in_blocks(rows, cols, |rows, out| gradients.own_rows(rows, out), look);
}

/// Calls `look` for the rows that `write` says it has written.
fn in_blocks(
    rows: usize,
    cols: usize,
    mut write: impl FnMut(Range<usize>, &mut [f32]) -> Vec<Range<usize>>,
    mut look: impl FnMut(usize, &[f32]),
) {
    let block = (BLOCK_CELLS / cols.max(1)).clamp(1, rows);
    let mut buffer = vec![0.0; block * cols];
    for start in (0..rows).step_by(block) {
        let end = (start + block).min(rows);
        for row in write(start..end, &mut buffer[..(end - start) * cols]).into_iter().flatten() {
            look(row, &buffer[(row - start) * cols..][..cols]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;
    use crate::topology::testing;

    #[test]
    fn ranks_skip_live_cells() {
        assert_eq!(nth_absent(&[0, 1, 4], vec![0, 1, 2]), [2, 3, 5]);
        assert_eq!(nth_absent(&[], vec![0, 7]), [0, 7]);
        assert_eq!(absent_cells(&[0, 1, 4], 6), [2, 3, 5]);
    }

    /// The cells of a 600 x 1000 matrix whose gradients are known, and 5000 of them that are live.
    fn example() -> (Vec<f32>, Vec<usize>) {
        let mut stream = Stream::new(0, Purpose::Bench, 0, 0);
        let gradients = (0..600_000).map(|_| stream.normal()).collect();
        (gradients, stream.choose(600_000, 5000))
    }

    fn grow(rule: Grow, gradients: &[f32], kept: &[usize], count: usize) -> Vec<usize> {
        let live: Vec<(usize, f32)> = kept.iter().map(|&cell| (cell, 1.0)).collect();
        let weights = testing::weights(600, 1000, &live);
        let mut view = testing::view(&weights, &[], kept.len(), 1);
        view.absent = testing::cell_gradients(gradients, 1000);
        rule.cells(&mut view, kept, count)
    }

    #[test]
    fn gradient_growth_is_an_exact_top_k() {
        let (gradients, kept) = example();
        let mut expected: Vec<usize> =
            (0..gradients.len()).filter(|cell| kept.binary_search(cell).is_err()).collect();
        expected.sort_by(|&a, &b| gradients[b].abs().total_cmp(&gradients[a].abs()));
        expected.truncate(700);
        expected.sort_unstable();
        assert_eq!(grow(Grow::Gradient, &gradients, &kept, 700), expected);
    }

    /// The best 500 of 5000 cells drawn from many: all beyond the 0.9 quantile of |gradient|, or nearly, and not
    /// the best of all cells.
    #[test]
    fn sampled_growth_takes_the_best_of_a_sample() {
        let (gradients, kept) = example();
        let grown = grow(Grow::SampledGradient { sample: 1.0 }, &gradients, &kept, 500);
        assert_eq!(grown.len(), 500);
        assert!(grown.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(grown.iter().all(|cell| kept.binary_search(cell).is_err()));
        let least = grown.iter().map(|&cell| gradients[cell].abs()).fold(f32::INFINITY, f32::min);
        assert!((least - 1.645).abs() < 0.1, "{least}");
    }

    #[test]
    fn every_absent_cell_can_be_asked_for() {
        let (gradients, kept) = example();
        let all = grow(Grow::Random(Value::Zero), &gradients, &kept, usize::MAX);
        assert_eq!(all.len(), 595_000);
        let many = grow(Grow::Paths, &gradients, &kept, 594_999);
        assert_eq!(many.len(), 594_999);
        assert!(many.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
