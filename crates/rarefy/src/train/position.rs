//! Where a training stands: what its plan and its early stopping go by, saved in checkpoints.

use serde::{Deserialize, Serialize};

use super::Score;
use super::exchange::Origin;
use super::plan::Floor;
use crate::control::ControllerState;
use crate::optimizers::Memory;

/// Where a training stands.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Position {
    /// Steps done.
    pub(super) step: u64,
    /// Epochs done.
    pub(super) epoch: u64,
    /// The training score of the epoch under way.
    pub(super) score: Score,
    /// Connections moved in the epoch under way.
    pub(super) dropped: usize,
    /// Connections grown in the epoch under way.
    pub(super) grown: usize,
    /// The best epoch so far and how good it was: on the validation part the accuracy if there is one, then the loss below 0.
    pub(super) best: Option<(u64, [f64; 2])>,
    /// The last epoch that was better than the one before it in this place by more than `train.tolerance`, and how good it
    /// was; without a tolerance the best one. Not in the files of older versions.
    #[serde(default)]
    pub(super) improved: Option<(u64, [f64; 2])>,
    /// The last epoch at whose end each layer had connections left, whose model was kept for the case that a penalty empties one;
    /// 0 before the first. Not in the files of older versions.
    #[serde(default)]
    pub(super) whole: u64,
    /// What steers lambda, if anything does.
    pub(super) control: Option<ControllerState>,
    /// What the optimizer remembers besides its slots.
    pub(super) optimizer: Option<Memory>,
    /// What gradients are of that have not yet moved weights, if any wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) waiting: Option<Origin>,
    /// Whether the workers of `distributed.exchange = "wasap"` have come to steps of their own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) steps_alone: bool,
    /// How few connections a layer may have. Files of older versions say nothing of it.
    #[serde(default = "Floor::of_older_files")]
    pub(super) floor: Floor,
    /// Seconds trained, over all sittings.
    pub(super) seconds: f64,
}

impl Position {
    /// Takes down how good the epoch just done was, and says whether it is the best so far.
    pub(super) fn is_best(&mut self, found: [f64; 2], tolerance: f64) -> bool {
        let exceeds = |other: Option<(u64, [f64; 2])>, by: f64| {
            other.is_none_or(|(_, old)| {
                found[0] > old[0] + by || (found[0] >= old[0] && found[1] > old[1] + by)
            })
        };
        if exceeds(self.improved.or(self.best), tolerance) {
            self.improved = Some((self.epoch, found));
        }
        let is_best = exceeds(self.best, 0.0);
        if is_best {
            self.best = Some((self.epoch, found));
        }
        is_best
    }

    /// The epoch that patience counts from.
    pub(super) fn improved(&self) -> Option<u64> {
        self.improved.or(self.best).map(|(epoch, _)| epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_before_there_was_a_floor_go_on_without() {
        let mut position = serde_json::to_value(Position::default()).unwrap();
        assert_eq!(position["floor"], "outputs");
        position.as_object_mut().unwrap().remove("floor");
        assert_eq!(serde_json::from_value::<Position>(position).unwrap().floor, Floor::Density);
    }
}
