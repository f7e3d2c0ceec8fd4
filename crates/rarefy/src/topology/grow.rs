//! Which connections come.

use super::CellGradients;
use crate::random::Stream;

/// The rule by which connections are grown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grow {
    /// None.
    Nothing,
    /// Any absent one, each equally likely; values drawn as at the start (SET).
    Random,
    /// Those whose gradient would be largest in magnitude; values zero (RigL). Gradients are looked at a block of rows
    /// at a time, so a full dense gradient never exists.
    Gradient,
}

/// Cells whose gradients are looked at in one go.
const BLOCK_CELLS: usize = 256 * 1024;

impl Grow {
    /// Whether a grown connection gets a random value rather than zero.
    pub fn draws_values(self) -> bool {
        self == Grow::Random
    }

    /// `count` cells outside of `kept`, or all there are.
    pub fn cells(
        self,
        kept: &[usize],
        rows: usize,
        cols: usize,
        count: usize,
        cell_gradients: CellGradients<'_>,
        stream: &mut Stream,
    ) -> Vec<usize> {
        let absent = rows * cols - kept.len();
        let count = count.min(absent);
        match self {
            Grow::Nothing => Vec::new(),
            Grow::Random => nth_absent(kept, stream.choose(absent, count)),
            Grow::Gradient => largest_gradients(kept, rows, cols, count, cell_gradients),
        }
    }
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

/// The `count` absent cells of the largest gradients; of equal ones the first. Gradients that are not numbers count as
/// zero.
fn largest_gradients(
    kept: &[usize],
    rows: usize,
    cols: usize,
    count: usize,
    cell_gradients: CellGradients<'_>,
) -> Vec<usize> {
    if count == 0 {
        return Vec::new();
    }
    let block = (BLOCK_CELLS / cols.max(1)).clamp(1, rows);
    let mut gradients = vec![0.0; block * cols];
    let mut best: Vec<(f32, usize)> = Vec::with_capacity(3 * count);
    let mut threshold = -1.0;
    let mut kept = kept.iter().copied().peekable();
    for start in (0..rows).step_by(block) {
        let end = (start + block).min(rows);
        let gradients = &mut gradients[..(end - start) * cols];
        cell_gradients(start..end, gradients);
        for (cell, gradient) in (start * cols..).zip(&*gradients) {
            let score = if gradient.is_nan() { 0.0 } else { gradient.abs() };
            if kept.next_if_eq(&cell).is_none() && score > threshold {
                best.push((score, cell));
                if best.len() >= 3 * count {
                    shrink(&mut best, count);
                    threshold = best.iter().fold(f32::INFINITY, |least, best| least.min(best.0));
                }
            }
        }
    }
    shrink(&mut best, count);
    best.into_iter().map(|(_, cell)| cell).collect()
}

fn shrink(best: &mut Vec<(f32, usize)>, count: usize) {
    if count < best.len() {
        best.select_nth_unstable_by(count, |a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        best.truncate(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Purpose;

    #[test]
    fn ranks_skip_live_cells() {
        assert_eq!(nth_absent(&[0, 1, 4], vec![0, 1, 2]), [2, 3, 5]);
        assert_eq!(nth_absent(&[], vec![0, 7]), [0, 7]);
    }

    #[test]
    fn gradient_growth_is_an_exact_top_k() {
        let (rows, cols) = (600, 1000);
        let mut stream = Stream::new(0, Purpose::Bench, 0, 0);
        let gradients: Vec<f32> = (0..rows * cols).map(|_| stream.normal()).collect();
        let kept = stream.choose(rows * cols, 5000);
        let mut look = |range: std::ops::Range<usize>, out: &mut [f32]| {
            out.copy_from_slice(&gradients[range.start * cols..range.end * cols]);
        };
        let mut grown = Grow::Gradient.cells(&kept, rows, cols, 700, &mut look, &mut stream);
        grown.sort_unstable();
        let mut expected: Vec<usize> =
            (0..rows * cols).filter(|cell| kept.binary_search(cell).is_err()).collect();
        expected.sort_by(|&a, &b| gradients[b].abs().total_cmp(&gradients[a].abs()));
        expected.truncate(700);
        expected.sort_unstable();
        assert_eq!(grown, expected);
    }
}
