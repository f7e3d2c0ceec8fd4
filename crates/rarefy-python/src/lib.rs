//! The compiled part of the Python package `rarefy`: what the library does, by names and arrays that Python knows. It decides
//! nothing; defaults, checks of arguments and everything that scikit-learn or PyTorch asks for are in `python/rarefy`.
#![deny(unsafe_code)]
// They are those of Python, and named there.
#![allow(clippy::too_many_arguments)]

mod arrays;
mod chain;
mod comm;
mod compare;
mod convolutions;
mod errors;
mod frames;
mod inspect;
mod json;
mod linear;
mod model;
mod ops;
mod path;
mod pool;
mod preparation;
mod run;
mod samples;
mod settings;
mod topology;
mod trainer;
mod watch;

use pyo3::prelude::*;

#[pymodule]
fn _rarefy(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<samples::Samples>()?;
    module.add_class::<trainer::Trainer>()?;
    module.add_class::<model::Model>()?;
    module.add_class::<chain::Chain>()?;
    module.add_class::<chain::Ticket>()?;
    module.add_function(wrap_pyfunction!(chain::check_pattern, module)?)?;
    module.add_function(wrap_pyfunction!(chain::random_pattern, module)?)?;
    module.add_function(wrap_pyfunction!(chain::block_height, module)?)?;
    module.add_class::<topology::Topology>()?;
    module.add_class::<linear::Design>()?;
    module.add_class::<preparation::Preparation>()?;
    module.add_function(wrap_pyfunction!(ops::sparse_times_dense, module)?)?;
    module.add_function(wrap_pyfunction!(ops::products_of_rows, module)?)?;
    module.add_function(wrap_pyfunction!(convolutions::convolve, module)?)?;
    module.add_function(wrap_pyfunction!(convolutions::convolution_gradient, module)?)?;
    module.add_function(wrap_pyfunction!(path::follow_path, module)?)?;
    module.add_function(wrap_pyfunction!(settings::complete_settings, module)?)?;
    module.add_class::<run::Run>()?;
    module.add_function(wrap_pyfunction!(settings::settings_page, module)?)?;
    module.add_function(wrap_pyfunction!(settings::target_setting, module)?)?;
    module.add_function(wrap_pyfunction!(inspect::inspect_model, module)?)?;
    module.add_function(wrap_pyfunction!(inspect::evaluate_model, module)?)?;
    module.add_function(wrap_pyfunction!(inspect::predict_file, module)?)?;
    module.add_function(wrap_pyfunction!(compare::compare, module)?)?;
    Ok(())
}
