//! What the user asks of the penalty, and its check.

use serde::{Deserialize, Serialize};

use super::{ElasticNet, GroupL1, L1, LHalf, Mcp, Penalty, PenaltyForm};
use crate::error::{Error, Result};

named! {
    /// Which penalty.
    #[derive(Default)]
    pub enum PenaltyMethod {
        /// No penalty.
        #[default]
        None = "none",
        /// L1 by its proximal step, which makes exact zeros.
        L1 = "l1",
        /// L1 by its subgradient, the usual way, which makes small weights and no zeros: to compare with.
        L1Subgradient = "l1-subgradient",
        /// L1 and half a squared norm.
        ElasticNet = "elastic-net",
        /// The group lasso on the incoming weights of each neuron.
        GroupNeurons = "group-neurons",
        /// The group lasso on the outgoing weights of each input feature.
        GroupInputs = "group-inputs",
        /// L1 that levels off.
        Mcp = "mcp",
        /// The sum of the roots of the magnitudes.
        LHalf = "l-half",
        /// A trained soft threshold for each layer (STR).
        Str = "str",
        /// Trained gates on hidden neurons, the expected number of whose weights is penalised (L0).
        L0Gates = "l0-gates",
    }
}

/// What the user asks of the penalty. `None` is a default, given by the function of the same name.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PenaltySettings {
    /// Which penalty.
    pub method: PenaltyMethod,
    /// Its strength, at least 0; for `str` the weight decay of the thresholds.
    pub lambda: Option<f32>,
    /// Elastic net: the part of L1, from 0 to 1.
    pub l1_ratio: Option<f32>,
    /// MCP: it is level from `gamma * lambda` on; above 0.
    pub gamma: Option<f32>,
}

/// What the weights of a group have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupBy {
    /// The neuron that they lead to: a row of the weight matrix.
    Neurons,
    /// The input that they come from: a column of the weight matrix.
    Inputs,
    /// The row block that they are in; where there are none each is a group of its own.
    Blocks,
}

/// A checked penalty and how it acts, built by [`PenaltySettings::build`].
#[derive(Debug, Clone)]
pub enum Regularizer {
    /// By its proximal step, after the optimizer's.
    Prox(Penalty),
    /// By its subgradient, added to the gradient before the optimizer's step.
    Subgradient(Penalty),
    /// By the proximal step of the group lasso, after the optimizer's.
    Groups(GroupL1, GroupBy),
    /// By soft thresholds that are trained (STR): passes compute with what of a weight exceeds its layer's.
    Thresholds {
        /// The weight decay of the thresholds, at least 0.
        lambda: f32,
    },
    /// By gates that are trained (L0): passes compute with each neuron times its gate.
    Gates {
        /// The strength, at least 0.
        lambda: f32,
    },
}

impl Regularizer {
    /// The strength.
    pub fn lambda(&self) -> f32 {
        match self {
            Regularizer::Prox(penalty) | Regularizer::Subgradient(penalty) => penalty.lambda,
            Regularizer::Groups(penalty, _) => penalty.lambda,
            Regularizer::Thresholds { lambda } | Regularizer::Gates { lambda } => *lambda,
        }
    }

    /// The penalty at another strength.
    pub fn with_lambda(&self, to: f32) -> Regularizer {
        let mut other = self.clone();
        match &mut other {
            Regularizer::Prox(penalty) | Regularizer::Subgradient(penalty) => penalty.lambda = to,
            Regularizer::Groups(penalty, _) => penalty.lambda = to,
            Regularizer::Thresholds { lambda } | Regularizer::Gates { lambda } => *lambda = to,
        }
        other
    }

    /// Whether passes compute with other values than the stored ones.
    pub fn is_effective(&self) -> bool {
        matches!(self, Regularizer::Thresholds { .. } | Regularizer::Gates { .. })
    }

    /// The same for weights in row blocks: L1 becomes the group lasso of the blocks.
    #[must_use]
    pub fn of_blocks(self) -> Regularizer {
        match self {
            Regularizer::Prox(Penalty { form: PenaltyForm::L1(_), lambda }) => {
                Regularizer::Groups(GroupL1 { lambda }, GroupBy::Blocks)
            }
            other => other,
        }
    }

    /// Whether a proximal step follows the optimizer's, which makes exact zeros.
    pub fn is_proximal(&self) -> bool {
        matches!(self, Regularizer::Prox(_) | Regularizer::Groups(..))
    }
}

impl PenaltySettings {
    /// The strength: as set, or 1e-4 (0.5 for `str`).
    pub fn lambda(&self) -> f32 {
        self.lambda.unwrap_or(if self.method == PenaltyMethod::Str { 0.5 } else { 1e-4 })
    }

    /// The part of L1 in the elastic net: as set, or 0.5, as scikit-learn's.
    pub fn l1_ratio(&self) -> f32 {
        self.l1_ratio.unwrap_or(0.5)
    }

    /// MCP's gamma: as set, or 3.
    pub fn gamma(&self) -> f32 {
        self.gamma.unwrap_or(3.0)
    }

    /// Checks the settings; `None` without a penalty.
    ///
    /// # Errors
    /// [`Error::Setting`] for a number out of range, or one that the method would ignore.
    pub fn build(&self) -> Result<Option<Regularizer>> {
        use PenaltyMethod as Method;
        let (lambda, l1_ratio, gamma) = (self.lambda(), self.l1_ratio(), self.gamma());
        if !(lambda >= 0.0 && lambda.is_finite()) {
            return wrong("lambda", format!("must be 0 or above, not {lambda}"));
        }
        if !(0.0..=1.0).contains(&l1_ratio) {
            return wrong("l1_ratio", format!("must be from 0 to 1, not {l1_ratio}"));
        }
        if !(gamma > 0.0 && gamma.is_finite()) {
            return wrong("gamma", format!("must be above 0, not {gamma}"));
        }
        if self.lambda.is_some() && self.method == Method::None {
            return wrong("lambda", "needs a penalty.method, such as \"l1\"".into());
        }
        self.method.refuse_ignored(
            "penalty",
            &[
                ("l1_ratio", self.l1_ratio.is_some(), &[Method::ElasticNet]),
                ("gamma", self.gamma.is_some(), &[Method::Mcp]),
            ],
        )?;
        let prox = |form| Regularizer::Prox(Penalty { form, lambda });
        Ok(Some(match self.method {
            Method::None => return Ok(None),
            Method::L1 => prox(PenaltyForm::L1(L1)),
            Method::L1Subgradient => Regularizer::Subgradient(Penalty { form: PenaltyForm::L1(L1), lambda }),
            Method::ElasticNet => prox(PenaltyForm::ElasticNet(ElasticNet { l1_ratio })),
            Method::Mcp => prox(PenaltyForm::Mcp(Mcp { gamma })),
            Method::LHalf => prox(PenaltyForm::LHalf(LHalf)),
            Method::GroupNeurons => Regularizer::Groups(GroupL1 { lambda }, GroupBy::Neurons),
            Method::GroupInputs => Regularizer::Groups(GroupL1 { lambda }, GroupBy::Inputs),
            Method::Str => Regularizer::Thresholds { lambda },
            Method::L0Gates => Regularizer::Gates { lambda },
        }))
    }
}

fn wrong<T>(key: &str, problem: String) -> Result<T> {
    Err(Error::setting(format!("penalty.{key}"), problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_out_of_range_name_their_key() {
        let cases = [
            ("method = 'l1'\nlambda = -1.0", "penalty.lambda: must be 0 or above, not -1"),
            ("method = 'l1'\nlambda = inf", "penalty.lambda: must be 0 or above, not inf"),
            ("lambda = 0.1", "penalty.lambda: needs a penalty.method"),
            ("method = 'elastic-net'\nl1_ratio = 1.5", "penalty.l1_ratio: must be from 0 to 1, not 1.5"),
            (
                "method = 'l1'\nl1_ratio = 0.5",
                "penalty.l1_ratio: penalty.method = \"l1\" does not use it; remove it, or choose \"elastic-net\"",
            ),
            ("method = 'mcp'\ngamma = 0.0", "penalty.gamma: must be above 0, not 0"),
            (
                "method = 'l-half'\ngamma = 3.0",
                "penalty.gamma: penalty.method = \"l-half\" does not use it; remove it, or choose \"mcp\"",
            ),
        ];
        for (text, message) in cases {
            let settings: PenaltySettings = toml::from_str(text).unwrap();
            let error = settings.build().unwrap_err().to_string();
            assert!(error.starts_with(message), "{text}: {error}");
        }
        assert!(toml::from_str::<PenaltySettings>("lamda = 0.1").is_err());
    }

    #[test]
    fn every_method_has_a_name_and_builds() {
        for name in PenaltyMethod::ALL.map(PenaltyMethod::name) {
            let settings: PenaltySettings = toml::from_str(&format!("method = '{name}'")).unwrap();
            assert_eq!(settings.build().unwrap().is_none(), name == "none");
            let text = toml::to_string(&settings).unwrap();
            assert_eq!(toml::from_str::<PenaltySettings>(&text).unwrap(), settings);
        }
    }
}
