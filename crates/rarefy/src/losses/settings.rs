//! What the user asks of the loss, and its check against the task.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{CrossEntropy, Huber, Loss, Quantile};
use crate::error::{Error, Result};
use crate::names::nearest;

named! {
    /// Which loss.
    #[derive(Default)]
    pub enum LossMethod {
        /// Cross-entropy for classes, binary cross-entropy for several labels, mean squared error for numbers, CTC for
        /// sequences of labels.
        #[default]
        Auto = "auto",
        /// [`Loss::CrossEntropy`].
        CrossEntropy = "cross-entropy",
        /// [`Loss::BinaryCrossEntropy`].
        BinaryCrossEntropy = "binary-cross-entropy",
        /// [`Loss::MeanSquaredError`].
        MeanSquaredError = "mean-squared-error",
        /// [`Loss::SumSquaredError`].
        SumSquaredError = "sum-squared-error",
        /// [`Loss::Huber`].
        Huber = "huber",
        /// [`Loss::Absolute`].
        Absolute = "absolute",
        /// [`Loss::Quantile`].
        Quantile = "quantile",
        /// [`Loss::Ctc`].
        Ctc = "ctc",
    }
}

/// Weights of the classes in the cross-entropy: numbers by the classes' names or in their order, or the word "balanced".
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "expected \"balanced\", weights by name as in {fraud = 20}, or a list with a number for each class"
)]
pub enum ClassWeights {
    /// A weight for each class, at least 0.
    Given(Vec<f32>),
    /// Weights of classes by name, at least 0; classes without one weigh 1.
    Named(BTreeMap<String, f32>),
    /// Weights computed from the training part.
    Rule(WeightRule),
}

/// How to compute class weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WeightRule {
    /// `samples / (classes * samples of the class)`, as scikit-learn's, a sample counting as often as its weight says; 1 for a
    /// class without samples.
    Balanced,
}

/// What the targets are.
#[derive(Debug, Clone, Copy)]
pub enum Task<'a> {
    /// One class of several.
    Classification {
        /// Samples of each class in the training part, one number for each class.
        counts: &'a [usize],
    },
    /// Several labels, each 0 or 1.
    MultiLabel,
    /// Numbers.
    Regression,
    /// A sequence of labels, shorter than that of the steps.
    Transcription,
}

/// What the user asks of the loss.
///
/// ```
/// use rarefy::losses::{LossSettings, Task};
///
/// let settings = LossSettings { label_smoothing: 0.1, ..LossSettings::default() };
/// let loss = settings.build(Task::Classification { counts: &[30, 70] })?;
/// assert_eq!(loss.head(), rarefy::losses::Head::Softmax);
/// # Ok::<(), rarefy::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LossSettings {
    /// Which loss.
    pub method: LossMethod,
    /// Cross-entropy: the part of each target that is spread evenly over all classes, from 0 to below 1.
    pub label_smoothing: f32,
    /// Cross-entropy: the weight of each class, a list or "balanced"; if not given, all samples count alike.
    pub class_weights: Option<ClassWeights>,
    /// Huber: the error where the loss turns straight, above 0, in deviations of the target, or where `data.target_scale` is `none` in its
    /// unit.
    pub huber_delta: f32,
    /// Quantile: the share of targets that is to be below what is predicted, above 0 and below 1; `None` is a half, the median.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantile: Option<f32>,
}

impl Default for LossSettings {
    fn default() -> LossSettings {
        LossSettings {
            method: LossMethod::Auto,
            label_smoothing: 0.0,
            class_weights: None,
            huber_delta: 1.0,
            quantile: None,
        }
    }
}

impl LossSettings {
    /// The settings with a list of class weights in place of names or of "balanced". `names` are the classes; `counts` the
    /// training samples of each, by how often they count.
    ///
    /// # Errors
    /// [`Error::Setting`] for a name that no class has.
    pub fn for_classes(&self, names: &[String], counts: &[f64]) -> Result<LossSettings> {
        let weights = match &self.class_weights {
            Some(ClassWeights::Rule(WeightRule::Balanced)) => balanced(counts),
            Some(ClassWeights::Named(named)) => by_name(named, names)?,
            None | Some(ClassWeights::Given(_)) => return Ok(self.clone()),
        };
        Ok(LossSettings { class_weights: Some(ClassWeights::Given(weights)), ..self.clone() })
    }

    /// Checks the settings against the task.
    ///
    /// # Errors
    /// [`Error::Setting`] for a number out of range, a loss that does not fit the targets, or a setting that the loss
    /// would ignore.
    pub fn build(&self, task: Task<'_>) -> Result<Loss> {
        let method = self.method_for(task)?;
        if !(0.0..1.0).contains(&self.label_smoothing) {
            let problem = format!("must be from 0 to below 1, not {}", self.label_smoothing);
            return wrong("label_smoothing", problem);
        }
        if !(self.huber_delta > 0.0 && self.huber_delta.is_finite()) {
            return wrong("huber_delta", format!("must be above 0, not {}", self.huber_delta));
        }
        let quantile = self.quantile.unwrap_or(0.5);
        if !(quantile > 0.0 && quantile < 1.0) {
            return wrong("quantile", format!("must be above 0 and below 1, not {quantile}"));
        }
        if self.quantile.is_some() && method != LossMethod::Quantile {
            return wrong("quantile", "works with loss.method = \"quantile\" only; set that too".into());
        }
        if method != LossMethod::CrossEntropy {
            for (key, set) in [
                ("label_smoothing", self.label_smoothing > 0.0),
                ("class_weights", self.class_weights.is_some()),
            ] {
                if set {
                    return wrong(key, "works with the cross-entropy only".into());
                }
            }
        }
        Ok(match method {
            LossMethod::CrossEntropy | LossMethod::Auto => {
                Loss::CrossEntropy(CrossEntropy::new(self.label_smoothing, self.weights_for(task)?))
            }
            LossMethod::BinaryCrossEntropy => Loss::BinaryCrossEntropy,
            LossMethod::MeanSquaredError => Loss::MeanSquaredError,
            LossMethod::SumSquaredError => Loss::SumSquaredError,
            LossMethod::Huber => Loss::Huber(Huber::new(self.huber_delta)),
            LossMethod::Absolute => Loss::Absolute,
            LossMethod::Quantile => Loss::Quantile(Quantile::new(quantile)),
            LossMethod::Ctc => Loss::Ctc,
        })
    }

    /// The method, `Auto` resolved, if it fits the task.
    fn method_for(&self, task: Task<'_>) -> Result<LossMethod> {
        use LossMethod::{Auto, BinaryCrossEntropy, CrossEntropy, Ctc, MeanSquaredError, Quantile};
        match (task, self.method) {
            (Task::Classification { .. }, Auto) => Ok(CrossEntropy),
            (Task::MultiLabel, Auto) => Ok(BinaryCrossEntropy),
            (Task::Regression, Auto) => Ok(MeanSquaredError),
            (Task::MultiLabel, CrossEntropy) => wrong(
                "method",
                "cross-entropy needs one class a sample; for several labels use binary-cross-entropy".into(),
            ),
            (Task::Regression, CrossEntropy | BinaryCrossEntropy) => wrong(
                "method",
                "the targets are numbers: use mean-squared-error, sum-squared-error, huber, absolute or quantile".into(),
            ),
            (Task::Classification { .. } | Task::MultiLabel, Quantile) => wrong(
                "method",
                "a quantile is one of numbers, and the targets are classes or labels: leave it out".into(),
            ),
            (Task::Transcription, Auto | Ctc) => Ok(Ctc),
            (Task::Transcription, _) => {
                wrong("method", "the targets are sequences of labels: use ctc, or leave it out".into())
            }
            (_, Ctc) => wrong(
                "method",
                "ctc is for sequences of labels (data.task = \"transcription\"): leave it out".into(),
            ),
            (_, method) => Ok(method),
        }
    }

    fn weights_for(&self, task: Task<'_>) -> Result<Option<Vec<f32>>> {
        let Task::Classification { counts } = task else { return Ok(None) };
        match &self.class_weights {
            None => Ok(None),
            Some(ClassWeights::Rule(WeightRule::Balanced)) => {
                Ok(Some(balanced(&counts.iter().map(|&count| count as f64).collect::<Vec<_>>())))
            }
            Some(ClassWeights::Named(_)) => {
                wrong("class_weights", "are by name, and nothing names the classes: give a list".into())
            }
            Some(ClassWeights::Given(weights)) => {
                if weights.len() != counts.len() {
                    let problem =
                        format!("has {} numbers, but there are {} classes", weights.len(), counts.len());
                    return wrong("class_weights", problem);
                }
                if let Some(weight) = weights.iter().find(|weight| !(**weight >= 0.0 && weight.is_finite())) {
                    return wrong("class_weights", format!("must be 0 or above, not {weight}"));
                }
                if weights.iter().all(|&weight| weight == 0.0) {
                    return wrong("class_weights", "are all 0: nothing would be learnt".into());
                }
                Ok(Some(weights.clone()))
            }
        }
    }
}

/// `n / (classes * count)`.
fn balanced(counts: &[f64]) -> Vec<f32> {
    let share = counts.iter().sum::<f64>() / counts.len() as f64;
    counts.iter().map(|&count| if count == 0.0 { 1.0 } else { (share / count) as f32 }).collect()
}

/// The weights of classes in their order; those that are not named weigh 1.
fn by_name(named: &BTreeMap<String, f32>, names: &[String]) -> Result<Vec<f32>> {
    /// Names that an error lists.
    const MOST_LISTED: usize = 12;
    if let Some(unknown) = named.keys().find(|name| !names.contains(name)) {
        let advice = match nearest(unknown, names) {
            Some(name) => format!("did you mean {name:?}?"),
            None if names.is_empty() => "the classes have no names: give a list".into(),
            None => {
                let listed: Vec<String> =
                    names.iter().take(MOST_LISTED).map(|name| format!("{name:?}")).collect();
                let more = if names.len() > MOST_LISTED { ", ..." } else { "" };
                format!("the {} classes are {}{more}", names.len(), listed.join(", "))
            }
        };
        return wrong("class_weights", format!("there is no class {unknown:?}; {advice}"));
    }
    Ok(names.iter().map(|name| named.get(name).copied().unwrap_or(1.0)).collect())
}

fn wrong<T>(key: &str, problem: String) -> Result<T> {
    Err(Error::setting(format!("loss.{key}"), problem))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::losses::Head;

    const CLASSES: Task<'static> = Task::Classification { counts: &[30, 10, 0] };

    fn build(text: &str, task: Task<'_>) -> Result<Loss> {
        toml::from_str::<LossSettings>(text).unwrap().build(task)
    }

    #[test]
    fn auto_fits_the_task() {
        for (task, head) in [
            (CLASSES, Head::Softmax),
            (Task::MultiLabel, Head::Sigmoid),
            (Task::Regression, Head::Identity),
            (Task::Transcription, Head::Softmax),
        ] {
            assert_eq!(build("", task).unwrap().head(), head);
        }
    }

    #[test]
    fn balanced_weights_by_hand() {
        // 40 samples over 3 classes: 40/3 a class.
        let Loss::CrossEntropy(loss) = build("class_weights = 'balanced'", CLASSES).unwrap() else {
            panic!()
        };
        assert_eq!(loss.weights().unwrap(), [40.0 / 90.0, 40.0 / 30.0, 1.0]);
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let cases = [
            ("label_smoothing = 1.0", CLASSES, "loss.label_smoothing: must be from 0 to below 1, not 1"),
            ("label_smoothing = 0.1", Task::Regression, "loss.label_smoothing: works with the cross-entropy"),
            ("class_weights = 'balanced'", Task::MultiLabel, "loss.class_weights: works with the cross-ent"),
            ("class_weights = [1.0]", CLASSES, "loss.class_weights: has 1 numbers, but there are 3 classes"),
            ("class_weights = [1.0, -1.0, 2.0]", CLASSES, "loss.class_weights: must be 0 or above, not -1"),
            ("class_weights = [0.0, 0.0, 0.0]", CLASSES, "loss.class_weights: are all 0"),
            ("method = 'huber'\nhuber_delta = 0.0", Task::Regression, "loss.huber_delta: must be above 0"),
            ("method = 'cross-entropy'", Task::Regression, "loss.method: the targets are numbers"),
            ("method = 'cross-entropy'", Task::MultiLabel, "loss.method: cross-entropy needs one class"),
            (
                "method = 'huber'",
                Task::Transcription,
                "loss.method: the targets are sequences of labels: use ctc",
            ),
            (
                "method = 'quantile'\nquantile = 1.0",
                Task::Regression,
                "loss.quantile: must be above 0 and below 1, not 1",
            ),
            ("quantile = 0.9", Task::Regression, "loss.quantile: works with loss.method = \"quantile\" only"),
            ("method = 'quantile'", CLASSES, "loss.method: a quantile is one of numbers"),
            ("class_weights = {a = 2}", CLASSES, "loss.class_weights: are by name, and nothing names"),
            ("method = 'ctc'", CLASSES, "loss.method: ctc is for sequences of labels"),
            (
                "class_weights = 'balanced'",
                Task::Transcription,
                "loss.class_weights: works with the cross-ent",
            ),
        ];
        for (text, task, message) in cases {
            let error = build(text, task).unwrap_err().to_string();
            assert!(error.starts_with(message), "{text}: {error}");
        }
        let error = toml::from_str::<LossSettings>("class_weights = 'even'").unwrap_err().to_string();
        assert!(error.contains("expected \"balanced\", weights by name"), "{error}");
    }

    #[test]
    fn classes_weigh_by_name_or_by_what_their_samples_weigh() {
        let names = ["fraud", "0", "ok"].map(String::from);
        let weights = |text: &str, counts: &[f64]| {
            let settings: LossSettings = toml::from_str(&format!("class_weights = {text}")).unwrap();
            let written = toml::to_string(&settings).unwrap();
            assert_eq!(toml::from_str::<LossSettings>(&written).unwrap(), settings, "{written}");
            let settings = settings.for_classes(&names, counts)?;
            let Loss::CrossEntropy(loss) = settings.build(CLASSES)? else { panic!() };
            Ok(loss.weights().unwrap().to_vec())
        };
        assert_eq!(weights("{fraud = 20, 0 = 0.5}", &[]).unwrap(), [20.0, 0.5, 1.0]);
        assert_eq!(weights("[1.0, 2.0, 3.0]", &[]).unwrap(), [1.0, 2.0, 3.0]);
        // scikit-learn 1.9.1, compute_class_weight("balanced", ...) of samples that weigh 7.5 and 2.5 together, and of a class
        // without any, which it has not.
        assert_eq!(weights("'balanced'", &[7.5, 2.5, 0.0]).unwrap(), [10.0 / 22.5, 10.0 / 7.5, 1.0]);
        let refused = |text: &str| -> String {
            weights(text, &[]).map_err(|error: Error| error.to_string()).unwrap_err()
        };
        let problem = "loss.class_weights: there is no class \"fruad\"; did you mean \"fraud\"?";
        assert_eq!(refused("{fruad = 20}"), problem);
        assert!(refused("{cat = 20}").ends_with("the 3 classes are \"fraud\", \"0\", \"ok\""));
        assert!(refused("{fraud = -1}").starts_with("loss.class_weights: must be 0 or above, not -1"));
    }
}
