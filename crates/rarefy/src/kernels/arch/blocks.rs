//! The three products of a matrix stored in row blocks: the rows of a block share what they read.
//!
//! ```text
//! Y[r]     = f(b[r] + sum over the blocks (c, w) of r's line of w[r] X[c])      a row of X is loaded once a block
//! dX[c]    = f'(X[c]) * sum over the blocks (c, w) of column c and their rows of w[r] dY[r]
//! dW[r, c] = sum over samples of dY[r] X[c]
//! ```
//! The second keeps the gradients of a block's rows in registers and adds to the rows of `dX`, so it needs no index by columns.
//! The third takes `P` samples of all rows of a block in one vector, turned once for a line of blocks, and repeats `P` samples of an
//! input as often; sums are added pair by pair until a number is left of each connection, in the order of the slots.
//!
//! Sums stay in registers: `BLOCK * BLOCK` of 16 lanes, `ROWS` rows of `PARTS` such parts of a row.

use std::ops::Range;

use super::arguments::Epilogue;
use super::lanes::{Arithmetic, Lanes, NONE, OnLanes, WIDTH};
use crate::sparse::{BlockLine, Blocks};
use crate::tiles::{HALF, LANES, Row};

/// Calls a function with as many rows and parts as registers have room for.
macro_rules! by_height {
    ($height:expr, $block:expr, $call:ident($($argument:expr),*)) => {
        match ($height, $block) {
            (8 | 16, 4) => $call::<A, 8, 2>($($argument),*),
            (4, 4) => $call::<A, 4, 4>($($argument),*),
            (2, 4) => $call::<A, 2, 4>($($argument),*),
            (2, _) => $call::<A, 2, 2>($($argument),*),
            _ => $call::<A, 4, 1>($($argument),*),
        }
    };
}

/// Some lines of blocks times one panel.
pub(in crate::kernels) struct Multiply<'a> {
    pub(in crate::kernels) blocks: &'a Blocks,
    pub(in crate::kernels) lines: Range<usize>,
    /// The panel's input, a row for each column.
    pub(in crate::kernels) input: &'a [Row],
    /// A row for each row of the lines.
    pub(in crate::kernels) output: &'a mut [Row],
    pub(in crate::kernels) epilogue: Epilogue<'a>,
    /// The result's first row of this panel, counted over all panels.
    pub(in crate::kernels) first_row: usize,
    /// Whether only the first half of the lanes is alive.
    pub(in crate::kernels) is_half: bool,
}

impl OnLanes for Multiply<'_> {
    #[inline(always)]
    fn run<A: Arithmetic, const BLOCK: usize>(mut self, arithmetic: A) {
        let blocks = self.blocks;
        assert_eq!(self.input.len(), blocks.pattern().cols(), "an input for each column");
        by_height!(blocks.height(), BLOCK, multiply_lines(arithmetic, &mut self));
    }
}

#[inline(always)]
fn multiply_lines<A: Arithmetic, const ROWS: usize, const PARTS: usize>(
    arithmetic: A,
    product: &mut Multiply<'_>,
) {
    let (blocks, height) = (product.blocks, product.blocks.height());
    let before = height * product.lines.start;
    for line in product.lines.clone() {
        let BlockLine { rows, columns, slots } = blocks.line(line);
        let values = &blocks.values()[slots];
        assert!(values.len() == columns.len() * height && height.is_multiple_of(ROWS));
        let output = &mut product.output[rows.start - before..rows.end - before];
        for part in 0..LANES / WIDTH / PARTS {
            if product.is_half && part * PARTS * WIDTH >= HALF {
                break;
            }
            for first in (0..height).step_by(ROWS) {
                let mut sums = [[arithmetic.load(&NONE); PARTS]; ROWS];
                for row in 0..ROWS {
                    let start = arithmetic.repeat(&[product.epilogue.start(rows.start + first + row)]);
                    sums[row] = [start; PARTS];
                }
                for (block, &column) in columns.iter().enumerate() {
                    // SAFETY: a pattern's columns are below its width, and there are as many inputs.
                    let input = unsafe { product.input.get_unchecked(column as usize) };
                    let input = load(arithmetic, part_of::<PARTS>(input, part));
                    for row in 0..ROWS {
                        // SAFETY: a line has `height` values for each block, and `first + ROWS` is no more than that.
                        let value = unsafe { values.get_unchecked(block * height + first + row) };
                        let value = arithmetic.repeat(&[*value]);
                        for at in 0..PARTS {
                            sums[row][at] = arithmetic.multiply_add(value, input[at], sums[row][at]);
                        }
                    }
                }
                for row in 0..ROWS {
                    store(arithmetic, sums[row], part_of_mut::<PARTS>(&mut output[first + row], part));
                }
            }
        }
        for (row, output) in rows.zip(output) {
            product.epilogue.end(product.first_row + row, &mut output.0);
        }
    }
}

/// The transposed product for some columns of one panel.
pub(in crate::kernels) struct Transposed<'a> {
    pub(in crate::kernels) blocks: &'a Blocks,
    pub(in crate::kernels) columns: Range<usize>,
    /// The panel's gradients, one row for each of the matrix.
    pub(in crate::kernels) gradient: &'a [Row],
    /// A row for each column of the range.
    pub(in crate::kernels) output: &'a mut [Row],
    pub(in crate::kernels) epilogue: Epilogue<'a>,
    /// The result's first row of this panel, counted over all panels.
    pub(in crate::kernels) first_row: usize,
    /// Whether only the first half of the lanes is alive.
    pub(in crate::kernels) is_half: bool,
}

impl OnLanes for Transposed<'_> {
    #[inline(always)]
    fn run<A: Arithmetic, const BLOCK: usize>(mut self, arithmetic: A) {
        let blocks = self.blocks;
        assert_eq!(self.output.len(), self.columns.len(), "a row for each column");
        self.output.fill(Row::ZERO);
        by_height!(blocks.height(), BLOCK, add_lines(arithmetic, &mut self));
        for (column, output) in self.columns.zip(self.output) {
            self.epilogue.end(self.first_row + column, &mut output.0);
        }
    }
}

#[inline(always)]
fn add_lines<A: Arithmetic, const ROWS: usize, const PARTS: usize>(
    arithmetic: A,
    product: &mut Transposed<'_>,
) {
    let (blocks, height, range) = (product.blocks, product.blocks.height(), product.columns.clone());
    let is_whole = range == (0..blocks.pattern().cols());
    // A part of all lines after the other: half the rows are half as much to keep in the cache.
    for part in 0..LANES / WIDTH / PARTS {
        if product.is_half && part * PARTS * WIDTH >= HALF {
            break;
        }
        for line in 0..blocks.pattern().rows() {
            let BlockLine { rows, mut columns, slots } = blocks.line(line);
            let mut values = &blocks.values()[slots];
            assert!(values.len() == columns.len() * height && height.is_multiple_of(ROWS));
            if !is_whole {
                let before = |end: usize| columns.partition_point(|&column| (column as usize) < end);
                let here = before(range.start)..before(range.end);
                values = &values[here.start * height..here.end * height];
                columns = &columns[here];
            }
            let gradient = &product.gradient[rows];
            for first in (0..height).step_by(ROWS) {
                let mut gradients = [[arithmetic.load(&NONE); PARTS]; ROWS];
                for row in 0..ROWS {
                    gradients[row] = load(arithmetic, part_of::<PARTS>(&gradient[first + row], part));
                }
                for (block, &column) in columns.iter().enumerate() {
                    // SAFETY: these columns are in the range, which has an output for each.
                    let output = unsafe { product.output.get_unchecked_mut(column as usize - range.start) };
                    let output = part_of_mut::<PARTS>(output, part);
                    let mut sums = load(arithmetic, output);
                    for row in 0..ROWS {
                        // SAFETY: there are `height` values for each block, and `first + ROWS` is no more than that.
                        let value = unsafe { values.get_unchecked(block * height + first + row) };
                        let value = arithmetic.repeat(&[*value]);
                        for at in 0..PARTS {
                            sums[at] = arithmetic.multiply_add(value, gradients[row][at], sums[at]);
                        }
                    }
                    store(arithmetic, sums, output);
                }
            }
        }
    }
}

/// The gradients of some blocks by one panel.
pub(in crate::kernels) struct Gradient<'a> {
    pub(in crate::kernels) blocks: &'a Blocks,
    /// Which, in the order of the pattern.
    pub(in crate::kernels) range: Range<usize>,
    /// The panel's gradients, one row for each of the matrix.
    pub(in crate::kernels) gradient: &'a [Row],
    /// The panel's input, a row for each column.
    pub(in crate::kernels) input: &'a [Row],
    /// A number for each slot of these blocks.
    pub(in crate::kernels) out: &'a mut [f32],
    /// Whether they are added to what is there.
    pub(in crate::kernels) accumulate: bool,
    /// Whether only the first half of the lanes is alive.
    pub(in crate::kernels) is_half: bool,
}

impl OnLanes for Gradient<'_> {
    #[inline(always)]
    fn run<A: Arithmetic, const BLOCK: usize>(self, arithmetic: A) {
        let Gradient { blocks, range, gradient, input, out, accumulate, is_half } = self;
        let (index, height) = (blocks.pattern().index(), blocks.height());
        assert_eq!(input.len(), index.width(), "an input for each column");
        let mut line = index.offsets().partition_point(|&offset| offset as usize <= range.start) - 1;
        let mut start = range.start;
        let mut turned = Turned([NONE; 32]);
        while start < range.end {
            let end = index.line(line).end.min(range.end);
            let columns = &index.indices()[start..end];
            let out = &mut out[height * (start - range.start)..height * (end - range.start)];
            let dots = Dots { columns, input, out, height, accumulate, is_half, turned: &mut turned };
            let gradient = &gradient[blocks.line(line).rows];
            match (height, BLOCK) {
                (8 | 16, 4) => line_dots::<A, 8, 4, 8>(arithmetic, dots, gradient),
                (8 | 16, _) => line_dots::<A, 8, 4, 2>(arithmetic, dots, gradient),
                (4, 4) => line_dots::<A, 4, 8, 8>(arithmetic, dots, gradient),
                (4, _) => line_dots::<A, 4, 8, 2>(arithmetic, dots, gradient),
                (_, 4) => line_dots::<A, 2, 16, 8>(arithmetic, dots, gradient),
                _ => line_dots::<A, 2, 16, 2>(arithmetic, dots, gradient),
            }
            (start, line) = (end, line + 1);
        }
    }
}

/// `P` samples of each of `N` rows in two vectors (`N * P` is 32), then the next samples'. Aligned, because a vector that lies in two
/// cache lines takes two loads.
#[repr(align(64))]
struct Turned([Lanes; 32]);

/// The most blocks that [`group`] takes at a time.
const MOST_SIDE: usize = 8;

/// Products of a line's gradients with the inputs of its blocks.
struct Dots<'a> {
    columns: &'a [u32],
    input: &'a [Row],
    /// `height` numbers for each column.
    out: &'a mut [f32],
    height: usize,
    accumulate: bool,
    is_half: bool,
    turned: &'a mut Turned,
}

/// `N` rows at a time, and as many blocks at a time as sums have room for.
#[inline(always)]
fn line_dots<A: Arithmetic, const N: usize, const P: usize, const SIDE: usize>(
    arithmetic: A,
    mut dots: Dots<'_>,
    gradient: &[Row],
) {
    let height = dots.height;
    assert!(dots.out.len() == dots.columns.len() * height && height.is_multiple_of(N));
    for first in (0..height).step_by(N) {
        for row in 0..N {
            let steps = dots.turned.0.as_flattened_mut().as_chunks_mut::<P>().0;
            for (step, samples) in gradient[first + row].0.as_chunks::<P>().0.iter().enumerate() {
                steps[step * N + row] = *samples;
            }
        }
        let mut block = 0;
        while block + SIDE <= dots.columns.len() {
            // SAFETY: columns are below the width, and there are as many inputs.
            unsafe { group::<A, N, P, SIDE>(arithmetic, &mut dots, block..block + SIDE, first) };
            block += SIDE;
        }
        while block < dots.columns.len() {
            let end = dots.columns.len().min(block + 2);
            // SAFETY: as above.
            unsafe { group::<A, N, P, 2>(arithmetic, &mut dots, block..end, first) };
            block = end;
        }
    }
}

/// The gradients of at most `SIDE` blocks for `N` rows from row `first` of each.
///
/// # Safety
/// All columns are numbers of inputs.
#[inline(always)]
unsafe fn group<A: Arithmetic, const N: usize, const P: usize, const SIDE: usize>(
    arithmetic: A,
    dots: &mut Dots<'_>,
    blocks: Range<usize>,
    first: usize,
) {
    let zero = arithmetic.load(&NONE);
    let mut inputs: [&[[f32; P]]; SIDE] = [&[]; SIDE];
    for (at, input) in inputs.iter_mut().enumerate() {
        // Beyond the last block the first once more.
        let block = if at < blocks.len() { blocks.start + at } else { blocks.start };
        // SAFETY: as the caller promises.
        *input = unsafe { dots.input.get_unchecked(dots.columns[block] as usize) }.0.as_chunks::<P>().0;
    }
    let mut sums = [[zero; 2]; SIDE];
    let steps = if dots.is_half { HALF / P } else { LANES / P };
    for step in 0..steps {
        let gradients = load(arithmetic, &dots.turned.0.as_chunks::<2>().0[step]);
        for at in 0..SIDE {
            // SAFETY: a row has `LANES / P` times `P` samples.
            let input = arithmetic.repeat(unsafe { inputs[at].get_unchecked(step) });
            for half in 0..2 {
                sums[at][half] = arithmetic.multiply_add(gradients[half], input, sums[at][half]);
            }
        }
    }
    // Copied one by one: a function that is lent all of them would have them written to memory in each step above.
    let mut pairs = [zero; 2 * MOST_SIDE];
    for at in 0..SIDE {
        (pairs[2 * at], pairs[2 * at + 1]) = (sums[at][0], sums[at][1]);
    }
    let (mut sums, mut left, mut parts) = (pairs, 2 * SIDE, P);
    while parts > 1 {
        for pair in 0..left.div_ceil(2) {
            let second = if 2 * pair + 1 < left { sums[2 * pair + 1] } else { zero };
            sums[pair] = arithmetic.add_pairs(sums[2 * pair], second);
        }
        (left, parts) = (left.div_ceil(2), parts / 2);
    }
    let (height, count) = (dots.height, blocks.len());
    let out = &mut dots.out[blocks.start * height..blocks.end * height];
    if height == N && count == SIDE && (SIDE * N).is_multiple_of(WIDTH) {
        for (out, &sums) in out.as_chunks_mut::<WIDTH>().0.iter_mut().zip(&sums) {
            let sums = if dots.accumulate { arithmetic.add(arithmetic.load(out), sums) } else { sums };
            arithmetic.store(sums, out);
        }
        return;
    }
    let mut found = [NONE; SIDE];
    for (found, &sums) in found.iter_mut().zip(&sums[..left]) {
        arithmetic.store(sums, found);
    }
    for (out, found) in out.chunks_exact_mut(height).zip(found.as_flattened().chunks_exact(N)) {
        for (out, found) in out[first..first + N].iter_mut().zip(found) {
            *out = if dots.accumulate { *out + found } else { *found };
        }
    }
}

/// A part of a row, `PARTS` times 16 lanes.
#[inline(always)]
fn part_of<const PARTS: usize>(row: &Row, part: usize) -> &[Lanes; PARTS] {
    &row.0.as_chunks::<WIDTH>().0.as_chunks::<PARTS>().0[part]
}

#[inline(always)]
fn part_of_mut<const PARTS: usize>(row: &mut Row, part: usize) -> &mut [Lanes; PARTS] {
    &mut row.0.as_chunks_mut::<WIDTH>().0.as_chunks_mut::<PARTS>().0[part]
}

#[inline(always)]
fn load<A: Arithmetic, const PARTS: usize>(arithmetic: A, from: &[Lanes; PARTS]) -> [A::Sums; PARTS] {
    let mut sums = [arithmetic.load(&NONE); PARTS];
    for at in 0..PARTS {
        sums[at] = arithmetic.load(&from[at]);
    }
    sums
}

#[inline(always)]
fn store<A: Arithmetic, const PARTS: usize>(arithmetic: A, sums: [A::Sums; PARTS], to: &mut [Lanes; PARTS]) {
    for at in 0..PARTS {
        arithmetic.store(sums[at], &mut to[at]);
    }
}
