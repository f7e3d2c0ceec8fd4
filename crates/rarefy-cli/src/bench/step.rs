//! `rarefy bench step`: the time of whole training steps.

use std::time::Instant;

use anyhow::{Result, ensure};
use rarefy::data::{Dataset, Features, Shares, Targets};
use rarefy::kernels::{Activation, Isa};
use rarefy::layers::{LayerSpec, Network, NetworkSpec, Precision, SparsitySettings};
use rarefy::losses::{LossSettings, Task};
use rarefy::optimizers::{Method, OptimizerSettings};
use rarefy::random::{Purpose, Stream};
use rarefy::sparse::{Allocation, Init, Pattern, Storage, Weights};
use rarefy::tiles::Shape;
use rarefy::train::{Engine, EngineParts, thread_pool};

use super::median;
use crate::arguments::named;
use crate::output::Output;

/// Arguments of `rarefy bench step`.
#[derive(clap::Args)]
pub struct StepArgs {
    /// Features of each layer, inputs first
    #[arg(long, value_delimiter = ',', default_value = "784,1024,1024,10")]
    pub(super) layers: Vec<usize>,
    /// Samples of a mini-batch
    #[arg(long, default_value_t = 128)]
    pub(super) batch: usize,
    /// Density of all layers but the last, which is dense
    #[arg(long, default_value_t = 0.1)]
    density: f64,
    /// Outputs that share their inputs: 1, or 2, 4, 8, 16 for row blocks
    #[arg(long, default_value_t = 1)]
    block: usize,
    /// In how many bits products read their numbers
    #[arg(long, default_value = "f32", value_parser = named::<Precision>())]
    precision: Precision,
    /// Threads; 0 for one per core
    #[arg(long, default_value_t = 0)]
    threads: usize,
    #[arg(long, default_value = "auto", help = crate::arguments::isa_help())]
    isa: String,
    /// Optimizer: sgd (momentum 0.9), adam, adamw, rmsprop, adagrad
    #[arg(long, default_value = "sgd", value_parser = named::<Method>(), hide_possible_values = true)]
    optimizer: Method,
    /// Seconds to measure for
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
}

impl StepArgs {
    /// The instruction set.
    pub(super) fn isa(&self) -> Result<Isa> {
        Ok(self.precision.isa(&self.isa)?)
    }
}

/// Steps that were timed.
pub(super) struct Measured {
    /// Seconds of each.
    pub times: Vec<f64>,
    pub threads: usize,
    pub nnz: usize,
    pub cells: usize,
    /// Numbers that are trained: connections and biases.
    pub values: usize,
}

/// Measures.
pub fn run(args: &StepArgs, output: &Output) -> Result<()> {
    let isa = args.isa()?;
    let Measured { times, threads, nnz, cells, .. } = measure(args, isa)?;
    let (count, fastest) = (times.len(), times.iter().fold(f64::INFINITY, |a, &b| a.min(b)));
    let ms = 1e3 * median(times);
    output.say(&format!(
        "{:?}, batch {}, density {}, blocks of {}, {}, {nnz} of {cells} weights, {threads} threads, {isa}: {ms:.3} ms a step (median of {count}, fastest {:.3})",
        args.layers, args.batch, args.density, args.block, args.precision, 1e3 * fastest
    ));
    output.json(&serde_json::json!({
        "step_ms": ms, "fastest_ms": 1e3 * fastest, "steps": count, "layers": args.layers, "batch": args.batch,
        "density": args.density, "block": args.block, "precision": args.precision, "nnz": nnz, "threads": threads,
        "isa": isa.name(),
        "versions": { "rarefy": env!("CARGO_PKG_VERSION") },
    }))
}

/// Times steps of the network that `args` name.
pub(super) fn measure(args: &StepArgs, isa: Isa) -> Result<Measured> {
    ensure!(
        args.layers.len() >= 2 && !args.layers.contains(&0),
        "--layers needs inputs and outputs, all above 0"
    );
    ensure!(args.batch > 0, "--batch must be at least 1");
    ensure!(args.seconds.is_finite(), "--seconds must be a number, such as 2");
    let pool = thread_pool(args.threads)?;
    let (mut engine, batch) = pool.install(|| step_engine(args, isa))?;
    let times = pool.install(|| {
        let mut times = Vec::new();
        let start = Instant::now();
        let mut step = 0;
        while start.elapsed().as_secs_f64() < args.seconds || times.len() < 10 {
            step += 1;
            let begin = Instant::now();
            let score = engine.step(&batch, step, 1e-3);
            let time = begin.elapsed().as_secs_f64();
            ensure!(score.loss_sum.is_finite(), "the loss is not finite");
            if step > 5 {
                times.push(time);
            }
        }
        Ok(times)
    })?;
    let (nnz, cells) = engine.network.connections();
    let trained = engine.network.parameters().filter(|parameter| parameter.is_trained());
    let values = trained.map(|parameter| parameter.weights.values().len()).sum();
    Ok(Measured { times, threads: pool.current_num_threads(), nnz, cells, values })
}

/// A network with all layers but the last at the density, and a batch of random samples.
fn step_engine(args: &StepArgs, isa: Isa) -> Result<(Engine, Shares)> {
    let (inputs, outputs) = (args.layers[0], *args.layers.last().expect("checked"));
    let depth = args.layers.len() - 1;
    let layers = args.layers[1..]
        .iter()
        .enumerate()
        .map(|(index, &outputs)| {
            let is_hidden = index + 1 < depth;
            LayerSpec::linear(outputs, if is_hidden { Activation::Relu } else { Activation::Identity })
        })
        .collect();
    let spec = NetworkSpec { inputs: Shape::flat(inputs), layers };
    let shapes = spec.weight_shapes()?;
    let mut index = 0;
    let mut network = Network::load(&spec, Storage::Auto, |_, rows, cols| {
        index += 1;
        let sparsity = SparsitySettings {
            density: if index < shapes.len() { args.density } else { 1.0 },
            allocation: Allocation::Uniform,
            block: args.block.into(),
            ..SparsitySettings::default()
        };
        sparsity.check()?;
        let height = if sparsity.density < 1.0 { sparsity.block.in_layer(rows) } else { 1 };
        let nnz = (sparsity.density * (rows * cols / height) as f64).round() as usize;
        let mut stream = Stream::new(1, Purpose::Bench, index as u64, 0);
        let pattern = Pattern::random(rows / height, cols, nnz, &mut stream);
        let mut weights = Weights::zeros_by(height, pattern, sparsity.storage);
        Init::He.fill(&mut weights, &mut stream);
        Ok(weights)
    })?;
    network.set_precision(args.precision);
    let optimizer = OptimizerSettings {
        method: args.optimizer,
        momentum: if args.optimizer == Method::Sgd { 0.9 } else { 0.0 },
        ..OptimizerSettings::default()
    };
    let mut stream = Stream::new(2, Purpose::Bench, 0, 0);
    let dataset = Dataset {
        shape: Shape::flat(inputs),
        features: Features::Dense((0..inputs * args.batch).map(|_| stream.normal()).collect()),
        lengths: Vec::new(),
        targets: Targets::Classes {
            labels: (0..args.batch).map(|_| stream.below(outputs) as u32).collect(),
            classes: outputs,
        },
        weights: None,
    };
    let loss = LossSettings::default().build(Task::Classification { counts: &vec![1; outputs] })?;
    let parts = EngineParts::new(network, loss, optimizer.build()?, args.batch);
    let threads = rayon::current_num_threads();
    let engine = Engine::new(EngineParts { isa, seed: 1, threads, ..parts });
    let mut batch = Shares::new(&dataset, args.batch, engine.workers());
    batch.fill_for_training(&dataset, &(0..args.batch).collect::<Vec<_>>(), None, 0);
    Ok((engine, batch))
}
