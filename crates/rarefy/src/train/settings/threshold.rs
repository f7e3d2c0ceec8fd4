//! When the positive one of two classes is predicted.

use serde::{Deserialize, Serialize};

use crate::metrics::Metric;
use crate::names::one_of;
use crate::{Error, Result};

/// What the probability of the positive one of two classes must be above.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "expected a number above 0 and below 1, or the metric that is to be best: \"balanced-accuracy\", \"f1\" or \"matthews\""
)]
pub enum Threshold {
    /// This number.
    At(f32),
    /// The number at which a metric is best on the validation part.
    Best(Metric),
}

impl Threshold {
    /// # Errors
    /// [`Error::Setting`] for a number that is no probability, or a metric that no threshold changes.
    pub(super) fn check(self) -> Result<()> {
        const CHANGED: [Metric; 3] = [Metric::BalancedAccuracy, Metric::F1, Metric::Matthews];
        let problem = match self {
            Threshold::At(threshold) if !(threshold > 0.0 && threshold < 1.0) => {
                format!("must be above 0 and below 1, not {threshold}")
            }
            Threshold::Best(metric) if !CHANGED.contains(&metric) => {
                format!("cannot be chosen by {metric}; choose {}", one_of(CHANGED))
            }
            _ => return Ok(()),
        };
        Err(Error::setting("train.threshold", problem))
    }
}

#[cfg(test)]
mod tests {
    use crate::train::Settings;

    #[test]
    fn a_threshold_is_a_probability_or_a_metric() {
        for (value, problem) in [
            ("0.3", None),
            ("'f1'", None),
            ("'balanced-accuracy'", None),
            ("0", Some("must be above 0 and below 1, not 0")),
            ("1.0", Some("must be above 0 and below 1, not 1")),
            ("'auc'", Some("cannot be chosen by auc; choose \"balanced-accuracy\", \"f1\" or \"matthews\"")),
        ] {
            let settings: Settings = toml::from_str(&format!("[train]\nthreshold = {value}")).unwrap();
            assert_eq!(toml::from_str::<Settings>(&toml::to_string(&settings).unwrap()).unwrap(), settings);
            let error = settings.check().err().map(|error| error.to_string());
            assert_eq!(error, problem.map(|problem| format!("train.threshold: {problem}")), "{value}");
        }
        let error = toml::from_str::<Settings>("[train]\nthreshold = 'best'").unwrap_err().to_string();
        assert!(error.contains("expected a number above 0 and below 1, or the metric"), "{error}");
    }
}
