//! Settings from several sources, each laid over those before: defaults, files, assignments, values. Every source is checked on
//! its own, so an error names the file and line, or the key, where the mistake is.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::Settings;
use crate::layers::NetworkSettings;
use crate::{Error, Result};

/// Settings under construction: the words of a TOML file, of `--set` and of keyword arguments.
///
/// Defaults that depend on what was given are settled at the end. A penalty starts from all connections, unless a density or a
/// topology method is given; a target takes the place of a density.
///
/// ```
/// use rarefy::train::SettingsBuilder;
///
/// let mut builder = SettingsBuilder::default();
/// builder.set("topology.method=rigl")?;
/// builder.value("sparsity.density", 0.05)?;
/// let settings = builder.settings()?;
/// assert_eq!(settings.sparsity.density, 0.05);
///
/// let error = SettingsBuilder::default().set("topology.method=rigel").unwrap_err();
/// assert!(error.to_string().contains("did you mean `rigl`"));
/// # Ok::<(), rarefy::Error>(())
/// ```
pub struct SettingsBuilder {
    table: Table,
    /// What was given, without the defaults.
    given: Table,
}

impl Default for SettingsBuilder {
    fn default() -> SettingsBuilder {
        let table = Table::try_from(Settings::default()).expect("settings are plain data");
        SettingsBuilder { table, given: Table::new() }
    }
}

impl SettingsBuilder {
    /// Lays a TOML file over what is there.
    ///
    /// # Errors
    /// If the file cannot be read, is not TOML, or has an unknown key or a value of a wrong type; its line is named.
    pub fn file(&mut self, path: &Path) -> Result<()> {
        let text = std::fs::read_to_string(path).map_err(Error::io(path, "cannot read the settings"))?;
        self.text(&text).map_err(|problem| Error::data(path, problem))
    }

    /// Lays one `section.key=value` over what is there. The right side is TOML; a bare word is taken as a text.
    ///
    /// # Errors
    /// [`Error::Setting`] for an unknown key, or a value of a wrong type.
    pub fn set(&mut self, assignment: &str) -> Result<()> {
        let wrong = |problem: String| Error::setting(assignment, problem);
        let Some((key, value)) = assignment.split_once('=') else {
            return Err(wrong("has no \"=\"; write section.key=value".into()));
        };
        let (key, value) = (key.trim(), value.trim());
        // A whole number out of range is no word.
        let is_number = value.trim_start_matches(['+', '-']).bytes().all(|byte| byte.is_ascii_digit());
        let parses = format!("value = {value}").parse::<Table>().is_ok();
        let quoted = if parses || is_number { value.to_string() } else { Value::from(value).to_string() };
        self.text(&format!("{key} = {quoted}")).map_err(wrong)
    }

    /// Puts a network in the place of whatever was there.
    pub fn network(&mut self, network: &NetworkSettings) {
        let section = Table::try_from(network).expect("settings are plain data");
        for table in [&mut self.table, &mut self.given] {
            table.insert("network".into(), Value::Table(section.clone()));
        }
    }

    /// Lays the value of one dotted key over what is there.
    ///
    /// # Errors
    /// [`Error::Setting`] for an unknown key, or a value of a wrong type.
    pub fn value(&mut self, key: &str, value: impl Serialize) -> Result<()> {
        let wrong = |problem: String| Error::setting(key, problem);
        let value = Value::try_from(value).map_err(|error| wrong(error.to_string()))?;
        self.text(&format!("{key} = {value}")).map_err(wrong)
    }

    /// Lays the value of one dotted key over what is there, if there is one. It is checked with all others, by
    /// [`settings`](SettingsBuilder::settings).
    ///
    /// # Panics
    /// If the value is not one that TOML knows.
    pub fn flag(&mut self, key: &str, value: Option<impl Serialize>) {
        if let Some(value) = value {
            let value = Value::try_from(value).expect("a flag is plain data");
            let value = key
                .rsplit('.')
                .fold(value, |value, part| Value::Table(Table::from_iter([(part.to_string(), value)])));
            let Value::Table(over) = value else { unreachable!("a key has a part") };
            self.lay(over);
        }
    }

    /// The settings. Types and keys are checked; [`Settings::check`] looks at values.
    ///
    /// # Errors
    /// [`Error::Setting`] for an unknown key, a value of a wrong type, or a density beside a target that replaces it.
    pub fn settings(mut self) -> Result<Settings> {
        self.complete()?;
        let wrong = |error: toml::de::Error| Error::setting("settings", advise(error.message()));
        // By way of text, as files are read: a second kind of source would make the code that reads settings as large once more.
        toml::from_str(&self.table.to_string()).map_err(wrong)
    }

    /// Defaults that depend on what was given: a penalty decides by itself which connections stay, so under `static`, its
    /// default, it starts from all of them unless a density was given; a target replaces the density.
    fn complete(&mut self) -> Result<()> {
        let given =
            |section: &str, key: &str| self.given.get(section).and_then(|section| section.get(key)).cloned();
        let has_penalty = given("penalty", "method").is_some_and(|method| method.as_str() != Some("none"));
        let has_target =
            self.given.get("target").and_then(Value::as_table).is_some_and(|table| !table.is_empty());
        let density = given("sparsity", "density");
        if has_target && !has_penalty && density.is_some() {
            let problem = "contradicts the target: it follows from it; give one of them";
            return Err(Error::setting("sparsity.density", problem));
        }
        let method = given("topology", "method");
        let is_static = method.as_ref().is_none_or(|method| method.as_str() == Some("static"));
        if has_penalty && density.is_none() && is_static {
            self.flag("sparsity.density", Some(1.0));
            self.flag("topology.method", Some("static"));
        }
        Ok(())
    }

    fn lay(&mut self, over: Table) {
        merge(&mut self.given, over.clone());
        merge(&mut self.table, over);
    }

    fn text(&mut self, text: &str) -> std::result::Result<(), String> {
        // Read as settings first: that finds unknown keys and wrong types, with their place in the text.
        read_toml::<Settings>(text)?;
        let over = text.parse().map_err(|_| {
            format!("a whole number is above {}, the largest that settings can hold", i64::MAX)
        })?;
        self.lay(over);
        Ok(())
    }
}

/// The density that leaves a network so sparse. Through the decimal text: 1 - 0.95 is not 0.05 in binary.
pub fn density_of(sparsity: f64) -> f64 {
    ((1.0 - sparsity) * 1e12).round() / 1e12
}

/// Reads TOML.
///
/// # Errors
/// What is wrong, with its line, and the known name that is nearest to an unknown one.
pub fn read_toml<T: DeserializeOwned>(text: &str) -> std::result::Result<T, String> {
    toml::from_str(text).map_err(|error| {
        let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        let place = match line {
            Some(line) if text.contains('\n') => format!("line {line}: "),
            _ => String::new(),
        };
        format!("{place}{}", advise(error.message()))
    })
}

fn merge(under: &mut Table, over: Table) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(Value::Table(under)), Value::Table(over)) => merge(under, over),
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}

/// Adds the nearest known name to serde's "unknown field" and "unknown variant".
fn advise(message: &str) -> String {
    let message = message.trim().replace('\n', " ");
    let names: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let [unknown, known @ ..] = names.as_slice() else { return message };
    let nearest = known.iter().max_by(|a, b| {
        let likeness = |name: &str| strsim::jaro_winkler(unknown, name);
        likeness(a).total_cmp(&likeness(b))
    });
    match nearest {
        Some(nearest) if message.contains("unknown field") || message.contains("unknown variant") => {
            format!("{message}; did you mean `{nearest}`?")
        }
        _ => message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_sources_win_and_keep_the_rest() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.toml");
        std::fs::write(&path, "seed = 3\n[optimizer]\nmethod = \"sgd\"\nmomentum = 0.5\n").unwrap();
        let mut builder = SettingsBuilder::default();
        builder.file(&path).unwrap();
        builder.set("optimizer.momentum=0.9").unwrap();
        builder.set("topology.method=set").unwrap();
        builder.flag("seed", Some(4));
        let settings = builder.settings().unwrap();
        assert_eq!((settings.seed, settings.optimizer.momentum), (4, 0.9));
        assert_eq!(settings.optimizer.method, crate::optimizers::Method::Sgd);
        assert_eq!(settings.topology.method, crate::topology::Method::Set);
    }

    #[test]
    fn a_penalty_starts_with_all_connections_unless_told_otherwise() {
        use crate::topology::Method::{Rigl, Static};
        for (given, density, method) in [
            (&["penalty.method=l1"][..], 1.0, Static),
            (&["penalty.method=l1", "topology.method=static"], 1.0, Static),
            (&["penalty.method=l1", "topology.method=static", "sparsity.density=0.3"], 0.3, Static),
            (&["penalty.method=l1", "topology.method=rigl"], 0.1, Rigl),
            (&["penalty.method=l1", "sparsity.density=0.3"], 0.3, Rigl),
            (&["penalty.method=none", "topology.method=static"], 0.1, Static),
        ] {
            let mut builder = SettingsBuilder::default();
            given.iter().for_each(|assignment| builder.set(assignment).unwrap());
            let settings = builder.settings().unwrap();
            assert_eq!((settings.sparsity.density, settings.topology.method), (density, method), "{given:?}");
        }
    }

    #[test]
    fn mistakes_are_named_and_corrected() {
        for (assignment, words) in [
            ("optimizer.momentun=0.9", "did you mean `momentum`"),
            ("sparsiti.density=0.9", "did you mean `sparsity`"),
            ("topology.method=rigel", "did you mean `rigl`"),
            ("train.epochs=many", "invalid type"),
            ("network.layers=[{layer = 'linear', output = 3}]", "layer 1 (linear): unknown field `output`"),
            ("network.layers=[{layer = 'linear', output = 3}]", "did you mean `outputs`"),
            ("network.layers=[{layer = 'lineer'}]", "did you mean `linear`"),
            ("seed", "no \"=\""),
            ("seed=9223372036854775808", "above 9223372036854775807, the largest"),
            ("seed=99999999999999999999999999", "invalid type: integer"),
        ] {
            let error = SettingsBuilder::default().set(assignment).unwrap_err().to_string();
            assert!(error.contains(words) && error.contains(assignment), "{error}");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.toml");
        std::fs::write(&path, "seed = 3\n[train]\nepoch = 4\n").unwrap();
        let error = SettingsBuilder::default().file(&path).unwrap_err().to_string();
        assert!(error.contains("line 3") && error.contains("did you mean `epochs`"), "{error}");
    }
}
