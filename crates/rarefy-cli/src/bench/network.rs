//! `rarefy bench network FILE`: a training pass forward and backward, with all gradients, and a prediction, of any network, on random
//! numbers held in memory. The file is a description as in a model's `config.json`:
//!
//! ```toml
//! inputs = [1, 64, 256]        # height, width, channels; a number for plain features
//! layers = [{layer = "lstm", hidden = 256}]
//! ```

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, ensure};
use rarefy::kernels::Isa;
use rarefy::layers::{Buffers, Gradient, Network, NetworkSpec, Pass, Precision, SparsitySettings};
use rarefy::random::{Purpose, Stream};
use rarefy::sparse::{Allocation, Storage};
use rarefy::tiles::Tiles;
use serde::Serialize;

use super::median;
use crate::arguments::named;
use crate::output::Output;
use rarefy::report::table;
use rarefy::train::thread_pool;

/// Arguments of `rarefy bench network`.
#[derive(clap::Args)]
pub struct NetworkArgs {
    /// A TOML file with `inputs` and `layers`, as in a model's config.json
    file: PathBuf,
    /// Samples of a mini-batch
    #[arg(long, default_value_t = 64)]
    batch: usize,
    /// Densities of all weights; 1 is dense storage
    #[arg(long, value_delimiter = ',', default_value = "1,0.1,0.05")]
    density: Vec<f64>,
    /// Outputs that share their inputs, where a density is below 1
    #[arg(long, value_delimiter = ',', default_value = "1")]
    block: Vec<usize>,
    /// In how many bits products read their numbers
    #[arg(long, default_value = "f32", value_parser = named::<Precision>())]
    precision: Precision,
    /// Also compute the gradient of the inputs
    #[arg(long)]
    input_gradient: bool,
    /// Inputs are whole numbers below this one: words or characters by their numbers
    #[arg(long)]
    tokens: Option<usize>,
    /// Threads; 0 for one per core
    #[arg(long, default_value_t = 0)]
    threads: usize,
    #[arg(long, default_value = "auto", help = crate::arguments::isa_help())]
    isa: String,
    /// Timings of each figure; the median counts
    #[arg(long, default_value_t = 9)]
    rounds: usize,
}

#[derive(Serialize)]
struct Row {
    density: f64,
    block: usize,
    nnz: usize,
    cells: usize,
    forward_ms: f64,
    backward_ms: f64,
    total_ms: f64,
    fastest_ms: f64,
    predict_ms: f64,
    fastest_predict_ms: f64,
}

/// Measures and shows.
pub fn run(args: &NetworkArgs, output: &Output) -> Result<()> {
    let isa = args.precision.isa(&args.isa)?;
    let text = std::fs::read_to_string(&args.file)
        .with_context(|| format!("{}: cannot read", args.file.display()))?;
    let spec: NetworkSpec = toml::from_str(&text)
        .with_context(|| format!("{}: is no description of a network", args.file.display()))?;
    ensure!(
        args.batch > 0 && args.rounds > 0 && args.tokens != Some(0),
        "--batch, --rounds and --tokens must be at least 1"
    );
    ensure!(!args.density.is_empty() && !args.block.is_empty(), "--density and --block need a number");
    spec.shapes().map_err(|problem| anyhow!("{}: {problem}", args.file.display()))?;
    let pool = thread_pool(args.threads)?;
    let blocks = |density: f64| if density < 1.0 { &args.block[..] } else { &[1] };
    let rows =
        args.density.iter().flat_map(|&density| blocks(density).iter().map(move |&block| (density, block)));
    let benches = rows.map(|(density, block)| Bench::new(args, isa, &spec, density, block));
    let mut benches = benches.collect::<Result<Vec<_>>>()?;
    pool.install(|| {
        // One round more than is counted: the first touches its memory for the first time.
        for _ in 0..=args.rounds {
            benches.iter_mut().try_for_each(Bench::round)?;
        }
        Ok::<(), anyhow::Error>(())
    })?;
    let rows: Vec<Row> = benches.into_iter().map(Bench::finish).collect();
    let lines = rows.iter().map(|row| {
        vec![
            format!("{}", row.density),
            row.block.to_string(),
            format!("{} of {}", row.nnz, row.cells),
            format!("{:.2}", row.forward_ms),
            format!("{:.2}", row.backward_ms),
            format!("{:.2}", row.total_ms),
            format!("{:.2}", row.fastest_ms),
            format!("{:.3}", row.predict_ms),
            format!("{:.3}", row.fastest_predict_ms),
        ]
    });
    let threads = pool.current_num_threads();
    let about = format!("batch {}, {}, {threads} threads, {isa}", args.batch, args.precision);
    output.say(&format!("{about}, median of {} rounds", args.rounds));
    let columns = [
        "density",
        "block",
        "weights",
        "forward ms",
        "backward ms",
        "both ms",
        "fastest ms",
        "predict ms",
        "fastest predict ms",
    ];
    output.say(&table(&columns, lines).text(output.width()));
    output.json(&serde_json::json!({
        "rows": rows, "batch": args.batch, "precision": args.precision, "threads": threads, "isa": isa.name(),
        "input_gradient": args.input_gradient,
        "versions": { "rarefy": env!("CARGO_PKG_VERSION") },
    }))
}

/// A network at one density, what it is given, and how long it took.
struct Bench {
    isa: Isa,
    density: f64,
    block: usize,
    network: Network,
    gradients: Vec<Gradient>,
    buffers: Buffers,
    /// For predictions.
    outputs: Buffers,
    input: Tiles,
    gradient_input: Option<Tiles>,
    forward: Vec<f64>,
    backward: Vec<f64>,
    predict: Vec<f64>,
}

impl Bench {
    fn new(args: &NetworkArgs, isa: Isa, spec: &NetworkSpec, density: f64, block: usize) -> Result<Bench> {
        let storage = if density == 1.0 { Storage::Dense } else { Storage::Auto };
        let sparsity = SparsitySettings {
            density,
            allocation: Allocation::Uniform,
            storage,
            block: block.into(),
            ..Default::default()
        };
        sparsity.check()?;
        let mut network = Network::random(spec, &sparsity, 1)?;
        network.set_precision(args.precision);
        let network = network.with_rounded_weights(isa).into_owned();
        let mut stream = Stream::new(1, Purpose::Bench, 0, 0);
        let mut input = Tiles::zeros(network.inputs(), args.batch);
        for sample in 0..args.batch {
            let mut draw = || match args.tokens {
                Some(tokens) => stream.below(tokens) as f32,
                None => stream.normal(),
            };
            input.set_sample(sample, &(0..network.inputs()).map(|_| draw()).collect::<Vec<_>>());
        }
        let mut buffers = network.buffers(args.batch, true);
        let (_, gradient) = buffers.output_and_gradient();
        for sample in 0..args.batch {
            let values: Vec<f32> = (0..gradient.features()).map(|_| stream.normal()).collect();
            gradient.set_sample(sample, &values);
        }
        let gradient_input = args.input_gradient.then(|| input.clone());
        Ok(Bench {
            isa,
            density,
            block,
            outputs: network.buffers(args.batch, false),
            gradients: network.gradients(),
            network,
            buffers,
            input,
            gradient_input,
            forward: Vec::new(),
            backward: Vec::new(),
            predict: Vec::new(),
        })
    }

    fn round(&mut self) -> Result<()> {
        let pass = Pass::train(self.isa, 1, 1);
        let start = Instant::now();
        self.network.forward(&pass, &self.input, &mut self.buffers);
        self.forward.push(start.elapsed().as_secs_f64());
        let start = Instant::now();
        let gradient_input = self.gradient_input.as_mut();
        let (gradients, buffers) = (&mut self.gradients, &mut self.buffers);
        self.network.backward_to_input(&pass, &self.input, gradient_input, gradients, buffers);
        self.backward.push(start.elapsed().as_secs_f64());
        let start = Instant::now();
        self.network.forward(&Pass::predict(self.isa), &self.input, &mut self.outputs);
        self.predict.push(start.elapsed().as_secs_f64());
        let mut gradients = self.gradients.iter().flat_map(|gradient| &gradient.values);
        ensure!(gradients.all(|gradient| gradient.is_finite()), "a gradient is not finite");
        Ok(())
    }

    fn finish(self) -> Row {
        let (nnz, cells) = self.network.connections();
        let both: Vec<f64> = self.forward.iter().zip(&self.backward).skip(1).map(|(a, b)| a + b).collect();
        let fastest = |times: &[f64]| 1e3 * times.iter().fold(f64::INFINITY, |a, &b| a.min(b));
        let (fastest_ms, fastest_predict_ms) = (fastest(&both), fastest(&self.predict[1..]));
        let [forward_ms, backward_ms, predict_ms] =
            [self.forward, self.backward, self.predict].map(|times| 1e3 * median(times[1..].to_vec()));
        Row {
            density: self.density,
            block: self.block,
            nnz,
            cells,
            forward_ms,
            backward_ms,
            total_ms: 1e3 * median(both),
            fastest_ms,
            predict_ms,
            fastest_predict_ms,
        }
    }
}
