//! Sparse times tiles: `Y[r] = epilogue(sum over the entries (c, v) of line r of v * X[c])`.
//!
//! For each output row 64 sums stay in registers while the loop walks the row's entries; each entry costs one
//! broadcast and 64 multiply-adds on an aligned row that comes from the L2 cache. That row's read is the bound: about
//! 39 % of the FMA peak on Zen 5 and 50 % on Zen 4.
//!
//! Tried and left: two entries at a time in separate sums (no gain, the loop waits for L2, not for the adder);
//! fetching rows ahead (3-10 % slower at 1024; at 4096 5 % faster at density 0.1, 5 % slower at 0.01).

use std::ops::Range;

use super::arch::operand::Operand;
use super::arch::{Epilogue, HALVES, Isa, Lines};
use super::panels::Panels;
use super::split::{par_chunks, split_tiles};
use crate::sparse::{Index, KEPT_PLACES, Pattern, Sparse};
use crate::tiles::Row;

/// Entries times rows below which a piece of work is not split between threads: about five microseconds.
const GRAIN: usize = 4096;

/// Computes all lines of all panels. `input` has `index`'s columns as rows per panel, `output` its lines.
pub(super) fn spmm<R: Operand>(
    isa: Isa,
    (index, values): (&Index, &[f32]),
    input: &[R],
    output: &mut [Row],
    panels: Panels,
    epilogue: Epilogue<'_>,
) {
    assert_eq!(values.len(), index.indices().len(), "one value per entry");
    let columns = input.len() / panels.count().max(1);
    let whole = if R::has_halves(isa) { panels.whole() } else { panels.count() };
    let (output, halves) = output.split_at_mut(whole * index.lines());
    split_tiles(0..whole, output, index.lines(), &|panel, output| {
        let input = &input[panel * columns..][..columns];
        let is_half = panels.is_half(panel / panels.positions);
        let lines =
            Lines { index, values, input, epilogue, first_row: panel * index.lines(), accumulate: false };
        split_lines(index, 0..index.lines(), output, &|range, output: &mut [Row]| {
            R::spmm(isa, &lines, range, output, is_half);
        });
    });
    par_chunks(halves, HALVES * index.lines().max(1), &|start, output| {
        let panel = whole + start / index.lines();
        let rows = &input[panel * columns..][..output.len() / index.lines() * columns];
        let first_row = panel * index.lines();
        let lines = Lines { index, values, input: rows, epilogue, first_row, accumulate: false };
        R::spmm_halves(isa, &lines, output);
    });
}

/// Halves a range of lines by their entries until a piece is small.
fn split_lines(
    index: &Index,
    range: Range<usize>,
    output: &mut [Row],
    work: &(dyn Fn(Range<usize>, &mut [Row]) + Sync),
) {
    let offsets = index.offsets();
    let cost = |line: usize| offsets[line] as usize + 2 * line;
    let (start, end) = (cost(range.start), cost(range.end));
    if end - start <= GRAIN || range.len() <= 1 {
        return work(range, output);
    }
    let half = start + (end - start) / 2;
    // The line whose end is nearest to half of the work.
    let (mut low, mut high) = (range.start + 1, range.end - 1);
    while low < high {
        let middle = low + (high - low) / 2;
        if cost(middle) < half { low = middle + 1 } else { high = middle }
    }
    let (left, right) = output.split_at_mut(low - range.start);
    rayon::join(
        || split_lines(index, range.start..low, left, work),
        || split_lines(index, low..range.end, right, work),
    );
}

/// The index by columns and the values in its order, which are put into `workspace` once a pass: one random read or write per
/// weight here, instead of one random read per weight and tile in the loop.
pub(super) fn gather_columns<'a>(sparse: &'a Sparse, workspace: &'a mut Vec<f32>) -> (&'a Index, &'a [f32]) {
    workspace.resize(sparse.values().len(), 0.0);
    if workspace.len() > KEPT_PLACES {
        count_columns(sparse, workspace, rayon::current_num_threads());
    } else {
        let (places, values) = (sparse.pattern().row_places(), sparse.values());
        par_chunks(workspace, 8192, &|start, chunk| {
            for (value, &place) in chunk.iter_mut().zip(&places[start..]) {
                *value = values[place as usize];
            }
        });
    }
    (sparse.pattern().transpose(), workspace)
}

/// Puts the values into column order without a list of their places. Each piece goes through all rows, so there are to be no
/// more than threads to do it.
fn count_columns(sparse: &Sparse, out: &mut [f32], pieces: usize) {
    let pattern = sparse.pattern();
    // Of this pass alone: several may go through one network at once. That is little beside so many connections.
    let mut next = pattern.transpose().offsets()[..pattern.cols()].to_vec();
    put_columns(pattern, sparse.values(), 0..pattern.cols(), &mut next, out, pieces);
}

/// Puts the values of some columns into column order: `next` has the place where each begins, `out` those of all of them.
fn put_columns(
    pattern: &Pattern,
    values: &[f32],
    columns: Range<usize>,
    next: &mut [u32],
    out: &mut [f32],
    pieces: usize,
) {
    let offsets = pattern.transpose().offsets();
    let first = offsets[columns.start];
    if pieces > 1 && columns.len() > 1 {
        // So many connections on either side.
        let half = first + (offsets[columns.end] - first) / 2;
        let middle = columns.start + offsets[columns.clone()].partition_point(|&offset| offset < half);
        let middle = middle.clamp(columns.start + 1, columns.end - 1);
        let (left_next, right_next) = next.split_at_mut(middle - columns.start);
        let (left, right) = out.split_at_mut((offsets[middle] - first) as usize);
        rayon::join(
            || put_columns(pattern, values, columns.start..middle, left_next, left, pieces / 2),
            || put_columns(pattern, values, middle..columns.end, right_next, right, pieces - pieces / 2),
        );
        return;
    }
    let is_whole = columns == (0..pattern.cols());
    for row in 0..pattern.rows() {
        let line = pattern.index().line(row);
        let (mut cols, mut values) = (&pattern.index().indices()[line.clone()], &values[line]);
        if !is_whole {
            let before = |end: usize| cols.partition_point(|&col| (col as usize) < end);
            let part = before(columns.start)..before(columns.end);
            (cols, values) = (&cols[part.clone()], &values[part]);
        }
        for (&col, &value) in cols.iter().zip(values) {
            let place = &mut next[col as usize - columns.start];
            out[(*place - first) as usize] = value;
            *place += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, Stream};
    use crate::sparse::{Storage, Weights};

    #[test]
    fn values_by_column_are_the_same_counted_or_looked_up() {
        let mut stream = Stream::new(5, Purpose::Bench, 0, 0);
        for (rows, cols, nnz) in [(1, 1, 1), (7, 5, 20), (40, 90, 700), (3, 200, 0)] {
            let pattern = Pattern::random(rows, cols, nnz, &mut stream);
            let mut weights = Weights::zeros(pattern, Storage::Sparse);
            weights.values_mut().iter_mut().zip(1u16..).for_each(|(value, at)| *value = f32::from(at));
            let Weights::Sparse(sparse) = &weights else { panic!("compressed storage was asked for") };
            let looked_up = gather_columns(sparse, &mut Vec::new()).1.to_vec();
            for pieces in 1..5 {
                let mut counted = vec![0.0; nnz];
                count_columns(sparse, &mut counted, pieces);
                assert_eq!(counted, looked_up, "{rows} x {cols}, {nnz} in {pieces} pieces");
            }
        }
    }
}
