//! `rarefy bench`: how fast the kernels and a whole training step run on this machine. Every figure is the median of
//! repeated timings of checked results; the peak it is compared with is measured in the same run.

mod conv;
mod network;
mod scale;
mod step;

use std::time::Instant;

use anyhow::{Result, bail, ensure};
use rarefy::kernels::{self, Activation, Epilogue, Isa};
use rarefy::layers::Precision;
use rarefy::math::nearest_bf16;
use rarefy::random::{Purpose, Stream};
use rarefy::sparse::{BLOCK_HEIGHTS, Init, Pattern, Storage, Weights};
use rarefy::tiles::Tiles;
use serde::Serialize;

use crate::arguments::named;
use crate::output::Output;
use rarefy::report::table;
use rarefy::train::thread_pool;

/// What `rarefy bench` measures.
#[derive(clap::Subcommand)]
pub enum Bench {
    /// Sparse products against this machine's peak and against dense products
    Kernels(KernelsArgs),
    /// Convolutions, forward and backward
    Conv(conv::ConvArgs),
    /// Passes forward and backward of any network
    Network(network::NetworkArgs),
    /// Whole training steps on random data held in memory
    Step(step::StepArgs),
    /// What a training step takes on many machines, by this machine's step and a network that is told
    Scale(scale::ScaleArgs),
}

/// Arguments of `rarefy bench kernels`.
#[derive(clap::Args)]
pub struct KernelsArgs {
    /// Widths of the square weight matrices
    #[arg(long, value_delimiter = ',', default_value = "1024,4096")]
    sizes: Vec<usize>,
    /// Samples of a mini-batch
    #[arg(long, default_value_t = 128)]
    batch: usize,
    /// Densities
    #[arg(long, value_delimiter = ',', default_value = "0.1,0.05,0.02,0.01")]
    densities: Vec<f64>,
    /// Rows that share their inputs: 1 for single connections, or the height of row blocks
    #[arg(long, value_delimiter = ',', default_value = "1,4,8")]
    blocks: Vec<usize>,
    /// In how many bits products read their numbers
    #[arg(long, default_value = "f32", value_parser = named::<Precision>())]
    precision: Precision,
    /// Numbers of threads
    #[arg(long, value_delimiter = ',', default_value = "1,2")]
    threads: Vec<usize>,
    #[arg(long, default_value = "auto", help = crate::arguments::isa_help())]
    isa: String,
    /// Timings of each figure; the median counts
    #[arg(long, default_value_t = 9)]
    rounds: usize,
}

#[derive(Serialize)]
struct KernelRow {
    kernel: &'static str,
    rows: usize,
    cols: usize,
    batch: usize,
    density: f64,
    block: usize,
    threads: usize,
    ms: f64,
    gflops: f64,
    peak_fraction: f64,
    dense_ratio: f64,
}

/// Runs one of the benchmarks.
pub fn run(bench: &Bench, output: &Output) -> Result<()> {
    match bench {
        Bench::Kernels(args) => bench_kernels(args, output),
        Bench::Conv(args) => conv::run(args, output),
        Bench::Network(args) => network::run(args, output),
        Bench::Step(args) => step::run(args, output),
        Bench::Scale(args) => scale::run(args, output),
    }
}

fn bench_kernels(args: &KernelsArgs, output: &Output) -> Result<()> {
    let precision = args.precision;
    let isa = precision.isa(&args.isa)?;
    if let Some(block) = args.blocks.iter().find(|&block| *block != 1 && !BLOCK_HEIGHTS.contains(block)) {
        bail!("--blocks: {block} is no height of row blocks; give 1, 2, 4, 8 or 16");
    }
    ensure!(
        args.batch > 0 && args.rounds > 0 && !args.sizes.contains(&0),
        "--sizes, --batch and --rounds must be at least 1"
    );
    for (block, size) in args.blocks.iter().flat_map(|block| args.sizes.iter().map(move |size| (block, size)))
    {
        if !size.is_multiple_of(*block) {
            bail!("--blocks: blocks of {block} rows do not divide --sizes {size}");
        }
    }
    let peak = kernels::measure_peak(isa);
    let pairs = kernels::measure_pairs_peak(isa);
    let of_pairs = pairs.map_or_else(String::new, |peak| format!(", of bf16 {peak:.0}"));
    output.say(&format!("{isa}, {precision}, one-core f32 peak {peak:.0} GFLOP/s{of_pairs} (measured now)"));
    let mut rows = Vec::new();
    for &threads in &args.threads {
        let pool = thread_pool(threads)?;
        for &size in &args.sizes {
            for &density in &args.densities {
                for &block in &args.blocks {
                    let matrix = Matrix { size, density, block };
                    rows.extend(pool.install(|| kernel_rows(args, (isa, precision), matrix, threads, peak))?);
                }
            }
        }
    }
    let lines = rows.iter().map(|row| {
        vec![
            row.kernel.to_string(),
            format!("{}x{}", row.rows, row.cols),
            format!("{}", row.density),
            row.block.to_string(),
            row.threads.to_string(),
            format!("{:.3}", row.ms),
            format!("{:.1}", row.gflops),
            format!("{:.1} %", 100.0 * row.peak_fraction),
            format!("{:.1}x", row.dense_ratio),
        ]
    });
    let header =
        ["kernel", "shape", "density", "block", "threads", "ms", "GFLOP/s", "of peak", "faster than dense"];
    output.say(&table(&header, lines).text(output.width()));
    output.json(&serde_json::json!({
        "isa": isa.name(), "precision": precision.name(), "peak_gflops": peak, "bf16_peak_gflops": pairs, "rows": rows
    }))
}

/// A square matrix to be measured.
#[derive(Clone, Copy)]
struct Matrix {
    size: usize,
    density: f64,
    block: usize,
}

impl Matrix {
    fn weights(self, stream: &mut Stream) -> Weights {
        let Matrix { size, density, block } = self;
        let lines = size / block;
        let pattern =
            Pattern::random(lines, size, (density * (lines * size) as f64).round() as usize, stream);
        let mut weights = Weights::zeros_by(block, pattern, Storage::Sparse);
        Init::He.fill(&mut weights, stream);
        weights
    }
}

/// The three sparse products of one shape, and the dense ones that they are compared with.
fn kernel_rows(
    args: &KernelsArgs,
    (isa, precision): (Isa, Precision),
    matrix: Matrix,
    threads: usize,
    peak: f64,
) -> Result<Vec<KernelRow>> {
    let Matrix { size, density, block } = matrix;
    let mut stream = Stream::new(1, Purpose::Bench, size as u64, 0);
    let mut sparse = matrix.weights(&mut stream);
    round(precision, sparse.values_mut());
    let nnz = sparse.nnz();
    let mut dense = Weights::dense(size, size);
    for (cell, slot) in sparse.connections() {
        dense.values_mut()[cell] = sparse.values()[slot];
    }
    let mut input = Tiles::zeros(size, args.batch);
    let mut gradient = Tiles::zeros(size, args.batch);
    for row in input.rows_mut().iter_mut().chain(gradient.rows_mut()) {
        row.0 = std::array::from_fn(|_| stream.normal());
        round(precision, &mut row.0);
    }
    let mut products = Products::new(isa, input, gradient);
    let names = ["spmm", "spmm_transposed", "sddmm"];
    let mut times = [const { Vec::new() }; 6];
    for _ in 0..args.rounds {
        for (index, times) in times.iter_mut().enumerate() {
            let weights = if index < 3 { &mut sparse } else { &mut dense };
            times.push(timed(|| products.run(index % 3, weights)));
        }
    }
    products.check(&mut sparse, &mut dense)?;
    let medians = times.map(median);
    Ok(names
        .into_iter()
        .enumerate()
        .map(|(index, kernel)| {
            let gflops = 2.0 * nnz as f64 * args.batch as f64 / medians[index] / 1e9;
            KernelRow {
                kernel,
                rows: size,
                cols: size,
                batch: args.batch,
                density,
                block,
                threads,
                ms: 1e3 * medians[index],
                gflops,
                peak_fraction: gflops / (peak * threads as f64),
                dense_ratio: medians[index + 3] / medians[index],
            }
        })
        .collect())
}

/// The three products of a linear layer and room for their results.
struct Products {
    isa: Isa,
    bias: Vec<f32>,
    input: Tiles,
    gradient: Tiles,
    output: Tiles,
    gradient_input: Tiles,
    gradient_weights: Vec<f32>,
    scratch: Vec<f32>,
}

impl Products {
    fn new(isa: Isa, input: Tiles, gradient: Tiles) -> Products {
        let features = input.features();
        Products {
            isa,
            bias: vec![0.0; features],
            output: input.clone(),
            gradient_input: input.clone(),
            gradient_weights: vec![0.0; features * features],
            scratch: Vec::new(),
            input,
            gradient,
        }
    }

    /// As in a step, where each product but the last finds rows that have just been written: bf16 ones are made of them.
    fn run(&mut self, product: usize, weights: &Weights) {
        let Products { isa, bias, input, gradient, output, gradient_input, gradient_weights, scratch } = self;
        match product {
            0 => {
                input.rows_mut();
                let epilogue = Epilogue::Activate { bias, activation: Activation::Identity };
                kernels::multiply(*isa, weights, input, output, epilogue);
            }
            1 => {
                gradient.rows_mut();
                let epilogue = Epilogue::Gate { activation: Activation::Identity, outputs: input.rows() };
                kernels::multiply_transposed(*isa, weights, gradient, gradient_input, epilogue, scratch);
            }
            _ => {
                let out = &mut gradient_weights[..weights.values().len()];
                kernels::weight_gradient(*isa, weights, gradient, input, out, scratch);
            }
        }
    }

    /// Sparse and dense products must agree, or no figure counts.
    fn check(&mut self, sparse: &mut Weights, dense: &mut Weights) -> Result<()> {
        let close = |a: f32, b: f32| (a - b).abs() <= 1e-3 * (1.0 + b.abs());
        let mut rows = [const { Vec::new() }; 2];
        for (weights, rows) in [&mut *sparse, &mut *dense].into_iter().zip(&mut rows) {
            self.run(0, weights);
            self.run(1, weights);
            rows.extend(self.output.rows().iter().chain(self.gradient_input.rows()).flat_map(|row| row.0));
        }
        ensure!(
            rows[0].iter().zip(&rows[1]).all(|(a, b)| close(*a, *b)),
            "sparse and dense products disagree"
        );
        self.run(2, sparse);
        let sampled = self.gradient_weights[..sparse.values().len()].to_vec();
        self.run(2, dense);
        let agree =
            sparse.connections().all(|(cell, slot)| close(sampled[slot], self.gradient_weights[cell]));
        ensure!(agree, "sparse and dense weight gradients disagree");
        Ok(())
    }
}

/// Numbers as products of that precision read them.
fn round(precision: Precision, numbers: &mut [f32]) {
    if precision == Precision::Bf16 {
        numbers.iter_mut().for_each(|number| *number = nearest_bf16(*number));
    }
}

/// Seconds of one call, repeated until five milliseconds have passed.
fn timed(mut work: impl FnMut()) -> f64 {
    let start = Instant::now();
    let mut calls = 0;
    while calls == 0 || start.elapsed().as_secs_f64() < 5e-3 {
        work();
        calls += 1;
    }
    start.elapsed().as_secs_f64() / f64::from(calls)
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
