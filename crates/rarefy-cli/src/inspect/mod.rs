//! `rarefy inspect`: what a model is made of and how it came about, or what a network would be.

pub mod inputs;
mod network;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rarefy::data::Task;
use rarefy::layers::{Precision, Role};
use rarefy::losses::Head;
use rarefy::report::{LayerReport, amount, layer_table, sparsity};
use rarefy::train::{Model, Settings};
use serde::Serialize;
use serde_json::Value;

use crate::apply::{model_folder, open_model, targets_text};
use crate::data::task_text;
use crate::output::Output;

/// Arguments of `rarefy inspect`.
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("subject").args(["network", "inputs"]), after_help = "\
Examples:
  rarefy inspect runs/digits-1
  rarefy inspect model.safetensors --json | jq '.layers[] | {name, density}'
  rarefy inspect runs/table-1 --inputs         which columns are used, and what each is worth
  rarefy inspect runs/table-1 --inputs --data new.csv --csv inputs.csv
  rarefy inspect --network lenet5 --shape 28,28,1 --outputs 10 --density 0.05
  rarefy inspect --network char-transformer --shape 128,1 --vocabulary 96 --outputs 128,96
  rarefy inspect --network net.toml --data digits
  rarefy inspect --network lenet5 --data mnist --toml > net.toml

Fan-in is how many inputs a unit listens to. An input or output is dead if no weight other than 0 touches it: a dead \
input is never looked at, a dead output is the same for every sample. In a run's folder the settings, the machine \
and the epochs are shown too. FLOP are those of a prediction, two for each weight as often as it is used.")]
pub struct InspectArgs {
    /// A run's folder or a .safetensors file with its config.json beside it
    #[arg(required_unless_present = "network", conflicts_with = "network")]
    path: Option<PathBuf>,
    #[command(flatten)]
    inputs: inputs::InputsArgs,
    #[command(flatten)]
    network: network::NetworkArgs,
}

#[derive(Serialize)]
struct Inspection {
    path: PathBuf,
    rarefy: String,
    format: u32,
    task: Task,
    inputs: usize,
    outputs: usize,
    classes: Vec<String>,
    head: Head,
    layers: Vec<LayerReport>,
    nnz: usize,
    cells: usize,
    sparsity: f64,
    biases: usize,
    model_bytes: u64,
    precision: Precision,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<Training>,
}

/// How a run trained the model, from the files beside it.
#[derive(Serialize)]
struct Training {
    settings: Settings,
    environment: Value,
    epochs: usize,
    last: Option<Value>,
    best: Option<Value>,
}

/// Inspects.
pub fn run(args: &InspectArgs, output: &Output) -> Result<()> {
    match &args.path {
        Some(path) if args.inputs.is_asked() => inputs::run(path, args.network.data(), &args.inputs, output),
        Some(path) => inspect_model(path, output),
        None => network::run(&args.network, output),
    }
}

fn inspect_model(path: &Path, output: &Output) -> Result<()> {
    let model = open_model(path)?;
    let file = if path.is_dir() { path.join("model.safetensors") } else { path.to_path_buf() };
    let model_bytes =
        std::fs::metadata(&file).with_context(|| format!("{}: cannot read", file.display()))?.len();
    let preparation = &model.config.preparation;
    let found = Inspection {
        rarefy: model.config.rarefy.clone(),
        format: model.config.format,
        task: preparation.task,
        inputs: preparation.shape.features(),
        outputs: preparation.outputs,
        classes: preparation.classes.clone(),
        head: model.config.head,
        layers: LayerReport::of(model.network()),
        nnz: model.network().connections().0,
        cells: model.cells(),
        sparsity: model.sparsity(),
        biases: model
            .network()
            .parameters()
            .filter(|part| part.role == Role::Bias)
            .map(|part| part.weights.nnz())
            .sum(),
        model_bytes,
        precision: model.network().precision(),
        run: training(&model_folder(path))?,
        path: path.to_path_buf(),
    };
    output.show(&text(&found, &model, output.width()));
    output.json(&found)
}

/// What the run's files tell; `None` where there is no run.
fn training(folder: &Path) -> Result<Option<Training>> {
    let read = |name: &str| {
        let path = folder.join(name);
        let text = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other.with_context(|| format!("{}: cannot read", path.display()))?,
        };
        anyhow::Ok(Some(text))
    };
    let broken = |name: &str| format!("{}: is damaged", folder.join(name).display());
    let Some(settings) = read("config.toml")? else { return Ok(None) };
    let settings = toml::from_str(&settings).with_context(|| broken("config.toml"))?;
    let environment = match read("environment.json")? {
        Some(text) => serde_json::from_str(&text).with_context(|| broken("environment.json"))?,
        None => Value::Null,
    };
    let metrics = read("metrics.jsonl")?.unwrap_or_default();
    let epochs: Vec<Value> = metrics
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()
        .with_context(|| broken("metrics.jsonl"))?;
    Ok(Some(Training {
        settings,
        environment,
        last: epochs.last().cloned(),
        best: epochs.iter().rfind(|epoch| epoch["best"] == true).cloned(),
        epochs: epochs.len(),
    }))
}

fn text(found: &Inspection, model: &Model, width: usize) -> String {
    let left: usize = found.layers.iter().map(|layer| layer.outputs * layer.inputs).sum();
    let removed = if left < found.cells {
        format!("\n{} cells left the model with neurons that had lost their connections", found.cells - left)
    } else {
        String::new()
    };
    let rounded = match found.precision {
        Precision::F32 => "",
        Precision::Bf16 => "\nproducts read bf16: weights, as stored, are rounded for them",
    };
    let mut parts = vec![
        format!("{}: written by rarefy {}, format {}", found.path.display(), found.rarefy, found.format),
        layer_table(&found.layers).text(width),
        format!(
            "{} of {} weights, {} sparse, and {} biases; {} bytes on disk{removed}{rounded}",
            found.nnz,
            found.cells,
            sparsity(found.sparsity),
            found.biases,
            found.model_bytes
        ),
        data_text(found, model),
    ];
    parts.extend(found.run.as_ref().map(run_text));
    parts.join("\n\n")
}

fn data_text(found: &Inspection, model: &Model) -> String {
    let preparation = &model.config.preparation;
    let task = task_text(found.task, found.outputs);
    let listed: Vec<&str> = found.classes.iter().take(10).map(String::as_str).collect();
    let classes = match (found.classes.len(), listed.join(", ")) {
        (0, _) => String::new(),
        (1..=10, listed) => format!(": {listed}"),
        (_, listed) => format!(": {listed}, ..."),
    };
    let columns = match preparation.columns.len() {
        0 => String::new(),
        count => format!(" from {count} columns"),
    };
    let constant = match preparation.constant_inputs {
        0 => String::new(),
        count => format!(", {count} constant in training"),
    };
    let targets = match targets_text(preparation) {
        Some(text) => format!("\ntargets   {text}"),
        None => String::new(),
    };
    format!("task      {task}{classes}{targets}\ninputs    {}{columns}{constant}", found.inputs)
}

fn run_text(run: &Training) -> String {
    let settings = &run.settings;
    let (method, optimizer) = (settings.topology.method.name(), settings.optimizer.method.name());
    let batch = settings.train.batch_size.map_or("-".to_string(), |size| size.to_string());
    let mut lines = vec![
        format!("data      {}, seed {}", settings.data.path, settings.seed),
        format!(
            "trained   {} of {} epochs, batch {batch}, {optimizer}, {method}, density {}",
            run.epochs, settings.train.epochs, settings.sparsity.density
        ),
    ];
    let epoch = |title: &str, record: &Value| {
        let number: fn(f64) -> String = |value| format!("{value:.4}");
        let figures = [
            ("train loss", "train_loss", number),
            ("validation loss", "validation_loss", number),
            ("validation accuracy", "validation_accuracy", number),
            ("validation RMSE", "validation_rmse", amount),
            ("validation R2", "validation_r2", number),
        ];
        let shown = figures
            .iter()
            .filter_map(|(name, key, text)| Some(format!("{name} {}", text(record[*key].as_f64()?))));
        format!("{title:8}  epoch {}: {}", record["epoch"], shown.collect::<Vec<_>>().join(", "))
    };
    lines.extend(run.best.as_ref().map(|record| epoch("best", record)));
    lines.extend(run.last.as_ref().map(|record| epoch("last", record)));
    if let Some(processor) = run.environment["processor"].as_str() {
        let (isa, threads) = (&run.environment["isa"], &run.environment["threads"]);
        lines.push(format!("machine   {processor}, {}, {threads} threads", isa.as_str().unwrap_or("-")));
    }
    lines.join("\n")
}
