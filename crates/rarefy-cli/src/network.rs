//! Networks as people name them and see them: `--network`, a preset or a TOML file, and the table of a network's layers.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use rarefy::layers::{LayerFigures, NetworkSettings, Preset};
use rarefy::report::{self, bytes, count};
use serde::Deserialize;
use toml::Table;

use rarefy::train::read_toml;

/// A file with a section.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    network: NetworkSettings,
}

/// The help of `--network`, which names all networks there are.
pub fn help() -> String {
    format!(
        "Network: {}, or a TOML file with its layers [default: {}]",
        Preset::ALL.map(Preset::name).join(", "),
        Preset::default().name()
    )
}

/// Reads what `--network` names.
pub fn read(network: &str) -> Result<NetworkSettings> {
    if let Some(preset) = Preset::ALL.into_iter().find(|preset| preset.name() == network) {
        return Ok(NetworkSettings { preset, ..NetworkSettings::default() });
    }
    let path = Path::new(network);
    if !path.exists() {
        let likeness = |preset: &Preset| strsim::jaro_winkler(preset.name(), network);
        let nearest = Preset::ALL.into_iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
        let meant = nearest.filter(|preset| likeness(preset) > 0.7);
        bail!(
            "--network {network}: is neither a file nor one of {}{}",
            Preset::ALL.map(Preset::name).join(", "),
            meant.map_or(String::new(), |preset| format!("; did you mean {}?", preset.name()))
        );
    }
    let text =
        std::fs::read_to_string(path).with_context(|| format!("{network}: cannot read the network"))?;
    described(&text).map_err(|problem| anyhow!("{network}: {problem}"))
}

/// A file with the keys of `[network]`, with or without that line; the rest of the settings goes with `--config`.
fn described(text: &str) -> Result<NetworkSettings, String> {
    let has_section = text.parse::<Table>().is_ok_and(|table| table.contains_key("network"));
    if has_section { read_toml::<File>(text).map(|file| file.network) } else { read_toml(text) }
}

/// What a network is called.
pub fn name(settings: &NetworkSettings) -> &'static str {
    if settings.is_described() { "described" } else { settings.preset.name() }
}

/// A line for each layer.
pub fn table<'a>(layers: impl Iterator<Item = &'a LayerFigures>) -> report::Table {
    let rows = layers.map(|layer| {
        let none = || "-".to_string();
        vec![
            format!("  {} {}", layer.place, layer.layer),
            layer.input.to_string(),
            layer.output.to_string(),
            if layer.cells > 0 { format!("{} of {}", layer.nnz, layer.cells) } else { none() },
            layer.density().map_or_else(none, |density| format!("{:.2} %", 100.0 * density)),
            layer.storage.map_or_else(none, String::from),
            if layer.cells > 0 { count(layer.flops) } else { none() },
            if layer.parameters > 0 { bytes(layer.bytes) } else { none() },
        ]
    });
    report::table(&["  layer", "in", "out", "weights", "density", "stored", "FLOP", "file"], rows)
        .spare(&["stored", "file", "in"])
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
        let error = read("bag_of_word").unwrap_err().to_string();
        assert!(error.contains("neither a file nor one of mlp, lenet5, "), "{error}");
        assert!(error.ends_with("; did you mean bag-of-words?"), "{error}");
        assert!(!read("nets/mine.toml").unwrap_err().to_string().contains("did you mean"));
    }
}
