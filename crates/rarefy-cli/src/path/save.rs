//! What a path writes: coefficients, and the chosen model as a folder that `evaluate`, `predict` and `inspect` read like a run's.
//!
//! | file | what |
//! |---|---|
//! | `model.safetensors`, `config.json` | the model |
//! | `config.toml` | the settings, with the model's lambda |
//! | `path.json` | the whole path, as `--json` prints it |

use std::io::Write;
use std::path::Path;

use anyhow::Result;
use rarefy::convex::Solution;
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

/// Writes the coefficients, an NPY file of version 1.0 (NEP 1).
pub fn write_coefficients(out: &mut dyn Write, answers: &[Solution], features: usize) -> std::io::Result<()> {
    let shape = format!("({}, {})", answers.len(), features + 1);
    let header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}");
    // The numbers start at a multiple of 64.
    let padded = (10 + header.len() + 1).next_multiple_of(64) - 11;
    out.write_all(b"\x93NUMPY\x01\x00")?;
    out.write_all(&(padded as u16 + 1).to_le_bytes())?;
    writeln!(out, "{header:padded$}")?;
    for answer in answers {
        let mut row = vec![0.0; features + 1];
        answer.coefficients.iter().for_each(|&(feature, weight)| row[feature] = weight);
        row[features] = answer.intercept;
        for number in row {
            out.write_all(&number.to_le_bytes())?;
        }
    }
    Ok(())
}
