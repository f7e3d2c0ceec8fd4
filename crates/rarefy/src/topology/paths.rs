//! CH3-L3, the link prediction by which CHT grows connections (Muscoloni et al. 2020; Zhang et al. 2024).
//!
//! ```text
//! output u ---- a input       An absent connection u-v scores, summed over its paths u-a-b-v of three connections,
//!             /                   1 / sqrt((1 + e_a) (1 + e_b))
//! output b ---- v input       e_a: connections of a that lead neither to u nor to a b of any path u-a-b-v
//!                             e_b: connections of b that lead neither to v nor to an a of any path
//! ```
//!
//! `a` meets a path's `b` wherever a row has both `a` and `v`, so `1 + e_a = degree(a) - common rows of a and v`, and
//! likewise `1 + e_b = degree(b) - common columns of b and u`. The cost is the number of paths, twice; nothing dense but a
//! row of scores for each thread.

use rayon::prelude::*;

use super::select::Best;
use crate::sparse::Pattern;

/// Rows that are scored in one go. Fixed, so that sums do not depend on the number of threads.
const ROWS: usize = 16;
/// Pieces of so many rows whose best are listed side by side.
const AT_ONCE: usize = 64;

/// The `count` absent cells of the highest scores, in order; fewer if no more are joined by a path.
pub(super) fn best(live: &[usize], rows: usize, cols: usize, count: usize) -> Vec<usize> {
    let pattern = Pattern::from_cells(rows, cols, live.iter().copied());
    let longest = rows.max(cols);
    // Entry 0 is for cells that are live; their scores are of no interest.
    let roots: Vec<f32> =
        (0..=longest).map(|degree| if degree == 0 { 0.0 } else { 1.0 / (degree as f32).sqrt() }).collect();
    let starts: Vec<usize> = (0..rows).step_by(ROWS).collect();
    let mut all = Best::new(count);
    for starts in starts.chunks(AT_ONCE) {
        // What is no better than what was found need not be listed.
        let parts: Vec<Best> = starts
            .par_iter()
            .map_init(
                || Scores::new(rows, cols),
                |scores, &start| {
                    let mut best = all.beyond();
                    for row in start..(start + ROWS).min(rows) {
                        scores.fill(&pattern, &roots, row);
                        for (col, &score) in scores.row.iter().enumerate() {
                            if score > 0.0 {
                                best.offer(score, row * cols + col);
                            }
                        }
                    }
                    best
                },
            )
            .collect();
        parts.into_iter().for_each(|part| all.append(part));
    }
    all.into_cells()
}

/// The scores of one row's cells, and what they are computed with.
struct Scores {
    row: Vec<f32>,
    /// For each other row, its columns in common with the row at hand.
    common_columns: Vec<u32>,
    /// For each other column, its rows in common with the column at hand.
    common_rows: Vec<u32>,
}

impl Scores {
    fn new(rows: usize, cols: usize) -> Scores {
        Scores { row: vec![0.0; cols], common_columns: vec![0; rows], common_rows: vec![0; cols] }
    }

    fn fill(&mut self, pattern: &Pattern, roots: &[f32], u: usize) {
        let (rows, columns) = (pattern.index(), pattern.transpose());
        let row = |row: usize| &rows.indices()[rows.line(row)];
        let column = |col: usize| &columns.indices()[columns.line(col)];
        self.row.fill(0.0);
        self.common_columns.fill(0);
        for &a in row(u) {
            for &b in column(a as usize) {
                self.common_columns[b as usize] += 1;
            }
        }
        for &a in row(u) {
            let joined = column(a as usize);
            for &b in joined {
                for &v in row(b as usize) {
                    self.common_rows[v as usize] += 1;
                }
            }
            for &b in joined {
                let ends = row(b as usize);
                let root_b = roots[ends.len() - self.common_columns[b as usize] as usize];
                for &v in ends {
                    let root_a = roots[joined.len() - self.common_rows[v as usize] as usize];
                    self.row[v as usize] += root_a * root_b;
                }
            }
            for &b in joined {
                for &v in row(b as usize) {
                    self.common_rows[v as usize] = 0;
                }
            }
        }
        for &live in row(u) {
            self.row[live as usize] = 0.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, Stream};

    /// The definition, path by path, on sets.
    fn score(live: &[usize], rows: usize, cols: usize, u: usize, v: usize) -> f64 {
        let joined = |row: usize, col: usize| live.binary_search(&(row * cols + col)).is_ok();
        let paths: Vec<(usize, usize)> = (0..cols)
            .flat_map(|a| (0..rows).map(move |b| (a, b)))
            .filter(|&(a, b)| joined(u, a) && joined(b, a) && joined(b, v))
            .collect();
        let on_path_b = |row: usize| paths.iter().any(|&(_, b)| b == row);
        let on_path_a = |col: usize| paths.iter().any(|&(a, _)| a == col);
        paths
            .iter()
            .map(|&(a, b)| {
                let external_a = (0..rows).filter(|&r| joined(r, a) && r != u && !on_path_b(r)).count();
                let external_b = (0..cols).filter(|&c| joined(b, c) && c != v && !on_path_a(c)).count();
                1.0 / (((1 + external_a) * (1 + external_b)) as f64).sqrt()
            })
            .sum()
    }

    #[test]
    fn scores_are_those_of_the_definition() {
        for (rows, cols, nnz) in [(9, 7, 20), (20, 11, 40), (3, 30, 25)] {
            let live = Stream::new(5, Purpose::Bench, 0, nnz as u64).choose(rows * cols, nnz);
            let pattern = Pattern::from_cells(rows, cols, live.iter().copied());
            let roots: Vec<f32> =
                (0..40).map(|d| if d == 0 { 0.0 } else { (d as f32).sqrt().recip() }).collect();
            let mut scores = Scores::new(rows, cols);
            let mut absent = Vec::new();
            for u in 0..rows {
                scores.fill(&pattern, &roots, u);
                for v in (0..cols).filter(|&v| live.binary_search(&(u * cols + v)).is_err()) {
                    let expected = score(&live, rows, cols, u, v);
                    let got = f64::from(scores.row[v]);
                    assert!((got - expected).abs() < 1e-5 * (1.0 + expected), "{got} {expected}");
                    absent.push((expected, u * cols + v));
                }
            }
            let grown = best(&live, rows, cols, 5);
            assert_eq!(grown.len(), 5);
            let worst = grown.iter().map(|&cell| score(&live, rows, cols, cell / cols, cell % cols));
            let worst = worst.fold(f64::INFINITY, f64::min);
            let better = absent.iter().filter(|(score, cell)| *score > worst + 1e-5 && !grown.contains(cell));
            assert_eq!(better.count(), 0);
        }
    }

    /// ```text
    /// 0  [ x x . . ]     one path of three joins row 0 and column 2 (0-1-1-2); nothing leads to column 3
    /// 1  [ . x x . ]
    /// ```
    #[test]
    fn cells_without_a_path_are_not_candidates() {
        assert_eq!(best(&[0, 1, 5, 6], 2, 4, 10), [2, 4]);
    }
}
