//! What the user asks of the optimizer, and its check.

use serde::{Deserialize, Serialize};

use super::{
    Adabreg, Adagrad, Adam, Armijo, BarzilaiBorwein, LearningRate, Linbreg, Optimizer, Prodigy, Rmsprop,
    ScheduleFree, Sgd,
};
use crate::error::{Error, Result};

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
    /// Adam that finds its own learning rate.
    Prodigy,
    /// Gradient descent with an average in place of a schedule.
    ScheduleFreeSgd,
    /// AdamW with an average in place of a schedule.
    ScheduleFreeAdamw,
    /// Gradient descent with a line search on each batch.
    Armijo,
    /// Gradient descent on the whole training part with a secant step.
    BarzilaiBorwein,
    /// Linearized Bregman iterations: starts almost empty and grows.
    Linbreg,
    /// The same with Adam's step.
    Adabreg,
}

impl Method {
    /// All of them.
    pub const ALL: [Method; 12] = [
        Method::Sgd,
        Method::Adam,
        Method::Adamw,
        Method::Rmsprop,
        Method::Adagrad,
        Method::Prodigy,
        Method::ScheduleFreeSgd,
        Method::ScheduleFreeAdamw,
        Method::Armijo,
        Method::BarzilaiBorwein,
        Method::Linbreg,
        Method::Adabreg,
    ];

    /// What `learning_rate = "auto"` stands for. Test accuracy in percent after 5 epochs at 95 % sparsity with 256-256
    /// hidden units under RigL, the mean of 3 seeds (digits) or 2 (Fashion-MNIST), with batches of 32 and 256 samples:
    ///
    /// | | digits, 32 | 256 | Fashion-MNIST, 32 | 256 |
    /// |---|---|---|---|---|
    /// | prodigy | 95.4 | 83.7 | 87.4 | 87.0 |
    /// | schedule-free-adamw | 92.4 | 49.2 | 86.8 | 86.3 |
    /// | armijo | 94.7 | 86.3 | 85.4 | 83.8 |
    /// | adam at 0.001 | 79.0 | 16.0 | 86.5 | 84.2 |
    /// | adam at the best of 0.001, 0.003, 0.01 | 94.2 | 84.7 | 87.4 | 87.2 |
    pub const AUTO: Method = Method::Prodigy;

    /// Whether the trained values are not the model: it is an average of other points.
    pub fn is_schedule_free(self) -> bool {
        matches!(self, Method::ScheduleFreeSgd | Method::ScheduleFreeAdamw)
    }

    /// Whether each step is tried out by forward passes.
    pub fn searches(self) -> bool {
        matches!(self, Method::Armijo | Method::BarzilaiBorwein)
    }

    /// Whether it applies an L1 penalty by itself and grows from almost nothing.
    pub fn is_bregman(self) -> bool {
        matches!(self, Method::Linbreg | Method::Adabreg)
    }
}

/// What the user asks of the optimizer. `None` is the method's own default, given by the function of the same name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OptimizerSettings {
    /// Which optimizer.
    pub method: Method,
    /// The base learning rate, above 0, which the schedule multiplies (armijo and barzilai-borwein: the first step); or
    /// `"auto"`, which is prodigy and leaves `method` out.
    pub learning_rate: Option<LearningRate>,
    /// Momentum of sgd, rmsprop and linbreg, from 0 to below 1.
    pub momentum: f32,
    /// Nesterov's variant of sgd's momentum.
    pub nesterov: bool,
    /// Weight decay, at least 0. Biases are exempt.
    pub weight_decay: Option<f32>,
    /// Smoothing of adam's, prodigy's and adabreg's first moment, and interpolation of the schedule-free methods, from 0
    /// to below 1.
    pub beta1: f32,
    /// Smoothing of adam's, prodigy's, adabreg's and schedule-free-adamw's second moment, from 0 to below 1.
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
    /// The method: as set, or what `learning_rate = "auto"` stands for.
    pub fn method(&self) -> Method {
        if self.is_auto() { Method::AUTO } else { self.method }
    }

    /// The base learning rate: as set, or the method's own. Prodigy multiplies its estimate by it.
    pub fn learning_rate(&self) -> f32 {
        match (self.learning_rate, self.method()) {
            (Some(LearningRate::Fixed(rate)), _) => rate,
            (_, Method::Sgd | Method::Adam | Method::Adamw) => 1e-3,
            (_, Method::Rmsprop | Method::Adagrad | Method::BarzilaiBorwein) => 1e-2,
            (_, Method::Prodigy | Method::ScheduleFreeSgd | Method::Armijo) => 1.0,
            (_, Method::ScheduleFreeAdamw) => 2.5e-3,
            (_, Method::Adabreg) => 3e-3,
            (_, Method::Linbreg) => 0.1,
        }
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
        if self.is_auto() {
            if self.method != Method::default() {
                let problem =
                    "\"auto\" is a method of its own, prodigy; leave optimizer.method out or give a number";
                return wrong("learning_rate", problem.into());
            }
            let found = OptimizerSettings { method: Method::AUTO, learning_rate: None, ..self.clone() };
            return found.build();
        }
        self.check_ranges()?;
        self.check_use()?;
        Ok(match self.method {
            Method::Sgd => Optimizer::Sgd(Sgd::new(self)),
            Method::Adam | Method::Adamw => Optimizer::Adam(Adam::new(self)),
            Method::Rmsprop => Optimizer::Rmsprop(Rmsprop::new(self)),
            Method::Adagrad => Optimizer::Adagrad(Adagrad::new(self)),
            Method::Prodigy => Optimizer::Prodigy(Prodigy::new(self)),
            Method::ScheduleFreeSgd | Method::ScheduleFreeAdamw => {
                Optimizer::ScheduleFree(ScheduleFree::new(self))
            }
            Method::Armijo => Optimizer::Armijo(Armijo::new(self)),
            Method::BarzilaiBorwein => Optimizer::BarzilaiBorwein(BarzilaiBorwein),
            Method::Linbreg => Optimizer::Linbreg(Linbreg::new(self)),
            Method::Adabreg => Optimizer::Adabreg(Adabreg::new(self)),
        })
    }

    fn is_auto(&self) -> bool {
        self.learning_rate == Some(LearningRate::Auto)
    }

    fn check_ranges(&self) -> Result<()> {
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
        Ok(())
    }

    /// Refuses what the method would ignore.
    fn check_use(&self) -> Result<()> {
        use Method::*;
        let method = self.method;
        let default = OptimizerSettings::default();
        let with_moments = [Adam, Adamw, Prodigy, ScheduleFreeAdamw, Adabreg];
        if self.momentum > 0.0 && !matches!(method, Sgd | Rmsprop | Linbreg) {
            return wrong("momentum", "works with sgd, rmsprop and linbreg only; adam's is beta1".into());
        }
        if self.nesterov && !(method == Sgd && self.momentum > 0.0) {
            return wrong("nesterov", "needs method = \"sgd\" and a momentum above 0".into());
        }
        if self.beta1 != default.beta1 && !(with_moments.contains(&method) || method == ScheduleFreeSgd) {
            return wrong("beta1", "works with adam's kin and the schedule-free methods only".into());
        }
        if self.beta2 != default.beta2 && !with_moments.contains(&method) {
            return wrong("beta2", "works with adam's kin only".into());
        }
        if self.rho != default.rho && method != Rmsprop {
            return wrong("rho", "works with rmsprop only".into());
        }
        if self.epsilon.is_some() && !(with_moments.contains(&method) || matches!(method, Rmsprop | Adagrad))
        {
            return wrong("epsilon", "works with methods that divide by a root only".into());
        }
        if self.weight_decay() > 0.0 && method.searches() {
            return wrong("weight_decay", "is no part of the loss that the line search looks at".into());
        }
        if self.weight_decay() > 0.0 && method.is_bregman() {
            return wrong("weight_decay", "does not go with a Bregman method, whose penalty is L1".into());
        }
        for (key, limit) in [("clip_norm", self.clip_norm), ("clip_value", self.clip_value)] {
            if limit.is_some() && method.searches() {
                return wrong(key, "does not go with a line search, which bounds the step by itself".into());
            }
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_out_of_range_name_their_key() {
        let cases = [
            ("momentum = 1.0\nmethod = 'sgd'", "optimizer.momentum: must be from 0 to below 1, not 1"),
            ("momentum = 0.9", "optimizer.momentum: works with sgd, rmsprop and linbreg only"),
            ("nesterov = true\nmethod = 'sgd'", "optimizer.nesterov: needs method"),
            ("learning_rate = 0.0", "optimizer.learning_rate: must be above 0, not 0"),
            ("weight_decay = -0.1", "optimizer.weight_decay: must be 0 or above, not -0.1"),
            ("beta2 = nan", "optimizer.beta2: must be from 0 to below 1, not NaN"),
            ("clip_norm = 0.0", "optimizer.clip_norm: must be above 0, not 0"),
            ("clip_norm = 1.0\nmethod = 'armijo'", "optimizer.clip_norm: does not go with a line search"),
            ("weight_decay = 0.1\nmethod = 'armijo'", "optimizer.weight_decay: is no part of the loss"),
            ("weight_decay = 0.1\nmethod = 'linbreg'", "optimizer.weight_decay: does not go with a Bregman"),
            ("beta1 = 0.8\nmethod = 'sgd'", "optimizer.beta1: works with"),
            ("beta2 = 0.8\nmethod = 'schedule-free-sgd'", "optimizer.beta2: works with"),
            ("rho = 0.8", "optimizer.rho: works with rmsprop only"),
            ("epsilon = 0.1\nmethod = 'linbreg'", "optimizer.epsilon: works with"),
            (
                "learning_rate = 'auto'\nmethod = 'sgd'",
                "optimizer.learning_rate: \"auto\" is a method of its own",
            ),
        ];
        for (text, message) in cases {
            let settings: OptimizerSettings = toml::from_str(text).unwrap();
            let error = settings.build().err().unwrap().to_string();
            assert!(error.starts_with(message), "{text}: {error}");
        }
        assert!(toml::from_str::<OptimizerSettings>("momentun = 0.9").is_err());
        let error = toml::from_str::<OptimizerSettings>("learning_rate = 'none'").unwrap_err().to_string();
        assert!(error.contains("expected a number or \"auto\""), "{error}");
    }

    #[test]
    fn auto_is_a_method_with_its_defaults() {
        let auto: OptimizerSettings = toml::from_str("learning_rate = 'auto'").unwrap();
        let named = OptimizerSettings { method: Method::AUTO, ..Default::default() };
        assert_eq!(auto.build().unwrap(), named.build().unwrap());
        assert_eq!((auto.method(), auto.learning_rate()), (Method::AUTO, named.learning_rate()));
    }

    #[test]
    fn every_method_has_a_name_and_builds() {
        for method in Method::ALL {
            let settings = OptimizerSettings { method, ..Default::default() };
            let optimizer = settings.build().unwrap();
            assert_eq!(optimizer.searches(), method.searches());
            assert_eq!(optimizer.is_bregman(), method.is_bregman());
            assert_eq!(optimizer.average_slot().is_some(), method.is_schedule_free());
        }
    }

    #[test]
    fn settings_survive_a_round_trip() {
        for learning_rate in [None, Some(LearningRate::Auto), Some(0.3.into())] {
            let settings = OptimizerSettings {
                method: Method::Sgd,
                learning_rate,
                momentum: 0.9,
                clip_norm: Some(1.0),
                ..Default::default()
            };
            let text = toml::to_string(&settings).unwrap();
            assert_eq!(toml::from_str::<OptimizerSettings>(&text).unwrap(), settings);
        }
    }
}
