//! Sparse times tiles: `Y[r] = finish(sum over the entries (c, v) of line r of v * X[c])`.
//!
//! For each output row 64 sums stay in registers while the loop walks the row's entries; each entry costs one
//! broadcast and 64 multiply-adds on an aligned row that comes from the L2 cache. That row's read is the bound: about
//! 39 % of the FMA peak on Zen 5 and 50 % on Zen 4.
//!
//! Tried and left: two entries at a time in separate sums (no gain, the loop waits for L2, not for the adder);
//! fetching rows ahead (3-10 % slower at 1024; at 4096 5 % faster at density 0.1, 5 % slower at 0.01).

use std::ops::Range;

use super::isa::{Isa, Kind};
use super::product::Panels;
use super::{Activation, par_chunks, scalar};
use crate::sparse::Index;
use crate::tiles::Row;

/// What is done to a row's sums before they are stored.
#[derive(Debug, Clone, Copy)]
pub enum Finish<'a> {
    /// Adds a bias and applies a function.
    Activate {
        /// One number per line.
        bias: &'a [f32],
        /// The function.
        activation: Activation,
    },
    /// Multiplies by the derivative of a function, told from its outputs.
    Gate {
        /// The function.
        activation: Activation,
        /// Its outputs in all tiles, laid out as the result is; the identity needs none.
        outputs: &'a [Row],
    },
    /// Adds what other maps of the same input or output have given, then does as `Gate`.
    Add {
        /// Laid out as the result is.
        terms: &'a [Row],
        /// The function.
        activation: Activation,
        /// Its outputs in all tiles, laid out as the result is.
        outputs: &'a [Row],
    },
}

impl Finish<'_> {
    /// The starting value of the sums of line `line`.
    #[inline(always)]
    pub(super) fn start(&self, line: usize) -> f32 {
        match self {
            Finish::Activate { bias, .. } => bias[line],
            Finish::Gate { .. } | Finish::Add { .. } => 0.0,
        }
    }

    /// Turns the sums of the row `row` of the result (over all tiles) into what is stored.
    #[inline(always)]
    pub(super) fn end<const N: usize>(&self, row: usize, sums: &mut [f32; N]) {
        match self {
            Finish::Activate { activation, .. } => activation.apply(sums),
            Finish::Gate { activation, outputs } => gate(*activation, sums, outputs, row),
            Finish::Add { terms, activation, outputs } => {
                for (sum, term) in sums.iter_mut().zip(&terms[row].0) {
                    *sum += term;
                }
                gate(*activation, sums, outputs, row);
            }
        }
    }
}

/// Multiplies by a derivative; the identity needs no outputs.
#[inline(always)]
fn gate<const N: usize>(activation: Activation, sums: &mut [f32; N], outputs: &[Row], row: usize) {
    if activation != Activation::Identity {
        activation.gate(sums, &outputs[row]);
    }
}

/// One product, as the inner loops see it.
pub(super) struct Lines<'a> {
    pub(super) index: &'a Index,
    pub(super) values: &'a [f32],
    /// The input rows of this tile.
    pub(super) input: &'a [Row],
    pub(super) finish: Finish<'a>,
    /// The result's first row of this tile, counted over all tiles.
    pub(super) first_row: usize,
    /// Whether sums begin with what the output holds.
    pub(super) accumulate: bool,
}

/// Entries times rows below which a piece of work is not split between threads: about five microseconds.
const GRAIN: usize = 4096;

/// Computes all lines of all panels. `input` has `index`'s columns as rows per panel, `output` its lines.
#[expect(clippy::too_many_arguments)]
pub(super) fn spmm(
    isa: Isa,
    index: &Index,
    values: &[f32],
    input: &[Row],
    output: &mut [Row],
    panels: Panels,
    finish: Finish<'_>,
) {
    assert_eq!(values.len(), index.indices().len(), "one value per entry");
    let columns = input.len() / panels.count().max(1);
    let whole = if has_halves(isa) { panels.whole() } else { panels.count() };
    let (output, halves) = output.split_at_mut(whole * index.lines());
    split_tiles(0..whole, output, index.lines(), &|panel, output| {
        let input = &input[panel * columns..][..columns];
        let lines =
            Lines { index, values, input, finish, first_row: panel * index.lines(), accumulate: false };
        split_lines(isa, &lines, 0..index.lines(), output);
    });
    par_chunks(halves, HALVES * index.lines().max(1), &|start, output| {
        let panel = whole + start / index.lines();
        let rows = &input[panel * columns..][..output.len() / index.lines() * columns];
        let first_row = panel * index.lines();
        let lines = Lines { index, values, input: rows, finish, first_row, accumulate: false };
        run_halves(isa, &lines, output);
    });
}

/// Panels of half a row that are computed side by side, so that an entry is read once for all: their sums fill as many
/// registers as hide the latency of a multiply-add.
pub(super) const HALVES: usize = 4;

/// Whether an instruction set has a loop for halves of rows.
fn has_halves(isa: Isa) -> bool {
    match isa.kind() {
        #[cfg(target_arch = "x86_64")]
        Kind::Avx512 => true,
        _ => false,
    }
}

/// Computes the first half of the rows of up to [`HALVES`] panels: `lines.input` and `output` hold those of all of them.
fn run_halves(isa: Isa, lines: &Lines<'_>, output: &mut [Row]) {
    match isa.kind() {
        // SAFETY: an `Isa` of this kind exists only where the processor has these features.
        #[cfg(target_arch = "x86_64")]
        Kind::Avx512 => unsafe { super::avx512::spmm_halves(lines, output) },
        _ => unreachable!("has_halves"),
    }
}

/// Runs `work(tile, rows of that tile)` for each tile, halving the range between threads.
pub(super) fn split_tiles(
    tiles: Range<usize>,
    output: &mut [Row],
    lines: usize,
    work: &(impl Fn(usize, &mut [Row]) + Sync),
) {
    if tiles.len() <= 1 {
        for tile in tiles {
            work(tile, output);
        }
        return;
    }
    let middle = tiles.start + tiles.len() / 2;
    let (left, right) = output.split_at_mut((middle - tiles.start) * lines);
    rayon::join(
        || split_tiles(tiles.start..middle, left, lines, work),
        || split_tiles(middle..tiles.end, right, lines, work),
    );
}

/// Halves a range of lines by their entries until a piece is small.
fn split_lines(isa: Isa, lines: &Lines<'_>, range: Range<usize>, output: &mut [Row]) {
    let offsets = lines.index.offsets();
    let cost = |line: usize| offsets[line] as usize + 2 * line;
    let (start, end) = (cost(range.start), cost(range.end));
    if end - start <= GRAIN || range.len() <= 1 {
        return run_lines(isa, lines, range, output);
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
        || split_lines(isa, lines, range.start..low, left),
        || split_lines(isa, lines, low..range.end, right),
    );
}

/// Computes some lines of one tile, alone.
pub(super) fn run_lines(isa: Isa, lines: &Lines<'_>, range: Range<usize>, output: &mut [Row]) {
    match isa.kind() {
        Kind::Scalar => scalar::spmm(lines, range, output),
        // SAFETY: an `Isa` of this kind exists only where the processor has these features.
        #[cfg(target_arch = "x86_64")]
        Kind::Avx2 => unsafe { super::avx2::spmm(lines, range, output) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Kind::Avx512 => unsafe { super::avx512::spmm(lines, range, output) },
        #[cfg(target_arch = "aarch64")]
        Kind::Neon => super::neon::spmm(lines, range, output),
    }
}
