//! A weight matrix in row blocks as topology methods see it: a matrix of the blocks, each worth the norm of its numbers. So a rule that
//! chooses connections chooses blocks, and there is no second set of rules.

use std::ops::Range;

use super::{CellGradients, SharedRows, View};
use crate::sparse::{Pattern, Storage, Weights};

/// A matrix of which a row stands for `height` rows, and a connection for a block.
pub struct Blocked {
    height: usize,
    /// The norms of the blocks' weights.
    weights: Weights,
    /// The norms of their gradients, in the order of the slots.
    gradients: Vec<f32>,
}

impl Blocked {
    /// That of a matrix in row blocks; `gradients` has a number for each slot, or none if a rule asks for none.
    ///
    /// # Panics
    /// If it is none.
    pub fn of(weights: &Weights, gradients: &[f32]) -> Blocked {
        let pattern = weights.pattern().expect("blocks are listed").clone();
        let norms = weights.worth(weights.values()).into_owned();
        Blocked {
            height: weights.block_height(),
            gradients: weights.worth(gradients).into_owned(),
            weights: Weights::of_live_values(pattern, Storage::Sparse, norms),
        }
    }

    /// What an update sees of the blocks, where `view` is what it would see of the connections.
    pub fn view<'a>(&'a self, view: View<'a>) -> View<'a> {
        View {
            weights: &self.weights,
            gradients: &self.gradients,
            target: (view.target / self.height).max(1),
            block: self.height,
            absent: self.absent(view.absent),
            ..view
        }
    }

    /// The norms of absent blocks' gradients, from what finds those of absent connections.
    fn absent<'a>(&self, mut of_cells: CellGradients<'a>) -> CellGradients<'a> {
        let (height, cols) = (self.height, self.weights.cols());
        let rows = height * self.weights.rows();
        let mut numbers = Vec::new();
        let shared = of_cells.shared.take().map(|SharedRows { rows: mut of_rows, gather }| {
            let mut numbers = Vec::new();
            let of_lines = move |lines: Range<usize>, out: &mut [f32]| {
                numbers.resize(lines.len() * height * cols, 0.0);
                let own = of_rows(lines.start * height..lines.end * height, &mut numbers);
                let own: Vec<Range<usize>> =
                    own.into_iter().map(|rows| rows.start / height..rows.end / height).collect();
                for own in &own {
                    let (first, end) = (own.start - lines.start, own.end - lines.start);
                    let numbers = &numbers[first * height * cols..end * height * cols];
                    norms(numbers, height, cols, &mut out[first * cols..end * cols]);
                }
                own
            };
            SharedRows { rows: Box::new(of_lines), gather }
        });
        CellGradients {
            shared,
            rows: Box::new(move |lines, out| {
                numbers.resize(lines.len() * height * cols, 0.0);
                (of_cells.rows)(lines.start * height..lines.end * height, &mut numbers);
                norms(&numbers, height, cols, out);
            }),
            cells: Box::new(move |blocks, out| {
                let mut weights = Weights::zeros_in_blocks(height, blocks.clone());
                let cells: Vec<usize> = weights.connections().map(|(cell, _)| cell).collect();
                let mut gradients = vec![0.0; cells.len()];
                (of_cells.cells)(&Pattern::from_cells(rows, cols, cells.into_iter()), &mut gradients);
                weights.set_live_values(gradients);
                out.copy_from_slice(&weights.worth(weights.values()));
            }),
        }
    }
}

/// Writes the norms of blocks of `height` rows of `cols` numbers.
fn norms(numbers: &[f32], height: usize, cols: usize, out: &mut [f32]) {
    out.fill(0.0);
    for (row, gradients) in numbers.chunks_exact(cols.max(1)).enumerate() {
        let squares = &mut out[row / height * cols..][..cols];
        squares.iter_mut().zip(gradients).for_each(|(square, gradient)| *square += gradient * gradient);
    }
    out.iter_mut().for_each(|square| *square = square.sqrt());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Six rows of three columns in blocks of two; the gradient of a cell is its number.
    #[test]
    fn a_block_is_worth_the_norm_of_its_rows() {
        let pattern = Pattern::from_cells(3, 3, [0, 2, 4, 8].into_iter());
        let mut weights = Weights::zeros_in_blocks(2, pattern.clone());
        let cells: Vec<f32> = weights.connections().map(|(cell, _)| cell as f32).collect();
        weights.set_live_values(cells);
        let norm = |cells: [f32; 2]| (cells[0] * cells[0] + cells[1] * cells[1]).sqrt();
        let of_live = [norm([0.0, 3.0]), norm([2.0, 5.0]), norm([7.0, 10.0]), norm([14.0, 17.0])];
        let blocked = Blocked::of(&weights, weights.values());
        assert_eq!((blocked.weights.values(), &blocked.gradients[..]), (&of_live[..], &of_live[..]));
        assert_eq!(blocked.weights.pattern(), Some(&pattern));
        let of_cells = CellGradients {
            shared: None,
            rows: Box::new(|rows, out| {
                (rows.start * 3..rows.end * 3).zip(out).for_each(|(cell, out)| *out = cell as f32);
            }),
            cells: Box::new(|pattern, out| {
                pattern.cells().zip(out).for_each(|(cell, out)| *out = cell as f32);
            }),
        };
        let mut absent = blocked.absent(of_cells);
        let mut of_lines = [f32::NAN; 6];
        (absent.rows)(1..3, &mut of_lines);
        let expected =
            [[6.0, 9.0], [7.0, 10.0], [8.0, 11.0], [12.0, 15.0], [13.0, 16.0], [14.0, 17.0]].map(norm);
        assert_eq!(of_lines, expected);
        for blocks in [pattern, Pattern::full(3, 3)] {
            let mut found = vec![f32::NAN; blocks.nnz()];
            (absent.cells)(&blocks, &mut found);
            let expected = |block: usize| {
                let first = (block / 3 * 6 + block % 3) as f32;
                norm([first, first + 3.0])
            };
            assert_eq!(found, blocks.cells().map(expected).collect::<Vec<f32>>());
        }
    }
}
