//! What the user asks of the penalty, and its check.

use serde::{Deserialize, Serialize};

use super::{ElasticNet, GroupL1, L1, LHalf, Mcp, Penalty};
use crate::error::{Error, Result};

/// Which penalty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PenaltyMethod {
    /// No penalty.
    #[default]
    None,
    /// L1 by its proximal step, which makes exact zeros.
    L1,
    /// L1 by its subgradient, the usual way, which makes small weights and no zeros: to compare with.
    L1Subgradient,
    /// L1 and half a squared norm.
    ElasticNet,
    /// The group lasso on the incoming weights of each neuron.
    GroupNeurons,
    /// The group lasso on the outgoing weights of each input feature.
    GroupInputs,
    /// L1 that levels off.
    Mcp,
    /// The sum of the roots of the magnitudes.
    LHalf,
    /// A trained soft threshold for each layer (STR).
    Str,
    /// Trained gates on hidden neurons, the expected number of whose weights is penalised (L0).
    L0Gates,
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
}

/// A checked penalty and how it acts, built by [`PenaltySettings::build`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Regularizer {
    /// By its proximal step, after the optimizer's.
    Prox(Penalty),
    /// By its subgradient, added to the gradient before the optimizer's step.
    Subgradient(Penalty),
    /// By the proximal step of the group lasso, after the optimizer's.
    Groups(GroupL1, GroupBy),
    /// By what passes compute with instead of the stored weights: thresholds or gates, which are trained too.
    Effective,
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
        if self.l1_ratio.is_some() && self.method != Method::ElasticNet {
            return wrong("l1_ratio", "works with method = \"elastic-net\" only".into());
        }
        if self.gamma.is_some() && self.method != Method::Mcp {
            return wrong("gamma", "works with method = \"mcp\" only".into());
        }
        let l1 = Penalty::L1(L1::new(lambda));
        Ok(Some(match self.method {
            Method::None => return Ok(None),
            Method::L1 => Regularizer::Prox(l1),
            Method::L1Subgradient => Regularizer::Subgradient(l1),
            Method::ElasticNet => Regularizer::Prox(Penalty::ElasticNet(ElasticNet::new(lambda, l1_ratio))),
            Method::Mcp => Regularizer::Prox(Penalty::Mcp(Mcp::new(lambda, gamma))),
            Method::LHalf => Regularizer::Prox(Penalty::LHalf(LHalf::new(lambda))),
            Method::GroupNeurons => Regularizer::Groups(GroupL1::new(lambda), GroupBy::Neurons),
            Method::GroupInputs => Regularizer::Groups(GroupL1::new(lambda), GroupBy::Inputs),
            Method::Str | Method::L0Gates => Regularizer::Effective,
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
            ("method = 'l1'\nl1_ratio = 0.5", "penalty.l1_ratio: works with method = \"elastic-net\" only"),
            ("method = 'mcp'\ngamma = 0.0", "penalty.gamma: must be above 0, not 0"),
            ("method = 'l-half'\ngamma = 3.0", "penalty.gamma: works with method = \"mcp\" only"),
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
        let names = "none l1 l1-subgradient elastic-net group-neurons group-inputs mcp l-half str l0-gates";
        for name in names.split(' ') {
            let settings: PenaltySettings = toml::from_str(&format!("method = '{name}'")).unwrap();
            assert_eq!(settings.build().unwrap().is_none(), name == "none");
            let text = toml::to_string(&settings).unwrap();
            assert_eq!(toml::from_str::<PenaltySettings>(&text).unwrap(), settings);
        }
    }
}
