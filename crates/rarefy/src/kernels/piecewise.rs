//! A product whose lines are computed a few at a time, by whoever splits the work: the steps of a recurrent layer follow
//! each other, so each is cut into pieces that do all that a unit needs, and threads meet once a step.

use std::ops::Range;

use super::activation::Activation;
use super::arch::blocks::{ColumnOutputs, Multiply, Transposed};
use super::arch::matrix::{self, Matrix};
use super::arch::{Epilogue, Isa, Lines};
use super::narrow;
use super::spmm::gather_columns;
use crate::sparse::{Blocks, Index, Weights};
use crate::tiles::{LANES, Row};

/// Lines of dense storage below which `gemm` wastes its time on packing.
const DENSE_LINES: usize = 64;

/// How many times as fast a connection is in dense storage.
const DENSE_SPEED: usize = 3;

/// A weight matrix, or its transpose, ready to be multiplied line by line.
#[derive(Clone, Copy)]
pub struct Piecewise<'a>(Lined<'a>);

#[derive(Clone, Copy)]
enum Lined<'a> {
    Dense(Matrix<'a>),
    Sparse(&'a Index, &'a [f32]),
    Blocks(&'a Blocks),
    /// The lines are the columns.
    BlocksTransposed(&'a Blocks),
}

impl<'a> Piecewise<'a> {
    /// The lines of `W`.
    pub fn new(weights: &'a Weights) -> Piecewise<'a> {
        Piecewise(match weights {
            Weights::Dense(_) => Lined::Dense(Matrix::new(weights.values(), weights.rows(), weights.cols())),
            Weights::Sparse(sparse) => Lined::Sparse(sparse.pattern().index(), sparse.values()),
            Weights::Blocks(blocks) => Lined::Blocks(blocks),
        })
    }

    /// The lines of `W^T`; `workspace` is as in [`multiply_transposed`](super::multiply_transposed).
    pub fn transposed(weights: &'a Weights, workspace: &'a mut Vec<f32>) -> Piecewise<'a> {
        let (rows, cols) = (weights.rows(), weights.cols());
        Piecewise(match weights {
            Weights::Dense(_) => Lined::Dense(Matrix::new(weights.values(), rows, cols).transposed()),
            Weights::Sparse(sparse) => {
                let (index, values) = gather_columns(sparse, workspace);
                Lined::Sparse(index, values)
            }
            Weights::Blocks(blocks) => Lined::BlocksTransposed(blocks),
        })
    }

    /// What all lines cost, in connections of compressed storage.
    pub fn cost(&self) -> usize {
        match self.0 {
            Lined::Dense(matrix) => matrix.rows * matrix.cols / DENSE_SPEED,
            Lined::Sparse(_, values) => values.len(),
            Lined::Blocks(blocks) | Lined::BlocksTransposed(blocks) => blocks.values().len(),
        }
    }

    /// Lines below which a piece is not worth its overhead.
    pub fn fewest(&self) -> usize {
        match self.0 {
            Lined::Dense(_) => DENSE_LINES,
            Lined::Sparse(..) | Lined::BlocksTransposed(_) => 1,
            Lined::Blocks(blocks) => blocks.height(),
        }
    }

    /// Lines that no piece may cut apart: pieces begin and end at multiples of so many.
    pub fn height(&self) -> usize {
        match self.0 {
            Lined::Dense(_) | Lined::Sparse(..) | Lined::BlocksTransposed(_) => 1,
            Lined::Blocks(blocks) => blocks.height(),
        }
    }

    /// `output[l] += sum_c W[l, c] input[c]` for the lines of a range; `input` is one tile, at one position, and how
    /// many of its lanes count.
    ///
    /// # Panics
    /// If shapes do not fit, or the range cuts lines of a [height](Piecewise::height) apart.
    pub fn add(&self, isa: Isa, input: (&[Row], usize), lines: Range<usize>, output: &mut [Row]) {
        self.run(isa, input, lines, None, output);
    }

    /// `output[l] = bias[l] + sum_c W[l, c] input[c]` for the lines of a range; `bias` has all lines.
    ///
    /// # Panics
    /// As [`add`](Piecewise::add); or for the lines of a transposed matrix in row blocks, which are added to.
    pub fn assign(
        &self,
        isa: Isa,
        input: (&[Row], usize),
        lines: Range<usize>,
        bias: &[f32],
        output: &mut [Row],
    ) {
        self.run(isa, input, lines, Some(bias), output);
    }

    /// Whether a lane at a time has the bits of a tile.
    fn is_narrow(&self, isa: Isa, lines: &Range<usize>) -> bool {
        match self.0 {
            Lined::Sparse(..) | Lined::Blocks(_) => true,
            Lined::BlocksTransposed(_) => false,
            Lined::Dense(matrix) => {
                matrix.col_stride == 1 && lines.len() > 1 && matrix::is_plain(isa, matrix.cols)
            }
        }
    }

    /// Sums begin with the bias, or with what the output holds.
    fn run(
        &self,
        isa: Isa,
        (input, live): (&[Row], usize),
        lines: Range<usize>,
        bias: Option<&[f32]>,
        output: &mut [Row],
    ) {
        let activation = Activation::Identity;
        let (epilogue, accumulate) = match bias {
            Some(bias) => (Epilogue::Activate { bias, activation }, false),
            None => (Epilogue::Gate { activation, outputs: &[] }, true),
        };
        assert_eq!(output.len(), lines.len(), "a row for each line");
        if live <= narrow::FEW && self.is_narrow(isa, &lines) {
            for lane in 0..live {
                narrow::with_packed(input, lane, |input| {
                    let bias = bias.map(|bias| &bias[lines.clone()]);
                    let lines =
                        narrow::Lines { first: lines.start, lane, bias, activation, output: &mut *output };
                    match self.0 {
                        Lined::Sparse(index, values) => narrow::sparse(isa, (index, values), input, lines),
                        Lined::Dense(matrix) => narrow::dense(isa, matrix, input, lines),
                        Lined::Blocks(blocks) => narrow::by_blocks(isa, blocks, input, lines),
                        Lined::BlocksTransposed(_) => unreachable!("not narrow"),
                    }
                });
            }
            return;
        }
        match self.0 {
            Lined::Sparse(index, values) => {
                isa.spmm(&Lines { index, values, input, epilogue, first_row: 0, accumulate }, lines, output);
            }
            Lined::Blocks(blocks) => {
                let height = blocks.height();
                assert!(
                    lines.start.is_multiple_of(height) && lines.end.is_multiple_of(height),
                    "whole blocks"
                );
                let lines = lines.start / height..lines.end / height;
                let (first_row, is_half) = (0, false);
                isa.on_lanes(Multiply {
                    blocks,
                    lines,
                    input,
                    output,
                    epilogue,
                    first_row,
                    accumulate,
                    is_half,
                });
            }
            Lined::BlocksTransposed(blocks) => {
                assert!(accumulate, "lines of a transposed matrix in row blocks are added to");
                let output = ColumnOutputs::new(output, lines.start, blocks.pattern().cols());
                let lines = 0..blocks.pattern().rows();
                isa.on_lanes(Transposed { blocks, lines, gradient: input, output, is_half: false });
            }
            Lined::Dense(matrix) => {
                let flat: &mut [f32] = bytemuck::must_cast_slice_mut(output);
                let part = matrix.rows_from(lines.start, flat.len() / LANES);
                matrix::product(isa, part, Matrix::of_rows(input), flat, accumulate);
                if !accumulate {
                    crate::vectorize!(isa, {
                        for (line, row) in lines.zip(output) {
                            let bias = epilogue.start(line);
                            row.0.iter_mut().for_each(|sum| *sum += bias);
                        }
                    });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::multiply;
    use crate::random::{Purpose, Stream};
    use crate::sparse::{Init, Pattern, Storage};
    use crate::tiles::Tiles;

    #[test]
    fn pieces_make_up_the_whole() {
        let mut stream = Stream::new(1, Purpose::Bench, 0, 0);
        let mut tiles = |features| {
            let mut tiles = Tiles::zeros(features, LANES);
            tiles.rows_mut().iter_mut().for_each(|row| row.0 = std::array::from_fn(|_| stream.normal()));
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
            for isa in Isa::available() {
                let mut whole = before.clone();
                let epilogue = Epilogue::Activate { bias: &bias, activation: Activation::Identity };
                multiply(isa, &weights, &input, &mut whole, epilogue);
                let lines = Piecewise::new(&weights);
                let (mut assigned, mut added) = (before.clone(), before.clone());
                for piece in [0..4, 4..10, 10..14] {
                    let rows = &mut assigned.rows_mut()[piece.clone()];
                    lines.assign(isa, (input.rows(), LANES), piece.clone(), &bias, rows);
                    lines.add(isa, (input.rows(), LANES), piece.clone(), &mut added.rows_mut()[piece]);
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
