//! The cells of the largest scores: of a list at hand, and of cells that are offered one after the other; and such cells put together.

use super::CellGradients;

/// The cells of the `count` largest scores, in order; of equal ones the first. No sorting: the least score that stays
/// is selected, and one pass over the cells picks what reaches it.
pub(super) fn largest(cells: impl Iterator<Item = usize>, scores: &[f32], count: usize) -> Vec<usize> {
    if count == 0 {
        return Vec::new();
    }
    let mut order = scores.to_vec();
    let (_, &mut least, _) = order.select_nth_unstable_by(count - 1, |a, b| b.total_cmp(a));
    let above = scores.iter().filter(|score| score.total_cmp(&least).is_gt()).count();
    let mut ties = count - above;
    let mut kept = Vec::with_capacity(count);
    for (cell, score) in cells.zip(scores) {
        let order = score.total_cmp(&least);
        if order.is_gt() || (order.is_eq() && ties > 0) {
            ties -= usize::from(order.is_eq());
            kept.push(cell);
        }
    }
    kept
}

/// The cells of two lists, each in order, in order.
pub(crate) fn merged(mut cells: Vec<usize>, more: &[usize]) -> Vec<usize> {
    cells.extend_from_slice(more);
    // The stable sort merges runs that are sorted.
    cells.sort();
    cells
}

/// The `count` cells of the largest scores among those offered; of equal ones the first.
pub(super) struct Best {
    count: usize,
    cells: Vec<(f32, usize)>,
    threshold: f32,
}

impl Best {
    pub(super) fn new(count: usize) -> Best {
        Best { count, cells: Vec::new(), threshold: if count == 0 { f32::INFINITY } else { -1.0 } }
    }

    /// The best of those whose scores are above 0.
    pub(super) fn above_zero(count: usize) -> Best {
        Best { threshold: if count == 0 { f32::INFINITY } else { 0.0 }, ..Best::new(count) }
    }

    /// Takes note of a cell; cells come in order, and a score is not negative.
    pub(super) fn offer(&mut self, score: f32, cell: usize) {
        if score > self.threshold {
            self.cells.push((score, cell));
            if self.cells.len() >= 3 * self.count {
                self.tighten();
            }
        }
    }

    /// Takes note of a row's cells besides the live ones, by their gradients.
    pub(super) fn offer_absent(&mut self, first: usize, gradients: &[f32], live: &[usize]) {
        let mut start = 0;
        for end in live.iter().map(|cell| cell - first).chain([gradients.len()]) {
            for (block, gradients) in gradients[start..end].chunks(16).enumerate() {
                // Few blocks hold a cell of interest, and a block is looked at in one go. Not a number counts as one.
                let threshold = self.threshold;
                let dull = gradients.iter().fold(true, |dull, gradient| dull & (gradient.abs() <= threshold));
                if !dull {
                    for (cell, &gradient) in (first + start + 16 * block..).zip(gradients) {
                        self.offer(magnitude(gradient), cell);
                    }
                }
            }
            start = end + 1;
        }
    }

    /// One that finds what is better than what this one has, among later cells.
    pub(super) fn beyond(&self) -> Best {
        Best { cells: Vec::new(), ..*self }
    }

    /// Takes over what another found among later cells.
    pub(super) fn append(&mut self, mut other: Best) {
        self.cells.append(&mut other.cells);
        if self.cells.len() >= 3 * self.count {
            self.tighten();
        }
    }

    /// What all ranks have found, where each has looked at some cells.
    pub(super) fn gather(mut self, gradients: &mut CellGradients<'_>) -> Best {
        if let Some(shared) = &mut gradients.shared {
            self.shrink();
            self.cells = (shared.gather)(self.cells);
        }
        self
    }

    /// The cells, in order.
    pub(super) fn into_cells(mut self) -> Vec<usize> {
        self.shrink();
        let mut cells: Vec<usize> = self.cells.into_iter().map(|(_, cell)| cell).collect();
        cells.sort_unstable();
        cells
    }

    fn tighten(&mut self) {
        self.shrink();
        self.threshold = self.cells.iter().fold(f32::INFINITY, |least, best| least.min(best.0));
    }

    fn shrink(&mut self) {
        if self.count < self.cells.len() {
            self.cells.select_nth_unstable_by(self.count, |a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            self.cells.truncate(self.count);
        }
    }
}

/// A gradient's score; one that is not a number counts as zero.
pub(super) fn magnitude(gradient: f32) -> f32 {
    if gradient.is_nan() { 0.0 } else { gradient.abs() }
}
