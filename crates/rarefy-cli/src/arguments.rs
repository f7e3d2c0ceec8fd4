//! What several verbs' arguments have in common: how their values are read.

use std::convert::Infallible;
use std::path::PathBuf;

use rarefy::data::TaskChoice;
use rarefy::kernels::Isa;
use rarefy::names::Named;

/// What `--task` may be.
pub fn tasks() -> [&'static str; TaskChoice::ALL.len()] {
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
pub fn delimiter(text: &str) -> Result<char, String> {
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

/// The names of some choices, as help lists them.
pub fn names<K: Named>(kinds: &[K]) -> String {
    kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ")
}

/// The help of `--isa`: what this machine has.
pub fn isa_help() -> String {
    let here: Vec<&str> = Isa::available().iter().map(|isa| isa.name()).collect();
    format!("Instruction set: auto, or one that this machine has: {}", here.join(", "))
}
