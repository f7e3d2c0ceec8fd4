//! Paths of linear models, from no feature to many, each at its optimum to a stated gap.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;
use rarefy::control::{Candidate, PathStart, lambda_grid};
use rarefy::convex::{self, Design, Loss, Method, Problem, Solution, SolverSettings, SparseColumns};
use rarefy::data::{
    self, CrossValidation, Dataset, Features, Preparation, Splits, TargetScale, TargetScaler, Targets, Task,
};
use rarefy::metrics::regression;
use rarefy::penalties::PenaltyMethod;
use rarefy::report::{amount, bytes, table};
use rarefy::train::{ModelConfig, Settings, thread_pool};
use serde::Serialize;

use super::folds::over_folds;
use super::linear_model::{linear_network, saved_settings};
use super::show::{self, Mark, ScoreKind};
use super::{Choose, PathArgs, choose, save};
use crate::apply::write_output;
use crate::arguments::{named_path, set};
use crate::output::Output;
use rarefy::train::SettingsBuilder;
use save::Saved;

/// Penalties unless told otherwise.
const LAMBDAS: usize = 100;

/// The smallest penalty over the largest unless told otherwise.
const LAMBDA_MIN_RATIO: f64 = 0.01;

/// What only linear models have.
#[derive(clap::Args)]
#[command(next_help_heading = "Linear models")]
pub struct LinearArgs {
    /// What is minimised besides the penalty [default: squared for numbers, logistic for two classes]
    #[arg(long, value_enum)]
    loss: Option<LossArg>,
    /// Steps of the solver [default: coordinate-descent]
    #[arg(long, value_enum)]
    solver: Option<SolverArg>,
    /// The gap to reach, as a part of the loss without features [default: 1e-6]
    #[arg(long)]
    tolerance: Option<f64>,
    /// Steps, or passes over the features, at most for each penalty [default: 100000]
    #[arg(long)]
    max_iterations: Option<usize>,
    /// Write the coefficients: penalties x (features + 1) numbers, the last one of a row its intercept
    #[arg(long, value_name = "FILE.npy", value_parser = named_path)]
    pub(super) save_coefficients: Option<PathBuf>,
}

impl LinearArgs {
    /// The first flag that was given.
    pub fn given(&self) -> Option<&'static str> {
        let flags = [
            ("--loss", self.loss.is_some()),
            ("--solver", self.solver.is_some()),
            ("--tolerance", self.tolerance.is_some()),
            ("--max-iterations", self.max_iterations.is_some()),
            ("--save-coefficients", self.save_coefficients.is_some()),
        ];
        flags.into_iter().find(|(_, is_given)| *is_given).map(|(flag, _)| flag)
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum LossArg {
    Squared,
    Logistic,
}

#[derive(Clone, Copy, ValueEnum)]
enum SolverArg {
    CoordinateDescent,
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
    /// The root of the mean squared error, in the target's unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    rmse: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    r2: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    accuracy: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    accuracy_standard_error: Option<f64>,
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
    l1_ratio: f64,
    solver: Method,
    tolerance: f64,
    samples: usize,
    validation_samples: usize,
    /// Folds that these are validated in.
    folds: Option<u32>,
    features: usize,
    storage: &'static str,
    lambda_max: f64,
    null_objective: f64,
    /// Seconds of solving; with folds of making them ready and scoring too.
    seconds: f64,
    points: &'a [Point],
    /// Positions in `points` of the models that no smaller one beats on the validation part.
    front: Vec<usize>,
    best: Option<Choice>,
    knee: Option<Choice>,
    coefficients: Option<&'a Path>,
    saved: Option<Saved<'a>>,
}

/// Follows the path.
pub fn run(args: &PathArgs, output: &Output) -> Result<()> {
    let settings = settings(args)?;
    thread_pool(settings.threads)?.install(|| follow(args, &settings, output))
}

fn settings(args: &PathArgs) -> Result<Settings> {
    let mut config = SettingsBuilder::default();
    for assignment in &args.set {
        let key = assignment.split(['=', '.']).next().unwrap_or_default().trim();
        ensure!(
            matches!(key, "data" | "penalty" | "seed" | "threads"),
            "--set {assignment}: is for networks, which need --hidden; linear models know the settings of [data] and [penalty], seed and threads"
        );
        set(&mut config, assignment)?;
    }
    config.flag("data.path", Some(args.data.clone()));
    config.flag("data.label", args.label.clone().map(|label| vec![label]));
    config.flag("penalty.method", args.penalty.clone());
    config.flag("seed", args.seed);
    config.flag("threads", args.threads);
    // What is validated on in folds is all trained on.
    config.flag("data.validation_fraction", args.folds.map(|_| 0.0));
    let mut settings = config.settings()?;
    if matches!(args.linear.loss, Some(LossArg::Logistic)) {
        // Of numbers 0 and 1: scaled they would be none.
        settings.data.target_scale.get_or_insert(TargetScale::None);
    }
    Ok(settings)
}

/// The part of L1 in the penalty.
fn l1_ratio(settings: &Settings) -> Result<f64> {
    let penalty = &settings.penalty;
    penalty.build()?;
    ensure!(
        penalty.lambda.is_none(),
        "penalty.lambda: a path goes through many; leave it out and give the largest as --lambda-max"
    );
    match penalty.method {
        PenaltyMethod::None | PenaltyMethod::L1 => Ok(1.0),
        PenaltyMethod::ElasticNet => {
            // Through the decimal text: 0.9 as an f32 is not 0.9.
            let ratio: f64 = penalty.l1_ratio().to_string().parse()?;
            ensure!(ratio > 0.0, "penalty.l1_ratio: is 0, which makes no zeros; raise it");
            Ok(ratio)
        }
        _ => bail!(
            "penalty.method: linear models have l1 or elastic-net; the others are for networks: --hidden 64"
        ),
    }
}

#[expect(clippy::too_many_lines)]
fn follow(args: &PathArgs, settings: &Settings, output: &Output) -> Result<()> {
    let l1_ratio = l1_ratio(settings)?;
    let read = |folds| CrossValidation::read(&settings.data, settings.seed, folds);
    let folds = args.folds.map(read).transpose()?;
    let splits = match &folds {
        Some(folds) => folds.whole()?,
        None => data::load(&settings.data, settings.seed)?,
    };
    ensure!(
        splits.augmentation.is_none(),
        "data.augment: a linear path solves for the samples as they are; leave it out"
    );
    ensure!(
        splits.train.weights.is_none(),
        "data.weight: linear paths count all samples once; leave it out, or train a network"
    );
    super::check_validation(args, &splits)?;
    let task = splits.preparation.task;
    let flags = &args.linear;
    let loss = match flags.loss {
        Some(LossArg::Squared) => Loss::Squared,
        Some(LossArg::Logistic) => Loss::Logistic,
        None if task == Task::Regression => Loss::Squared,
        None => Loss::Logistic,
    };
    let scaler = &splits.preparation.target_scaler;
    let problem = problem(&splits, loss)?;
    let held_out = |part: &Option<Dataset>| -> Result<Option<HeldOut>> {
        part.as_ref().map(|part| HeldOut::new(part, &splits, loss)).transpose()
    };
    let (validation, test) = (held_out(&splits.validation)?, held_out(&splits.test)?);
    let method = match flags.solver {
        Some(SolverArg::Ista) => Method::Ista,
        Some(SolverArg::Fista) => Method::Fista,
        Some(SolverArg::CoordinateDescent) | None => Method::CoordinateDescent,
    };
    let defaults = SolverSettings::default();
    let solver = SolverSettings {
        method,
        tolerance: flags.tolerance.unwrap_or(defaults.tolerance),
        max_iterations: flags.max_iterations.unwrap_or(defaults.max_iterations),
    };
    let start = args.from.map_or(PathStart::Sparse, |from| from.start());
    let begun = Instant::now();
    let largest = args.lambda_max.map_or_else(|| problem.lambda_max(l1_ratio), Ok)?;
    let ratio = args.lambda_min_ratio.unwrap_or(LAMBDA_MIN_RATIO);
    let lambdas = lambda_grid(largest, ratio, args.lambdas.unwrap_or(LAMBDAS))?;
    solver.check()?;
    let folder = save::claim(args.save_model.as_deref())?;
    let solve = |problem: &Problem| -> Result<Vec<Solution>> {
        let mut answers = Vec::with_capacity(lambdas.len());
        convex::path(problem, &lambdas, l1_ratio, solver, start, |answer| answers.push(answer))?;
        answers.sort_by(|a, b| b.lambda.total_cmp(&a.lambda));
        Ok(answers)
    };
    let answers = solve(&problem)?;
    let scores: Vec<Option<Score>> = match (&folds, &validation) {
        (Some(folds), _) => cross_validate(folds, loss, &solve)?.into_iter().map(Some).collect(),
        (None, part) => answers.iter().map(|answer| part.as_ref().map(|part| part.score(answer))).collect(),
    };
    let seconds = begun.elapsed().as_secs_f64();
    let points: Vec<Point> = answers.iter().zip(scores).map(|(answer, score)| point(answer, score)).collect();
    if let Some(path) = &flags.save_coefficients {
        write_output(path, |out| write_coefficients(out, &answers, problem.design().cols()))?;
    }
    let (best, knee) = choose(&points, candidate);
    let chosen = |point: usize| Choice { point, test: test.as_ref().map(|part| part.score(&answers[point])) };
    let kind = score_kind(&points);
    let marks: Vec<Mark> = points.iter().map(mark).collect();
    let taken = if args.choose == Choose::Best { best } else { knee };
    let summary = Summary {
        data: &args.data,
        loss,
        l1_ratio,
        solver: method,
        tolerance: solver.tolerance,
        samples: splits.train.len(),
        validation_samples: match &folds {
            Some(_) => splits.train.len(),
            None => splits.validation.as_ref().map_or(0, Dataset::len),
        },
        folds: args.folds,
        features: problem.design().cols(),
        storage: if matches!(problem.design(), Design::Dense(_)) { "dense" } else { "sparse" },
        lambda_max: largest,
        null_objective: problem.null_objective(),
        seconds,
        points: &points,
        front: show::front(&marks, kind),
        best: best.map(chosen),
        knee: knee.map(chosen),
        coefficients: flags.save_coefficients.as_deref(),
        saved: args.save_model.as_deref().map(|folder| Saved { choice: args.choose, folder }),
    };
    if let (Some(folder), Some(at)) = (&folder, taken) {
        let scale = scaler.mean_and_deviation(0);
        let (network, head) = linear_network(&answers[at], splits.train.shape, loss, task, scale);
        let config = ModelConfig::new(&network, head, splits.preparation.clone());
        save::write(folder, &saved_settings(settings, &answers[at]), &network, &config, &summary)?;
    }
    let chart = show::chart(&args.data, &marks, kind, [("best", best), ("knee", knee)]);
    if let Some(file) = &args.svg {
        write_output(file, |out| out.write_all(chart.to_svg().as_bytes()))?;
    }
    let plot = show::plot(&chart, output).map_or(String::new(), |plot| format!("\n\n{plot}"));
    output.show(&format!("{}{plot}", text(&summary, output.width())));
    if let Some(saved) = summary.saved {
        output.say(&saved.advice());
    }
    output.json(&summary)
}

fn problem(splits: &Splits, loss: Loss) -> Result<Problem> {
    let Preparation { task, target_scaler, .. } = &splits.preparation;
    Ok(Problem::new(design(&splits.train)?, targets(&splits.train, *task, target_scaler)?, loss)?)
}

/// The scores of each lambda, largest first: means over the folds, each solved for on the others.
fn cross_validate(
    folds: &CrossValidation,
    loss: Loss,
    solve: &dyn Fn(&Problem) -> Result<Vec<Solution>>,
) -> Result<Vec<Score>> {
    let of_fold = |number| -> Result<Vec<Score>> {
        let splits = folds.fold(number)?;
        let part = splits.validation.as_ref().context("a fold holds samples")?;
        let part = HeldOut::new(part, &splits, loss)?;
        Ok(solve(&problem(&splits, loss)?)?.iter().map(|answer| part.score(answer)).collect())
    };
    let found: Vec<Vec<Score>> = (1..=folds.folds).map(of_fold).collect::<Result<_>>()?;
    let score = |at: usize| {
        let over = |figure: fn(&Score) -> Option<f64>| over_folds(found.iter().map(|fold| figure(&fold[at])));
        let (loss, standard_error) = over(|score| Some(score.loss)).expect("all have a loss");
        let accuracy = over(|score| score.accuracy);
        Score {
            loss,
            standard_error,
            rmse: over(|score| score.rmse).map(|(mean, _)| mean),
            r2: over(|score| score.r2).map(|(mean, _)| mean),
            accuracy: accuracy.map(|(mean, _)| mean),
            accuracy_standard_error: accuracy.map(|(_, error)| error),
        }
    };
    Ok((0..found[0].len()).map(score).collect())
}

fn score_kind(points: &[Point]) -> ScoreKind {
    let is_any =
        |has: fn(&Score) -> bool| points.iter().filter_map(|point| point.validation.as_ref()).any(has);
    if is_any(|score| score.accuracy.is_some()) {
        ScoreKind::Accuracy
    } else if is_any(|score| score.r2.is_some()) {
        ScoreKind::R2
    } else {
        ScoreKind::Loss
    }
}

/// Without a validation part its loss is no number.
fn candidate(point: &Point) -> Candidate {
    let (loss, standard_error) =
        point.validation.map_or((f64::NAN, f64::NAN), |score| (score.loss, score.standard_error));
    Candidate { nonzeros: point.nonzeros, loss, standard_error }
}

fn mark(point: &Point) -> Mark {
    let score = point.validation;
    let value = score.map(|score| score.accuracy.or(score.r2).unwrap_or(score.loss));
    let error = score.and_then(|score| score.accuracy_standard_error).unwrap_or(0.0);
    Mark { nonzeros: point.nonzeros, score: value.unwrap_or(f64::NAN), error }
}

fn design(part: &Dataset) -> Result<Design> {
    Ok(match &part.features {
        Features::Dense(numbers) => Design::from_rows(part.len(), part.inputs(), numbers)?,
        Features::Lent(rows) => Design::from_rows(part.len(), part.inputs(), &rows.to_dense())?,
        Features::Streamed(_) | Features::StreamedSparse(_) => {
            let problem = "is for networks: a path of linear models has all samples in memory; leave it out";
            return Err(rarefy::Error::setting("data.memory", problem).into());
        }
        Features::Sparse(rows) => Design::Sparse(SparseColumns::from_csr(
            part.len(),
            part.inputs(),
            rows.offsets(),
            rows.indices(),
            rows.values(),
        )?),
        Features::Tokens { .. } => {
            bail!("data.text.tokens: a linear model cannot read tokens; leave it out for a bag of words")
        }
    })
}

/// One number per sample; the second of two classes is 1. Numbers are in their own unit, to the solver all are the same, so that
/// lambda, objective and coefficients are too; with `data.target_scale = "log"` they are logarithms.
fn targets(part: &Dataset, task: Task, scaler: &TargetScaler) -> Result<Vec<f64>> {
    match &part.targets {
        Targets::Classes { labels, classes: 2 } => Ok(labels.iter().map(|&label| label.into()).collect()),
        Targets::Classes { classes, .. } => {
            bail!(
                "the labels are {classes} classes; a path of linear models is for two classes or for numbers (--set data.task=regression), one of networks for any: --hidden 64"
            )
        }
        Targets::Steps { .. } | Targets::Sequences { .. } => {
            bail!("there is something to predict at each step; a path predicts one number")
        }
        Targets::Values { values, outputs: 1 } if task == Task::Regression => {
            let (mean, deviation) = scaler.mean_and_deviation(0);
            Ok(values.iter().map(|&value| mean + deviation * f64::from(value)).collect())
        }
        Targets::Values { outputs, .. } => {
            bail!("there are {outputs} targets for each sample; a path predicts one: name it with --label")
        }
    }
}

fn point(answer: &Solution, validation: Option<Score>) -> Point {
    let nonzeros = answer.coefficients.len();
    Point {
        lambda: answer.lambda,
        nonzeros,
        objective: answer.objective,
        gap: answer.gap,
        iterations: answer.iterations,
        converged: answer.converged,
        validation,
        model_bytes: 4 * (2 * nonzeros + 3),
    }
}

/// Samples to measure models on.
struct HeldOut {
    design: Design,
    targets: Vec<f64>,
    loss: Loss,
    task: Task,
    /// Whether targets and predictions are logarithms.
    is_log: bool,
}

impl HeldOut {
    fn new(part: &Dataset, splits: &Splits, loss: Loss) -> Result<HeldOut> {
        let Preparation { task, target_scaler, .. } = &splits.preparation;
        let (design, targets) = (design(part)?, targets(part, *task, target_scaler)?);
        Ok(HeldOut { design, targets, loss, task: *task, is_log: target_scaler.is_log() })
    }

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
        let share = right as f64 / samples;
        let in_unit =
            |numbers: &[f64]| numbers.iter().map(|y| if self.is_log { y.exp() } else { *y }).collect();
        let [z, y]: [Vec<f64>; 2] = [&predictions, targets].map(|numbers| in_unit(numbers));
        let numbers = (!is_classification).then(|| regression(&z, 1, &y, None));
        Score {
            loss: mean,
            standard_error: (variance / samples).sqrt(),
            rmse: numbers.as_ref().map(|found| found.rmse),
            r2: numbers.and_then(|found| found.r2),
            accuracy: is_classification.then_some(share),
            accuracy_standard_error: is_classification
                .then(|| (share * (1.0 - share) / (samples - 1.0).max(1.0)).sqrt()),
        }
    }
}

fn text(summary: &Summary, width: usize) -> String {
    let is_classification =
        summary.points.iter().any(|point| point.validation.is_some_and(|score| score.accuracy.is_some()));
    let names: &[&str] = if is_classification { &["accuracy"] } else { &["R2", "RMSE"] };
    let number = |value: Option<f64>| value.map_or("-".into(), |value| format!("{value:.5}"));
    let figures = |score: Option<Score>| {
        if is_classification {
            vec![number(score.and_then(|score| score.accuracy))]
        } else {
            vec![
                number(score.and_then(|score| score.r2)),
                score.and_then(|score| score.rmse).map_or("-".into(), amount),
            ]
        }
    };
    // Half a squared difference, so of any size.
    let loss = |score: Option<Score>| match score {
        Some(score) if is_classification => number(Some(score.loss)),
        score => score.map_or("-".into(), |score| amount(score.loss)),
    };
    let (best, knee) = (summary.best.map(|it| it.point), summary.knee.map(|it| it.point));
    let rows = summary.points.iter().enumerate().map(|(at, point)| {
        let mut notes = show::notes(at, best, knee, &summary.front);
        notes.extend((!point.converged).then_some("not converged"));
        let mut cells = vec![
            format!("{:.6e}", point.lambda),
            point.nonzeros.to_string(),
            format!("{:.6e}", point.objective),
            format!("{:.1e}", point.gap),
            loss(point.validation),
        ];
        cells.extend(figures(point.validation));
        cells.extend([bytes(point.model_bytes), notes.join(", ")]);
        cells
    });
    let before = ["lambda", "nonzeros", "objective", "gap", "validation loss"];
    let header = [&before[..], names, &["model", ""]].concat();
    let mut text = format!(
        "{}: {} training, {}, {} features, {} storage\n\n{}\n\n{} points in {:.2} s",
        summary.data,
        summary.samples,
        show::validation(summary.folds, summary.validation_samples),
        summary.features,
        summary.storage,
        table(&header, rows).spare(&["model", "gap", "objective"]).text(width),
        summary.points.len(),
        summary.seconds,
    );
    for (name, choice) in [("best", summary.best), ("knee", summary.knee)] {
        let Some(Choice { point, test: Some(test) }) = choice else { continue };
        let nonzeros = summary.points[point].nonzeros;
        text += &format!("\n{name}  {nonzeros} nonzeros, test loss {}", loss(Some(test)));
        for (name, figure) in names.iter().zip(figures(Some(test))) {
            text += &format!(", {name} {figure}");
        }
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
fn write_coefficients(out: &mut dyn Write, answers: &[Solution], features: usize) -> std::io::Result<()> {
    let shape = format!("({}, {})", answers.len(), features + 1);
    let header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}");
    // The numbers start at a multiple of 64.
    let padded = (10 + header.len() + 1).next_multiple_of(64) - 11;
    out.write_all(b"\x93NUMPY\x01\x00")?;
    out.write_all(&(padded as u16 + 1).to_le_bytes())?;
    writeln!(out, "{header:padded$}")?;
    for answer in answers {
        let mut row = vec![0.0; features + 1];
        answer.coefficients.iter().for_each(|&(feature, weight)| row[feature] = weight);
        row[features] = answer.intercept;
        for number in row {
            out.write_all(&number.to_le_bytes())?;
        }
    }
    Ok(())
}
