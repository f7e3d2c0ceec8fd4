//! Optimizers: slices of values and gradients in, new values out. They know nothing of sparsity, layers or threads. One
//! optimizer, one file; formulas and defaults are PyTorch's where PyTorch has the method.
//!
//! Each is a plain struct of its numbers with a [`Default`], and an [`UpdateRule`]; [`Optimizer`] is one of them, or one of
//! your own. [`OptimizerSettings`] is the `[optimizer]` section of a run, [`ScheduleSettings`] the `[schedule]` section.

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
mod slots;
#[cfg(test)]
mod suite;
mod sums;

use std::sync::Arc;

pub use adabreg::Adabreg;
pub use adagrad::Adagrad;
pub use adam::Adam;
pub use armijo::Armijo;
pub use barzilai_borwein::BarzilaiBorwein;
pub use learning_rate::LearningRate;
pub use linbreg::Linbreg;
pub use memory::Memory;
pub use prodigy::Prodigy;
pub use rmsprop::Rmsprop;
pub use rule::{Passes, StepSize, Traits, UpdateRule};
use rule::{check_lengths, correction, flush};
pub use schedule::{Schedule, ScheduleMethod, ScheduleSettings};
pub use schedule_free::ScheduleFree;
pub use settings::{Method, OptimizerSettings};
pub use sgd::Sgd;
pub use slots::Slots;
pub use sums::Sums;

/// An optimizer: one of the rules of this library, or one of your own.
///
/// An enum and not a trait object, so that the loops of the library's rules compile for the instruction set at hand when they
/// are inlined.
///
/// ```
/// use rarefy::optimizers::{Adam, Optimizer, OptimizerSettings};
///
/// let adamw = Optimizer::Adam(Adam { weight_decay: 0.01, decoupled: true, ..Adam::default() });
/// let settings: OptimizerSettings = toml::from_str("method = 'adamw'").unwrap();
/// assert_eq!(format!("{:?}", settings.build()?), format!("{adamw:?}"));
/// # Ok::<(), rarefy::Error>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
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
    /// A rule of your own.
    Custom(Arc<dyn UpdateRule>),
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
            Optimizer::Custom($rule) => $call,
        }
    };
}

impl UpdateRule for Optimizer {
    fn traits(&self) -> Traits {
        each!(self, rule => rule.traits())
    }

    #[inline(always)]
    fn slots(&self) -> usize {
        each!(self, rule => rule.slots())
    }

    fn begin(&self, values: &[f32], slots: &mut [&mut [f32]]) {
        each!(self, rule => rule.begin(values, slots));
    }

    fn memory(&self) -> Memory {
        each!(self, rule => rule.memory())
    }

    fn prepare(&self, memory: &mut Memory, step: &mut StepSize) {
        each!(self, rule => rule.prepare(memory, step));
        memory.learning_rate = step.learning_rate;
    }

    #[inline(always)]
    fn gather(&self, step: &StepSize, values: &[f32], gradients: &[f32], slots: &mut [&mut [f32]]) -> Sums {
        each!(self, rule => rule.gather(step, values, gradients, slots))
    }

    fn decide(&self, memory: &mut Memory, step: &mut StepSize, sums: Sums, loss: f64) {
        each!(self, rule => rule.decide(memory, step, sums, loss));
        memory.learning_rate = step.learning_rate;
    }

    #[inline(always)]
    fn update(&self, step: &StepSize, values: &mut [f32], gradients: &[f32], slots: &mut [&mut [f32]]) {
        each!(self, rule => rule.update(step, values, gradients, slots));
    }

    fn accepts(&self, memory: &mut Memory, step: &mut StepSize, loss: f64) -> bool {
        let ends = each!(self, rule => rule.accepts(memory, step, loss));
        memory.learning_rate = step.learning_rate;
        ends
    }

    #[inline(always)]
    fn step_size(&self, step: &StepSize, slots: &[&mut [f32]], out: &mut [f32]) {
        each!(self, rule => rule.step_size(step, slots, out));
    }
}

impl Optimizer {
    /// The optimizer for epochs of so many steps, which a line search paces itself by.
    pub fn with_epoch(mut self, steps: u64) -> Optimizer {
        if let Optimizer::Armijo(rule) = &mut self {
            rule.steps_per_epoch = steps;
        }
        self
    }

    /// Whether a step begins with [`UpdateRule::gather`].
    pub fn gathers(&self) -> bool {
        self.traits().passes != Passes::One
    }

    /// Whether a step is tried out by the loss after it: [`UpdateRule::accepts`].
    pub fn searches(&self) -> bool {
        self.traits().searches()
    }

    /// The slot whose values are the model, if it is not the trained values themselves.
    pub fn average_slot(&self) -> Option<usize> {
        self.traits().average
    }

    /// Whether the step itself applies the L1 penalty of strength [`StepSize::lambda`].
    pub fn is_bregman(&self) -> bool {
        self.traits().is_bregman
    }
}
