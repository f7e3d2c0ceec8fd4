//! Models on disk: `model.safetensors` holds arrays, `config.json` beside it what they mean.
//!
//! A dense weight is one tensor `{name}` of shape `[outputs, inputs]`, a bias one of shape `[outputs]`. A sparse weight
//! is three: `{name}.crow_indices` (i32), `{name}.col_indices` (i32) and `{name}.values` (f32), its shape standing in
//! `config.json`. Three lines of torch rebuild it:
//!
//! ```python
//! t = safetensors.torch.load_file("model.safetensors"); n = "layers.0.weight"
//! w = torch.sparse_csr_tensor(t[n + ".crow_indices"], t[n + ".col_indices"], t[n + ".values"], size=(256, 64))
//! ```

use std::collections::HashMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::save::{write_atomically, write_with};
use super::tensors::{self, Tensor, TensorFile};
use crate::data::{Preparation, Task};
use crate::layers::{Inputs, Network, NetworkSpec, Outputs};
use crate::losses::Head;
use crate::sparse::{Pattern, Storage, Weights};
use crate::tiles::Shape;
use crate::{Error, Result};

/// The newest format that this version reads, and the one it writes.
const FORMAT: u32 = 1;

/// What `config.json` says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelConfig {
    /// The version of the file format.
    pub format: u32,
    /// The version of rarefy that wrote it.
    pub rarefy: String,
    /// The layers.
    pub network: NetworkSpec,
    /// How outputs become predictions.
    pub head: Head,
    /// How new data is encoded like the training data.
    pub preparation: Preparation,
}

/// A trained network and all it takes to use it.
pub struct Model {
    /// The network.
    pub network: Network,
    /// What the network's numbers mean.
    pub config: ModelConfig,
}

impl ModelConfig {
    /// The description of a network in this version's format.
    pub fn new(network: &Network, head: Head, preparation: Preparation) -> ModelConfig {
        let rarefy = env!("CARGO_PKG_VERSION").to_string();
        ModelConfig { format: FORMAT, rarefy, network: network.spec().clone(), head, preparation }
    }

    /// Checks what came from a file: each part by itself, and that they are parts of one model.
    fn check(&self) -> std::result::Result<(), String> {
        let preparation = &self.preparation;
        preparation.check().map_err(|problem| format!("the preparation contradicts itself: {problem}"))?;
        let inputs = Inputs { shape: preparation.shape, vocabulary: preparation.vocabulary() };
        let outputs = match preparation.task {
            Task::Transcription => Outputs::EachStep(preparation.outputs),
            Task::LanguageModel => Shape::sequence(preparation.shape.width, preparation.outputs).into(),
            Task::Classification | Task::MultiLabel | Task::Regression => preparation.outputs.into(),
        };
        self.network.check_for(inputs, outputs)?;
        let fits = match preparation.task {
            Task::Classification => true,
            Task::MultiLabel | Task::Regression => self.head != Head::Softmax,
            Task::Transcription | Task::LanguageModel => self.head == Head::Softmax,
        };
        match fits {
            true => Ok(()),
            false => Err(format!("the head {:?} is not for the task {:?}", self.head, preparation.task)),
        }
    }
}

impl Model {
    /// Reads a model from a run directory or a `.safetensors` file with its `config.json` beside it.
    ///
    /// # Errors
    /// If a file is missing, cut short, from a newer version, or does not describe a network.
    pub fn open(path: &Path) -> Result<Model> {
        let file = if path.is_dir() { path.join("model.safetensors") } else { path.to_path_buf() };
        let config_path = file.with_file_name("config.json");
        let text = std::fs::read(&config_path)
            .map_err(Error::io(&config_path, "cannot read the model's description"))?;
        let config = parse_config(&config_path, &text)?;
        let tensors = TensorFile::open(&file)?;
        let network = read_network(&tensors, &config.network, Storage::Auto)?;
        tensors.check_all_read()?;
        Ok(Model { network, config })
    }
}

fn parse_config(path: &Path, text: &[u8]) -> Result<ModelConfig> {
    #[derive(Deserialize)]
    struct Version {
        format: u32,
        rarefy: String,
    }
    let version: Version = serde_json::from_slice(text)
        .map_err(|error| Error::model(path, format!("is not a model's description ({error})")))?;
    if version.format > FORMAT {
        return Err(Error::model(
            path,
            format!(
                "was written by rarefy {} in format {}; this version reads up to {FORMAT}: update rarefy",
                version.rarefy, version.format
            ),
        ));
    }
    let config: ModelConfig = serde_json::from_slice(text)
        .map_err(|error| Error::model(path, format!("is not a model's description ({error})")))?;
    config.check().map_err(|problem| {
        Error::model(path, format!("{problem}; it was changed or damaged: copy or train it again"))
    })?;
    Ok(config)
}

/// Writes a model's two files, each in one go. A process that is killed in between leaves no wrong pair.
///
/// # Errors
/// If a file cannot be written; what was there before stays, if it is of the same description.
pub fn save_model(directory: &Path, network: &Network, config: &ModelConfig) -> Result<()> {
    let text = serde_json::to_vec_pretty(config).expect("a description is plain data");
    let (description, arrays) = (directory.join("config.json"), directory.join("model.safetensors"));
    // Rather no model for a moment than a description beside the arrays of another.
    if arrays.exists() && std::fs::read(&description).map_or(true, |found| found != text) {
        std::fs::remove_file(&arrays).map_err(Error::io(&arrays, "cannot remove the model before"))?;
    }
    write_atomically(&description, &text)?;
    write_with(&arrays, |file| tensors::write(file, network_tensors(network), HashMap::new()))
}

/// Bytes of a network's arrays on disk.
pub fn model_bytes(network: &Network) -> usize {
    tensors::file_bytes(network_tensors(network))
}

/// The arrays of a network's parameters.
pub(super) fn network_tensors(network: &Network) -> Vec<Tensor<'_>> {
    let mut tensors = Vec::new();
    for parameter in network.parameters() {
        let (name, weights) = (&parameter.name, &parameter.weights);
        let values = || weights.live_in_row_order();
        match weights.pattern() {
            Some(pattern) => {
                let index = pattern.index();
                tensors.push(Tensor::indices(format!("{name}.crow_indices"), index.offsets()));
                tensors.push(Tensor::indices(format!("{name}.col_indices"), index.indices()));
                tensors.push(Tensor::floats(format!("{name}.values"), vec![pattern.nnz()], values));
            }
            None if parameter.is_weight() => {
                tensors.push(Tensor::floats(name, vec![weights.rows(), weights.cols()], values));
            }
            None => tensors.push(Tensor::floats(name, vec![weights.rows()], values)),
        }
    }
    tensors
}

/// The network whose parameters a file's arrays are.
pub(super) fn read_network(file: &TensorFile, spec: &NetworkSpec, storage: Storage) -> Result<Network> {
    let weights = |name: &str, rows: usize, cols: usize| {
        if !file.has(&format!("{name}.values")) {
            let values = file.values(name, &[rows, cols])?;
            let mut weights = Weights::dense(rows, cols);
            weights.values_mut().copy_from_slice(&values);
            return Ok(weights);
        }
        let crow_indices = file.indices(&format!("{name}.crow_indices"))?;
        let col_indices = file.indices(&format!("{name}.col_indices"))?;
        let values = file.values(&format!("{name}.values"), &[col_indices.len()])?;
        let pattern = Pattern::new(rows, cols, crow_indices, col_indices)
            .map_err(|problem| file.problem(format!("\"{name}\": {problem}")))?;
        Ok(Weights::of_live_values(pattern, storage, values))
    };
    Network::load_all(spec, storage, weights, |name, length| file.values(name, &[length]))
}
