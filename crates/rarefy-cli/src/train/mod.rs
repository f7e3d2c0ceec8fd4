//! `rarefy train`: settings in, a run with progress, and at its end an honest table against the dense twin.

mod show;

use std::collections::HashSet;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use clap::value_parser;
use rarefy::control::{parse_bytes, parse_target};
use rarefy::data::DataSettings;
use rarefy::distributed::Comm;
use rarefy::layers::Precision;
use rarefy::optimizers;
use rarefy::penalties::PenaltyMethod;
use rarefy::report::{Summary, Twin};
use rarefy::topology;
use rarefy::train::{Ending, Outcome, Run, Settings, Trainer, free_run_directory};
use rarefy_mpi::Job;

use crate::arguments::{
    ReadArgs, Suggested, isa_help, learning_rate, named_path, names, network_given, one_of, set, share,
    whole_or_auto,
};
use crate::interrupt::{Interrupt, watch_for_interrupt};
use crate::job;
use crate::output::Output;
use crate::print_config::print_config;
use crate::progress::Progress;
use rarefy::train::{SettingsBuilder, density_of};

fn method_help() -> String {
    let default = topology::Method::default().name();
    format!(
        "Topology method: {} [default: {default}]",
        topology::Method::ALL.map(topology::Method::name).join(", ")
    )
}

fn penalty_help() -> String {
    format!(
        "Penalty: {}; starts dense unless told otherwise [default: none]",
        names(&PenaltyMethod::ALL[1..])
    )
}

fn optimizer_help() -> String {
    use optimizers::Method;
    let (default, all) = (Method::default(), names(&Method::ALL));
    let (linbreg, adabreg) = (Method::Linbreg, Method::Adabreg);
    format!("Optimizer: {all}; {linbreg} and {adabreg} need --penalty l1 [default: {default}]")
}

/// Arguments of `rarefy train`.
#[derive(clap::Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "\
Examples:
  rarefy train digits                          the built-in data, offline, in seconds
  rarefy train fashion-mnist --sparsity 0.95 --hidden 1024,1024
  rarefy train table.csv --label price --ignore row --keep id
  zcat table.csv.gz | rarefy train - --label price
  rarefy train table.csv --label price --task regression --set data.target_scale=log
  rarefy train speech.csv --set data.audio.features=mfcc --set data.augment.time_masks=2
  rarefy train photos --set data.image_size=32 --set data.augment.flip=true --skip-bad
  rarefy train news.tsv --text body --label topic
  rarefy train news.tsv --text body --label topic --set data.text.tokens.kind=words --network text-cnn
  rarefy train speeches.txt --task language-model --network char-transformer
  rarefy train --config run.toml --set optimizer.learning_rate=0.01
  rarefy train --resume runs/digits-1          go on where a run stopped
  rarefy train --resume runs/digits-1 --epochs 100
  mpirun -n 4 --bind-to none rarefy train digits --batch-size 256    the same result by four processes

Settings come from defaults < --config file < --network < --set < flags; --print-config shows the result."
)]
pub struct TrainArgs {
    #[arg(help = rarefy::data::what_can_be_read())]
    data: Option<String>,
    /// A TOML file with settings
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One setting, as in optimizer.momentum=0.9; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Share of connections that do not exist
    #[arg(long, conflicts_with = "density", value_parser = share)]
    sparsity: Option<f64>,
    /// Share of connections that exist [default: 0.1]
    #[arg(long, value_parser = share)]
    density: Option<f64>,
    /// Neighbouring outputs that share their inputs, 2, 4, 8, 16 or auto: faster steps for a little accuracy [default: 1]
    #[arg(long, value_name = "N", value_parser = whole_or_auto)]
    block: Option<toml::Value>,
    #[arg(long, value_parser = one_of::<topology::Method>(), hide_possible_values = true, help = method_help())]
    method: Option<String>,
    #[arg(long, value_parser = one_of::<PenaltyMethod>(), hide_possible_values = true, help = penalty_help())]
    penalty: Option<String>,
    /// The penalty's strength [default: 1e-4]
    #[arg(long, requires = "penalty")]
    lambda: Option<f64>,
    /// What the network is to end as: sparsity=0.98, nnz=50k, bytes=60kB or flops=2M, several to end within all; with a
    /// penalty its lambda is steered there
    #[arg(long, value_name = "KEY=VALUE")]
    target: Vec<String>,
    #[arg(long, value_name = "NAME|FILE", value_parser = Suggested::networks(), hide_possible_values = true, help = crate::network::help())]
    network: Option<String>,
    /// Units of each hidden layer of the network mlp, as in 256,256
    #[arg(long, conflicts_with = "network", value_delimiter = ',', value_parser = value_parser!(i64).range(1..))]
    hidden: Option<Vec<i64>>,
    #[arg(long, value_parser = one_of::<optimizers::Method>(), hide_possible_values = true, help = optimizer_help())]
    optimizer: Option<String>,
    /// The base learning rate, or auto for an optimizer that finds it [default: the optimizer's own]
    #[arg(long, value_parser = learning_rate)]
    learning_rate: Option<toml::Value>,
    /// Passes over the training part; with --resume of the whole run, those that are done included
    #[arg(long, value_parser = value_parser!(i64).range(1..))]
    epochs: Option<i64>,
    /// Samples of a mini-batch [default: 32, or 16 or 8 where an epoch would have fewer than 10 steps]
    #[arg(long, value_parser = value_parser!(i64).range(1..))]
    batch_size: Option<i64>,
    /// Mini-batches whose gradients are summed for a step: the bits of one large batch, in the memory of a mini-batch [default: 1]
    #[arg(long, value_parser = value_parser!(i64).range(1..))]
    accumulate: Option<i64>,
    /// In how many bits products read numbers, f32 or bf16 [default: f32]
    #[arg(long, value_parser = one_of::<Precision>(), hide_possible_values = true)]
    precision: Option<String>,
    #[command(flatten)]
    read: ReadArgs,
    /// Names all random draws
    #[arg(long, value_parser = value_parser!(i64).range(0..))]
    seed: Option<i64>,
    /// Threads; 0 for one per core
    #[arg(long, value_parser = value_parser!(i64).range(0..))]
    threads: Option<i64>,
    #[arg(long, value_parser = Suggested::isas(), hide_possible_values = true, help = isa_help())]
    isa: Option<String>,
    /// The memory that the run may hold, as in 8GB [default: what the machine has left]
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    memory_limit: Option<usize>,
    /// The run's folder [default: runs/DATA-N]
    #[arg(long, value_name = "DIR", value_parser = named_path)]
    run_dir: Option<PathBuf>,
    /// Go on with a run from its last checkpoint, bit for bit, with its own settings; only --threads, --memory-limit, --elastic,
    /// --baseline and --no-twin go with it, and --epochs, which plans the whole run for more
    #[arg(long, value_name = "DIR", value_parser = named_path)]
    resume: Option<PathBuf>,
    /// Go on with the ranks that are left when others are lost, from the last checkpoint; needs Open MPI 5 and mpirun --with-ft ulfm
    #[arg(long)]
    elastic: bool,
    /// Train the dense twin too, so that the table compares accuracies
    #[arg(long)]
    baseline: bool,
    /// Count the dense twin, but do not build it to time its steps
    #[arg(long, conflicts_with = "baseline")]
    no_twin: bool,
    /// Print the settings as resolved, and those that are not set as comments, and stop
    #[arg(long)]
    print_config: bool,
}

/// The command `train` in which `--resume` stands alone but for what changes no result.
pub fn with_resume_alone(command: clap::Command) -> clap::Command {
    let goes_with_it = |arg: &clap::Arg| {
        ["resume", "epochs", "threads", "memory_limit", "elastic", "baseline", "no_twin"]
            .contains(&arg.get_id().as_str())
    };
    command.mut_args(|arg| if goes_with_it(&arg) { arg } else { arg.conflicts_with("resume") })
}

/// Trains, with the other ranks of the job.
pub fn run(args: &TrainArgs, job: &mut Job, output: &mut Output) -> Result<()> {
    let settings = if args.resume.is_some() { None } else { Some(settings(args)?) };
    if let Some(settings) = &settings {
        if args.print_config {
            if !output.json {
                output.answer(&print_config(settings)?);
            }
            return output.json(settings);
        }
        if args.data.is_none() && settings.data.path == DataSettings::default().path {
            output.say(
                "no DATA is given, so it is digits, which are built in; name a file or folder to train on",
            );
        }
        ensure!(
            settings.data.path != "-" || job.comm().size() == 1,
            "-: what is piped in reaches rank 0 alone; write it to a file that all ranks can read"
        );
    }
    if args.elastic {
        job.be_elastic().context("--elastic")?;
    }
    let (mut run, outcome, directory) = train(args, settings.as_ref(), job, output)?;
    // All ranks have the same result. Rank 0 tells it, and has the machine to itself where it times the dense twin.
    job.end(0);
    if job.comm().rank() > 0 {
        return Ok(());
    }
    let (output, interrupt) = (&*output, watch_for_interrupt()?);
    let mut train = |twin: &mut Trainer| train_twin(twin, interrupt, output);
    let twin = match (args.baseline, args.no_twin) {
        (true, _) => Twin::Train(&mut train),
        (_, true) => Twin::Count,
        _ => Twin::Time,
    };
    let summary = Summary::new(run.trainer_mut(), &outcome, Some(&directory), twin)?;
    show::describe_end(run.trainer(), &outcome.model, &directory, &summary, output);
    let value = serde_json::to_value(&summary)?;
    run.write("summary.json", &format!("{value:#}\n"))?;
    output.json(&value)?;
    // The answer stands above; that it is not what was asked for says the exit code.
    summary.emptied.map_or(Ok(()), |emptied| Err(anyhow!("{emptied} (exit code 1)")))
}

/// Trains until it is done, with the ranks that are left each time that others are lost.
fn train(
    args: &TrainArgs,
    settings: Option<&Settings>,
    job: &mut Job,
    output: &mut Output,
) -> Result<(Run, Outcome, PathBuf)> {
    let given = args.resume.as_ref().or(args.run_dir.as_ref());
    let default = || settings.map_or_else(PathBuf::new, default_directory);
    let mut directory = given.cloned().unwrap_or_else(default);
    for losses in 0.. {
        let result = begin(args, settings, job.comm(), losses, &mut directory).and_then(|mut run| {
            job.set_timeout(Duration::from_secs_f64(run.trainer().settings().distributed.timeout));
            if losses == 0 {
                show::describe_ranks(job, output);
                show::describe_start(run.trainer(), &directory, output);
            } else {
                show::describe_rest(run.trainer(), job, output);
            }
            let interrupt = watch_for_interrupt()?;
            let mut progress = Progress::new(run.trainer(), output);
            let outcome = run.train(&mut |event| {
                progress.show(&event);
                interrupt.control()
            });
            progress.finish();
            let outcome = outcome.map_err(|error| stopped(error, &directory))?;
            if outcome.ending == Ending::Interrupted {
                interrupt.tell();
            }
            Ok((run, outcome))
        });
        let is_loss =
            |error: &anyhow::Error| matches!(error.downcast_ref(), Some(rarefy::Error::Lost { .. }));
        let goes_on = args.elastic && result.as_ref().err().is_none_or(is_loss);
        let Some(lost) = goes_on.then(|| job.regroup(result.is_ok())).flatten() else {
            return result.map(|(run, outcome)| (run, outcome, directory));
        };
        if job.comm().rank() == 0 {
            job::take_over();
            output.take_over();
        }
        output.say(&format!("lost: {}", lost.join(", ")));
    }
    unreachable!("it is left by its result")
}

/// A run that begins, or goes on as the command line says or after losses. Rank 0 says in which folder.
fn begin(
    args: &TrainArgs,
    settings: Option<&Settings>,
    comm: Arc<dyn Comm>,
    losses: usize,
    directory: &mut PathBuf,
) -> Result<Run> {
    let adjust = |settings: &mut Settings| {
        if let Some(threads) = args.threads {
            settings.threads = threads.max(0) as usize;
        }
        settings.memory_limit = args.memory_limit.or(settings.memory_limit);
        if let Some(epochs) = args.epochs {
            settings.train.epochs = epochs.max(0) as u64;
        }
    };
    let mut told = directory.as_os_str().as_bytes().to_vec();
    comm.broadcast(&mut told, 0)?;
    *directory = OsString::from_vec(told).into();
    Ok(match settings {
        _ if losses > 0 => Run::go_on_with(settings, directory, comm, adjust)?,
        None => Run::resume_with(directory, comm, adjust)?,
        Some(settings) => Run::start_with(settings.clone(), Some(directory), comm).map_err(taken)?,
    })
}

/// Trains the dense twin.
fn train_twin(twin: &mut Trainer, interrupt: &Interrupt, output: &Output) -> rarefy::Result<Outcome> {
    output.say("training the dense twin");
    let mut progress = Progress::new(twin, output);
    let outcome = twin.train(&mut |event| {
        progress.show(&event);
        interrupt.control()
    });
    progress.finish();
    outcome
}

fn settings(args: &TrainArgs) -> Result<Settings> {
    let mut config = SettingsBuilder::default();
    if let Some(path) = &args.config {
        config.file(path)?;
    }
    if let Some(network) = &args.network {
        config.network(&network_given(network)?);
    }
    for assignment in &args.set {
        set(&mut config, assignment)?;
    }
    if let Some(sparsity) = args.sparsity {
        let hint = if sparsity > 1.0 && sparsity < 100.0 {
            format!("; did you mean {}?", sparsity / 100.0)
        } else {
            String::new()
        };
        ensure!((0.0..1.0).contains(&sparsity), "--sparsity {sparsity}: is not from 0 to below 1{hint}");
    }
    let density = args.sparsity.map(density_of).or(args.density);
    config.flag("data.path", args.data.clone());
    args.read.lay_over(&mut config);
    config.flag("sparsity.density", density);
    config.flag("sparsity.block", args.block.clone());
    config.flag("topology.method", args.method.clone());
    config.flag("network.hidden", args.hidden.clone());
    config.flag("optimizer.method", args.optimizer.clone());
    config.flag("optimizer.learning_rate", args.learning_rate.clone());
    config.flag("train.epochs", args.epochs);
    config.flag("train.batch_size", args.batch_size);
    config.flag("train.accumulate", args.accumulate);
    config.flag("train.precision", args.precision.clone());
    config.flag("penalty.method", args.penalty.clone());
    config.flag("penalty.lambda", args.lambda);
    let mut targets = HashSet::new();
    for target in &args.target {
        let (key, number) = parse_target(target)?;
        ensure!(targets.insert(key.clone()), "--target {target}: {key} is there twice; keep one");
        match key.as_str() {
            "target.sparsity" => config.flag(&key, Some(number)),
            _ => config.flag(&key, Some(number as i64)),
        }
    }
    config.flag("seed", args.seed);
    config.flag("threads", args.threads);
    config.flag("isa", args.isa.clone());
    config.flag("memory_limit", args.memory_limit.map(|bytes| bytes as i64));
    let settings = config.settings()?;
    settings.check()?;
    Ok(settings)
}

fn default_directory(settings: &Settings) -> PathBuf {
    let name = match settings.data.path.as_str() {
        "-" => "stdin",
        path => Path::new(path).file_stem().and_then(|stem| stem.to_str()).unwrap_or("run"),
    };
    free_run_directory(Path::new("runs"), name)
}

/// What to do about a folder that holds a run.
fn taken(error: rarefy::Error) -> anyhow::Error {
    match error {
        rarefy::Error::RunExists { path } => anyhow!(
            "{0}: holds a run already; choose another --run-dir, or go on with that run by  rarefy train --resume {0}",
            path.display()
        ),
        other => other.into(),
    }
}

/// A run that stopped because of a file can go on once the cause is gone; other errors speak for themselves.
fn stopped(error: rarefy::Error, directory: &Path) -> anyhow::Error {
    let rarefy::Error::Io { source, .. } = &error else { return error.into() };
    let cure = match source.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "make room on the disk",
        _ => "mend this",
    };
    let advice = format!(
        "the run has stopped; {cure}, then go on with  rarefy train --resume {}",
        directory.display()
    );
    anyhow!("{:#}\n{advice}", anyhow::Error::from(error))
}
