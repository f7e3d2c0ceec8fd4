//! `rarefy evaluate`: how good a model is on labelled data.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail, ensure};
use rarefy::data::text::TextCounts;
use rarefy::data::{self, Format, Loaded, Part, Preparation, Targets, Task};
use rarefy::losses::Head;
use rarefy::metrics::{self, Answers, Found, Metric, Metrics};
use rarefy::report::{AnswerKind, amount, confusion_table, hits_table, metric_block, metric_rows, r2, table};
use rarefy::report::{decision_text, never_predicted, worse_than_mean};
use rarefy::train::{self, LanguageScore, Model, ModelConfig, Predictions, Score};
use serde::Serialize;
use serde_json::{Value, json};

use crate::apply::{MachineArgs, astray_text, load_new, run_settings, splits_of_run};
use crate::data::skipped_text;
use crate::output::Output;

/// Most classes, labels or outputs that get a line each.
const MOST_LINES: usize = 20;

/// Arguments of `rarefy evaluate`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  rarefy evaluate runs/digits-1                 the run's own test part, as at the end of training
  rarefy evaluate runs/digits-1 new.npz
  rarefy evaluate runs/table-1/model.safetensors table.csv --json
  rarefy evaluate runs/speeches-1 other.txt     perplexity and bits per character of a language model

DATA is read as the training data was: same columns, same scale, same classes. Data with a test part of its own \
(fashion-mnist, mnist, folders of IDX files, NPZ files with x_test, folders Train and Test, lists with a column \
split) is scored on that part, or on its validation part if it has that alone; other data on all its \
samples, those the model was trained on too. Without DATA the test part that training kept apart is scored.

The loss is the plain one for the model's outputs, without label smoothing or class weights; that of numbers is of targets \
as they were scaled for the network, RMSE, MAE and R2 are in the target's own unit.")]
pub struct EvaluateArgs {
    /// A run's folder or a .safetensors file with its config.json beside it
    model: PathBuf,
    /// digits, fashion-mnist, mnist, or a labelled file or folder; without it, the run's own test part
    data: Option<String>,
    /// Leave out images and recordings that cannot be read and texts that are empty, and say which; as always for a model that
    /// was trained so
    #[arg(long, requires = "data")]
    skip_bad: bool,
    #[command(flatten)]
    machine: MachineArgs,
}

/// Figures of each class, label or output, and those that the task alone has.
#[derive(Serialize)]
#[serde(untagged)]
enum Details {
    Classification(metrics::Classification),
    MultiLabel(metrics::MultiLabel),
    Regression(metrics::Regression),
    Language(Language),
    Transcription(Transcription),
}

/// The figures of what is said in recordings.
#[derive(Serialize)]
struct Transcription {
    /// Labels to be put in, left out or changed, for each of those there are.
    label_error_rate: f64,
    /// The share of samples without a wrong label.
    all_right: f64,
    labels: usize,
    edits: usize,
}

/// The figures of a language model.
#[derive(Serialize)]
struct Language {
    #[serde(flatten)]
    score: LanguageScore,
    /// The share of tokens that were the likeliest.
    accuracy: f64,
    tokens: usize,
    characters: usize,
}

/// What a model predicts, as far as the names of metrics depend on it.
pub fn answer_kind(preparation: &Preparation) -> AnswerKind {
    match preparation.task {
        Task::Classification if preparation.classes.len() == 2 => AnswerKind::TwoClasses,
        Task::Classification => AnswerKind::Classes,
        Task::MultiLabel => AnswerKind::Labels,
        Task::Regression | Task::Transcription | Task::LanguageModel => AnswerKind::Other,
    }
}

/// Evaluates.
pub fn run(args: &EvaluateArgs, output: &Output) -> Result<()> {
    let model = args.machine.open(&args.model)?;
    let preparation = &model.config.preparation;
    let (path, part, Loaded { dataset, text, unknown, skipped, notes: of_data, .. }) = samples(args, &model)?;
    let loss_name = loss_name(&model.config);
    let is_language = preparation.task == Task::LanguageModel;
    ensure!(
        !is_language || !dataset.is_empty(),
        "{path}: holds a single token, so there is none to predict; give more text"
    );
    train::check_transcripts(model.network(), preparation, &dataset, 0)?;
    let (score, predictions) = model.evaluate(&dataset);
    dataset.check_read()?;
    let answers = predictions.answers(&dataset, &score);
    let metrics = Metrics::of(&answers, &Metric::ALL);
    let details = measure(&answers, &score, &predictions, &dataset, text);
    let (names, precisions) = (preparation.output_names(), metrics::average_precisions(&answers));
    let (samples, kind) = (dataset.len(), answer_kind(preparation));
    let head = format!("{} on {path}, {part}: {samples} samples", args.model.display());
    let of_what = if preparation.target_scaler.is_none() { "" } else { " of scaled targets" };
    let loss_line = format!("loss ({loss_name}{of_what})  {}", number(score.loss()));
    let width = output.width();
    let lines = lines(&details, &names, &precisions, width);
    let parts = [head, totals(&metrics, &details, kind, width), loss_line, lines];
    output.show(&parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n\n"));
    if let Some(counts) = text {
        output.say(&format!("text: {counts}"));
    }
    let never: Vec<String> =
        answers.never_predicted().into_iter().map(|class| names[class].clone()).collect();
    notes(&model, &predictions, &metrics, &details, &never).iter().for_each(|note| output.say(note));
    unknown.iter().for_each(|found| output.say(&format!("note: {found}")));
    of_data.iter().for_each(|note| output.say(&format!("note: {note}")));
    if !skipped.is_empty() {
        output.say(&skipped_text(&skipped));
    }
    if args.data.is_some()
        && part == "all samples"
        && run_settings(&args.model).is_some_and(|settings| settings.data.path == path)
    {
        output.say(
            "note: these samples include those that the model was trained on; leave DATA out to score the test part alone",
        );
    }
    let mut object = json!({
        "model": args.model, "data": path, "part": part, "samples": samples, "task": preparation.task,
        "loss": score.loss(), "loss_method": loss_name,
    });
    if let Some(counts) = text {
        object["text"] = json!(counts);
    }
    if !skipped.is_empty() {
        object["skipped"] = json!(skipped);
    }
    if !unknown.is_empty() {
        object["unknown_categories"] = json!(unknown);
    }
    if !of_data.is_empty() {
        object["notes"] = json!(of_data);
    }
    add_decision(&mut object, &model.config);
    if !never.is_empty() {
        object["never_predicted"] = json!(never);
    }
    add_figures(
        &mut object,
        [serde_json::to_value(&details)?, serde_json::to_value(&metrics)?],
        &names,
        &precisions,
    )?;
    output.json(&object)
}

/// The samples to evaluate on, where they are from and which part of that they are.
fn samples(args: &EvaluateArgs, model: &Model) -> Result<(String, &'static str, Loaded)> {
    let preparation = &model.config.preparation;
    Ok(match &args.data {
        Some(path) => {
            let part = part_of(preparation, path)?;
            (path.clone(), part, load_new(&args.model, preparation, path, true, args.skip_bad)?)
        }
        None => {
            let (path, loaded) = test_part_of_run(&args.model, model)?;
            (path, "the run's test part", loaded)
        }
    })
}

fn loss_name(config: &ModelConfig) -> &'static str {
    match (config.preparation.task, config.head) {
        (Task::Transcription, _) => "ctc",
        (_, Head::Softmax) => "cross-entropy",
        (_, Head::Sigmoid) => "binary-cross-entropy",
        (_, Head::Identity) => "mean-squared-error",
    }
}

/// Which samples of new data a model is applied to.
fn part_of(preparation: &Preparation, path: &str) -> Result<&'static str> {
    // A table that names files is no list of them to a model of tables.
    if preparation.task == Task::LanguageModel || preparation.format() == Format::Csv {
        return Ok("all samples");
    }
    Ok(match data::part_for_model(path)? {
        Some(Part::Test) => "its test part",
        Some(Part::Validation) => "its validation part",
        Some(Part::Train) | None => "all samples",
    })
}

/// The test part that the run in this model's folder kept apart.
fn test_part_of_run(path: &Path, model: &Model) -> Result<(String, Loaded)> {
    let (name, splits) = splits_of_run(path, model, "give DATA to evaluate on")?;
    let text = splits.text.iter().find(|(part, _)| *part == "test").map(|(_, counts)| *counts);
    let of_test = splits.unknown.into_iter().filter(|(part, _)| *part == "test");
    let unknown = of_test.map(|(_, found)| found).collect();
    match splits.test {
        Some(dataset) => {
            Ok((name, Loaded { text, unknown, skipped: splits.skipped, ..Loaded::new(dataset) }))
        }
        None => bail!("{name}: the run kept no test part apart; give DATA to evaluate on"),
    }
}

fn measure(
    answers: &Answers<'_>,
    score: &Score,
    predictions: &Predictions,
    dataset: &data::Dataset,
    text: Option<TextCounts>,
) -> Details {
    let weights = answers.weights;
    match (&answers.found, &dataset.targets) {
        (Found::Classes { scores, classes, labels, decision, .. }, _) => {
            Details::Classification(metrics::classification(scores, *classes, labels, *decision, weights))
        }
        (Found::Labels { scores, outputs, targets, .. }, _) => {
            Details::MultiLabel(metrics::multi_label(scores, *outputs, targets, 0.5, weights))
        }
        (Found::Numbers { predictions, outputs, targets, .. }, _) => {
            Details::Regression(metrics::regression(predictions, *outputs, targets, weights))
        }
        (_, Targets::Sequences { labels, offsets, .. }) => {
            let expected = offsets.windows(2).map(|ends| &labels[ends[0]..ends[1]]);
            let weight = |sample: usize| f64::from(dataset.weight(sample));
            let right = predictions.transcripts().iter().zip(expected).enumerate();
            let right = right.filter(|(_, (said, expected))| said == expected);
            Details::Transcription(Transcription {
                label_error_rate: score.label_error_rate(),
                all_right: right.map(|(sample, _)| weight(sample)).sum::<f64>()
                    / (0..predictions.len()).map(weight).sum::<f64>(),
                labels: score.labels as usize,
                edits: score.edits as usize,
            })
        }
        _ => {
            let characters = text.expect("the texts of a language model are counted").characters;
            Details::Language(Language {
                score: LanguageScore::new(score, characters),
                accuracy: score.accuracy(),
                tokens: score.samples as usize,
                characters,
            })
        }
    }
}

/// What figures are of, and what is to be known about them.
fn notes(
    model: &Model,
    predictions: &Predictions<'_>,
    metrics: &Metrics,
    details: &Details,
    never: &[String],
) -> Vec<String> {
    let ModelConfig { preparation, decision, .. } = &model.config;
    let has_two = answer_kind(preparation) == AnswerKind::TwoClasses;
    let notes = [
        has_two.then(|| decision_text(*decision, &preparation.classes)).flatten(),
        worse_than_mean(metrics.get(Metric::R2)).map(String::from),
        never_predicted(never),
        absent_classes(details),
        astray_text(predictions),
    ];
    notes.into_iter().flatten().collect()
}

/// What macro F1 means where some classes have no sample.
fn absent_classes(details: &Details) -> Option<String> {
    let (hits, what) = match details {
        Details::Classification(found) => (&found.per_class, "classes"),
        Details::MultiLabel(found) => (&found.per_label, "labels"),
        Details::Regression(_) | Details::Language(_) | Details::Transcription(_) => return None,
    };
    let absent = hits.iter().filter(|hits| hits.support == 0).count();
    (absent > 0).then(|| {
        format!(
            "note: {absent} of {} {what} have no sample here; macro F1 takes those of them that were predicted as 0, and leaves the others out",
            hits.len()
        )
    })
}

/// All metrics, and what the task has besides.
fn totals(metrics: &Metrics, details: &Details, kind: AnswerKind, width: usize) -> String {
    let mut rows = metric_rows(metrics, kind);
    let mut add = |name: &str, value: String| rows.push((name.to_string(), value));
    match details {
        Details::Classification(found) => {
            if let Some(accuracy) = found.top5_accuracy {
                add("top-5 accuracy", percent(accuracy));
            }
            if kind == AnswerKind::TwoClasses {
                add("macro F1", percent(found.macro_f1));
            }
        }
        Details::MultiLabel(found) => add("micro F1", percent(found.micro_f1)),
        Details::Regression(_) => {}
        Details::Language(found) => {
            add("bits per character", number(found.score.bits_per_character));
            add("perplexity of a token", number(found.score.perplexity));
        }
        Details::Transcription(found) => {
            add("wrong labels", found.edits.to_string());
            add("labels", found.labels.to_string());
            add("all labels right", percent(found.all_right));
        }
    }
    metric_block(&rows, width)
}

/// A line for each class, label or output, and for few classes the confusion matrix.
fn lines(details: &Details, names: &[String], precisions: &[Option<f64>], width: usize) -> String {
    let has_lines = !matches!(details, Details::Language(_) | Details::Transcription(_));
    if names.len() > MOST_LINES && has_lines {
        return format!(
            "{} classes, labels or outputs: too many for a line each; --json has all",
            names.len()
        );
    }
    match details {
        Details::Classification(found) => {
            let hits = hits_table("class", names, &found.per_class, precisions).text(width);
            match &found.confusion {
                Some(confusion) => format!("{hits}\n\n{}", confusion_table(names, confusion).text(width)),
                None => hits,
            }
        }
        Details::MultiLabel(found) => hits_table("label", names, &found.per_label, precisions).text(width),
        Details::Regression(found) => {
            let rows = names.iter().zip(&found.per_output).map(|(name, errors)| {
                vec![name.clone(), amount(errors.rmse), amount(errors.mae), r2(errors.r2)]
            });
            table(&["output", "RMSE", "MAE", "R2"], rows).text(width)
        }
        // A line for each token or unit would say little.
        Details::Language(_) | Details::Transcription(_) => String::new(),
    }
}

/// Adds which of two classes is the positive one, and when it is predicted.
fn add_decision(object: &mut Value, config: &ModelConfig) {
    if answer_kind(&config.preparation) == AnswerKind::TwoClasses {
        object["positive"] = json!(config.preparation.classes[config.decision.positive]);
        object["threshold"] = json!(config.decision.threshold);
    }
}

/// Adds all figures to the object; each entry of a list gets its name, and where there are such its average precision.
fn add_figures(
    object: &mut Value,
    figures: [Value; 2],
    names: &[String],
    precisions: &[Option<f64>],
) -> Result<()> {
    for figures in figures {
        let Value::Object(figures) = figures else { bail!("figures are an object") };
        for (key, mut value) in figures {
            let name_key = match key.as_str() {
                "per_class" => "class",
                "per_label" => "label",
                _ => "output",
            };
            if let (true, Value::Array(entries)) = (key.starts_with("per_"), &mut value) {
                for (place, (entry, name)) in entries.iter_mut().zip(names).enumerate() {
                    entry[name_key] = json!(name);
                    if let Some(precision) = precisions.get(place) {
                        entry["average_precision"] = json!(precision);
                    }
                }
            }
            object[key] = value;
        }
    }
    Ok(())
}

fn percent(part: f64) -> String {
    format!("{:.2} %", 100.0 * part)
}

fn number(value: f64) -> String {
    format!("{value:.4}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_without_a_sample_are_told() {
        // Of three classes the samples are of the first two; one is taken for the third.
        let scores = [1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0];
        let found = |labels: &[u32]| {
            Details::Classification(metrics::classification(
                &scores,
                3,
                labels,
                metrics::Decision::default(),
                None,
            ))
        };
        let note = absent_classes(&found(&[0, 1, 1])).unwrap();
        assert!(note.starts_with("note: 1 of 3 classes have no sample here"), "{note}");
        assert_eq!(absent_classes(&found(&[0, 1, 2])), None);
    }
}
