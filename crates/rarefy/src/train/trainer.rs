//! Training without files: who owns the order of steps, updates of connections, epochs, early stopping and the best model.

use std::sync::Arc;

use rayon::ThreadPool;

use super::assemble::{self, Assembled};
use super::exchange::Exchange;
use super::keep::{InMemory, State};
use super::model::{Model, ModelConfig};
use super::position::Position;
use super::ranks::Ranks;
use super::record::{Emptied, Ending, Outcome, Watch};
use super::settings::pairs::Own;
use super::start::Start;
use super::threads::rank_pool;
use super::{Engine, LanguageScore, Score, Settings, Threshold, judging, memory, settle};
use crate::data::{self, Splits, Task};
use crate::distributed::{Comm, Solo};
use crate::kernels::{Isa, TileSupport, is_narrowed};
use crate::layers::{Network, Precision};
use crate::losses::Loss;
use crate::metrics::Decision;
use crate::optimizers::{Optimizer, Schedule};
use crate::penalties::Regularizer;
use crate::sparse::Storage;
use crate::topology::Topology;
use crate::{Error, Result};

/// Trains a network on samples in memory, and writes no files.
///
/// ```text
/// step     Engine::step -> Engine::rewire (connections move) -> Engine::compact (zeros leave storage)
/// epoch    steps over all training samples, in an order that the seed and the epoch name
///          -> validation -> is it the best so far? -> Event::Epoch
/// train    epochs, until all are done, nothing has got better for `train.patience` epochs, or the watcher stops
/// ```
/// The learning-rate schedule and the topology method plan for `train.epochs` epochs of the first data. Who trains on beyond
/// ([`train_for`](Trainer::train_for)) has the schedule's last learning rate, and connections no longer move.
///
/// ```
/// use rarefy::data;
/// use rarefy::train::{Control, Event, Settings, Trainer};
///
/// let mut settings = Settings::default();
/// settings.sparsity.density = 0.1;
/// settings.train.epochs = 2;
/// let splits = data::load(&settings.data, settings.seed)?; // the built-in digits
/// let mut trainer = Trainer::new(settings, splits)?;
/// let mut epochs = 0;
/// let outcome = trainer.train(&mut |event| {
///     if let Event::Epoch { record, network } = event {
///         epochs = record.epoch;
///         assert_eq!(network.connections().0, record.nnz);
///     }
///     Control::Continue
/// })?;
/// assert_eq!((epochs, outcome.epochs), (2, 2));
/// assert!(outcome.test.is_some_and(|score| score.accuracy() > 0.5));
/// trainer.set_epochs(3)?;
/// trainer.train_for(1, &mut |_| Control::Stop)?; // one epoch more, cancelled after its first step
/// # Ok::<(), rarefy::Error>(())
/// ```
pub struct Trainer {
    pub(super) settings: Settings,
    pub(super) splits: Arc<Splits>,
    pub(super) engine: Engine,
    /// How what workers find becomes its network.
    pub(super) exchange: Exchange,
    pub(super) loss: Loss,
    /// What other parts are scored by: the loss; for a language model the plain one, by which its figures are defined.
    pub(super) evaluation_loss: Loss,
    /// How probabilities become classes, before a threshold is chosen.
    pub(super) decision: Decision,
    pub(super) schedule: Schedule,
    /// Steps that the schedule and the topology method plan for.
    pub(super) planned_steps: u64,
    /// Steps after which the schedule begins again, if it does.
    pub(super) schedule_period: Option<u64>,
    isa: Isa,
    pub(super) position: Position,
    /// The step that the epoch under way began after.
    pub(super) epoch_start: u64,
    pub(super) notes: Vec<String>,
    /// What is to be said of a network that is denser than was asked for.
    denser: Option<String>,
    /// What has left a layer without a weight, if anything has.
    pub(super) emptied: Option<Emptied>,
    /// Seconds that each rank has waited in the epochs of this sitting.
    pub(super) waited: Vec<f64>,
    pub(super) pool: Arc<ThreadPool>,
    memory: InMemory,
}

/// A [`Trainer`] in the making: parts that are not given are made as the settings say.
///
/// Whether parts go together, the caller's and the settings', is checked by what each says of itself.
pub struct TrainerBuilder {
    settings: Settings,
    splits: Arc<Splits>,
    pool: Option<Arc<ThreadPool>>,
    start: Start,
    optimizer: Option<Optimizer>,
    loss: Option<Loss>,
    topology: Option<Topology>,
    penalty: Option<Regularizer>,
    comm: Arc<dyn Comm>,
    may_idle: bool,
}

impl TrainerBuilder {
    /// Trains in a pool of threads of the caller's instead of one of `settings.threads` threads.
    pub fn pool(mut self, pool: Arc<ThreadPool>) -> TrainerBuilder {
        self.pool = Some(pool);
        self
    }

    /// Starts from a network, in place of a random one: a warm start, with new optimizer state. Without a topology method
    /// it keeps the connections that it has, however many; with one it ends with as many as the settings say.
    pub fn network(mut self, network: Network) -> TrainerBuilder {
        self.start = Start::Given(network);
        self
    }

    /// Trains with other ranks, each of which has a trainer of the same settings and data: every one computes its share of each batch,
    /// and all come to the same bits as one rank alone. What they tell their watchers is the same, too.
    pub fn comm(mut self, comm: Arc<dyn Comm>) -> TrainerBuilder {
        self.comm = comm;
        self
    }

    /// Lets ranks be without samples of full batches: those that are left when one was lost are seldom as many as share a batch alike.
    pub(super) fn ranks_may_idle(mut self, may_idle: bool) -> TrainerBuilder {
        self.may_idle = may_idle;
        self
    }

    /// The settings.
    pub(super) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The data.
    pub(super) fn splits(&self) -> &Splits {
        &self.splits
    }

    /// The network of a checkpoint that stands there, which the settings were used for before.
    pub(super) fn saved_network(mut self, network: Network, position: Position) -> TrainerBuilder {
        self.start = Start::Saved(network, Box::new(position));
        self
    }

    /// Steps by an optimizer of the caller's; its base learning rate is that of `settings.optimizer`.
    pub fn optimizer(mut self, optimizer: Optimizer) -> TrainerBuilder {
        self.optimizer = Some(optimizer);
        self
    }

    /// Minimises a loss of the caller's.
    pub fn loss(mut self, loss: Loss) -> TrainerBuilder {
        self.loss = Some(loss);
        self
    }

    /// Moves connections by rules of the caller's.
    pub fn topology(mut self, topology: Topology) -> TrainerBuilder {
        self.topology = Some(topology);
        self
    }

    /// Pulls weights to zero by a penalty of the caller's.
    pub fn penalty(mut self, penalty: Regularizer) -> TrainerBuilder {
        self.penalty = Some(penalty);
        self
    }

    /// The trainer.
    ///
    /// # Errors
    /// [`Error::Setting`] for settings that cannot be used, that do not go together or do not fit the data or the network
    /// that was given, for a network that does not fit into memory, and for batches too small for the number of ranks;
    /// [`Error::Rank`] for ranks that have not the same settings, data, version or instruction set.
    pub fn build(self) -> Result<Trainer> {
        let (optimizer, topology, penalty) =
            (self.optimizer.as_ref(), self.topology.as_ref(), self.penalty.as_ref());
        self.settings.check_with(Own { optimizer, topology, penalty })?;
        self.build_unchecked()
    }

    /// The trainer, whether or not its settings go together.
    pub(super) fn build_unchecked(self) -> Result<Trainer> {
        let TrainerBuilder {
            mut settings,
            splits,
            pool,
            start,
            optimizer,
            loss,
            topology,
            penalty,
            comm,
            may_idle,
        } = self;
        let pool = match pool {
            Some(pool) => pool,
            None => rank_pool(settings.threads, &*comm)?,
        };
        let mut notes = settle::fit_to_data(&mut settings, &splits)?;
        let ranks = Ranks::new(comm, settings.distributed.precision).that_may_idle(may_idle);
        let parts = assemble::Parts { start, optimizer, loss, topology, penalty, ranks };
        let Assembled { mut engine, exchange, loss, evaluation_loss, schedule, note } =
            pool.install(|| assemble::assemble(&settings, &splits, parts))?;
        notes.extend(note.clone());
        notes.extend(bf16_note(&engine));
        let exchange_method = settings.distributed.exchange;
        if !exchange_method.is_reproducible() {
            notes.push(format!(
                "not reproducible: with distributed.exchange = \"{exchange_method}\" gradients move weights in the order in which they come"
            ));
        }
        if matches!(exchange, Exchange::Hogwild) && pool.current_num_threads() == 1 {
            notes.push(
                "one thread shares weights with nobody: distributed.exchange = \"hogwild\" is \"exact\" here, but slower"
                    .into(),
            );
        }
        if !engine.ranks.is_alone() {
            engine.ranks.check_same(&settings, engine.isa().name(), splits.fingerprint())?;
        }
        let decision = judging::decision(&settings, &splits, &loss)?;
        let mut trainer = Trainer {
            isa: engine.isa(),
            settings,
            splits,
            engine,
            exchange,
            loss,
            evaluation_loss,
            decision,
            schedule,
            planned_steps: 0,
            schedule_period: None,
            position: Position::default(),
            epoch_start: 0,
            notes,
            denser: note,
            emptied: None,
            waited: Vec::new(),
            pool,
            memory: InMemory::default(),
        };
        trainer.planned_steps = trainer.steps_per_epoch() * trainer.settings.train.epochs;
        Ok(trainer)
    }
}

impl Trainer {
    /// A trainer of the settings' network on some data, whose place in the settings (`data.path`) does not matter then.
    ///
    /// # Errors
    /// As of [`TrainerBuilder::build`].
    pub fn new(settings: Settings, splits: impl Into<Arc<Splits>>) -> Result<Trainer> {
        Trainer::builder(settings, splits).build()
    }

    /// A trainer some of whose parts are to be given.
    pub fn builder(settings: Settings, splits: impl Into<Arc<Splits>>) -> TrainerBuilder {
        TrainerBuilder {
            settings,
            splits: splits.into(),
            pool: None,
            start: Start::Random,
            optimizer: None,
            loss: None,
            topology: None,
            penalty: None,
            comm: Arc::new(Solo),
            may_idle: false,
        }
    }

    /// A trainer on the data that the settings name.
    ///
    /// # Errors
    /// As of [`data::load`] and of [`TrainerBuilder::build`].
    pub fn load(settings: Settings) -> Result<Trainer> {
        Trainer::builder_on_files(settings, Arc::new(Solo))?.build()
    }

    /// A trainer in the making of one rank, on the data that the settings name, read by its own threads.
    pub(super) fn builder_on_files(settings: Settings, comm: Arc<dyn Comm>) -> Result<TrainerBuilder> {
        settings.check()?;
        let pool = rank_pool(settings.threads, &*comm)?;
        let splits =
            pool.install(|| data::load_within(&settings.data, settings.seed, memory::room(&settings)))?;
        Ok(Trainer::builder(settings, splits).comm(comm).pool(pool))
    }

    /// Trains until `train.epochs` epochs are done, telling `watch` of every step and epoch, and says what came of it. The
    /// model is that of the best epoch (`train.keep_best`) or the last one's. Where it was stopped it goes on when it is called again.
    ///
    /// # Errors
    /// [`Error::Diverged`] for a loss that is not finite.
    pub fn train(&mut self, watch: &mut Watch<'_>) -> Result<Outcome> {
        self.with_memory(|trainer, memory| {
            let (ending, times) = trainer.train_to(trainer.settings.train.epochs, memory, watch)?;
            trainer.outcome(ending, times, memory)
        })
    }

    /// Trains for some epochs more, whatever `train.epochs` says, and says how that ended; [`model`](Trainer::model) is what
    /// came of it. An epoch that was stopped before is finished and counts as one.
    ///
    /// # Errors
    /// [`Error::Diverged`] for a loss that is not finite; [`Error::Setting`] where the schedule has come to its end and the
    /// learning rate to 0, as by default: then nothing would be learned ([`set_epochs`](Trainer::set_epochs) plans for more).
    pub fn train_for(&mut self, epochs: u64, watch: &mut Watch<'_>) -> Result<Ending> {
        if self.position.step >= self.planned_steps && self.learning_rate(self.position.step + 1) == 0.0 {
            let problem = format!(
                "has come to its end after {} steps, where the learning rate is 0; plan for more epochs, or use \
                 schedule.method = \"constant\"",
                self.planned_steps
            );
            return Err(Error::setting("schedule.method", problem));
        }
        let last = self.position.epoch.saturating_add(epochs);
        self.with_memory(|trainer, memory| Ok(trainer.train_to(last, memory, watch)?.0))
    }

    /// Lets the schedule and the topology method plan for so many epochs of the data as it is now, those that are done
    /// included, and [`train`](Trainer::train) train until they are done.
    ///
    /// # Errors
    /// [`Error::Setting`] for fewer epochs than are done.
    pub fn set_epochs(&mut self, epochs: u64) -> Result<()> {
        let left = epochs.checked_sub(self.position.epoch).filter(|_| epochs > 0).ok_or_else(|| {
            let problem = format!("{epochs} is fewer than the {} that are done", self.position.epoch);
            Error::setting("train.epochs", problem)
        })?;
        self.settings.train.epochs = epochs;
        self.settings.check()?;
        self.planned_steps = self.epoch_start + left * self.steps_per_epoch();
        Ok(())
    }

    /// Goes on with other data of the same kind (`partial_fit`): network, optimizer state and plans stay as they are. What
    /// was the best epoch on the old validation part no longer counts.
    ///
    /// # Errors
    /// [`Error::Setting`] where the new data was prepared in another way, or an epoch of the old data is not yet finished.
    pub fn set_data(&mut self, splits: impl Into<Arc<Splits>>) -> Result<()> {
        let splits = splits.into();
        let wrong = |problem: &str| Err(Error::setting("data", problem));
        if self.position.step != self.epoch_start {
            return wrong("is exchanged in the middle of an epoch; finish the epoch first");
        }
        if splits.preparation != self.splits.preparation {
            return wrong(
                "was prepared in another way than the data before; prepare it by the same preparation",
            );
        }
        settle::check_exchange(&self.settings, &self.splits, &splits)?;
        let batch_size = self.settings.train.batch_size_for(splits.train.len());
        self.exchange.check_batches(batch_size, &self.engine.ranks)?;
        self.decision = judging::decision(&self.settings, &splits, &self.loss)?;
        self.engine.sparsifier.has_whole_batches =
            self.settings.train.batch_size_for(splits.train.len()) >= splits.train.len();
        self.splits = splits;
        (self.position.best, self.position.improved) = (None, None);
        self.memory = InMemory::default();
        Ok(())
    }

    /// The model as it stands: the best epoch's, where `train.keep_best` keeps one, the last whole one where a penalty has emptied
    /// a layer, else the network as it is now, without connections that are 0 and by its average where the optimizer keeps one.
    pub fn model(&mut self) -> Model {
        let is_kept = self.best_epoch().is_some() || self.emptied.is_some();
        if let Some(model) = self.memory.model().filter(|_| is_kept) {
            return Model::new(model.network().copy(Storage::Auto), model.config.clone());
        }
        self.engine.swap_average();
        let model = self.engine.model();
        let network = model.as_ref().unwrap_or(&self.engine.network);
        let model = Model::new(network.copy(Storage::Auto), self.config(network));
        self.engine.swap_average();
        model
    }

    /// What the numbers of a network that this trainer made mean. Where `train.threshold` is to be chosen, the network predicts
    /// the validation part.
    pub fn config(&self, network: &Network) -> ModelConfig {
        let decision = match (self.settings.train.threshold, &self.splits.validation) {
            (Some(Threshold::Best(_)), Some(validation)) => self.validate(network, validation).decision,
            _ => self.decision,
        };
        self.config_with(network, decision)
    }

    /// What they mean where this makes classes of probabilities.
    pub(super) fn config_with(&self, network: &Network, decision: Decision) -> ModelConfig {
        let meaning = judging::meaning(&self.splits, &self.loss, decision);
        ModelConfig {
            trained_cells: Some(self.engine.network.connections().1),
            decision,
            quantile: meaning.quantile,
            ..ModelConfig::new(network, meaning.head, meaning.preparation.clone())
        }
    }

    /// Back to the start, with zeros staying as long as they do.
    ///
    /// # Errors
    /// As of [`TrainerBuilder::build`]; in practice none.
    pub(super) fn begin_again(&mut self) -> Result<()> {
        let mut engine = self.start_again()?;
        engine.sparsifier.zeros = self.engine.sparsifier.zeros;
        engine.ranks = std::mem::replace(&mut self.engine.ranks, Ranks::alone());
        self.engine = engine;
        self.go_to(Position::default());
        Ok(())
    }

    /// An engine at the start, of a random network.
    pub(super) fn start_again(&self) -> Result<Engine> {
        let parts = assemble::Parts {
            start: Start::Random,
            optimizer: None,
            loss: Some(self.loss.clone()),
            topology: None,
            penalty: None,
            ranks: Ranks::alone(),
        };
        Ok(assemble::assemble(&self.settings, &self.splits, parts)?.engine)
    }

    /// Stands where a checkpoint says.
    pub(super) fn go_to(&mut self, position: Position) {
        self.epoch_start = position.epoch * self.steps_per_epoch();
        self.position = position;
    }

    /// Goes on with a model that was kept before.
    pub(super) fn remember(&mut self, model: Model) {
        self.memory = InMemory::of(model);
    }

    /// What whoever trains should know.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// What is to be said where each output's having a connection made the network denser than was asked for; one of the notes.
    pub fn note_on_density(&self) -> Option<&str> {
        self.denser.as_deref()
    }

    /// What has driven every weight of a layer to zero, and so ended training, if anything has.
    pub fn emptied(&self) -> Option<&Emptied> {
        self.emptied.as_ref()
    }

    /// The settings as resolved.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The parts of the data.
    pub fn splits(&self) -> &Splits {
        &self.splits
    }

    /// The network as it is trained; [`model`](Trainer::model) has what it predicts with.
    pub fn network(&self) -> &Network {
        &self.engine.network
    }

    /// The instruction set.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Threads at work.
    pub fn threads(&self) -> usize {
        self.pool.current_num_threads()
    }

    /// Goes on in other threads. A process forked from another has none of the pool that the other made.
    pub fn set_pool(&mut self, pool: Arc<ThreadPool>) {
        if !Arc::ptr_eq(&self.pool, &pool) {
            // The threads of the other may not be there to be told to end.
            std::mem::forget(std::mem::replace(&mut self.pool, pool));
        }
    }

    /// Runs `work` in the trainer's threads.
    pub fn in_pool<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.pool.install(work)
    }

    /// Samples of a mini-batch.
    pub fn batch_size(&self) -> usize {
        self.settings.train.batch_size_for(self.splits.train.len())
    }

    /// Steps of an epoch.
    pub fn steps_per_epoch(&self) -> u64 {
        self.settings.train.steps_for(self.splits.train.len())
    }

    /// Epochs done.
    pub fn epochs_done(&self) -> u64 {
        self.position.epoch
    }

    /// The epoch whose model is kept, if one is.
    pub(super) fn best_epoch(&self) -> Option<u64> {
        self.position.best.filter(|_| self.settings.train.keep_best).map(|(epoch, _)| epoch)
    }

    /// Changes the trainer in its own threads.
    pub(super) fn in_own_pool<R: Send>(&mut self, work: impl FnOnce(&mut Trainer) -> R + Send) -> R {
        // What runs in the pool needs the whole trainer.
        let pool = self.pool.clone();
        pool.install(|| work(self))
    }

    /// Trains in its own threads, with the model kept in memory.
    fn with_memory<R: Send>(&mut self, work: impl FnOnce(&mut Trainer, &mut InMemory) -> R + Send) -> R {
        let mut memory = std::mem::take(&mut self.memory);
        let result = self.in_own_pool(|trainer| work(trainer, &mut memory));
        self.memory = memory;
        result
    }

    /// Lets whoever writes a checkpoint have what each rank alone has.
    pub(super) fn gather(&mut self) -> Result<()> {
        self.exchange.settle(&mut self.engine);
        self.engine.gather();
        self.engine.ranks.check_values(&self.engine.network)?;
        self.engine.ranks.check()
    }

    /// All that it needs to go on.
    pub(super) fn state(&self) -> State<'_> {
        let Trainer { settings, engine, exchange, position, .. } = self;
        State { settings, engine, exchange, position }
    }

    /// The score on a part of a language model's text in its own figures; none for other tasks.
    pub(super) fn language_score(&self, part: &str, score: &Score) -> Option<LanguageScore> {
        self.splits.characters(part).map(|characters| LanguageScore::new(score, characters))
    }

    /// Steps that are done.
    pub fn steps_done(&self) -> u64 {
        self.position.step
    }

    /// Bytes of weights, index, gradients and optimizer state.
    pub fn training_bytes(&self) -> usize {
        self.engine.bytes() + self.exchange.bytes()
    }

    /// The share of right predictions, for classification.
    pub fn accuracy(&self, score: &Score) -> Option<f64> {
        (self.splits.preparation.task == Task::Classification).then(|| score.accuracy())
    }

    /// Wrong labels for each that there should be, for transcription.
    pub fn label_error_rate(&self, score: &Score) -> Option<f64> {
        (self.splits.preparation.task == Task::Transcription).then(|| score.label_error_rate())
    }
}

/// How bf16 is computed, where it is asked for.
fn bf16_note(engine: &Engine) -> Option<String> {
    if engine.network.precision() == Precision::F32 {
        return None;
    }
    let isa = engine.isa();
    let plain = "numbers are rounded, and kernels are those of f32, no faster";
    let refused = match Isa::amx_support() {
        TileSupport::Refused => "; this processor has AMX, but the system refuses it to this process",
        _ => "",
    };
    let is_used = engine.network.weights().any(|(_, weight)| is_narrowed(isa, &weight.weights));
    Some(match (is_used, Some(isa) == Isa::amx()) {
        (true, true) => format!(
            "computes bf16 products of linear layers in row blocks of 16 by {isa}; the others in plain code: {plain}"
        ),
        (true, false) => format!(
            "computes bf16 products of compressed linear layers, and of convolutions in row blocks, by {isa}; the others in plain code: {plain}{refused}"
        ),
        (false, true) => {
            format!("computes bf16 in plain code: {plain}; {isa} is used for sparsity.block = 16")
        }
        (false, false) => format!("computes bf16 in plain code: {plain}{refused}"),
    })
}
