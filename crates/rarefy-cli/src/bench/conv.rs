//! `rarefy bench conv`: a convolution's three products on compressed and on dense storage.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use rarefy::kernels::{Activation, Convolution, Epilogue, Geometry, Isa, Windows};
use rarefy::layers::Precision;
use rarefy::random::{Purpose, Stream};
use rarefy::sparse::{BLOCK_HEIGHTS, Init, Pattern, Storage, Weights};
use rarefy::tiles::{Shape, Tiles};
use serde::Serialize;

use super::{median, round};
use crate::arguments::named;
use crate::output::Output;
use rarefy::report::table;
use rarefy::train::thread_pool;

/// Arguments of `rarefy bench conv`.
#[derive(clap::Args)]
pub struct ConvArgs {
    /// Channels (in and out) and side of square images, as in 64x32
    #[arg(long, value_delimiter = ',', default_value = "64x32,128x16,256x8")]
    shapes: Vec<String>,
    /// Side of the kernel
    #[arg(long, default_value_t = 3)]
    kernel: usize,
    /// Samples of a mini-batch
    #[arg(long, default_value_t = 64)]
    batch: usize,
    /// Densities; 1 is dense storage
    #[arg(long, value_delimiter = ',', default_value = "1,0.1,0.05,0.02,0.01")]
    densities: Vec<f64>,
    /// Filters that share their inputs: 1 for single connections, or the height of row blocks
    #[arg(long, value_delimiter = ',', default_value = "1,4,8")]
    blocks: Vec<usize>,
    /// In how many bits products read their numbers
    #[arg(long, default_value = "f32", value_parser = named::<Precision>())]
    precision: Precision,
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
    channels: usize,
    side: usize,
    density: f64,
    block: usize,
    forward_ms: f64,
    gradient_input_ms: f64,
    gradient_weight_ms: f64,
    total_ms: f64,
    gflops: f64,
}

/// Measures and shows.
pub fn run(args: &ConvArgs, output: &Output) -> Result<()> {
    let precision = args.precision;
    let isa = precision.isa(&args.isa)?;
    let pool = thread_pool(args.threads)?;
    let mut rows = Vec::new();
    for shape in &args.shapes {
        let sizes = shape.split_once('x').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
        let (channels, side): (usize, usize) =
            sizes.with_context(|| format!("--shapes {shape}: give channels and side as in 64x32"))?;
        ensure!(channels > 0 && side > 0 && args.batch > 0 && args.rounds > 0, "sizes must be above 0");
        for &block in &args.blocks {
            ensure!(
                channels.is_multiple_of(block) && (block == 1 || BLOCK_HEIGHTS.contains(&block)),
                "--blocks: {block} is no height of row blocks in {channels} filters; give 1, 2, 4, 8 or 16"
            );
        }
        for &density in &args.densities {
            // Dense storage has no blocks.
            let blocks = args.blocks.iter().filter(|&&block| density < 1.0 || block == 1);
            let shape = |block: usize| Matrix { channels, side, density, block };
            rows.extend(blocks.map(|&block| pool.install(|| measure(args, (isa, precision), shape(block)))));
        }
    }
    let lines = rows.iter().map(|row: &Row| {
        vec![
            format!("{0} -> {0}", row.channels),
            format!("{0} x {0}", row.side),
            row.density.to_string(),
            row.block.to_string(),
            format!("{:.2}", row.forward_ms),
            format!("{:.2}", row.gradient_input_ms),
            format!("{:.2}", row.gradient_weight_ms),
            format!("{:.2}", row.total_ms),
            format!("{:.1}", row.gflops),
        ]
    });
    let header =
        ["channels", "image", "density", "block", "forward ms", "d input", "d weight", "total", "GFLOP/s"];
    let threads = pool.current_num_threads();
    output.say(&format!("{isa}, {}, {threads} threads, batch {}", args.precision, args.batch));
    output.say(&table(&header, lines).text(output.width()));
    output.json(&serde_json::json!({ "isa": isa.name(), "precision": args.precision, "rows": rows }))
}

/// What is measured.
struct Matrix {
    channels: usize,
    side: usize,
    density: f64,
    block: usize,
}

fn measure(args: &ConvArgs, (isa, precision): (Isa, Precision), matrix: Matrix) -> Row {
    let Matrix { channels, side, density, block } = matrix;
    let pad = args.kernel / 2;
    let windows = Windows::new(Geometry {
        input: Shape { height: side, width: side, channels },
        filters: channels,
        kernel: [args.kernel; 2],
        stride: [1, 1],
        padding: [pad, pad],
        dilation: [1, 1],
        groups: 1,
    });
    let cols = windows.geometry().cols();
    let (lines, share) = (channels / block, density / block as f64);
    let count = ((share * (channels * cols) as f64).round() as usize).max(1);
    let mut stream = Stream::new(1, Purpose::Bench, 0, 0);
    let storage = if density < 1.0 { Storage::Sparse } else { Storage::Dense };
    let mut weights = Weights::zeros_by(block, Pattern::random(lines, cols, count, &mut stream), storage);
    Init::He.fill(&mut weights, &mut stream);
    round(precision, weights.values_mut());
    let mut tiles = |features: usize| {
        let mut tiles = Tiles::zeros(features, args.batch);
        for row in tiles.rows_mut() {
            row.0 = std::array::from_fn(|_| stream.uniform());
            round(precision, &mut row.0);
        }
        tiles
    };
    let (mut input, mut gradient) = (tiles(side * side * channels), tiles(windows.output().features()));
    let (mut output, mut gradient_input) = (gradient.clone(), input.clone());
    let mut out = vec![0.0; weights.values().len()];
    let (bias, mut scratch) = (vec![0.0; channels], Vec::new());
    let convolution = Convolution::new(isa, &windows);
    let mut times = [(); 3].map(|()| Vec::new());
    for _ in 0..args.rounds {
        // As if they had just been written: bf16 ones are made of them.
        input.rows_mut();
        gradient.rows_mut();
        let mut last = Instant::now();
        let mut lap = |times: &mut Vec<f64>| {
            times.push(1e3 * last.elapsed().as_secs_f64());
            last = Instant::now();
        };
        let epilogue = Epilogue::Activate { bias: &bias, activation: Activation::Relu };
        convolution.forward(&weights, &input, &mut output, epilogue);
        lap(&mut times[0]);
        let epilogue = Epilogue::Gate { activation: Activation::Relu, outputs: input.rows() };
        let (weights, room) = (&weights, &mut out);
        convolution.transposed(weights, &gradient, &mut gradient_input, epilogue, room);
        lap(&mut times[1]);
        convolution.weight_gradient(weights, &gradient, &input, room, &mut scratch);
        lap(&mut times[2]);
    }
    let [forward_ms, gradient_input_ms, gradient_weight_ms] = times.map(median);
    let total_ms = forward_ms + gradient_input_ms + gradient_weight_ms;
    let flops = 6.0 * (weights.nnz() * side * side * args.batch) as f64;
    let gflops = flops / total_ms / 1e6;
    Row {
        channels,
        side,
        density,
        block,
        forward_ms,
        gradient_input_ms,
        gradient_weight_ms,
        total_ms,
        gflops,
    }
}
