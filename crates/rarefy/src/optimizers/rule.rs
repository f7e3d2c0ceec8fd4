//! What an optimizer is: the trait, what a step hands to it, and what the rules share.

use std::fmt::Debug;

use super::{Memory, Sums};

/// An update rule: moves values along their gradients. Implement it to train by a rule of your own ([`super::Optimizer::Custom`]).
///
/// A rule sees slices and knows nothing of sparsity, layers or threads. Every operation is elementwise, so that an update of a
/// parameter may be cut into sub-slices, in any order and in parallel, and gives the same bits. What it keeps for each value
/// stands in its slots: arrays as long as the values that start at zero and that the caller keeps, moves along when connections
/// move, and saves.
///
/// A step is made in parts, of which most rules have `update` alone ([`Passes`]):
/// ```text
/// prepare                        what the step needs of the memory
/// gather, on every chunk         state, and sums over the network
/// decide                         the sums become the step's size
/// update, on every chunk         the step; in a search again until `accepts` takes the loss after it
/// ```
///
/// Gradient descent in the direction of the gradient's sign:
/// ```
/// use rarefy::optimizers::{StepSize, Traits, UpdateRule};
///
/// #[derive(Debug)]
/// struct SignDescent;
///
/// impl UpdateRule for SignDescent {
///     fn traits(&self) -> Traits {
///         Traits::PLAIN
///     }
///
///     fn slots(&self) -> usize {
///         0
///     }
///
///     fn update(&self, step: &StepSize, values: &mut [f32], gradients: &[f32], _: &mut [&mut [f32]]) {
///         for (value, gradient) in values.iter_mut().zip(gradients) {
///             *value -= step.learning_rate * gradient.signum();
///         }
///     }
///
///     fn step_size(&self, step: &StepSize, _: &[&mut [f32]], out: &mut [f32]) {
///         out.fill(step.learning_rate);
///     }
/// }
///
/// let mut values = [1.0, 2.0];
/// SignDescent.update(&StepSize::new(0.5, 1), &mut values, &[0.1, -7.0], &mut []);
/// assert_eq!(values, [0.5, 2.5]);
/// ```
pub trait UpdateRule: Debug + Send + Sync {
    /// What the rest of training must know of the rule; [`Traits::PLAIN`] for most.
    fn traits(&self) -> Traits;

    /// How many arrays of state it keeps for each parameter, each as long as the values and zero at the start.
    fn slots(&self) -> usize;

    /// Fills the slots, all zero until now, of values that are trained from here on: all at the start of a run, later
    /// those of grown connections.
    fn begin(&self, values: &[f32], slots: &mut [&mut [f32]]) {
        let _ = (values, slots);
    }

    /// What it remembers of the network as a whole at the start of a run.
    fn memory(&self) -> Memory {
        Memory::default()
    }

    /// Begins a step from what is known before it; `step.learning_rate` is the settings' times the schedule's.
    fn prepare(&self, memory: &mut Memory, step: &mut StepSize) {
        let _ = (memory, step);
    }

    /// Updates state and sums up over one chunk, where the rule needs sums over the whole network before it moves it.
    ///
    /// # Panics
    /// If the lengths differ, or the number of slots is not [`UpdateRule::slots`].
    #[inline(always)]
    fn gather(&self, step: &StepSize, values: &[f32], gradients: &[f32], slots: &mut [&mut [f32]]) -> Sums {
        let _ = (step, values, gradients, slots);
        Sums::default()
    }

    /// Decides the step's size from the sums over all parameters and the batch's loss.
    fn decide(&self, memory: &mut Memory, step: &mut StepSize, sums: Sums, loss: f64) {
        let _ = (memory, step, sums, loss);
    }

    /// Makes one step: `values`, `gradients` and each of the `slots` have one number per weight.
    ///
    /// # Panics
    /// If the lengths differ, or the number of slots is not [`UpdateRule::slots`].
    fn update(&self, step: &StepSize, values: &mut [f32], gradients: &[f32], slots: &mut [&mut [f32]]);

    /// Whether a search ends with this step, `loss` being the batch's after it; otherwise `step` is the next to try.
    fn accepts(&self, memory: &mut Memory, step: &mut StepSize, loss: f64) -> bool {
        let _ = (memory, step, loss);
        true
    }

    /// Writes to `out` how far one unit of a steady gradient moves each weight in a step: the step size that a proximal
    /// penalty needs (ProxGen: Yun, Lozano and Yang 2021, algorithm 1). `slots` are those after [`UpdateRule::update`].
    ///
    /// # Panics
    /// If the lengths differ, or the number of slots is not [`UpdateRule::slots`].
    fn step_size(&self, step: &StepSize, slots: &[&mut [f32]], out: &mut [f32]);
}

/// How often a step goes over the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passes {
    /// Once: [`UpdateRule::update`] looks at each weight by itself.
    One,
    /// Twice: [`UpdateRule::gather`] and [`UpdateRule::decide`] look at the whole network before it is moved.
    Two,
    /// As `Two`, and [`UpdateRule::update`] again until [`UpdateRule::accepts`] takes the loss after it.
    Search,
}

/// What the rest of training must know of an optimizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traits {
    /// How often a step goes over the network.
    pub passes: Passes,
    /// The slot that holds the model, where that is an average and not the trained values themselves.
    pub average: Option<usize>,
    /// Whether the step itself applies the L1 penalty of strength [`StepSize::lambda`], so that no proximal step may follow.
    /// Such a rule revives weights at zero, which must stay stored while it may.
    pub is_bregman: bool,
    /// Whether each batch must be the whole training part, with the same loss at each step.
    pub needs_full_batch: bool,
}

impl Traits {
    /// The traits of a rule that looks at each weight and its gradient alone.
    pub const PLAIN: Traits =
        Traits { passes: Passes::One, average: None, is_bregman: false, needs_full_batch: false };

    /// Whether each step is tried out by forward passes.
    pub fn searches(&self) -> bool {
        self.passes == Passes::Search
    }
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
    /// What [`UpdateRule::prepare`] and [`UpdateRule::decide`] tell [`UpdateRule::update`] besides: a number whose meaning is
    /// the rule's own.
    pub estimate: f32,
}

impl StepSize {
    /// A step of a weight without a penalty.
    pub fn new(learning_rate: f32, step: u64) -> StepSize {
        StepSize { learning_rate, step, decay: true, lambda: 0.0, estimate: 0.0 }
    }

    /// This step for a bias: neither weight decay nor penalties apply.
    pub fn of_bias(&self) -> StepSize {
        StepSize { decay: false, lambda: 0.0, ..*self }
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
