//! A model from disk and data to apply it to: what `evaluate` and `predict` share.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, ensure};
use rarefy::data::{self, DataSettings, Format, Loaded, Preparation, Splits, TargetScale};
use rarefy::kernels::Isa;
use rarefy::layers::Precision;
use rarefy::report::amount;
use rarefy::train::{self, Model, Predictions, Settings};

use crate::arguments::{Suggested, isa_help};

/// What the work runs on.
#[derive(clap::Args)]
pub struct MachineArgs {
    #[arg(long, default_value = "auto", value_parser = Suggested::isas(), hide_possible_values = true, help = isa_help())]
    isa: String,
    /// Threads; 0 for one per core. Results do not depend on it
    #[arg(long, default_value_t = 0)]
    threads: usize,
}

impl MachineArgs {
    /// Opens a model that predicts on this machine: a run's folder, or a `.safetensors` file.
    pub fn open(&self, path: &Path) -> Result<Model> {
        let model = open_model(path)?;
        let pool = Arc::new(train::thread_pool(self.threads)?);
        let isa = model.network().precision().isa(&self.isa)?;
        Ok(model.with_isa(isa).with_pool(pool))
    }

    /// Runs `work` with a network of this precision on this machine.
    pub fn install<R: Send>(&self, precision: Precision, work: impl FnOnce(Isa) -> R + Send) -> Result<R> {
        let isa = precision.isa(&self.isa)?;
        let pool = train::thread_pool(self.threads)?;
        Ok(pool.install(|| work(isa)))
    }
}

/// What is to be known of predictions that mean nothing.
pub fn astray_text(predictions: &Predictions<'_>) -> Option<String> {
    let (astray, samples) = (predictions.astray(), predictions.len());
    (astray > 0).then(|| {
        format!(
            "note: for {astray} of {samples} samples the network's outputs are no numbers, so what is predicted for them means nothing: \
             look there for numbers far beyond those of the training part"
        )
    })
}

/// Opens a model: a run's folder, or a `.safetensors` file.
pub fn open_model(path: &Path) -> Result<Model> {
    ensure!(
        path.exists(),
        "{}: there is no such file or folder; give a run's folder or a .safetensors file",
        path.display()
    );
    Ok(Model::open(path)?)
}

/// The folder that a model lies in: the run's folder, if it came from a run.
pub fn model_folder(model: &Path) -> PathBuf {
    let folder = if model.is_dir() { Some(model) } else { model.parent() };
    folder.unwrap_or(Path::new("")).to_path_buf()
}

/// The files that are read of a model and of data for it, as far as they are known beforehand.
pub fn files_read(model: &Path, data: Option<&str>) -> impl Iterator<Item = PathBuf> {
    let folder = model_folder(model);
    let names = ["model.safetensors", "config.json", "config.toml"].map(|name| folder.join(name));
    names.into_iter().chain([model.to_path_buf()]).chain(data.map(PathBuf::from))
}

/// Refuses an output that is one of the files that are read, be it by a link.
pub fn refuse_overwriting(output: &Path, read: impl IntoIterator<Item = impl AsRef<Path>>) -> Result<()> {
    let Some(own) = file_identity(output) else { return Ok(()) };
    for path in read {
        let path = path.as_ref();
        ensure!(
            file_identity(path).as_ref() != Some(&own),
            "{}: is the same file as {}, which is read, and would be overwritten; write to another file",
            output.display(),
            path.display()
        );
    }
    Ok(())
}

/// Writes a file that the user has named, whole or not at all. A link to a file stays one; what is no plain file, such as a pipe, is
/// written to as it is.
pub fn write_output(output: &Path, write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> Result<()> {
    let place = std::fs::canonicalize(output);
    let is_special = output.exists() && !place.as_ref().is_ok_and(|place| place.is_file());
    if is_special {
        let write = |file| {
            let mut file = BufWriter::new(file);
            write(&mut file).and_then(|()| file.flush())
        };
        let file = File::options().write(true).open(output);
        return file.and_then(write).with_context(|| format!("{}: cannot write", output.display()));
    }
    Ok(train::write_whole(&place.unwrap_or_else(|_| output.to_path_buf()), write)?)
}

/// What tells a file from all others, whatever links lead to it; none for what is no file.
#[cfg(unix)]
fn file_identity(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let about = std::fs::metadata(path).ok().filter(|about| about.is_file())?;
    Some((about.dev(), about.ino()))
}

/// As above, where hard links cannot be told.
#[cfg(not(unix))]
fn file_identity(path: &Path) -> Option<PathBuf> {
    std::fs::canonicalize(path).ok().filter(|path| path.is_file())
}

/// The settings of the run in a model's folder; none if they are not there or of another version.
pub fn run_settings(model: &Path) -> Option<Settings> {
    toml::from_str(&std::fs::read_to_string(model_folder(model).join("config.toml")).ok()?).ok()
}

/// The parts of the data of the run in this model's folder, and what its test part is called; `cure` is what to do where they are
/// no longer there.
pub fn splits_of_run(path: &Path, model: &Model, cure: &str) -> Result<(String, Splits)> {
    ensure!(
        model.config.preparation.format() != Format::Memory,
        "memory: the run's samples were in memory; {cure}"
    );
    let file = model_folder(path).join("config.toml");
    let text = std::fs::read_to_string(&file)
        .with_context(|| format!("{}: cannot read the run's settings; {cure}", file.display()))?;
    let mut settings: Settings = toml::from_str(&text)
        .with_context(|| format!("{}: these settings cannot be used; {cure}", file.display()))?;
    if model.config.preparation.target_scaler.is_none() {
        // An older run's settings do not say that its targets were left as they were.
        settings.data.target_scale.get_or_insert(TargetScale::None);
    }
    let splits = data::load(&settings.data, settings.seed)
        .map_err(|error| anyhow!("{:#}; {cure}", anyhow::Error::from(error)))?;
    let own_test = settings.data.test_path.filter(|_| settings.data.fold.is_none());
    let name = own_test.unwrap_or(settings.data.path);
    ensure!(
        splits.preparation == model.config.preparation,
        "{name}: has changed since the model was trained on it, so its parts are not the same; {cure}"
    );
    Ok((name, splits))
}

/// Reads new data for a model. What cannot be read is left out where `skip_bad` asks for it or the model was trained so.
pub fn load_new(
    model: &Path,
    preparation: &Preparation,
    path: &str,
    targets: bool,
    skip_bad: bool,
) -> Result<Loaded> {
    if let Some(settings) = streamed(model) {
        let skip_bad = skip_bad || settings.skip_bad;
        let settings = DataSettings { skip_bad, ..settings };
        return data::load_streamed(preparation, &settings, path, targets).map_err(by_flag);
    }
    let load = if skips_bad(model, skip_bad) { data::load_readable } else { data::load_with };
    load(preparation, path, targets).map_err(by_flag)
}

/// The settings of the data that the model's run was on, if that stayed on the disk; new samples do then, too.
pub fn streamed(model: &Path) -> Option<DataSettings> {
    run_settings(model).map(|settings| settings.data).filter(|data| data.memory.is_some())
}

/// The error in the words of these commands, which have a flag where a run has a setting.
pub fn by_flag(error: rarefy::Error) -> anyhow::Error {
    let text = error.to_string();
    let said = text
        .replace("data.skip_bad = true", "--skip-bad")
        .replace("data.skip_bad", "--skip-bad")
        .replace("data.keep: ", "--keep: ")
        .replace("name the key with data.keep", "name the key with --keep");
    if said == text { error.into() } else { anyhow::Error::msg(said) }
}

/// Whether what cannot be read is left out: where that is asked for, or the model was trained so.
pub fn skips_bad(model: &Path, is_asked_for: bool) -> bool {
    is_asked_for || run_settings(model).is_some_and(|settings| settings.data.skip_bad)
}

/// How numbers to predict were scaled for the network, if they were.
pub fn targets_text(preparation: &Preparation) -> Option<String> {
    const NAMED: usize = 5;
    let scaler = &preparation.target_scaler;
    let ln = if scaler.is_log() { "ln " } else { "" };
    let names = preparation.output_names();
    let mut each: Vec<String> = (names.iter().enumerate().take(NAMED))
        .map(|(output, name)| {
            let (mean, deviation) = scaler.mean_and_deviation(output);
            format!("{ln}{name} {} ± {}", amount(mean), amount(deviation))
        })
        .collect();
    if names.len() > NAMED {
        each.push("...".into());
    }
    (!scaler.is_none()).then(|| format!("{}; to the network 0 ± 1", each.join(", ")))
}
