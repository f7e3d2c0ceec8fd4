//! Networks as people see them: the help of `--network`, and the table of a network's layers.

use rarefy::layers::{LayerFigures, NetworkSettings, Preset};
use rarefy::report::{self, bytes, count};

/// The help of `--network`, which names all networks there are.
pub fn help() -> String {
    format!(
        "Network: {}, or a TOML file with its layers [default: {}]",
        Preset::ALL.map(Preset::name).join(", "),
        Preset::default().name()
    )
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
