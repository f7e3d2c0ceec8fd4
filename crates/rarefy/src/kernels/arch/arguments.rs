//! What the inner loops see: one product, cut to what a thread computes alone.

use std::ops::Range;

use crate::kernels::activation::Activation;
use crate::kernels::windows::Windows;
use crate::sparse::Index;
use crate::tiles::Row;

/// What is done to a row's sums before they are stored.
#[derive(Debug, Clone, Copy)]
pub enum Epilogue<'a> {
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

impl Epilogue<'_> {
    /// The starting value of the sums of line `line`.
    #[inline(always)]
    pub(in crate::kernels) fn start(&self, line: usize) -> f32 {
        match self {
            Epilogue::Activate { bias, .. } => bias[line],
            Epilogue::Gate { .. } | Epilogue::Add { .. } => 0.0,
        }
    }

    /// As [`Epilogue::end`] where that takes a few instructions: the identity and the rectifier. Else nothing is done, and `false`.
    #[inline(always)]
    pub(super) fn end_soon<const N: usize>(&self, row: usize, sums: &mut [f32; N]) -> bool {
        match self {
            Epilogue::Activate { activation: Activation::Identity, .. }
            | Epilogue::Gate { activation: Activation::Identity, .. } => true,
            Epilogue::Activate { activation: Activation::Relu, .. } => {
                Activation::Relu.apply(sums);
                true
            }
            Epilogue::Gate { activation: Activation::Relu, outputs } => {
                gate(Activation::Relu, sums, outputs, row);
                true
            }
            _ => false,
        }
    }

    /// Turns the sums of the row `row` of the result (over all tiles) into what is stored. For the `end` of each instruction set alone: it
    /// holds all activations, which within each product would be compiled once for each.
    #[inline(always)]
    pub(super) fn end<const N: usize>(&self, row: usize, sums: &mut [f32; N]) {
        match self {
            Epilogue::Activate { activation, .. } => activation.apply(sums),
            Epilogue::Gate { activation, outputs } => gate(*activation, sums, outputs, row),
            Epilogue::Add { terms, activation, outputs } => {
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
pub(in crate::kernels) struct Lines<'a, R = Row> {
    pub(in crate::kernels) index: &'a Index,
    pub(in crate::kernels) values: &'a [f32],
    /// The input rows of this tile.
    pub(in crate::kernels) input: &'a [R],
    pub(in crate::kernels) epilogue: Epilogue<'a>,
    /// The result's first row of this tile, counted over all tiles.
    pub(in crate::kernels) first_row: usize,
    /// Whether sums begin with what the output holds.
    pub(in crate::kernels) accumulate: bool,
}

/// Panels of half a row that are computed side by side, so that an entry is read once for all: their sums fill as many
/// registers as hide the latency of a multiply-add.
pub(in crate::kernels) const HALVES: usize = 4;

/// What the inner loops see: some positions of one tile.
pub(in crate::kernels) struct Samples<'a, const N: usize, R = Row> {
    pub(in crate::kernels) index: &'a Index,
    /// Output gradients, a row per line.
    pub(in crate::kernels) gradient: [&'a [R]; N],
    /// Inputs, a row per column.
    pub(in crate::kernels) input: [&'a [R]; N],
}

/// The runs of at most eight entries of one line within some entries: line, first entry, entries. (No function that is given a closure:
/// a closure may be compiled without the instruction set of its caller.)
pub(in crate::kernels) struct Groups<'a> {
    offsets: &'a [u32],
    entries: Range<usize>,
    line: usize,
}

impl<'a> Groups<'a> {
    #[inline(always)]
    pub(in crate::kernels) fn new(index: &'a Index, entries: Range<usize>) -> Groups<'a> {
        let offsets = index.offsets();
        let line = offsets.partition_point(|&offset| offset as usize <= entries.start).saturating_sub(1);
        Groups { offsets, entries, line }
    }
}

impl Iterator for Groups<'_> {
    type Item = (usize, usize, usize);

    #[inline(always)]
    fn next(&mut self) -> Option<(usize, usize, usize)> {
        if self.entries.is_empty() {
            return None;
        }
        let start = self.entries.start;
        while self.offsets[self.line + 1] as usize <= start {
            self.line += 1;
        }
        let end = (self.offsets[self.line + 1] as usize).min(self.entries.end);
        let count = (end - start).min(8);
        self.entries.start += count;
        Some((self.line, start, count))
    }
}

/// Positions computed at a time, where registers allow.
pub(in crate::kernels) const BLOCK: usize = 4;

/// The rows of a block of positions: `[offset][position of the block][row]`, as many rows everywhere.
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
#[derive(Clone, Copy)]
pub(in crate::kernels) struct Bases<'a> {
    rows: &'a [[&'a [Row]; BLOCK]],
    height: usize,
}

impl<'a> Bases<'a> {
    /// # Panics
    /// If there are not `height` rows everywhere.
    pub(in crate::kernels) fn new(rows: &'a [[&'a [Row]; BLOCK]], height: usize) -> Bases<'a> {
        assert!(
            rows.as_flattened().iter().all(|rows| rows.len() == height),
            "{height} rows at each position"
        );
        Bases { rows, height }
    }

    /// The rows at each position of the block, by offset.
    #[inline(always)]
    pub(in crate::kernels) fn rows(&self) -> &'a [[&'a [Row]; BLOCK]] {
        self.rows
    }

    /// How many rows there are at a position.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
    #[inline(always)]
    pub(in crate::kernels) fn height(&self) -> usize {
        self.height
    }
}

/// The entries of a product, line by line.
pub(in crate::kernels) struct Entries<'a> {
    pub(in crate::kernels) index: &'a Index,
    pub(in crate::kernels) values: &'a [f32],
    pub(in crate::kernels) windows: &'a Windows,
    pub(in crate::kernels) epilogue: Epilogue<'a>,
}

impl Entries<'_> {
    /// Of entries by columns, those that lead from an input channel at an offset.
    #[inline(always)]
    pub(in crate::kernels) fn of_channel(&self, channel: usize, offset: usize) -> Range<usize> {
        let offsets = self.windows.geometry.offsets();
        if self.windows.geometry.groups == 1 {
            return self.index.line(channel * offsets + offset);
        }
        let (before, filters) = self.windows.group_of(channel);
        let line = self.index.line((channel - before) * offsets + offset);
        let indices = &self.index.indices()[line.clone()];
        let start = line.start + indices.partition_point(|&filter| filter < filters.start);
        start..line.start + indices.partition_point(|&filter| filter < filters.end)
    }
}

/// A block of a weight gradient, as the inner loops see it.
pub(in crate::kernels) struct Window<'a> {
    pub(in crate::kernels) index: &'a Index,
    pub(in crate::kernels) windows: &'a Windows,
    pub(in crate::kernels) bases: Bases<'a>,
    /// The gradients of the outputs, filter by filter, at each position of the block.
    pub(in crate::kernels) gradients: [&'a [Row]; BLOCK],
}
