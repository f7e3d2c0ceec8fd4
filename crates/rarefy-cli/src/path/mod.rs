//! `rarefy path`: models from sparse to dense or back, and which of them to take.

mod folds;
mod linear;
mod linear_model;
mod network;
mod samples;
mod save;
mod show;

use std::path::PathBuf;

use anyhow::{Result, bail, ensure};
use clap::{ValueEnum, value_parser};
use rarefy::control::{Candidate, PathStart, best, knee};
use rarefy::data::{CrossValidation, Dataset, Splits};
use rarefy::penalties::PenaltyMethod;
use rarefy::report::plot::Chart;
use rarefy::train::{Settings, SettingsBuilder};
use serde::Serialize;

use crate::apply::{refuse_overwriting, write_output};
use crate::arguments::{named_path, one_of};
use crate::output::Output;
use save::Saved;

/// Arguments of `rarefy path`.
#[derive(clap::Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "\
Examples:
  rarefy path table.csv --label price                       linear models
  rarefy path table.csv --label sick --lambdas 50 --json
  rarefy path table.csv --label price --penalty elastic-net --set penalty.l1_ratio=0.9
  rarefy path table.csv --label price --folds 5             cross-validation
  rarefy path digits --hidden 256                           networks
  rarefy path fashion-mnist --hidden 256,256 --penalty mcp --epochs 3 --batch-size 128 --svg path.svg
  rarefy path digits --hidden 64 --from sparse --save-model runs/small

--hidden or --network (or --set network...=...) makes it a path of networks; without them models are linear.

Linear models: mean loss + lambda |w|_1, or with --penalty elastic-net lambda (r |w|_1 + (1 - r) / 2 |w|^2), r being \
penalty.l1_ratio (0.5), from the smallest lambda at which no feature is used down to a part of it. The loss is half the squared \
difference for numbers and the log-loss for two classes. The gap is how far above the optimum the objective is at most. \
Settings of --set: those of [data], penalty.l1_ratio, seed and threads.

Networks: each lambda is trained for --epochs, from the weights and the optimizer state of the one before, under any \
penalty that makes exact zeros; the learning-rate schedule starts again. From dense, lambda rises until nothing is left, \
and zeros leave storage, so that later lambdas cost less. From sparse, lambda falls and connections grow. Settings of \
--set: all that `rarefy train` knows.

best is the model with the lowest loss on the validation part, the penalty left out. knee is the one with the fewest \
nonzeros among those whose validation loss is at most the best one's plus its standard error over the samples: as good \
as can be told, and smaller. With --folds the loss is the mean over the folds of all samples but the test part's, its \
standard error that over the folds, and the models themselves are trained on all of these samples. front marks the models that no smaller one beats. The test part sees the chosen ones only."
)]
pub struct PathArgs {
    #[arg(help = rarefy::data::what_can_be_read())]
    data: String,
    /// One setting, as in data.task=regression; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Label column of a CSV file, by name or position from 1
    #[arg(long)]
    label: Option<String>,
    /// How many penalties [default: 100 for linear models, 20 for networks]
    #[arg(long)]
    lambdas: Option<usize>,
    /// Penalty: l1, elastic-net (--set penalty.l1_ratio=0.5), for networks also mcp, l-half, group-neurons, group-inputs
    /// [default: l1]
    #[arg(long, value_parser = one_of::<PenaltyMethod>(), hide_possible_values = true)]
    penalty: Option<String>,
    /// The largest penalty [default: about the smallest that leaves nothing]
    #[arg(long, value_name = "LAMBDA")]
    lambda_max: Option<f64>,
    /// The smallest penalty over the largest [default: 0.01 for linear models, 0.0001 for networks]
    #[arg(long, value_name = "RATIO")]
    lambda_min_ratio: Option<f64>,
    /// The end to start from: sparse adds connections, dense takes them away [default: sparse for linear models, dense
    /// for networks]
    #[arg(long, value_enum)]
    from: Option<FromArg>,
    /// Judge by cross-validation of so many folds, rather than on a validation part; trains the path once for each fold
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(2..))]
    folds: Option<u32>,
    /// Save the chosen model, for evaluate, predict and inspect
    #[arg(long, value_name = "DIR", value_parser = named_path)]
    save_model: Option<PathBuf>,
    /// Which model --save-model takes
    #[arg(long, value_enum, default_value = "knee")]
    choose: Choose,
    /// Write a plot of score and nonzeros
    #[arg(long, value_name = "FILE.svg")]
    svg: Option<PathBuf>,
    /// Names all random draws
    #[arg(long, value_parser = value_parser!(i64).range(0..))]
    seed: Option<i64>,
    /// Threads; 0 for one per core. Results do not depend on it
    #[arg(long, value_parser = value_parser!(i64).range(0..))]
    threads: Option<i64>,
    #[command(flatten)]
    network: network::NetworkArgs,
    #[command(flatten)]
    linear: linear::LinearArgs,
}

impl PathArgs {
    /// Lays the flags that all paths have over settings.
    fn lay_over(&self, config: &mut SettingsBuilder) {
        config.flag("data.path", Some(self.data.clone()));
        config.flag("data.label", self.label.clone().map(|label| vec![label]));
        config.flag("penalty.method", self.penalty.clone());
        config.flag("seed", self.seed);
        config.flag("threads", self.threads);
        // What is validated on in folds is all trained on.
        config.flag("data.validation_fraction", self.folds.map(|_| 0.0));
    }

    /// The samples in folds, if models are judged so.
    fn in_folds(&self, settings: &Settings) -> Result<Option<CrossValidation>> {
        let read = |folds| CrossValidation::read(&settings.data, settings.seed, folds);
        Ok(self.folds.map(read).transpose()?)
    }

    /// How many samples models are judged on.
    fn validation_samples(&self, splits: &Splits) -> usize {
        match self.folds {
            Some(_) => splits.train.len(),
            None => splits.validation.as_ref().map_or(0, Dataset::len),
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum FromArg {
    Sparse,
    Dense,
}

impl FromArg {
    fn start(self) -> PathStart {
        match self {
            FromArg::Sparse => PathStart::Sparse,
            FromArg::Dense => PathStart::Dense,
        }
    }
}

/// Which point of a path is meant.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
enum Choose {
    Best,
    Knee,
}

/// A point that was chosen, with a score of type `S`.
#[derive(Clone, Copy, Serialize)]
struct Choice<S> {
    /// Its position in `points`.
    point: usize,
    /// On the test part, which no choice has seen.
    test: Option<S>,
}

/// Follows the path.
pub fn run(args: &PathArgs, output: &Output) -> Result<()> {
    let sets_network = |assignment: &String| assignment.trim_start().starts_with("network.");
    let is_network =
        args.network.hidden.is_some() || args.network.network.is_some() || args.set.iter().any(sets_network);
    let (foreign, problem) = if is_network {
        (args.linear.given(), "is for linear models, those without --hidden or --network; leave it out")
    } else {
        (args.network.given(), "is for networks; give --hidden too, as in --hidden 256,256, or --network")
    };
    if let Some(flag) = foreign {
        bail!("{flag}: {problem}");
    }
    for file in args.svg.iter().chain(&args.linear.save_coefficients) {
        refuse_overwriting(file, [&args.data])?;
    }
    if is_network { network::run(args, output) } else { linear::run(args, output) }
}

/// What must be known before any work: flags that choose by a validation part that there is not.
fn check_validation(args: &PathArgs, splits: &Splits) -> Result<()> {
    let flag = match (&args.save_model, &args.svg) {
        (Some(_), _) => "--save-model",
        (None, Some(_)) => "--svg",
        (None, None) => return Ok(()),
    };
    ensure!(
        splits.validation.is_some() || args.folds.is_some(),
        "{flag}: there is no validation part to judge models by; set data.validation_fraction above 0, or give --folds 5"
    );
    Ok(())
}

/// The best and the knee of models of which `judge` says nonzeros, validation loss and its standard error.
fn choose<T>(points: &[T], judge: impl Fn(&T) -> Candidate) -> (Option<usize>, Option<usize>) {
    let candidates: Vec<Candidate> = points.iter().map(judge).collect();
    (best(&candidates), knee(&candidates))
}

/// Tells what came of a path: its plot, the text of its table, where a model was saved, and `summary`, which has it all.
fn tell(
    args: &PathArgs,
    chart: &Chart,
    text: &str,
    saved: Option<Saved>,
    summary: &impl Serialize,
    output: &Output,
) -> Result<()> {
    if let Some(file) = &args.svg {
        write_output(file, |out| out.write_all(chart.to_svg().as_bytes()))?;
    }
    let plot = show::plot(chart, output).map_or(String::new(), |plot| format!("\n\n{plot}"));
    output.show(&format!("{text}{plot}"));
    if let Some(saved) = saved {
        output.say(&saved.advice());
    }
    output.json(summary)
}
