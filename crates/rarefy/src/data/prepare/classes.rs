//! What the labels are: the task they ask for, the classes they name, and each label as a target.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use crate::data::alike::boolean;
use crate::data::dataset::{Targets, Task};
use crate::data::raw::{Labels, Places, Raw};
use crate::data::reading::Format;
use crate::data::settings::TaskChoice;
use crate::data::shown::shown;
use crate::{Error, Result};

/// With more kinds than this, whole numbers are taken for values unless the settings say otherwise.
const MOST_CLASSES: usize = 100;
/// With more kinds than this, whole numbers that are taken for classes may be values, such as ages.
const SURE_CLASSES: usize = 20;

/// The task, from the settings or else from the labels.
pub(crate) fn task(raw: &Raw, choice: TaskChoice) -> Result<Task> {
    if choice == TaskChoice::Transcription {
        return match raw.format() {
            Format::Audio => Ok(Task::Transcription),
            _ => Err(Error::setting(
                "data.task",
                "transcription is of recordings: give a folder or a list of WAV files",
            )),
        };
    }
    let Some(Labels::Numbers { values, outputs }) = &raw.labels else {
        return match choice {
            TaskChoice::Auto | TaskChoice::Classification => Ok(Task::Classification),
            _ => Err(refuse(raw, "holds text, so it can only be classes")),
        };
    };
    let binary = values.iter().all(|&value| value == 0.0 || value == 1.0);
    match choice.named() {
        Some(Task::Classification) if *outputs > 1 => match one_hot(values, *outputs) {
            Ok(_) => Ok(Task::Classification),
            Err(sample) => Err(raw.label_error(sample, format!(
                "{} has {outputs} columns; classification needs one that holds the class, or exactly one 1 among zeros in each row; set data.task or data.label",
                raw.label_name()
            ))),
        },
        Some(Task::MultiLabel) if !binary => {
            let at = values.iter().position(|&value| value != 0.0 && value != 1.0).unwrap_or(0);
            let problem = format!("{} holds {}; multi-label labels are 0 or 1", raw.label_name(), values[at]);
            Err(raw.label_error(at / outputs, problem))
        }
        Some(task) => Ok(task),
        None if *outputs > 1 => Ok(if binary { Task::MultiLabel } else { Task::Regression }),
        None => {
            let kinds = kinds(values);
            let whole = kinds.iter().all(|kind| kind.fract() == 0.0);
            let few = are_few(kinds.len(), values.len());
            Ok(if few && whole { Task::Classification } else { Task::Regression })
        }
    }
}

/// Whether whole numbers of so many kinds are classes unless the settings say otherwise.
fn are_few(kinds: usize, samples: usize) -> bool {
    kinds <= MOST_CLASSES && kinds * 2 <= samples
}

/// Whether whole numbers are classes and so large that they would fall together as `f64`: their names must be kept.
pub(crate) fn need_names(whole: &[i128], task: TaskChoice) -> bool {
    const EXACT: u128 = 1 << 53;
    let are_large = || whole.iter().any(|number| number.unsigned_abs() >= EXACT);
    let kinds = || whole.iter().collect::<HashSet<_>>().len();
    match task {
        TaskChoice::Classification => are_large(),
        TaskChoice::Auto => are_large() && are_few(kinds(), whole.len()),
        _ => false,
    }
}

/// For rows of several numbers, the place of the 1 in each, the others being 0.
fn one_hot(values: &[f64], outputs: usize) -> std::result::Result<Vec<u32>, usize> {
    let place = |(sample, row): (usize, &[f64])| {
        let is_other = |&value: &f64| value != 0.0 && value != 1.0;
        let mut ones = (0..).zip(row).filter(|(_, value)| **value == 1.0).map(|(place, _)| place);
        match (ones.next(), ones.next()) {
            (Some(place), None) if !row.iter().any(is_other) => Ok(place),
            _ => Err(sample),
        }
    };
    values.chunks_exact(outputs).enumerate().map(place).collect()
}

/// What to know about labels before a task is chosen for them.
pub(crate) fn note(raw: &Raw, choice: TaskChoice) -> Option<String> {
    let Some(Labels::Numbers { values, outputs: outputs @ 2.. }) = &raw.labels else { return None };
    let is_one_hot = choice == TaskChoice::Auto && one_hot(values, *outputs).is_ok();
    is_one_hot.then(|| {
        "each row of the labels has exactly one 1: if these are classes set data.task = \"classification\"".into()
    })
}

/// A note where whole numbers were taken for classes, and may be values: of many kinds. Or where they were taken for values, and may be
/// classes: in rows whose columns nobody chose, or without a gap and each twice on average.
pub(crate) fn doubt(raw: &Raw, choice: TaskChoice, task: Task) -> Option<String> {
    let Some(Labels::Numbers { values, outputs }) = &raw.labels else { return None };
    let kinds = kinds(values);
    let are_whole = kinds.iter().all(|kind| kind.fract() == 0.0);
    if choice != TaskChoice::Auto || !are_whole {
        return None;
    }
    if task == Task::Classification {
        let may_be_values = raw.classes.is_empty() && kinds.len() > SURE_CLASSES;
        return may_be_values.then(|| {
            format!(
                "{} holds {} different whole numbers, which are taken for classes; to predict the number set data.task = \"regression\"",
                raw.label_name(),
                kinds.len()
            )
        });
    }
    if task != Task::Regression {
        return None;
    }
    if *outputs > 1 {
        return raw.reading.labels().is_empty().then(|| {
            format!(
                "each label is a row of {outputs} whole numbers, all of which are predicted; if one of them is a class give labels that hold it alone, else set data.task = \"regression\""
            )
        });
    }
    let span = kinds.last().zip(kinds.first()).map(|(last, first)| last - first + 1.0);
    let may_be_classes = kinds.len() * 2 <= values.len() && span == Some(kinds.len() as f64);
    may_be_classes.then(|| {
        format!(
            "{} holds {} different whole numbers, too many to be taken for classes; if they are, set data.task = \"classification\"",
            raw.label_name(),
            kinds.len()
        )
    })
}

fn refuse(raw: &Raw, why: &str) -> Error {
    Error::data(&raw.path, format!("{} {why}; set data.task or data.label", raw.label_name()))
}

/// The different numbers, sorted.
fn kinds(values: &[f64]) -> Vec<f64> {
    // Adding 0 makes -0 a plain 0.
    let mut kinds: Vec<f64> = values.iter().map(|value| value + 0.0).collect();
    kinds.sort_unstable_by(f64::total_cmp);
    kinds.dedup();
    kinds
}

/// Whether all class names are numbers that `f64` can hold, so that `1.0` in a new file means the class `1`.
pub(crate) fn are_numbers(classes: &[String]) -> bool {
    classes.iter().all(|class| class.parse::<f64>().is_ok_and(|number| number.to_string() == *class))
}

/// The numbers that texts are, if they are whole and some too large for `f64`.
fn large_integers(names: &[String]) -> Option<HashMap<String, i128>> {
    let number = |name: &String| Some((name.clone(), name.parse::<i128>().ok()?));
    let numbers: HashMap<String, i128> = names.iter().map(number).collect::<Option<_>>()?;
    numbers.values().any(|number| number.unsigned_abs() >= 1 << 53).then_some(numbers)
}

/// The classes of a source, in the order of their numbers or else of the alphabet; at least two.
pub(crate) fn names(raw: &Raw) -> Result<Vec<String>> {
    if !raw.classes.is_empty() {
        return Ok(raw.classes.clone());
    }
    let samples = raw.samples();
    let (names, fractional) = match &raw.labels {
        Some(Labels::Numbers { outputs, .. }) if *outputs > 1 => {
            let columns = raw.reading.labels();
            let name = |place: usize| columns.get(place).map(|column| column.name.clone());
            let names = (0..*outputs).map(|place| name(place).unwrap_or_else(|| place.to_string()));
            (names.collect(), false)
        }
        Some(Labels::Numbers { values, .. }) => {
            let kinds = kinds(values);
            (
                kinds.iter().map(f64::to_string).collect::<Vec<_>>(),
                kinds.iter().any(|kind| kind.fract() != 0.0),
            )
        }
        Some(Labels::Text { vocabulary, .. }) => {
            let mut names = vocabulary.clone();
            names.sort_unstable();
            // Whole numbers that no f64 can hold are texts, but in the order of numbers.
            if let Some(numbers) = large_integers(&names) {
                names.sort_by_cached_key(|name| numbers[name]);
            }
            (names, false)
        }
        None => (Vec::new(), false),
    };
    let label = raw.label_name();
    let all = match &names[..] {
        [] => return Err(Error::data(&raw.path, "holds no labels")),
        [only] => {
            let problem = format!(
                "{label} always holds {}; there must be two classes at least to tell apart",
                shown(only)
            );
            return Err(Error::data(&raw.path, problem));
        }
        all => all.len(),
    };
    if all * 2 > samples || (fractional && all > MOST_CLASSES) {
        let advice = match &raw.labels {
            Some(Labels::Text { .. }) if raw.format() == Format::Audio => {
                "add files, join classes, or set data.task = \"transcription\" if the labels are what is said"
            }
            Some(Labels::Text { .. }) if matches!(raw.places, Places::Files(_)) => {
                "add files, or join classes"
            }
            Some(Labels::Text { .. }) => "choose another column with data.label",
            _ => "set data.task = \"regression\", or choose another column with data.label",
        };
        let problem = format!(
            "{label} holds {all} different values in {samples} samples: too many for classes; {advice}"
        );
        return Err(Error::data(&raw.path, problem));
    }
    Ok(names)
}

/// The class of each sample as its position among `classes`.
pub(crate) fn codes(raw: &Raw, classes: &[String]) -> Result<Vec<u32>> {
    let unknown = |sample: usize, label: &str| {
        let listed = classes.iter().take(10).cloned().collect::<Vec<_>>().join(", ");
        let more = if classes.len() > 10 { ", ..." } else { "" };
        let problem = format!(
            "the label {} is out of range: the training part has the {} classes {listed}{more}; mend the label or remove the sample",
            shown(label),
            classes.len()
        );
        raw.label_error(sample, problem)
    };
    match &raw.labels {
        Some(Labels::Numbers { values, outputs: 1 }) => {
            let number = |(class, code): (&String, u32)| Some((class.parse::<f64>().ok()?.to_bits(), code));
            let known: HashMap<u64, u32> = classes.iter().zip(0..).filter_map(number).collect();
            let code = |(sample, value): (usize, &f64)| {
                // Adding 0 makes -0 a plain 0.
                let found = known.get(&(value + 0.0).to_bits());
                found.copied().ok_or_else(|| unknown(sample, &value.to_string()))
            };
            values.iter().enumerate().map(code).collect()
        }
        Some(Labels::Numbers { values, outputs }) if *outputs == classes.len() => one_hot(values, *outputs)
            .map_err(|sample| {
                raw.label_error(
                    sample,
                    "has not exactly one 1 among zeros; mend the row or remove the sample",
                )
            }),
        Some(Labels::Text { codes, vocabulary }) => {
            // Exact names win: a class may be named TRUE beside another one named true.
            let meant = classes.iter().map(|class| boolean(class)).zip(0..);
            let mut known: HashMap<Cow<str>, u32> = meant.collect();
            known.extend(classes.iter().map(|class| Cow::Borrowed(class.as_str())).zip(0..));
            let code = |(sample, &word): (usize, &u32)| {
                let word = &vocabulary[word as usize];
                let found = known.get(word.as_str()).or_else(|| known.get(&boolean(word)));
                found.copied().ok_or_else(|| unknown(sample, word))
            };
            codes.iter().enumerate().map(code).collect()
        }
        _ => Err(Error::data(&raw.path, "needs one label per sample, the class")),
    }
}

/// The classes of some samples.
pub(crate) fn targets(raw: &Raw, classes: &[String], samples: &[usize]) -> Result<Targets> {
    let codes = codes(raw, classes)?;
    let labels = samples.iter().map(|&sample| codes[sample]).collect();
    Ok(Targets::Classes { labels, classes: classes.len() })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::data::raw::Cells;
    use crate::data::reading::Reading;
    use crate::tiles::Shape;

    fn numbers(values: &[f64], outputs: usize) -> Raw {
        let cells = Cells::Numbers(vec![0.0; values.len() / outputs]);
        let labels = Labels::Numbers { values: values.to_vec(), outputs };
        Raw::new(Path::new("f"), Reading::Idx, cells, Shape::flat(1), Some(labels))
    }

    fn text(words: &[&str]) -> Raw {
        let labels = Labels::Text {
            codes: (0..words.len() as u32).collect(),
            vocabulary: words.iter().map(|word| word.to_string()).collect(),
        };
        Raw::new(
            Path::new("f"),
            Reading::Text,
            Cells::Numbers(vec![0.0; words.len()]),
            Shape::flat(1),
            Some(labels),
        )
    }

    #[test]
    fn the_task_follows_from_the_labels() {
        for (raw, expected) in [
            (numbers(&[1.0, 2.0, 1.0, 2.0], 1), Task::Classification),
            (numbers(&[-1.0, 1.0, -1.0, 1.0], 1), Task::Classification),
            (numbers(&[1.5, 2.0, 1.5, 2.0], 1), Task::Regression),
            (numbers(&[1.0, 2.0, 3.0, 4.0], 1), Task::Regression),
            (numbers(&[1.0, 0.0, 0.0, 1.0], 2), Task::MultiLabel),
            (numbers(&[1.0, 0.0, 0.5, 1.0], 2), Task::Regression),
            (text(&["a", "b"]), Task::Classification),
        ] {
            assert_eq!(task(&raw, TaskChoice::Auto).unwrap(), expected);
        }
    }

    #[test]
    fn a_task_that_does_not_fit_is_refused() {
        for (raw, choice, problem) in [
            (
                numbers(&[0.0, 1.0, 1.0, 1.0], 2),
                TaskChoice::Classification,
                "sample 2: the label has 2 columns",
            ),
            (
                numbers(&[0.0, 1.0, 0.0, 2.0], 2),
                TaskChoice::Classification,
                "sample 2: the label has 2 columns",
            ),
            (
                numbers(&[0.0, 1.0, 2.0, 0.0], 2),
                TaskChoice::MultiLabel,
                "sample 2: the label holds 2; multi-label",
            ),
            (text(&["a"]), TaskChoice::Regression, "holds text"),
        ] {
            let error = task(&raw, choice).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
    }

    #[test]
    fn classes_are_sorted_as_numbers_and_need_two_kinds_but_not_too_many() {
        let sorted = names(&numbers(&[10.0, 9.0, -0.0, 0.0, 10.0, 9.0], 1)).unwrap();
        assert_eq!(sorted, ["0", "9", "10"]);
        let many: Vec<f64> = (0..400).map(|i| f64::from(i % 150) + 0.5).collect();
        for (raw, problem) in [
            (numbers(&[3.0; 5], 1), "always holds \"3\""),
            (numbers(&[1.0, 2.0, 3.0], 1), "too many for classes; set data.task = \"regression\""),
            (numbers(&many, 1), "150 different values in 400 samples: too many"),
            (text(&["a", "b", "c"]), "choose another column with data.label"),
        ] {
            let error = names(&raw).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
    }

    #[test]
    fn codes_are_positions_and_labels_out_of_range_are_named() {
        let classes = ["0", "9", "10"].map(String::from);
        assert_eq!(codes(&numbers(&[10.0, 0.0, 9.0], 1), &classes).unwrap(), [2, 0, 1]);
        let error = codes(&numbers(&[10.0, 11.0], 1), &classes).unwrap_err().to_string();
        assert!(
            error.contains(
                "sample 2: the label \"11\" is out of range: the training part has the 3 classes 0, 9, 10"
            ),
            "{error}"
        );
        // Too large for f64 to keep them apart, and so known by their names.
        let large = ["5", "9007199254740992", "9007199254740993"].map(String::from);
        assert_eq!(codes(&text(&["9007199254740993", "5"]), &large).unwrap(), [2, 0]);
        assert_eq!(codes(&numbers(&[5.0], 1), &large).unwrap(), [0]);
        // One 1 in each row.
        let rows = numbers(&[0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0], 2);
        assert_eq!(task(&rows, TaskChoice::Classification).unwrap(), Task::Classification);
        let found = names(&rows).unwrap();
        assert_eq!(
            (&found[..], codes(&rows, &found).unwrap()),
            (&["0", "1"].map(String::from)[..], vec![1, 0, 1, 1])
        );
        let error = codes(&text(&["a", "c"]), &["a", "b"].map(String::from)).unwrap_err().to_string();
        assert!(error.contains("sample 2: the label \"c\" is out of range"), "{error}");
    }
}
