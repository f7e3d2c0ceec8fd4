//! What the user asks of the constraint, its check, and the projection in two steps: look at all slices that it binds
//! together, then move each value on its own.

use serde::{Deserialize, Serialize};

use super::{Bounds, L1Ball, TopK, TopKCut};
use crate::error::{Error, Result};

named! {
    /// Which constraint.
    #[derive(Default)]
    pub enum ConstraintMethod {
        /// No constraint.
        #[default]
        None = "none",
        /// The sum of the magnitudes is at most `radius`.
        L1Ball = "l1-ball",
        /// At most the share `keep` of the connections is not 0 (iterative hard thresholding).
        TopK = "top-k",
        /// Each weight is from `lower` to `upper`.
        Box = "box",
        /// No weight is below 0.
        NonNegative = "non-negative",
    }
}

named! {
    /// What a constraint binds together.
    #[derive(Default)]
    pub enum Scope {
        /// Each layer on its own.
        #[default]
        Layer = "layer",
        /// All layers, as one vector.
        Global = "global",
    }
}

/// What the user asks of the constraint.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConstraintSettings {
    /// Which constraint.
    pub method: ConstraintMethod,
    /// L1 ball: its radius, above 0.
    pub radius: Option<f32>,
    /// Top-k: the share of the connections that stay, above 0 and at most 1.
    pub keep: Option<f64>,
    /// L1 ball and top-k: what they bind together. `None` is each layer.
    pub scope: Option<Scope>,
    /// Box: the smallest weight allowed. `None` is minus infinity.
    pub lower: Option<f32>,
    /// Box: the largest weight allowed. `None` is infinity.
    pub upper: Option<f32>,
}

/// A checked constraint, built by [`ConstraintSettings::build`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Constraint {
    /// A bound on the sum of the magnitudes.
    L1Ball(L1Ball, Scope),
    /// A bound on the number of nonzeros.
    TopK(TopK, Scope),
    /// Bounds on each weight.
    Bounds(Bounds),
}

/// What the projection does to each value, found by [`Constraint::projection`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Projection {
    /// Moves it towards 0 by this much.
    Soft(f64),
    /// Sets all but the largest to 0.
    Hard(TopKCut),
    /// Clips it.
    Clip(Bounds),
}

impl ConstraintSettings {
    /// Checks the settings; `None` without a constraint.
    ///
    /// # Errors
    /// [`Error::Setting`] for a number out of range or missing, or one that the method would ignore.
    pub fn build(&self) -> Result<Option<Constraint>> {
        use ConstraintMethod as Method;
        self.method.refuse_ignored(
            "constraint",
            &[
                ("radius", self.radius.is_some(), &[Method::L1Ball]),
                ("keep", self.keep.is_some(), &[Method::TopK]),
                ("scope", self.scope.is_some(), &[Method::L1Ball, Method::TopK]),
                ("lower", self.lower.is_some(), &[Method::Box]),
                ("upper", self.upper.is_some(), &[Method::Box]),
            ],
        )?;
        let scope = self.scope.unwrap_or_default();
        Ok(Some(match self.method {
            Method::None => return Ok(None),
            Method::L1Ball => {
                let Some(radius) = self.radius else {
                    return wrong("radius", "must be set: the largest sum of magnitudes".into());
                };
                if !(radius > 0.0 && radius.is_finite()) {
                    return wrong("radius", format!("must be above 0, not {radius}"));
                }
                Constraint::L1Ball(L1Ball::new(radius), scope)
            }
            Method::TopK => {
                let Some(keep) = self.keep else {
                    return wrong("keep", "must be set: the share of the connections that stay".into());
                };
                if !(keep > 0.0 && keep <= 1.0) {
                    return wrong("keep", format!("must be above 0 and at most 1, not {keep}"));
                }
                Constraint::TopK(TopK::new(keep), scope)
            }
            Method::Box => {
                if self.lower.is_none() && self.upper.is_none() {
                    return wrong("lower", "must be set, or constraint.upper: a box needs a bound".into());
                }
                for (key, bound) in [("lower", self.lower), ("upper", self.upper)] {
                    if let Some(bound) = bound.filter(|bound| !bound.is_finite()) {
                        return wrong(key, format!("must be finite, not {bound}; leave it out for no bound"));
                    }
                }
                let (lower, upper) =
                    (self.lower.unwrap_or(f32::NEG_INFINITY), self.upper.unwrap_or(f32::INFINITY));
                if lower > upper {
                    return wrong(
                        "lower",
                        format!("must be at most constraint.upper = {upper}, not {lower}"),
                    );
                }
                Constraint::Bounds(Bounds::new(lower, upper))
            }
            Method::NonNegative => Constraint::Bounds(Bounds::new(0.0, f32::INFINITY)),
        }))
    }
}

impl Constraint {
    /// What it binds together.
    pub fn scope(&self) -> Scope {
        match self {
            Constraint::L1Ball(_, scope) | Constraint::TopK(_, scope) => *scope,
            Constraint::Bounds(_) => Scope::Layer,
        }
    }

    /// Finds the Euclidean projection of the slices, taken as one vector: apply it to each of them, or to any pieces.
    /// `connections` is the number that the share of top-k is of, connections or blocks: not the number of values, where some are the
    /// zeros of absent connections. Allocates nothing once `scratch` has room for all values.
    pub fn projection<'a>(
        &self,
        slices: impl Iterator<Item = &'a [f32]> + Clone,
        connections: usize,
        scratch: &mut Vec<f32>,
    ) -> Projection {
        match self {
            Constraint::L1Ball(ball, _) => Projection::Soft(ball.threshold(slices, scratch)),
            Constraint::TopK(top, _) => Projection::Hard(TopK::cut(top.count(connections), slices, scratch)),
            Constraint::Bounds(bounds) => Projection::Clip(*bounds),
        }
    }
}

impl Projection {
    /// Projects, in place. `first` is the position of the first of these values in the vector that the projection was
    /// found for. NaN stays NaN.
    #[inline(always)]
    pub fn apply(&self, values: &mut [f32], first: usize) {
        match self {
            Projection::Soft(threshold) => L1Ball::apply(*threshold, values),
            Projection::Hard(cut) => cut.apply(values, first),
            Projection::Clip(bounds) => bounds.apply(values),
        }
    }
}

fn wrong<T>(key: &str, problem: String) -> Result<T> {
    Err(Error::setting(format!("constraint.{key}"), problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_out_of_range_name_their_key() {
        let cases = [
            ("method = 'l1-ball'", "constraint.radius: must be set"),
            ("method = 'l1-ball'\nradius = 0.0", "constraint.radius: must be above 0, not 0"),
            (
                "radius = 1.0",
                "constraint.radius: constraint.method = \"none\" does not use it; remove it, or choose \"l1-ball\"",
            ),
            ("method = 'top-k'", "constraint.keep: must be set"),
            ("method = 'top-k'\nkeep = 1.5", "constraint.keep: must be above 0 and at most 1, not 1.5"),
            ("method = 'box'", "constraint.lower: must be set, or constraint.upper"),
            (
                "method = 'box'\nlower = 1.0\nupper = 0.5",
                "constraint.lower: must be at most constraint.upper",
            ),
            ("method = 'box'\nlower = nan", "constraint.lower: must be finite, not NaN"),
            (
                "method = 'non-negative'\nlower = 0.0",
                "constraint.lower: constraint.method = \"non-negative\" does not use it",
            ),
            (
                "method = 'box'\nupper = 1.0\nscope = 'global'",
                "constraint.scope: constraint.method = \"box\" does not use it; remove it, or choose \"l1-ball\" or \"top-k\"",
            ),
        ];
        for (text, message) in cases {
            let settings: ConstraintSettings = toml::from_str(text).unwrap();
            let error = settings.build().unwrap_err().to_string();
            assert!(error.starts_with(message), "{text}: {error}");
        }
        assert!(toml::from_str::<ConstraintSettings>("radios = 0.1").is_err());
        assert_eq!(ConstraintSettings::default().build().unwrap(), None);
    }

    #[test]
    fn settings_survive_a_round_trip() {
        let settings = ConstraintSettings {
            method: ConstraintMethod::TopK,
            keep: Some(0.1),
            scope: Some(Scope::Global),
            ..Default::default()
        };
        let text = toml::to_string(&settings).unwrap();
        assert_eq!(toml::from_str::<ConstraintSettings>(&text).unwrap(), settings);
        assert_eq!(settings.build().unwrap().unwrap().scope(), Scope::Global);
    }
}
