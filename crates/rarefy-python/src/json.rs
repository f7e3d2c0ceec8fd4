//! What Python gets as JSON text.

use pyo3::prelude::*;
use serde::Serialize;

use crate::errors::internal;

/// A value as JSON.
pub fn to_json(value: &impl Serialize) -> PyResult<String> {
    serde_json::to_string(value).map_err(|error| internal(&error.to_string()))
}
