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

use std::borrow::Cow;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::evaluation::Meaning;
use super::predictions::Predictions;
use super::predictor::Predictor;
use super::save::{write_atomically, write_whole};
use super::score::{Score, score};
use super::tensors::{self, Tensor, TensorFile, Words};
use crate::data::{Batch, Dataset, Loaded, Preparation, Samples, Task};
use crate::kernels::Isa;
use crate::layers::{Inputs, LayerKinds, Network, NetworkSpec, Outputs, Precision, Role, WeightShape};
use crate::losses::{self, Head, Loss, LossSettings, best_path};
use crate::metrics::Decision;
use crate::sparse::{BLOCK_HEIGHTS, Pattern, Storage, Weights};
use crate::tiles::{LANES, Shape, Tiles};
use crate::{Error, InputProblem, Result};

/// The key of the description in the header of a file.
const CONFIG: &str = "config";

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
    /// Cells of the network that was trained, of which the model may have lost neurons; its sparsity is told of these. Not in the
    /// files of older versions: then the cells of the network above.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trained_cells: Option<usize>,
    /// How probabilities become classes.
    #[serde(default, skip_serializing_if = "Decision::is_default")]
    pub decision: Decision,
    /// Which quantile of its targets it predicts, if it was trained to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantile: Option<f32>,
    /// In how many bits products read numbers, as in training; the arrays hold all bits of the weights.
    #[serde(default, skip_serializing_if = "is_f32")]
    pub precision: Precision,
}

fn is_f32(precision: &Precision) -> bool {
    *precision == Precision::F32
}

/// A trained network and all it takes to use it. Predicting takes `&self`, copies no weights but once to round them
/// ([`ModelConfig::precision`]), and may be done by several
/// threads at once; the bits of a prediction depend neither on the threads nor on the other samples.
pub struct Model {
    network: Network,
    /// What the network's numbers mean.
    pub config: ModelConfig,
    predictor: Predictor,
}

impl ModelConfig {
    /// The description of a network in this version's format, with all cells that it was trained with.
    pub fn new(network: &Network, head: Head, preparation: Preparation) -> ModelConfig {
        let rarefy = env!("CARGO_PKG_VERSION").to_string();
        ModelConfig {
            format: FORMAT,
            rarefy,
            network: network.spec().clone(),
            head,
            preparation,
            trained_cells: Some(network.connections().1),
            decision: Decision::default(),
            quantile: None,
            precision: network.precision(),
        }
    }

    pub(super) fn meaning(&self) -> Meaning<'_> {
        let ModelConfig { head, ref preparation, decision, quantile, .. } = *self;
        Meaning { preparation, head, decision, quantile }
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
        let shapes = self.network.weight_shapes().map_err(|error| error.to_string())?;
        let cells: usize = shapes.iter().map(WeightShape::cells).sum();
        if let Some(trained) = self.trained_cells.filter(|&trained| trained < cells) {
            return Err(format!("the network has {cells} cells, and had {trained} when it was trained"));
        }
        let fits = match preparation.task {
            Task::Classification => true,
            Task::MultiLabel | Task::Regression => self.head != Head::Softmax,
            Task::Transcription | Task::LanguageModel => self.head == Head::Softmax,
        };
        if !fits {
            return Err(format!("the head {:?} is not for the task {:?}", self.head, preparation.task));
        }
        let Decision { positive, threshold } = self.decision;
        let has_two = preparation.task == Task::Classification && preparation.outputs == 2;
        let is_decision = has_two && positive < 2 && threshold > 0.0 && threshold < 1.0;
        if !is_decision && !self.decision.is_default() {
            return Err(format!("class {positive} from {threshold} on is no decision between two classes"));
        }
        let quantile = self.quantile.unwrap_or(0.5);
        if quantile > 0.0 && quantile < 1.0 { Ok(()) } else { Err(format!("{quantile} is no quantile")) }
    }
}

/// One weight matrix of a model as compressed sparse rows, under torch's names: row `r` has the connections from
/// `crow_indices[r]` to `crow_indices[r + 1]`, each with its column (the input) and its value.
#[derive(Debug, Clone, PartialEq)]
pub struct CsrWeights<'a> {
    /// The name in model files, as in `layers.0.weight`.
    pub name: &'a str,
    /// Outputs and inputs of the matrix.
    pub shape: [usize; 2],
    /// Where each row begins, and the end: `rows + 1` numbers.
    pub crow_indices: Cow<'a, [u32]>,
    /// The column of each connection, ascending within a row.
    pub col_indices: Cow<'a, [u32]>,
    /// The value of each connection.
    pub values: Cow<'a, [f32]>,
}

impl Model {
    /// The model of a network in memory.
    pub fn new(mut network: Network, config: ModelConfig) -> Model {
        network.store_by_output();
        network.set_precision(config.precision);
        Model { network, config, predictor: Predictor::default() }
    }

    /// The network, with all bits of its weights.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The model with threads of its own; else it predicts in those of the caller: rayon's pool that [`Model::predict`] is
    /// called in.
    pub fn with_pool(mut self, pool: Arc<rayon::ThreadPool>) -> Model {
        self.predictor.set_pool(pool);
        self
    }

    /// The model with another instruction set than the best of this machine.
    pub fn with_isa(mut self, isa: Isa) -> Model {
        self.predictor.set_isa(isa);
        self
    }

    /// Reads a model: from a run's folder, from a `.safetensors` file with its `config.json` beside it, or from a file of
    /// [`Model::save`], which holds both.
    ///
    /// # Errors
    /// If a file is missing, cut short, damaged, from a newer version, or does not describe a network.
    pub fn open(path: &Path) -> Result<Model> {
        Model::open_with(path, &LayerKinds::new())
    }

    /// As [`Model::open`], for a network that may have layers of a user's own, of these kinds.
    ///
    /// # Errors
    /// As for [`Model::open`]; if a layer is of another kind.
    pub fn open_with(path: &Path, kinds: &LayerKinds) -> Result<Model> {
        let file = if path.is_dir() { path.join("model.safetensors") } else { path.to_path_buf() };
        let config_path = file.with_file_name("config.json");
        // The description first, as it is written.
        let text = std::fs::read(&config_path)
            .map_err(Error::io(&config_path, "cannot read the model's description"));
        let arrays = TensorFile::open(&file)?;
        if arrays.words(CONFIG).is_some() {
            return Model::read(&file, &arrays, kinds);
        }
        if arrays.words(tensors::RUN).is_some() {
            let problem = "is the checkpoint of a run, from which training goes on, and no model; give the run's folder";
            return Err(arrays.problem(problem));
        }
        Model::of_arrays(parse_config(&config_path, &text?, kinds)?, &arrays)
    }

    /// Writes the model to one `.safetensors` file, its description in the header; a file that was there is replaced in one
    /// go, and a `config.json` beside it is not looked at.
    ///
    /// # Errors
    /// If the file cannot be written; what was there before stays.
    pub fn save(&self, path: &Path) -> Result<()> {
        write_whole(path, |file| self.write(file))
    }

    /// The bytes that [`Model::save`] writes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(&mut bytes).expect("memory can be written");
        bytes
    }

    /// The model that [`Model::to_bytes`] gave.
    ///
    /// # Errors
    /// As for [`Model::open`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Model> {
        Model::from_bytes_with(bytes, &LayerKinds::new())
    }

    /// As [`Model::from_bytes`], for a network that may have layers of a user's own, of these kinds.
    ///
    /// # Errors
    /// As for [`Model::open_with`].
    pub fn from_bytes_with(bytes: &[u8], kinds: &LayerKinds) -> Result<Model> {
        let path = Path::new("model bytes");
        Model::read(path, &TensorFile::of_bytes(path, bytes)?, kinds)
    }

    /// Cells of the network that was trained, those of neurons that the model has lost included.
    pub fn cells(&self) -> usize {
        self.config.trained_cells.unwrap_or_else(|| self.network.connections().1)
    }

    /// The share of [`Model::cells`] without a connection: what training, inspecting and comparing tell.
    pub fn sparsity(&self) -> f64 {
        1.0 - self.network.connections().0 as f64 / self.cells().max(1) as f64
    }

    /// All weight matrices, which may have absent connections, from the first layer to the last. Biases and other
    /// parameters are among [`Network::parameters`].
    pub fn weights(&self) -> impl Iterator<Item = CsrWeights<'_>> {
        self.network.weights().map(|(_, parameter)| {
            let weights = &parameter.weights;
            let (rows, cols) = (weights.rows(), weights.cols());
            let (crow_indices, col_indices) = match weights.pattern() {
                Some(pattern) if weights.block_height() == 1 => {
                    (pattern.index().offsets().into(), pattern.index().indices().into())
                }
                Some(_) => {
                    let cells: Vec<usize> = weights.connections().map(|(cell, _)| cell).collect();
                    let single = Pattern::from_cells(rows, cols, cells.into_iter());
                    (single.index().offsets().to_vec().into(), single.index().indices().to_vec().into())
                }
                None => {
                    let offsets: Vec<u32> = (0..=rows).map(|row| (row * cols) as u32).collect();
                    let columns: Vec<u32> = (0..rows).flat_map(|_| 0..cols as u32).collect();
                    (offsets.into(), columns.into())
                }
            };
            let (name, values) = (&*parameter.name, weights.live_in_row_order());
            CsrWeights { name, shape: [rows, cols], crow_indices, col_indices, values }
        })
    }

    /// Predicts samples in memory as they are: the model scales them as it did the training part. What they are to be
    /// predicted as is not looked at.
    ///
    /// # Errors
    /// [`Error::Input`]: another number of inputs than the model has, or another kind of rows; a model of texts, categories or
    /// a language, which rows of numbers cannot be for.
    pub fn predict(&self, samples: &Samples) -> Result<Predictions<'_>> {
        Ok(self.predict_prepared(&self.prepare(samples)?.dataset))
    }

    /// Samples in memory made ready to be predicted, and what became of them on the way, such as categories that training had not.
    ///
    /// # Errors
    /// As for [`Model::predict`].
    pub fn prepare(&self, samples: &Samples) -> Result<Loaded> {
        if self.config.preparation.task == Task::LanguageModel {
            let found = "samples to predict".into();
            return Err(Error::Input(InputProblem::Mismatch {
                found,
                expected: "a text to go on with".into(),
            }));
        }
        self.config.preparation.load(samples, false)
    }

    /// Predicts samples that were made ready as the training part was: those of a file ([`data::load_with`]) or of memory
    /// ([`Preparation::prepare`]).
    ///
    /// # Panics
    /// If the data is not of the model's preparation, or the model is a language model, which predicts no samples.
    ///
    /// [`data::load_with`]: crate::data::load_with
    pub fn predict_prepared(&self, dataset: &Dataset) -> Predictions<'_> {
        self.predict_and(dataset, |_, _| ())
    }

    /// The score on prepared samples and their targets, by the plain loss of the model's outputs (cross-entropy, binary
    /// cross-entropy, mean squared error of scaled numbers, or CTC), and what is predicted for them; of a language model the
    /// score alone.
    ///
    /// # Panics
    /// As for [`Model::predict_prepared`].
    pub fn evaluate(&self, dataset: &Dataset) -> (Score, Predictions<'_>) {
        let (isa, loss) = (self.predictor.isa(&self.network), self.plain_loss());
        let mut total = Score::default();
        let mut add = |batch: &Batch, outputs: &Tiles| total.add(score(&loss, isa, outputs, batch, None));
        let predictions = if self.config.preparation.task == Task::LanguageModel {
            self.predictor.run(&self.network, dataset, |batch, outputs| add(batch, outputs));
            Predictions::new(self.config.meaning(), 0)
        } else {
            self.predict_and(dataset, &mut add)
        };
        (total, predictions)
    }

    /// The loss that is plain for the model's outputs: without label smoothing, class weights or a user's choice.
    pub fn plain_loss(&self) -> Loss {
        match (self.config.preparation.task, self.config.head) {
            (Task::Transcription, _) => Loss::Ctc,
            (_, Head::Softmax) => LossSettings::default()
                .build(losses::Task::Classification { counts: &[] })
                .expect("the defaults are sound"),
            (_, Head::Sigmoid) => Loss::BinaryCrossEntropy,
            (_, Head::Identity) => Loss::MeanSquaredError,
        }
    }

    /// Predicts, `watch` seeing each batch's outputs before they become predictions.
    fn predict_and(
        &self,
        dataset: &Dataset,
        mut watch: impl FnMut(&Batch, &Tiles) + Send,
    ) -> Predictions<'_> {
        let ModelConfig { head, preparation, .. } = &self.config;
        assert!(preparation.task != Task::LanguageModel, "a language model predicts no samples");
        let mut predictions = Predictions::new(self.config.meaning(), dataset.len());
        let Shape { width: steps, channels: classes, .. } = self.network.output();
        self.predictor.run(&self.network, dataset, |batch, outputs| {
            watch(batch, outputs);
            if preparation.task == Task::Transcription {
                for sample in 0..batch.samples {
                    let (tile, lane) = (sample / LANES, sample % LANES);
                    let real = outputs.real_steps(tile, steps)[lane] as usize;
                    predictions.push_transcript(best_path(outputs.tile(tile), classes, lane, real).collect());
                }
                return;
            }
            for tile in 0..outputs.tiles() {
                head.apply(outputs.tile_mut(tile));
            }
            for sample in 0..batch.samples {
                predictions.push((0..outputs.features()).map(|feature| outputs.at(sample, feature)));
            }
        });
        predictions
    }

    fn write(&self, out: &mut dyn Write) -> std::io::Result<()> {
        let config = serde_json::to_string(&self.config).expect("a description is plain data");
        // What torch's readers ask for, and who wrote it.
        let words =
            Words::from([("format", "pt".into()), ("rarefy", self.config.rarefy.clone()), (CONFIG, config)]);
        tensors::write(out, network_tensors(&self.network), words)
    }

    /// The model of a file that holds its description.
    fn read(path: &Path, file: &TensorFile, kinds: &LayerKinds) -> Result<Model> {
        let text = file.words(CONFIG).ok_or_else(|| {
            file.problem("has no description of its network; open it with its config.json beside it")
        })?;
        Model::of_arrays(parse_config(path, text.as_bytes(), kinds)?, file)
    }

    fn of_arrays(config: ModelConfig, file: &TensorFile) -> Result<Model> {
        let network = read_network(file, &config.network, Storage::Auto)?;
        file.check_all_read()?;
        Ok(Model::new(network, config))
    }
}

fn parse_config(path: &Path, text: &[u8], kinds: &LayerKinds) -> Result<ModelConfig> {
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
    let mut config: ModelConfig = serde_json::from_slice(text)
        .map_err(|error| Error::model(path, format!("is not a model's description ({error})")))?;
    config.network.resolve(kinds).map_err(|problem| Error::model(path, problem))?;
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
    write_whole(&arrays, |file| tensors::write(file, network_tensors(network), Words::new()))
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
        let values = || match weights {
            // Block by block, as the index is.
            Weights::Blocks(blocks) => blocks.values().into(),
            _ => weights.live_in_row_order(),
        };
        if weights.block_height() > 1 {
            let height = vec![weights.block_height() as u32];
            tensors.push(Tensor::indices(format!("{name}.block"), height));
        }
        match weights.pattern() {
            Some(pattern) => {
                let index = pattern.index();
                tensors.push(Tensor::indices(format!("{name}.crow_indices"), index.offsets()));
                tensors.push(Tensor::indices(format!("{name}.col_indices"), index.indices()));
                tensors.push(Tensor::floats(format!("{name}.values"), vec![weights.nnz()], values));
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
    let weights = |shape: &WeightShape| {
        let WeightShape { ref name, rows, cols, alike, .. } = *shape;
        if !file.has(&format!("{name}.values")) {
            let values = file.values(name, &[rows, cols])?;
            let mut weights = Weights::dense(rows, cols);
            weights.values_mut().copy_from_slice(&values);
            return Ok(weights);
        }
        let crow_indices = file.indices(&format!("{name}.crow_indices"))?;
        let col_indices = file.indices(&format!("{name}.col_indices"))?;
        let problem = |problem: String| file.problem(format!("\"{name}\": {problem}"));
        let values = |count: usize| file.values(&format!("{name}.values"), &[count]);
        let about = format!("{name}.block");
        if !file.has(&about) {
            let values = values(col_indices.len())?;
            let pattern = Pattern::new(rows, cols, crow_indices, col_indices).map_err(problem)?;
            return Ok(Weights::of_live_values(pattern, storage, values));
        }
        let about = file.indices(&about)?;
        let height = about.first().map_or(0, |&height| height as usize);
        let is_height = BLOCK_HEIGHTS.contains(&height) && alike.is_multiple_of(height);
        if about.len() != 1 || !is_height {
            return Err(problem(format!(
                "block is {about:?}, not the rows of a block, 2, 4, 8 or 16, which divide the {alike} rows of a kind (outputs, units of a gate, filters of a group)"
            )));
        }
        let pattern = Pattern::new(rows / height, cols, crow_indices, col_indices).map_err(problem)?;
        let mut weights = Weights::zeros_in_blocks(height, pattern);
        let count = weights.nnz();
        weights.values_mut().copy_from_slice(&values(count)?);
        Ok(weights)
    };
    let network = Network::load_all(spec, storage, weights, |name, length| file.values(name, &[length]))?;
    for parameter in network.parameters().filter(|parameter| parameter.role == Role::Variance) {
        if let Some((place, variance)) =
            parameter.weights.values().iter().enumerate().find(|(_, it)| **it < 0.0)
        {
            let name = &parameter.name;
            return Err(file.problem(format!(
                "\"{name}\" holds {variance} at place {place}, and a variance is not negative"
            )));
        }
    }
    Ok(network)
}
