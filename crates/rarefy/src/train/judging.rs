//! What a training is judged by: settings that name a class, a metric or a threshold, checked against the data.

use super::evaluation::Meaning;
use super::{Score, Settings, Threshold, Watched};
use crate::data::{Splits, Task};
use crate::losses::{Head, Loss};
use crate::metrics::{Decision, Metric};
use crate::names::{nearest, one_of};
use crate::{Error, Result};

/// How probabilities become classes before a threshold is chosen.
///
/// # Errors
/// [`Error::Setting`] for a metric, a class or a threshold that does not fit the data and the loss, or that the validation part
/// cannot tell.
pub(super) fn decision(settings: &Settings, splits: &Splits, loss: &Loss) -> Result<Decision> {
    let mut decision = Decision::default();
    if let Some(name) = &settings.train.positive {
        decision.positive = positive(name, splits)?;
    }
    if let Some(threshold) = settings.train.threshold {
        if !has_two_classes(splits) || loss.head() != Head::Softmax {
            return wrong(
                "threshold",
                "is for two classes and loss.method = \"cross-entropy\"; remove it".into(),
            );
        }
        match threshold {
            Threshold::At(threshold) => decision.threshold = threshold,
            // Where it is defined a threshold can be chosen.
            Threshold::Best(_) => check_metric("threshold", Metric::Auc, splits, loss)?,
        }
    }
    if let Some(metric) = settings.train.metric {
        if settings.train.watch == Watched::Training {
            let problem =
                format!("{metric} is taken on the validation part; remove train.watch = \"training\"");
            return wrong("metric", problem);
        }
        check_metric("metric", metric, splits, loss)?;
    }
    Ok(decision)
}

/// What the outputs of a network mean that was trained by this loss.
pub(super) fn meaning<'a>(splits: &'a Splits, loss: &Loss, decision: Decision) -> Meaning<'a> {
    let quantile = match loss {
        Loss::Quantile(quantile) => Some(quantile.quantile()),
        _ => None,
    };
    Meaning { preparation: &splits.preparation, head: loss.head(), decision, quantile }
}

/// Which of two classes goes by that name.
fn positive(name: &String, splits: &Splits) -> Result<usize> {
    if !has_two_classes(splits) {
        return wrong("positive", "is one of two classes, which this data has not; remove it".into());
    }
    let names = &splits.preparation.classes;
    names.iter().position(|class| class == name).ok_or_else(|| {
        let advice = match nearest(name, names) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("the classes are {:?} and {:?}", names[0], names[1]),
        };
        Error::setting("train.positive", format!("there is no class {name:?}; {advice}"))
    })
}

fn has_two_classes(splits: &Splits) -> bool {
    splits.preparation.task == Task::Classification && splits.preparation.classes.len() == 2
}

/// Checks that the validation part tells a metric, whatever is predicted.
fn check_metric(key: &str, metric: Metric, splits: &Splits, loss: &Loss) -> Result<()> {
    let Some(validation) = &splits.validation else {
        return wrong(key, "needs a validation part; set data.validation_fraction above 0".into());
    };
    let scores = vec![0.0; validation.len() * splits.preparation.outputs];
    let meaning = meaning(splits, loss, Decision::default());
    let answers = meaning.answers(validation, &scores, &Score::default());
    if !metric.fits(&answers) {
        let fitting = Metric::ALL.into_iter().filter(|metric| metric.fits(&answers));
        let problem = format!("{metric} does not fit what is predicted; choose {}", one_of(fitting));
        return wrong(key, problem);
    }
    if metric.of(&answers).is_none() {
        let missing = match splits.preparation.task {
            Task::Regression => "a target that changes",
            _ => "samples that have a class and samples that have not",
        };
        let problem = format!("needs {missing} in the validation part; make data.validation_fraction larger");
        return wrong(key, problem);
    }
    Ok(())
}

fn wrong<T>(key: &str, problem: String) -> Result<T> {
    Err(Error::setting(format!("train.{key}"), problem))
}
