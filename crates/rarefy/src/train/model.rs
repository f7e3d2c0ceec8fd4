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
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use super::save::write_atomically;
use crate::data::Preparation;
use crate::layers::{Network, NetworkSpec};
use crate::losses::Head;
use crate::sparse::{Pattern, Storage, Weights};
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
        let tensors = TensorFile::read(&file)?;
        let network = tensors.network(&config.network, Storage::Auto)?;
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
    config.network.check().map_err(|problem| Error::model(path, problem))?;
    Ok(config)
}

/// Writes a model's two files, each in one go.
///
/// # Errors
/// If a file cannot be written; what was there before stays.
pub fn save_model(directory: &Path, network: &Network, config: &ModelConfig) -> Result<()> {
    let bytes = TensorFile::in_memory(network).bytes;
    let text = serde_json::to_vec_pretty(config).expect("a description is plain data");
    write_atomically(&directory.join("config.json"), &text)?;
    write_atomically(&directory.join("model.safetensors"), &bytes)
}

/// Bytes of a network's arrays on disk.
pub fn model_bytes(network: &Network) -> usize {
    TensorFile::in_memory(network).bytes.len()
}

/// A named array to be written.
pub(super) struct Tensor {
    pub(super) name: String,
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<usize>,
    pub(super) data: Vec<u8>,
}

impl Tensor {
    pub(super) fn floats(name: impl Into<String>, shape: Vec<usize>, values: &[f32]) -> Tensor {
        let data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Tensor { name: name.into(), dtype: Dtype::F32, shape, data }
    }

    fn indices(name: String, values: &[u32]) -> Tensor {
        let data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Tensor { name, dtype: Dtype::I32, shape: vec![values.len()], data }
    }
}

/// The arrays of a network's parameters.
pub(super) fn network_tensors(network: &Network) -> Vec<Tensor> {
    let mut tensors = Vec::new();
    for parameter in network.parameters() {
        let (name, weights) = (&parameter.name, &parameter.weights);
        match weights.pattern() {
            Some(pattern) => {
                let index = pattern.index();
                let values = weights.live_values();
                tensors.push(Tensor::indices(format!("{name}.crow_indices"), index.offsets()));
                tensors.push(Tensor::indices(format!("{name}.col_indices"), index.indices()));
                tensors.push(Tensor::floats(format!("{name}.values"), vec![values.len()], &values));
            }
            None if parameter.is_weight() => {
                let values = weights.in_row_order(weights.values());
                tensors.push(Tensor::floats(name, vec![weights.rows(), weights.cols()], &values));
            }
            None => tensors.push(Tensor::floats(name, vec![weights.rows()], weights.values())),
        }
    }
    tensors
}

/// A safetensors file in memory.
pub(super) struct TensorFile {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl TensorFile {
    /// The arrays of a network, as they would be on disk.
    pub(super) fn in_memory(network: &Network) -> TensorFile {
        TensorFile {
            path: PathBuf::new(),
            bytes: TensorFile::bytes(network_tensors(network), HashMap::new()),
        }
    }

    pub(super) fn read(path: &Path) -> Result<TensorFile> {
        let bytes = std::fs::read(path).map_err(Error::io(path, "cannot read"))?;
        let file = TensorFile { path: path.to_path_buf(), bytes };
        file.parsed()?;
        Ok(file)
    }

    /// The file's contents: arrays and words about them.
    pub(super) fn bytes(tensors: Vec<Tensor>, metadata: HashMap<String, String>) -> Vec<u8> {
        let views = tensors.iter().map(|tensor| {
            let view = TensorView::new(tensor.dtype, tensor.shape.clone(), &tensor.data);
            (tensor.name.as_str(), view.expect("shape and data of a tensor agree"))
        });
        safetensors::serialize(views, Some(metadata)).expect("arrays in memory can be written")
    }

    fn parsed(&self) -> Result<SafeTensors<'_>> {
        SafeTensors::deserialize(&self.bytes).map_err(|error| {
            self.problem(format!("is not a whole safetensors file ({error}); it may have been cut short: copy or train it again"))
        })
    }

    pub(super) fn problem(&self, problem: impl Into<String>) -> Error {
        Error::model(&self.path, problem)
    }

    /// The words about the arrays.
    pub(super) fn metadata(&self, key: &str) -> Result<String> {
        let (_, metadata) =
            SafeTensors::read_metadata(&self.bytes).map_err(|error| self.problem(error.to_string()))?;
        let value = metadata.metadata().as_ref().and_then(|words| words.get(key).cloned());
        value.ok_or_else(|| self.problem(format!("has no \"{key}\"; it is not a checkpoint")))
    }

    /// The numbers of an array.
    pub(super) fn floats(&self, name: &str, length: usize) -> Result<Vec<f32>> {
        let numbers = self.all_floats(name)?;
        if numbers.len() != length {
            return Err(self.problem(format!("\"{name}\" has {} numbers, not {length}", numbers.len())));
        }
        Ok(numbers)
    }

    /// The numbers of an array, however many.
    pub(super) fn all_floats(&self, name: &str) -> Result<Vec<f32>> {
        Ok(self.words(name, Dtype::F32)?.into_iter().map(f32::from_bits).collect())
    }

    fn words(&self, name: &str, dtype: Dtype) -> Result<Vec<u32>> {
        let tensors = self.parsed()?;
        let tensor = tensors.tensor(name).map_err(|_| self.problem(format!("lacks \"{name}\"")))?;
        if tensor.dtype() != dtype {
            return Err(self.problem(format!("\"{name}\" holds {:?}, not {dtype:?}", tensor.dtype())));
        }
        let (words, _) = tensor.data().as_chunks::<4>();
        Ok(words.iter().map(|&word| u32::from_le_bytes(word)).collect())
    }

    /// The network whose parameters these arrays are.
    pub(super) fn network(&self, spec: &NetworkSpec, storage: Storage) -> Result<Network> {
        let has = |name: &str| self.parsed().map(|tensors| tensors.tensor(name).is_ok());
        let mut network = Network::load(spec, storage, |name, rows, cols| {
            if !has(&format!("{name}.values"))? {
                let mut weights = Weights::dense(rows, cols);
                weights.values_mut().copy_from_slice(&self.floats(name, rows * cols)?);
                return Ok(weights);
            }
            let crow_indices = self.words(&format!("{name}.crow_indices"), Dtype::I32)?;
            let col_indices = self.words(&format!("{name}.col_indices"), Dtype::I32)?;
            let values = self.floats(&format!("{name}.values"), col_indices.len())?;
            let pattern = Pattern::new(rows, cols, crow_indices, col_indices)
                .map_err(|problem| self.problem(format!("\"{name}\": {problem}")))?;
            let mut weights = Weights::zeros(pattern, storage);
            let slots: Vec<usize> = weights.connections().map(|(_, slot)| slot).collect();
            for (slot, value) in slots.into_iter().zip(values) {
                weights.values_mut()[slot] = value;
            }
            Ok(weights)
        })?;
        for parameter in network.parameters_mut().filter(|parameter| !parameter.is_weight()) {
            let values = self.floats(&parameter.name, parameter.weights.rows())?;
            parameter.weights.values_mut().copy_from_slice(&values);
        }
        Ok(network)
    }
}
