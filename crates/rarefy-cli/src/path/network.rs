//! Paths of networks: one penalty, many lambdas, each trained on from the one before.

use anyhow::{Result, ensure};
use clap::value_parser;
use rarefy::control::PathStart;
use rarefy::data::CrossValidation;
use rarefy::optimizers::Method;
use rarefy::penalties::PenaltyMethod;
use rarefy::report::{amount, bytes, r2, table};
use rarefy::train::{
    Ending, Event, LambdaPath, NumberScore, PathEvent, PathOutcome, PathPoint, PathSettings, SampleScore,
    Settings, SettingsBuilder,
};
use serde::Serialize;

use super::folds::over_folds;
use super::show::{self, Mark, ScoreKind};
use super::{Choice, Choose, PathArgs, choose, save, tell};
use crate::arguments::{Suggested, learning_rate, network_given, one_of, set};
use crate::interrupt::{Interrupt, watch_for_interrupt};
use crate::output::Output;
use crate::progress::Progress;
use save::Saved;

/// Epochs at each lambda unless told otherwise.
const EPOCHS: i64 = 5;

/// What only networks have.
#[derive(clap::Args)]
#[command(next_help_heading = "Networks")]
pub struct NetworkArgs {
    /// Units of each hidden layer, as in 256,256: makes it a path of networks
    #[arg(long, value_delimiter = ',', value_parser = value_parser!(i64).range(1..))]
    pub hidden: Option<Vec<i64>>,
    #[arg(long, conflicts_with = "hidden", value_name = "NAME|FILE", value_parser = Suggested::networks(), hide_possible_values = true, help = crate::network::help())]
    pub network: Option<String>,
    /// Passes over the training part at each lambda [default: 5]
    #[arg(long, value_parser = value_parser!(i64).range(1..))]
    epochs: Option<i64>,
    /// Samples of a mini-batch [default: 32, or 16 or 8 where an epoch would have fewer than 10 steps]
    #[arg(long, value_parser = value_parser!(i64).range(1..))]
    batch_size: Option<i64>,
    /// Optimizer, as in train [default: adam]
    #[arg(long, value_parser = one_of::<Method>(), hide_possible_values = true)]
    optimizer: Option<String>,
    /// The base learning rate, or auto for an optimizer that finds it [default: the optimizer's own]
    #[arg(long, value_parser = learning_rate)]
    learning_rate: Option<toml::Value>,
}

impl NetworkArgs {
    /// The first flag that was given.
    pub fn given(&self) -> Option<&'static str> {
        let flags = [
            ("--epochs", self.epochs.is_some()),
            ("--batch-size", self.batch_size.is_some()),
            ("--optimizer", self.optimizer.is_some()),
            ("--learning-rate", self.learning_rate.is_some()),
        ];
        flags.into_iter().find(|(_, is_given)| *is_given).map(|(flag, _)| flag)
    }
}

/// The whole path.
#[derive(Serialize)]
struct Summary<'a> {
    data: &'a str,
    samples: usize,
    validation_samples: usize,
    /// Folds that these are validated in.
    folds: Option<u32>,
    /// Inputs, and the outputs of each weight matrix.
    units: Vec<usize>,
    /// Weights of the whole network.
    cells: usize,
    penalty: PenaltyMethod,
    from: PathStart,
    /// At each lambda.
    epochs: u64,
    seed: u64,
    ending: Ending,
    /// Of training.
    seconds: f64,
    points: &'a [PathPoint],
    /// Lambdas that left no way from inputs to outputs.
    emptied: &'a [f64],
    /// Positions in `points` of the models that no smaller one beats on the validation part.
    front: Vec<usize>,
    best: Option<Choice<SampleScore>>,
    knee: Option<Choice<SampleScore>>,
    saved: Option<Saved<'a>>,
}

/// Follows the path.
pub fn run(args: &PathArgs, output: &Output) -> Result<()> {
    let mut settings = settings(args)?;
    let defaults = PathSettings::default();
    let wanted = PathSettings {
        lambda_max: args.lambda_max,
        lambda_min_ratio: args.lambda_min_ratio.unwrap_or(defaults.lambda_min_ratio),
        lambdas: args.lambdas.unwrap_or(defaults.lambdas),
        start: args.from.map_or(defaults.start, |from| from.start()),
    };
    let folds = args.in_folds(&settings)?;
    let of_folds = settings.clone();
    if let Some(folds) = folds.as_ref().filter(|_| settings.train.metric.is_some()) {
        // Before hours of work: it fits what is predicted. All samples together have no part to take it on.
        LambdaPath::on(of_folds.clone(), &wanted, folds.fold(1)?)?;
        settings.train.metric = None;
    }
    let mut path = match &folds {
        Some(folds) => LambdaPath::on(settings.clone(), &wanted, folds.whole()?)?,
        None => LambdaPath::new(settings.clone(), &wanted)?,
    };
    super::check_validation(args, path.trainer().splits())?;
    let folder = save::claim(args.save_model.as_deref())?;
    output.say(&describe(args, &path, &settings, wanted.start));
    let interrupt = watch_for_interrupt()?;
    let mut progress = Progress::new(path.trainer(), output);
    let outcome = path.follow(&mut |event| {
        match event {
            PathEvent::Train(Event::Epoch { record, .. }) => progress.note(record),
            PathEvent::Train(step) => progress.show(&step),
            PathEvent::Point(point) => progress.say(&line(point)),
        }
        interrupt.control()
    });
    progress.finish();
    let mut outcome = outcome?;
    if let Some(folds) = folds.filter(|_| outcome.ending == Ending::Finished) {
        // All folds go through the lambdas of the whole.
        let largest = path.lambdas().iter().copied().fold(0.0, f64::max);
        let wanted = PathSettings { lambda_max: Some(largest), ..wanted };
        cross_validate(&folds, &of_folds, &wanted, &mut outcome.points, interrupt, output)?;
    }
    report(args, &path, &settings, &wanted, &outcome, folder, output)
}

/// Judges the models of `points` by folds: each lambda's validation score becomes the mean over the folds, each trained along
/// the same path on the others. A lambda that empties a network of some fold has none.
fn cross_validate(
    folds: &CrossValidation,
    settings: &Settings,
    wanted: &PathSettings,
    points: &mut [PathPoint],
    interrupt: &Interrupt,
    output: &Output,
) -> Result<()> {
    let mut found: Vec<Vec<PathPoint>> = Vec::new();
    for number in 1..=folds.folds {
        let begun = std::time::Instant::now();
        let mut path = LambdaPath::on(settings.clone(), wanted, folds.fold(number)?)?;
        let outcome = path.follow(&mut |_| interrupt.control())?;
        let of = folds.folds;
        ensure!(outcome.ending == Ending::Finished, "interrupted in fold {number}/{of}; no model was judged");
        output.say(&format!("fold {number}/{of}: {:.2} s", begun.elapsed().as_secs_f64()));
        found.push(outcome.points);
    }
    for point in points {
        let score = |fold: &Vec<PathPoint>| fold.iter().find(|it| it.lambda == point.lambda)?.validation;
        let scores: Option<Vec<SampleScore>> = found.iter().map(score).collect();
        point.validation = scores.and_then(|scores| mean_of(&scores));
    }
    Ok(())
}

/// Means over folds, with their standard errors.
fn mean_of(scores: &[SampleScore]) -> Option<SampleScore> {
    let over = |figure: &dyn Fn(&SampleScore) -> Option<f64>| over_folds(scores.iter().map(figure));
    let (loss, standard_error) = over(&|score| Some(score.loss))?;
    let accuracy = over(&|score| score.accuracy);
    let rmse = over(&|score| Some(score.numbers?.rmse));
    let r2 = over(&|score| score.numbers?.r2);
    let metric = over(&|score| score.metric);
    Some(SampleScore {
        loss,
        standard_error,
        accuracy: accuracy.map(|(mean, _)| mean),
        accuracy_standard_error: accuracy.map(|(_, error)| error),
        numbers: rmse.map(|(rmse, _)| NumberScore { rmse, r2: r2.map(|(mean, _)| mean) }),
        metric: metric.map(|(mean, _)| mean),
    })
}

fn settings(args: &PathArgs) -> Result<Settings> {
    let mut config = SettingsBuilder::default();
    // What a path has by default; --set may say otherwise.
    config.flag("penalty.method", Some("l1"));
    config.flag("sparsity.density", Some(1.0));
    config.flag("topology.method", Some("static"));
    config.flag("train.epochs", Some(EPOCHS));
    let network = &args.network;
    if let Some(described) = &network.network {
        config.network(&network_given(described)?);
    }
    for assignment in &args.set {
        set(&mut config, assignment)?;
    }
    args.lay_over(&mut config);
    config.flag("network.hidden", network.hidden.clone());
    config.flag("train.epochs", network.epochs);
    config.flag("train.batch_size", network.batch_size);
    config.flag("optimizer.method", network.optimizer.clone());
    config.flag("optimizer.learning_rate", network.learning_rate.clone());
    Ok(config.settings()?)
}

fn describe(args: &PathArgs, path: &LambdaPath, settings: &Settings, start: PathStart) -> String {
    let splits = path.trainer().splits();
    let network = match crate::network::name(&settings.network) {
        "mlp" => units(path).iter().map(usize::to_string).collect::<Vec<_>>().join("-"),
        name => name.to_string(),
    };
    let lambdas = path.lambdas();
    let way = if start == PathStart::Dense { "dense to sparse" } else { "sparse to dense" };
    format!(
        "{}: {} training, {}\nnetwork {network}, penalty {}, {way}: lambda from {:.2e} to {:.2e} in {} steps, {} epochs each, batches of {}",
        args.data,
        splits.train.len(),
        show::validation(args.folds, args.validation_samples(splits)),
        settings.penalty.method,
        lambdas[0],
        lambdas[lambdas.len() - 1],
        lambdas.len(),
        settings.train.epochs,
        path.trainer().batch_size(),
    )
}

fn units(path: &LambdaPath) -> Vec<usize> {
    let network = path.trainer().network();
    std::iter::once(network.inputs()).chain(network.weights().map(|(_, it)| it.weights.rows())).collect()
}

/// What a lambda left, while the path goes on.
fn line(point: &PathPoint) -> String {
    let score = match point.validation {
        Some(SampleScore { accuracy: Some(accuracy), .. }) => format!(", val {:.2} %", 100.0 * accuracy),
        Some(SampleScore { numbers: Some(NumberScore { rmse, r2: found }), .. }) => {
            format!(", val RMSE {}, val R2 {}", amount(rmse), r2(found))
        }
        Some(score) => format!(", val loss {:.4}", score.loss),
        None => String::new(),
    };
    format!(
        "lambda {:.2e}: {} nonzeros, loss {:.4}{score}, {:.2} s",
        point.lambda, point.nonzeros, point.train_loss, point.seconds
    )
}

/// Chooses, scores the chosen on the test part, saves, shows.
#[expect(clippy::too_many_arguments)]
fn report(
    args: &PathArgs,
    path: &LambdaPath,
    settings: &Settings,
    wanted: &PathSettings,
    outcome: &PathOutcome,
    folder: Option<rarefy::train::RunDirectory>,
    output: &Output,
) -> Result<()> {
    let splits = path.trainer().splits();
    let points = &outcome.points;
    let (best, knee) = choose(points, PathPoint::candidate);
    let test = |at: usize| splits.test.as_ref().map(|part| path.score(&points[at].network, part));
    let chosen = |at: usize| Choice { point: at, test: test(at) };
    let is_any = |has: fn(SampleScore) -> bool| points.iter().any(|point| point.validation.is_some_and(has));
    let kind =
        ScoreKind::of(is_any(|score| score.accuracy.is_some()), is_any(|score| r2_of(score).is_some()));
    let marks: Vec<Mark> = points.iter().map(mark).collect();
    let taken = if args.choose == Choose::Best { best } else { knee };
    let saved = args.save_model.as_deref().filter(|_| taken.is_some());
    let summary = Summary {
        data: &args.data,
        samples: splits.train.len(),
        validation_samples: args.validation_samples(splits),
        folds: args.folds,
        units: units(path),
        cells: path.trainer().network().connections().1,
        penalty: settings.penalty.method,
        from: wanted.start,
        epochs: settings.train.epochs,
        seed: settings.seed,
        ending: outcome.ending,
        seconds: points.iter().map(|point| point.seconds).sum(),
        points,
        emptied: &outcome.emptied,
        front: show::front(&marks, kind),
        best: best.map(chosen),
        knee: knee.map(chosen),
        saved: saved.map(|folder| Saved { choice: args.choose, folder }),
    };
    if let (Some(folder), Some(at)) = (&folder, taken) {
        let mut settings = settings.clone();
        settings.penalty.lambda = Some(points[at].lambda as f32);
        settings.train.batch_size = Some(path.trainer().batch_size());
        let network = &points[at].network;
        save::write(folder, &settings, network, &path.model_config(network), &summary)?;
    }
    let title = format!("{}, penalty {}", args.data, settings.penalty.method);
    let chart = show::chart(&title, &marks, kind, [("best", best), ("knee", knee)]);
    let text = format!("\n{}", text(&summary, output.width()));
    tell(args, &chart, &text, summary.saved, &summary, output)
}

fn mark(point: &PathPoint) -> Mark {
    let score = point.validation;
    let accuracy = score.and_then(|score| Some((score.accuracy?, score.accuracy_standard_error?)));
    let r2 = score.and_then(|score| Some((r2_of(score)?, 0.0)));
    let loss = score.map(|score| (score.loss, score.standard_error));
    let (score, error) = accuracy.or(r2).or(loss).unwrap_or((f64::NAN, 0.0));
    Mark { nonzeros: point.nonzeros, score, error }
}

fn r2_of(score: SampleScore) -> Option<f64> {
    score.numbers?.r2
}

fn text(summary: &Summary, width: usize) -> String {
    let loss = |score: Option<SampleScore>| {
        score.map_or("-".into(), |score| format!("{:.4} ± {:.4}", score.loss, score.standard_error))
    };
    let has_numbers = |score: SampleScore| score.numbers.is_some();
    let names: &[&str] = if summary.points.iter().any(|point| point.validation.is_some_and(has_numbers)) {
        &["R2", "RMSE"]
    } else {
        &["accuracy"]
    };
    let figures = |score: Option<SampleScore>| match score {
        Some(SampleScore { numbers: Some(found), .. }) => vec![r2(found.r2), amount(found.rmse)],
        Some(SampleScore { accuracy: Some(share), accuracy_standard_error: Some(error), .. }) => {
            vec![format!("{:.2} ± {:.2} %", 100.0 * share, 100.0 * error)]
        }
        _ => vec!["-".to_string(); names.len()],
    };
    let (best, knee) = (summary.best.map(|it| it.point), summary.knee.map(|it| it.point));
    let rows = summary.points.iter().enumerate().map(|(at, point)| {
        let mut cells = vec![
            format!("{:.3e}", point.lambda),
            point.nonzeros.to_string(),
            format!("{:.4}", point.density),
            bytes(point.model_bytes),
            format!("{:.4}", point.train_loss),
            loss(point.validation),
        ];
        cells.extend(figures(point.validation));
        cells.push(format!("{:.2}", point.seconds));
        cells.push(show::notes(at, best, knee, &summary.front).join(", "));
        cells
    });
    let before = ["lambda", "nonzeros", "density", "model", "train loss", "validation loss"];
    let header = [&before[..], names, &["seconds", ""]].concat();
    let mut text = format!(
        "{}\n\n{} points in {:.2} s",
        table(&header, rows).spare(&["seconds", "model", "train loss", "density"]).text(width),
        summary.points.len(),
        summary.seconds
    );
    for (name, choice) in [("best", summary.best), ("knee", summary.knee)] {
        let Some(Choice { point, test: Some(test) }) = choice else { continue };
        let nonzeros = summary.points[point].nonzeros;
        text += &format!("\n{name}  {nonzeros} nonzeros, test loss {}", loss(Some(test)));
        for (name, figure) in names.iter().zip(figures(Some(test))).filter(|(_, figure)| figure != "-") {
            text += &format!(", {name} {figure}");
        }
    }
    if let [.., smallest] = *summary.emptied {
        text += &format!(
            "\nnote: at lambda {smallest:.3e} no way is left from inputs to outputs; such points have no model"
        );
    }
    if summary.ending == Ending::Interrupted {
        text += "\nnote: interrupted; these are the lambdas that were done";
    }
    let sparsest = summary.points.first().map_or(0.0, |point| point.density);
    if summary.emptied.is_empty() && sparsest > 0.05 && summary.ending == Ending::Finished {
        text += &format!(
            "\nnote: the sparsest network has a density of {sparsest:.2}; raise --lambda-max to see sparser ones"
        );
    }
    if summary.best.is_none() {
        text += show::NOT_JUDGED;
    }
    text
}
