//! Named methods and their defaults. Sources: static; SET (Mocanu et al. 2018); RigL (Evci et al. 2020, with its MNIST
//! script's cosine); GMP (Zhu and Gupta 2017).

use serde::{Deserialize, Serialize};

use super::{Amount, Drop, Grow, Topology, When};
use crate::{Error, Result};

/// A named method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Connections stay as they were drawn.
    Static,
    /// Drop the smallest of each sign every epoch, grow at random.
    Set,
    /// Drop the smallest, grow where the gradient is largest.
    #[default]
    Rigl,
    /// Start dense, prune the smallest along a cubic schedule.
    Gmp,
}

/// The `[topology]` section. What is left out takes the method's default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct TopologySettings {
    /// The method.
    pub method: Method,
    /// The share of live connections that move at an update (SET and RigL 0.3).
    pub fraction: Option<f64>,
    /// Steps from one update to the next (RigL and GMP 100; SET updates once an epoch).
    pub every: Option<u64>,
    /// Where updates start, as a fraction of the run (GMP 0.25).
    pub from: Option<f64>,
    /// Where updates end, as a fraction of the run (RigL and GMP 0.75).
    pub until: Option<f64>,
}

impl TopologySettings {
    /// The method as its four parts.
    ///
    /// # Errors
    /// [`Error::Setting`] for a number out of range, or one that the method would ignore.
    pub fn build(&self) -> Result<Topology> {
        let fraction = in_unit("fraction", self.fraction)?.unwrap_or(0.3);
        let (from, until) = (in_unit("from", self.from)?, in_unit("until", self.until)?);
        let steps = self.every.unwrap_or(100);
        if steps == 0 {
            return Err(Error::setting("topology.every", "0 is not a number of steps; use at least 1"));
        }
        self.refuse_ignored()?;
        Ok(match self.method {
            Method::Static => Topology {
                when: When::Never,
                amount: Amount::Share { share: 0.0, anneal_until: None },
                drop: Drop::Magnitude,
                grow: Grow::Nothing,
            },
            Method::Set => Topology {
                when: When::EveryEpoch,
                amount: Amount::Share { share: fraction, anneal_until: None },
                drop: Drop::MagnitudePerSign,
                grow: Grow::Random,
            },
            Method::Rigl => {
                let until = until.unwrap_or(0.75);
                Topology {
                    when: When::Every { steps, from: 0.0, until },
                    amount: Amount::Share { share: fraction, anneal_until: Some(until) },
                    drop: Drop::Magnitude,
                    grow: Grow::Gradient,
                }
            }
            Method::Gmp => {
                let (from, until) = (from.unwrap_or(0.25), until.unwrap_or(0.75));
                if from >= until {
                    return Err(Error::setting(
                        "topology.from",
                        format!("{from} is not before topology.until = {until}"),
                    ));
                }
                Topology {
                    when: When::Every { steps, from, until },
                    amount: Amount::Prune { from, until },
                    drop: Drop::Magnitude,
                    grow: Grow::Nothing,
                }
            }
        })
    }

    fn refuse_ignored(&self) -> Result<()> {
        let name = format!("{:?}", self.method).to_lowercase();
        let keys = [
            ("fraction", self.fraction.is_some(), matches!(self.method, Method::Set | Method::Rigl)),
            ("every", self.every.is_some(), matches!(self.method, Method::Rigl | Method::Gmp)),
            ("from", self.from.is_some(), self.method == Method::Gmp),
            ("until", self.until.is_some(), matches!(self.method, Method::Rigl | Method::Gmp)),
        ];
        match keys.into_iter().find(|(_, given, used)| *given && !used) {
            Some((key, ..)) => Err(Error::setting(
                format!("topology.{key}"),
                format!("method \"{name}\" does not use it; remove it or choose another topology.method"),
            )),
            None => Ok(()),
        }
    }
}

fn in_unit(key: &str, value: Option<f64>) -> Result<Option<f64>> {
    match value {
        Some(value) if !(0.0..=1.0).contains(&value) || (value == 0.0 && key != "from") => {
            Err(Error::setting(
                format!("topology.{key}"),
                format!("{value} is not a fraction above 0 and at most 1"),
            ))
        }
        _ => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_method_ignores_is_refused() {
        let defaults = TopologySettings::default;
        for (settings, key) in [
            (
                TopologySettings { method: Method::Static, fraction: Some(0.3), ..defaults() },
                "topology.fraction",
            ),
            (TopologySettings { method: Method::Set, until: Some(0.5), ..defaults() }, "topology.until"),
            (TopologySettings { fraction: Some(1.5), ..defaults() }, "topology.fraction"),
            (TopologySettings { every: Some(0), ..defaults() }, "topology.every"),
            (TopologySettings { method: Method::Gmp, from: Some(0.9), ..defaults() }, "topology.from"),
        ] {
            assert!(settings.build().unwrap_err().to_string().starts_with(key), "{key}");
        }
    }
}
