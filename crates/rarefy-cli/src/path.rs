//! `rarefy path`: linear models from no feature to many, each at its optimum to a stated gap, and which of them to take.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;
use rarefy::convex::{
    self, Design, Loss, Method, Problem, Solution, SolverSettings, SparseColumns, Start, lambda_grid,
};
use rarefy::data::{self, Dataset, Features, Targets, Task};
use rarefy::train::Settings;
use serde::Serialize;

use crate::config::Config;
use crate::output::{Output, table};
use crate::train::bytes;

/// Arguments of `rarefy path`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  rarefy path table.csv --label price
  rarefy path table.csv --label sick --lambdas 50 --json
  rarefy path data.npz --set data.scale=none --tolerance 1e-8 --save-coefficients w.npy

Trains a linear model without hidden layers for each of many penalties lambda: mean loss + lambda |w|_1, from the \
smallest lambda at which no feature is used down to a part of it. The loss is half the squared difference for numbers \
and the log-loss for two classes. The gap is how far above the optimum the objective is at most.

best is the point with the lowest loss on the validation part, the penalty left out. knee is the one with the fewest \
nonzeros among those whose validation loss is at most the best one's plus its standard error over the samples: as good \
as can be told, and smaller.

Settings of --set: those of [data], seed and threads.")]
pub struct PathArgs {
    /// digits, fashion-mnist, mnist, or a file or folder (CSV, IDX, NPY, NPZ)
    data: String,
    /// One setting, as in data.task=regression; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Label column of a CSV file, by name or position from 1
    #[arg(long)]
    label: Option<String>,
    /// How many penalties
    #[arg(long, default_value_t = 100)]
    lambdas: usize,
    /// The smallest penalty over the largest
    #[arg(long, value_name = "RATIO", default_value_t = 0.01)]
    lambda_min_ratio: f64,
    /// The end to start from: sparse adds features, dense takes them away
    #[arg(long, value_enum, default_value = "sparse")]
    from: FromArg,
    /// What is minimised besides the penalty [default: squared for numbers, logistic for two classes]
    #[arg(long, value_enum)]
    loss: Option<LossArg>,
    /// Steps of the solver
    #[arg(long, value_enum, default_value = "fista")]
    solver: SolverArg,
    /// The gap to reach, as a part of the loss without features
    #[arg(long, default_value_t = SolverSettings::default().tolerance)]
    tolerance: f64,
    /// Steps at most for each penalty
    #[arg(long, default_value_t = SolverSettings::default().max_iterations)]
    max_iterations: usize,
    /// Write the coefficients: penalties x (features + 1) numbers, the last one of a row its intercept
    #[arg(long, value_name = "FILE.npy")]
    save_coefficients: Option<PathBuf>,
    /// Threads; 0 for one per core. Results do not depend on it
    #[arg(long)]
    threads: Option<i64>,
}

#[derive(Clone, Copy, ValueEnum)]
enum FromArg {
    Sparse,
    Dense,
}

#[derive(Clone, Copy, ValueEnum)]
enum LossArg {
    Squared,
    Logistic,
}

#[derive(Clone, Copy, ValueEnum)]
enum SolverArg {
    Fista,
    Ista,
}

/// One model of the path.
#[derive(Serialize)]
struct Point {
    lambda: f64,
    nonzeros: usize,
    objective: f64,
    gap: f64,
    iterations: usize,
    converged: bool,
    validation: Option<Score>,
    /// On disk, compressed: an index and a value for each nonzero, the row's two offsets, the intercept.
    model_bytes: usize,
}

/// How good a model is on samples that it was not trained on.
#[derive(Clone, Copy, Serialize)]
struct Score {
    /// The mean, without the penalty.
    loss: f64,
    /// Of that mean.
    standard_error: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    r2: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    accuracy: Option<f64>,
}

/// A point that was chosen.
#[derive(Clone, Copy, Serialize)]
struct Choice {
    /// Its position in `points`.
    point: usize,
    /// On the test part, which no choice has seen.
    test: Option<Score>,
}

/// The whole path.
#[derive(Serialize)]
struct Summary<'a> {
    data: &'a str,
    loss: Loss,
    solver: Method,
    tolerance: f64,
    samples: usize,
    validation_samples: usize,
    features: usize,
    storage: &'static str,
    lambda_max: f64,
    null_objective: f64,
    /// Seconds of solving, without reading and scoring.
    seconds: f64,
    points: &'a [Point],
    best: Option<Choice>,
    knee: Option<Choice>,
    coefficients: Option<&'a Path>,
}

/// Follows the path.
pub fn run(args: &PathArgs, output: &Output) -> Result<()> {
    let settings = settings(args)?;
    rayon::ThreadPoolBuilder::new()
        .num_threads(settings.threads)
        .build()?
        .install(|| follow(args, &settings, output))
}

fn settings(args: &PathArgs) -> Result<Settings> {
    let mut config = Config::defaults();
    for assignment in &args.set {
        let key = assignment.split(['=', '.']).next().unwrap_or_default().trim();
        ensure!(
            matches!(key, "data" | "seed" | "threads"),
            "--set {assignment}: is for networks; a path knows the settings of [data], seed and threads"
        );
        config.set(assignment)?;
    }
    config.flag("data.path", Some(args.data.clone()));
    config.flag("data.label", args.label.clone().map(|label| vec![label]));
    config.flag("threads", args.threads);
    config.settings()
}

fn follow(args: &PathArgs, settings: &Settings, output: &Output) -> Result<()> {
    let splits = data::load(&settings.data, settings.seed)?;
    let task = splits.preparation.task;
    let loss = match args.loss {
        Some(LossArg::Squared) => Loss::Squared,
        Some(LossArg::Logistic) => Loss::Logistic,
        None if task == Task::Regression => Loss::Squared,
        None => Loss::Logistic,
    };
    let train = targets(&splits.train, task)?;
    let problem = Problem::new(design(&splits.train)?, train, loss)?;
    let held_out = |part: &Option<Dataset>| -> Result<Option<HeldOut>> {
        let Some(part) = part else { return Ok(None) };
        Ok(Some(HeldOut { design: design(part)?, targets: targets(part, task)?, loss, task }))
    };
    let (validation, test) = (held_out(&splits.validation)?, held_out(&splits.test)?);
    let method = match args.solver {
        SolverArg::Fista => Method::Fista,
        SolverArg::Ista => Method::Ista,
    };
    let solver = SolverSettings { method, tolerance: args.tolerance, max_iterations: args.max_iterations };
    let start = match args.from {
        FromArg::Sparse => Start::Sparse,
        FromArg::Dense => Start::Dense,
    };
    let begun = Instant::now();
    let lambda_max = problem.lambda_max(1.0)?;
    let lambdas = lambda_grid(lambda_max, args.lambda_min_ratio, args.lambdas)?;
    let mut answers = Vec::with_capacity(lambdas.len());
    convex::path(&problem, &lambdas, 1.0, solver, start, |answer| answers.push(answer))?;
    let seconds = begun.elapsed().as_secs_f64();
    answers.sort_by(|a, b| b.lambda.total_cmp(&a.lambda));
    let points: Vec<Point> = answers.iter().map(|answer| point(answer, validation.as_ref())).collect();
    if let Some(path) = &args.save_coefficients {
        save(path, &answers, problem.design().cols())
            .with_context(|| format!("{}: cannot write the coefficients", path.display()))?;
    }
    let chosen = |point: usize| Choice { point, test: test.as_ref().map(|part| part.score(&answers[point])) };
    let best = best(&points);
    let summary = Summary {
        data: &args.data,
        loss,
        solver: method,
        tolerance: args.tolerance,
        samples: splits.train.len(),
        validation_samples: splits.validation.as_ref().map_or(0, Dataset::len),
        features: problem.design().cols(),
        storage: if matches!(problem.design(), Design::Dense(_)) { "dense" } else { "sparse" },
        lambda_max,
        null_objective: problem.null_objective(),
        seconds,
        points: &points,
        best: best.map(chosen),
        knee: best.and_then(|best| knee(&points, best)).map(chosen),
        coefficients: args.save_coefficients.as_deref(),
    };
    output.show(&text(&summary));
    output.json(&summary)
}

fn design(part: &Dataset) -> Result<Design> {
    Ok(match &part.features {
        Features::Dense(numbers) => Design::from_rows(part.len(), part.inputs(), numbers)?,
        Features::Sparse(rows) => Design::Sparse(SparseColumns::from_csr(
            part.len(),
            part.inputs(),
            rows.offsets(),
            rows.indices(),
            rows.values(),
        )?),
    })
}

/// One number per sample; the second of two classes is 1.
fn targets(part: &Dataset, task: Task) -> Result<Vec<f64>> {
    match &part.targets {
        Targets::Classes { labels, classes: 2 } => Ok(labels.iter().map(|&label| label.into()).collect()),
        Targets::Classes { classes, .. } => {
            bail!(
                "the labels are {classes} classes; a path is for two classes or for numbers (--set data.task=regression)"
            )
        }
        Targets::Values { values, outputs: 1 } if task == Task::Regression => {
            Ok(values.iter().map(|&value| value.into()).collect())
        }
        Targets::Values { outputs, .. } => {
            bail!("there are {outputs} targets for each sample; a path predicts one: name it with --label")
        }
    }
}

fn point(answer: &Solution, validation: Option<&HeldOut>) -> Point {
    let nonzeros = answer.coefficients.len();
    Point {
        lambda: answer.lambda,
        nonzeros,
        objective: answer.objective,
        gap: answer.gap,
        iterations: answer.iterations,
        converged: answer.converged,
        validation: validation.map(|part| part.score(answer)),
        model_bytes: 4 * (2 * nonzeros + 3),
    }
}

/// Samples to measure models on.
struct HeldOut {
    design: Design,
    targets: Vec<f64>,
    loss: Loss,
    task: Task,
}

impl HeldOut {
    fn score(&self, answer: &Solution) -> Score {
        let (samples, targets) = (self.targets.len() as f64, &self.targets);
        let predictions = answer.predict(&self.design);
        let losses: Vec<f64> =
            predictions.iter().zip(targets).map(|(&z, &y)| self.loss.value(z, y)).collect();
        let mean = losses.iter().sum::<f64>() / samples;
        let variance =
            losses.iter().map(|loss| (loss - mean).powi(2)).sum::<f64>() / (samples - 1.0).max(1.0);
        let is_classification = self.task == Task::Classification || self.loss == Loss::Logistic;
        let border = if self.loss == Loss::Logistic { 0.0 } else { 0.5 };
        let right = predictions.iter().zip(targets).filter(|(z, y)| (**z > border) == (**y > 0.5)).count();
        let middle = targets.iter().sum::<f64>() / samples;
        let spread: f64 = targets.iter().map(|y| (y - middle).powi(2)).sum();
        let missed: f64 = predictions.iter().zip(targets).map(|(z, y)| (y - z).powi(2)).sum();
        Score {
            loss: mean,
            standard_error: (variance / samples).sqrt(),
            r2: (!is_classification && spread > 0.0).then(|| 1.0 - missed / spread),
            accuracy: is_classification.then(|| right as f64 / samples),
        }
    }
}

/// The lowest validation loss; of equal ones the larger lambda.
fn best(points: &[Point]) -> Option<usize> {
    let loss = |at: &usize| points[*at].validation.map_or(f64::INFINITY, |score| score.loss);
    (0..points.len()).filter(|&at| points[at].validation.is_some()).min_by(|a, b| loss(a).total_cmp(&loss(b)))
}

/// The fewest nonzeros within one standard error of the best; of equal ones the larger lambda.
fn knee(points: &[Point], best: usize) -> Option<usize> {
    let best = points[best].validation?;
    let most = best.loss + best.standard_error;
    let near = |at: &usize| points[*at].validation.is_some_and(|score| score.loss <= most);
    (0..points.len()).filter(near).min_by_key(|&at| points[at].nonzeros)
}

fn text(summary: &Summary) -> String {
    let is_classification =
        summary.points.iter().any(|point| point.validation.is_some_and(|score| score.accuracy.is_some()));
    let score_name = if is_classification { "accuracy" } else { "R2" };
    let number = |value: Option<f64>| value.map_or("-".into(), |value| format!("{value:.5}"));
    let rows = summary.points.iter().enumerate().map(|(at, point)| {
        let names = [(summary.best, "best"), (summary.knee, "knee")];
        let mut notes: Vec<&str> = names
            .iter()
            .filter(|(choice, _)| choice.is_some_and(|choice| choice.point == at))
            .map(|(_, name)| *name)
            .collect();
        notes.extend((!point.converged).then_some("not converged"));
        vec![
            format!("{:.6e}", point.lambda),
            point.nonzeros.to_string(),
            format!("{:.6e}", point.objective),
            format!("{:.1e}", point.gap),
            number(point.validation.map(|score| score.loss)),
            number(point.validation.and_then(|score| score.accuracy.or(score.r2))),
            bytes(point.model_bytes),
            notes.join(", "),
        ]
    });
    let header = ["lambda", "nonzeros", "objective", "gap", "validation loss", score_name, "model", ""];
    let mut text = format!(
        "{}: {} training, {} validation samples, {} features, {} storage\n\n{}\n\n{} points in {:.2} s",
        summary.data,
        summary.samples,
        summary.validation_samples,
        summary.features,
        summary.storage,
        table(&header, rows),
        summary.points.len(),
        summary.seconds,
    );
    for (name, choice) in [("best", summary.best), ("knee", summary.knee)] {
        let Some(Choice { point, test: Some(test) }) = choice else { continue };
        let score = number(test.accuracy.or(test.r2));
        text += &format!(
            "\n{name}  {} nonzeros, test loss {:.5}, {score_name} {score}",
            summary.points[point].nonzeros, test.loss
        );
    }
    let late = summary.points.iter().filter(|point| !point.converged).count();
    if late > 0 {
        text += &format!("\nnote: {late} did not reach the tolerance; raise --max-iterations or --tolerance");
    }
    if summary.best.is_none() {
        text += "\nnote: there is no validation part to choose by; set data.validation_fraction above 0";
    }
    text
}

/// Writes an NPY file of version 1.0 (NEP 1).
fn save(path: &Path, answers: &[Solution], features: usize) -> std::io::Result<()> {
    let shape = format!("({}, {})", answers.len(), features + 1);
    let header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}");
    // The numbers start at a multiple of 64.
    let padded = (10 + header.len() + 1).next_multiple_of(64) - 11;
    let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
    file.write_all(b"\x93NUMPY\x01\x00")?;
    file.write_all(&(padded as u16 + 1).to_le_bytes())?;
    writeln!(file, "{header:padded$}")?;
    for answer in answers {
        let mut row = vec![0.0; features + 1];
        answer.coefficients.iter().for_each(|&(feature, weight)| row[feature] = weight);
        row[features] = answer.intercept;
        for number in row {
            file.write_all(&number.to_le_bytes())?;
        }
    }
    file.flush()
}
