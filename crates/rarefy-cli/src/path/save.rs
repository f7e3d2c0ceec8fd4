//! The chosen model of a path as a folder that `evaluate`, `predict` and `inspect` read like a run's.
//!
//! | file | what |
//! |---|---|
//! | `model.safetensors`, `config.json` | the model |
//! | `config.toml` | the settings, with the model's lambda |
//! | `path.json` | the whole path, as `--json` prints it |

use std::path::Path;

use anyhow::Result;
use rarefy::layers::Network;
use rarefy::train::{ModelConfig, RunDirectory, Settings, save_model};
use serde::Serialize;

use super::Choose;

/// What `--save-model` wrote.
#[derive(Clone, Copy, Serialize)]
pub struct Saved<'a> {
    /// Which model.
    pub choice: Choose,
    /// Where.
    pub folder: &'a Path,
}

impl Saved<'_> {
    /// What to do with it.
    pub fn advice(&self) -> String {
        format!("\nmodel    {0}\nnext     rarefy evaluate {0}", self.folder.display())
    }
}

/// Takes the folder, before any work: it must not hold a run.
pub fn claim(folder: Option<&Path>) -> Result<Option<RunDirectory>> {
    Ok(folder.map(RunDirectory::create).transpose()?)
}

/// Writes the files; the settings last, because they mark the folder as taken.
pub fn write(
    folder: &RunDirectory,
    settings: &Settings,
    network: &Network,
    config: &ModelConfig,
    path: &impl Serialize,
) -> Result<()> {
    save_model(folder.path(), network, config)?;
    folder.write("path.json", &format!("{}\n", serde_json::to_string_pretty(path)?))?;
    folder.write("config.toml", &toml::to_string(settings)?)?;
    Ok(())
}
