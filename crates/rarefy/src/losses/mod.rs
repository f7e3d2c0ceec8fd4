//! Losses: a tile of outputs and its targets in, the loss and its gradient out. Outputs are logits: softmax and sigmoid
//! are part of the loss, where they are stable and cheap, and [`Head`] applies them for predictions. One loss, one file;
//! definitions are PyTorch's.
//!
//! A batch's loss is the sum of its tiles' sums divided by [`Loss::normaliser`]. Each lane is computed alone and lanes
//! are summed in order in `f64`, so a sample's loss does not depend on its lane, nor a batch's on the threads.

mod best_path;
mod binary_cross_entropy;
mod cross_entropy;
mod ctc;
mod head;
mod huber;
mod settings;
mod squared_error;
#[cfg(test)]
mod suite;

use crate::tiles::{IGNORED, LANES, Row};

pub use best_path::{best_path, edits};
use binary_cross_entropy::binary_cross_entropy;
pub use cross_entropy::CrossEntropy;
pub use ctc::{Lanes, SequenceTile};
pub use head::Head;
pub use huber::Huber;
pub use settings::{ClassWeights, LossMethod, LossSettings, Task, WeightRule};
use squared_error::{half_squared_error, squared_error};

/// A checked loss, built by [`LossSettings::build`].
#[derive(Debug, Clone, PartialEq)]
pub enum Loss {
    /// Softmax and negative log-likelihood, for one class of several.
    CrossEntropy(CrossEntropy),
    /// Sigmoid and negative log-likelihood of each output, mean over samples and outputs.
    BinaryCrossEntropy,
    /// `(prediction - target)^2`, mean over samples and outputs.
    MeanSquaredError,
    /// `1/2 (prediction - target)^2`, summed over samples and outputs and not divided by anything.
    SumSquaredError,
    /// Squared near the target, straight far from it, mean over samples and outputs.
    Huber(Huber),
    /// Negative log-likelihood of a sequence of labels, whatever the steps at which they stand, for each of its labels.
    Ctc,
}

/// The targets of one tile.
#[derive(Debug, Clone, Copy)]
pub enum TargetTile<'a> {
    /// A class for each live lane. To every loss but the cross-entropy it means 1 for that output and 0 for the others.
    /// Lanes that are [`IGNORED`] have no loss and no gradient.
    Classes(&'a [u32]),
    /// A row of numbers for each output.
    Values(&'a [Row]),
    /// A sequence of labels for each live lane, for [`Loss::Ctc`]: the outputs are those of all steps.
    Sequences(SequenceTile<'a>),
}

impl Loss {
    /// How outputs become predictions.
    pub fn head(&self) -> Head {
        match self {
            Loss::CrossEntropy(_) | Loss::Ctc => Head::Softmax,
            Loss::BinaryCrossEntropy => Head::Sigmoid,
            Loss::MeanSquaredError | Loss::SumSquaredError | Loss::Huber(_) => Head::Identity,
        }
    }

    /// What a batch's summed loss is divided by: for the cross-entropy its samples (its class weights, if there are
    /// any), for the other means its samples times outputs, for the sum 1, for sequences their number; [`IGNORED`] ones do not count. Never 0: a batch without weight gets 1.
    /// `labels` are the batch's classes, or `None` if its targets are numbers.
    ///
    /// # Panics
    /// If class weights are set and `labels` is `None` or holds a class without a weight.
    pub fn normaliser(&self, samples: usize, outputs: usize, labels: Option<&[u32]>) -> f64 {
        let total = self.weight(samples, outputs, labels);
        if total == 0.0 { 1.0 } else { total }
    }

    /// The same, but 0 for samples without weight.
    ///
    /// # Panics
    /// As [`Loss::normaliser`].
    pub fn weight(&self, samples: usize, outputs: usize, labels: Option<&[u32]>) -> f64 {
        let samples = labels.map_or(samples, |labels| predictions(labels).count());
        match self {
            Loss::CrossEntropy(loss) => loss.total_weight(samples, labels),
            Loss::SumSquaredError => 1.0,
            Loss::Ctc => samples as f64,
            Loss::BinaryCrossEntropy | Loss::MeanSquaredError | Loss::Huber(_) => (samples * outputs) as f64,
        }
    }

    /// Rows that the loss of a tile takes to compute with: `rows` outputs, `classes` of them at each step, and sequences of up
    /// to `longest` labels.
    pub fn room(&self, rows: usize, classes: usize, longest: usize) -> usize {
        if matches!(self, Loss::Ctc) { ctc::room(rows / classes, longest) } else { 0 }
    }

    /// The summed loss of a tile's first `live` lanes. Writes the gradient, times `scale` (one over the batch's
    /// [`Loss::normaliser`]), to the rows of `gradient`; dead lanes get 0. `room` has as many rows as [`Loss::room`] says.
    ///
    /// # Panics
    /// If the shapes of `output`, `gradient` and `targets` differ, a class is not below the number of outputs, or the loss
    /// is for another kind of targets.
    #[expect(clippy::too_many_arguments)]
    pub fn tile(
        &self,
        output: &[Row],
        targets: TargetTile<'_>,
        live: usize,
        scale: f32,
        gradient: &mut [Row],
        room: &mut [Lanes],
    ) -> f64 {
        assert_eq!(gradient.len(), output.len(), "the gradient needs a row for each output");
        let lanes = self.lanes(output, targets, live, Some((scale, &mut *gradient)), room);
        for row in gradient {
            row.0[live..].fill(0.0);
            if let TargetTile::Classes(labels) = targets {
                ignored(labels).for_each(|lane| row.0[lane] = 0.0);
            }
        }
        lanes[..live].iter().sum()
    }

    /// The summed loss of a tile's first `live` lanes, the same bits as from [`Loss::tile`], without the gradient.
    ///
    /// # Panics
    /// As [`Loss::tile`].
    pub fn value(&self, output: &[Row], targets: TargetTile<'_>, live: usize, room: &mut [Lanes]) -> f64 {
        self.lanes(output, targets, live, None, room)[..live].iter().sum()
    }

    /// The loss of each lane; those of dead lanes mean nothing.
    fn lanes(
        &self,
        output: &[Row],
        targets: TargetTile<'_>,
        live: usize,
        gradient: Option<(f32, &mut [Row])>,
        room: &mut [Lanes],
    ) -> Lanes {
        match targets {
            TargetTile::Classes(labels) => {
                assert_eq!(labels.len(), live, "each live lane needs a class");
                let bad = predictions(labels).find(|&(_, label)| label >= output.len());
                assert!(bad.is_none(), "lane and class {bad:?} in a network of {} outputs", output.len());
            }
            TargetTile::Values(rows) => {
                assert_eq!(rows.len(), output.len(), "the targets need a row for each output");
            }
            TargetTile::Sequences(tile) => {
                assert_eq!(tile.live(), live, "each live lane needs a sequence");
                assert_eq!(output.len() % tile.classes, 0, "steps of {} outputs", tile.classes);
            }
        }
        let mut lanes = match self {
            Loss::CrossEntropy(loss) => loss.lanes(output, targets, gradient),
            Loss::BinaryCrossEntropy => each(output, targets, gradient, binary_cross_entropy),
            Loss::MeanSquaredError => each(output, targets, gradient, squared_error),
            Loss::SumSquaredError => each(output, targets, gradient, half_squared_error),
            Loss::Huber(huber) => {
                each(output, targets, gradient, |prediction, target| huber.element(prediction, target))
            }
            Loss::Ctc => {
                let TargetTile::Sequences(tile) = targets else { panic!("CTC needs sequences of labels") };
                ctc::lanes(output, &tile, gradient, room)
            }
        };
        if let TargetTile::Classes(labels) = targets {
            ignored(labels).for_each(|lane| lanes[lane] = 0.0);
        }
        lanes
    }
}

/// The lanes where something is to be predicted, and what.
fn predictions(labels: &[u32]) -> impl Iterator<Item = (usize, usize)> {
    let lanes = labels.iter().enumerate().filter(|&(_, &label)| label != IGNORED);
    lanes.map(|(lane, &label)| (lane, label as usize))
}

/// The lanes where nothing is.
fn ignored(labels: &[u32]) -> impl Iterator<Item = usize> {
    labels.iter().enumerate().filter(|&(_, &label)| label == IGNORED).map(|(lane, _)| lane)
}

/// Sums a loss that looks at one output at a time. `element` maps prediction and target to the loss and its derivative.
#[inline(always)]
fn each(
    output: &[Row],
    targets: TargetTile<'_>,
    mut gradient: Option<(f32, &mut [Row])>,
    element: impl Fn(f32, f32) -> (f32, f32),
) -> Lanes {
    let mut sums = [0.0; LANES];
    for (feature, row) in output.iter().enumerate() {
        let target = match targets {
            TargetTile::Classes(labels) => one_hot(labels, feature),
            TargetTile::Values(rows) => rows[feature],
            TargetTile::Sequences(_) => panic!("sequences of labels need CTC"),
        };
        let mut slopes = Row::ZERO;
        for (lane, sum) in sums.iter_mut().enumerate() {
            let (loss, slope) = element(row.0[lane], target.0[lane]);
            *sum += f64::from(loss);
            slopes.0[lane] = slope;
        }
        if let Some((scale, gradient)) = &mut gradient {
            gradient[feature] = Row(slopes.0.map(|slope| *scale * slope));
        }
    }
    sums
}

/// 1 in the lanes whose class is `class`.
fn one_hot(labels: &[u32], class: usize) -> Row {
    let mut row = Row::ZERO;
    for (value, &label) in row.0.iter_mut().zip(labels) {
        *value = if label as usize == class { 1.0 } else { 0.0 };
    }
    row
}
