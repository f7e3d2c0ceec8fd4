//! Settings from JSON text: what Python's `dict` of settings, nested or by dotted keys, becomes on the way.

use pyo3::prelude::*;
use rarefy::Settings;
use rarefy::control::parse_target;
use rarefy::train::{SettingsBuilder, network_named};
use serde_json::Value;

use crate::errors::{internal, raised};
use crate::json::to_json;

/// The settings that a JSON object describes, laid over those of a file if there is one. `null` stands for the default.
pub fn settings(text: &str, file: Option<&str>) -> PyResult<Settings> {
    let given: Value = serde_json::from_str(text).map_err(|error| internal(&error.to_string()))?;
    let mut builder = SettingsBuilder::default();
    if let Some(file) = file {
        builder.file(file.as_ref()).map_err(raised)?;
    }
    lay(&mut builder, "", &given).map_err(raised)?;
    let settings = builder.settings().map_err(raised)?;
    settings.check().map_err(raised)?;
    Ok(settings)
}

/// Lays each value over the settings by its dotted key. Names of tables that hold names of the user's own, as class weights do,
/// come as a whole.
fn lay(builder: &mut SettingsBuilder, key: &str, value: &Value) -> rarefy::Result<()> {
    match value {
        Value::Null => Ok(()),
        // By name, as the program has it.
        Value::String(name) if key == "network" => {
            builder.network(&network_named(name)?);
            Ok(())
        }
        Value::Object(inner) if key.is_empty() || !key.contains('.') => {
            for (name, value) in inner {
                let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
                lay(builder, &key, value)?;
            }
            Ok(())
        }
        value => builder.value(key, value),
    }
}

/// All settings, as JSON, that a JSON object of some describes.
#[pyfunction]
#[pyo3(signature = (text, file=None))]
pub fn complete_settings(text: &str, file: Option<&str>) -> PyResult<String> {
    to_json(&settings(text, file)?)
}

/// The page of all settings, Markdown: a row of a table for each.
#[pyfunction]
pub fn settings_page() -> &'static str {
    include_str!("../settings.md")
}

/// Key and number of a target in words, as in `nnz=50k`.
#[pyfunction]
pub fn target_setting(text: &str) -> PyResult<(String, f64)> {
    parse_target(text).map_err(raised)
}
