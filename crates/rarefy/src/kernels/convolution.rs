//! The three products of a convolution, for either storage.

use super::arch::{Entries, Epilogue, Isa};
#[cfg(target_arch = "x86_64")]
use super::bf16::{self, narrowed};
use super::conv_blocks::Rows;
use super::spmm::gather_columns;
use super::windows::Windows;
use super::{conv, conv_blocks, conv_dense, conv_spread};
use crate::sparse::Weights;
#[cfg(target_arch = "x86_64")]
use crate::tiles::Row16;
use crate::tiles::{Row, Tiles};

/// A convolution on an instruction set: its products and their gradients.
///
/// ```text
/// Y[q, o]      = epilogue(sum over channels c and offsets k of W[o, c, k] X[reads(q, k), c])
/// dX[p, c]     = epilogue(sum over filters o and offsets k of W[o, c, k] dY[read_by(p, k), o])
/// dW[o, c, k]  = sum over positions q and samples of dY[q, o] X[reads(q, k), c]
/// ```
/// Shapes are those of the [`Windows`]; weights are `filters x cols`, a filter's columns going channel by channel of its group and
/// offset by offset, as torch has them.
#[derive(Clone, Copy)]
pub struct Convolution<'a> {
    isa: Isa,
    windows: &'a Windows,
}

impl<'a> Convolution<'a> {
    /// The convolution that reads these windows.
    pub fn new(isa: Isa, windows: &'a Windows) -> Convolution<'a> {
        Convolution { isa, windows }
    }

    /// Computes the output from the input.
    ///
    /// # Panics
    /// If shapes do not fit, a convolution in groups is in dense storage, or a row block is of several groups.
    pub fn forward(&self, weights: &Weights, input: &Tiles, output: &mut Tiles, epilogue: Epilogue<'_>) {
        self.check(weights, input, output);
        match weights {
            Weights::Dense(_) => {
                conv_dense::forward((self.isa, self.windows), weights.values(), input, output, epilogue)
            }
            Weights::Sparse(sparse) => {
                let (index, values) = (sparse.pattern().index(), sparse.values());
                conv::forward(
                    self.isa,
                    &Entries { index, values, windows: self.windows, epilogue },
                    input,
                    output,
                );
            }
            #[cfg(target_arch = "x86_64")]
            Weights::Blocks(blocks) if bf16::are_for(self.isa, weights) => {
                let input = narrowed_rows((self.isa, self.windows), input);
                conv_blocks::forward((self.isa, self.windows), blocks, input, output, epilogue);
            }
            Weights::Blocks(blocks) => {
                let input = Rows { rows: input.rows(), zeros: &self.windows.zeros };
                conv_blocks::forward((self.isa, self.windows), blocks, input, output, epilogue);
            }
        }
    }

    /// As [`Convolution::forward`], of one sample whose positions are lanes ([`Tiles::is_spread`]). `panel` grows to what is laid
    /// out at a time, and `turned` to what the values of dense storage need.
    ///
    /// # Panics
    /// As for [`Convolution::forward`].
    pub fn forward_spread(
        &self,
        weights: &Weights,
        input: &Tiles,
        output: &mut Tiles,
        epilogue: Epilogue<'_>,
        (panel, turned): (&mut Vec<Row>, &mut Vec<f32>),
    ) {
        let (isa, windows) = (self.isa, self.windows);
        let (from, to) = (windows.geometry().input, windows.output());
        let shapes = [(from.channels, from.positions()), (to.channels, to.positions())];
        let found = [(input.features(), input.samples()), (output.features(), output.samples())];
        assert_eq!(found, shapes, "spread activations of {:?}", windows.geometry());
        self.check_weights(weights);
        match weights {
            Weights::Dense(_) => {
                let values = (weights.values(), epilogue);
                conv_spread::forward_dense((isa, windows), values, input, output, panel, turned);
            }
            Weights::Sparse(sparse) => {
                let (index, values) = (sparse.pattern().index(), sparse.values());
                let entries = Entries { index, values, windows, epilogue };
                conv_spread::forward(isa, &entries, input, output, panel);
            }
            Weights::Blocks(blocks) => {
                conv_spread::forward_blocks((isa, windows), (blocks, epilogue), input, output, panel);
            }
        }
    }

    /// Computes the gradient of the input from that of the output; `workspace` is as in
    /// [`multiply_transposed`](super::multiply_transposed).
    ///
    /// # Panics
    /// As for [`Convolution::forward`].
    pub fn transposed(
        &self,
        weights: &Weights,
        gradient: &Tiles,
        gradient_input: &mut Tiles,
        epilogue: Epilogue<'_>,
        workspace: &mut Vec<f32>,
    ) {
        self.check(weights, gradient_input, gradient);
        match weights {
            Weights::Dense(_) => {
                conv_dense::transposed(
                    (self.isa, self.windows),
                    weights.values(),
                    gradient,
                    gradient_input,
                    epilogue,
                );
            }
            Weights::Sparse(sparse) => {
                let (index, values) = gather_columns(sparse, workspace);
                let entries = Entries { index, values, windows: self.windows, epilogue };
                conv::transposed(self.isa, &entries, gradient, gradient_input);
            }
            #[cfg(target_arch = "x86_64")]
            Weights::Blocks(blocks) if bf16::are_for(self.isa, weights) => {
                let (windows, gradient) = ((self.isa, self.windows), narrowed(self.isa, gradient));
                conv_blocks::transposed(windows, blocks, gradient, gradient_input, epilogue);
            }
            Weights::Blocks(blocks) => {
                let (windows, gradient) = ((self.isa, self.windows), gradient.rows());
                conv_blocks::transposed(windows, blocks, gradient, gradient_input, epilogue);
            }
        }
    }

    /// Computes the gradient of every live connection, summed over positions and the batch, into `out`; zero for absent ones in
    /// dense storage. `scratch` grows to what the sums need.
    ///
    /// # Panics
    /// As for [`Convolution::forward`].
    pub fn weight_gradient(
        &self,
        weights: &Weights,
        gradient: &Tiles,
        input: &Tiles,
        out: &mut [f32],
        scratch: &mut Vec<f32>,
    ) {
        self.check(weights, input, gradient);
        match weights {
            Weights::Dense(_) => {
                conv_dense::weight_gradient(
                    (self.isa, self.windows),
                    (gradient, input),
                    0..weights.rows(),
                    out,
                    scratch,
                );
                weights.clear_absent(out);
            }
            Weights::Sparse(sparse) => {
                conv::weight_gradient(
                    (self.isa, self.windows),
                    sparse.pattern().index(),
                    (gradient, input),
                    out,
                    scratch,
                );
            }
            #[cfg(target_arch = "x86_64")]
            Weights::Blocks(blocks) if bf16::are_for(self.isa, weights) => {
                let windows = (self.isa, self.windows);
                let rows = (narrowed(self.isa, gradient), narrowed_rows(windows, input));
                conv_blocks::weight_gradient(windows, blocks, rows, out, scratch);
            }
            Weights::Blocks(blocks) => {
                let windows = (self.isa, self.windows);
                let input = Rows { rows: input.rows(), zeros: &self.windows.zeros };
                conv_blocks::weight_gradient(windows, blocks, (gradient.rows(), input), out, scratch);
            }
        }
    }

    fn check(&self, weights: &Weights, input: &Tiles, output: &Tiles) {
        let geometry = self.windows.geometry();
        let shapes = (geometry.input.features(), self.windows.output().features());
        assert_eq!((input.features(), output.features()), shapes, "activations of {geometry:?}");
        assert_eq!(input.samples(), output.samples());
        self.check_weights(weights);
    }

    fn check_weights(&self, weights: &Weights) {
        let geometry = self.windows.geometry();
        assert_eq!(
            (weights.rows(), weights.cols()),
            (geometry.filters, geometry.cols()),
            "weights of {geometry:?}"
        );
        let alike = self.windows.filters_of_group();
        assert!(alike.is_multiple_of(weights.block_height()), "row blocks of filters of one group");
        let is_dense = !weights.is_compressed();
        assert!(!is_dense || geometry.groups == 1, "convolutions in groups are stored compressed");
    }
}

/// What windows read of bf16 numbers.
#[cfg(target_arch = "x86_64")]
fn narrowed_rows<'a>((isa, windows): (Isa, &'a Windows), input: &'a Tiles) -> Rows<'a, Row16> {
    Rows { rows: narrowed(isa, input), zeros: bytemuck::must_cast_slice(&windows.zeros) }
}
