//! All settings of a run: one section per concept, each a plain struct with defaults where its concept lives.

mod builder;
mod network;
pub(super) mod pairs;
mod threshold;

use self::pairs::Own;
use serde::{Deserialize, Serialize};

use crate::control::{TargetSettings, bytes_setting};
use crate::data::{DataSettings, Dataset, Targets, TaskChoice};
use crate::distributed::{DistributedSettings, ExchangeMethod};
use crate::kernels::IsaChoice;
use crate::layers::{Inputs, LayerSpec, NetworkSettings, NetworkSpec, Outputs, Precision, SparsitySettings};
use crate::losses::{LossMethod, LossSettings};
use crate::metrics::Metric;
use crate::optimizers::{Optimizer, OptimizerSettings, ScheduleSettings, Sgd};
use crate::penalties::{ConstraintSettings, PenaltyMethod, PenaltySettings};
use crate::topology::TopologySettings;
use crate::train::threads::check_threads;
use crate::{Error, Result};

pub use builder::{SettingsBuilder, density_of, read_toml};
pub use network::network_named;
pub use threshold::Threshold;

/// What a run does.
///
/// ```
/// use rarefy::Settings;
///
/// let mut settings = Settings::default();
/// settings.sparsity.density = 0.05;
/// settings.train.epochs = 20;
///
/// // The same in TOML, as in a file of settings.
/// let text = "[sparsity]\ndensity = 0.05\n[train]\nepochs = 20";
/// assert_eq!(toml::from_str::<Settings>(text).unwrap(), settings);
/// assert!(settings.check().is_ok());
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Names all random draws: the same seed gives the same bits.
    pub seed: u64,
    /// Threads; 0 for one per core. Results do not depend on it.
    pub threads: usize,
    /// The instruction set.
    pub isa: IsaChoice,
    /// Bytes of memory that the run may hold, a number or a text such as `"8GB"`; if not given, what the machine has left. What the
    /// network and its batches take is refused before it is taken, and a CSV, libsvm, NPY, NPZ or IDX file before it is read; other
    /// data counts once it is read.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "bytes_setting")]
    pub memory_limit: Option<usize>,
    /// Where samples come from.
    pub data: DataSettings,
    /// The network.
    pub network: NetworkSettings,
    /// How many connections it has.
    pub sparsity: SparsitySettings,
    /// How they change.
    pub topology: TopologySettings,
    /// What pulls weights to zero.
    pub penalty: PenaltySettings,
    /// What weights must satisfy.
    pub constraint: ConstraintSettings,
    /// What the network is to end as: within each bound that is set.
    pub target: TargetSettings,
    /// How weights follow gradients.
    pub optimizer: OptimizerSettings,
    /// How the learning rate changes.
    pub schedule: ScheduleSettings,
    /// What is minimised.
    pub loss: LossSettings,
    /// How long, in what batches, saved when.
    pub train: TrainSettings,
    /// How the ranks of a job work together.
    pub distributed: DistributedSettings,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            seed: 0,
            threads: 0,
            isa: IsaChoice::Auto,
            memory_limit: None,
            data: DataSettings::default(),
            network: NetworkSettings::default(),
            sparsity: SparsitySettings::default(),
            topology: TopologySettings::default(),
            penalty: PenaltySettings::default(),
            constraint: ConstraintSettings::default(),
            target: TargetSettings::default(),
            optimizer: OptimizerSettings::default(),
            schedule: ScheduleSettings::default(),
            loss: LossSettings::default(),
            train: TrainSettings::default(),
            distributed: DistributedSettings::default(),
        }
    }
}

/// The `[train]` section.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainSettings {
    /// Passes over the training part.
    pub epochs: u64,
    /// Samples of a mini-batch; if not given 32, or 16 or 8 where an epoch would have fewer than 10 steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<usize>,
    /// Mini-batches whose gradients are summed for a step: that of a batch of so many times `batch_size` samples, in the memory
    /// of one; 1 unless given.
    #[serde(skip_serializing_if = "is_one")]
    pub accumulate: usize,
    /// In how many bits products read weights, activations and gradients: with `"bf16"` these are rounded to the nearest, and weights
    /// as they are trained, optimizer state, sums and loss keep `"f32"`.
    pub precision: Precision,
    /// Stop when no epoch has been better for so many epochs; 0 never stops early. If not given 20 for a table with a validation
    /// part, else 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patience: Option<u64>,
    /// By how much an epoch must be better than the last one that was, for `patience` to begin anew: in the metric (the share of
    /// right answers) or in the loss.
    pub tolerance: f64,
    /// What tells which epoch is better.
    pub watch: Watched,
    /// The metric on the validation part that tells which epoch is better, in place of accuracy, label error rate or loss; where it
    /// is equal the loss tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<Metric>,
    /// The name of the positive one of two classes: F1 and average precision are of it, and the threshold is for its
    /// probability; `None` is the second class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub positive: Option<String>,
    /// What the probability of the positive one of two classes must be above; `None` is one half.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<Threshold>,
    /// Keep the model of the best epoch, rather than the last one's.
    pub keep_best: bool,
    /// Minutes from one checkpoint to the next, besides the one at the end of every epoch.
    pub checkpoint_minutes: f64,
}

impl Default for TrainSettings {
    fn default() -> TrainSettings {
        TrainSettings {
            epochs: 50,
            batch_size: None,
            accumulate: 1,
            precision: Precision::F32,
            patience: None,
            tolerance: 0.0,
            watch: Watched::Validation,
            metric: None,
            positive: None,
            threshold: None,
            keep_best: true,
            checkpoint_minutes: 5.0,
        }
    }
}

fn is_one(number: &usize) -> bool {
    *number == 1
}

/// What tells which of two epochs is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Watched {
    /// The accuracy on the validation part, or the share of wrong labels, and where that is equal or there is none, the loss.
    #[default]
    Validation,
    /// The mean loss over the training samples of the epoch.
    Training,
}

/// Samples of a mini-batch where there are enough to train on.
pub(super) const DEFAULT_BATCH: usize = 32;

/// Epochs without a better one after which the training on a table ends. A table of some thousand lines is learned by heart long before
/// all epochs are done, and then waiting teaches nothing.
pub(super) const TABLE_PATIENCE: u64 = 20;

impl TrainSettings {
    /// Steps of an epoch of so many training samples.
    pub fn steps_for(&self, samples: usize) -> u64 {
        samples.div_ceil(self.batch_size_for(samples) * self.accumulate) as u64
    }

    /// Samples of a mini-batch of so many training samples. Unless it is given it is `DEFAULT_BATCH`, halved as long as an epoch has fewer
    /// than 10 steps, but not below 8; and not more than there are samples.
    pub fn batch_size_for(&self, samples: usize) -> usize {
        self.batch_size.unwrap_or_else(|| {
            let size = [DEFAULT_BATCH, DEFAULT_BATCH / 2].into_iter().find(|size| samples >= 10 * size);
            size.unwrap_or(DEFAULT_BATCH / 4).min(samples)
        })
    }
}

/// The most epochs.
const MAX_EPOCHS: u64 = 1_000_000_000;

/// The largest momentum for gradients that are one step late. With 0.9 a network of 784-1024-1024-10 ended 1 to 3 points lower on
/// Fashion-MNIST.
const MOST_STALE_MOMENTUM: f32 = 0.5;

/// The largest batch: what the tree that sums over tiles has room for.
const MAX_BATCH: usize = 1 << 19;

impl Settings {
    /// Checks what can be checked without looking at the data.
    ///
    /// # Errors
    /// [`Error::Setting`] with the key and what to do.
    pub fn check(&self) -> Result<()> {
        self.check_with(Own::default())
    }

    /// Checks them as they stand beside parts of a caller's own.
    pub(super) fn check_with(&self, own: Own<'_>) -> Result<()> {
        self.check_numbers()?;
        check_threads(self.threads)?;
        self.data.check()?;
        self.sparsity.check()?;
        self.topology.build()?;
        self.penalty.build()?;
        self.constraint.build()?;
        self.target.check()?;
        self.optimizer.build()?;
        self.schedule.build(self.optimizer.method())?;
        pairs::check(self, own, false)?;
        self.check_momentum(own)?;
        self.check_accumulation()?;
        self.network.check()?;
        if self.is_language_model()
            && !matches!(self.loss.method, LossMethod::Auto | LossMethod::CrossEntropy)
        {
            let problem = "must be cross-entropy for a language model, one of whose tokens comes next";
            return Err(Error::setting("loss.method", problem));
        }
        if self.train.epochs == 0 {
            return Err(Error::setting("train.epochs", "0 epochs train nothing; use at least 1"));
        }
        if self.train.epochs > MAX_EPOCHS {
            let problem = format!("{} is more than {MAX_EPOCHS}", self.train.epochs);
            return Err(Error::setting("train.epochs", problem));
        }
        if let Some(size) = self.train.batch_size.filter(|size| !(1..=MAX_BATCH).contains(size)) {
            let problem = format!("{size} is not between 1 and {MAX_BATCH}");
            return Err(Error::setting("train.batch_size", problem));
        }
        if self.train.checkpoint_minutes <= 0.0 {
            return Err(Error::setting("train.checkpoint_minutes", "must be above 0"));
        }
        if self.train.tolerance < 0.0 {
            return Err(Error::setting("train.tolerance", "must be 0 or above"));
        }
        if let Some(threshold) = self.train.threshold {
            threshold.check()?;
        }
        self.distributed.check()
    }

    /// Checks that gradients which come late meet no large momentum.
    fn check_momentum(&self, own: Own<'_>) -> Result<()> {
        let momentum = match own.optimizer {
            Some(Optimizer::Sgd(Sgd { momentum, .. })) => *momentum,
            Some(_) => 0.0,
            None => self.optimizer.momentum,
        };
        let exchange = self.distributed.exchange;
        let is_late = exchange == ExchangeMethod::Stale || !exchange.is_reproducible();
        if is_late && momentum > MOST_STALE_MOMENTUM {
            let problem = format!(
                "{momentum} is too much for gradients that come late, as distributed.exchange = \"{exchange}\" makes them: use \
                 {MOST_STALE_MOMENTUM} at most, or optimizer.method = \"adam\""
            );
            return Err(Error::setting("optimizer.momentum", problem));
        }
        Ok(())
    }

    /// Checks that every number can be written to `config.toml` and a checkpoint, and be read again.
    fn check_numbers(&self) -> Result<()> {
        let json = serde_json::to_value(self).expect("settings are plain data");
        let is_too_large = |value: &serde_json::Value| value.as_u64().is_some_and(|it| it > i64::MAX as u64);
        if let Some(key) = first_json(&json, &is_too_large) {
            return Err(Error::setting(key, format!("must be at most {}", i64::MAX)));
        }
        // JSON has no numbers that are not finite, and turns them into nothing.
        let toml = toml::Value::try_from(self).expect("whole numbers are in range");
        match first_not_finite(&toml) {
            Some((key, number)) => Err(Error::setting(key, format!("must be a finite number, not {number}"))),
            None => Ok(()),
        }
    }

    fn is_language_model(&self) -> bool {
        self.data.task == TaskChoice::LanguageModel
    }

    /// The network for samples such as those of `dataset`.
    ///
    /// # Errors
    /// A layer that does not fit; a network that other settings do not go with.
    pub fn network_for(&self, dataset: &Dataset) -> Result<NetworkSpec> {
        let inputs = Inputs { shape: dataset.shape, vocabulary: dataset.vocabulary() };
        let outputs = match dataset.targets {
            Targets::Sequences { classes, .. } => Outputs::EachStep(classes),
            _ => dataset.targets.shape().into(),
        };
        let network = self.network.spec(inputs, outputs)?;
        self.check_network(&network)?;
        Ok(network)
    }

    /// Checks what depends on the network, which the data decides too.
    fn check_network(&self, network: &NetworkSpec) -> Result<()> {
        if self.penalty.method == PenaltyMethod::L0Gates && network.weight_shapes()?.len() < 2 {
            return Err(Error::setting(
                "penalty.method",
                "\"l0-gates\" needs hidden neurons to close, and this network has none; use another",
            ));
        }
        if let Some(ahead) = network.looks_ahead().filter(|_| self.is_language_model()) {
            let problem = format!("{ahead}; a language model is to predict them");
            return Err(Error::setting("network", problem));
        }
        let method = self.optimizer.method();
        if method.traits().needs_full_batch && network.layers.iter().any(LayerSpec::is_random) {
            let problem = format!(
                "has dropout, but {method} needs the same loss at each step; set network.dropout = 0, or take the layer out"
            );
            return Err(Error::setting("network", problem));
        }
        Ok(())
    }
}

/// The dotted key of the first value that `is_bad`.
fn first_json(value: &serde_json::Value, is_bad: &dyn Fn(&serde_json::Value) -> bool) -> Option<String> {
    let within = |key: String, value| Some(joined(key, first_json(value, is_bad)?));
    match value {
        serde_json::Value::Object(map) => map.iter().find_map(|(key, value)| within(key.clone(), value)),
        serde_json::Value::Array(list) => list.iter().find_map(|value| within(String::new(), value)),
        value => is_bad(value).then(String::new),
    }
}

/// The dotted key of the first number that is not finite, and the number.
fn first_not_finite(value: &toml::Value) -> Option<(String, f64)> {
    let within = |key: &str, value| {
        let (rest, number) = first_not_finite(value)?;
        Some((joined(key.into(), rest), number))
    };
    match value {
        toml::Value::Table(table) => table.iter().find_map(|(key, value)| within(key, value)),
        toml::Value::Array(list) => list.iter().find_map(|value| within("", value)),
        toml::Value::Float(number) => (!number.is_finite()).then(|| (String::new(), *number)),
        _ => None,
    }
}

/// A key and what stands within it; members of lists have no names.
fn joined(key: String, rest: String) -> String {
    if key.is_empty() || rest.is_empty() { key + &rest } else { format!("{key}.{rest}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::optimizers::Method;
    use crate::tiles::Shape;
    use crate::topology;

    #[test]
    fn a_batch_that_is_not_given_fits_the_samples() {
        let size = |given, samples| {
            TrainSettings { batch_size: given, ..TrainSettings::default() }.batch_size_for(samples)
        };
        for (samples, expected) in
            [(1, 1), (5, 5), (28, 8), (159, 8), (160, 16), (319, 16), (320, 32), (1258, 32)]
        {
            assert_eq!(size(None, samples), expected, "{samples} samples");
        }
        assert_eq!(size(Some(64), 28), 64);
    }

    #[test]
    fn every_number_can_be_written_and_read_again() {
        for (text, problem) in [
            (
                "[train]\ncheckpoint_minutes = inf",
                "train.checkpoint_minutes: must be a finite number, not inf",
            ),
            ("[optimizer]\nmomentum = nan", "optimizer.momentum: must be a finite number, not NaN"),
            ("[loss]\nclass_weights = [1.0, inf]", "loss.class_weights: must be a finite number, not inf"),
            ("seed = 9223372036854775808", "seed: must be at most 9223372036854775807"),
            ("threads = 4096", "threads: 4096 is more than 1024"),
            ("[train]\nepochs = 1000000000000", "train.epochs: 1000000000000 is more than"),
            ("[network]\nhidden = [100000000]", "network.hidden: a layer may have at most 16777216 units"),
        ] {
            let error = toml::from_str::<Settings>(text).unwrap().check().unwrap_err().to_string();
            assert!(error.starts_with(problem), "{text}: {error}");
        }
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        let str = "[penalty]\nmethod = 'str'\n";
        let gates = "[penalty]\nmethod = 'l0-gates'\n";
        let fixed = "[topology]\nmethod = 'static'\n";
        let ball = "[constraint]\nmethod = 'top-k'\nkeep = 0.1\n";
        let kast = "[topology]\nmethod = 'top-kast'\n";
        let global = "[topology]\nmethod = 'gmp'\nscope = 'global'\n";
        for (sections, key) in [
            (vec![kast, str], "penalty.method"),
            (vec![kast, "[penalty]\nmethod = 'l1'\n"], "penalty.method"),
            (vec![kast, ball], "constraint.method"),
            (vec![str], "topology.method"),
            (vec![gates], "topology.method"),
            (vec![str, fixed, ball], "constraint.method"),
            (vec![global, "[target]\nflops = 2000000\n"], "topology.scope"),
        ] {
            let text = sections.concat();
            let error = toml::from_str::<Settings>(&text).unwrap().check().unwrap_err().to_string();
            assert!(error.starts_with(key), "{text}: {error}");
        }
        let nnz = "[target]\nnnz = 1000\n";
        for sections in [vec![kast], vec![str, fixed], vec![gates, fixed], vec![global, nnz]] {
            toml::from_str::<Settings>(&sections.concat()).unwrap().check().unwrap();
        }
    }

    #[test]
    fn what_does_not_go_with_a_network_is_refused() {
        let secant = "[optimizer]\nmethod = 'barzilai-borwein'\n";
        let gates = "[penalty]\nmethod = 'l0-gates'\n[topology]\nmethod = 'static'\n";
        let linear = "[network]\nhidden = []\n";
        let one = "[network]\nlayers = [{layer = 'dropout', rate = 0.1}, {layer = 'linear'}]\n";
        for (sections, words) in [
            ([secant, "[network]\ndropout = 0.1\n"], "network: has dropout, but barzilai-borwein"),
            ([secant, one], "network: has dropout, but barzilai-borwein"),
            ([gates, linear], "penalty.method: \"l0-gates\" needs hidden neurons"),
            ([gates, one], "penalty.method: \"l0-gates\" needs hidden neurons"),
        ] {
            let settings: Settings = toml::from_str(&sections.concat()).unwrap();
            settings.check().unwrap();
            let network = settings.network.spec(Shape::flat(3), 2).unwrap();
            let error = settings.check_network(&network).unwrap_err().to_string();
            assert!(error.starts_with(words), "{sections:?}: {error}");
            let plain = Settings::default().network.spec(Shape::flat(3), 2).unwrap();
            settings.check_network(&plain).unwrap();
        }
    }

    #[test]
    fn what_does_not_go_with_an_optimizer_is_refused() {
        for (method, more, message) in [
            ("linbreg", "", "penalty.method: \"none\" does not go with optimizer.method = \"linbreg\""),
            (
                "adabreg",
                "[penalty]\nmethod = 'mcp'",
                "penalty.method: \"mcp\" does not go with optimizer.method = \"adabreg\"",
            ),
            (
                "adabreg",
                "[penalty]\nmethod = 'l1'\n[topology]\nmethod = 'set'",
                "topology.method: \"set\" does not go with optimizer.method = \"adabreg\"",
            ),
            (
                "schedule-free-sgd",
                "[penalty]\nmethod = 'l1'",
                "penalty.method: \"l1\" does not go with optimizer.method = \"schedule-free-sgd\"",
            ),
            ("schedule-free-adamw", "[constraint]\nmethod = 'l1-ball'\nradius = 1.0", "constraint"),
            (
                "schedule-free-sgd",
                "[schedule]\nmethod = 'linear'",
                "schedule.method: \"linear\" does not go with",
            ),
            (
                "armijo",
                "[penalty]\nmethod = 'l1-subgradient'",
                "penalty.method: \"l1-subgradient\" does not go with optimizer.method = \"armijo\"",
            ),
        ] {
            let text = format!("[optimizer]\nmethod = '{method}'\n{more}");
            let settings: Settings = toml::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
            let error = settings.check().unwrap_err().to_string();
            assert!(error.starts_with(message), "{text}: {error}");
        }
        for method in Method::ALL {
            let mut settings = Settings::default();
            settings.optimizer.method = method;
            if method.is_bregman() {
                settings.penalty.method = PenaltyMethod::L1;
                settings.topology.method = topology::Method::Static;
            }
            settings.check().unwrap();
        }
    }

    #[test]
    fn a_deviation_is_above_zero() {
        for (deviation, is_good) in [("0.1", true), ("0.0", false), ("-0.1", false), ("nan", false)] {
            let text = format!("[sparsity]\ndeviation = {deviation}");
            let checked = toml::from_str::<Settings>(&text).unwrap().check();
            assert_eq!(checked.is_ok(), is_good, "{deviation}");
            if let Err(error) = checked {
                assert!(error.to_string().starts_with("sparsity.deviation: must be "), "{error}");
            }
        }
    }
}
