//! The three products of a convolution with sparse filters, one call each. Arrays lie as torch's: `[samples][channels][positions]`.

use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1, PyReadonlyArray4};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use rarefy::kernels::{Activation, Convolution, Epilogue, Geometry, Isa, Windows};
use rarefy::layers::{Conv2dSpec, Describe, Padding, Size};
use rarefy::sparse::{Pattern, Storage, Weights};
use rarefy::tiles::{Shape, Tiles};

use crate::arrays::{list, slice};
use crate::chain::{Indices, pattern};
use crate::ops::inside;

/// Channels, height and width of an image; filters, height and width of the kernel; stride, padding and dilation; groups.
type Sizes = ([usize; 3], [usize; 3], [[usize; 2]; 3], usize);

type Images<'py> = PyReadonlyArray4<'py, f32>;

/// A convolution that has been checked.
struct Checked {
    geometry: Geometry,
    output: Shape,
    pattern: Pattern,
}

impl Checked {
    fn new(sizes: Sizes, crow: &Indices<'_>, col: &Indices<'_>) -> PyResult<Checked> {
        let ([channels, height, width], [filters, rows, columns], [stride, padding, dilation], groups) =
            sizes;
        let input = Shape { height, width, channels };
        let geometry =
            Geometry { input, filters, kernel: [rows, columns], stride, padding, dilation, groups };
        let layer = Conv2dSpec {
            kernel: Size::Sides(geometry.kernel),
            stride: Size::Sides(stride),
            padding: Padding::By(Size::Sides(padding)),
            dilation: Size::Sides(dilation),
            groups,
            ..Conv2dSpec::new(filters, 1)
        };
        let checked = input
            .check()
            .and_then(|()| layer.output(input))
            .and_then(|output| output.check().map(|()| output));
        let output =
            checked.map_err(|problem| PyValueError::new_err(format!("the convolution: {problem}")))?;
        Ok(Checked { geometry, output, pattern: pattern(filters, geometry.cols(), crow, col)? })
    }
}

fn tiled(images: &[f32], shape: Shape) -> Tiles {
    let mut tiles = Tiles::zeros(shape.features(), 0);
    tiles.pack(images, shape);
    tiles
}

/// The outputs of a convolution whose filters have `values` for their connections, or where `transposed` says so the gradient of its
/// inputs from that of its outputs; sample by sample.
#[pyfunction]
pub fn convolve<'py>(
    py: Python<'py>,
    sizes: Sizes,
    crow: Indices<'_>,
    col: Indices<'_>,
    values: PyReadonlyArray1<'_, f32>,
    images: Images<'_>,
    transposed: bool,
    threads_wanted: usize,
) -> PyResult<Bound<'py, PyArray1<f32>>> {
    let Checked { geometry, output, pattern } = Checked::new(sizes, &crow, &col)?;
    let (values, images) = (list(&values)?.to_vec(), slice(images.as_slice())?);
    let (from, to) = if transposed { (output, geometry.input) } else { (geometry.input, output) };
    let numbers = inside(py, threads_wanted, || {
        let weights = Weights::of_live_values(pattern, Storage::Sparse, values);
        let (windows, given) = (Windows::new(geometry), tiled(images, from));
        let mut found = Tiles::zeros(to.features(), given.samples());
        let convolution = Convolution::new(Isa::detect(), &windows);
        if transposed {
            let epilogue = Epilogue::Gate { activation: Activation::Identity, outputs: &[] };
            convolution.transposed(&weights, &given, &mut found, epilogue, &mut Vec::new());
        } else {
            let bias = vec![0.0; geometry.filters];
            let epilogue = Epilogue::Activate { bias: &bias, activation: Activation::Identity };
            convolution.forward(&weights, &given, &mut found, epilogue);
        }
        let mut numbers = vec![0.0; found.samples() * to.features()];
        found.unpack(&mut numbers, to);
        numbers
    })?;
    Ok(numbers.into_pyarray(py))
}

/// The gradient of each connection of the filters, from the inputs and the gradient of the outputs.
#[pyfunction]
pub fn convolution_gradient<'py>(
    py: Python<'py>,
    sizes: Sizes,
    crow: Indices<'_>,
    col: Indices<'_>,
    images: Images<'_>,
    gradient: Images<'_>,
    threads_wanted: usize,
) -> PyResult<Bound<'py, PyArray1<f32>>> {
    let Checked { geometry, output, pattern } = Checked::new(sizes, &crow, &col)?;
    let (images, gradient) = (slice(images.as_slice())?, slice(gradient.as_slice())?);
    let products = inside(py, threads_wanted, || {
        let mut products = vec![0.0; pattern.nnz()];
        let weights = Weights::zeros(pattern, Storage::Sparse);
        let (windows, input, gradient) =
            (Windows::new(geometry), tiled(images, geometry.input), tiled(gradient, output));
        let convolution = Convolution::new(Isa::detect(), &windows);
        convolution.weight_gradient(&weights, &gradient, &input, &mut products, &mut Vec::new());
        products
    })?;
    Ok(products.into_pyarray(py))
}
