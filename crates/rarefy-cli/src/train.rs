//! `rarefy train`: settings in, a run with progress, and at its end an honest table against the dense twin.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rarefy::control::parse_target;
use rarefy::data::Task;
use rarefy::sparse::BREAK_EVEN_DENSITY;
use rarefy::topology::Method;
use rarefy::train::{
    Control, Ending, EpochRecord, Event, Outcome, Run, Settings, free_run_directory, peak_rss_bytes,
    processor, time_inference,
};
use serde::Serialize;

use crate::config::Config;
use crate::output::{Output, table};

/// The help of `--method`, which names all methods there are.
fn method_help() -> String {
    format!(
        "Topology method: {} [default: {}]",
        Method::ALL.map(Method::name).join(", "),
        Method::default().name()
    )
}

/// Arguments of `rarefy train`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  rarefy train digits                          the built-in data, offline, in seconds
  rarefy train fashion-mnist --sparsity 0.95 --hidden 1024,1024
  rarefy train table.csv --label price --set data.task=regression
  rarefy train --config run.toml --set optimizer.learning_rate=0.01
  rarefy train --resume runs/digits-1          go on where a run stopped

Settings come from defaults < --config file < --set < flags; --print-config shows the result.")]
pub struct TrainArgs {
    /// digits, fashion-mnist, mnist, or a file or folder (CSV, IDX, NPY, NPZ)
    data: Option<String>,
    /// A TOML file with settings
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One setting, as in optimizer.momentum=0.9; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Share of connections that do not exist
    #[arg(long, conflicts_with = "density")]
    sparsity: Option<f64>,
    /// Share of connections that exist [default: 0.1]
    #[arg(long)]
    density: Option<f64>,
    #[arg(long, help = method_help())]
    method: Option<String>,
    /// Penalty: l1, elastic-net, group-neurons, group-inputs, mcp, l-half, l1-subgradient; starts dense unless told
    /// otherwise [default: none]
    #[arg(long)]
    penalty: Option<String>,
    /// The penalty's strength [default: 1e-4]
    #[arg(long, requires = "penalty")]
    lambda: Option<f64>,
    /// What the network is to end as: sparsity=0.98, nnz=50k, bytes=60kB or flops=2M; with a penalty its lambda is
    /// steered there
    #[arg(long, value_name = "KEY=VALUE")]
    target: Option<String>,
    /// Units of each hidden layer, as in 256,256
    #[arg(long, value_delimiter = ',')]
    hidden: Option<Vec<i64>>,
    /// Optimizer: sgd, adam, adamw, rmsprop, adagrad, prodigy, schedule-free-sgd, schedule-free-adamw, armijo,
    /// barzilai-borwein, and with --penalty l1: linbreg, adabreg [default: adam]
    #[arg(long)]
    optimizer: Option<String>,
    /// The base learning rate, or auto for an optimizer that finds it [default: the optimizer's own]
    #[arg(long, value_parser = learning_rate)]
    learning_rate: Option<toml::Value>,
    /// Passes over the training part
    #[arg(long)]
    epochs: Option<i64>,
    /// Samples of a mini-batch
    #[arg(long)]
    batch_size: Option<i64>,
    /// Label column of a CSV file, by name or position from 1
    #[arg(long)]
    label: Option<String>,
    /// Names all random draws
    #[arg(long)]
    seed: Option<i64>,
    /// Threads; 0 for one per core
    #[arg(long)]
    threads: Option<i64>,
    /// Instruction set: auto, scalar, avx2, avx512, neon
    #[arg(long)]
    isa: Option<String>,
    /// The run's folder [default: runs/DATA-N]
    #[arg(long, value_name = "DIR")]
    run_dir: Option<PathBuf>,
    /// Go on with a run from its last checkpoint, bit for bit
    #[arg(long, value_name = "DIR", conflicts_with_all = ["data", "config", "run_dir", "print_config"])]
    resume: Option<PathBuf>,
    /// Train the dense twin too, so that the table compares accuracies
    #[arg(long)]
    baseline: bool,
    /// Print the settings as resolved and stop
    #[arg(long)]
    print_config: bool,
}

/// A run's figures, or its twin's where they were measured.
#[derive(Debug, Clone, Default, Serialize)]
struct Figures {
    nnz: usize,
    sparsity: f64,
    parameters: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    epochs: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    best_epoch: Option<u64>,
    seconds_per_epoch: Option<f64>,
    step_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peak_rss_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    test_accuracy: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    test_loss: Option<f64>,
    inference_1_ms: f64,
    inference_256_ms: f64,
    training_bytes: usize,
    model_bytes: usize,
}

#[derive(Serialize)]
struct Summary {
    run_dir: PathBuf,
    ending: Ending,
    seed: u64,
    threads: usize,
    isa: &'static str,
    processor: String,
    #[serde(flatten)]
    figures: Figures,
    dense_twin: Figures,
}

/// Trains.
pub fn run(args: &TrainArgs, output: &Output) -> Result<()> {
    let (mut run, directory) = match &args.resume {
        Some(directory) => (resume(args, directory)?, directory.clone()),
        None => {
            let settings = settings(args)?;
            if args.print_config {
                output.answer(&toml::to_string(&settings)?);
                return Ok(());
            }
            let directory = args.run_dir.clone().unwrap_or_else(|| default_directory(&settings));
            (Run::start(settings, Some(&directory))?, directory)
        }
    };
    describe_start(&run, &directory, output);
    let interrupted = watch_for_interrupt()?;
    let mut progress = Progress::new(&run, output);
    let outcome = run.train(&mut |event| {
        progress.show(&event);
        if interrupted.load(Ordering::Relaxed) { Control::Stop } else { Control::Continue }
    });
    progress.finish();
    let outcome = outcome?;
    let summary = summarise(args, &mut run, &directory, &outcome, interrupted, output)?;
    describe_end(&run, &summary, args, output);
    let value = serde_json::to_value(&summary)?;
    std::fs::write(directory.join("summary.json"), format!("{value:#}\n"))
        .with_context(|| format!("{}: cannot write the summary", directory.display()))?;
    output.json(&value)
}

fn settings(args: &TrainArgs) -> Result<Settings> {
    let mut config = Config::defaults();
    if let Some(path) = &args.config {
        config.file(path)?;
    }
    for assignment in &args.set {
        config.set(assignment)?;
    }
    if let Some(sparsity) = args.sparsity {
        let hint = if sparsity > 1.0 && sparsity < 100.0 {
            format!("; did you mean {}?", sparsity / 100.0)
        } else {
            String::new()
        };
        ensure!((0.0..1.0).contains(&sparsity), "--sparsity {sparsity}: is not from 0 to below 1{hint}");
    }
    // Through the decimal text: 1 - 0.95 is not 0.05 in binary.
    let density = args.sparsity.map(|sparsity| ((1.0 - sparsity) * 1e12).round() / 1e12).or(args.density);
    config.flag("data.path", args.data.clone());
    config.flag("data.label", args.label.clone().map(|label| vec![label]));
    config.flag("sparsity.density", density);
    config.flag("topology.method", args.method.clone());
    config.flag("network.hidden", args.hidden.clone());
    config.flag("optimizer.method", args.optimizer.clone());
    config.flag("optimizer.learning_rate", args.learning_rate.clone());
    config.flag("train.epochs", args.epochs);
    config.flag("train.batch_size", args.batch_size);
    config.flag("penalty.method", args.penalty.clone());
    config.flag("penalty.lambda", args.lambda);
    if let Some(target) = &args.target {
        let (key, number) = parse_target(target)?;
        match key.as_str() {
            "target.sparsity" => config.flag(&key, Some(number)),
            _ => config.flag(&key, Some(number as i64)),
        }
    }
    config.flag("seed", args.seed);
    config.flag("threads", args.threads);
    config.flag("isa", args.isa.clone());
    let settings = config.settings()?;
    settings.check()?;
    Ok(settings)
}

/// A number or `auto`.
fn learning_rate(text: &str) -> Result<toml::Value, String> {
    match (text, text.parse::<f64>()) {
        ("auto", _) => Ok(text.into()),
        (_, Ok(rate)) => Ok(rate.into()),
        _ => Err("is neither a number nor auto".into()),
    }
}

fn resume(args: &TrainArgs, directory: &Path) -> Result<Run> {
    let fixed = args.set.is_empty()
        && [args.sparsity, args.density].iter().all(Option::is_none)
        && args.learning_rate.is_none()
        && [args.epochs, args.batch_size, args.seed].iter().all(Option::is_none)
        && [&args.method, &args.optimizer, &args.label, &args.isa, &args.penalty, &args.target]
            .iter()
            .all(|flag| flag.is_none())
        && args.hidden.is_none();
    ensure!(
        fixed,
        "--resume: goes on with the settings of the run; only --threads and --baseline can be given with it"
    );
    Ok(Run::resume(directory, |settings| {
        if let Some(threads) = args.threads {
            settings.threads = threads.max(0) as usize;
        }
    })?)
}

fn default_directory(settings: &Settings) -> PathBuf {
    let name = Path::new(&settings.data.path).file_stem().and_then(|stem| stem.to_str()).unwrap_or("run");
    free_run_directory(Path::new("runs"), name)
}

/// A flag that Ctrl-C raises; a second Ctrl-C ends the program at once.
pub fn watch_for_interrupt() -> Result<&'static AtomicBool> {
    static INTERRUPTED: AtomicBool = AtomicBool::new(false);
    ctrlc::set_handler(|| {
        if INTERRUPTED.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        eprintln!("\nstopping: saving and reporting (once more to stop at once)");
    })?;
    Ok(&INTERRUPTED)
}

fn describe_start(run: &Run, directory: &Path, output: &Output) {
    let (splits, settings) = (run.splits(), run.settings());
    let count = |part: &Option<rarefy::data::Dataset>| part.as_ref().map_or(0, |part| part.len());
    let (nnz, cells) = run.network().connections();
    output.say(&format!(
        "{}: {} training, {} validation, {} test samples, {} inputs, {} outputs",
        settings.data.path,
        splits.train.len(),
        count(&splits.validation),
        count(&splits.test),
        splits.train.inputs,
        splits.train.targets.outputs()
    ));
    if splits.preparation.constant_inputs > 0 {
        output.say(&format!(
            "note: {} inputs are constant in the training part",
            splits.preparation.constant_inputs
        ));
    }
    let widths: Vec<String> =
        run.network().spec().linear_shapes().iter().map(|shape| shape.0.to_string()).collect();
    output.say(&format!(
        "network {}-{}: {nnz} of {cells} weights at the start, {:.4} density at the end, method {:?}, seed {}",
        splits.train.inputs,
        widths.join("-"),
        settings.sparsity.density,
        settings.topology.method,
        settings.seed
    ).to_lowercase());
    for (index, parameter) in run.network().parameters().filter(|parameter| parameter.is_weight).enumerate() {
        let weights = &parameter.weights;
        let storage = if matches!(weights, rarefy::sparse::Weights::Dense(_)) { "dense" } else { "sparse" };
        output.say(&format!(
            "  layer {}: {} x {}, {} weights, density {:.4}, {storage} storage",
            index + 1,
            weights.rows(),
            weights.cols(),
            weights.nnz(),
            weights.density()
        ));
    }
    output.say(&format!("{} threads, {}, run {}", run.threads(), run.isa(), directory.display()));
    if run.epochs_done() > 0 {
        output.say(&format!("going on after epoch {}", run.epochs_done()));
    }
}

/// A bar on a terminal, a line per epoch elsewhere.
struct Progress<'a> {
    bar: Option<ProgressBar>,
    output: &'a Output,
    epochs: u64,
    samples: usize,
    is_classification: bool,
    last: Instant,
}

impl<'a> Progress<'a> {
    fn new(run: &Run, output: &'a Output) -> Progress<'a> {
        let draws = !output.quiet && console_is_terminal();
        let bar = draws.then(|| {
            let total = run.splits().train.len() as u64 * run.settings().train.epochs;
            let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{bar:24} {percent:>3} %  {msg}  {per_sec}  ETA {eta}");
            bar.set_style(style.expect("the template is right").with_key(
                "per_sec",
                |state: &indicatif::ProgressState, out: &mut dyn std::fmt::Write| {
                    let _ = write!(out, "{:.0} samples/s", state.per_sec());
                },
            ));
            bar.set_position(run.splits().train.len() as u64 * run.epochs_done());
            bar.reset_eta();
            bar
        });
        Progress {
            bar,
            output,
            epochs: run.settings().train.epochs,
            samples: run.splits().train.len(),
            is_classification: run.splits().preparation.task == Task::Classification,
            last: Instant::now(),
        }
    }

    fn show(&mut self, event: &Event<'_>) {
        match event {
            Event::Step { progress, score, samples } => {
                let Some(bar) = &self.bar else { return };
                if self.last.elapsed() < Duration::from_millis(100) {
                    return;
                }
                self.last = Instant::now();
                let epoch = (progress.step - 1) / progress.epoch;
                bar.set_position(epoch * self.samples as u64 + *samples as u64);
                let accuracy = if self.is_classification {
                    format!("  acc {:.1} %", 100.0 * score.accuracy())
                } else {
                    String::new()
                };
                bar.set_message(format!(
                    "epoch {}/{}  loss {:.4}{accuracy}",
                    epoch + 1,
                    self.epochs,
                    score.loss()
                ));
            }
            Event::Epoch(record) => {
                let line = self.line(record);
                match &self.bar {
                    Some(bar) => bar.suspend(|| self.output.say(&line)),
                    None => self.output.say(&line),
                }
            }
        }
    }

    fn line(&self, record: &EpochRecord) -> String {
        let percent =
            |value: Option<f64>| value.map_or(String::new(), |value| format!(" acc {:.2} %", 100.0 * value));
        let validation = record.validation_loss.map_or(String::new(), |loss| {
            format!("  validation loss {loss:.4}{}", percent(record.validation_accuracy))
        });
        format!(
            "epoch {:>3}/{}  loss {:.4}{}{validation}  density {:.4}  dropped {}  grown {}  rate {:.1e}  {:.2} s, {:.0} samples/s{}",
            record.epoch,
            self.epochs,
            record.train_loss,
            percent(record.train_accuracy),
            record.density,
            record.dropped,
            record.grown,
            record.learning_rate,
            record.seconds,
            self.samples as f64 / record.seconds,
            if record.best { "  best" } else { "" }
        )
    }

    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn console_is_terminal() -> bool {
    std::io::IsTerminal::is_terminal(&std::io::stderr())
}

/// Collects the run's figures, and measures those of its dense twin.
fn summarise(
    args: &TrainArgs,
    run: &mut Run,
    directory: &Path,
    outcome: &Outcome,
    interrupted: &AtomicBool,
    output: &Output,
) -> Result<Summary> {
    let peak = peak_rss_bytes();
    let mut figures = figures_of(run, outcome);
    figures.peak_rss_bytes = Some(peak);
    let mut twin = run.dense_twin()?;
    let dense_twin = if args.baseline && outcome.ending != Ending::Interrupted {
        output.say("training the dense twin");
        let mut progress = Progress::new(&twin, output);
        let trained = twin.train(&mut |event| {
            progress.show(&event);
            if interrupted.load(Ordering::Relaxed) { Control::Stop } else { Control::Continue }
        })?;
        progress.finish();
        figures_of(&twin, &trained)
    } else {
        let step_ms = twin.time_steps(1.0);
        let (nnz, cells) = twin.network().connections();
        Figures {
            nnz,
            parameters: parameters(twin.network()),
            sparsity: 1.0 - nnz as f64 / cells as f64,
            step_ms: Some(step_ms),
            seconds_per_epoch: Some(1e-3 * step_ms * twin.steps_per_epoch() as f64),
            inference_1_ms: twin.in_pool(|| time_inference(twin.network(), twin.isa(), 1)),
            inference_256_ms: twin.in_pool(|| time_inference(twin.network(), twin.isa(), 256)),
            training_bytes: twin.training_bytes(),
            model_bytes: rarefy::train::model_bytes(twin.network()),
            ..Figures::default()
        }
    };
    Ok(Summary {
        run_dir: directory.to_path_buf(),
        ending: outcome.ending,
        seed: run.settings().seed,
        threads: run.threads(),
        isa: run.isa().name(),
        processor: processor(),
        figures,
        dense_twin,
    })
}

fn figures_of(run: &Run, outcome: &Outcome) -> Figures {
    let network = &outcome.model.network;
    // The model may have lost neurons: what is sparse is what was asked for, the whole network.
    let (nnz, cells) = (network.connections().0, run.network().connections().1);
    let is_classification = run.splits().preparation.task == Task::Classification;
    Figures {
        nnz,
        sparsity: 1.0 - nnz as f64 / cells as f64,
        parameters: parameters(network),
        epochs: Some(outcome.epochs),
        best_epoch: outcome.best_epoch,
        seconds_per_epoch: outcome.seconds_per_epoch,
        step_ms: outcome.step_ms,
        peak_rss_bytes: None,
        test_accuracy: outcome.test.filter(|_| is_classification).map(|score| score.accuracy()),
        test_loss: outcome.test.map(|score| score.loss()),
        inference_1_ms: run.in_pool(|| time_inference(network, run.isa(), 1)),
        inference_256_ms: run.in_pool(|| time_inference(network, run.isa(), 256)),
        training_bytes: outcome.training_bytes,
        model_bytes: outcome.model_bytes,
    }
}

/// Live weights and biases.
fn parameters(network: &rarefy::layers::Network) -> usize {
    network.parameters().map(|parameter| parameter.weights.nnz()).sum()
}

/// The table, and what to do next.
fn describe_end(run: &Run, summary: &Summary, args: &TrainArgs, output: &Output) {
    let (sparse, dense) = (&summary.figures, &summary.dense_twin);
    let ratio = |sparse: f64, dense: f64| format!("{:.1}x", dense / sparse);
    let optional = |value: Option<f64>, unit: &dyn Fn(f64) -> String| value.map_or("-".into(), unit);
    let percent = |value: f64| format!("{:.2} %", 100.0 * value);
    let mut rows = vec![];
    if sparse.test_accuracy.is_some() {
        let gain = sparse.test_accuracy.zip(dense.test_accuracy).map(|(a, b)| 100.0 * (a - b));
        rows.push(vec![
            "test accuracy".into(),
            optional(sparse.test_accuracy, &percent),
            optional(dense.test_accuracy, &percent),
            gain.map_or("-".into(), |gain| format!("{gain:+.2} points")),
        ]);
    } else {
        let number = |value: f64| format!("{value:.4}");
        let gain =
            sparse.test_loss.zip(dense.test_loss).map_or("-".into(), |(a, b)| format!("{:+.4}", a - b));
        rows.push(vec![
            "test loss".into(),
            optional(sparse.test_loss, &number),
            optional(dense.test_loss, &number),
            gain,
        ]);
    }
    let seconds = |value: f64| format!("{value:.3} s");
    let speedup = sparse.seconds_per_epoch.zip(dense.seconds_per_epoch);
    rows.push(vec![
        "training time per epoch".into(),
        optional(sparse.seconds_per_epoch, &seconds),
        optional(dense.seconds_per_epoch, &seconds),
        speedup.map_or("-".into(), |(a, b)| ratio(a, b)),
    ]);
    let pair = |a: f64, b: f64| format!("{:.1} / {:.1} us", 1e3 * a, 1e3 * b);
    rows.push(vec![
        "inference, 1 / 256 samples".into(),
        pair(sparse.inference_1_ms, sparse.inference_256_ms),
        pair(dense.inference_1_ms, dense.inference_256_ms),
        format!(
            "{} / {}",
            ratio(sparse.inference_1_ms, dense.inference_1_ms),
            ratio(sparse.inference_256_ms, dense.inference_256_ms)
        ),
    ]);
    for (name, a, b) in [
        ("weights + gradients + optimizer state", sparse.training_bytes, dense.training_bytes),
        ("file", sparse.model_bytes, dense.model_bytes),
    ] {
        rows.push(vec![name.into(), bytes(a), bytes(b), ratio(a as f64, b as f64)]);
    }
    let ending = match summary.ending {
        Ending::Finished => format!("done after {} epochs", sparse.epochs.unwrap_or(0)),
        Ending::EarlyStopped => format!("stopped early after {} epochs", sparse.epochs.unwrap_or(0)),
        Ending::Interrupted => format!("interrupted after {} whole epochs", sparse.epochs.unwrap_or(0)),
    };
    let best = sparse
        .best_epoch
        .map_or(String::new(), |epoch| format!(" (model of epoch {epoch}, the best on validation)"));
    output.say(&format!("\n{ending}{best}, {:.2} % sparse", 100.0 * sparse.sparsity));
    output.say(&table(&["", "sparse", "dense twin", "gain"], rows.into_iter()));
    if dense.epochs.is_none() {
        output.say("dense twin: the same network in this engine's dense storage, timed on some steps here; its accuracy was not trained (add --baseline)");
    }
    if speedup.is_some_and(|(sparse, dense)| sparse > dense) {
        let density = 1.0 - sparse.sparsity;
        output.say(&if density > BREAK_EVEN_DENSITY {
            format!("sparse was slower: compressed storage pays below a density of about {BREAK_EVEN_DENSITY}, this run has {density:.2}")
        } else {
            "sparse was slower: layers this small spend their time outside of products; wider layers gain".to_string()
        });
    }
    let directory = summary.run_dir.display();
    output.say(&format!("\nmodel {directory}/model.safetensors   metrics {directory}/metrics.jsonl"));
    output.say(&match summary.ending {
        Ending::Interrupted => format!("next  rarefy train --resume {directory}"),
        _ => format!(
            "next  rarefy evaluate {directory} · rarefy predict {directory} {data} · rarefy inspect {directory}{}",
            if args.baseline { String::new() } else { " · add --baseline to compare accuracies".into() },
            data = run.settings().data.path
        ),
    });
}

/// A number of bytes for people.
pub fn bytes(count: usize) -> String {
    match count {
        0..10_000 => format!("{count} B"),
        10_000..10_000_000 => format!("{:.1} kB", count as f64 / 1e3),
        _ => format!("{:.1} MB", count as f64 / 1e6),
    }
}
