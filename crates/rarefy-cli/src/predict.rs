//! `rarefy predict`: a prediction for each sample of new data, as CSV or JSON, or text that a language model writes.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use rarefy::data::text::TextCounts;
use rarefy::data::{Loaded, SkippedFile, Task, UnknownCategories};
use rarefy::losses::Head;
use rarefy::train::{Prediction, Predictions};
use serde::Serialize;

use crate::apply::{MachineArgs, load_new};
use crate::data::skipped_text;
use crate::generate::{self, GenerateArgs};
use crate::output::Output;

/// Arguments of `rarefy predict`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  rarefy predict runs/digits-1 new.npy
  rarefy predict runs/table-1 new.csv --probabilities --output predictions.csv
  rarefy predict runs/table-1 new.csv --json | jq '.predictions[0]'
  rarefy predict runs/speech-1 recording.wav
  rarefy predict runs/photos-1 photos --skip-bad
  rarefy predict runs/speeches-1 --generate --prompt 'My fellow' --tokens 300 --temperature 0.7

DATA needs no labels; if it has any they are not looked at. Data with a test part of its own gives that part. \
The CSV has a line for each sample, in order: for images, recordings and text files the file, then the class, or 0 and 1 for each \
label, or the numbers, or what is said. Images, recordings and text files may be a folder, with or without a folder for each class, or a single file.

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
    /// Write the CSV or the text to this file instead of stdout
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
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
    /// What could not be read; its prediction is null.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    skipped: &'a [SkippedFile],
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<TextCounts>,
    /// Table columns with categories that training had not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unknown_categories: Vec<UnknownCategories>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<&'a Path>,
    #[serde(skip_serializing_if = "Option::is_none")]
    predictions: Option<Vec<Option<Prediction<'a>>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    probabilities: Option<Vec<Option<&'a [f32]>>>,
}

/// Predicts.
pub fn run(args: &PredictArgs, output: &Output) -> Result<()> {
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
    let preparation = &model.config.preparation;
    ensure!(
        preparation.task != Task::LanguageModel,
        "{}: this is a language model, which predicts no samples; give --generate in place of {data} to write text, or take rarefy evaluate to score {data}",
        args.model.display()
    );
    ensure!(
        preparation.task != Task::Transcription || !args.probabilities,
        "{}: this model gives texts, which have no probability for each label; leave --probabilities out",
        args.model.display()
    );
    let gives_probabilities = matches!(model.config.head, Head::Softmax | Head::Sigmoid);
    ensure!(
        gives_probabilities || !args.probabilities,
        "{}: this model gives numbers, not probabilities; leave --probabilities out",
        args.model.display()
    );
    let Loaded { dataset, text, unknown, files, skipped } =
        load_new(&args.model, preparation, data, false, args.skip_bad)?;
    text.iter().for_each(|counts| output.aside(&format!("text: {counts}")));
    unknown.iter().for_each(|found| output.aside(&format!("note: {found}")));
    if !skipped.is_empty() {
        output.aside(&format!("{}\n  their predictions are left empty", skipped_text(&skipped)));
    }
    let (names, predictions) = (preparation.output_names(), model.predict_prepared(&dataset));
    let table = Table {
        task: preparation.task,
        files: &files,
        skipped: &skipped,
        names: &names,
        predictions: &predictions,
        probabilities: args.probabilities,
    };
    match &args.output {
        Some(path) => {
            let file = File::create(path).with_context(|| format!("{}: cannot write", path.display()))?;
            table
                .write_csv(std::io::BufWriter::new(file))
                .with_context(|| format!("{}: cannot write", path.display()))?;
            output.say(&format!("{} predictions in {}", dataset.len(), path.display()));
        }
        None if !output.json => output.stream(|out| table.write_csv(out)),
        None => {}
    }
    output.json(&Answer {
        model: &args.model,
        data,
        samples: dataset.len(),
        outputs: &names,
        files: table.files(),
        skipped: &skipped,
        text,
        unknown_categories: unknown,
        output: args.output.as_deref(),
        predictions: args.output.is_none().then(|| table.predictions()),
        probabilities: (args.output.is_none() && args.probabilities).then(|| table.probabilities()),
    })
}

/// Predictions, a row for each sample, and one without a prediction for what could not be read.
struct Table<'a> {
    task: Task,
    /// The file of each sample, for images, recordings and text files.
    files: &'a [PathBuf],
    skipped: &'a [SkippedFile],
    names: &'a [String],
    predictions: &'a Predictions<'a>,
    probabilities: bool,
}

impl<'a> Table<'a> {
    /// What each row is of: a sample, or what could not be read.
    fn rows(&self) -> impl Iterator<Item = std::result::Result<usize, &'a SkippedFile>> + use<'a> {
        let skipped: HashMap<usize, &SkippedFile> =
            self.skipped.iter().map(|file| (file.position, file)).collect();
        let mut samples = 0..self.predictions.len();
        (0..self.predictions.len() + skipped.len()).map(move |position| match skipped.get(&position) {
            Some(file) => Err(*file),
            None => Ok(samples.next().expect("a position is of a sample or of a file that was left out")),
        })
    }

    fn file(&self, row: std::result::Result<usize, &'a SkippedFile>) -> &'a Path {
        row.map_or_else(|skipped| &skipped.path, |sample| &self.files[sample])
    }

    /// The file of each row, if samples have files.
    fn files(&self) -> Vec<&'a Path> {
        self.rows().filter(|_| !self.files.is_empty()).map(|row| self.file(row)).collect()
    }

    fn probabilities(&self) -> Vec<Option<&'a [f32]>> {
        self.rows().map(|row| row.ok().map(|sample| self.predictions.scores_of(sample))).collect()
    }

    fn predictions(&self) -> Vec<Option<Prediction<'a>>> {
        self.rows().map(|row| row.ok().map(|sample| self.predictions.get(sample))).collect()
    }

    fn write_csv(&self, out: impl Write) -> std::io::Result<()> {
        let mut csv = csv::Writer::from_writer(out);
        let mut header: Vec<String> = match self.task {
            Task::Classification | Task::Transcription => vec!["prediction".into()],
            Task::MultiLabel => self.names.to_vec(),
            Task::Regression if self.names.len() == 1 => vec!["prediction".into()],
            Task::Regression | Task::LanguageModel => self.names.to_vec(),
        };
        if self.probabilities {
            header.extend(self.names.iter().map(|name| format!("probability_{name}")));
        }
        let width = header.len();
        if !self.files.is_empty() {
            header.insert(0, "file".into());
        }
        csv.write_record(&header).map_err(cause)?;
        for row in self.rows() {
            let file = (!self.files.is_empty()).then(|| self.file(row).display().to_string());
            let cells = row.map_or_else(|_| vec![String::new(); width], |sample| self.cells(sample));
            csv.write_record(file.into_iter().chain(cells)).map_err(cause)?;
        }
        csv.flush()
    }

    /// What stands in the row of a sample, besides its file.
    fn cells(&self, sample: usize) -> Vec<String> {
        let mut cells = match self.predictions.get(sample) {
            Prediction::Class(name) => vec![name.to_string()],
            Prediction::Text(said) => vec![said],
            Prediction::Number(number) => vec![number.to_string()],
            Prediction::Numbers(numbers) => numbers.iter().map(f64::to_string).collect(),
            // A column for each label.
            _ => {
                let scores = self.predictions.scores_of(sample);
                scores.iter().map(|&score| u8::from(score > 0.5).to_string()).collect()
            }
        };
        if self.probabilities {
            cells.extend(self.predictions.scores_of(sample).iter().map(f32::to_string));
        }
        cells
    }
}

/// The system's own error, so that a reader that has gone away is known as such.
fn cause(error: csv::Error) -> std::io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => std::io::Error::other(format!("{other:?}")),
    }
}
