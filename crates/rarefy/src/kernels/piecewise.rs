//! A product whose lines are computed a few at a time, by whoever splits the work: the steps of a recurrent layer follow
//! each other, so each is cut into pieces that do all that a unit needs, and threads meet once a step.

use std::ops::Range;

use super::activation::Activation;
use super::arch::blocks::{ColumnOutputs, Multiply, Transposed};
use super::arch::matrix::{self, Matrix};
use super::arch::operand::Operand;
use super::arch::{Epilogue, Isa, Lines};
#[cfg(target_arch = "x86_64")]
use super::bf16;
use super::narrow;
use super::product::is_narrowed;
use super::spmm::gather_columns;
use crate::sparse::{Blocks, Index, Weights};
use crate::tiles::{HALF, LANES, Row, Row16, Tiles};

/// Lines of dense storage below which `gemm` wastes its time on packing.
const DENSE_LINES: usize = 64;

/// How many times as fast a connection is in dense storage.
const DENSE_SPEED: usize = 3;

/// A weight matrix, or its transpose, ready to be multiplied line by line.
#[derive(Clone, Copy)]
pub(crate) struct Piecewise<'a> {
    isa: Isa,
    lines: Lined<'a>,
    /// Whether products read narrowed rows.
    is_narrowed: bool,
    /// Whether they are made by tiles, whose sums one lane alone cannot follow.
    is_by_tiles: bool,
}

#[derive(Clone, Copy)]
enum Lined<'a> {
    Dense(Matrix<'a>),
    Sparse(&'a Index, &'a [f32]),
    Blocks(&'a Blocks),
    /// The lines are the columns.
    BlocksTransposed(&'a Blocks),
}

/// What lines are multiplied by: a tile at one position.
#[derive(Clone, Copy)]
pub(crate) struct Panel<'a> {
    pub(crate) rows: &'a [Row],
    /// The same narrowed to bf16; empty for [weights](Piecewise::narrow) that do not read such.
    pub(crate) narrowed: &'a [Row16],
    /// How many lanes count.
    pub(crate) live: usize,
}

impl<'a> Piecewise<'a> {
    /// The lines of `W`.
    pub(crate) fn new(isa: Isa, weights: &'a Weights) -> Piecewise<'a> {
        let lines = match weights {
            Weights::Dense(_) => Lined::Dense(Matrix::new(weights.values(), weights.rows(), weights.cols())),
            Weights::Sparse(sparse) => Lined::Sparse(sparse.pattern().index(), sparse.values()),
            Weights::Blocks(blocks) => Lined::Blocks(blocks),
        };
        Piecewise::of(isa, weights, lines)
    }

    /// The lines of `W^T`; `workspace` is as in [`multiply_transposed`](super::multiply_transposed).
    pub(crate) fn transposed(isa: Isa, weights: &'a Weights, workspace: &'a mut Vec<f32>) -> Piecewise<'a> {
        let (rows, cols) = (weights.rows(), weights.cols());
        let lines = match weights {
            Weights::Dense(_) => Lined::Dense(Matrix::new(weights.values(), rows, cols).transposed()),
            Weights::Sparse(sparse) => {
                let (index, values) = gather_columns(sparse, workspace);
                Lined::Sparse(index, values)
            }
            Weights::Blocks(blocks) => Lined::BlocksTransposed(blocks),
        };
        Piecewise::of(isa, weights, lines)
    }

    fn of(isa: Isa, weights: &Weights, lines: Lined<'a>) -> Piecewise<'a> {
        let (is_narrowed, is_by_tiles) = (is_narrowed(isa, weights), isa.has_tiles_for(weights));
        Piecewise { isa, lines, is_narrowed, is_by_tiles }
    }

    /// The rows of tiles narrowed, where products read such.
    pub(crate) fn narrowed<'t>(&self, tiles: &'t Tiles) -> &'t [Row16] {
        #[cfg(target_arch = "x86_64")]
        if self.is_narrowed {
            return bf16::narrowed(self.isa, tiles);
        }
        _ = tiles;
        &[]
    }

    /// The rows of tiles to write, and the narrowed ones that are to be written beside them, where products read such.
    pub(crate) fn rows_mut<'t>(&self, tiles: &'t mut Tiles) -> (&'t mut [Row], &'t mut [Row16]) {
        if self.is_narrowed { tiles.rows_and_narrowed_mut() } else { (tiles.rows_mut(), &mut []) }
    }

    /// Narrows rows of rounded numbers, where products read such.
    pub(crate) fn narrow(&self, rows: &[Row], narrowed: &mut [Row16]) {
        #[cfg(target_arch = "x86_64")]
        if !narrowed.is_empty() {
            self.isa.narrow(rows, narrowed);
        }
        _ = (rows, narrowed);
    }

    /// What all lines cost, in connections of compressed storage.
    pub(crate) fn cost(&self) -> usize {
        match self.lines {
            Lined::Dense(matrix) => matrix.rows * matrix.cols / DENSE_SPEED,
            Lined::Sparse(_, values) => values.len(),
            Lined::Blocks(blocks) | Lined::BlocksTransposed(blocks) => blocks.values().len(),
        }
    }

    /// Lines below which a piece is not worth its overhead, where so many tiles are gone through at once.
    pub(crate) fn fewest(&self, tiles: usize) -> usize {
        match self.lines {
            Lined::Dense(_) => DENSE_LINES,
            Lined::Sparse(..) => 1,
            Lined::Blocks(blocks) => blocks.height(),
            // Each piece reads the rows of all blocks, so there are to be no more than threads to take them. No sum depends on it.
            Lined::BlocksTransposed(blocks) => {
                let pieces = rayon::current_num_threads().div_ceil(tiles.max(1));
                blocks.pattern().cols().div_ceil(pieces)
            }
        }
    }

    /// Lines that no piece may cut apart: pieces begin and end at multiples of so many.
    pub(crate) fn height(&self) -> usize {
        match self.lines {
            Lined::Dense(_) | Lined::Sparse(..) | Lined::BlocksTransposed(_) => 1,
            Lined::Blocks(blocks) => blocks.height(),
        }
    }

    /// `output[l] += sum_c W[l, c] input[c]` for the lines of a range.
    ///
    /// # Panics
    /// If shapes do not fit, or the range cuts lines of a [height](Piecewise::height) apart.
    pub(crate) fn add(&self, input: Panel<'_>, lines: Range<usize>, output: &mut [Row]) {
        self.run(input, lines, None, output);
    }

    /// `output[l] = bias[l] + sum_c W[l, c] input[c]` for the lines of a range; `bias` has all lines.
    ///
    /// # Panics
    /// As [`add`](Piecewise::add); or for the lines of a transposed matrix in row blocks, which are added to.
    pub(crate) fn assign(&self, input: Panel<'_>, lines: Range<usize>, bias: &[f32], output: &mut [Row]) {
        self.run(input, lines, Some(bias), output);
    }

    /// Whether a lane at a time has the bits of a tile.
    fn has_lanes(&self, lines: &Range<usize>) -> bool {
        match self.lines {
            Lined::Sparse(..) => true,
            Lined::Blocks(_) => !self.is_by_tiles,
            Lined::BlocksTransposed(_) => false,
            Lined::Dense(matrix) => {
                matrix.col_stride == 1 && lines.len() > 1 && matrix::is_plain(self.isa, matrix.cols)
            }
        }
    }

    /// Sums begin with the bias, or with what the output holds.
    fn run(&self, input: Panel<'_>, lines: Range<usize>, bias: Option<&[f32]>, output: &mut [Row]) {
        assert_eq!(output.len(), lines.len(), "a row for each line");
        let is_half = input.live <= HALF;
        match self.lines {
            _ if input.live <= narrow::FEW && self.has_lanes(&lines) => {
                self.run_lanes(input, lines, bias, output);
            }
            Lined::Dense(matrix) => run_dense(self.isa, matrix, input.rows, lines, bias, output),
            #[cfg(target_arch = "x86_64")]
            _ if self.is_narrowed => self.run_rows(input.narrowed, is_half, lines, bias, output),
            _ => self.run_rows(input.rows, is_half, lines, bias, output),
        }
    }

    /// One lane after the other.
    fn run_lanes(&self, input: Panel<'_>, lines: Range<usize>, bias: Option<&[f32]>, output: &mut [Row]) {
        let (isa, activation) = (self.isa, Activation::Identity);
        for lane in 0..input.live {
            narrow::with_packed(input.rows, lane, |input| {
                let bias = bias.map(|bias| &bias[lines.clone()]);
                let lines =
                    narrow::Lines { first: lines.start, lane, bias, activation, output: &mut *output };
                match self.lines {
                    Lined::Sparse(index, values) => narrow::sparse(isa, (index, values), input, lines),
                    Lined::Dense(matrix) => narrow::dense(isa, matrix, input, lines),
                    Lined::Blocks(blocks) => narrow::by_blocks(isa, blocks, input, lines),
                    Lined::BlocksTransposed(_) => unreachable!("it is gone another way"),
                }
            });
        }
    }

    /// All lanes, or the first half.
    fn run_rows<R: Operand>(
        &self,
        input: &[R],
        is_half: bool,
        lines: Range<usize>,
        bias: Option<&[f32]>,
        output: &mut [Row],
    ) {
        let activation = Activation::Identity;
        let (epilogue, accumulate) = match bias {
            Some(bias) => (Epilogue::Activate { bias, activation }, false),
            None => (Epilogue::Gate { activation, outputs: &[] }, true),
        };
        let (isa, first_row) = (self.isa, 0);
        match self.lines {
            Lined::Sparse(index, values) => {
                let product = Lines { index, values, input, epilogue, first_row, accumulate };
                R::spmm(isa, &product, lines, output, is_half);
            }
            Lined::Blocks(blocks) => {
                let height = blocks.height();
                assert!(
                    lines.start.is_multiple_of(height) && lines.end.is_multiple_of(height),
                    "whole blocks"
                );
                let lines = lines.start / height..lines.end / height;
                let product =
                    Multiply { blocks, lines, input, output, epilogue, first_row, accumulate, is_half };
                R::multiply(isa, product);
            }
            Lined::BlocksTransposed(blocks) => {
                assert!(accumulate, "lines of a transposed matrix in row blocks are added to");
                let output = ColumnOutputs::new(output, lines.start, blocks.pattern().cols());
                let lines = 0..blocks.pattern().rows();
                R::transposed(isa, Transposed { blocks, lines, gradient: input, output, is_half });
            }
            Lined::Dense(_) => unreachable!("it is gone another way"),
        }
    }
}

/// All lanes of some lines of dense storage.
fn run_dense(
    isa: Isa,
    matrix: Matrix<'_>,
    input: &[Row],
    lines: Range<usize>,
    bias: Option<&[f32]>,
    output: &mut [Row],
) {
    let flat: &mut [f32] = bytemuck::must_cast_slice_mut(output);
    let part = matrix.rows_from(lines.start, flat.len() / LANES);
    matrix::product(isa, part, Matrix::of_rows(input), flat, bias.is_none());
    let Some(bias) = bias else { return };
    crate::vectorize!(isa, {
        for (bias, row) in bias[lines].iter().zip(output) {
            row.0.iter_mut().for_each(|sum| *sum += bias);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::multiply;
    use crate::math::nearest_bf16;
    use crate::random::{Purpose, Stream};
    use crate::sparse::{Init, Pattern, Storage};
    use crate::tiles::Tiles;

    #[test]
    fn pieces_make_up_the_whole() {
        let mut stream = Stream::new(1, Purpose::Bench, 0, 0);
        let mut tiles = |features| {
            let mut tiles = Tiles::zeros(features, LANES);
            let mut number = || nearest_bf16(stream.normal());
            tiles.rows_mut().iter_mut().for_each(|row| row.0 = std::array::from_fn(|_| number()));
            tiles
        };
        let (input, before) = (tiles(9), tiles(14));
        let bias: Vec<f32> = (0..14).map(|line| line as f32 / 4.0).collect();
        let mut stream = Stream::new(2, Purpose::Bench, 0, 0);
        for (height, storage) in [(1, Storage::Sparse), (1, Storage::Dense), (2, Storage::Auto)] {
            let pattern = Pattern::random(14 / height, 9, 60 / height, &mut stream);
            let mut weights = match height {
                1 => Weights::zeros(pattern, storage),
                _ => Weights::zeros_in_blocks(height, pattern),
            };
            Init::Glorot.fill(&mut weights, &mut stream);
            weights.values_mut().iter_mut().for_each(|value| *value = nearest_bf16(*value));
            for isa in Isa::available_bf16() {
                let mut whole = before.clone();
                let epilogue = Epilogue::Activate { bias: &bias, activation: Activation::Identity };
                multiply(isa, &weights, &input, &mut whole, epilogue);
                let lines = Piecewise::new(isa, &weights);
                let panel = Panel { rows: input.rows(), narrowed: lines.narrowed(&input), live: LANES };
                let (mut assigned, mut added) = (before.clone(), before.clone());
                for piece in [0..4, 4..10, 10..14] {
                    lines.assign(panel, piece.clone(), &bias, &mut assigned.rows_mut()[piece.clone()]);
                    lines.add(panel, piece.clone(), &mut added.rows_mut()[piece]);
                }
                for line in 0..14 {
                    let (whole, before) = (whole.at(5, line), before.at(5, line));
                    assert!(
                        (assigned.at(5, line) - whole).abs() < 1e-5,
                        "{storage:?}, blocks of {height}, {isa}, line {line}"
                    );
                    let sum = before + whole - bias[line];
                    assert!(
                        (added.at(5, line) - sum).abs() < 1e-5,
                        "{storage:?}, blocks of {height}, {isa}, line {line}"
                    );
                }
            }
        }
    }
}
