//! Named methods, and what the user asks of them.

use serde::{Deserialize, Serialize};

use super::{Amount, Drop, Forward, Grow, Phases, Scope, Shape, Topology, Value, When};
use crate::{Error, Result};

named! {
    /// Named methods and where their defaults are from.
    ///
    /// | method | source |
    /// |---|---|
    /// | SET | Mocanu et al. 2018 |
    /// | RigL | Evci et al. 2020, with its MNIST script's cosine |
    /// | GSE | Heddes et al. 2024 (arXiv 2401.06898), uniform sampling, the sample as large as the live connections; with RigL's schedule (published: share 0.2, every 1000 steps, until 0.6) |
    /// | MEST | Yuan et al. 2021, EM&S: published runs at 90 % sparsity grow to 85 %, then to 87.5 %, and end where 75 % of the run are done |
    /// | CHT | Zhang et al. 2024 |
    /// | GMP | Zhu and Gupta 2017 |
    /// | GraNet | Liu et al. 2021: from density 0.5, share 0.5; pruned until 110 of 160 epochs, connections moving to the end |
    /// | AC/DC | Peste et al. 2021: of 100 epochs 10 of warm-up, phases of 5, the last from 85 |
    /// | SRigL | Lasby et al. 2024 |
    /// | Top-KAST | Jayakumar et al. 2020: of its pairs of densities the one of 5 and 10 %; see below |
    ///
    /// Top-KAST as published keeps all weights, live or not, in a dense array, and its set B is the largest of them. Here what
    /// is not in B does not exist: of B's weights that the forward pass does not use, the smallest leave at each update and as
    /// many random ones come, worth zero. Their gradients carry them into A or not.
    #[derive(Default)]
    pub enum Method {
        /// Connections stay as they were drawn.
        Static = "static",
        /// Drop the smallest of each sign every epoch, grow at random.
        Set = "set",
        /// Drop the smallest, grow where the gradient is largest.
        #[default]
        Rigl = "rigl",
        /// Drop the smallest, grow where the gradient is largest among a random sample.
        Gse = "gse",
        /// Drop by weight and gradient, grow at random beyond the target, which is reached late in the run.
        Mest = "mest",
        /// Drop the smallest and dead chains every epoch, grow where most paths of three connections lead.
        Cht = "cht",
        /// Start dense, prune the smallest along a cubic schedule.
        Gmp = "gmp",
        /// Start half dense, prune along a cubic schedule while moving connections to where the gradient is largest.
        Granet = "granet",
        /// Dense and compressed phases in turn.
        Acdc = "acdc",
        /// RigL with the same fan-in for all units of a layer; units that matter too little are switched off.
        Srigl = "srigl",
        /// The forward pass uses the largest of a larger set of connections, all of which have gradients.
        TopKast = "top-kast",
    }
}

named! {
    /// A rule by which connections are dropped, by the name that users type.
    pub enum DropName {
        /// [`Drop::Magnitude`].
        Magnitude = "magnitude",
        /// [`Drop::Soft`].
        Soft = "soft",
    }
}

/// The `[topology]` section. What is left out takes the method's default.
///
/// ```
/// use rarefy::topology::{Method, TopologySettings};
///
/// // RigL, its connections moved every 50 steps.
/// let settings = TopologySettings { method: Method::Rigl, every: Some(50), ..TopologySettings::default() };
/// assert!(settings.build().is_ok());
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct TopologySettings {
    /// The method.
    pub method: Method,
    /// The share of live connections that move at an update (0.3; GraNet 0.5); for Top-KAST of those
    /// that the forward pass does not use.
    pub fraction: Option<f64>,
    /// Steps from one update to the next (100; SET and CHT update once an epoch, AC/DC at the end of a phase).
    pub every: Option<u64>,
    /// Where updates start, as a fraction of the run (GMP 0.1; for AC/DC where the dense warm-up ends, 0.1).
    pub from: Option<f64>,
    /// Where updates end, as a fraction of the run (0.75; GMP 0.5); for GraNet where pruning ends (0.6875), for AC/DC where the
    /// last compressed phase starts (0.85), for Top-KAST where only what the forward pass uses is left.
    pub until: Option<f64>,
    /// What shares a density when connections are pruned: each `layer`, by `sparsity.allocation`, or, `global`, all layers by
    /// their weights (GMP, GraNet and AC/DC).
    pub scope: Option<Scope>,
    /// Which connections stay: `magnitude` the largest; `soft` samples, the larger the likelier (RigL, GSE and CHT).
    pub drop: Option<DropName>,
    /// How soft `drop = "soft"` is (1).
    pub temperature: Option<f64>,
    /// GSE: absent connections looked at, per live one (1).
    pub sample: Option<f64>,
    /// MEST: what a gradient counts against a weight when connections are dropped (0.01).
    pub gradient_weight: Option<f64>,
    /// MEST and Top-KAST: what there is above the target before the end, as a share of it (0.5; Top-KAST 1).
    pub overshoot: Option<f64>,
    /// GraNet: the density at the start (0.5).
    pub start_density: Option<f64>,
    /// SRigL: the share of its fan-in that must be salient for a unit to live on (0.3); 0 lets all live.
    pub min_salient: Option<f64>,
    /// Top-KAST: the strength of its exploration penalty (1e-4).
    pub exploration: Option<f64>,
}

impl TopologySettings {
    /// The method as its parts.
    ///
    /// # Errors
    /// [`Error::Setting`] for a number out of range, or one that the method would ignore.
    pub fn build(&self) -> Result<Topology> {
        self.check_ranges()?;
        self.check_use()?;
        let steps = self.every.unwrap_or(100);
        let drop = match self.drop {
            Some(DropName::Soft) => Drop::Soft { temperature: self.temperature.unwrap_or(1.0) },
            Some(DropName::Magnitude) | None => Drop::Magnitude,
        };
        let share = self.fraction.unwrap_or(0.3);
        let fixed = Topology {
            when: When::Never,
            amount: Amount::Share { share, anneal_until: None },
            scope: self.scope.unwrap_or_default(),
            drop,
            grow: Grow::Random(Value::Zero),
            shape: Shape::Free,
            forward: Forward::All,
            start: 0.0,
        };
        let until = self.until.unwrap_or(0.75);
        let rigl = Topology {
            when: When::Every { steps, from: 0.0, until },
            amount: Amount::Share { share, anneal_until: Some(until) },
            grow: Grow::Gradient,
            ..fixed.clone()
        };
        self.preset(fixed, rigl)
    }

    /// The method, from the one that never moves a connection and from RigL.
    fn preset(&self, fixed: Topology, rigl: Topology) -> Result<Topology> {
        let (steps, until) = (self.every.unwrap_or(100), self.until.unwrap_or(0.75));
        Ok(match self.method {
            Method::Static => fixed,
            Method::Set => Topology {
                when: When::EveryEpoch,
                drop: Drop::MagnitudePerSign,
                grow: Grow::Random(Value::Drawn),
                ..fixed
            },
            Method::Rigl => rigl,
            Method::Gse => {
                Topology { grow: Grow::SampledGradient { sample: self.sample.unwrap_or(1.0) }, ..rigl }
            }
            Method::Mest => Topology {
                when: When::Every { steps, from: 0.0, until },
                amount: Amount::Overshoot { overshoot: self.overshoot.unwrap_or(0.5), until },
                drop: Drop::MagnitudeAndGradient { weight: self.gradient_weight.unwrap_or(0.01) as f32 },
                ..fixed
            },
            Method::Cht => {
                Topology { when: When::EveryEpoch, grow: Grow::Paths, shape: Shape::LiveChains, ..fixed }
            }
            Method::Gmp => {
                let (from, until) = self.window(0.1, 0.5)?;
                Topology {
                    when: When::Every { steps, from, until },
                    amount: Amount::Prune { from, until, regrow: 0.0 },
                    start: 1.0,
                    ..fixed
                }
            }
            Method::Granet => Topology {
                when: When::Every { steps, from: 0.0, until: 1.0 },
                amount: Amount::Prune {
                    from: 0.0,
                    until: self.until.unwrap_or(110.0 / 160.0),
                    regrow: self.fraction.unwrap_or(0.5),
                },
                start: self.start_density.unwrap_or(0.5),
                ..rigl
            },
            Method::Acdc => {
                let (warm_up, last) = self.window(0.1, 0.85)?;
                let phases = Phases { warm_up, length: 0.05, last };
                Topology {
                    when: When::PhaseEnds(phases),
                    amount: Amount::Phases(phases),
                    start: if phases.is_compressed(0.0) { 0.0 } else { 1.0 },
                    ..fixed
                }
            }
            Method::Srigl => Topology {
                shape: Shape::ConstantFanIn { min_salient: self.min_salient.unwrap_or(0.3) },
                ..rigl
            },
            Method::TopKast => Topology {
                when: When::Every { steps, from: 0.0, until },
                amount: Amount::Superset {
                    overshoot: self.overshoot.unwrap_or(1.0),
                    share: self.fraction.unwrap_or(0.3),
                    until,
                },
                forward: Forward::Largest { exploration: self.exploration.unwrap_or(1e-4) as f32 },
                ..fixed
            },
        })
    }

    /// `from` and `until`, in this order.
    fn window(&self, from: f64, until: f64) -> Result<(f64, f64)> {
        let (from, until) = (self.from.unwrap_or(from), self.until.unwrap_or(until));
        if from < until {
            return Ok((from, until));
        }
        Err(Error::setting("topology.from", format!("{from} is not before topology.until = {until}")))
    }

    fn check_ranges(&self) -> Result<()> {
        if self.every == Some(0) {
            return Err(Error::setting("topology.every", "0 is not a number of steps; use at least 1"));
        }
        type Range = (fn(f64) -> bool, &'static str);
        let share: Range = (|value| value > 0.0 && value <= 1.0, "above 0 and at most 1");
        let unit: Range = (|value| (0.0..=1.0).contains(&value), "from 0 to 1");
        let positive: Range = (|value| value > 0.0 && value.is_finite(), "above 0");
        let not_negative: Range = (|value| value >= 0.0 && value.is_finite(), "of at least 0");
        for (key, value, (is_within, range)) in [
            ("fraction", self.fraction, share),
            ("from", self.from, unit),
            ("until", self.until, share),
            ("temperature", self.temperature, positive),
            ("sample", self.sample, positive),
            ("gradient_weight", self.gradient_weight, not_negative),
            ("overshoot", self.overshoot, not_negative),
            ("start_density", self.start_density, share),
            ("min_salient", self.min_salient, unit),
            ("exploration", self.exploration, not_negative),
        ] {
            if let Some(value) = value.filter(|&value| !is_within(value)) {
                return Err(Error::setting(
                    format!("topology.{key}"),
                    format!("{value} is not a number {range}"),
                ));
            }
        }
        Ok(())
    }

    fn check_use(&self) -> Result<()> {
        use Method::{Acdc, Cht, Gmp, Granet, Gse, Mest, Rigl, Set, Srigl, TopKast};
        let keys: [(&str, bool, &[Method]); 13] = [
            ("fraction", self.fraction.is_some(), &[Set, Rigl, Gse, Cht, Granet, Srigl, TopKast]),
            ("every", self.every.is_some(), &[Rigl, Gse, Mest, Gmp, Granet, Srigl, TopKast]),
            ("from", self.from.is_some(), &[Gmp, Acdc]),
            ("until", self.until.is_some(), &[Rigl, Gse, Mest, Gmp, Granet, Acdc, Srigl, TopKast]),
            ("scope", self.scope.is_some(), &[Gmp, Granet, Acdc]),
            ("drop", self.drop.is_some(), &[Rigl, Gse, Cht]),
            ("temperature", self.temperature.is_some(), &[Rigl, Gse, Cht]),
            ("sample", self.sample.is_some(), &[Gse]),
            ("gradient_weight", self.gradient_weight.is_some(), &[Mest]),
            ("overshoot", self.overshoot.is_some(), &[Mest, TopKast]),
            ("start_density", self.start_density.is_some(), &[Granet]),
            ("min_salient", self.min_salient.is_some(), &[Srigl]),
            ("exploration", self.exploration.is_some(), &[TopKast]),
        ];
        self.method.refuse_ignored("topology", &keys)?;
        if self.temperature.is_some() && self.drop != Some(DropName::Soft) {
            let problem = "only topology.drop = \"soft\" uses it; set that or remove it";
            return Err(Error::setting("topology.temperature", problem));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_method_ignores_is_refused() {
        let with = |method| TopologySettings { method, ..TopologySettings::default() };
        let defaults = || with(Method::Rigl);
        for (settings, key) in [
            (TopologySettings { fraction: Some(0.3), ..with(Method::Static) }, "topology.fraction"),
            (TopologySettings { until: Some(0.5), ..with(Method::Set) }, "topology.until"),
            (TopologySettings { fraction: Some(1.5), ..defaults() }, "topology.fraction"),
            (TopologySettings { every: Some(0), ..defaults() }, "topology.every"),
            (TopologySettings { from: Some(0.9), ..with(Method::Gmp) }, "topology.from"),
            (TopologySettings { sample: Some(2.0), ..defaults() }, "topology.sample"),
            (TopologySettings { sample: Some(0.0), ..with(Method::Gse) }, "topology.sample"),
            (TopologySettings { overshoot: Some(f64::NAN), ..with(Method::Mest) }, "topology.overshoot"),
            (TopologySettings { temperature: Some(1.0), ..defaults() }, "topology.temperature"),
            (TopologySettings { drop: Some(DropName::Soft), ..with(Method::Acdc) }, "topology.drop"),
            (TopologySettings { from: Some(0.9), ..with(Method::Acdc) }, "topology.from"),
            (TopologySettings { scope: Some(Scope::Global), ..with(Method::Set) }, "topology.scope"),
            (TopologySettings { exploration: Some(1e-4), ..with(Method::Mest) }, "topology.exploration"),
            (TopologySettings { exploration: Some(-1.0), ..with(Method::TopKast) }, "topology.exploration"),
        ] {
            let error = settings.build().unwrap_err().to_string();
            assert!(error.starts_with(key), "{key}: {error}");
        }
    }
}
