//! `rarefy predict`: a prediction for each sample of new data, or text that a language model writes. What stands in each row says
//! `table`; how rows are written is a value of `Format`, and each format a file.

mod csv;
mod format;
mod jsonl;
#[cfg(feature = "parquet")]
mod parquet;
mod table;

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use rarefy::data::text::TextCounts;
use rarefy::data::{self, DataSettings, KeptColumn, Loaded, SkippedFile, Task, UnknownCategories};
use rarefy::losses::Head;
use rarefy::report::decision_text;
use rarefy::train::{Model, Prediction};
use serde::Serialize;

use crate::apply::{
    MachineArgs, astray_text, by_flag, files_read, refuse_overwriting, skips_bad, streamed, write_output,
};
use crate::data::skipped_text;
use crate::generate::{self, GenerateArgs};
use crate::output::Output;
use format::Format;
use table::Table;

/// Arguments of `rarefy predict`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  rarefy predict runs/digits-1 new.npy
  rarefy predict runs/table-1 new.csv --probabilities --output predictions.csv
  rarefy predict runs/table-1 new.csv --keep id,name --format jsonl
  rarefy predict runs/table-1 new.parquet --output predictions.parquet
  rarefy predict runs/table-1 new.csv --json | jq '.predictions[0]'
  rarefy predict runs/speech-1 recording.wav
  rarefy predict runs/photos-1 photos --skip-bad
  rarefy predict runs/speeches-1 --generate --prompt 'My fellow' --tokens 300 --temperature 0.7

DATA needs no labels; if it has any they are not looked at. Data with a test part of its own gives that part. \
There is a line for each sample, in order: the columns that are kept, for images, recordings and text files the file, then the class, \
or 0 and 1 for each label, or the numbers, or what is said. Images, recordings and text files may be a folder, with or without a folder for each class, or a single file.

A language model (--task language-model) predicts no samples but writes text: --generate, in place of DATA. The same seed writes \
the same text.")]
pub struct PredictArgs {
    /// A run's folder or a .safetensors file with its config.json beside it
    model: PathBuf,
    /// digits, fashion-mnist, mnist, or a file or folder with the inputs that the model was trained on
    #[arg(required_unless_present = "generate", conflicts_with = "generate")]
    data: Option<String>,
    #[command(flatten)]
    generate: GenerateArgs,
    /// Write the predictions or the text to this file instead of stdout
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[arg(long, conflicts_with = "generate", value_parser = format::names(), help = format::help())]
    format: Option<String>,
    /// Columns of a table or keys of JSON lines to put beside the predictions, as in id,name [default: those that training was
    /// told to keep]
    #[arg(long, value_name = "COLUMN", value_delimiter = ',', conflicts_with = "generate")]
    keep: Vec<String>,
    /// Also give the probability of each class or label
    #[arg(long, conflicts_with = "generate")]
    probabilities: bool,
    /// Leave the prediction empty for images and recordings that cannot be read and texts that are empty, and say which; as
    /// always for a model that was trained so
    #[arg(long, conflicts_with = "generate")]
    skip_bad: bool,
    #[command(flatten)]
    machine: MachineArgs,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Answer<'a> {
    model: &'a Path,
    data: &'a str,
    samples: usize,
    outputs: &'a [String],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    files: Vec<&'a Path>,
    /// Columns of the data, a cell for each prediction.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    kept: &'a [KeptColumn],
    /// What could not be read; its prediction is null.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    skipped: &'a [SkippedFile],
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<TextCounts>,
    /// Table columns with categories that training had not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unknown_categories: Vec<UnknownCategories>,
    /// What looks wrong with the data.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<&'a Path>,
    #[serde(skip_serializing_if = "Option::is_none")]
    predictions: Option<Vec<Option<Prediction<'a>>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    probabilities: Option<Vec<Option<&'a [f32]>>>,
}

/// Predicts.
pub fn run(args: &PredictArgs, output: &Output) -> Result<()> {
    if let Some(file) = &args.output {
        refuse_overwriting(file, files_read(&args.model, args.data.as_deref()))?;
    }
    let model = args.machine.open(&args.model)?;
    let Some(data) = &args.data else {
        return generate::run(
            &args.generate,
            &args.model,
            &model,
            &args.machine,
            args.output.as_deref(),
            output,
        );
    };
    check(args, data, &model)?;
    let format = Format::chosen(args.format.as_deref(), args.output.as_deref())?;
    let preparation = &model.config.preparation;
    let skip_bad = skips_bad(&args.model, args.skip_bad);
    let loaded = match streamed(&args.model) {
        Some(settings) => {
            let settings = DataSettings { skip_bad, keep: args.keep.clone(), ..settings };
            data::load_streamed(preparation, &settings, data, false)
        }
        None => data::load_to_predict(preparation, data, &args.keep, skip_bad),
    };
    let loaded = loaded.map_err(by_flag)?;
    let Loaded { dataset, text, unknown, files, skipped, kept, notes } = loaded;
    if let Some(file) = &args.output {
        refuse_overwriting(file, &files)?;
    }
    text.iter().for_each(|counts| output.aside(&format!("text: {counts}")));
    unknown.iter().for_each(|found| output.aside(&format!("note: {found}")));
    notes.iter().for_each(|note| output.aside(&format!("note: {note}")));
    if !skipped.is_empty() {
        output.aside(&format!("{}\n  their predictions are left empty", skipped_text(&skipped)));
    }
    if !model.config.decision.is_default() {
        decision_text(model.config.decision, &preparation.classes).iter().for_each(|text| output.aside(text));
    }
    let (names, predictions) = (preparation.output_names(), model.predict_prepared(&dataset));
    dataset.check_read()?;
    astray_text(&predictions).iter().for_each(|text| output.aside(text));
    let table = Table::new(&predictions, preparation.task, &names, args.probabilities)
        .beside_files(&files, &skipped)
        .beside_columns(&kept)?;
    match &args.output {
        Some(path) => {
            write_output(path, |out| format.write(&table, out))?;
            output.say(&format!("{} predictions in {}", dataset.len(), path.display()));
        }
        None if !output.json => output.stream(|out| format.write(&table, out)),
        None => {}
    }
    output.json(&Answer {
        model: &args.model,
        data,
        samples: dataset.len(),
        outputs: &names,
        files: table.files(),
        kept: &kept,
        skipped: &skipped,
        text,
        unknown_categories: unknown,
        notes,
        output: args.output.as_deref(),
        predictions: args.output.is_none().then(|| table.predictions()),
        probabilities: (args.output.is_none() && args.probabilities).then(|| table.probabilities()),
    })
}

/// That the model gives what is asked for.
fn check(args: &PredictArgs, data: &str, model: &Model) -> Result<()> {
    let (name, task) = (args.model.display(), model.config.preparation.task);
    ensure!(
        task != Task::LanguageModel,
        "{name}: this is a language model, which predicts no samples; give --generate in place of {data} to write text, or take rarefy evaluate to score {data}"
    );
    ensure!(
        task != Task::Transcription || !args.probabilities,
        "{name}: this model gives texts, which have no probability for each label; leave --probabilities out"
    );
    let gives_probabilities = matches!(model.config.head, Head::Softmax | Head::Sigmoid);
    ensure!(
        gives_probabilities || !args.probabilities,
        "{name}: this model gives numbers, not probabilities; leave --probabilities out"
    );
    Ok(())
}
