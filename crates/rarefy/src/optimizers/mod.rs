//! Optimizers: slices of values and gradients in, new values out. They know nothing of sparsity, layers or threads: a
//! parameter's state lives in `slots`, arrays aligned with its values that start at zero and that the caller keeps,
//! moves along when connections move, and saves. One optimizer, one file; formulas and defaults are PyTorch's.
//!
//! Some methods look at the network as a whole, to find the learning rate or to weigh an average. They keep a few numbers
//! in a [`Memory`], and the caller makes their step in parts:
//! ```text
//! prepare                        what the step needs of the memory
//! gather, on every chunk         if `gathers`: state, and sums over the network
//! decide                         the sums become the step's size
//! update, on every chunk         the step; if `searches`, again until `accepts` takes the loss after it
//! ```

mod adabreg;
mod adagrad;
mod adam;
mod armijo;
mod barzilai_borwein;
mod bregman;
pub mod clip;
mod learning_rate;
mod linbreg;
mod line_search;
mod memory;
mod prodigy;
mod rmsprop;
mod rule;
mod schedule;
mod schedule_free;
mod settings;
mod sgd;
#[cfg(test)]
mod suite;
mod sums;

pub use adabreg::Adabreg;
pub use adagrad::Adagrad;
pub use adam::Adam;
pub use armijo::Armijo;
pub use barzilai_borwein::BarzilaiBorwein;
pub use learning_rate::LearningRate;
pub use linbreg::Linbreg;
use memory::Estimate;
pub use memory::Memory;
pub use prodigy::Prodigy;
pub use rmsprop::Rmsprop;
pub use rule::{StepSize, UpdateRule};
use rule::{check_lengths, correction, flush};
pub use schedule::{Schedule, ScheduleMethod, ScheduleSettings};
pub use schedule_free::ScheduleFree;
pub use settings::{Method, OptimizerSettings};
pub use sgd::Sgd;
pub use sums::Sums;

/// A rule, chosen by name. An enum and not a trait object, so that the loops compile for the instruction set at hand
/// when they are inlined into `Isa::vectorize`.
#[derive(Debug, Clone, PartialEq)]
pub enum Optimizer {
    /// Gradient descent.
    Sgd(Sgd),
    /// Adam and AdamW.
    Adam(Adam),
    /// RMSprop.
    Rmsprop(Rmsprop),
    /// Adagrad.
    Adagrad(Adagrad),
    /// Prodigy.
    Prodigy(Prodigy),
    /// Schedule-free gradient descent and AdamW.
    ScheduleFree(ScheduleFree),
    /// Gradient descent with a line search.
    Armijo(Armijo),
    /// Gradient descent with a secant step.
    BarzilaiBorwein(BarzilaiBorwein),
    /// Bregman iterations.
    Linbreg(Linbreg),
    /// Bregman iterations with Adam's step.
    Adabreg(Adabreg),
}

/// Calls a method of whichever rule it is.
macro_rules! each {
    ($optimizer:expr, $rule:ident => $call:expr) => {
        match $optimizer {
            Optimizer::Sgd($rule) => $call,
            Optimizer::Adam($rule) => $call,
            Optimizer::Rmsprop($rule) => $call,
            Optimizer::Adagrad($rule) => $call,
            Optimizer::Prodigy($rule) => $call,
            Optimizer::ScheduleFree($rule) => $call,
            Optimizer::Armijo($rule) => $call,
            Optimizer::BarzilaiBorwein($rule) => $call,
            Optimizer::Linbreg($rule) => $call,
            Optimizer::Adabreg($rule) => $call,
        }
    };
}

impl UpdateRule for Optimizer {
    #[inline(always)]
    fn slots(&self) -> usize {
        each!(self, rule => rule.slots())
    }

    fn begin(&self, values: &[f32], slots: &mut [&mut [f32]]) {
        each!(self, rule => rule.begin(values, slots));
    }

    #[inline(always)]
    fn gather(&self, step: &StepSize, values: &[f32], gradients: &[f32], slots: &mut [&mut [f32]]) -> Sums {
        each!(self, rule => rule.gather(step, values, gradients, slots))
    }

    #[inline(always)]
    fn update(&self, step: &StepSize, values: &mut [f32], gradients: &[f32], slots: &mut [&mut [f32]]) {
        each!(self, rule => rule.update(step, values, gradients, slots));
    }

    #[inline(always)]
    fn step_size(&self, step: &StepSize, slots: &[&[f32]], out: &mut [f32]) {
        each!(self, rule => rule.step_size(step, slots, out));
    }
}

impl Optimizer {
    /// The same for epochs of so many steps, which a line search paces itself by.
    pub fn with_epoch(mut self, steps: u64) -> Optimizer {
        if let Optimizer::Armijo(rule) = &mut self {
            rule.set_epoch(steps);
        }
        self
    }

    /// What it remembers at the start of a run.
    pub fn memory(&self) -> Memory {
        let estimate = match self {
            Optimizer::Prodigy(_) => Estimate::Distance(Default::default()),
            Optimizer::ScheduleFree(_) => Estimate::Average(Default::default()),
            Optimizer::Armijo(rule) => Estimate::Reach(rule.memory()),
            Optimizer::BarzilaiBorwein(_) => Estimate::Secant(Default::default()),
            Optimizer::Linbreg(_) | Optimizer::Adabreg(_) => Estimate::Threshold(None),
            _ => Estimate::Nothing,
        };
        Memory { learning_rate: 0.0, estimate }
    }

    /// Whether a step begins with [`UpdateRule::gather`].
    pub fn gathers(&self) -> bool {
        matches!(self, Optimizer::Prodigy(_)) || self.searches()
    }

    /// Whether a step is tried out by the loss after it: [`Optimizer::accepts`].
    pub fn searches(&self) -> bool {
        matches!(self, Optimizer::Armijo(_) | Optimizer::BarzilaiBorwein(_))
    }

    /// The slot whose values are the model, if it is not the trained values themselves.
    pub fn average_slot(&self) -> Option<usize> {
        matches!(self, Optimizer::ScheduleFree(_)).then_some(schedule_free::AVERAGE)
    }

    /// Whether the step itself applies the L1 penalty of strength [`StepSize::lambda`], so that no proximal step may
    /// follow; such a method revives weights at zero, which must stay stored while it may.
    pub fn is_bregman(&self) -> bool {
        matches!(self, Optimizer::Linbreg(_) | Optimizer::Adabreg(_))
    }

    /// The step from what is known before it; at the call `step.learning_rate` is the settings' times the schedule's.
    pub fn prepare(&self, memory: &mut Memory, step: &mut StepSize) {
        match (self, &mut memory.estimate) {
            (Optimizer::Prodigy(rule), Estimate::Distance(distance)) => rule.prepare(distance, step),
            (Optimizer::ScheduleFree(rule), Estimate::Average(average)) => rule.prepare(average, step),
            (Optimizer::Armijo(rule), Estimate::Reach(reach)) => rule.prepare(reach, step),
            (_, Estimate::Threshold(last)) => bregman::prepare(last, step),
            _ => {}
        }
        memory.learning_rate = step.learning_rate;
    }

    /// The step's size from the sums over all parameters and the batch's loss.
    pub fn decide(&self, memory: &mut Memory, step: &mut StepSize, sums: Sums, loss: f64) {
        match (self, &mut memory.estimate) {
            (Optimizer::Prodigy(rule), Estimate::Distance(distance)) => rule.decide(distance, step, sums),
            (Optimizer::Armijo(rule), Estimate::Reach(reach)) => rule.decide(reach, sums, loss),
            (Optimizer::BarzilaiBorwein(rule), Estimate::Secant(secant)) => {
                rule.decide(secant, step, sums, loss);
            }
            _ => {}
        }
        memory.learning_rate = step.learning_rate;
    }

    /// Whether a search ends with this step, `loss` being the batch's after it; otherwise `step` is the next to try.
    pub fn accepts(&self, memory: &mut Memory, step: &mut StepSize, loss: f64) -> bool {
        let ends = match (self, &mut memory.estimate) {
            (Optimizer::Armijo(rule), Estimate::Reach(reach)) => rule.accept(reach, step, loss),
            (Optimizer::BarzilaiBorwein(rule), Estimate::Secant(secant)) => rule.accept(secant, step, loss),
            _ => true,
        };
        memory.learning_rate = step.learning_rate;
        ends
    }
}
