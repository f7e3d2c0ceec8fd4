//! Networks as people name them: by a preset, or by a TOML file with the keys of `[network]`.

use std::path::Path;

use serde::Deserialize;
use toml::Table;

use super::read_toml;
use crate::layers::{NetworkSettings, Preset};
use crate::{Error, Result};

/// A file with a section.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    network: NetworkSettings,
}

/// The network that a preset's name or a TOML file stands for.
///
/// # Errors
/// [`Error::Setting`] if it is neither; a file that cannot be read, or that does not describe a network.
pub fn network_named(name: &str) -> Result<NetworkSettings> {
    if let Some(preset) = Preset::ALL.into_iter().find(|preset| preset.name() == name) {
        return Ok(NetworkSettings { preset, ..NetworkSettings::default() });
    }
    let path = Path::new(name);
    if !path.exists() {
        let likeness = |preset: &Preset| strsim::jaro_winkler(preset.name(), name);
        let nearest = Preset::ALL.into_iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
        let meant = nearest.filter(|preset| likeness(preset) > 0.7);
        let problem = format!(
            "{name} is neither a file nor one of {}{}",
            Preset::ALL.map(Preset::name).join(", "),
            meant.map_or(String::new(), |preset| format!("; did you mean {}?", preset.name()))
        );
        return Err(Error::setting("network", problem));
    }
    let text = std::fs::read_to_string(path).map_err(Error::io(path, "cannot read the network"))?;
    described(&text).map_err(|problem| Error::data(path, problem))
}

/// A file with the keys of `[network]`, with or without that line; other settings have no place in it.
fn described(text: &str) -> std::result::Result<NetworkSettings, String> {
    let has_section = text.parse::<Table>().is_ok_and(|table| table.contains_key("network"));
    if has_section { read_toml::<File>(text).map(|file| file.network) } else { read_toml(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_may_leave_the_section_out() {
        let layers = "layers = [\n  {layer = \"flatten\"},\n  {layer = \"linear\"},\n]\n";
        let bare = described(layers).unwrap();
        assert_eq!(bare.layers.len(), 2);
        assert_eq!(described(&format!("[network]\n{layers}")).unwrap(), bare);
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        for (text, words) in [
            ("layers = [{layer = 'linear'}]\nwidht = 3\n", "line 2: unknown field `widht`"),
            ("[network]\npreset = 'mlpp'\n", "line 2: unknown variant `mlpp`"),
            ("[network]\npreset = 'mlp'\n[train]\nepochs = 3\n", "line 3: unknown field `train`"),
            ("layers = [", "unclosed array"),
        ] {
            let error = described(text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
        let error = network_named("bag_of_word").unwrap_err().to_string();
        assert!(error.contains("neither a file nor one of mlp, lenet5, "), "{error}");
        assert!(error.ends_with("; did you mean bag-of-words?"), "{error}");
        assert!(!network_named("nets/mine.toml").unwrap_err().to_string().contains("did you mean"));
    }
}
