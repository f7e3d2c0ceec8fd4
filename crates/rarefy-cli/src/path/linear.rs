//! Paths of linear models, from no feature to many, each at its optimum to a stated gap.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;
use rarefy::control::{Candidate, PathStart, lambda_grid};
use rarefy::convex::{self, Design, Loss, Method, Problem, Solution, SolverSettings};
use rarefy::data::{self, CrossValidation, Dataset, Splits, TargetScale, Task};
use rarefy::penalties::PenaltyMethod;
use rarefy::report::{amount, bytes, table};
use rarefy::train::{ModelConfig, Settings, SettingsBuilder, thread_pool};
use serde::Serialize;

use super::folds::over_folds;
use super::linear_model::{linear_network, saved_settings};
use super::samples::{HeldOut, Score, problem};
use super::show::{self, Mark, ScoreKind};
use super::{Choice, Choose, PathArgs, choose, save, tell};
use crate::apply::write_output;
use crate::arguments::{named_path, set};
use crate::output::Output;
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

    fn loss(&self, task: Task) -> Loss {
        match self.loss {
            Some(LossArg::Squared) => Loss::Squared,
            Some(LossArg::Logistic) => Loss::Logistic,
            None if task == Task::Regression => Loss::Squared,
            None => Loss::Logistic,
        }
    }

    fn solver(&self) -> SolverSettings {
        let defaults = SolverSettings::default();
        SolverSettings {
            method: match self.solver {
                Some(SolverArg::Ista) => Method::Ista,
                Some(SolverArg::Fista) => Method::Fista,
                Some(SolverArg::CoordinateDescent) | None => Method::CoordinateDescent,
            },
            tolerance: self.tolerance.unwrap_or(defaults.tolerance),
            max_iterations: self.max_iterations.unwrap_or(defaults.max_iterations),
        }
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
    best: Option<Choice<Score>>,
    knee: Option<Choice<Score>>,
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
    args.lay_over(&mut config);
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

/// The samples, and their folds if models are judged by such.
fn read(args: &PathArgs, settings: &Settings) -> Result<(Splits, Option<CrossValidation>)> {
    let folds = args.in_folds(settings)?;
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
    Ok((splits, folds))
}

fn follow(args: &PathArgs, settings: &Settings, output: &Output) -> Result<()> {
    let l1_ratio = l1_ratio(settings)?;
    let (splits, folds) = read(args, settings)?;
    let task = splits.preparation.task;
    let flags = &args.linear;
    let loss = flags.loss(task);
    let scaler = &splits.preparation.target_scaler;
    let problem = problem(&splits, loss)?;
    let held_out = |part: &Option<Dataset>| -> Result<Option<HeldOut>> {
        part.as_ref().map(|part| HeldOut::new(part, &splits, loss)).transpose()
    };
    let (validation, test) = (held_out(&splits.validation)?, held_out(&splits.test)?);
    let solver = flags.solver();
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
        write_output(path, |out| save::write_coefficients(out, &answers, problem.design().cols()))?;
    }
    let (best, knee) = choose(&points, candidate);
    let chosen = |point: usize| Choice { point, test: test.as_ref().map(|part| part.score(&answers[point])) };
    let is_any =
        |has: fn(&Score) -> bool| points.iter().any(|point| point.validation.as_ref().is_some_and(has));
    let kind = ScoreKind::of(is_any(|score| score.accuracy.is_some()), is_any(|score| score.r2.is_some()));
    let marks: Vec<Mark> = points.iter().map(mark).collect();
    let taken = if args.choose == Choose::Best { best } else { knee };
    let summary = Summary {
        data: &args.data,
        loss,
        l1_ratio,
        solver: solver.method,
        tolerance: solver.tolerance,
        samples: splits.train.len(),
        validation_samples: args.validation_samples(&splits),
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
    tell(args, &chart, &text(&summary, output.width()), summary.saved, &summary, output)
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
        text += show::NOT_JUDGED;
    }
    text
}
