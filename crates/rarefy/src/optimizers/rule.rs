//! What an optimizer is: the trait, what a step hands to it, and what the rules share.

use super::Sums;

/// Moves values along their gradients. Every operation is elementwise, so an update of a parameter may be cut into
/// sub-slices, in any order and in parallel, and gives the same bits.
pub trait UpdateRule {
    /// Arrays of state that it keeps for each parameter, each as long as the values and zero at the start.
    fn slots(&self) -> usize;

    /// Fills the slots, all zero until now, of values that are trained from here on: all at the start of a run, later
    /// those of grown connections.
    fn begin(&self, values: &[f32], slots: &mut [&mut [f32]]) {
        let _ = (values, slots);
    }

    /// The first part of a step, for methods that need sums over the whole network before they move it.
    ///
    /// # Panics
    /// If the lengths differ, or the number of slots is not [`UpdateRule::slots`].
    #[inline(always)]
    fn gather(&self, step: &StepSize, values: &[f32], gradients: &[f32], slots: &mut [&mut [f32]]) -> Sums {
        let _ = (step, values, gradients, slots);
        Sums::default()
    }

    /// One step: `values`, `gradients` and each of the `slots` have one number per weight.
    ///
    /// # Panics
    /// If the lengths differ, or the number of slots is not [`UpdateRule::slots`].
    fn update(&self, step: &StepSize, values: &mut [f32], gradients: &[f32], slots: &mut [&mut [f32]]);

    /// Writes to `out` how far one unit of a steady gradient moves each weight in a step: the step size that a proximal
    /// penalty needs (ProxGen: Yun, Lozano and Yang 2021, algorithm 1). `slots` are those after [`UpdateRule::update`].
    ///
    /// # Panics
    /// If the lengths differ, or the number of slots is not [`UpdateRule::slots`].
    fn step_size(&self, step: &StepSize, slots: &[&[f32]], out: &mut [f32]);
}

/// What changes from step to step and from parameter to parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepSize {
    /// The base learning rate times the schedule's factor, and the method's own estimate.
    pub learning_rate: f32,
    /// The step, counted from 1.
    pub step: u64,
    /// Whether weight decay applies to this parameter: to weights, not to biases.
    pub decay: bool,
    /// The strength of the L1 penalty on this parameter, for methods that apply it themselves.
    pub lambda: f32,
    /// The lambda that a Bregman method's hidden values stand at before this step.
    pub(super) held: f32,
    /// Prodigy's distance.
    pub(super) distance: f32,
    /// The weight of this step's point in a schedule-free average.
    pub(super) averaging: f32,
}

impl StepSize {
    /// A step of a weight without a penalty.
    pub fn new(learning_rate: f32, step: u64) -> StepSize {
        StepSize { learning_rate, step, decay: true, lambda: 0.0, held: 0.0, distance: 0.0, averaging: 0.0 }
    }

    /// The same step of a bias: neither weight decay nor penalties apply.
    pub fn of_bias(&self) -> StepSize {
        StepSize { decay: false, lambda: 0.0, held: 0.0, ..*self }
    }

    /// The weight decay of this parameter, given the optimizer's.
    #[inline(always)]
    pub(super) fn decay(&self, weight_decay: f32) -> f32 {
        if self.decay { weight_decay } else { 0.0 }
    }
}

/// `1 - beta^step`, which a moment that starts at zero is divided by.
pub(super) fn correction(beta: f32, step: u64) -> f64 {
    1.0 - f64::from(beta).powi(i32::try_from(step).unwrap_or(i32::MAX))
}

/// A running average, 0 where it is subnormal. Those of a weight whose gradient has become zero (a dead neuron's) fall for good,
/// and round to a subnormal number that stands still, not to 0; processors take a hundred cycles for each of them.
#[inline(always)]
pub(super) fn flush(average: f32) -> f32 {
    if average.abs() < f32::MIN_POSITIVE { 0.0 } else { average }
}

/// Panics unless every array is as long as the values: zipped loops would stop at the shortest in silence.
#[inline(always)]
pub(super) fn check_lengths(values: usize, others: impl IntoIterator<Item = usize>) {
    for other in others {
        assert_eq!(other, values, "gradients and slots must be as long as the values");
    }
}
