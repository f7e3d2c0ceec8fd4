//! Linear maps of one or two samples: their lanes alone are computed, not a tile of 64.
//!
//! ```text
//! y[l] = f(b[l] + sum over the entries (c, v) of line l of v * x[c])        x, y: one lane, packed
//! ```
//! Some lines go side by side, so that one's multiply-add need not wait for its last; each adds in the order in which the
//! tile does, so a prediction has the same bits alone and in a batch. Dense lines are added as `gemm` adds them: runs of
//! [`matrix::depth`] columns from 0, one run's sum after the other's, and then the bias.

use std::cell::Cell;
use std::ops::Range;

use super::activation::Activation;
use super::arch::line;
use super::arch::matrix::{self, Matrix};
use super::arch::{Isa, Vectorized};
use super::dense as dense_tiles;
use super::split::par_chunks;
use crate::sparse::{BlockLine, Blocks, Index, Weights};
use crate::tiles::{LANES, Row};

/// Samples up to which a lane at a time is faster than a tile.
pub(super) const FEW: usize = 2;

/// Lines of dense storage side by side.
const SIDE: usize = 8;

/// Lines whose sums are finished together.
const BLOCK: usize = LANES;

/// Multiply-adds below which a piece of work is not split between threads: about ten microseconds.
const GRAIN: usize = 16_384;

thread_local! {
    /// One lane of an input, kept for its memory.
    static PACKED: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

/// Computes some lanes of all panels of a tile: `output[l] = activation(bias[l] + sum of line l)`.
pub(super) fn multiply(
    isa: Isa,
    weights: &Weights,
    (input, output): (&[Row], &mut [Row]),
    lanes: Range<usize>,
    bias: &[f32],
    activation: Activation,
) {
    let (rows, cols) = (weights.rows(), weights.cols());
    let piece = (GRAIN * rows / weights.values().len().max(1)).next_multiple_of(BLOCK).max(BLOCK);
    for (panel, output) in output.chunks_mut(rows.max(1)).enumerate() {
        for lane in lanes.clone() {
            with_packed(&input[panel * cols..][..cols], lane, |input| {
                par_chunks(output, piece, &|first, output| {
                    let bias = Some(&bias[first..][..output.len()]);
                    let lines = Lines { first, lane, bias, activation, output };
                    match weights {
                        Weights::Dense(_) => {
                            dense(isa, Matrix::new(weights.values(), rows, cols), input, lines)
                        }
                        Weights::Sparse(it) => sparse(isa, (it.pattern().index(), it.values()), input, lines),
                        Weights::Blocks(it) => by_blocks(isa, it, input, lines),
                    }
                });
            });
        }
    }
}

/// Calls `work` with one lane of some rows.
pub(super) fn with_packed(rows: &[Row], lane: usize, work: impl FnOnce(&[f32])) {
    let mut packed = PACKED.take();
    packed.clear();
    packed.extend(rows.iter().map(|row| row.0[lane]));
    work(&packed);
    PACKED.set(packed);
}

/// Some lines of a product, of one lane.
pub(super) struct Lines<'a> {
    /// The first; `output` has a row for each.
    pub(super) first: usize,
    pub(super) lane: usize,
    /// What is added to each, in place of what the output holds.
    pub(super) bias: Option<&'a [f32]>,
    pub(super) activation: Activation,
    pub(super) output: &'a mut [Row],
}

/// Computes lines of compressed storage.
pub(super) fn sparse(isa: Isa, (index, values): (&Index, &[f32]), input: &[f32], lines: Lines<'_>) {
    let matrix = SparseMatrix { index, values, input };
    if isa.is_fused() {
        isa.vectorize(Product::<_, true>(matrix, lines));
    } else {
        isa.vectorize(Product::<_, false>(matrix, lines));
    }
}

/// Computes lines of a matrix in row blocks.
pub(super) fn by_blocks(isa: Isa, blocks: &Blocks, input: &[f32], lines: Lines<'_>) {
    let matrix = BlockMatrix { blocks, input };
    if isa.is_fused() {
        isa.vectorize(Product::<_, true>(matrix, lines));
    } else {
        isa.vectorize(Product::<_, false>(matrix, lines));
    }
}

/// Computes lines of dense storage. What the output holds is added as a tile's product does if there are several lines and
/// [`matrix::is_plain`] says so of the columns.
pub(super) fn dense(isa: Isa, matrix: Matrix<'_>, input: &[f32], lines: Lines<'_>) {
    let is_fused = matrix::is_fused(isa, matrix.cols);
    let matrix = DenseMatrix { matrix, input };
    // `gemm` picks its own.
    let isa = Isa::detect();
    if is_fused {
        isa.vectorize(Product::<_, true>(matrix, lines));
    } else {
        isa.vectorize(Product::<_, false>(matrix, lines));
    }
}

/// Lines of a matrix, multiplied and added at once or one after the other.
struct Product<'a, M, const FUSED: bool>(M, Lines<'a>);

impl<M: Storage, const FUSED: bool> Vectorized for Product<'_, M, FUSED> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Product(matrix, Lines { first, lane, bias, activation, output }) = self;
        for (block, output) in output.chunks_mut(BLOCK).enumerate() {
            let start = block * BLOCK;
            let mut sums = [0.0; BLOCK];
            match bias {
                Some(bias) => sums[..output.len()].copy_from_slice(&bias[start..][..output.len()]),
                None => sums.iter_mut().zip(&*output).for_each(|(sum, row)| *sum = row.0[lane]),
            }
            for (group, sums) in sums[..output.len()].chunks_mut(SIDE).enumerate() {
                matrix.add::<FUSED>(first + start + group * SIDE, sums);
            }
            activation.apply(&mut sums);
            for (row, sum) in output.iter_mut().zip(sums) {
                row.0[lane] = sum;
            }
        }
    }
}

/// A matrix in one of its storages, and one lane of its input.
trait Storage: Copy + Sync {
    /// Adds the products of at most [`SIDE`] lines to `sums`.
    fn add<const FUSED: bool>(self, first: usize, sums: &mut [f32]);
}

#[derive(Clone, Copy)]
struct SparseMatrix<'a> {
    index: &'a Index,
    values: &'a [f32],
    input: &'a [f32],
}

impl Storage for SparseMatrix<'_> {
    #[inline(always)]
    fn add<const FUSED: bool>(self, first: usize, sums: &mut [f32]) {
        let SparseMatrix { index, values, input } = self;
        for (group, sums) in sums.chunks_mut(line::SIDE).enumerate() {
            line::add_lines::<FUSED>((index, values), input, first + group * line::SIDE, sums);
        }
    }
}

#[derive(Clone, Copy)]
struct BlockMatrix<'a> {
    blocks: &'a Blocks,
    input: &'a [f32],
}

impl Storage for BlockMatrix<'_> {
    #[inline(always)]
    fn add<const FUSED: bool>(self, first: usize, sums: &mut [f32]) {
        let (mut row, end) = (first, first + sums.len());
        while row < end {
            let BlockLine { rows, columns, slots } = self.blocks.line(row / self.blocks.height());
            let sums = &mut sums[row - first..end.min(rows.end) - first];
            let values = self.blocks.values()[slots].chunks_exact(rows.len());
            for (&column, values) in columns.iter().zip(values) {
                let input = self.input[column as usize];
                for (sum, &value) in sums.iter_mut().zip(&values[row - rows.start..]) {
                    *sum = line::multiply_add::<FUSED>(value, input, *sum);
                }
            }
            row = rows.end;
        }
    }
}

#[derive(Clone, Copy)]
struct DenseMatrix<'a> {
    matrix: Matrix<'a>,
    input: &'a [f32],
}

impl Storage for DenseMatrix<'_> {
    #[inline(always)]
    fn add<const FUSED: bool>(self, first: usize, sums: &mut [f32]) {
        let Matrix { values, rows, cols, .. } = self.matrix;
        // Beyond the last line the last once more.
        let lines: [&[f32]; SIDE] =
            std::array::from_fn(|place| &values[(first + place.min(sums.len() - 1)) * cols..][..cols]);
        // Of the block of rows that a tile's product computes at once.
        let rows = (rows - first / dense_tiles::BLOCK * dense_tiles::BLOCK).min(dense_tiles::BLOCK);
        let depth = matrix::depth(rows, cols);
        let mut all = [0.0; SIDE];
        for (run, input) in self.input.chunks(depth).enumerate() {
            let lines = lines.map(|line| &line[run * depth..][..input.len()]);
            let mut part = [0.0; SIDE];
            for at in 0..input.len() {
                for (sum, line) in part.iter_mut().zip(lines) {
                    *sum = line::multiply_add::<FUSED>(line[at], input[at], *sum);
                }
            }
            for (sum, part) in all.iter_mut().zip(part) {
                *sum = if run == 0 { part } else { *sum + part };
            }
        }
        sums.iter_mut().zip(all).for_each(|(sum, all)| *sum += all);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::arch::Epilogue;
    use crate::kernels::panels::Panels;
    use crate::kernels::{blocks, multiply, spmm};
    use crate::math::nearest_bf16;
    use crate::random::{Purpose, Stream};
    use crate::sparse::{self, BLOCK_HEIGHTS, Pattern};
    use crate::tiles::Tiles;

    fn normals(stream: &mut Stream, count: usize) -> Vec<f32> {
        (0..count).map(|_| stream.normal()).collect()
    }

    fn round(numbers: &mut [f32]) {
        numbers.iter_mut().for_each(|number| *number = nearest_bf16(*number));
    }

    /// What the kernels for whole tiles make of it.
    fn by_tile(isa: Isa, weights: &Weights, input: &Tiles, output: &mut Tiles, epilogue: Epilogue<'_>) {
        let panels = Panels::new(input, input.features() / weights.cols());
        match weights {
            Weights::Dense(_) => {
                let matrix = Matrix::new(weights.values(), weights.rows(), weights.cols());
                dense_tiles::multiply(isa, matrix, input.rows(), output.rows_mut(), panels, epilogue);
            }
            Weights::Sparse(sparse) => {
                let entries = (sparse.pattern().index(), sparse.values());
                spmm::spmm(isa, entries, input.rows(), output.rows_mut(), panels, epilogue);
            }
            Weights::Blocks(blocks) => {
                blocks::multiply(isa, blocks, input.rows(), output.rows_mut(), panels, epilogue);
            }
        }
    }

    /// Sizes about those of runs, blocks and groups of lines; one row, which `gemm` adds up in its own way.
    #[test]
    fn a_sample_alone_has_the_bits_that_a_tile_gives_it() {
        let mut stream = Stream::new(3, Purpose::Bench, 0, 0);
        for (rows, cols, positions) in [
            (1, 1, 1),
            (1, 700, 1),
            (20, 2, 3),
            (16, 3, 2),
            (7, 512, 1),
            (8, 513, 1),
            (40, 1025, 1),
            (129, 600, 2),
            (144, 600, 2),
            (150, 784, 1),
        ] {
            let bias = normals(&mut stream, rows);
            let mut random = |rows: usize, density: f64| {
                let nnz = ((rows * cols) as f64 * density).ceil() as usize;
                Pattern::random(rows, cols, nnz, &mut stream)
            };
            let mut stored = vec![
                Weights::zeros(random(rows, 0.1), sparse::Storage::Sparse),
                Weights::zeros(random(rows, 0.5), sparse::Storage::Dense),
                Weights::dense(rows, cols),
            ];
            let heights = BLOCK_HEIGHTS.into_iter().filter(|height| rows.is_multiple_of(*height));
            stored.extend(heights.map(|height| Weights::zeros_in_blocks(height, random(rows / height, 0.1))));
            for mut weights in stored {
                let slots: Vec<usize> = weights.connections().map(|(_, slot)| slot).collect();
                slots.into_iter().for_each(|slot| weights.values_mut()[slot] = stream.normal());
                for activation in [Activation::Relu, Activation::Tanh] {
                    let epilogue = Epilogue::Activate { bias: &bias, activation };
                    // Products of numbers that bf16 has are exact and tell no roundings apart: those are for pairs alone.
                    let all = Isa::available().into_iter().chain(Isa::avx512_bf16());
                    for (isa, samples) in all.flat_map(|isa| [(isa, 1), (isa, FEW), (isa, FEW + 1)]) {
                        let mut weights = weights.clone();
                        let mut input = Tiles::zeros(positions * cols, samples);
                        for sample in 0..samples {
                            input.set_sample(sample, &normals(&mut stream, positions * cols));
                        }
                        if isa.has_pairs() {
                            round(weights.values_mut());
                            round(input.numbers_mut());
                        }
                        let [mut found, mut expected] =
                            [(); 2].map(|()| Tiles::zeros(positions * rows, samples));
                        multiply(isa, &weights, &input, &mut found, epilogue);
                        by_tile(isa, &weights, &input, &mut expected, epilogue);
                        for sample in 0..samples {
                            assert_eq!(
                                found.sample(sample),
                                expected.sample(sample),
                                "{rows} x {cols} ({}), {samples} samples, {isa}",
                                weights.storage_name()
                            );
                        }
                    }
                }
            }
        }
    }
}
