//! Optimizers: slices of values and gradients in, new values out. They know nothing of sparsity, layers or threads: a
//! parameter's state lives in `slots`, arrays aligned with its values that start at zero and that the caller keeps,
//! moves along when connections move, and saves. One optimizer, one file; formulas and defaults are PyTorch's.

mod adagrad;
mod adam;
pub mod clip;
mod rmsprop;
mod schedule;
mod sgd;
#[cfg(test)]
mod suite;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

pub use adagrad::Adagrad;
pub use adam::Adam;
pub use rmsprop::Rmsprop;
pub use schedule::{Schedule, ScheduleMethod, ScheduleSettings};
pub use sgd::Sgd;

/// Moves values along their gradients. Every operation is elementwise, so an update of a parameter may be cut into
/// sub-slices, in any order and in parallel, and gives the same bits.
pub trait UpdateRule {
    /// Arrays of state that it keeps for each parameter, each as long as the values and zero at the start.
    fn slots(&self) -> usize;

    /// One step: `values`, `gradients` and each of the `slots` have one number per weight.
    ///
    /// # Panics
    /// If the lengths differ, or the number of slots is not [`UpdateRule::slots`].
    fn update(&self, step: &StepSize, values: &mut [f32], gradients: &[f32], slots: &mut [&mut [f32]]);

    /// Writes to `out` how far one unit of gradient moves each weight at this step: the step size that a proximal
    /// penalty needs (ProxGen: Yun, Lozano and Yang 2021, algorithm 1). `slots` are those after [`UpdateRule::update`].
    ///
    /// # Panics
    /// If the lengths differ, or the number of slots is not [`UpdateRule::slots`].
    fn step_size(&self, step: &StepSize, slots: &[&[f32]], out: &mut [f32]);
}

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
}

/// Calls a method of whichever rule it is.
macro_rules! each {
    ($optimizer:expr, $rule:ident => $call:expr) => {
        match $optimizer {
            Optimizer::Sgd($rule) => $call,
            Optimizer::Adam($rule) => $call,
            Optimizer::Rmsprop($rule) => $call,
            Optimizer::Adagrad($rule) => $call,
        }
    };
}

impl UpdateRule for Optimizer {
    #[inline(always)]
    fn slots(&self) -> usize {
        each!(self, rule => rule.slots())
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

/// What changes from step to step and from parameter to parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepSize {
    /// The base learning rate times the schedule's factor.
    pub learning_rate: f32,
    /// The step, counted from 1.
    pub step: u64,
    /// Whether weight decay applies to this parameter: to weights, not to biases.
    pub decay: bool,
}

impl StepSize {
    /// The weight decay of this parameter, given the optimizer's.
    #[inline(always)]
    fn decay(&self, weight_decay: f32) -> f32 {
        if self.decay { weight_decay } else { 0.0 }
    }
}

/// Which optimizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Gradient descent, with momentum if `momentum` is set.
    Sgd,
    /// Adam, weight decay added to the gradient.
    #[default]
    Adam,
    /// Adam, weight decay apart from the gradient.
    Adamw,
    /// RMSprop.
    Rmsprop,
    /// Adagrad.
    Adagrad,
}

/// What the user asks of the optimizer. `None` is the method's own default, given by the function of the same name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OptimizerSettings {
    /// Which optimizer.
    pub method: Method,
    /// The base learning rate, above 0; the schedule multiplies it.
    pub learning_rate: Option<f32>,
    /// Momentum of sgd and rmsprop, from 0 to below 1.
    pub momentum: f32,
    /// Nesterov's variant of sgd's momentum.
    pub nesterov: bool,
    /// Weight decay, at least 0. Biases are exempt.
    pub weight_decay: Option<f32>,
    /// Smoothing of adam's first moment, from 0 to below 1.
    pub beta1: f32,
    /// Smoothing of adam's second moment, from 0 to below 1.
    pub beta2: f32,
    /// Smoothing of rmsprop's mean square (PyTorch's `alpha`), from 0 to below 1.
    pub rho: f32,
    /// Added to the root that divides the gradient, above 0.
    pub epsilon: Option<f32>,
    /// Scale all gradients down so that their joint Euclidean norm is at most this.
    pub clip_norm: Option<f32>,
    /// Clip each gradient to plus or minus this.
    pub clip_value: Option<f32>,
}

impl Default for OptimizerSettings {
    fn default() -> OptimizerSettings {
        OptimizerSettings {
            method: Method::default(),
            learning_rate: None,
            momentum: 0.0,
            nesterov: false,
            weight_decay: None,
            beta1: 0.9,
            beta2: 0.999,
            rho: 0.99,
            epsilon: None,
            clip_norm: None,
            clip_value: None,
        }
    }
}

impl OptimizerSettings {
    /// The base learning rate: as set, or 0.001 (0.01 for rmsprop and adagrad).
    pub fn learning_rate(&self) -> f32 {
        self.learning_rate.unwrap_or(match self.method {
            Method::Sgd | Method::Adam | Method::Adamw => 1e-3,
            Method::Rmsprop | Method::Adagrad => 1e-2,
        })
    }

    /// The weight decay: as set, or 0 (0.01 for adamw).
    pub fn weight_decay(&self) -> f32 {
        self.weight_decay.unwrap_or(if self.method == Method::Adamw { 1e-2 } else { 0.0 })
    }

    /// The epsilon: as set, or 1e-8 (1e-10 for adagrad).
    pub fn epsilon(&self) -> f32 {
        self.epsilon.unwrap_or(if self.method == Method::Adagrad { 1e-10 } else { 1e-8 })
    }

    /// Checks all settings and builds the optimizer.
    ///
    /// # Errors
    /// [`Error::Setting`] for a number out of range, or one that the method would ignore.
    pub fn build(&self) -> Result<Optimizer> {
        positive("learning_rate", self.learning_rate())?;
        positive("epsilon", self.epsilon())?;
        for (key, limit) in [("clip_norm", self.clip_norm), ("clip_value", self.clip_value)] {
            limit.map_or(Ok(()), |limit| positive(key, limit))?;
        }
        if !(self.weight_decay() >= 0.0 && self.weight_decay().is_finite()) {
            return wrong("weight_decay", format!("must be 0 or above, not {}", self.weight_decay()));
        }
        for (key, value) in
            [("momentum", self.momentum), ("beta1", self.beta1), ("beta2", self.beta2), ("rho", self.rho)]
        {
            if !(0.0..1.0).contains(&value) {
                return wrong(key, format!("must be from 0 to below 1, not {value}"));
            }
        }
        if self.momentum > 0.0 && !matches!(self.method, Method::Sgd | Method::Rmsprop) {
            return wrong("momentum", "works with sgd and rmsprop only; adam's is beta1".into());
        }
        if self.nesterov && !(self.method == Method::Sgd && self.momentum > 0.0) {
            return wrong("nesterov", "needs method = \"sgd\" and a momentum above 0".into());
        }
        Ok(match self.method {
            Method::Sgd => Optimizer::Sgd(Sgd::new(self)),
            Method::Adam | Method::Adamw => Optimizer::Adam(Adam::new(self)),
            Method::Rmsprop => Optimizer::Rmsprop(Rmsprop::new(self)),
            Method::Adagrad => Optimizer::Adagrad(Adagrad::new(self)),
        })
    }
}

fn positive(key: &str, value: f32) -> Result<()> {
    if value > 0.0 && value.is_finite() {
        return Ok(());
    }
    wrong(key, format!("must be above 0, not {value}"))
}

fn wrong<T>(key: &str, problem: String) -> Result<T> {
    Err(Error::setting(format!("optimizer.{key}"), problem))
}

/// Panics unless every array is as long as the values: zipped loops would stop at the shortest in silence.
#[inline(always)]
fn check_lengths(values: usize, others: impl IntoIterator<Item = usize>) {
    for other in others {
        assert_eq!(other, values, "gradients and slots must be as long as the values");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_out_of_range_name_their_key() {
        let cases = [
            ("momentum = 1.0\nmethod = 'sgd'", "optimizer.momentum: must be from 0 to below 1, not 1"),
            ("momentum = 0.9", "optimizer.momentum: works with sgd and rmsprop only; adam's is beta1"),
            ("nesterov = true\nmethod = 'sgd'", "optimizer.nesterov: needs method"),
            ("learning_rate = 0.0", "optimizer.learning_rate: must be above 0, not 0"),
            ("weight_decay = -0.1", "optimizer.weight_decay: must be 0 or above, not -0.1"),
            ("beta2 = nan", "optimizer.beta2: must be from 0 to below 1, not NaN"),
            ("clip_norm = 0.0", "optimizer.clip_norm: must be above 0, not 0"),
        ];
        for (text, message) in cases {
            let settings: OptimizerSettings = toml::from_str(text).unwrap();
            let error = settings.build().err().unwrap().to_string();
            assert!(error.starts_with(message), "{text}: {error}");
        }
        assert!(toml::from_str::<OptimizerSettings>("momentun = 0.9").is_err());
    }

    #[test]
    fn settings_survive_a_round_trip() {
        let settings = OptimizerSettings {
            method: Method::Sgd,
            momentum: 0.9,
            clip_norm: Some(1.0),
            ..Default::default()
        };
        let text = toml::to_string(&settings).unwrap();
        assert_eq!(toml::from_str::<OptimizerSettings>(&text).unwrap(), settings);
    }
}
