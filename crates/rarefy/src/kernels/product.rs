//! The three products of a linear map `y = W x`, for either storage. Shapes: `input` has `W.cols()` features, `output`
//! and its gradient `W.rows()`; or so many at each of several positions, to which the map is applied one by one. Both
//! hold the same samples.

use std::ops::Range;

use super::arch::matrix::Matrix;
use super::arch::{Epilogue, Isa};
#[cfg(target_arch = "x86_64")]
use super::bf16;
use super::lookup::{self, Padding, Tokens};
use super::panels::{Panels, positions, positions_of};
use super::spmm::gather_columns;
use super::windows::Windows;
use super::{blocks, conv, conv_dense, dense, narrow, sddmm, sparse_input, spmm};
use crate::sparse::{Order, Pattern, Touched, Weights};
use crate::tiles::Tiles;

/// Computes a linear map: `Y[r] = epilogue(sum over stored c of W[r, c] X[c])`, a row of numbers of 64 samples each, which
/// [`Epilogue::Activate`] makes `activation(W x + b)`.
///
/// `input` has `W.cols()` features and `output` `W.rows()`; or so many at each of several positions, to which the map is applied one by
/// one. Both hold as many samples. The input may be sparse ([`Tiles::sparse`]): work then follows its nonzeros.
///
/// # Panics
/// If shapes do not fit, or weights in column order meet a dense input.
pub fn multiply(isa: Isa, weights: &Weights, input: &Tiles, output: &mut Tiles, epilogue: Epilogue<'_>) {
    let panels = Panels::new(input, positions(weights, input, output));
    if let Some(columns) = input.columns() {
        return sparse_input::multiply(isa, weights, columns, output, epilogue);
    }
    assert_eq!(weights.order(), Order::Rows, "the product with a dense input");
    if let Epilogue::Activate { bias, activation } = epilogue
        && input.samples() <= narrow::FEW
        && !isa.has_tiles_for(weights)
    {
        let lanes = 0..input.samples();
        return narrow::multiply(isa, weights, (input.rows(), output.rows_mut()), lanes, bias, activation);
    }
    match weights {
        Weights::Dense(_) => {
            let matrix = Matrix::new(weights.values(), weights.rows(), weights.cols());
            dense::multiply(isa, matrix, input.rows(), output.rows_mut(), panels, epilogue);
        }
        #[cfg(target_arch = "x86_64")]
        Weights::Sparse(sparse) if bf16::are_for(isa, weights) => {
            let entries = (sparse.pattern().index(), sparse.values());
            let input = bf16::narrowed(isa, input);
            spmm::spmm(isa, entries, input, output.rows_mut(), panels, epilogue);
        }
        Weights::Sparse(sparse) => {
            let entries = (sparse.pattern().index(), sparse.values());
            spmm::spmm(isa, entries, input.rows(), output.rows_mut(), panels, epilogue);
        }
        #[cfg(target_arch = "x86_64")]
        Weights::Blocks(blocks) if bf16::are_for(isa, weights) => {
            let input = bf16::narrowed(isa, input);
            blocks::multiply(isa, blocks, input, output.rows_mut(), panels, epilogue);
        }
        Weights::Blocks(blocks) => {
            blocks::multiply(isa, blocks, input.rows(), output.rows_mut(), panels, epilogue);
        }
    }
}

/// Whether the products of a matrix are made of rows of 16-bit numbers.
#[cfg_attr(not(target_arch = "x86_64"), allow(unused_variables))]
pub(crate) fn is_narrowed(isa: Isa, weights: &Weights) -> bool {
    #[cfg(target_arch = "x86_64")]
    return bf16::are_for(isa, weights);
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// Computes the gradient of a linear map's input: `dX[c] = epilogue(sum over stored r of W[r, c] dY[r])`.
///
/// Shapes are those of [`multiply`]. `workspace` grows to what the values of compressed storage need: that of a gradient which is still to be
/// computed will do.
///
/// # Panics
/// If shapes do not fit, or the weights do not stand in row order.
pub fn multiply_transposed(
    isa: Isa,
    weights: &Weights,
    gradient: &Tiles,
    gradient_input: &mut Tiles,
    epilogue: Epilogue<'_>,
    workspace: &mut Vec<f32>,
) {
    let panels = Panels::new(gradient, positions(weights, gradient_input, gradient));
    assert_eq!(weights.order(), Order::Rows, "the gradient of a dense input");
    let (rows, cols) = (weights.rows(), weights.cols());
    match weights {
        Weights::Dense(_) => {
            let matrix = Matrix::new(weights.values(), rows, cols).transposed();
            dense::multiply(isa, matrix, gradient.rows(), gradient_input.rows_mut(), panels, epilogue);
        }
        #[cfg(target_arch = "x86_64")]
        Weights::Sparse(sparse) if bf16::are_for(isa, weights) => {
            let entries = gather_columns(sparse, workspace);
            let gradient = bf16::narrowed(isa, gradient);
            spmm::spmm(isa, entries, gradient, gradient_input.rows_mut(), panels, epilogue);
        }
        Weights::Sparse(sparse) => {
            let entries = gather_columns(sparse, workspace);
            spmm::spmm(isa, entries, gradient.rows(), gradient_input.rows_mut(), panels, epilogue);
        }
        #[cfg(target_arch = "x86_64")]
        Weights::Blocks(blocks) if bf16::are_for(isa, weights) => {
            let (gradient, output) = (bf16::narrowed(isa, gradient), gradient_input.rows_mut());
            blocks::multiply_transposed(isa, blocks, gradient, output, panels, epilogue);
        }
        Weights::Blocks(blocks) => {
            let output = gradient_input.rows_mut();
            blocks::multiply_transposed(isa, blocks, gradient.rows(), output, panels, epilogue);
        }
    }
}

/// Computes the gradient of every live connection: `dW[r, c] = sum over samples and positions of dY[r] X[c]`.
///
/// `out` has a number for each slot, zero for absent connections in dense storage. `scratch` grows to what dense storage needs to sum
/// tiles in a tree.
///
/// # Panics
/// If shapes do not fit, or the weights do not stand in row order.
pub fn weight_gradient(
    isa: Isa,
    weights: &Weights,
    gradient: &Tiles,
    input: &Tiles,
    out: &mut [f32],
    scratch: &mut Vec<f32>,
) {
    let panels = Panels::new(input, positions(weights, input, gradient));
    assert_eq!(weights.order(), Order::Rows, "the gradient for a dense input");
    match weights {
        Weights::Dense(_) => {
            scratch.resize(out.len() * dense::scratch_levels(panels), 0.0);
            let rows = (gradient.rows(), input.rows());
            dense::weight_gradient(isa, rows, panels, 0..weights.rows(), out, scratch);
            weights.clear_absent(out);
        }
        #[cfg(target_arch = "x86_64")]
        Weights::Sparse(sparse) if bf16::are_for(isa, weights) => {
            let (gradient, input) = (bf16::narrowed(isa, gradient), bf16::narrowed(isa, input));
            sddmm::sddmm(isa, sparse.pattern().index(), gradient, input, panels, out);
        }
        Weights::Sparse(sparse) => {
            sddmm::sddmm(isa, sparse.pattern().index(), gradient.rows(), input.rows(), panels, out);
        }
        #[cfg(target_arch = "x86_64")]
        Weights::Blocks(blocks) if bf16::are_for(isa, weights) => {
            let (gradient, input) = (bf16::narrowed(isa, gradient), bf16::narrowed(isa, input));
            blocks::weight_gradient(isa, blocks, gradient, input, panels, out);
        }
        Weights::Blocks(blocks) => {
            blocks::weight_gradient(isa, blocks, gradient.rows(), input.rows(), panels, out);
        }
    }
}

/// The gradient of every live connection for a sparse input, whose nonzeros the work follows. Gradients are 0 but for the
/// slots in `touched`; `out` must hold what the last call with these left, or zeros.
///
/// # Panics
/// If shapes do not fit, or the input is not sparse.
pub fn sparse_input_gradient(
    weights: &Weights,
    gradient: &Tiles,
    input: &Tiles,
    out: &mut [f32],
    touched: &mut Touched,
) {
    positions(weights, input, gradient);
    let columns = input.columns().expect("a sparse input");
    sparse_input::weight_gradient(weights, gradient, columns, out, touched);
}

/// Lists the slots of the weights that a sparse input meets, so that the others need not be looked at; `false`, and none, where they are
/// not known: the input is dense, or the weights do not stand in column order.
pub fn sparse_input_slots(weights: &Weights, input: &Tiles, out: &mut Touched) -> bool {
    input.columns().is_some_and(|columns| sparse_input::slots(weights, columns, out))
}

/// A product that a weight matrix is part of: what the last passes put in, by which growth rules tell the gradients of
/// absent connections.
#[derive(Clone, Copy)]
pub struct Product<'a> {
    input: &'a Tiles,
    gradient: &'a Tiles,
    map: Map<'a>,
}

/// What makes outputs of inputs.
#[derive(Clone, Copy)]
enum Map<'a> {
    Linear,
    Convolution(&'a Windows),
    LookUp(Padding),
}

impl<'a> Product<'a> {
    /// That of a linear map of `input`, at each position; `gradient` is that of its outputs before any activation.
    pub fn new(input: &'a Tiles, gradient: &'a Tiles) -> Product<'a> {
        Product { input, gradient, map: Map::Linear }
    }

    /// That of a convolution.
    pub fn convolution(input: &'a Tiles, gradient: &'a Tiles, windows: &'a Windows) -> Product<'a> {
        Product { input, gradient, map: Map::Convolution(windows) }
    }

    /// That of rows looked up by the tokens of `input`.
    pub fn look_up(input: &'a Tiles, gradient: &'a Tiles, padding: Padding) -> Product<'a> {
        Product { input, gradient, map: Map::LookUp(padding) }
    }

    /// The gradients that rows `rows` of a full `rows x cols` matrix would have, row-major, into `out`. `scratch` grows as
    /// in [`weight_gradient`].
    ///
    /// # Panics
    /// If shapes do not fit.
    pub fn row_gradients(
        &self,
        isa: Isa,
        shape: (usize, usize),
        rows: Range<usize>,
        out: &mut [f32],
        scratch: &mut Vec<f32>,
    ) {
        assert_eq!(out.len(), rows.len() * shape.1);
        if let Some(columns) = self.input.columns() {
            return sparse_input::row_gradients(shape.1, self.gradient, columns, rows, out);
        }
        match self.map {
            Map::Linear => {}
            Map::Convolution(windows) if windows.geometry().groups == 1 => {
                let both = (self.gradient, self.input);
                return conv_dense::weight_gradient((isa, windows), both, rows, out, scratch);
            }
            // Here there are few cells that are not 0: those of the rows, and none in the others.
            Map::Convolution(_) | Map::LookUp(_) => {
                let cells = rows.start * shape.1..rows.end * shape.1;
                let cells = Pattern::from_cells(shape.0, shape.1, cells);
                return self.cell_gradients(isa, &cells, out);
            }
        }
        let panels = self.panels(shape);
        scratch.resize(out.len() * dense::scratch_levels(panels), 0.0);
        let both = (self.gradient.rows(), self.input.rows());
        dense::weight_gradient(isa, both, panels, rows, out, scratch);
    }

    /// The gradients that the cells of a pattern would have, in its order, whatever the weights are stored as: the work
    /// follows their number.
    ///
    /// # Panics
    /// If shapes do not fit.
    pub fn cell_gradients(&self, isa: Isa, cells: &Pattern, out: &mut [f32]) {
        if let Some(columns) = self.input.columns() {
            return sparse_input::cell_gradients(cells, self.gradient, columns, out);
        }
        let (gradient, input, index) = (self.gradient, self.input, cells.index());
        match self.map {
            Map::Linear => {
                let panels = self.panels((cells.rows(), cells.cols()));
                sddmm::sddmm(isa, index, gradient.rows(), input.rows(), panels, out);
            }
            Map::Convolution(windows) => {
                conv::weight_gradient((isa, windows), index, (gradient, input), out, &mut Vec::new());
            }
            Map::LookUp(padding) => {
                lookup::cell_gradients(cells, gradient, Tokens { input, padding }, out);
            }
        }
    }

    fn panels(&self, shape: (usize, usize)) -> Panels {
        Panels::new(self.input, positions_of(shape, self.input, self.gradient))
    }
}
