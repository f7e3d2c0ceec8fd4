//! The three products of a matrix stored in row blocks: the rows of a block share what they read.
//!
//! ```text
//! Y[r]     = f(b[r] + sum over the blocks (c, w) of r's line of w[r] X[c])      a row of X is loaded once a block
//! dX[c]    = f'(X[c]) * sum over the blocks (c, w) of column c and their rows of w[r] dY[r]
//! dW[r, c] = sum over samples of dY[r] X[c]
//! ```
//! Of a convolution `X[c]` is what a window reads for column `c`, and the second goes from window to window.
//! The second keeps the gradients of a block's rows in registers and adds to the rows of `dX`, so it needs no index by columns.
//! The third takes `P` samples of all rows of a block in two vectors, turned once for a line of blocks, and repeats `P` samples of an
//! input as often; sums are added pair by pair until a number is left of each connection, in the order of the slots.
//!
//! Sums stay in registers: `BLOCK * BLOCK` of 16 lanes, `ROWS` rows of `PARTS` such parts of a row.

use std::ops::Range;

use super::arguments::Epilogue;
use super::lanes::{Arithmetic, Lanes, NONE, OnLanes, WIDTH};
use crate::kernels::windows::{OUTSIDE, Windows};
use crate::sparse::{BlockLine, Blocks};
use crate::tiles::{HALF, LANES, Row};

/// Calls a function with as many rows and parts as registers have room for.
macro_rules! by_height {
    ($height:expr, $block:expr, $call:ident($($argument:expr),*)) => {
        match ($height, $block) {
            (8 | 16, 4) => $call::<A, _, 8, 2>($($argument),*),
            (4, 4) => $call::<A, _, 4, 4>($($argument),*),
            (2, 4) => $call::<A, _, 2, 4>($($argument),*),
            (2, _) => $call::<A, _, 2, 2>($($argument),*),
            _ => $call::<A, _, 4, 1>($($argument),*),
        }
    };
}

/// A row of samples as the numbers that [`Arithmetic`] takes, a multiple of 16 lanes: an `f32` each, or a pair of bf16.
pub(in crate::kernels) trait Numbers: 'static {
    const COUNT: usize;

    /// As many.
    fn numbers(&self) -> &[f32];
}

impl Numbers for Row {
    const COUNT: usize = LANES;

    #[inline(always)]
    fn numbers(&self) -> &[f32] {
        &self.0
    }
}

/// Where a product finds the row of each column.
pub(in crate::kernels) trait Inputs<'a, R = Row>: Copy {
    /// For how many columns there is a row.
    fn columns(self) -> usize;

    /// # Safety
    /// The column is below [`Inputs::columns`].
    unsafe fn row(self, column: u32) -> &'a R;
}

impl<'a, R> Inputs<'a, R> for &'a [R] {
    #[inline(always)]
    fn columns(self) -> usize {
        self.len()
    }

    #[inline(always)]
    unsafe fn row(self, column: u32) -> &'a R {
        // SAFETY: as the caller promises.
        unsafe { self.get_unchecked(column as usize) }
    }
}

/// What a window of a convolution reads: at each offset of the kernel the rows of a group's channels.
#[derive(Clone, Copy)]
pub(in crate::kernels) struct WindowInputs<'a, R = Row> {
    rows: &'a [&'a [R]],
    places: &'a [u32],
}

impl<'a, R> WindowInputs<'a, R> {
    /// # Panics
    /// If there are not rows for the channels of a group at each offset.
    #[inline(always)]
    pub(in crate::kernels) fn new(windows: &'a Windows, rows: &'a [&'a [R]]) -> WindowInputs<'a, R> {
        let (offsets, channels) = (windows.geometry.offsets(), windows.channels_of_group());
        assert!(rows.len() == offsets && rows.iter().all(|rows| rows.len() == channels));
        WindowInputs { rows, places: &windows.places }
    }
}

impl<'a, R: Copy> Inputs<'a, R> for WindowInputs<'a, R> {
    #[inline(always)]
    fn columns(self) -> usize {
        self.places.len()
    }

    #[inline(always)]
    unsafe fn row(self, column: u32) -> &'a R {
        // SAFETY: the column is one, as the caller promises, and windows have the offset and the channel of each of their columns
        // there: below the offsets, and below the channels of a group.
        unsafe {
            let at = *self.places.get_unchecked(column as usize);
            self.rows.get_unchecked(at as usize & 0xff).get_unchecked((at >> 8) as usize)
        }
    }
}

/// Some lines of blocks times one panel.
pub(in crate::kernels) struct Multiply<'a, I> {
    pub(in crate::kernels) blocks: &'a Blocks,
    pub(in crate::kernels) lines: Range<usize>,
    /// The panel's input, a row for each column.
    pub(in crate::kernels) input: I,
    /// A row for each row of the lines.
    pub(in crate::kernels) output: &'a mut [Row],
    pub(in crate::kernels) epilogue: Epilogue<'a>,
    /// The result's first row of this panel, counted over all panels.
    pub(in crate::kernels) first_row: usize,
    /// Whether sums begin with what the output holds.
    pub(in crate::kernels) accumulate: bool,
    /// Whether only the first half of the lanes is alive.
    pub(in crate::kernels) is_half: bool,
}

impl<'a, I: Inputs<'a>> OnLanes for Multiply<'a, I> {
    #[inline(always)]
    fn run<A: Arithmetic, const BLOCK: usize>(mut self, arithmetic: A) {
        let blocks = self.blocks;
        assert_eq!(self.input.columns(), blocks.pattern().cols(), "an input for each column");
        by_height!(blocks.height(), BLOCK, multiply_lines(arithmetic, &mut self));
    }
}

#[inline(always)]
fn multiply_lines<'a, A: Arithmetic, I: Inputs<'a>, const ROWS: usize, const PARTS: usize>(
    arithmetic: A,
    product: &mut Multiply<'a, I>,
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
                    sums[row] = if product.accumulate {
                        load(arithmetic, part_of::<PARTS>(&output[first + row], part))
                    } else {
                        [arithmetic.repeat(&[product.epilogue.start(rows.start + first + row)]); PARTS]
                    };
                }
                for (block, &column) in columns.iter().enumerate() {
                    // SAFETY: a pattern's columns are below its width, and there are as many inputs.
                    let input = unsafe { product.input.row(column) };
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
            arithmetic.end(&product.epilogue, product.first_row + row, &mut output.0);
        }
    }
}

/// Where a transposed product adds what belongs to each column.
pub(in crate::kernels) trait Outputs {
    /// How many columns it knows.
    fn columns(&self) -> usize;

    /// Of the columns of a line's blocks, which rise, those that it looks at.
    fn part(&self, columns: &[u32]) -> Range<usize>;

    /// The row of a column; `None` if there is none.
    ///
    /// # Safety
    /// The column is below [`Outputs::columns`], and one of a [`part`](Outputs::part).
    unsafe fn row(&mut self, column: u32) -> Option<&mut Row>;
}

/// Some columns of a panel.
pub(in crate::kernels) struct ColumnOutputs<'a> {
    rows: &'a mut [Row],
    first: usize,
    columns: usize,
}

impl<'a> ColumnOutputs<'a> {
    /// Rows for the columns from `first` on, of `columns` in all.
    pub(in crate::kernels) fn new(rows: &'a mut [Row], first: usize, columns: usize) -> ColumnOutputs<'a> {
        assert!(first + rows.len() <= columns, "a column for each row");
        ColumnOutputs { rows, first, columns }
    }
}

impl Outputs for ColumnOutputs<'_> {
    #[inline(always)]
    fn columns(&self) -> usize {
        self.columns
    }

    #[inline(always)]
    fn part(&self, columns: &[u32]) -> Range<usize> {
        if self.rows.len() == self.columns {
            return 0..columns.len();
        }
        let before = |end: usize| columns.partition_point(|&column| (column as usize) < end);
        before(self.first)..before(self.first + self.rows.len())
    }

    #[inline(always)]
    unsafe fn row(&mut self, column: u32) -> Option<&mut Row> {
        // SAFETY: the column is one of these, as the caller promises.
        Some(unsafe { self.rows.get_unchecked_mut(column as usize - self.first) })
    }
}

/// What a window of a convolution reads, as far as it is among some positions of the input and some channels of each group.
pub(in crate::kernels) struct WindowOutputs<'a> {
    rows: &'a mut [Row],
    firsts: &'a [u32],
    places: &'a [u32],
    /// Those of the channels.
    part: Range<u32>,
}

impl<'a> WindowOutputs<'a> {
    /// `firsts` has for each offset of the kernel the row of a group's first channel, or [`OUTSIDE`].
    ///
    /// # Panics
    /// If there are not as many offsets, or rows.
    pub(in crate::kernels) fn new(
        windows: &'a Windows,
        channels: Range<usize>,
        rows: &'a mut [Row],
        firsts: &'a [u32],
    ) -> WindowOutputs<'a> {
        let (offsets, all) = (windows.geometry.offsets(), windows.channels_of_group());
        let is_there = |&first: &u32| first == OUTSIDE || first as usize + all <= rows.len();
        assert!(firsts.len() == offsets && firsts.iter().all(is_there));
        let part = (channels.start * offsets) as u32..(channels.end * offsets) as u32;
        WindowOutputs { rows, firsts, places: &windows.places, part }
    }
}

impl Outputs for WindowOutputs<'_> {
    #[inline(always)]
    fn columns(&self) -> usize {
        self.places.len()
    }

    #[inline(always)]
    fn part(&self, columns: &[u32]) -> Range<usize> {
        if self.part.len() == self.places.len() {
            return 0..columns.len();
        }
        let before = |end: u32| columns.partition_point(|&column| column < end);
        before(self.part.start)..before(self.part.end)
    }

    #[inline(always)]
    unsafe fn row(&mut self, column: u32) -> Option<&mut Row> {
        // SAFETY: as for `WindowInputs`.
        unsafe {
            let at = *self.places.get_unchecked(column as usize);
            match *self.firsts.get_unchecked(at as usize & 0xff) {
                OUTSIDE => None,
                first => Some(self.rows.get_unchecked_mut(first as usize + (at >> 8) as usize)),
            }
        }
    }
}

/// Adds the transposed product of some lines for one panel.
pub(in crate::kernels) struct Transposed<'a, O, R = Row> {
    pub(in crate::kernels) blocks: &'a Blocks,
    pub(in crate::kernels) lines: Range<usize>,
    /// The panel's gradients, one row for each of the matrix.
    pub(in crate::kernels) gradient: &'a [R],
    pub(in crate::kernels) output: O,
    /// Whether only the first half of the lanes is alive.
    pub(in crate::kernels) is_half: bool,
}

impl<O: Outputs> OnLanes for Transposed<'_, O> {
    #[inline(always)]
    fn run<A: Arithmetic, const BLOCK: usize>(mut self, arithmetic: A) {
        assert_eq!(self.output.columns(), self.blocks.pattern().cols(), "all columns are known");
        by_height!(self.blocks.height(), BLOCK, add_lines(arithmetic, &mut self));
    }
}

#[inline(always)]
fn add_lines<A: Arithmetic, O: Outputs, const ROWS: usize, const PARTS: usize>(
    arithmetic: A,
    product: &mut Transposed<'_, O>,
) {
    let (blocks, height) = (product.blocks, product.blocks.height());
    // A part of all lines after the other: half the rows are half as much to keep in the cache.
    for part in 0..LANES / WIDTH / PARTS {
        if product.is_half && part * PARTS * WIDTH >= HALF {
            break;
        }
        for line in product.lines.clone() {
            let BlockLine { rows, columns, slots } = blocks.line(line);
            let values = &blocks.values()[slots];
            assert!(values.len() == columns.len() * height && height.is_multiple_of(ROWS));
            let here = product.output.part(columns);
            let (columns, values) = (&columns[here.clone()], &values[here.start * height..here.end * height]);
            let gradient = &product.gradient[rows];
            for first in (0..height).step_by(ROWS) {
                let mut gradients = [[arithmetic.load(&NONE); PARTS]; ROWS];
                for row in 0..ROWS {
                    gradients[row] = load(arithmetic, part_of::<PARTS>(&gradient[first + row], part));
                }
                for (block, &column) in columns.iter().enumerate() {
                    // SAFETY: a pattern's columns are below its width, and all of them are known.
                    let Some(output) = (unsafe { product.output.row(column) }) else { continue };
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
pub(in crate::kernels) struct Gradient<'a, I, R = Row> {
    pub(in crate::kernels) blocks: &'a Blocks,
    /// Which, in the order of the pattern.
    pub(in crate::kernels) range: Range<usize>,
    /// The panel's gradients, one row for each of the matrix.
    pub(in crate::kernels) gradient: &'a [R],
    /// The panel's input, a row for each column.
    pub(in crate::kernels) input: I,
    /// A number for each slot of these blocks.
    pub(in crate::kernels) out: &'a mut [f32],
    /// Whether they are added to what is there.
    pub(in crate::kernels) accumulate: bool,
    /// Whether only the first half of the lanes is alive.
    pub(in crate::kernels) is_half: bool,
}

impl<'a, I: Inputs<'a>> OnLanes for Gradient<'a, I> {
    #[inline(always)]
    fn run<A: Arithmetic, const BLOCK: usize>(self, arithmetic: A) {
        self.add::<A, BLOCK>(arithmetic);
    }
}

impl<'a, R: Numbers, I: Inputs<'a, R>> Gradient<'a, I, R> {
    /// `arithmetic` is that of the rows' numbers.
    #[inline(always)]
    pub(super) fn add<A: Arithmetic, const BLOCK: usize>(self, arithmetic: A) {
        let Gradient { blocks, range, gradient, input, out, accumulate, is_half } = self;
        let (index, height) = (blocks.pattern().index(), blocks.height());
        assert_eq!(input.columns(), index.width(), "an input for each column");
        let mut line = index.offsets().partition_point(|&offset| offset as usize <= range.start) - 1;
        let mut start = range.start;
        let mut turned = Turned([NONE; 64]);
        while start < range.end {
            let end = index.line(line).end.min(range.end);
            let columns = &index.indices()[start..end];
            let out = &mut out[height * (start - range.start)..height * (end - range.start)];
            let dots = Dots { columns, input, out, height, accumulate, is_half, turned: &mut turned };
            let gradient = &gradient[blocks.line(line).rows];
            match (height, BLOCK) {
                (16, 4) => line_dots::<A, R, _, 16, 2, 8>(arithmetic, dots, gradient),
                (16, _) => line_dots::<A, R, _, 16, 2, 2>(arithmetic, dots, gradient),
                (8, 4) => line_dots::<A, R, _, 8, 4, 8>(arithmetic, dots, gradient),
                (8, _) => line_dots::<A, R, _, 8, 4, 2>(arithmetic, dots, gradient),
                (4, 4) => line_dots::<A, R, _, 4, 8, 8>(arithmetic, dots, gradient),
                (4, _) => line_dots::<A, R, _, 4, 8, 2>(arithmetic, dots, gradient),
                (_, 4) => line_dots::<A, R, _, 2, 16, 8>(arithmetic, dots, gradient),
                _ => line_dots::<A, R, _, 2, 16, 2>(arithmetic, dots, gradient),
            }
            (start, line) = (end, line + 1);
        }
    }
}

/// `P` samples of each of `N` rows in two vectors (`N * P` is 32), then the next samples'. Aligned, because a vector that lies in two
/// cache lines takes two loads.
#[repr(align(64))]
struct Turned([Lanes; 64]);

/// The most blocks that [`group`] takes at a time.
const MOST_SIDE: usize = 8;

/// Products of a line's gradients with the inputs of its blocks.
struct Dots<'a, I> {
    columns: &'a [u32],
    input: I,
    /// `height` numbers for each column.
    out: &'a mut [f32],
    height: usize,
    accumulate: bool,
    is_half: bool,
    turned: &'a mut Turned,
}

/// `N` rows at a time, and as many blocks at a time as sums have room for.
#[inline(always)]
fn line_dots<'a, A, R, I, const N: usize, const P: usize, const SIDE: usize>(
    arithmetic: A,
    mut dots: Dots<'_, I>,
    gradient: &[R],
) where
    A: Arithmetic,
    R: Numbers,
    I: Inputs<'a, R>,
{
    let height = dots.height;
    assert!(dots.out.len() == dots.columns.len() * height && height.is_multiple_of(N));
    for first in (0..height).step_by(N) {
        for row in 0..N {
            let steps = dots.turned.0.as_flattened_mut().as_chunks_mut::<P>().0;
            for (step, samples) in gradient[first + row].numbers().as_chunks::<P>().0.iter().enumerate() {
                steps[step * N + row] = *samples;
            }
        }
        let mut block = 0;
        while block < dots.columns.len() {
            let left = dots.columns.len() - block;
            let end = block + left.min(SIDE);
            // SAFETY: columns are below the width, and there are as many inputs.
            unsafe {
                match left {
                    ..=2 => group::<A, R, I, N, P, 2>(arithmetic, &mut dots, block..end, first),
                    3..=4 if SIDE > 4 => group::<A, R, I, N, P, 4>(arithmetic, &mut dots, block..end, first),
                    _ => group::<A, R, I, N, P, SIDE>(arithmetic, &mut dots, block..end, first),
                }
            }
            block = end;
        }
    }
}

/// The gradients of at most `SIDE` blocks for `N` rows from row `first` of each.
///
/// # Safety
/// All columns are numbers of inputs.
#[inline(always)]
unsafe fn group<'a, A, R, I, const N: usize, const P: usize, const SIDE: usize>(
    arithmetic: A,
    dots: &mut Dots<'_, I>,
    blocks: Range<usize>,
    first: usize,
) where
    A: Arithmetic,
    R: Numbers,
    I: Inputs<'a, R>,
{
    let zero = arithmetic.load(&NONE);
    let mut inputs: [&[[f32; P]]; SIDE] = [&[]; SIDE];
    for (at, input) in inputs.iter_mut().enumerate() {
        // Beyond the last block the first once more.
        let block = if at < blocks.len() { blocks.start + at } else { blocks.start };
        // SAFETY: as the caller promises.
        *input = unsafe { dots.input.row(dots.columns[block]) }.numbers().as_chunks::<P>().0;
    }
    let mut sums = [[zero; 2]; SIDE];
    let steps = if dots.is_half { R::COUNT / 2 / P } else { R::COUNT / P };
    for step in 0..steps {
        let gradients = load(arithmetic, &dots.turned.0.as_chunks::<2>().0[step]);
        for at in 0..SIDE {
            // SAFETY: a row has `COUNT / P` times `P` numbers.
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
    for block in 0..count {
        let out = &mut out[block * height + first..][..N];
        for row in 0..N {
            let at = block * N + row;
            let found = found[at / WIDTH][at % WIDTH];
            out[row] = if dots.accumulate { out[row] + found } else { found };
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
