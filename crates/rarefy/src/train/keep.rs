//! Where a training leaves its model and its state: in memory here, in the files of a run in `run`.

use super::exchange::Exchange;
use super::model::{Model, ModelConfig};
use super::position::Position;
use super::record::EpochRecord;
use super::{Engine, Settings};
use crate::Result;
use crate::layers::{LayerKinds, Network};
use crate::sparse::Storage;

/// All that a training needs to go on.
pub(super) struct State<'a> {
    pub(super) settings: &'a Settings,
    pub(super) engine: &'a Engine,
    pub(super) exchange: &'a Exchange,
    pub(super) position: &'a Position,
}

/// Where a training leaves its model and its state.
pub(super) trait Keep: Send {
    /// Takes a network as the model, in place of the one before: the best so far, or the last.
    fn keep(&mut self, network: &Network, config: ModelConfig) -> Result<()>;

    /// The model that was taken last; layers of a user's own are of these kinds.
    fn kept(&self, kinds: &LayerKinds) -> Result<Model>;

    /// Whether a model was taken.
    fn has_kept(&self) -> bool;

    /// Whether the state is to be kept after the next step.
    fn is_due(&self, settings: &Settings) -> bool;

    /// Keeps the state.
    fn save(&mut self, state: State<'_>) -> Result<()>;

    /// Looks at the state after an epoch.
    fn after_epoch(&mut self, state: State<'_>, record: &EpochRecord) -> Result<()>;
}

/// Keeps the model in memory, and no state.
#[derive(Default)]
pub(super) struct InMemory {
    model: Option<Model>,
}

impl InMemory {
    /// That model was taken before.
    pub(super) fn of(model: Model) -> InMemory {
        InMemory { model: Some(model) }
    }

    /// The model that was taken last, if any.
    pub(super) fn model(&self) -> Option<&Model> {
        self.model.as_ref()
    }
}

impl Keep for InMemory {
    fn keep(&mut self, network: &Network, config: ModelConfig) -> Result<()> {
        self.model = Some(Model::new(network.copy(Storage::Auto), config));
        Ok(())
    }

    fn kept(&self, _: &LayerKinds) -> Result<Model> {
        let model = self.model.as_ref().expect("a model was kept");
        Ok(Model::new(model.network().copy(Storage::Auto), model.config.clone()))
    }

    fn has_kept(&self) -> bool {
        self.model.is_some()
    }

    fn is_due(&self, _: &Settings) -> bool {
        false
    }

    fn save(&mut self, _: State<'_>) -> Result<()> {
        Ok(())
    }

    fn after_epoch(&mut self, _: State<'_>, _: &EpochRecord) -> Result<()> {
        Ok(())
    }
}
