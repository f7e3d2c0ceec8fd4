//! Linear maps of one or two samples: their lanes alone are computed, not a tile of 64.
//!
//! ```text
//! y[l] = f(b[l] + sum over the entries (c, v) of line l of v * x[c])        x, y: one lane, packed
//! ```
//! Eight lines go side by side, so that one's multiply-add need not wait for its last; each adds in the order in which the
//! tile does, so a prediction has the same bits alone and in a batch. With eight sums for each line it would be twice as
//! fast, and other bits. Dense lines are added as `gemm` adds them: runs of [`matrix::depth`] columns from 0, one run's
//! sum after the other's, and then the bias.

use std::cell::Cell;
use std::ops::Range;

use super::activation::Activation;
use super::arch::matrix::{self, Matrix};
use super::arch::{Isa, Vectorized};
use super::dense;
use super::split::par_chunks;
use crate::sparse::{Index, Weights};
use crate::tiles::{LANES, Row};

/// Samples up to which a lane at a time is faster than a tile.
pub(super) const FEW: usize = 2;

/// Lines side by side.
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
    let mut packed = PACKED.take();
    let panels = output.chunks_mut(weights.rows().max(1)).enumerate();
    for (panel, output) in panels {
        let input = &input[panel * weights.cols()..][..weights.cols()];
        for lane in lanes.clone() {
            packed.clear();
            packed.extend(input.iter().map(|row| row.0[lane]));
            multiply_lane(isa, weights, &packed, lane, (bias, activation), output);
        }
    }
    PACKED.set(packed);
}

fn multiply_lane(
    isa: Isa,
    weights: &Weights,
    input: &[f32],
    lane: usize,
    (bias, activation): (&[f32], Activation),
    output: &mut [Row],
) {
    let (rows, cols) = (weights.rows(), weights.cols());
    let stored = weights.values().len();
    let piece = (GRAIN * rows / stored.max(1)).next_multiple_of(BLOCK).max(BLOCK);
    par_chunks(output, piece, &|first, output| match weights {
        Weights::Dense(_) => {
            // `gemm` picks its own instruction set.
            let (isa, matrix) = (Isa::detect(), Matrix::new(weights.values(), rows, cols));
            let lines = DenseLines { matrix, input };
            run(
                isa,
                isa.is_fused() && matrix::is_fused(cols),
                Lane { lines, first, lane, bias, activation, output },
            );
        }
        Weights::Sparse(sparse) => {
            let lines = SparseLines { index: sparse.pattern().index(), values: sparse.values(), input };
            run(isa, isa.is_fused(), Lane { lines, first, lane, bias, activation, output });
        }
    });
}

fn run<L: Lines>(isa: Isa, is_fused: bool, lane: Lane<'_, L>) {
    if is_fused {
        isa.vectorize(Fused::<L, true>(lane));
    } else {
        isa.vectorize(Fused::<L, false>(lane));
    }
}

/// Some lines of a product with one lane.
struct Lane<'a, L> {
    lines: L,
    /// The first of the lines, of which `output` has a row each.
    first: usize,
    lane: usize,
    bias: &'a [f32],
    activation: Activation,
    output: &'a mut [Row],
}

/// The same, on an instruction set that multiplies and adds at once or one after the other.
struct Fused<'a, L, const FUSED: bool>(Lane<'a, L>);

impl<L: Lines, const FUSED: bool> Vectorized for Fused<'_, L, FUSED> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Lane { lines, first, lane, bias, activation, output } = self.0;
        for (block, output) in output.chunks_mut(BLOCK).enumerate() {
            let first = first + block * BLOCK;
            let mut sums = [0.0; BLOCK];
            let (live, bias) = (&mut sums[..output.len()], &bias[first..][..output.len()]);
            for (group, (sums, bias)) in live.chunks_mut(SIDE).zip(bias.chunks(SIDE)).enumerate() {
                lines.add::<FUSED>(first + group * SIDE, bias, sums);
            }
            activation.apply(&mut sums);
            for (row, sum) in output.iter_mut().zip(sums) {
                row.0[lane] = sum;
            }
        }
    }
}

/// The lines of a matrix in one of its storages.
trait Lines: Copy + Sync {
    /// Writes bias and products of at most [`SIDE`] lines to `sums`.
    fn add<const FUSED: bool>(self, first: usize, bias: &[f32], sums: &mut [f32]);
}

#[inline(always)]
fn multiply_add<const FUSED: bool>(a: f32, b: f32, sum: f32) -> f32 {
    if FUSED { a.mul_add(b, sum) } else { a * b + sum }
}

#[derive(Clone, Copy)]
struct SparseLines<'a> {
    index: &'a Index,
    values: &'a [f32],
    input: &'a [f32],
}

impl Lines for SparseLines<'_> {
    #[inline(always)]
    fn add<const FUSED: bool>(self, first: usize, bias: &[f32], sums: &mut [f32]) {
        let SparseLines { index, values, input } = self;
        let indices = index.indices();
        let lines: [(&[u32], &[f32]); SIDE] = std::array::from_fn(|place| {
            let line = if place < sums.len() { index.line(first + place) } else { 0..0 };
            (&indices[line.clone()], &values[line])
        });
        // As far as the shortest reaches, then each to its end.
        let together = lines.iter().map(|line| line.0.len()).min().unwrap_or(0);
        let mut all = [0.0; SIDE];
        all[..bias.len()].copy_from_slice(bias);
        for at in 0..together {
            for (sum, (columns, values)) in all.iter_mut().zip(lines) {
                *sum = multiply_add::<FUSED>(values[at], input[columns[at] as usize], *sum);
            }
        }
        for (sum, (columns, values)) in all.iter_mut().zip(lines) {
            for (&column, &value) in columns[together..].iter().zip(&values[together..]) {
                *sum = multiply_add::<FUSED>(value, input[column as usize], *sum);
            }
        }
        sums.copy_from_slice(&all[..sums.len()]);
    }
}

#[derive(Clone, Copy)]
struct DenseLines<'a> {
    matrix: Matrix<'a>,
    input: &'a [f32],
}

impl Lines for DenseLines<'_> {
    #[inline(always)]
    fn add<const FUSED: bool>(self, first: usize, bias: &[f32], sums: &mut [f32]) {
        let Matrix { values, rows, cols, .. } = self.matrix;
        // Beyond the last line the last once more.
        let lines: [&[f32]; SIDE] =
            std::array::from_fn(|place| &values[(first + place.min(sums.len() - 1)) * cols..][..cols]);
        let depth = matrix::depth((rows - first / dense::BLOCK * dense::BLOCK).min(dense::BLOCK), cols);
        let mut all = [0.0; SIDE];
        for (run, input) in self.input.chunks(depth).enumerate() {
            let lines = lines.map(|line| &line[run * depth..][..input.len()]);
            let mut part = [0.0; SIDE];
            for at in 0..input.len() {
                for (sum, line) in part.iter_mut().zip(lines) {
                    *sum = multiply_add::<FUSED>(line[at], input[at], *sum);
                }
            }
            for (sum, part) in all.iter_mut().zip(part) {
                *sum = if run == 0 { part } else { *sum + part };
            }
        }
        for (sum, (all, bias)) in sums.iter_mut().zip(all.iter().zip(bias)) {
            *sum = all + bias;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::arch::Epilogue;
    use crate::kernels::panels::Panels;
    use crate::kernels::{multiply, spmm};
    use crate::random::{Purpose, Stream};
    use crate::sparse::{Pattern, Storage};
    use crate::tiles::Tiles;

    fn normals(stream: &mut Stream, count: usize) -> Vec<f32> {
        (0..count).map(|_| stream.normal()).collect()
    }

    /// What the kernels for whole tiles make of it.
    fn by_tile(isa: Isa, weights: &Weights, input: &Tiles, output: &mut Tiles, epilogue: Epilogue<'_>) {
        let panels = Panels::new(input, input.features() / weights.cols());
        match weights {
            Weights::Dense(_) => {
                let matrix = Matrix::new(weights.values(), weights.rows(), weights.cols());
                dense::multiply(isa, matrix, input.rows(), output.rows_mut(), panels, epilogue);
            }
            Weights::Sparse(sparse) => {
                let entries = (sparse.pattern().index(), sparse.values());
                spmm::spmm(isa, entries, input.rows(), output.rows_mut(), panels, epilogue);
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
            (9, 3, 2),
            (7, 512, 1),
            (8, 513, 1),
            (40, 1025, 1),
            (129, 600, 2),
            (150, 784, 1),
        ] {
            let bias = normals(&mut stream, rows);
            for (storage, density) in [(Storage::Sparse, 0.1), (Storage::Dense, 0.5), (Storage::Dense, 1.0)] {
                let nnz = ((rows * cols) as f64 * density).ceil() as usize;
                let mut weights = Weights::zeros(Pattern::random(rows, cols, nnz, &mut stream), storage);
                let slots: Vec<usize> = weights.connections().map(|(_, slot)| slot).collect();
                slots.into_iter().for_each(|slot| weights.values_mut()[slot] = stream.normal());
                for activation in [Activation::Relu, Activation::Tanh] {
                    let epilogue = Epilogue::Activate { bias: &bias, activation };
                    for (isa, samples) in
                        Isa::available().into_iter().flat_map(|isa| [(isa, 1), (isa, FEW), (isa, FEW + 1)])
                    {
                        let mut input = Tiles::zeros(positions * cols, samples);
                        for sample in 0..samples {
                            input.set_sample(sample, &normals(&mut stream, positions * cols));
                        }
                        let [mut found, mut expected] =
                            [(); 2].map(|()| Tiles::zeros(positions * rows, samples));
                        multiply(isa, &weights, &input, &mut found, epilogue);
                        by_tile(isa, &weights, &input, &mut expected, epilogue);
                        for sample in 0..samples {
                            assert_eq!(
                                found.sample(sample),
                                expected.sample(sample),
                                "{rows} x {cols} ({storage:?}, {density}), {samples} samples, {isa}"
                            );
                        }
                    }
                }
            }
        }
    }
}
