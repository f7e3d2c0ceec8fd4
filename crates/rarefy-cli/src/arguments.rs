//! What several verbs' arguments have in common: how their values are read.

use std::convert::Infallible;
use std::ffi::OsStr;
use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser, StringValueParser, TypedValueParser};
use rarefy::Error;
use rarefy::data::TaskChoice;
use rarefy::kernels::{Isa, IsaChoice};
use rarefy::layers::{NetworkSettings, Preset};
use rarefy::names::{Named, shell_word};
use rarefy::train::{SettingsBuilder, network_named};

use crate::print_config::all_keys;

/// How data is read: what `train` and `data` share.
#[derive(clap::Args)]
pub struct ReadArgs {
    /// Label column of a CSV file, by name or position from 1; repeat it for several [default: the one named label, target,
    /// class or y, else the last]
    #[arg(long)]
    label: Vec<String>,
    /// What to predict [default: auto]
    #[arg(long, value_parser = tasks())]
    task: Option<String>,
    /// Columns of a CSV file to leave out, as in id,row
    #[arg(long, value_name = "COLUMN", value_delimiter = ',')]
    ignore: Vec<String>,
    /// Columns of a CSV file that are no features, such as ids, and that predict puts beside its predictions
    #[arg(long, value_name = "COLUMN", value_delimiter = ',')]
    keep: Vec<String>,
    /// What separates the cells of a CSV file: a character, or tab [default: found out]
    #[arg(long, value_parser = delimiter)]
    delimiter: Option<char>,
    /// Column of a CSV file or key of JSON lines that holds text, which becomes a bag of words unless data.text.tokens is set
    /// [default: text, in JSON lines]
    #[arg(long, value_name = "COLUMN")]
    text: Option<String>,
    /// Leave out images and recordings that cannot be read and texts that are empty, and say which
    #[arg(long)]
    skip_bad: bool,
}

/// Lays what `--set` says over settings.
pub fn set(config: &mut SettingsBuilder, assignment: &str) -> anyhow::Result<()> {
    config.set(assignment).map_err(|error| anyhow::anyhow!("--set {error}"))
}

/// The network that `--network` names.
pub fn network_given(name: &str) -> anyhow::Result<NetworkSettings> {
    network_named(name).map_err(|error| match error {
        Error::Setting { key, problem } => anyhow::anyhow!("--{key} {problem}"),
        other => other.into(),
    })
}

impl ReadArgs {
    /// Lays the flags that were given over settings.
    pub fn lay_over(&self, config: &mut SettingsBuilder) {
        let some = |columns: &[String]| Some(columns.to_vec()).filter(|columns| !columns.is_empty());
        config.flag("data.label", some(&self.label));
        config.flag("data.ignore", some(&self.ignore));
        config.flag("data.keep", some(&self.keep));
        config.flag("data.task", self.task.clone());
        config.flag("data.delimiter", self.delimiter.map(String::from));
        config.flag("data.text.column", self.text.clone());
        config.flag("data.skip_bad", self.skip_bad.then_some(true));
    }

    /// The flags that were given, each word as a shell takes it.
    pub fn words(&self) -> Vec<String> {
        let listed = |columns: &[String]| Some(columns.join(",")).filter(|list| !list.is_empty());
        let labels = self.label.iter().map(|label| ("--label", Some(label.clone())));
        let others = [
            ("--ignore", listed(&self.ignore)),
            ("--keep", listed(&self.keep)),
            ("--task", self.task.clone()),
            ("--delimiter", self.delimiter.map(|delimiter| delimiter.to_string().replace('\t', "tab"))),
            ("--text", self.text.clone()),
        ];
        let flags =
            labels.chain(others).filter_map(|(flag, value)| Some([flag.to_string(), shell_word(&value?)]));
        flags.flatten().chain(self.skip_bad.then(|| "--skip-bad".to_string())).collect()
    }
}

/// What `--task` may be.
fn tasks() -> [&'static str; TaskChoice::ALL.len()] {
    TaskChoice::ALL.map(TaskChoice::name)
}

/// A path that messages and JSON name, so it must be UTF-8 text: refused by clap before any work.
pub fn named_path(text: &str) -> Result<PathBuf, Infallible> {
    Ok(text.into())
}

/// Reads a share as a number or in percent; whether it is in range is for the settings to say.
pub fn share(text: &str) -> Result<f64, String> {
    let (digits, scale) = match text.strip_suffix('%') {
        Some(digits) => (digits.trim_end(), 0.01),
        None => (text, 1.0),
    };
    let number: f64 = digits.parse().map_err(|_| "give a number such as 0.95, or 95%")?;
    Ok(((number * scale) * 1e12).round() / 1e12)
}

/// Reads `--delimiter`.
fn delimiter(text: &str) -> Result<char, String> {
    match text {
        "tab" | "\\t" => Ok('\t'),
        _ => text.parse().map_err(|_| "give one character, or tab".to_string()),
    }
}

/// A number or `auto`.
pub fn learning_rate(text: &str) -> Result<toml::Value, String> {
    match (text, text.parse::<f64>()) {
        ("auto", _) => Ok(text.into()),
        (_, Ok(rate)) => Ok(rate.into()),
        _ => Err("is neither a number nor auto".into()),
    }
}

/// A whole number or `auto`.
pub fn whole_or_auto(text: &str) -> Result<toml::Value, String> {
    match (text, text.parse::<u32>()) {
        ("auto", _) => Ok(text.into()),
        (_, Ok(number)) => Ok(number.into()),
        _ => Err("is neither a whole number nor auto".into()),
    }
}

/// The names of some choices, as help lists them.
pub fn names<K: Named>(kinds: &[K]) -> String {
    kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ")
}

/// One of some names. Shells complete them; help lists them in its own words, so clap is to hide them there.
pub fn one_of<K: Named>() -> PossibleValuesParser {
    PossibleValuesParser::new(K::ALL.iter().map(|kind| kind.name()))
}

/// A choice by its name.
pub fn named<K: Named + Send + Sync>() -> impl TypedValueParser<Value = K> {
    let of_name = |name: String| K::ALL.iter().copied().find(|kind| kind.name() == name);
    one_of::<K>().map(move |name| of_name(name).expect("one of the names"))
}

/// Any text; shells complete the names. Help lists them in its own words here too.
#[derive(Clone)]
pub struct Suggested(Vec<&'static str>);

impl Suggested {
    /// The networks by name; a file is one too.
    pub fn networks() -> Suggested {
        Suggested(Preset::ALL.map(Preset::name).to_vec())
    }

    /// What `--isa` may be on this machine; what it lacks is refused in better words than clap's.
    pub fn isas() -> Suggested {
        let here = Isa::available_bf16().into_iter().map(Isa::name);
        Suggested(std::iter::once(IsaChoice::Auto.name()).chain(here).collect())
    }

    /// The keys of all settings; `=` and a value follow.
    pub fn settings() -> Suggested {
        Suggested(all_keys().collect())
    }
}

impl TypedValueParser for Suggested {
    type Value = String;

    fn parse_ref(
        &self,
        command: &clap::Command,
        arg: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<String, clap::Error> {
        StringValueParser::new().parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.0.iter().map(PossibleValue::new)))
    }
}

/// The help of `--isa`: what this machine has.
pub fn isa_help() -> String {
    let isas = Isa::available_bf16();
    let here: Vec<&str> = isas.into_iter().map(Isa::name).collect();
    format!("Instruction set: auto, or one that this machine has: {}", here.join(", "))
}
