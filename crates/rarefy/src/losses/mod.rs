//! Losses: a tile of outputs and its targets in, the loss and its gradient out. Outputs are logits: softmax and sigmoid
//! are part of the loss, where they are stable and cheap, and [`Head`] applies them for predictions. One loss, one file;
//! definitions are PyTorch's.
//!
//! A batch's loss is the sum of its tiles' sums divided by [`Loss::normaliser`]. Each lane is computed alone and lanes
//! are summed in order in `f64`, so a sample's loss does not depend on its lane, nor a batch's on the threads. Losses know
//! nothing of weights and dead lanes: [`Loss::tile`] alone multiplies by the one and leaves out the other.

mod absolute;
mod best_path;
mod binary_cross_entropy;
mod cross_entropy;
mod ctc;
mod custom;
mod head;
mod huber;
mod quantile;
mod settings;
mod squared_error;
#[cfg(test)]
mod suite;

use crate::tiles::{IGNORED, LANES, Row};

use absolute::absolute_error;
pub use best_path::{best_path, edits};
use binary_cross_entropy::binary_cross_entropy;
pub use cross_entropy::CrossEntropy;
pub use ctc::{Lanes, SequenceTile};
pub use custom::{CustomLoss, LossFunction};
pub use head::Head;
pub use huber::Huber;
pub use quantile::Quantile;
pub use settings::{ClassWeights, LossMethod, LossSettings, Task, WeightRule};
use squared_error::{half_squared_error, squared_error};

/// A checked loss, built by [`LossSettings::build`]. `z` are a sample's outputs, `t` its targets.
///
/// # Example
/// ```
/// use rarefy::losses::{Head, Loss, LossSettings, Task};
///
/// let loss = LossSettings::default().build(Task::Regression)?;
/// assert_eq!(loss, Loss::MeanSquaredError);
/// assert_eq!(loss.head(), Head::Identity);
/// // Eight samples of three numbers: what the sum of their losses is divided by.
/// assert_eq!(loss.normaliser(8.0, 3), 24.0);
/// # Ok::<(), rarefy::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum Loss {
    /// `-ln softmax(z)_y` of the class `y`, with label smoothing and class weights if asked for; mean over samples (over the
    /// weights of their classes, where there are some). `torch.nn.CrossEntropyLoss`.
    CrossEntropy(CrossEntropy),
    /// `-t ln sigmoid(z) - (1 - t) ln(1 - sigmoid(z))` of each output, targets from 0 to 1; mean over samples and outputs.
    /// `torch.nn.BCEWithLogitsLoss`. Computed as `max(z, 0) - z t + ln(1 + e^-|z|)`, which neither overflows nor loses small
    /// losses.
    BinaryCrossEntropy,
    /// `(z - t)^2` of each output; mean over samples and outputs. `torch.nn.MSELoss`.
    MeanSquaredError,
    /// `1/2 (z - t)^2` of each output; sum over samples and outputs, divided by nothing: the textbook's loss of penalised least
    /// squares `1/2 sum (y - yhat)^2 + lambda sum |w|` (Tibshirani 1996). Half of `torch.nn.MSELoss(reduction = "sum")`.
    SumSquaredError,
    /// `1/2 e^2` where `|e| <= delta`, else `delta (|e| - delta / 2)`, with `e = z - t` of each output; mean over samples and
    /// outputs. `torch.nn.HuberLoss`.
    Huber(Huber),
    /// `|z - t|` of each output, which predicts the median; mean over samples and outputs. `torch.nn.L1Loss`.
    Absolute,
    /// `q (t - z)` where `z < t`, else `(1 - q) (z - t)`, of each output, which predicts the quantile `q`; mean over samples and
    /// outputs. Not in PyTorch; scikit-learn's `mean_pinball_loss`.
    Quantile(Quantile),
    /// `-ln P(labels) / number of labels`, whatever the steps at which they stand; mean over samples. `torch.nn.CTCLoss` with
    /// the blank as class 0 (connectionist temporal classification: Graves et al. 2006). With `y_t = softmax` of the `K`
    /// outputs of step `t` and `l = blank l1 blank l2 ... blank` of `S = 2 L + 1` states for `L` labels:
    /// ```text
    /// a_t(s)  = ln y_t(l_s) + ln(e^a_t-1(s) + e^a_t-1(s-1) + e^a_t-1(s-2)), the last where l_s is no blank and not l_s-2
    /// b_t(s)  = ln y_t(l_s) + ln(e^b_t+1(s) + e^b_t+1(s+1) + e^b_t+1(s+2)), the last where l_s+2 is no blank and not l_s
    /// loss    = -ln(e^a_T(S) + e^a_T(S-1)) / L
    /// dz_t(k) = (y_t(k) - sum_{s: l_s = k} e^(a_t(s) + b_t(s) - ln y_t(l_s) + L loss)) / L
    /// ```
    Ctc,
    /// A loss of a user's own.
    Custom(CustomLoss),
}

/// What one tile of outputs should have been.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The targets.
    pub targets: TargetTile<'a>,
    /// How many lanes are alive: the first ones.
    pub live: usize,
    /// How much each lane counts: its sample's weight, 1 where there are none. Lanes of weight 0 have no loss and no gradient.
    pub weights: &'a Row,
}

/// Weights of samples that all count once.
pub const UNWEIGHTED: Row = Row([1.0; LANES]);

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

impl Expected<'_> {
    /// What each lane's loss is to be multiplied by: its weight; 0 where it is dead or its class [`IGNORED`].
    fn factors(&self) -> Row {
        let mut factors = *self.weights;
        factors.0[self.live..].fill(0.0);
        if let TargetTile::Classes(labels) = self.targets {
            ignored(labels).for_each(|lane| factors.0[lane] = 0.0);
        }
        factors
    }
}

impl Loss {
    /// How outputs become predictions.
    pub fn head(&self) -> Head {
        match self {
            Loss::CrossEntropy(_) | Loss::Ctc => Head::Softmax,
            Loss::BinaryCrossEntropy => Head::Sigmoid,
            Loss::MeanSquaredError
            | Loss::SumSquaredError
            | Loss::Huber(_)
            | Loss::Absolute
            | Loss::Quantile(_) => Head::Identity,
            Loss::Custom(loss) => loss.function().head(),
        }
    }

    /// How much a prediction counts in the mean, before its sample's weight: its class's weight if there are such, else 1, and
    /// 0 where the class is [`IGNORED`]. `label` is the class, `None` where targets are no classes.
    ///
    /// # Panics
    /// If class weights are set and `label` is `None` or a class without a weight.
    pub fn class_weight(&self, label: Option<u32>) -> f64 {
        match (self, label) {
            (_, Some(IGNORED)) => 0.0,
            (Loss::CrossEntropy(loss), _) => loss.class_weight(label),
            _ => 1.0,
        }
    }

    /// What a summed loss is divided by. `weight` is the sum over the predictions of their samples' weights times
    /// [`Loss::class_weight`]: that is it for the cross-entropy and CTC, that times the outputs for the other means, and 1
    /// for the sum.
    pub fn normaliser(&self, weight: f64, outputs: usize) -> f64 {
        match self {
            Loss::CrossEntropy(_) | Loss::Ctc => weight,
            Loss::SumSquaredError => 1.0,
            Loss::BinaryCrossEntropy
            | Loss::MeanSquaredError
            | Loss::Huber(_)
            | Loss::Absolute
            | Loss::Quantile(_) => weight * outputs as f64,
            Loss::Custom(loss) => loss.function().normaliser(weight, outputs),
        }
    }

    /// Whether the sum over a batch is divided at all.
    pub fn is_mean(&self) -> bool {
        self.normaliser(2.0, 1) != self.normaliser(1.0, 1)
    }

    /// Rows that the loss of a tile takes to compute with: `rows` outputs, `classes` of them at each step, and sequences of up
    /// to `longest` labels.
    pub fn workspace(&self, rows: usize, classes: usize, longest: usize) -> usize {
        if matches!(self, Loss::Ctc) { ctc::workspace(rows / classes, longest) } else { 0 }
    }

    /// The weighted sum of a tile's losses. Writes its gradient to the rows of `gradient`; lanes that do not count get 0.
    /// `workspace` has as many rows as [`Loss::workspace`] says, or more.
    ///
    /// # Panics
    /// If the shapes of `output`, `gradient` and targets differ, a class is not below the number of outputs, or the loss
    /// is for another kind of targets.
    pub fn tile(
        &self,
        output: &[Row],
        expected: Expected<'_>,
        gradient: &mut [Row],
        workspace: &mut [Lanes],
    ) -> f64 {
        assert_eq!(gradient.len(), output.len(), "the gradient needs a row for each output");
        let lanes = self.lanes(output, &expected, Some(&mut *gradient), workspace);
        let factors = expected.factors();
        for row in gradient {
            for (slope, factor) in row.0.iter_mut().zip(factors.0) {
                // Not a product alone: what does not count may be infinite.
                *slope = if factor == 0.0 { 0.0 } else { factor * *slope };
            }
        }
        sum(&lanes, &factors)
    }

    /// The weighted sum of a tile's losses, the same bits as from [`Loss::tile`], without the gradient.
    ///
    /// # Panics
    /// As [`Loss::tile`].
    pub fn value(&self, output: &[Row], expected: Expected<'_>, workspace: &mut [Lanes]) -> f64 {
        sum(&self.lanes(output, &expected, None, workspace), &expected.factors())
    }

    /// The loss of each lane, and its gradient; those of lanes that do not count mean nothing.
    fn lanes(
        &self,
        output: &[Row],
        expected: &Expected<'_>,
        gradient: Option<&mut [Row]>,
        workspace: &mut [Lanes],
    ) -> Lanes {
        let targets = expected.targets;
        match targets {
            TargetTile::Classes(labels) => {
                assert_eq!(labels.len(), expected.live, "each live lane needs a class");
                let bad = predictions(labels).find(|&(_, label)| label >= output.len());
                assert!(bad.is_none(), "lane and class {bad:?} in a network of {} outputs", output.len());
            }
            TargetTile::Values(rows) => {
                assert_eq!(rows.len(), output.len(), "the targets need a row for each output");
            }
            TargetTile::Sequences(tile) => {
                assert_eq!(tile.live(), expected.live, "each live lane needs a sequence");
                assert_eq!(output.len() % tile.classes, 0, "steps of {} outputs", tile.classes);
            }
        }
        match self {
            Loss::CrossEntropy(loss) => loss.lanes(output, targets, gradient),
            Loss::BinaryCrossEntropy => each(output, targets, gradient, binary_cross_entropy),
            Loss::MeanSquaredError => each(output, targets, gradient, squared_error),
            Loss::SumSquaredError => each(output, targets, gradient, half_squared_error),
            Loss::Huber(huber) => {
                each(output, targets, gradient, |prediction, target| huber.element(prediction, target))
            }
            Loss::Absolute => each(output, targets, gradient, absolute_error),
            Loss::Quantile(quantile) => {
                each(output, targets, gradient, |prediction, target| quantile.element(prediction, target))
            }
            Loss::Ctc => {
                let TargetTile::Sequences(tile) = targets else { panic!("CTC needs sequences of labels") };
                ctc::lanes(output, &tile, gradient, workspace)
            }
            Loss::Custom(loss) => loss.function().lanes(output, targets, gradient),
        }
    }
}

/// The sum of what counts, in order.
fn sum(lanes: &Lanes, factors: &Row) -> f64 {
    let counted = lanes.iter().zip(factors.0).filter(|(_, factor)| *factor != 0.0);
    counted.map(|(loss, factor)| f64::from(factor) * loss).sum()
}

/// The lanes where something is to be predicted, and what.
fn predictions(labels: &[u32]) -> impl Iterator<Item = (usize, usize)> {
    let lanes = labels.iter().enumerate().filter(|&(_, &label)| label != IGNORED);
    lanes.map(|(lane, &label)| (lane, label as usize))
}

/// The lanes where nothing is to be predicted.
fn ignored(labels: &[u32]) -> impl Iterator<Item = usize> {
    labels.iter().enumerate().filter(|&(_, &label)| label == IGNORED).map(|(lane, _)| lane)
}

/// Sums a loss that looks at one output at a time. `element` maps prediction and target to the loss and its derivative.
#[inline(always)]
fn each(
    output: &[Row],
    targets: TargetTile<'_>,
    mut gradient: Option<&mut [Row]>,
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
        if let Some(gradient) = &mut gradient {
            gradient[feature] = slopes;
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
