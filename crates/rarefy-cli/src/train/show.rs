//! What a run shows: where it starts from, and at its end a table against the dense twin and what to do next.

use std::collections::HashSet;
use std::path::Path;

use rarefy::data::Task;
use rarefy::names::shell_word;
use rarefy::penalties::{ConstraintMethod, PenaltyMethod};
use rarefy::report::{AnswerKind, InputReport, Summary, count, decision_text, metric_block, metric_rows};
use rarefy::report::{never_predicted, sparsity, table, worse_than_mean};
use rarefy::sparse::BREAK_EVEN_DENSITY;
use rarefy::train::{Ending, Model, ModelConfig, Settings, Trainer};
use rarefy_mpi::Job;

use crate::apply::targets_text;
use crate::data::{skipped_text, table_text};
use crate::evaluate::answer_kind;
use crate::inspect::inputs;
use crate::network;
use crate::output::Output;

/// A density for people.
fn short(density: f64) -> String {
    if density < 1e-3 { format!("{density:.2e}") } else { format!("{density:.4}") }
}

/// What the network is to end as.
fn wanted(settings: &Settings) -> String {
    let target = &settings.target;
    let budgets = [("weights", target.nnz), ("bytes", target.bytes), ("operations", target.flops)];
    let sparsity = target.sparsity.map(|sparsity| format!("sparsity {sparsity}"));
    let budgets = budgets.iter().filter_map(|(unit, asked)| Some(format!("at most {} {unit}", (*asked)?)));
    let bounds: Vec<String> = sparsity.into_iter().chain(budgets).collect();
    let shrinks = settings.penalty.method != PenaltyMethod::None
        || settings.constraint.method != ConstraintMethod::None;
    if !bounds.is_empty() {
        format!("{} at the end", bounds.join(", "))
    } else if shrinks {
        "at the end those that are not zero".into()
    } else {
        format!("density {} at the end", short(settings.sparsity.density))
    }
}

/// Seconds of an update of connections that are worth a word.
const LONG_UPDATE: f64 = 1.0;

/// Which ranks train, and what the launcher has done wrong.
pub fn describe_ranks(job: &Job, output: &Output) {
    let places = job.places();
    if places.len() > 1 {
        let hosts: HashSet<&str> = places.iter().map(|place| place.host.as_str()).collect();
        let hosts = if hosts.len() == 1 { "one host".into() } else { format!("{} hosts", hosts.len()) };
        output.say(&format!("{} ranks on {hosts}", places.len()));
    }
    job.warning().iter().for_each(|warning| output.say(&format!("warning: {warning}")));
}

/// Who goes on after a loss, and from where.
pub fn describe_rest(run: &Trainer, job: &Job, output: &Output) {
    let (ranks, step) = (job.places().len(), run.steps_done());
    let from = if step == 0 { "the start".into() } else { format!("step {step}") };
    output.say(&match ranks {
        1 => format!("one rank goes on from {from}"),
        _ => format!("{ranks} ranks go on from {from}"),
    });
}

/// What is trained, on what.
pub fn describe_start(run: &Trainer, directory: &Path, output: &Output) {
    let (splits, settings) = (run.splits(), run.settings());
    let samples = |part: &Option<rarefy::data::Dataset>| part.as_ref().map_or(0, |part| part.len());
    let (nnz, cells) = run.network().connections();
    output.say(&format!(
        "{}: {} training, {} validation, {} test samples, {} inputs, {} outputs",
        settings.data.path,
        splits.train.len(),
        samples(&splits.validation),
        samples(&splits.test),
        splits.train.shape,
        splits.train.targets.outputs()
    ));
    if let Some(dialect) = splits.preparation.dialect() {
        output.say(&table_text(dialect, &splits.preparation.labels(), &settings.data));
    }
    for note in run.notes().iter().chain(&splits.notes) {
        output.say(&format!("note: {note}"));
    }
    for (part, found) in &splits.unknown {
        output.say(&format!("note: {part} part, {found}"));
    }
    for (part, counts) in &splits.text {
        output.say(&format!("{part} text: {counts}"));
    }
    if !splits.skipped.is_empty() {
        output.say(&skipped_text(&splits.skipped));
    }
    if splits.preparation.constant_inputs > 0 {
        output.say(&format!(
            "note: {} inputs are constant in the training part",
            splits.preparation.constant_inputs
        ));
    }
    targets_text(&splits.preparation).iter().for_each(|text| output.say(&format!("targets {text}")));
    let method = settings.topology.method.name();
    let trained = run.network();
    output.say(&format!(
        "network {}: {} to {}, method {method}, seed {}",
        network::name(&settings.network),
        trained.spec().inputs,
        trained.output(),
        settings.seed
    ));
    output.say(&format!("{nnz} of {cells} weights at the start, {}", wanted(settings)));
    let layers = network::table(trained.figures().iter().filter(|layer| layer.cells > 0));
    output.say(&layers.text(output.width()));
    output.say(&format!("{} threads, {}, run {}", run.threads(), run.isa(), directory.display()));
    if let Some(updates) = run.dense_updates().filter(|updates| updates.seconds > LONG_UPDATE) {
        output.say(&format!(
            "note: {method} looks at {} absent connections at each of {} updates, about {:.0} s each, {:.0} min in all; --method gse looks at a sample of them",
            count(updates.cells - nnz),
            updates.updates,
            updates.seconds,
            updates.updates as f64 * updates.seconds / 60.0
        ));
    }
    if run.epochs_done() > 0 {
        output.say(&format!("going on after epoch {}", run.epochs_done()));
    }
}

/// Columns of a table that its end names.
const MOST_COLUMNS: usize = 5;

/// Operations that measuring what columns are worth may take: a second or two.
const OPERATIONS: usize = 10_000_000_000;

/// Samples below which that says little.
const FEW: usize = 100;

/// How many columns of a table the model uses, and which are worth most; nothing of other samples, whose inputs have no names.
fn inputs_text(run: &Trainer, model: &Model, directory: &str, width: usize) -> Option<String> {
    let preparation = &model.config.preparation;
    if preparation.columns.is_empty() || preparation.text().is_some() {
        return None;
    }
    let mut report = InputReport::of(model).ok().filter(|report| report.by == "feature")?;
    let affordable = OPERATIONS / (report.used * inputs::REPEATS * model.network().flops()).max(1);
    let validation = run.splits().validation.as_ref().filter(|part| affordable.min(part.len()) >= FEW);
    let most = affordable.min(inputs::MOST_SAMPLES);
    // Where it cannot be measured `inspect` says why.
    let measured =
        validation.and_then(|part| run.in_pool(|| inputs::measure(&mut report, model, part, most)).ok());
    let worth = match (&report.score, measured) {
        (Some(score), Some(samples)) => format!(
            "; importance is what shuffling costs in {}, on {samples} validation samples\n{}",
            score.name,
            report.table(MOST_COLUMNS).text(width)
        ),
        _ => String::new(),
    };
    let (used, all) = (report.used, report.inputs);
    Some(format!("\n{used} of {all} columns are used{worth}\nall      rarefy inspect {directory} --inputs"))
}

/// The table, and what to do next.
pub fn describe_end(run: &Trainer, model: &Model, directory: &Path, summary: &Summary, output: &Output) {
    let (sparse, dense) = (&summary.figures, &summary.dense_twin);
    let ending = match summary.ending {
        Ending::Finished => format!("done after {} epochs", sparse.epochs.unwrap_or(0)),
        Ending::EarlyStopped => format!("stopped early after {} epochs", sparse.epochs.unwrap_or(0)),
        Ending::Emptied => format!("ended in epoch {}", sparse.epochs.unwrap_or(0) + 1),
        Ending::Interrupted => format!("interrupted after {} whole epochs", sparse.epochs.unwrap_or(0)),
    };
    let best = sparse
        .best_epoch
        .map_or(String::new(), |epoch| format!(" (model of epoch {epoch}, the best on validation)"));
    output.say(&format!("\n{ending}{best}, {} sparse", sparsity(sparse.sparsity)));
    let rows = summary.gains().into_iter().map(Vec::from);
    output.say(&table(&["", "sparse", "dense twin", "gain"], rows).text(output.width()));
    worse_than_mean(sparse.test_r2).into_iter().for_each(|note| output.say(note));
    if dense.not_timed.is_some() {
        output.say("dense twin: the same network in this engine's dense storage, counted and not built");
    } else if dense.epochs.is_none() {
        output.say(
            "dense twin: the same network in this engine's dense storage, its steps timed in turn with those of the sparse one as \
             it ended; it was not trained, --baseline does that to compare accuracies",
        );
    }
    if sparse.step_ms.zip(dense.step_ms).is_some_and(|(sparse, dense)| sparse > dense) {
        let density = 1.0 - sparse.sparsity;
        output.say(&if density > BREAK_EVEN_DENSITY {
            format!(
                "sparse was slower: compressed storage pays below a density of about {BREAK_EVEN_DENSITY}, this run has {density:.2}"
            )
        } else {
            "sparse was slower: layers this small spend their time outside of products; wider layers gain".to_string()
        });
    }
    describe_metrics(summary, &model.config, output);
    let (directory, name) = (shell_word(&directory.to_string_lossy()), directory.display());
    inputs_text(run, model, &directory, output.width()).into_iter().for_each(|text| output.say(&text));
    output.say(&format!("\nmodel    {name}/model.safetensors\nmetrics  {name}/metrics.jsonl"));
    output.say(&match summary.ending {
        Ending::Interrupted => format!("next     rarefy train --resume {directory}"),
        _ => {
            let predict = match run.splits().preparation.task {
                Task::LanguageModel => "--generate",
                _ => &shell_word(&run.settings().data.path),
            };
            format!(
                "next     rarefy evaluate {directory}\n         rarefy predict {directory} {predict}\n         rarefy inspect {directory}"
            )
        }
    });
}

/// The metrics of the test part, what they are of, and a class that is never found.
fn describe_metrics(summary: &Summary, model: &ModelConfig, output: &Output) {
    let preparation = &model.preparation;
    let kind = answer_kind(preparation);
    let rows = metric_rows(&summary.figures.test_metrics, kind);
    // A single one stands in the table.
    if rows.len() > 1 {
        output.say(&format!("\non the test part\n{}", metric_block(&rows, output.width())));
    }
    if !rows.is_empty() && kind == AnswerKind::TwoClasses {
        decision_text(model.decision, &preparation.classes).iter().for_each(|text| output.say(text));
    }
    never_predicted(&summary.figures.never_predicted).iter().for_each(|note| output.say(note));
}
