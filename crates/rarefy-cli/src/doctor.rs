//! `rarefy doctor`: whether this program works on this machine, and how fast the machine is.

use std::fs::File;
use std::hint::black_box;
use std::time::Instant;

use anyhow::{Result, ensure};
use rarefy::data::{DataSettings, describe};
use rarefy::kernels::{self, Activation, Epilogue, Isa, TileSupport};
use rarefy::machine::{free_memory_bytes, memory_bytes, processor};
use rarefy::random::{Purpose, Stream};
use rarefy::sparse::{Init, Pattern, Storage, Weights};
use rarefy::tiles::Tiles;
use rarefy_mpi::installed;
use serde::Serialize;

use crate::output::Output;

/// Arguments of `rarefy doctor`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  rarefy doctor
  rarefy doctor --json | jq .isa

Ends with exit code 1 if a check fails. Put its output into a bug report.")]
pub struct DoctorArgs {}

#[derive(Serialize)]
struct Findings {
    rarefy: &'static str,
    os: String,
    processor: String,
    cores: usize,
    memory_bytes: Option<u64>,
    memory_free_bytes: Option<u64>,
    instruction_sets: Vec<&'static str>,
    isa: &'static str,
    bf16_isa: &'static str,
    peak_gflops: f64,
    cache_read_gb_per_second: f64,
    fashion_mnist: String,
    mpi: Vec<String>,
    checks: Vec<Check>,
}

/// Something that must be so.
#[derive(Serialize)]
struct Check {
    name: String,
    passed: bool,
    detail: String,
}

/// Examines.
pub fn run(_: &DoctorArgs, output: &Output) -> Result<()> {
    let isa = Isa::detect();
    let mut checks: Vec<Check> =
        Isa::available().into_iter().filter(|isa| *isa != Isa::SCALAR).map(check_products).collect();
    checks.extend(Isa::avx512_bf16().into_iter().chain(Isa::amx()).map(check_bf16));
    checks.push(check_folder());
    let found = Findings {
        rarefy: env!("CARGO_PKG_VERSION"),
        os: system(),
        processor: processor(),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        memory_bytes: memory_bytes(),
        memory_free_bytes: free_memory_bytes(),
        instruction_sets: Isa::available().into_iter().map(Isa::name).collect(),
        isa: isa.name(),
        bf16_isa: Isa::detect_bf16().name(),
        peak_gflops: kernels::measure_peak(isa),
        cache_read_gb_per_second: cache_read_rate(isa),
        fashion_mnist: fashion_mnist(),
        mpi: installed()
            .into_iter()
            .map(|library| format!("{}, {}", library.file, library.version))
            .collect(),
        checks,
    };
    output.show(&text(&found));
    output.json(&found)?;
    let failed: Vec<&str> =
        found.checks.iter().filter(|check| !check.passed).map(|check| check.name.as_str()).collect();
    ensure!(failed.is_empty(), "failed: {}", failed.join(", "));
    Ok(())
}

fn text(found: &Findings) -> String {
    let gib = |bytes: Option<u64>| {
        bytes.map_or_else(
            || "unknown".to_string(),
            |bytes| format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30)),
        )
    };
    let mut lines = vec![
        format!("rarefy            {}", found.rarefy),
        format!("system            {}", found.os),
        format!("processor         {}, {} cores", found.processor, found.cores),
        format!("memory            {}, {} free", gib(found.memory_bytes), gib(found.memory_free_bytes)),
        format!("instruction sets  {}; {} is chosen", found.instruction_sets.join(", "), found.isa),
        format!("bf16              {}", bf16()),
        format!(
            "one core          {:.0} GFLOP/s, {:.0} GB/s read from 256 KiB",
            found.peak_gflops, found.cache_read_gb_per_second
        ),
        format!("fashion-mnist     {}", found.fashion_mnist),
        format!(
            "MPI               {}",
            if found.mpi.is_empty() { "none".into() } else { found.mpi.join("; ") }
        ),
        String::new(),
    ];
    lines.extend(found.checks.iter().map(|check| {
        format!("{:6}  {}: {}", if check.passed { "ok" } else { "FAILED" }, check.name, check.detail)
    }));
    lines.join("\n")
}

/// The three sparse products of a small layer must be those of the scalar kernels.
fn check_products(isa: Isa) -> Check {
    // Neither the shape nor the batch is a multiple of a vector or a tile.
    let of = |isa| products(isa, (37, 53), 1, |number| number);
    check_alike(&format!("sparse products on {isa}"), of(isa), of(Isa::SCALAR))
}

/// How products of bf16 numbers are computed here.
fn bf16() -> String {
    let isa = Isa::detect_bf16();
    let how = match (Isa::amx().is_some(), isa == Isa::detect()) {
        (true, _) => format!("{isa} in row blocks of 16"),
        (_, true) => "plain code".into(),
        _ => format!("{isa} in linear layers"),
    };
    match Isa::amx_support() {
        TileSupport::Refused => {
            format!("{how}; this processor has AMX, but the system refuses it to this process")
        }
        _ => how,
    }
}

fn check_bf16(isa: Isa) -> Check {
    // Of numbers that bf16 has.
    let of = |isa| products(isa, (96, 53), 16, |number| f32::from_bits(number.to_bits() & 0xffff_0000));
    check_alike(&format!("bf16 products on {isa}"), of(isa), of(Isa::SCALAR))
}

fn check_alike(name: &str, found: Vec<f32>, expected: Vec<f32>) -> Check {
    let difference = found
        .iter()
        .zip(expected)
        .map(|(found, expected)| (found - expected).abs() / (1.0 + expected.abs()))
        .fold(0.0f32, |worst, next| if next.is_nan() { f32::INFINITY } else { worst.max(next) });
    Check {
        name: name.to_string(),
        passed: difference <= 1e-5,
        detail: format!("differ from the scalar ones by {difference:.1e} at most"),
    }
}

fn products(isa: Isa, (rows, cols): (usize, usize), block: usize, rounded: impl Fn(f32) -> f32) -> Vec<f32> {
    let samples = 70;
    let mut stream = Stream::new(1, Purpose::Bench, 0, 0);
    let (lines, count) = (rows / block, rows * cols / block / 5);
    let mut weights =
        Weights::zeros_by(block, Pattern::random(lines, cols, count, &mut stream), Storage::Sparse);
    Init::He.fill(&mut weights, &mut stream);
    weights.values_mut().iter_mut().for_each(|value| *value = rounded(*value));
    let mut filled = |features: usize| {
        let mut tiles = Tiles::zeros(features, samples);
        for sample in 0..samples {
            let values: Vec<f32> = (0..features).map(|_| rounded(stream.normal())).collect();
            tiles.set_sample(sample, &values);
        }
        tiles
    };
    let (input, gradient) = (filled(cols), filled(rows));
    let (mut result, mut gradient_input) = (Tiles::zeros(rows, samples), Tiles::zeros(cols, samples));
    let bias = vec![0.5; rows];
    kernels::multiply(
        isa,
        &weights,
        &input,
        &mut result,
        Epilogue::Activate { bias: &bias, activation: Activation::Relu },
    );
    let gate = Epilogue::Gate { activation: Activation::Identity, outputs: input.rows() };
    kernels::multiply_transposed(isa, &weights, &gradient, &mut gradient_input, gate, &mut Vec::new());
    let mut gradient_weights = vec![0.0; weights.values().len()];
    kernels::weight_gradient(isa, &weights, &gradient, &input, &mut gradient_weights, &mut Vec::new());
    let samples = |tiles: &Tiles| (0..samples).flat_map(|sample| tiles.sample(sample)).collect::<Vec<f32>>();
    [samples(&result), samples(&gradient_input), gradient_weights].concat()
}

fn check_folder() -> Check {
    let name = format!(".rarefy-doctor-{}", std::process::id());
    let written = File::create_new(&name).and_then(|_| std::fs::remove_file(&name));
    let here = std::env::current_dir().map_or_else(|_| ".".to_string(), |path| path.display().to_string());
    let detail = match &written {
        Ok(()) => format!("{here} can be written"),
        Err(error) => format!("{here} cannot be written ({error}); change to another or use --run-dir"),
    };
    Check { name: "current folder".to_string(), passed: written.is_ok(), detail }
}

/// Gigabytes a second that one core reads from a buffer of the size of a small second-level cache: the best of some
/// passes.
fn cache_read_rate(isa: Isa) -> f64 {
    const PASSES: usize = 200;
    let buffer = vec![1.0f32; (256 << 10) / 4];
    let pass = |buffer: &[f32]| {
        let mut sums = [0.0f32; 64];
        for block in buffer.as_chunks::<64>().0 {
            for (sum, value) in sums.iter_mut().zip(block) {
                *sum += value;
            }
        }
        sums
    };
    let rate = || {
        let start = Instant::now();
        rarefy::vectorize!(isa, {
            for _ in 0..PASSES {
                black_box(pass(black_box(&buffer)));
            }
        });
        (4 * buffer.len() * PASSES) as f64 / start.elapsed().as_secs_f64() / 1e9
    };
    (0..5).map(|_| rate()).fold(0.0, f64::max)
}

/// What is found under that name, or how to get it.
fn fashion_mnist() -> String {
    match describe(&DataSettings { path: "fashion-mnist".into(), ..DataSettings::default() }) {
        Ok(found) => {
            let test =
                found.test_samples.map_or(String::new(), |samples| format!(" and {samples} for the test"));
            format!("found, {} samples{test}", found.samples)
        }
        Err(error) => error.to_string(),
    }
}

fn system() -> String {
    let text = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    let name = name.map_or(String::new(), |name| format!(", {}", name.trim_matches('"')));
    format!("{} {}{name}", std::env::consts::OS, std::env::consts::ARCH)
}
